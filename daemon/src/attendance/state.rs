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
    Status, Thresholds,
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
                || change.abs() > STORE_CHANGE_MS
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
        let spans = at_machines.chain(pages).filter_map(|span| span.clip(window.span())).collect();
        Self { spans: union(spans) }
    }

    pub(super) fn joined_at(&self) -> Option<Timestamp> {
        self.spans.first().map(|span| span.from_at)
    }

    /// `None` for whoever never came, or is here.
    pub(super) fn left_at(&self) -> Option<Timestamp> {
        self.spans.last().and_then(|span| span.to_at)
    }

    pub(super) fn is_here(&self) -> bool {
        self.spans.last().is_some_and(|span| span.to_at.is_none())
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
