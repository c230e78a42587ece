//! How much a publisher may send.

use std::time::Duration;

/// A bucket of packets and one of bytes. What does not fit is dropped: the publisher sees loss and
/// slows down.
///
/// A rich screen is 500 packets a second; a keyframe of a large one is 300 at once. A hundred times
/// the usual rate is a broken or hostile publisher, and costs the box little this way.
#[derive(Debug)]
pub(super) struct Budget {
    packets: f64,
    bytes: f64,
    at: Duration,
}

impl Budget {
    const PACKETS_PER_SECOND: f64 = 6_000.0;
    const PACKETS_AT_ONCE: f64 = 3_000.0;
    /// 50 Mbit/s.
    const BYTES_PER_SECOND: f64 = 6_250_000.0;
    const BYTES_AT_ONCE: f64 = 3_000_000.0;

    pub(super) fn new(now: Duration) -> Self {
        Self { packets: Self::PACKETS_AT_ONCE, bytes: Self::BYTES_AT_ONCE, at: now }
    }

    /// Takes one packet. `false`: it is too much.
    pub(super) fn spend(&mut self, now: Duration, bytes: usize) -> bool {
        let since = now.saturating_sub(self.at).as_secs_f64();
        self.at = now;
        self.packets = (self.packets + since * Self::PACKETS_PER_SECOND).min(Self::PACKETS_AT_ONCE);
        self.bytes = (self.bytes + since * Self::BYTES_PER_SECOND).min(Self::BYTES_AT_ONCE);
        #[expect(clippy::cast_precision_loss, reason = "a datagram has 64 KiB at most")]
        let bytes = bytes as f64;
        if self.packets < 1.0 || self.bytes < bytes {
            return false;
        }
        self.packets -= 1.0;
        self.bytes -= bytes;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyframe_at_once_is_fine_and_a_flood_is_cut() {
        let mut budget = Budget::new(Duration::ZERO);
        assert!((0..400).all(|_| budget.spend(Duration::ZERO, 1_200)));
        let taken =
            (0..20_000_u64).filter(|n| budget.spend(Duration::from_micros(n * 50), 1_200)).count();
        assert!((5_000..9_000).contains(&taken), "{taken} packets taken in one second");
    }
}
