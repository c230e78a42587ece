//! Stretches of time: how they are cut and put together.

use alfarid_protocol::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// One stretch of presence, in box time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Span {
    pub from_at: Timestamp,
    /// `None`: it goes on.
    #[schema(required)]
    pub to_at: Option<Timestamp>,
}

impl Span {
    pub(super) fn new(from_at: Timestamp, to_at: impl Into<Option<Timestamp>>) -> Self {
        Self { from_at, to_at: to_at.into() }
    }

    /// The part that lies in `window` too; `None` if nothing does. A window without an end cuts
    /// nothing off, so what goes on goes on.
    pub(super) fn clip(self, window: Self) -> Option<Self> {
        let from_at = self.from_at.max(window.from_at);
        let to_at = earlier_end(self.to_at, window.to_at);
        (to_at.is_none_or(|to_at| from_at < to_at)).then_some(Self { from_at, to_at })
    }

    /// How long it is at `now`, in milliseconds; nothing that is still to come counts.
    pub(super) fn millis(self, now: Timestamp) -> i64 {
        let to_at = self.to_at.map_or(now, |to_at| to_at.min(now));
        to_at.millis_since(self.from_at).max(0)
    }
}

/// The same time as `spans` cover together, in order and without overlap. Spans that touch become
/// one.
pub(super) fn union(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_by_key(|span| span.from_at);
    let mut united: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans {
        match united.last_mut() {
            Some(last) if last.to_at.is_none_or(|to_at| span.from_at <= to_at) => {
                last.to_at = later_end(last.to_at, span.to_at);
            }
            _ => united.push(span),
        }
    }
    united
}

fn earlier_end(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (end, None) | (None, end) => end,
    }
}

fn later_end(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    Some(a?.max(b?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn span(from: i64, to: Option<i64>) -> Span {
        Span::new(Timestamp(from), to.map(Timestamp))
    }

    #[test]
    fn overlapping_and_touching_spans_become_one_and_a_gap_stays() {
        let spans =
            vec![span(40, Some(50)), span(0, Some(10)), span(5, Some(20)), span(20, Some(30))];
        assert_eq!(union(spans), vec![span(0, Some(30)), span(40, Some(50))]);
    }

    #[test]
    fn what_goes_on_swallows_what_comes_after() {
        assert_eq!(union(vec![span(0, None), span(5, Some(9))]), vec![span(0, None)]);
    }

    #[test]
    fn a_span_outside_the_window_is_nothing() {
        assert_eq!(span(0, Some(10)).clip(span(10, Some(20))), None);
        assert_eq!(span(0, None).clip(span(10, Some(20))), Some(span(10, Some(20))));
        assert_eq!(span(0, None).clip(span(10, None)), Some(span(10, None)));
    }

    proptest! {
        #[test]
        fn a_union_covers_the_same_moments_once(
            raw in proptest::collection::vec((0..200_i64, 0..60_i64), 0..30),
        ) {
            let spans: Vec<_> = raw.iter().map(|(from, n)| span(*from, Some(from + n))).collect();
            let united = union(spans.clone());
            let covers = |spans: &[Span], at: i64| {
                spans.iter().any(|s| s.from_at.0 <= at && s.to_at.is_some_and(|to| at < to.0))
            };
            for at in 0..270 {
                prop_assert_eq!(covers(&spans, at), covers(&united, at), "at {}", at);
            }
            for pair in united.windows(2) {
                prop_assert!(pair[0].to_at.unwrap() < pair[1].from_at);
            }
        }
    }
}
