//! When a session counts as in use, and what is written down about it. Pure: time is handed in.
//!
//! ```text
//!            in use                          each minute: Until
//!   closed ─────────▶ open(span) ──┐◀─────────────────────────┘
//!      ▲    Opened       │         │
//!      │                 │         │ nothing observed for a while (suspend, SIGSTOP):
//!      └─────────────────┴─────────┘ Closed at the last moment observed
//!          not in use: Closed
//! ```
//!
//! A span never covers time that nobody observed: what was slept through is not presence.

use std::time::Duration;

use alfarid_protocol::{
    id::SpanId,
    span::{Mark, MarkKind, Moment},
};

use super::Seat;

/// A session without a key press for this long is not in use.
pub const IDLE_AFTER: Duration = Duration::from_mins(10);

/// A pause in observing longer than this splits a span. Observing happens each second.
const UNOBSERVED_MS: u64 = 30_000;

/// Whether the session is in use: somebody's is in front, neither locked nor idle for long. A
/// student who has closed the lesson's window is no less there; where nobody can say whose session
/// it is, the attached player of `player` stands for it. `now` is `CLOCK_MONOTONIC`, as logind's
/// idle times are.
pub fn in_use(player: Option<u32>, seat: &Seat, now: Duration) -> bool {
    let idle = seat.idle_since.is_some_and(|since| now.saturating_sub(since) >= IDLE_AFTER);
    let is_somebodys = seat.user.is_some() && (seat.is_known || player == seat.user);
    is_somebodys && !seat.locked && !idle
}

/// A mark that has no number yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draft {
    pub span: SpanId,
    pub at: Moment,
    pub kind: MarkKind,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    span: SpanId,
    marked: Moment,
    observed: Moment,
}

/// The presence of whoever sits at this machine.
#[derive(Debug)]
pub struct Presence {
    checkpoint_ms: u64,
    open: Option<Open>,
}

impl Presence {
    /// Nobody is here yet; an open span gets an `Until` every `checkpoint`.
    pub fn new(checkpoint: Duration) -> Self {
        let checkpoint_ms = u64::try_from(checkpoint.as_millis()).unwrap_or(u64::MAX);
        Self { checkpoint_ms, open: None }
    }

    /// What is to be written down when the session is (or is not) in use at `now`.
    pub fn observe(
        &mut self,
        now: Moment,
        in_use: bool,
        new_span: impl FnOnce() -> SpanId,
    ) -> Vec<Draft> {
        let mut drafts = Vec::new();
        if self.open.is_some_and(|open| gap(open.observed, now) > UNOBSERVED_MS) {
            drafts.extend(self.close_when_last_observed());
        }
        match &mut self.open {
            None if in_use => {
                let span = new_span();
                self.open = Some(Open { span, marked: now, observed: now });
                drafts.push(Draft { span, at: now, kind: MarkKind::Opened });
            }
            None => {}
            Some(open) if in_use => {
                open.observed = now;
                if gap(open.marked, now) >= self.checkpoint_ms {
                    open.marked = now;
                    drafts.push(Draft { span: open.span, at: now, kind: MarkKind::Until });
                }
            }
            Some(open) => {
                drafts.push(Draft { span: open.span, at: now, kind: MarkKind::Closed });
                self.open = None;
            }
        }
        drafts
    }

    /// The agent ends: so does the span.
    pub fn end(&mut self, now: Moment) -> Vec<Draft> {
        self.observe(now, false, || SpanId(uuid::Uuid::nil()))
    }

    fn close_when_last_observed(&mut self) -> Option<Draft> {
        let open = self.open.take()?;
        Some(Draft { span: open.span, at: open.observed, kind: MarkKind::Closed })
    }
}

/// Milliseconds between two moments of one boot. An agent does not live through a reboot.
fn gap(from: Moment, to: Moment) -> u64 {
    to.monotonic_ms.saturating_sub(from.monotonic_ms)
}

/// Closes the span that a killed agent left open, at the last moment it wrote down.
pub fn close_left_open(last: &Mark) -> Option<Draft> {
    match last.kind {
        MarkKind::Opened | MarkKind::Until => {
            Some(Draft { span: last.span, at: last.at, kind: MarkKind::Closed })
        }
        MarkKind::Closed => None,
    }
}

#[cfg(test)]
mod tests {
    use MarkKind::{Closed, Opened, Until};

    use super::*;
    use crate::clock::boot;

    const MINUTE: Duration = Duration::from_mins(1);

    fn at(seconds: u64) -> Moment {
        Moment { boot: boot(1), monotonic_ms: seconds * 1000 }
    }

    fn span(n: u128) -> SpanId {
        SpanId(uuid::Uuid::from_u128(n))
    }

    /// Observes each second and gives what was written down, as (second, kind, span).
    fn watch(
        presence: &mut Presence,
        seconds: std::ops::Range<u64>,
        in_use: bool,
    ) -> Vec<(u64, MarkKind, SpanId)> {
        seconds
            .flat_map(|second| presence.observe(at(second), in_use, || span(second.into())))
            .map(|draft| (draft.at.monotonic_ms / 1000, draft.kind, draft.span))
            .collect()
    }

    #[test]
    fn a_span_has_a_beginning_checkpoints_and_an_end() {
        let mut presence = Presence::new(MINUTE);
        assert_eq!(watch(&mut presence, 0..5, false), []);
        assert_eq!(
            watch(&mut presence, 5..130, true),
            [(5, Opened, span(5)), (65, Until, span(5)), (125, Until, span(5))]
        );
        assert_eq!(watch(&mut presence, 130..140, false), [(130, Closed, span(5))]);
    }

    #[test]
    fn time_slept_through_is_not_presence() {
        let mut presence = Presence::new(MINUTE);
        watch(&mut presence, 0..10, true);
        assert_eq!(
            watch(&mut presence, 4000..4001, true),
            [(9, Closed, span(0)), (4000, Opened, span(4000))]
        );
        assert_eq!(watch(&mut presence, 9000..9001, false), [(4000, Closed, span(4000))]);
    }

    #[test]
    fn the_end_of_the_agent_is_the_end_of_the_span() {
        let mut presence = Presence::new(MINUTE);
        watch(&mut presence, 0..3, true);
        let drafts = presence.end(at(3));
        assert_eq!(drafts, [Draft { span: span(0), at: at(3), kind: Closed }]);
        assert_eq!(presence.end(at(4)), []);
    }

    const NOW: Duration = Duration::from_hours(2);
    const KNOWN: Seat = Seat { user: Some(1000), is_known: true, locked: false, idle_since: None };

    #[test]
    fn a_session_is_in_use_with_or_without_the_lessons_window() {
        for player in [Some(1000), None] {
            assert!(in_use(player, &KNOWN, NOW));
            assert!(!in_use(player, &Seat { user: None, ..KNOWN }, NOW), "a login screen");
            assert!(!in_use(player, &Seat { locked: true, ..KNOWN }, NOW));
            let idle = |minutes| Seat { idle_since: NOW.checked_sub(MINUTE * minutes), ..KNOWN };
            assert!(in_use(player, &idle(9), NOW));
            assert!(!in_use(player, &idle(10), NOW));
        }
    }

    #[test]
    fn where_no_session_is_known_the_player_stands_for_it() {
        let guessed = Seat { is_known: false, ..KNOWN };
        assert!(in_use(Some(1000), &guessed, NOW));
        assert!(!in_use(None, &guessed, NOW), "no player");
        assert!(!in_use(Some(1001), &guessed, NOW), "another user's");
    }
}
