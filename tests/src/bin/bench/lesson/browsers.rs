//! What people at the page wait for.

use std::time::Duration;

use anyhow::{Context, Result};
use classroom::{
    browser::{Browser, By, Trust},
    client::Live,
    school::{EMAIL, Options, PASSWORD, School},
    trace::Trace,
};
use serde_json::{Value, json};

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
    let about = "the teacher's log-in to a picture on three machines, by the page";
    report.figure("on_air_s", took.as_secs_f64(), Worst::AtMost(20.0), about);
    let clicks = f64::from(u8::try_from(CLICKS.len())?);
    let about = "of the teacher on the page meanwhile; a switch picks the screen in the browser's \
                 own dialogue, where a person clicks twice more";
    report.figure("on_air_clicks", clicks, Worst::Print, about);
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
///
/// What changes is a planned lesson that nothing else touches, another one each time: an event that
/// names it can have no other cause, however much the running lesson says of itself.
async fn live(report: &mut Report, school: &School) -> Result<()> {
    let lessons = school.items("/api/v1/lessons?status=active").await?;
    let running = lessons.first().and_then(|lesson| lesson["id"].as_str()).context("a lesson")?;
    let mut planned = Vec::new();
    for _ in 0..EVENTS {
        planned.push(plan(school).await?);
    }
    let mut pages: Vec<Live> = Vec::new();
    for _ in 0..BROWSERS {
        pages.push(school.live().await?);
    }
    let mut times = Vec::new();
    for lesson in &planned {
        let (cancel, nothing) = (format!("/api/v1/lessons/{lesson}/cancel"), json!({}));
        let begun = now();
        let hear = pages.iter_mut().map(|page| async move {
            page.wait_for(|event| is_about(event, lesson), EVENT).await?;
            anyhow::Ok(now())
        });
        let (reply, heard) = tokio::join!(
            school.teacher.post(&cancel, &nothing),
            futures_util::future::try_join_all(hear)
        );
        reply?.ok()?;
        times.extend(heard?.into_iter().map(|at| at.saturating_sub(begun).as_secs_f64() * 1e3));
    }
    let p99 = percentile(&mut times, 0.99);
    let about = format!(
        "request sent to heard, {EVENTS} events to {BROWSERS} browsers, which are clients of the \
         live WebSocket and draw no page"
    );
    report.figure("live_p99_ms", p99, Worst::AtMost(100.0), about);
    school.end_lesson(running).await
}

/// A lesson of tomorrow; returns its id.
async fn plan(school: &School) -> Result<String> {
    const DAY_MS: i64 = 86_400_000;
    let state = school.object("/api/v1/state").await?;
    let now = state["clock"]["now"].as_i64().context("the box's time")?;
    let lesson = json!({
        "class_id": school.class_id, "room_id": school.room_id, "start_at": now + DAY_MS,
    });
    let planned: Value = school.teacher.post("/api/v1/lessons", &lesson).await?.json()?;
    Ok(planned["id"].as_str().with_context(|| format!("no id in {planned}"))?.to_owned())
}

fn is_about(event: &Value, lesson: &str) -> bool {
    event["type"] == "lesson_changed" && event["lesson_id"] == lesson
}
