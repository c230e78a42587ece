//! What a teacher does, as with their own hands.

use anyhow::{Context, Result};
use classroom::{
    Classroom, Switch,
    browser::{Browser, By, Page, Trust},
    school::{Options, School},
    trace::Trace,
};

use crate::SECONDS;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum TrustedBy {
    Root,
    Nobody,
}

pub(crate) async fn three_machines(switch: Switch) -> Result<School> {
    let classroom = Classroom::new().students(3).teacher().switch(switch);
    School::open(classroom, &Options::default()).await
}

pub(crate) async fn open_browser(school: &School, trust: TrustedBy) -> Result<Browser> {
    let desk = school.classroom.teacher()?;
    let trust = match trust {
        TrustedBy::Nobody => Trust::ClickThrough,
        TrustedBy::Root => school.trust(desk).await?,
    };
    Browser::launch(desk, trust).await
}

/// From the address bar to a running lesson.
pub(crate) async fn begin(
    school: &School,
    page: &Page<'_>,
    codec: &str,
    trust: TrustedBy,
) -> Result<()> {
    let url = format!("{}/?codec={codec}", school.url());
    match trust {
        TrustedBy::Root => page.goto(&url).await?,
        TrustedBy::Nobody => page.click_through(&url).await?,
    }
    school.start_lesson_on(page).await
}

pub(crate) async fn share(school: &School, page: &Page<'_>) -> Result<()> {
    page.click(By::Role("button", "Share the screen")).await?;
    for seat in &school.seats {
        let trace = Trace::at(seat.trace_path());
        if let Err(error) = trace.wait_for_more(1, SECONDS(20)).await {
            let path = format!("/api/v1/lessons/{}/stream", lesson_of(page).await?);
            let stream = school.object(&path).await?;
            let screen = school.classroom.dir().join("no-picture.png");
            page.screenshot(&screen).await?;
            return Err(error.context(format!("no picture on a machine: {stream}")));
        }
    }
    Ok(())
}

pub(crate) async fn end(page: &Page<'_>) -> Result<()> {
    page.click(By::Role("button", "End the lesson")).await?;
    page.click(By::Role("button", "Yes, end it")).await
}

pub(crate) async fn lesson_of(page: &Page<'_>) -> Result<String> {
    let url = page.url().await?;
    let path = url.split('?').next().unwrap_or_default();
    Ok(path.rsplit('/').next().context("the lesson's page names it")?.to_owned())
}
