//! How the machines of a lesson receive it, judged from what they report. Pure.
//!
//! A machine says its counters once a second. What matters is how they grow over the last seconds,
//! beside what was sent in that time: on a still screen nothing comes, and nothing is wrong. While
//! the teacher has the picture frozen or blank, no player shows what arrives: then it is enough
//! that it does.

use std::{collections::VecDeque, time::Duration};

use alfarid_protocol::{control::Report, grant::Picture};
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

    /// The picture is live again: that nothing was shown until now says nothing any more.
    pub(super) fn begin_anew(&mut self) {
        self.seen.drain(..self.seen.len().saturating_sub(1));
    }

    /// `sent_fps`: frames per second that go on air; `None` while nothing is. `picture`: what is to
    /// be seen of them.
    pub(super) fn judge(&self, now: Duration, sent_fps: Option<f32>, picture: Picture) -> Verdict {
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
        let is_live = picture == Picture::Live;
        let so_far = if is_live { last.frames_shown } else { last.frames_whole };
        match (is_judged, grown.whole, grown.shown) {
            (true, 0, _) if grown.received == 0 => {
                verdict(Reception::Stalled, Some(Cause::NoPackets))
            }
            (true, 0, _) => verdict(Reception::Stalled, Some(Cause::PacketsLost)),
            (true, _, 0) if is_live => verdict(Reception::Stalled, Some(Cause::PlayerStuck)),
            (false, _, _) if so_far == 0 => verdict(Reception::Waiting, None),
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
    fn reports(received: u64, lost: u64, whole: u64, shown: u64) -> Reports {
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
        reports
    }

    fn after(received: u64, lost: u64, whole: u64, shown: u64) -> Verdict {
        let reports = reports(received, lost, whole, shown);
        reports.judge(Duration::from_secs(5), Some(30.0), Picture::Live)
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
        let verdict = reports.judge(Duration::from_secs(5), Some(0.2), Picture::Live);
        assert_eq!((verdict.state, verdict.cause), (Reception::Receiving, None));
    }

    #[test]
    fn a_picture_that_the_teacher_keeps_from_being_shown_is_nobody_s_fault() {
        let of = |verdict: Verdict| (verdict.state, verdict.cause);
        for picture in [Picture::Frozen, Picture::Blank] {
            let now = Duration::from_secs(5);
            let judge = |reports: Reports| of(reports.judge(now, Some(30.0), picture));
            assert_eq!(judge(reports(400, 0, 30, 0)), (Reception::Receiving, None));
            let (no_packets, lost) = (reports(0, 0, 0, 0), reports(300, 100, 0, 0));
            assert_eq!(judge(no_packets), (Reception::Stalled, Some(Cause::NoPackets)));
            assert_eq!(judge(lost), (Reception::Stalled, Some(Cause::PacketsLost)));
        }
    }

    /// It began with the picture blank: there is nothing yet that could be seen.
    #[test]
    fn a_machine_waits_for_its_first_picture_whether_that_may_be_seen_or_not() {
        let mut reports = Reports::new(Duration::ZERO);
        let now = Duration::from_secs(1);
        let mut report = Report { player: true, ..Report::default() };
        reports.note(now, report.clone());
        assert_eq!(reports.judge(now, Some(30.0), Picture::Blank).state, Reception::Waiting);
        report.frames_whole = 1;
        reports.note(now, report);
        assert_eq!(reports.judge(now, Some(30.0), Picture::Blank).state, Reception::Receiving);
        assert_eq!(reports.judge(now, Some(30.0), Picture::Live).state, Reception::Waiting);
    }

    #[test]
    fn a_picture_that_is_live_again_has_its_time_to_be_shown() {
        let mut reports = reports(400, 0, 30, 0);
        for (at, report) in &mut reports.seen {
            // Shown for a while before it was frozen.
            report.frames_shown = 100;
            *at += Duration::from_secs(1);
        }
        reports.begin_anew();
        let mut newest = reports.seen.back().unwrap().1.clone();
        let mut state = |seconds, shown| {
            newest.frames_whole += 30;
            newest.frames_shown += shown;
            reports.note(Duration::from_secs(seconds), newest.clone());
            reports.judge(Duration::from_secs(seconds), Some(30.0), Picture::Live).cause
        };
        assert_eq!((state(7, 0), state(8, 0)), (None, None));
        assert_eq!(state(9, 0), Some(Cause::PlayerStuck), "it is not shown in truth");
        assert_eq!(state(10, 30), None);
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
            let verdict = reports.judge(Duration::from_secs(4), Some(30.0), Picture::Live);
            assert!((0.0..=1.0).contains(&verdict.lost_ratio), "{verdict:?}");
            assert!(verdict.fps.is_finite() && verdict.fps >= 0.0, "{verdict:?}");
        }
    }

    #[test]
    fn a_machine_without_a_player_and_one_that_fell_silent_are_told_apart() {
        let mut reports = Reports::new(Duration::ZERO);
        reports.note(Duration::from_secs(1), Report::default());
        let at = |seconds| reports.judge(Duration::from_secs(seconds), Some(30.0), Picture::Live);
        assert_eq!(at(2).state, Reception::NoPlayer);
        assert_eq!(at(7).cause, Some(Cause::NoReports));
        let nothing_on_air = reports.judge(Duration::from_secs(7), None, Picture::Live);
        assert_eq!(nothing_on_air.state, Reception::Waiting);
    }
}
