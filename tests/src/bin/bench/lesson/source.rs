//! The synthetic teacher: a real WHIP session with a real encoder behind it.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use classroom::school::School;
use http::{Request, StatusCode, header::CONTENT_TYPE};
use str0m::format::Codec;

#[expect(dead_code, reason = "the daemon's tests use the same publisher, and more of it")]
#[path = "../../../../../daemon/tests/publisher/mod.rs"]
mod publisher;

pub(super) use publisher::Publisher;
use publisher::{ALL, Offer, encoder::Spec};

/// 4 Mbit/s at 30 frames a second.
const KBPS: u32 = 4_000;
const FPS: u32 = 30;

/// Puts a moving picture of that size on air in `lesson`, with sound.
pub(super) async fn on_air(
    school: &School,
    lesson: &str,
    (width, height): (u32, u32),
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
    let spec = Spec { codec: Codec::H264, width, height, fps: FPS, kbps: KBPS };
    desk.enter(async move { offer.answered(&answer, Some(spec)) }).await
}
