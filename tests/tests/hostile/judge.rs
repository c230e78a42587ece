//! What must have become of a lesson that somebody tried to forge.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, ensure};
use classroom::{
    air::Frame,
    film,
    school::{School, Seat},
    trace::Shown,
    traffic,
    until::eventually,
};
use serde_json::Value;

use crate::{FORGED, SECONDS, machine::Conduct};

/// RTP's clock, per frame of the film.
const FRAME: u64 = 3_000;

/// A stretch of the lesson, by `CLOCK_MONOTONIC`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Phase {
    pub(crate) conduct: Conduct,
    pub(crate) begun: Duration,
    pub(crate) ended: Duration,
}

/// How one machine went through one.
#[derive(Debug)]
pub(crate) struct Seen {
    what: String,
    missing: usize,
    sent: usize,
    p50: Duration,
    pub(crate) p95: Duration,
}

/// Looks at every frame that a machine showed of those that left the box in this phase.
pub(crate) fn phase(
    seat: &Seat,
    shown: &[Shown],
    aired: &BTreeMap<u32, Frame>,
    phase: &Phase,
) -> Result<Seen> {
    let what = format!("{} while it {:?}", seat.host.name(), phase.conduct);
    let begun = phase.begun;
    let since: Vec<_> = shown.iter().filter(|frame| frame.at >= begun).cloned().collect();
    judge_counters(&what, &since)?;
    #[expect(clippy::cast_possible_truncation, reason = "RTP's own 32 bits")]
    let shown: BTreeMap<u32, Duration> =
        shown.iter().map(|frame| (frame.rtp_time as u32, frame.at)).collect();
    let ended = phase.ended.saturating_sub(SECONDS(1));
    let left = |frame: &Frame| traffic::monotonic(frame.first_at);
    let within = aired.iter().filter(|(_, frame)| (begun..ended).contains(&left(frame)));
    let all: Vec<_> = within.map(|(time, frame)| (*time, left(frame))).collect();
    let mut waits: Vec<_> = all
        .iter()
        .filter_map(|(time, left)| Some(shown.get(time)?.saturating_sub(*left)))
        .collect();
    waits.sort();
    let at = |percent| waits.get(waits.len() * percent / 100).copied();
    let (p50, p95) = (at(50).context("frames")?, at(95).context("frames")?);
    let missing = all.len() - waits.len();
    println!(
        "{what}: {missing} of {} frames missing, shown {p50:.1?} after they left, p95 {p95:.1?}, \
         at most {:.1?}",
        all.len(),
        waits.last().copied().unwrap_or_default(),
    );
    Ok(Seen { what, missing, sent: all.len(), p50, p95 })
}

impl Seen {
    pub(crate) fn judge(&self, longest: Duration) -> Result<()> {
        let Self { what, missing, sent, p50, p95 } = self;
        ensure!(*sent >= 150, "{what}: {sent} frames were sent");
        ensure!(*missing == 0, "{what}: {missing} of {sent} frames are missing");
        ensure!(*p95 <= longest, "{what}: shown {p50:.1?} and {p95:.1?} after they left");
        Ok(())
    }
}

/// Each picture is one of the film, where it belongs: its counter goes with its RTP time.
fn judge_counters(what: &str, shown: &[Shown]) -> Result<()> {
    let counters: Vec<_> = shown
        .iter()
        .filter_map(|frame| Some((frame.rtp_time, u64::from(frame.counter?))))
        .collect();
    ensure!(
        counters.iter().all(|(_, counter)| *counter < u64::from(FORGED)),
        "{what}: a forged picture is shown"
    );
    ensure!(counters.len() == shown.len(), "{what}: a picture without its counter is shown");
    ensure!(
        shown.iter().all(|frame| {
            (usize::from(frame.width), usize::from(frame.height)) == (film::WIDTH, film::HEIGHT)
        }),
        "{what}: a picture of another size is shown"
    );
    let (first_time, first) = *counters.first().context("pictures")?;
    for (time, counter) in counters {
        let expected = first + (time - first_time + FRAME / 2) / FRAME;
        ensure!(
            counter.abs_diff(expected) <= 1,
            "{what}: picture {counter} is shown in the place of {expected}"
        );
    }
    ensure!(
        shown.windows(2).all(|pair| pair[0].rtp_time < pair[1].rtp_time),
        "{what}: it goes back in time"
    );
    Ok(())
}

/// The teacher is told that somebody forges, and every true machine is where it was.
pub(crate) async fn judge_told(school: &School, lesson: &str, seats: &[Seat]) -> Result<()> {
    let path = format!("/api/v1/lessons/{lesson}/stream");
    eventually("the teacher is told", SECONDS(10), async || {
        let stream = school.object(&path).await?;
        let machines = stream["machines"].as_array().context("machines")?;
        for seat in seats {
            let of = |machine: &&Value| machine["machine_id"] == seat.machine_id.as_str();
            let machine = machines.iter().find(of).context("the machine")?;
            let stands = machine["rung"] == "multicast" && machine["state"] == "receiving";
            ensure!(stands, "{machine}");
        }
        let refused = &stream["refused"];
        for kind in ["forged", "replayed", "by_machines"] {
            ensure!(refused[kind].as_u64() > Some(0), "{kind}: {refused}");
        }
        println!("the teacher is told: {refused}");
        Ok(())
    })
    .await
}
