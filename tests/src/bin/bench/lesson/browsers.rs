//! What people at the page wait for.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use classroom::{
    browser::{Browser, By, Trust},
    client::Live,
    school::{EMAIL, Options, PASSWORD, School},
    trace::Trace,
};
use serde_json::json;

use super::{now, school};
use crate::report::{Report, Worst, percentile};

const BROWSERS: usize = 50;
const EVENTS: usize = 20;
const EVENT: Duration = Duration::from_secs(10);
const PICTURE: Duration = Duration::from_mins(1);
/// From the filled-in log-in form to a screen on air.
const CLICKS: [&str; 3] = ["Log in", "Start the lesson", "Share the screen"];

pub(super) async fn measure(report: &mut Report) -> Result<()> {
    let school = school(3, &Options::default()).await?;
    let took = on_air(&school).await?;
    let clicks = CLICKS.len();
    let about = format!("log-in to a picture on three machines, by the page, in {clicks} clicks");
    report.figure("on_air_s", took.as_secs_f64(), Worst::AtMost(20.0), about);
    live(report, &school).await?;
    school.classroom.close()
}

async fn on_air(school: &School) -> Result<Duration> {
    let browser = Browser::launch(school.classroom.teacher()?, Trust::ClickThrough).await?;
    let page = browser.page();
    page.click_through(&school.url()).await?;
    page.fill(By::Label("Email"), EMAIL).await?;
    page.fill(By::Label("Password"), PASSWORD).await?;
    let begun = now();
    for button in CLICKS {
        page.click(By::Role("button", button)).await?;
    }
    for seat in &school.seats {
        Trace::at(seat.trace_path()).wait_for_more(1, PICTURE).await?;
    }
    let took = now().saturating_sub(begun);
    browser.close().await?;
    Ok(took)
}

/// From the request that changes something to each browser's hearing of it: the request's own way
/// to the box and its write to the disk are in it.
async fn live(report: &mut Report, school: &School) -> Result<()> {
    let lessons = school.items("/api/v1/lessons?status=active").await?;
    let lesson = lessons.first().and_then(|lesson| lesson["id"].as_str()).context("a lesson")?;
    let path = format!("/api/v1/lessons/{lesson}");
    let mut pages: Vec<Live> = Vec::new();
    for _ in 0..BROWSERS {
        pages.push(school.live().await?);
    }
    let mut times = Vec::new();
    for n in 0..EVENTS {
        let picture = if n % 2 == 0 { "blank" } else { "live" };
        let begun = now();
        let change = json!({ "picture": picture });
        let hear = pages.iter_mut().map(|page| async move {
            page.wait_for(|event| event["type"] == "lesson_changed", EVENT).await?;
            anyhow::Ok(now())
        });
        let (reply, heard) = tokio::join!(
            school.teacher.patch(&path, &change),
            futures_util::future::try_join_all(hear)
        );
        ensure!(reply?.status.is_success(), "change the picture");
        times.extend(heard?.into_iter().map(|at| at.saturating_sub(begun).as_secs_f64() * 1e3));
    }
    let p99 = percentile(&mut times, 0.99);
    let about = "request sent to heard, 50 browsers, 20 events";
    report.figure("live_p99_ms", p99, Worst::AtMost(100.0), about);
    school.end_lesson(lesson).await
}
