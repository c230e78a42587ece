//! str0m reckons in [`Instant`]s, which nobody can make: this makes them from the clock.

use std::time::{Duration, Instant};

use crate::clock::Clock;

#[derive(Clone, Debug)]
pub(in crate::broadcast) struct Ticks {
    clock: Clock,
    zero: (Duration, Instant),
}

impl Ticks {
    #[expect(clippy::disallowed_methods, reason = "the one instant that all others count from")]
    pub(super) fn new(clock: Clock) -> Self {
        let zero = (clock.monotonic(), Instant::now());
        Self { clock, zero }
    }

    pub(in crate::broadcast) fn now(&self) -> Instant {
        self.both().1
    }

    /// The same moment twice.
    pub(in crate::broadcast) fn both(&self) -> (Duration, Instant) {
        let now = self.clock.monotonic();
        (now, self.instant(now))
    }

    pub(in crate::broadcast) fn instant(&self, at: Duration) -> Instant {
        let (zero, instant) = self.zero;
        instant + at.saturating_sub(zero)
    }
}
