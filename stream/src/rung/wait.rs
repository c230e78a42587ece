//! How long to wait before a higher rung is tried.

use std::time::Duration;

/// Before the first try: longer than what somebody does to a cable.
pub(super) const FIRST: Duration = Duration::from_secs(30);

/// Before every try of a way that does not come back: ten more tries in a lesson.
pub(super) const LONGEST: Duration = Duration::from_mins(10);

/// The patience for one rung.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait {
    length: Duration,
    until: Duration,
    climbed: Option<Duration>,
}

impl Wait {
    pub(super) fn new(now: Duration) -> Self {
        Self { length: FIRST, until: now + FIRST, climbed: None }
    }

    /// When the rung may be tried.
    pub(super) fn until(&self) -> Duration {
        self.until
    }

    /// The try failed.
    pub(super) fn failed(&mut self, now: Duration) {
        self.length = (2 * self.length).min(LONGEST);
        self.until = now + self.length;
    }

    /// The try succeeded.
    pub(super) fn climbed(&mut self, now: Duration) {
        self.climbed = Some(now);
    }

    /// The machine fell from the rung. One that did not hold for the longest wait was not worth its
    /// climb, or a way that comes and goes would cost a stall each minute.
    pub(super) fn fell(&mut self, now: Duration) {
        match self.climbed.take() {
            Some(climbed) if now.saturating_sub(climbed) < LONGEST => self.failed(now),
            _ => *self = Self::new(now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn tries_that_fail_become_rarer_up_to_ten_minutes() {
        let mut wait = Wait::new(secs(0));
        let mut waited = Vec::new();
        for _ in 0..7 {
            let now = wait.until();
            wait.failed(now);
            waited.push(wait.until().saturating_sub(now).as_secs());
        }
        assert_eq!(waited, [60, 120, 240, 480, 600, 600, 600]);
    }

    #[test]
    fn a_climb_that_did_not_hold_counts_as_failed() {
        let mut wait = Wait::new(secs(0));
        wait.climbed(secs(30));
        wait.fell(secs(100));
        assert_eq!(wait.until(), secs(160));
        wait.climbed(secs(160));
        wait.fell(secs(160 + 599));
        assert_eq!(wait.until(), secs(759 + 120));
    }

    #[test]
    fn a_climb_that_held_is_a_new_beginning() {
        let mut wait = Wait::new(secs(0));
        wait.failed(secs(30));
        wait.climbed(secs(90));
        wait.fell(secs(90 + 600));
        assert_eq!(wait.until(), secs(690 + 30));
    }
}
