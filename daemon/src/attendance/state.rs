//! The rules of attendance, with no clock and no disk: what marks say of a span, what spans say
//! of a student, what a student's presence is called.
//!
//! A span is heard of in marks that may come twice, late, or in another order than they were
//! made. [`MachineSpan::hear`] takes the smallest beginning and the largest end that any of them
//! names, so that neither repetition nor order changes what comes out.

use alfarid_protocol::{
    id::{BootId, MachineId, SpanId, StudentId},
    span::{Mark, MarkKind},
    time::Timestamp,
};

use super::{
    Source, Status, Thresholds,
    span::{Span, union},
};

/// One stretch of use of a machine, in the machine's own time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MachineSpan {
    pub id: SpanId,
    pub boot: BootId,
    pub from_ms: i64,
    /// Seen in use up to here.
    pub until_ms: i64,
    pub is_open: bool,
    /// The newest mark that spoke of it.
    pub last_seq: i64,
}

impl MachineSpan {
    /// What a first mark says, whichever it is: one whose `Opened` was lost begins where it is
    /// first heard of.
    pub(super) fn first(mark: &Mark) -> Self {
        let at = integer(mark.at.monotonic_ms);
        Self {
            id: mark.span,
            boot: mark.at.boot,
            from_ms: at,
            until_ms: at,
            is_open: mark.kind != MarkKind::Closed,
            last_seq: integer(mark.seq),
        }
    }

    /// Takes in a further mark of the same span.
    pub(super) fn hear(&mut self, mark: &Mark) {
        let at = integer(mark.at.monotonic_ms);
        self.from_ms = self.from_ms.min(at);
        self.until_ms = self.until_ms.max(at);
        self.is_open &= mark.kind != MarkKind::Closed;
        self.last_seq = self.last_seq.max(integer(mark.seq));
    }
}

/// The database's integers are signed; nothing a machine counts comes near.
pub(super) fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// That moment of a machine's boot was this box time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exchange {
    pub monotonic_ms: i64,
    pub box_time: Timestamp,
}

/// An exchange this long after the last stored one is stored.
const STORE_EVERY_MS: i64 = 60_000;

/// One that says something else than the last stored one by more than this is stored at once. A
/// network's delay says less than this.
const STORE_CHANGE_MS: i64 = 200;

impl Exchange {
    /// Box time at another moment of the same boot.
    pub(super) fn box_time_at(self, monotonic_ms: i64) -> Timestamp {
        self.box_time.plus_millis(monotonic_ms.saturating_sub(self.monotonic_ms))
    }

    /// The same pair of clocks so much later.
    pub(super) fn later(self, by_ms: i64) -> Self {
        Self {
            monotonic_ms: self.monotonic_ms.saturating_add(by_ms),
            box_time: self.box_time.plus_millis(by_ms),
        }
    }

    /// The same moment of the machine after box time was corrected.
    pub(super) fn moved(self, by_ms: i64) -> Self {
        Self { box_time: self.box_time.plus_millis(by_ms), ..self }
    }

    /// Whether this one is worth keeping when `stored` is the last that was kept.
    pub(super) fn is_news(self, stored: Option<Self>) -> bool {
        stored.is_none_or(|stored| {
            let change = self.box_time.millis_since(stored.box_time_at(self.monotonic_ms));
            self.monotonic_ms.saturating_sub(stored.monotonic_ms) >= STORE_EVERY_MS
                || change.saturating_abs() > STORE_CHANGE_MS
        })
    }

    /// Box time of a moment by the nearer of its neighbours, the earlier one when they are as
    /// near as each other; `None` when its boot was never heard of: nobody can say when it was.
    pub(super) fn convert(
        before: Option<Self>,
        after: Option<Self>,
        monotonic_ms: i64,
    ) -> Option<Timestamp> {
        let nearer = match (before, after) {
            (Some(before), Some(after)) => {
                let since = monotonic_ms.saturating_sub(before.monotonic_ms);
                let until = after.monotonic_ms.saturating_sub(monotonic_ms);
                if since <= until { before } else { after }
            }
            (one, None) | (None, one) => one?,
        };
        Some(nearer.box_time_at(monotonic_ms))
    }
}

/// When a lesson is, as attendance sees it.
#[expect(clippy::struct_field_names, reason = "times are called `_at` everywhere")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub start_at: Timestamp,
    pub planned_end_at: Timestamp,
    /// `None` while it runs.
    pub end_at: Option<Timestamp>,
}

impl Window {
    fn span(self) -> Span {
        Span::new(self.start_at, self.end_at)
    }

