//! So many a second and no more.

use std::time::Duration;

/// Lets pass so many a second on average, so many of them at once: the generic cell rate algorithm
/// (ITU-T I.371), which is a token bucket that needs one number.
#[derive(Clone, Debug)]
pub(crate) struct Limit {
    /// Between two, on average.
    interval: Duration,
    /// How far ahead of its time one may be.
    ahead: Duration,
    /// When the next one would be due, if none came early.
    due: Duration,
}

impl Limit {
    /// Neither is 0.
    pub(crate) fn new(per_second: u32, at_once: u32) -> Self {
        let interval = Duration::from_secs(1) / per_second.max(1);
        Self { interval, ahead: interval * at_once.saturating_sub(1), due: Duration::ZERO }
    }

    /// Whether one may pass now. If so, it counts.
    pub(crate) fn take(&mut self, now: Duration) -> bool {
        let due = self.due.max(now);
        let may = due <= now + self.ahead;
        if may {
            self.due = due + self.interval;
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_pass_at_once_and_so_many_a_second() {
        let mut limit = Limit::new(100, 10);
        let start = Duration::from_secs(5);
        assert_eq!((0..50).filter(|_| limit.take(start)).count(), 10);
        let hammered =
            (0..10_000_u32).filter(|n| limit.take(start + Duration::from_micros(100) * *n));
        assert_eq!(hammered.count(), 99);
        let later = Duration::from_mins(1);
        assert_eq!((0..50).filter(|_| limit.take(later)).count(), 10);
    }
}
