//! Sums over the last while, in a fixed number of slots.

use std::time::Duration;

/// What was added within the last `span`, give or take one of its slots.
#[derive(Clone, Debug)]
pub(crate) struct Window<const SLOTS: usize> {
    slot: Duration,
    /// Slot `n` of all time is at `n % SLOTS`.
    sums: [u64; SLOTS],
    /// The newest slot that was added to.
    newest: u64,
}

impl<const SLOTS: usize> Window<SLOTS> {
    /// `span` is at least a microsecond for each slot.
    pub(crate) fn new(span: Duration) -> Self {
        let slots = u32::try_from(SLOTS).unwrap_or(u32::MAX).max(1);
        Self { slot: (span / slots).max(Duration::from_micros(1)), sums: [0; SLOTS], newest: 0 }
    }

    pub(crate) fn add(&mut self, now: Duration, amount: u64) {
        let slot = self.slot(now).max(self.newest);
        let skipped = (slot - self.newest).min(SLOTS as u64);
        for passed in 0..skipped {
            *self.at(slot - passed) = 0;
        }
        self.newest = slot;
        let sum = self.at(slot);
        *sum = sum.saturating_add(amount);
    }

    pub(crate) fn sum(&self, now: Duration) -> u64 {
        let outdated = self.slot(now).saturating_sub(self.newest);
        let outdated = usize::try_from(outdated).unwrap_or(usize::MAX).min(SLOTS);
        // The oldest ones come first behind the newest.
        let start = usize::try_from(self.newest % (SLOTS as u64)).unwrap_or_default() + 1;
        let from_oldest = (start..start + SLOTS).map(|at| self.sums[at % SLOTS]);
        from_oldest.skip(outdated).fold(0, u64::saturating_add)
    }

    fn slot(&self, now: Duration) -> u64 {
        let number = now.as_micros() / self.slot.as_micros();
        u64::try_from(number).unwrap_or(u64::MAX)
    }

    fn at(&mut self, slot: u64) -> &mut u64 {
        &mut self.sums[usize::try_from(slot % (SLOTS as u64)).unwrap_or_default()]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn what_is_older_than_the_span_no_longer_counts() {
        let mut window = Window::<10>::new(ms(1_000));
        window.add(ms(5_000), 1);
        window.add(ms(5_450), 2);
        assert_eq!(window.sum(ms(5_450)), 3);
        assert_eq!(window.sum(ms(5_999)), 3);
        assert_eq!(window.sum(ms(6_000)), 2);
        assert_eq!(window.sum(ms(6_399)), 2);
        assert_eq!(window.sum(ms(6_400)), 0);
        window.add(ms(100_000), 4);
        assert_eq!(window.sum(ms(100_000)), 4);
    }

    proptest! {
        #[test]
        fn the_sum_is_that_of_the_last_slots(
            steps in proptest::collection::vec((0..700_u64, 0..100_u64), 1..100),
        ) {
            let mut window = Window::<8>::new(ms(800));
            let mut added: Vec<(u64, u64)> = Vec::new();
            let mut now = 0;
            for (step, amount) in steps {
                now += step;
                window.add(ms(now), amount);
                added.push((now, amount));
                let later = now + step / 2;
                let since = (later / 100).saturating_sub(7) * 100;
                let expected = added.iter().filter(|(at, _)| *at >= since).map(|(_, n)| n).sum();
                prop_assert_eq!(window.sum(ms(later)), expected);
            }
        }
    }
}
