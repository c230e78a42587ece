//! How many signatures are checked.
//!
//! Each kind has a share of its own, so that a flood of one never costs another its turn. Together
//! they are below 2,000 a second, a tenth of a core.
//!
//! Parity is told apart by size. A forger with twice the stream's rate makes thousands of small
//! datagrams a second but no more large ones than are checked; and what repairs pictures is large.

use std::time::Duration;

use bytes::Bytes;

use crate::limit::Limit;

/// From so many bytes on parity is large.
const LARGE: usize = 1_024;

/// What a signature is checked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Class {
    /// A manifest that was committed to.
    Ticketed,
    /// A manifest of which that is not known.
    Unticketed,
    Heartbeat,
    LargeParity,
    SmallParity,
}

impl Class {
    pub(super) fn of_parity(datagram: &Bytes) -> Self {
        if datagram.len() < LARGE { Self::SmallParity } else { Self::LargeParity }
    }
}

#[derive(Debug)]
pub(super) struct Checks {
    ticketed: Limit,
    unticketed: Limit,
    heartbeat: Limit,
    large_parity: Limit,
    small_parity: Limit,
}

impl Checks {
    pub(super) fn new() -> Self {
        Self {
            // Two copies of 100 blocks a second come to 200; and a machine that was held up for a
            // second gets those of 100 blocks at one go.
            ticketed: Limit::new(400, 100),
            unticketed: Limit::new(150, 50),
            heartbeat: Limit::new(100, 20),
            // What is left of 2,000. A machine that loses a fifth of 20 Mbit/s needs 450.
            large_parity: Limit::new(830, 90),
            small_parity: Limit::new(200, 60),
        }
    }

    /// Whether one more may be checked. If so, it counts.
    pub(super) fn take(&mut self, now: Duration, class: Class) -> bool {
        let limit = match class {
            Class::Ticketed => &mut self.ticketed,
            Class::Unticketed => &mut self.unticketed,
            Class::Heartbeat => &mut self.heartbeat,
            Class::LargeParity => &mut self.large_parity,
            Class::SmallParity => &mut self.small_parity,
        };
        limit.take(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_flood_makes_more_than_two_thousand_checks_in_any_second() {
        let mut checks = Checks::new();
        let classes = [
            Class::Ticketed,
            Class::Unticketed,
            Class::Heartbeat,
            Class::LargeParity,
            Class::SmallParity,
        ];
        let times = (0..10_000).map(|n| Duration::from_secs(9) + Duration::from_micros(100 * n));
        let passed = times.flat_map(|at| classes.map(|class| (at, class)));
        assert!(passed.filter(|(at, class)| checks.take(*at, *class)).count() <= 2_000);
    }
}
