//! The bench `lesson`: one whole lesson with a synthetic publisher, the `small` profile, 4 Mbit/s
//! at 30 frames a second.

mod browsers;
pub(crate) mod fanout;
mod peer;
pub(crate) mod relay;
pub(crate) mod seat;
pub(crate) mod source;

use std::{process::Command, time::Duration};

use anyhow::{Result, ensure};
use classroom::{
    Classroom, Switch, binaries,
    school::{Options, School},
};
use nix::time::{ClockId, clock_gettime};
use serde_json::json;

use self::source::Rates;
use crate::{
    report::{Report, Worst, percentile},
    usage,
};

const STARTS: u8 = 10;
const READY: Duration = Duration::from_secs(15);

pub(crate) async fn measure(report: &mut Report) -> Result<()> {
    report
        .note("players count their frames and open no window, as gst-launch-1.0 does beside them");
    report.note("publisher, box and machines share the cores of one machine; so do the peers");
    let mut rates = Rates::default();
    starts(report).await?;
    seat::measure(report, &mut rates).await?;
    relay::measure(report, &mut rates).await?;
    browsers::measure(report).await?;
    fanout::measure(report, &mut rates).await?;
    rates.report(report);
    Ok(())
}

/// From nothing to ready, with an empty database each time; and what the box takes at rest.
async fn starts(report: &mut Report) -> Result<()> {
    let classroom = Classroom::new().open().await?;
    let mut times = Vec::new();
    for n in 0..STARTS {
        let state = classroom.the_box().dir().join(format!("state-{n}"));
        let mut command: Command = binaries::daemon()?;
        command
            .env("ALFARID_STORAGE__STATE_DIR", &state)
            .env("ALFARID_STORAGE__RECORDINGS_DIR", state.join("recordings"));
        let begun = now();
        let daemon = classroom.the_box().spawn("daemon", command)?;
        daemon.wait_for_line(|line| line.contains("ready"), READY).await?;
        times.push(now().saturating_sub(begun).as_secs_f64() * 1e3);
        ensure!(daemon.terminate().await?.success(), "the daemon ends well");
    }
    classroom.close()?;
    let median = percentile(&mut times, 0.5);
    report.figure("start_ms", median, Worst::AtMost(300.0), "start to ready, median of 10");
    let school = School::open(Classroom::new(), &Options::default()).await?;
    let rss = usage::rss_mb(&school.daemon)?;
    report.figure("idle_rss_mb", rss, Worst::AtMost(40.0), "the daemon, claimed, no lesson");
    school.classroom.close()
}

/// A school of so many machines behind a snooping switch.
pub(crate) async fn school(machines: u8, options: &Options) -> Result<School> {
    let classroom = Classroom::new().students(machines).teacher().switch(Switch::Snooping);
    School::open(classroom, options).await
}

/// Starts a lesson whose quality stays `small`, however many students there are. Returns its id.
pub(crate) async fn small_lesson(school: &School) -> Result<String> {
    let lesson = school.start_lesson().await?;
    let pinned = json!({ "quality_profile": "small" });
    let reply = school.teacher.patch(&format!("/api/v1/lessons/{lesson}"), &pinned).await?;
    ensure!(reply.status.is_success(), "pin the quality: {} {:?}", reply.status, reply.body);
    Ok(lesson)
}

/// `CLOCK_MONOTONIC`, as the traces of the players have it.
pub(crate) fn now() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Into::into)
}