    /// Where a student may leave without leaving early: nobody owes a lesson more than its plan.
    fn due_end(self, end_at: Timestamp) -> Timestamp {
        end_at.min(self.planned_end_at.max(self.start_at))
    }
}

/// A student at a machine, from when to when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seating {
    pub student: StudentId,
    pub machine: MachineId,
    pub span: Span,
}

/// A student's presence in one lesson.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Presence {
    /// Apart and in order, all within the lesson.
    pub spans: Vec<Span>,
    /// What goes on of it; `None`: nothing does.
    pub by: Option<Source>,
}

impl Presence {
    /// What `student` was there for: the use of the machines they sat at while they sat there,
    /// and their own pages, each moment once, within the lesson.
    pub(super) fn of(
        student: StudentId,
        window: Window,
        seatings: &[Seating],
        used: impl Fn(MachineId) -> Vec<Span>,
        pages: impl Iterator<Item = Span>,
    ) -> Self {
        let at_machines = seatings.iter().filter(|s| s.student == student).flat_map(|seating| {
            used(seating.machine).into_iter().filter_map(|span| span.clip(seating.span))
        });
        let within = |span: Span| span.clip(window.span());
        let mut spans: Vec<_> = at_machines.filter_map(within).collect();
        let pages: Vec<_> = pages.filter_map(within).collect();
        let goes_on = |spans: &[Span]| spans.iter().any(|span| span.to_at.is_none());
        let by_page = goes_on(&pages).then_some(Source::Page);
        let by = if goes_on(&spans) { Some(Source::Machine) } else { by_page };
        spans.extend(pages);
        Self { spans: union(spans), by }
    }

    pub(super) fn joined_at(&self) -> Option<Timestamp> {
        self.spans.first().map(|span| span.from_at)
    }

    /// `None` for whoever never came, or is here.
    pub(super) fn left_at(&self) -> Option<Timestamp> {
        self.spans.last().and_then(|span| span.to_at)
    }

    pub(super) fn is_here(&self) -> bool {
        self.by.is_some()
    }

    pub(super) fn millis(&self, now: Timestamp) -> i64 {
        self.spans.iter().map(|span| span.millis(now)).sum()
    }

    /// What it is called. While the lesson runs nobody has left early yet, and whoever came is
    /// not absent for having just come.
    pub(super) fn status(&self, window: Window, thresholds: Thresholds) -> Status {
        let Some(joined_at) = self.joined_at() else { return Status::Absent };
        let late = joined_at.millis_since(window.start_at) > minutes(thresholds.late_after_minutes);
        let Some(end_at) = window.end_at else {
            return if late { Status::Late } else { Status::Present };
        };
        let due_end = window.due_end(end_at);
        let left_at = self.left_at().unwrap_or(end_at);
        let early = due_end.millis_since(left_at) > minutes(thresholds.left_early_before_minutes);
        if self.ratio(due_end.millis_since(window.start_at), end_at)
            < thresholds.present_minimum_ratio
        {
            Status::Absent
        } else if late {
            Status::Late
        } else if early {
            Status::LeftEarly
        } else {
            Status::Present
        }
    }

    /// The part of the lesson that they were there for, 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a lesson fit in 52 bits")]
    fn ratio(&self, length_ms: i64, end_at: Timestamp) -> f64 {
        (self.millis(end_at) as f64 / length_ms.max(1) as f64).min(1.0)
    }
}

