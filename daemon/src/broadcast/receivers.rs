//! How the machines of a lesson receive it, judged from what they report. Pure.
//!
//! A machine says its counters once a second. What matters is how they grow over the last seconds,
//! beside what was sent in that time: on a still screen nothing comes, and nothing is wrong.

use std::{collections::VecDeque, time::Duration};

use alfarid_protocol::control::Report;
use serde::Serialize;
use utoipa::ToSchema;

/// Reports that are looked at: the last five seconds.
const WINDOW: usize = 6;

/// Two reports missing are chance; more are a machine in trouble.
const SILENT: Duration = Duration::from_secs(5);

/// How much must be known before anything is called wrong.
const GRACE: Duration = Duration::from_secs(3);

/// The share of lost packets from which people see it.
const HEAVY_LOSS: f32 = 0.02;

/// How a machine receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reception {
    Receiving,
    /// Nothing is on air, or it has only just been told how to receive.
    Waiting,
    /// Receives, but nobody can see it: no player is attached.
    NoPlayer,
    Stalled,
    /// Not connected.
    Off,
}

/// Why it is not as it should be; translated by the pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Packets are sent and none arrive: a switch or a firewall keeps multicast away.
    NoPackets,
    /// Packets get lost on the way.
    PacketsLost,
    /// Whole pictures arrive and none is shown.
    PlayerStuck,
    /// The machine has stopped reporting.
    NoReports,
    /// The box may not send on the network that this machine is in.
    NoInterface,
}

/// The verdict on one machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Verdict {
    pub(super) state: Reception,
    pub(super) cause: Option<Cause>,
    pub(super) fps: f32,
    pub(super) lost_ratio: f32,
}

/// What is known of one machine since its last grant.
#[derive(Clone, Debug)]
pub(super) struct Reports {
    since: Duration,
    seen: VecDeque<(Duration, Report)>,
}

impl Reports {
    pub(super) fn new(now: Duration) -> Self {
        Self { since: now, seen: VecDeque::with_capacity(WINDOW) }
    }

    pub(super) fn note(&mut self, now: Duration, report: Report) {
        if self.seen.len() == WINDOW {
            self.seen.pop_front();
        }
        self.seen.push_back((now, report));
    }

    /// `sent_fps`: frames per second that go on air; `None` while nothing is.
    pub(super) fn judge(&self, now: Duration, sent_fps: Option<f32>) -> Verdict {
        let quiet = |state, cause| Verdict { state, cause, fps: 0.0, lost_ratio: 0.0 };
        let Some(sent_fps) = sent_fps else { return quiet(Reception::Waiting, None) };
        let heard = self.seen.back().map_or(self.since, |(at, _)| *at);
        if now.saturating_sub(heard) >= SILENT {
            return quiet(Reception::Stalled, Some(Cause::NoReports));
        }
        let (Some((from, first)), Some((to, last))) = (self.seen.front(), self.seen.back()) else {
            return quiet(Reception::Waiting, None);
        };
        let grown = Growth::between(first, last, to.saturating_sub(*from));
        let verdict = |state, cause| Verdict {
            state,
            cause,
            fps: grown.shown_fps,
            lost_ratio: grown.lost_ratio,
        };
        if !last.player {
            return verdict(Reception::NoPlayer, None);
        }
        // Less than a frame in the window would be chance.
        let is_judged = grown.span >= GRACE && sent_fps * grown.span.as_secs_f32() >= 2.0;
        let lossy = grown.lost_ratio > HEAVY_LOSS;
        match (is_judged, grown.whole, grown.shown) {
            (true, 0, _) if grown.received == 0 => {
                verdict(Reception::Stalled, Some(Cause::NoPackets))
            }
            (true, 0, _) => verdict(Reception::Stalled, Some(Cause::PacketsLost)),
            (true, _, 0) => verdict(Reception::Stalled, Some(Cause::PlayerStuck)),
            (false, _, _) if last.frames_shown == 0 => verdict(Reception::Waiting, None),
            _ => verdict(Reception::Receiving, lossy.then_some(Cause::PacketsLost)),
        }
    }
}

