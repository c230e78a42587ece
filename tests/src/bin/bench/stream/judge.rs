//! Whether pictures were shown right and in time.

use std::{collections::HashMap, ops::Range, time::Duration};

use super::{crowd::Outcome, witness::Picture};
use crate::report::percentile;

/// Of all machines of a run together.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shown {
    /// Pictures times machines.
    pub(super) pictures: usize,
    /// Of these, not whole or not verified at the time when they were due.
    pub(super) broken: usize,
}

impl Shown {
    /// Adds one machine: when each picture was whole there, by its RTP time.
    pub(super) fn add(&mut self, pictures: &[Picture], whole: &HashMap<u32, Duration>) {
        self.pictures += pictures.len();
        let is_right =
            |picture: &&Picture| whole.get(&picture.rtp_time).is_some_and(|at| *at <= picture.due);
        self.broken += pictures.len() - pictures.iter().filter(is_right).count();
    }

    pub(super) fn of(outcome: &Outcome, pictures: &[Picture]) -> Self {
        let mut shown = Self::default();
        for machine in &outcome.machines {
            shown.add(pictures, &machine.pictures);
        }
        shown
    }

    /// The share that was not shown right.
    pub(super) fn undecodable(self) -> f64 {
        ratio(self.broken, self.pictures)
    }
}

/// Pictures in a row of which each was broken somewhere.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stumble {
    /// When the first was on air.
    pub(super) at: Duration,
    pub(super) pictures: usize,
    /// Of all machines together.
    pub(super) broken: usize,
    /// Of these, those that came at last, and the most that one was late.
    pub(super) late: usize,
    pub(super) latest: Duration,
}

/// In their order.
pub(super) fn stumbles(outcome: &Outcome, pictures: &[Picture]) -> Vec<Stumble> {
    let broken = pictures.iter().map(|picture| {
        let came = outcome.machines.iter().map(|machine| machine.pictures.get(&picture.rtp_time));
        let broken = came.filter(|came| came.is_none_or(|at| *at > picture.due));
        (picture, broken.map(|came| Some(came?.saturating_sub(picture.due))).collect::<Vec<_>>())
    });
    let broken: Vec<_> = broken.collect();
    let rows = broken.chunk_by(|(_, one), (_, next)| one.is_empty() == next.is_empty());
    let stumbles = rows.filter(|row| !row[0].1.is_empty()).map(|row| {
        let all: Vec<_> = row.iter().flat_map(|(_, broken)| broken).collect();
        let late: Vec<_> = all.iter().copied().flatten().collect();
        Stumble {
            at: row[0].0.at,
            pictures: row.len(),
            broken: all.len(),
            late: late.len(),
            latest: late.into_iter().max().copied().unwrap_or_default(),
        }
    });
    stumbles.collect()
}

/// The 95th percentile, in milliseconds, of the delay that repair added to packets brought back
/// between these times.
pub(super) fn repair_p95_ms(outcome: &Outcome, from: Duration, until: Duration) -> f64 {
    let repairs = outcome.machines.iter().flat_map(|machine| &machine.repairs);
    percentile_ms(repairs, from..until, 0.95)
}

/// The 99th percentile, in milliseconds, of how late between these times the box heard machines
/// because the harness was behind.
pub(super) fn behind_p99_ms(outcome: &Outcome, from: Duration, until: Duration) -> f64 {
    percentile_ms(&outcome.behind, from..until, 0.99)
}

/// Of delays, each with its time.
fn percentile_ms<'a>(
    delays: impl IntoIterator<Item = &'a (Duration, Duration)>,
    span: Range<Duration>,
    share: f64,
) -> f64 {
    let within = delays.into_iter().filter(|(at, _)| span.contains(at));
    let mut delays: Vec<f64> = within.map(|(_, delay)| delay.as_secs_f64() * 1e3).collect();
    percentile(&mut delays, share)
}

#[expect(clippy::cast_precision_loss, reason = "counts of one run")]
pub(super) fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(rtp_time: u32) -> Picture {
        let due = Duration::from_millis(u64::from(rtp_time));
        Picture { rtp_time, at: Duration::ZERO, due, is_keyframe: false }
    }

    #[test]
    fn a_picture_that_is_late_or_never_there_is_not_shown_right() {
        let pictures = [picture(100), picture(200), picture(300), picture(400)];
        let at = |ms| Duration::from_millis(ms);
        let whole = HashMap::from([(100, at(100)), (200, at(201)), (300, at(5))]);
        let mut shown = Shown::default();

        shown.add(&pictures, &whole);

        assert_eq!((shown.pictures, shown.broken), (4, 2));
        assert!((shown.undecodable() - 0.5).abs() < 1e-9);
    }
}
