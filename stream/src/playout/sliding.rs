//! The least of what came in the last seconds.

use std::{collections::VecDeque, time::Duration};

/// Keeps the least value of each second, over the last seconds up to `span`.
#[derive(Clone, Debug)]
pub(super) struct Sliding<V> {
    /// Seconds that are looked back on.
    span: u64,
    /// Second and its least, ascending by second; one more than `span` at most.
    seconds: VecDeque<(u64, V)>,
}

impl<V: Ord + Copy> Sliding<V> {
    pub(super) fn over(span: u64) -> Self {
        Self { span, seconds: VecDeque::new() }
    }

    /// Takes a value in. Time does not go back.
    pub(super) fn push(&mut self, now: Duration, value: V) {
        self.expire(now);
        match self.seconds.back_mut() {
            Some((second, least)) if *second == now.as_secs() => *least = value.min(*least),
            _ => self.seconds.push_back((now.as_secs(), value)),
        }
    }

    /// Forgets what is older than the span. Without it and without anything new, the old stays.
    pub(super) fn expire(&mut self, now: Duration) {
        let too_old = |second: u64| second + self.span < now.as_secs();
        while self.seconds.front().is_some_and(|(second, _)| too_old(*second)) {
            self.seconds.pop_front();
        }
    }

    pub(super) fn least(&self) -> Option<V> {
        self.seconds.iter().map(|(_, least)| *least).min()
    }

    pub(super) fn clear(&mut self) {
        self.seconds.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_of_the_last_seconds_counts() {
        let ms = Duration::from_millis;
        let mut sliding = Sliding::over(10);
        assert_eq!(sliding.least(), None);
        sliding.push(ms(500), 3);
        sliding.push(ms(900), 2);
        sliding.push(ms(1_100), 5);
        assert_eq!(sliding.least(), Some(2));
        sliding.push(ms(10_999), 7);
        assert_eq!(sliding.least(), Some(2));
        sliding.push(ms(11_000), 9);
        assert_eq!(sliding.least(), Some(5));
        sliding.expire(ms(60_000));
        assert_eq!(sliding.least(), None);
    }

    #[test]
    fn nothing_grows_with_time() {
        let mut sliding = Sliding::over(10);
        for second in 0..1_000 {
            sliding.push(Duration::from_secs(second), second);
        }
        assert_eq!(sliding.seconds.len(), 11);
    }
}