fn minutes(minutes: u32) -> i64 {
    i64::from(minutes) * 60_000
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::Clock;

    const MINUTE: i64 = 60_000;
    const THRESHOLDS: Thresholds = Thresholds {
        late_after_minutes: 5,
        left_early_before_minutes: 5,
        present_minimum_ratio: 0.5,
    };

    /// A lesson of 45 minutes from 0 that ended after `ran` minutes.
    fn window(ran: Option<i64>) -> Window {
        Window {
            start_at: Timestamp(0),
            planned_end_at: Timestamp(45 * MINUTE),
            end_at: ran.map(|ran| Timestamp(ran * MINUTE)),
        }
    }

    fn there(spans: &[(i64, Option<i64>)]) -> Presence {
        let span = |(from, to): &(i64, Option<i64>)| {
            Span::new(Timestamp(from * MINUTE), to.map(|to| Timestamp(to * MINUTE)))
        };
        Presence { spans: spans.iter().map(span).collect(), by: None }
    }

    #[track_caller]
    fn check(ran: Option<i64>, spans: &[(i64, Option<i64>)], status: Status) {
        assert_eq!(there(spans).status(window(ran), THRESHOLDS), status);
    }

    #[test]
    fn presence_is_called_by_its_thresholds() {
        check(Some(45), &[(0, Some(45))], Status::Present);
        check(Some(45), &[(5, Some(40))], Status::Present);
        check(Some(45), &[(6, Some(45))], Status::Late);
        check(Some(45), &[(0, Some(39))], Status::LeftEarly);
        check(Some(45), &[(6, Some(39))], Status::Late);
        check(Some(45), &[(0, Some(20))], Status::Absent);
        check(Some(45), &[(0, Some(12)), (30, Some(45))], Status::Present);
        check(Some(45), &[], Status::Absent);
    }

    #[test]
    fn nobody_owes_a_lesson_more_than_its_plan() {
        // It was left running for hours: whoever stayed to the planned end was present.
        check(Some(300), &[(0, Some(45))], Status::Present);
        // It was ended early: whoever stayed to that end was present.
        check(Some(20), &[(0, Some(20))], Status::Present);
    }

    #[test]
    fn while_it_runs_whoever_came_is_there() {
        check(None, &[(1, None)], Status::Present);
        check(None, &[(20, None)], Status::Late);
        check(None, &[(0, Some(1))], Status::Present);
        check(None, &[], Status::Absent);
    }

    #[test]
    fn a_moment_is_placed_by_the_nearer_exchange() {
        let exchange =
            |monotonic_ms, box_time| Some(Exchange { monotonic_ms, box_time: Timestamp(box_time) });
        // Between the two the box lost a second.
        let (before, after) = (exchange(1_000, 51_000), exchange(2_000, 51_000));
        assert_eq!(Exchange::convert(before, after, 1_400), Some(Timestamp(51_400)));
        assert_eq!(Exchange::convert(before, after, 1_600), Some(Timestamp(50_600)));
        assert_eq!(Exchange::convert(None, after, 1_500), Some(Timestamp(50_500)));
        assert_eq!(Exchange::convert(None, None, 1_500), None);
    }

    #[test]
    fn exchanges_are_kept_sparsely() {
        let at = |monotonic_ms, box_time| Exchange { monotonic_ms, box_time: Timestamp(box_time) };
        let stored = at(0, 1_000_000);
        assert!(stored.is_news(None));
        assert!(!at(5_000, 1_005_150).is_news(Some(stored)));
        assert!(at(5_000, 1_005_300).is_news(Some(stored)));
        assert!(at(60_000, 1_060_000).is_news(Some(stored)));
    }

    #[test]
    fn a_machine_that_says_nonsense_breaks_nothing() {
        let clock = Clock::manual(Timestamp(0));
        let at = alfarid_protocol::span::Moment { boot: clock.id(), monotonic_ms: u64::MAX };
        let mark = Mark { seq: u64::MAX, span: clock.id(), at, kind: MarkKind::Until };
        let mut span = MachineSpan::first(&mark);
        span.hear(&mark);
        let exchange = Exchange { monotonic_ms: 0, box_time: Timestamp(i64::MAX - 1) };
        assert_eq!(exchange.box_time_at(span.until_ms), Timestamp(i64::MAX));
        assert!(
            Exchange { monotonic_ms: i64::MAX, box_time: Timestamp(0) }.is_news(Some(exchange))
        );
    }

    proptest! {
        #[test]
        fn a_presence_never_exceeds_its_lesson(
            used in proptest::collection::vec((-60..120_i64, 0..90_i64, any::<bool>()), 0..20),
            seated in (-60..60_i64, 0..90_i64),
            ran in proptest::option::of(0..90_i64),
        ) {
            let clock = Clock::manual(Timestamp(0));
            let (student, machine) = (clock.id(), clock.id());
            let spans: Vec<_> = used
                .iter()
                .map(|(from, n, open)| {
                    let to = (!open).then_some(Timestamp((from + n) * MINUTE));
                    Span::new(Timestamp(from * MINUTE), to)
                })
                .collect();
            let seat = Span::new(
                Timestamp(seated.0 * MINUTE),
                Timestamp((seated.0 + seated.1) * MINUTE),
            );
            let window = window(ran);
            let seatings = [Seating { student, machine, span: seat }];
            let presence =
                Presence::of(student, window, &seatings, |_| spans.clone(), std::iter::empty());
            let now = window.end_at.unwrap_or(Timestamp(90 * MINUTE));
            prop_assert!(presence.millis(now) <= now.millis_since(window.start_at));
            prop_assert!(presence.millis(now) <= seated.1 * MINUTE);
            for span in &presence.spans {
                prop_assert!(span.from_at >= window.start_at);
                prop_assert!(window.end_at.is_none_or(|end| span.to_at.is_some_and(|to| to <= end)));
            }
        }
    }
}
