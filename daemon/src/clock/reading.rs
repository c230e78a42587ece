//! Both clocks read at one moment, and how a correction of box time is noticed.
//!
//! Box time moves only by [`Clock::correct`]; between corrections it and the monotonic clock run
//! side by side. Whoever keeps times that must stay true (a running lesson's start, a machine's
//! clock exchange) keeps a [`Follower`] and moves them by what it says.

use std::time::Duration;

use alfarid_protocol::time::Timestamp;

use super::{Clock, millis};

/// One moment by both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Box time.
    pub at: Timestamp,
    /// Never steps.
    pub monotonic: Duration,
}

impl Reading {
    fn offset_ms(self) -> i64 {
        self.at.0.saturating_sub(millis(self.monotonic))
    }
}

impl Clock {
    /// Both clocks at this moment.
    pub fn read(&self) -> Reading {
        let monotonic = self.0.ticks.read();
        let offset_ms = self.0.offset_ms.load(std::sync::atomic::Ordering::Acquire);
        Reading { at: Timestamp(offset_ms + millis(monotonic)), monotonic }
    }
}

/// Remembers how the two clocks stood to each other.
#[derive(Clone, Copy, Debug)]
pub struct Follower {
    offset_ms: i64,
}

impl Follower {
    pub fn new(now: Reading) -> Self {
        Self { offset_ms: now.offset_ms() }
    }

    /// By how many milliseconds box time was corrected since the last look; `None` if it was not.
    pub fn moved(&mut self, now: Reading) -> Option<i64> {
        let moved = now.offset_ms().saturating_sub(self.offset_ms);
        self.offset_ms = now.offset_ms();
        (moved != 0).then_some(moved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Authority;

    #[test]
    fn a_correction_is_noticed_once_and_passing_time_is_none() {
        let clock = Clock::manual(Timestamp(1_800_000_000_000));
        let mut follower = Follower::new(clock.read());
        clock.advance(Duration::from_mins(1));
        assert_eq!(follower.moved(clock.read()), None);
        let year = 365 * 86_400_000;
        assert_eq!(clock.correct(clock.now().plus_millis(year), Authority::Ntp), Some(year));
        assert_eq!(follower.moved(clock.read()), Some(year));
        assert_eq!(follower.moved(clock.read()), None);
    }
}
