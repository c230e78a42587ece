//! One machine in a lesson at 1080p30: what it takes, beside GStreamer's own player of the same
//! stream, and how soon it is in.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use classroom::{
    air::OnAir,
    school::{Options, School, Seat},
    trace::Trace,
};

use super::{
    now, peer, school, small_lesson,
    source::{self, Rates},
};
use crate::{
    report::{Report, Worst, percentile},
    usage,
};

const HD: (u32, u32) = (1920, 1080);
const WINDOW: Duration = Duration::from_secs(20);
pub(super) const LIMIT: Duration = Duration::from_mins(1);
const SETTLED: Duration = Duration::from_secs(1);
const JOINS: usize = 30;
/// In pictures, between two joins: a machine gets one keyframe for joining in ten seconds. How one
/// that joins sooner again catches up without is not measured.
const SHORTEST: u32 = 300;
/// And at most as many more: the longest stretch without a keyframe.
const SPREAD: u32 = 120;
const JOIN: Duration = Duration::from_secs(20);

pub(super) async fn measure(report: &mut Report, rates: &mut Rates) -> Result<()> {
    beside_gstreamer(report, rates).await?;
    let (p95, about) = join_p95_ms().await?;
    report.figure("join_p95_ms", p95, Worst::AtMost(1000.0), about);
    Ok(())
}

/// The 95th percentile of joining in milliseconds, and what it is of.
pub(crate) async fn join_p95_ms() -> Result<(f64, String)> {
    let school = school(1, &Options::default()).await?;
    let lesson = small_lesson(&school).await?;
    let _publisher = source::on_air(&school, &lesson, HD).await?;
    let seat = school.seats.first().context("a seat")?;
    let trace = Trace::at(seat.trace_path());
    trace.wait_for_more(30, LIMIT).await?;
    let mut times = joins(&school, seat, &trace).await?;
    school.end_lesson(&lesson).await?;
    school.classroom.close()?;
    let median = percentile(&mut times, 0.5);
    let p95 = percentile(&mut times, 0.95);
    let about = format!(
        "{JOINS} joins, the agent started anew 10 to 14 s after the last, the player already up; \
         median {median:.0}"
    );
    Ok((p95, about))
}

/// Neither writes pictures down: that would cost more than to decode them. Each is on a machine of
/// its own.
async fn beside_gstreamer(report: &mut Report, rates: &mut Rates) -> Result<()> {
    let options = Options { without_traces: true, ..Options::default() };
    let school = school(2, &options).await?;
    let lesson = small_lesson(&school).await?;
    let _publisher = source::on_air(&school, &lesson, HD).await?;
    let [seat, other] = &school.seats[..] else { bail!("two seats") };
    let player = seat.player.as_ref().context("a player")?;
    player.wait_for_line(is_on_show, LIMIT).await?;
    other.player.as_ref().context("a player")?.kill().await?;
    let grant = peer::granted(&school, other).await?;
    let peer = other.host.spawn("gst-launch", peer::player(&grant)?)?;
    let before = (usage::cpu(player)? + usage::cpu(&seat.agent)?, usage::cpu(&peer)?);
    let on_air = OnAir::watch(school.classroom.the_box())?;
    on_air.wait_for(WINDOW, LIMIT).await?;
    let ours = (usage::cpu(player)? + usage::cpu(&seat.agent)?).saturating_sub(before.0);
    let theirs = usage::cpu(&peer)?.saturating_sub(before.1);
    peer.kill().await?;
    rates.judge("1080p, two decoders", &on_air)?;
    let about = format!("{ours:?} over {theirs:?} of gst-launch-1.0, same stream, same 20 s");
    let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
    report.figure("player_cpu_ratio", ratio, Worst::AtMost(1.2), about);
    let (agent, player) = (usage::rss_mb(&seat.agent)?, usage::rss_mb(player)?);
    report.figure("agent_rss_mb", agent, Worst::AtMost(15.0), "the service, in a lesson");
    report.figure("player_rss_mb", player, Worst::AtMost(150.0), "the player at 1080p30");
    school.end_lesson(&lesson).await?;
    school.classroom.close()
}

/// Whether a player that counts says that it shows more than a first picture.
fn is_on_show(line: &str) -> bool {
    line.strip_prefix("shown ").and_then(|count| count.parse().ok()).is_some_and(|n: u64| n >= 30)
}

/// A machine whose service starts in mid-lesson, at a random time: anywhere between two keyframes,
/// which come four seconds apart at most. It has joined when it shows a picture that left the box
/// after its start: neither one still on its way, nor a kept one.
async fn joins(school: &School, seat: &Seat, trace: &Trace) -> Result<Vec<f64>> {
    let on_air = OnAir::watch(school.classroom.the_box())?;
    on_air.wait_for(SETTLED, LIMIT).await?;
    let mut times = Vec::new();
    for pause in Pauses::new().take(JOINS) {
        trace.wait_for_more(pause, JOIN).await?;
        // Its end is no part of joining.
        seat.agent.kill().await?;
        let begun = now();
        let newest = on_air.newest().context("a picture on the air")?;
        seat.agent.restart().await?;
        let shown = trace.wait_for(|shown| is_later(shown.rtp_time, newest), JOIN).await?;
        times.push(shown.at.saturating_sub(begun).as_secs_f64() * 1e3);
    }
    Ok(times)
}

/// How many pictures pass between two joins, at random, the same in every run (xorshift, by
/// Marsaglia's "Xorshift RNGs", §4).
struct Pauses(u32);

impl Pauses {
    fn new() -> Self {
        Self(2_463_534_242)
    }
}

impl Iterator for Pauses {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        usize::try_from(SHORTEST + self.0 % SPREAD).ok()
    }
}

/// Whether a picture was made after another one, by their RTP times (RFC 1982).
#[expect(clippy::cast_possible_truncation, reason = "RTP's own 32 bits")]
fn is_later(rtp_time: u64, than: u32) -> bool {
    let ahead = (rtp_time as u32).wrapping_sub(than);
    (1..1 << 31).contains(&ahead)
}
