//! The synthetic teacher: a real WHIP session with a real encoder behind it, and whether it gave
//! what every figure says it was measured with.

use std::{ops::RangeInclusive, time::Duration};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use classroom::{
    air::{OnAir, Rate},
    eventually,
    school::School,
};
use http::{Request, StatusCode, header::CONTENT_TYPE};
use str0m::format::Codec;

use crate::report::{Report, Worst};

#[expect(dead_code, reason = "the daemon's tests use the same publisher, and more of it")]
#[path = "../../../../../daemon/tests/publisher/mod.rs"]
mod publisher;

pub(crate) use publisher::Publisher;
use publisher::{ALL, Offer, encoder::Spec};

/// 4 Mbit/s at 30 frames a second.
pub(crate) const KBPS: u32 = 4_000;
const FPS: u32 = 30;
/// What a figure may have been measured with.
const MBPS: RangeInclusive<f64> = 3.6..=4.4;
const PER_SECOND: RangeInclusive<f64> = 29.0..=31.0;
/// In a second the box knows what machines cost.
const WEIGHED: Duration = Duration::from_secs(2);
const ASKED: Duration = Duration::from_secs(30);

/// Puts a moving picture of that size on air in `lesson`, with sound.
pub(crate) async fn on_air(school: &School, lesson: &str, size: (u32, u32)) -> Result<Publisher> {
    of(school, lesson, size, KBPS).await
}

/// The same at so many kbit/s.
pub(crate) async fn of(
    school: &School,
    lesson: &str,
    (width, height): (u32, u32),
    kbps: u32,
) -> Result<Publisher> {
    let desk = school.classroom.teacher()?;
    let address = desk.address();
    let offer = desk.enter(async move { Offer::from(address, ALL, true).await }).await?;
    let request = Request::post(format!("/api/v1/lessons/{lesson}/whip/screen"))
        .header(CONTENT_TYPE, "application/sdp")
        .body(Bytes::from(offer.sdp.clone()))?;
    let reply = school.teacher.send(request).await?;
    ensure!(reply.status == StatusCode::CREATED, "WHIP: {} {:?}", reply.status, reply.body);
    let answer = String::from_utf8(reply.body.to_vec()).context("an SDP answer")?;
    let spec = Spec { codec: Codec::H264, width, height, fps: FPS, kbps };
    desk.enter(async move { offer.answered(&answer, Some(spec)) }).await
}

/// Another picture from now on.
pub(crate) fn show(publisher: &Publisher, (width, height): (u32, u32), fps: u32, kbps: u32) {
    publisher.show(Spec { codec: Codec::H264, width, height, fps, kbps });
}

/// Shows what whoever publishes is asked for, as the teacher's page does: machines that receive alone
/// have a budget. Returns when the box serves so many of them alone, and has weighed what they cost.
pub(crate) async fn follow(
    school: &School,
    lesson: &str,
    publisher: &Publisher,
    size: (u32, u32),
    alone: usize,
) -> Result<()> {
    let path = format!("/api/v1/lessons/{lesson}/stream");
    let stream = async || school.object(&path).await;
    eventually("the box serves them alone", ASKED, async || {
        let egress = &stream().await?["egress"];
        ensure!(egress["machines"] == alone, "{egress}");
        Ok(())
    })
    .await?;
    OnAir::watch(school.classroom.the_box())?.wait_for(WEIGHED, ASKED).await?;
    let limits = &stream().await?["limits"];
    let limit = |name: &str| {
        let limit = limits[name].as_u64().with_context(|| format!("{name} of {limits}"))?;
        anyhow::Ok(u32::try_from(limit)?)
    };
    show(publisher, size, limit("max_fps")?, limit("max_bitrate_bps")? / 1_000);
    Ok(())
}

/// What the source gave, run by run.
#[derive(Debug, Default)]
pub(crate) struct Rates(Vec<(&'static str, Rate)>);

impl Rates {
    /// Takes down what was on the air in a run. Fails when it was not what is to be measured with:
    /// the run's figures would be of another lesson.
    pub(crate) fn judge(&mut self, run: &'static str, on_air: &OnAir) -> Result<()> {
        let rate = Rate::of(&on_air.frames()).with_context(|| format!("{run}: no pictures"))?;
        let is_right = MBPS.contains(&rate.mbps) && PER_SECOND.contains(&rate.fps);
        ensure!(is_right, "{run}: the source gave {rate}");
        self.0.push((run, rate));
        Ok(())
    }

    pub(crate) fn report(&self, report: &mut Report) {
        let least =
            |of: fn(&Rate) -> f64| self.0.iter().map(|(_, rate)| of(rate)).fold(f64::NAN, f64::min);
        let runs: Vec<_> = self.0.iter().map(|(run, rate)| format!("{run} {rate}")).collect();
        let about =
            format!("video on the air, the least of {} runs: {}", runs.len(), runs.join("; "));
        report.figure("source_mbps", least(|rate| rate.mbps), Worst::Print, about);
        let about = "pictures a second, the least of the same runs";
        report.figure("source_fps", least(|rate| rate.fps), Worst::Print, about);
    }
}
