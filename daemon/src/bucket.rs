//! How often somebody may do something: a bucket that is full at first, and filled at a steady
//! pace.
//!
//! For what one machine or one person may cost the box. Pure: time is handed in, and must not run
//! backwards.

use std::{collections::HashMap, hash::Hash, time::Duration};

/// So many at once, and then so many a second.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    pub at_once: f64,
    pub per_second: f64,
}

/// What is left of a rate.
#[derive(Debug)]
pub struct Bucket {
    left: f64,
    at: Duration,
}

impl Bucket {
    pub fn full(rate: Rate, now: Duration) -> Self {
        Self { left: rate.at_once, at: now }
    }

    /// What is refused costs nothing: whoever keeps trying gets in at the rate.
    pub fn take(&mut self, rate: Rate, now: Duration) -> bool {
        self.fill(rate, now);
        if self.left < 1.0 {
            return false;
        }
        self.left -= 1.0;
        true
    }

    /// How long until there is one, as of the last look.
    pub fn until_one(&self, rate: Rate) -> Duration {
        // A little more than it takes: the one must be there then.
        Duration::from_secs_f64(((1.0 - self.left).max(0.0)) / rate.per_second)
            + Duration::from_millis(1)
    }

    pub fn is_full(&mut self, rate: Rate, now: Duration) -> bool {
        self.fill(rate, now);
        self.left >= rate.at_once
    }

    fn fill(&mut self, rate: Rate, now: Duration) {
        let since = now.saturating_sub(self.at).as_secs_f64();
        self.left = (self.left + since * rate.per_second).min(rate.at_once);
        self.at = now;
    }
}

/// When more than this are remembered, those whose bucket is full again are forgotten: it is as if
/// they had never been there.
const REMEMBERED: usize = 128;

/// A bucket for each of many.
#[derive(Debug)]
pub struct Buckets<K> {
    rate: Rate,
    of: HashMap<K, Bucket>,
}

impl<K: Eq + Hash> Buckets<K> {
    pub fn new(rate: Rate) -> Self {
        Self { rate, of: HashMap::new() }
    }

    /// `Err`: not before so much time.
    pub fn take(&mut self, who: K, now: Duration) -> Result<(), Duration> {
        let rate = self.rate;
        if self.of.len() >= REMEMBERED {
            self.of.retain(|_, bucket| !bucket.is_full(rate, now));
        }
        let bucket = self.of.entry(who).or_insert_with(|| Bucket::full(rate, now));
        if bucket.take(rate, now) { Ok(()) } else { Err(bucket.until_one(rate)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { at_once: 3.0, per_second: 0.5 };

    #[test]
    fn each_has_their_own_and_waits_as_long_as_they_are_told() {
        let mut buckets = Buckets::new(RATE);
        let now = Duration::from_secs(1);
        assert!((0..3).all(|_| buckets.take("hasty", now).is_ok()));
        let wait = buckets.take("hasty", now).unwrap_err();
        assert!(wait > Duration::from_secs(1) && wait < Duration::from_secs(3), "{wait:?}");
        assert!(buckets.take("patient", now).is_ok());
        assert!(buckets.take("hasty", now + wait).is_ok());
        assert!(buckets.take("hasty", now + wait).is_err());
    }

    #[test]
    fn who_comes_no_more_is_forgotten() {
        let mut buckets = Buckets::new(RATE);
        for n in 0..10_000_u64 {
            let _ = buckets.take(n, Duration::from_secs(n));
        }
        assert!(buckets.of.len() <= REMEMBERED + 1, "{}", buckets.of.len());
    }
}
