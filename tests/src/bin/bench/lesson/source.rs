//! The synthetic teacher: a real WHIP session with a real encoder behind it, and whether it gave
//! what every figure says it was measured with.

use std::{
    net::{Ipv4Addr, SocketAddr},
    ops::RangeInclusive,
    time::Duration,
};

use alfarid_stream::{egress::BUDGET_BPS, rtp::Header};
use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use classroom::{
    air::{OnAir, Rate},
    eventually,
    host::Host,
    school::School,
};
use http::{Request, StatusCode, header::CONTENT_TYPE};
use str0m::format::Codec;
use tokio::{net::UdpSocket, sync::mpsc, task::JoinHandle};

use crate::report::{Report, Worst};

#[expect(dead_code, reason = "the daemon's tests use the same publisher, and more of it")]
#[path = "../../../../../daemon/tests/publisher/mod.rs"]
mod publisher;

pub(crate) use publisher::Publisher;
use publisher::{
    ALL, Offer,
    encoder::{Encoded, Encoder, Spec},
};

/// 4 Mbit/s at 30 frames a second.
pub(crate) const KBPS: u32 = 4_000;
const FPS: u32 = 30;
/// What a figure may have been measured with.
const MBPS: RangeInclusive<f64> = 3.6..=4.4;
pub(crate) const PER_SECOND: RangeInclusive<f64> = 29.0..=31.0;
/// Packets that wait to be sent. Full: the encoder drops, as a browser that cannot send does.
const ENCODED: usize = 1_024;
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
    size: (u32, u32),
    kbps: u32,
) -> Result<Publisher> {
    publish(school, lesson, spec(size, FPS, kbps)).await
}

/// The same as [`on_air`], by an encoder that takes no time from the box. Where machines take most
/// of the time it would come too short.
pub(crate) async fn giving_way(
    school: &School,
    lesson: &str,
    size: (u32, u32),
) -> Result<Publisher> {
    publish(school, lesson, Spec { gives_way: true, ..spec(size, FPS, KBPS) }).await
}

async fn publish(school: &School, lesson: &str, spec: Spec) -> Result<Publisher> {
    let desk = school.classroom.teacher()?;
    let address = desk.address();
    let offer = desk.enter(async move { Offer::from(address, ALL, true).await }).await?;
    let request = Request::post(format!("/api/v1/lessons/{lesson}/whip/screen"))
        .header(CONTENT_TYPE, "application/sdp")
        .body(Bytes::from(offer.sdp.clone()))?;
    let reply = school.teacher.send(request).await?;
    ensure!(reply.status == StatusCode::CREATED, "WHIP: {} {:?}", reply.status, reply.body);
    let answer = String::from_utf8(reply.body.to_vec()).context("an SDP answer")?;
    desk.enter(async move { offer.answered(&answer, Some(spec)) }).await
}

fn spec((width, height): (u32, u32), fps: u32, kbps: u32) -> Spec {
    Spec { codec: Codec::H264, width, height, fps, kbps, gives_way: false }
}

/// Another picture from now on.
fn show(publisher: &Publisher, size: (u32, u32), fps: u32, kbps: u32) {
    publisher.show(spec(size, fps, kbps));
}

/// Shows what whoever publishes is asked for, as the teacher's page does: machines that receive
/// alone have a budget. Returns when the box serves so many of them alone, and has weighed what
/// they cost.
pub(crate) async fn follow(
    school: &School,
    lesson: &str,
    publisher: &Publisher,
    size: (u32, u32),
    alone: usize,
) -> Result<()> {
    let path = format!("/api/v1/lessons/{lesson}/stream");
    let stream = async || school.object(&path).await;
    let is_too_much = alone as u64 * u64::from(KBPS) * 1_000 > BUDGET_BPS;
    eventually("the box serves them alone", ASKED, async || {
        let egress = &stream().await?["egress"];
        ensure!(egress["machines"] == alone, "{egress}");
        ensure!(egress["is_lowered"] == is_too_much, "{egress}");
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

/// The same picture and sound as bare RTP, for peers that take nothing else. Ends when it is
/// dropped.
pub(crate) struct Feed {
    _picture: Encoder,
    _sound: Encoder,
    task: JoinHandle<Result<()>>,
}

/// Where a medium of a [`Feed`] goes, and its payload type.
pub(crate) type Line = (SocketAddr, u8);

impl Feed {
    pub(crate) async fn start(
        host: &Host,
        picture: Line,
        sound: Line,
        size: (u32, u32),
    ) -> Result<Self> {
        let (packets, encoded) = mpsc::channel(ENCODED);
        let socket = host.enter(UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))).await??;
        let task = host.runtime().spawn(send(socket, encoded, picture, sound));
        let spec = spec(size, FPS, KBPS);
        let picture = Encoder::video(spec, packets.clone());
        Ok(Self { _picture: picture, _sound: Encoder::sound(packets), task })
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn send(
    socket: UdpSocket,
    mut encoded: mpsc::Receiver<Encoded>,
    picture: Line,
    sound: Line,
) -> Result<()> {
    let mut sequences = [0_u16; 2];
    while let Some(Encoded { codec, marker, timestamp, payload }) = encoded.recv().await {
        let is_sound = codec == Codec::Opus;
        let (to, payload_type) = if is_sound { sound } else { picture };
        let sequence = &mut sequences[usize::from(is_sound)];
        *sequence = sequence.wrapping_add(1);
        let (sequence, ssrc) = (*sequence, u32::from(is_sound) + 1);
        let header = Header { marker, payload_type, sequence, timestamp, ssrc };
        let packet = [&header.to_bytes()[..], &payload].concat();
        socket.send_to(&packet, to).await?;
    }
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
