//! Whether what repair could not mend has become too much: over 2 % in five seconds, spread over at
//! least three of them.

use std::{collections::VecDeque, time::Duration};

/// Seconds that are looked at.
const WINDOW: u64 = 5;

/// Lost for good, as one of so many: over 2 % nobody can follow a lesson.
const ONE_OF: u64 = 50;

/// In how many of the seconds something must have been lost: one burst is a burst, not a bad way.
const BAD_SECONDS: usize = 3;

/// Fewer lost packets prove nothing: on a still screen two may be a third of all.
const LEAST: u64 = 5;

/// Counts packets by seconds.
#[derive(Clone, Debug)]
pub(super) struct Loss {
    since: Duration,
    /// Second, received, lost; at most [`WINDOW`] and the present one.
    seconds: VecDeque<(u64, u64, u64)>,
}

impl Loss {
    pub(super) fn new(now: Duration) -> Self {
        Self { since: now, seconds: VecDeque::new() }
    }

    /// Takes in what came and what is lost for good since the last count, and judges.
    pub(super) fn counted(&mut self, now: Duration, received: u64, lost: u64) -> bool {
        let second = now.as_secs();
        while self.seconds.front().is_some_and(|(old, ..)| old + WINDOW < second) {
            self.seconds.pop_front();
        }
        match self.seconds.back_mut() {
            Some((newest, came, gone)) if *newest == second => {
                *came = came.saturating_add(received);
                *gone = gone.saturating_add(lost);
            }
            _ => self.seconds.push_back((second, received, lost)),
        }
        let total = |of: fn(&(u64, u64, u64)) -> u64| {
            self.seconds.iter().map(of).fold(0_u64, u64::saturating_add)
        };
        let (received, lost) = (total(|second| second.1), total(|second| second.2));
        let bad = self.seconds.iter().filter(|second| second.2 > 0).count();
        now.saturating_sub(self.since) >= Duration::from_secs(WINDOW)
            && lost >= LEAST
            && bad >= BAD_SECONDS
            && lost.saturating_mul(ONE_OF) > received.saturating_add(lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When a machine that counts this each second has had enough.
    fn heavy_at(counts: impl Iterator<Item = (u64, u64)>) -> Option<u64> {
        let mut loss = Loss::new(Duration::ZERO);
        (1..).zip(counts).find_map(|(second, (received, lost))| {
            loss.counted(Duration::from_secs(second), received, lost).then_some(second)
        })
    }

    #[test]
    fn over_two_percent_for_five_seconds_is_too_much() {
        assert_eq!(heavy_at([(400, 12)].into_iter().cycle().take(60)), Some(5));
        assert_eq!(heavy_at([(400, 6)].into_iter().cycle().take(60)), None);
    }

    #[test]
    fn one_burst_is_not() {
        let burst = [(400, 0), (400, 0), (200, 200), (400, 0), (400, 0), (400, 0)];
        assert_eq!(heavy_at(burst.into_iter().cycle().take(60)), None);
    }

    #[test]
    fn a_still_screen_proves_nothing() {
        assert_eq!(heavy_at([(2, 0), (1, 1)].into_iter().cycle().take(8)), None);
    }

    #[test]
    fn what_a_counter_says_is_never_too_large() {
        assert_eq!(heavy_at([(u64::MAX, u64::MAX)].into_iter().cycle().take(9)), None);
    }
}