/// How counters grew. A counter that went back (the agent started over) has not grown. They are a
/// machine's own words: any number may stand there.
struct Growth {
    span: Duration,
    received: u64,
    whole: u64,
    shown: u64,
    shown_fps: f32,
    lost_ratio: f32,
}

impl Growth {
    #[expect(clippy::cast_precision_loss, reason = "differences over seconds")]
    fn between(first: &Report, newest: &Report, span: Duration) -> Self {
        let received = newest.packets_received.saturating_sub(first.packets_received);
        let lost = newest.packets_lost.saturating_sub(first.packets_lost);
        let shown = newest.frames_shown.saturating_sub(first.frames_shown);
        Self {
            span,
            received,
            whole: newest.frames_whole.saturating_sub(first.frames_whole),
            shown,
            shown_fps: if span.is_zero() { 0.0 } else { shown as f32 / span.as_secs_f32() },
            lost_ratio: lost as f32 / received.saturating_add(lost).max(1) as f32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Five seconds of reports that grow by these a second.
    fn after(received: u64, lost: u64, whole: u64, shown: u64) -> Verdict {
        let mut reports = Reports::new(Duration::ZERO);
        for n in 0..=5 {
            let report = Report {
                packets_received: received * n,
                packets_lost: lost * n,
                frames_whole: whole * n,
                frames_shown: shown * n,
                player: true,
                ..Report::default()
            };
            reports.note(Duration::from_secs(n), report);
        }
        reports.judge(Duration::from_secs(5), Some(30.0))
    }

    #[test]
    fn all_is_well() {
        let verdict = after(400, 0, 30, 30);
        assert_eq!((verdict.state, verdict.cause), (Reception::Receiving, None));
        assert!((verdict.fps - 30.0).abs() < 0.1);
    }

    #[test]
    fn what_is_wrong_has_its_own_name() {
        let of = |verdict: Verdict| (verdict.state, verdict.cause);
        assert_eq!(of(after(0, 0, 0, 0)), (Reception::Stalled, Some(Cause::NoPackets)));
        assert_eq!(of(after(300, 100, 0, 0)), (Reception::Stalled, Some(Cause::PacketsLost)));
        assert_eq!(of(after(400, 0, 30, 0)), (Reception::Stalled, Some(Cause::PlayerStuck)));
        assert_eq!(of(after(380, 20, 20, 20)), (Reception::Receiving, Some(Cause::PacketsLost)));
    }

    #[test]
    fn a_still_screen_is_not_a_stall() {
        let mut reports = Reports::new(Duration::ZERO);
        for n in 0..=5 {
            let report = Report { frames_shown: 7, player: true, ..Report::default() };
            reports.note(Duration::from_secs(n), report);
        }
        let verdict = reports.judge(Duration::from_secs(5), Some(0.2));
        assert_eq!((verdict.state, verdict.cause), (Reception::Receiving, None));
    }

    #[test]
    fn whatever_a_machine_counts_its_loss_is_a_share() {
        let most = Report {
            packets_received: u64::MAX,
            packets_lost: u64::MAX,
            frames_whole: u64::MAX,
            frames_shown: u64::MAX,
            player: true,
            ..Report::default()
        };
        for (first, last) in [(Report::default(), most.clone()), (most, Report::default())] {
            let mut reports = Reports::new(Duration::ZERO);
            reports.note(Duration::ZERO, first);
            reports.note(Duration::from_secs(4), last);
            let verdict = reports.judge(Duration::from_secs(4), Some(30.0));
            assert!((0.0..=1.0).contains(&verdict.lost_ratio), "{verdict:?}");
            assert!(verdict.fps.is_finite() && verdict.fps >= 0.0, "{verdict:?}");
        }
    }

    #[test]
    fn a_machine_without_a_player_and_one_that_fell_silent_are_told_apart() {
        let mut reports = Reports::new(Duration::ZERO);
        reports.note(Duration::from_secs(1), Report::default());
        let at = |seconds| reports.judge(Duration::from_secs(seconds), Some(30.0));
        assert_eq!(at(2).state, Reception::NoPlayer);
        assert_eq!(at(7).cause, Some(Cause::NoReports));
        assert_eq!(reports.judge(Duration::from_secs(7), None).state, Reception::Waiting);
    }
}
