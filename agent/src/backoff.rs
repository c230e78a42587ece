//! How long to wait before the box is tried again.
//!
//! A class of machines loses its box at one moment, so the waits are spread; and the lesson is
//! wanted back within two seconds of the box's restart, so for the first minute they stay short.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(5);

/// For [`HURRY_FOR`] after a connection was lost no wait is longer than this.
const LONGEST_IN_A_HURRY: Duration = Duration::from_secs(1);
const HURRY_FOR: Duration = Duration::from_mins(1);

/// A connection that lived shorter did not help: the next attempt waits like a failed one.
const HELPED: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// A connection that served for `lived` was lost.
    pub(crate) fn lost_after(&mut self, lived: Duration) {
        self.failures = if lived >= HELPED { 0 } else { self.failures.max(1) };
    }

    /// The wait before the next attempt, when no box has served for `away`. `random` spreads it
    /// over the upper half of its length.
    pub(crate) fn next(&mut self, away: Duration, random: u32) -> Duration {
        let failures = self.failures;
        self.failures = failures.saturating_add(1);
        let Some(doublings) = failures.checked_sub(1) else { return Duration::ZERO };
        let cap = if away < HURRY_FOR { LONGEST_IN_A_HURRY } else { LONGEST };
        let whole = FIRST.saturating_mul(1 << doublings.min(8)).min(cap);
        whole / 2 + whole.mul_f64(f64::from(random) / f64::from(u32::MAX)) / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALWAYS_LONGEST: u32 = u32::MAX;

    fn millis(backoff: &mut Backoff, away: Duration, n: usize) -> Vec<u128> {
        (0..n).map(|_| backoff.next(away, ALWAYS_LONGEST).as_millis()).collect()
    }

    #[test]
    fn a_lost_connection_is_tried_at_once_and_then_each_second() {
        let mut backoff = Backoff::default();
        backoff.lost_after(Duration::from_secs(100));
        assert_eq!(millis(&mut backoff, Duration::ZERO, 6), [0, 250, 500, 1000, 1000, 1000]);
    }

    #[test]
    fn after_a_minute_the_waits_grow_to_five_seconds() {
        let mut backoff = Backoff::default();
        let away = Duration::from_mins(2);
        assert_eq!(millis(&mut backoff, away, 8), [0, 250, 500, 1000, 2000, 4000, 5000, 5000]);
    }

    #[test]
    fn a_box_that_hangs_up_at_once_is_not_tried_at_once() {
        let mut backoff = Backoff::default();
        assert_eq!(millis(&mut backoff, Duration::ZERO, 1), [0]);
        backoff.lost_after(Duration::from_millis(20));
        assert_eq!(millis(&mut backoff, Duration::ZERO, 2), [250, 500]);
    }

    #[test]
    fn waits_are_spread_over_their_upper_half() {
        let mut backoff = Backoff { failures: 3 };
        assert_eq!(backoff.next(Duration::ZERO, 0), Duration::from_millis(500));
    }
}
