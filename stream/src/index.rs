//! Numbers that wrap on the wire, made whole again.
//!
//! A sequence number has 16 bits and wraps every few minutes; an RTP timestamp has 32 and wraps
//! every half day. Everything in this crate that compares or keeps such numbers does it with the
//! unwrapped ones: a 48-bit *index* (roll-over count and sequence number, RFC 3711 §3.3.1) and a
//! 64-bit timestamp.
//!
//! [`Sequence`] also decides whom to believe. One stray packet with a far-off number must not move
//! the reference, or every honest packet after it would look old:
//!
//! ```text
//!            MAX_MISORDER     MAX_DROPOUT
//!   ─ doubted ─┤◀── believed: newest ──▶├─ doubted ─
//! ```
//!
//! A doubted number is believed when its successor follows at once (RFC 3550 A.1). Such a jump
//! always counts as a jump ahead: a sender that starts over looks like one that lost a lot.

/// The largest index: 2^48 packets, the life of one SRTP key (RFC 3711 §9.2).
pub const MAX_INDEX: u64 = (1 << 48) - 1;

/// How far ahead of the newest a number is believed at once (RFC 3550 A.1).
const MAX_DROPOUT: u64 = 3_000;

/// How far behind the newest a number is believed to be late. RFC 3550 A.1 has 100; a second or two
/// of packets here, so that a delayed copy of the stream is no restart.
const MAX_MISORDER: u64 = 1_000;

/// The index nearest to `reference` that has the low 16 bits `sequence` (RFC 3711 §3.3.1).
///
/// Below index 0 there is nothing: the estimate is then one round higher.
pub fn nearest(reference: u64, sequence: u16) -> u64 {
    let low = (reference & 0xffff) as u16;
    let step = i64::from(sequence.wrapping_sub(low).cast_signed());
    reference.checked_add_signed(step).unwrap_or(u64::from(sequence))
}

/// Unwraps the sequence numbers of one sender into indices.
#[derive(Clone, Debug, Default)]
pub struct Sequence {
    newest: Option<u64>,
    /// The number that would prove the last doubted one.
    proof: Option<u16>,
}

impl Sequence {
    /// Knows nothing yet: the first number is believed, in round 1, so that older ones still
    /// find room below it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Expects `index` next, as a grant says it; beyond [`MAX_INDEX`] there is none.
    pub fn near(index: u64) -> Self {
        Self { newest: Some(index.min(MAX_INDEX)), proof: None }
    }

    /// The index of the packet numbered `sequence`, or `None` while that number is doubted.
    pub fn index(&mut self, sequence: u16) -> Option<u64> {
        let Some(newest) = self.newest else {
            return Some(*self.newest.insert((1 << 16) + u64::from(sequence)));
        };
        let index = nearest(newest, sequence);
        if index <= newest.saturating_add(MAX_DROPOUT)
            && newest <= index.saturating_add(MAX_MISORDER)
        {
            self.newest = Some(newest.max(index));
            self.proof = None;
            return Some(index);
        }
        if self.proof.replace(sequence.wrapping_add(1)) != Some(sequence) {
            return None;
        }
        self.proof = None;
        let jump = if index > newest { index } else { index + (1 << 16) };
        self.newest = Some(jump);
        Some(jump)
    }
}

/// Unwraps RTP timestamps into 64-bit ones that go on over the wrap.
///
/// The first one gets 1 in its upper half, so that a step back from it (a stream with B-frames, a
/// packet that was overtaken) still has a place. The low 32 bits are always those on the wire.
#[derive(Clone, Debug, Default)]
pub struct Timestamps {
    last: Option<u64>,
}

impl Timestamps {
    pub fn new() -> Self {
        Self::default()
    }

    /// The timestamp nearest to the last one.
    pub fn unwrap(&mut self, timestamp: u32) -> u64 {
        let last = self.last.unwrap_or((1 << 32) | u64::from(timestamp));
        let low = (last & 0xffff_ffff) as u32;
        let step = i64::from(timestamp.wrapping_sub(low).cast_signed());
        let whole = last.checked_add_signed(step).unwrap_or(u64::from(timestamp));
        *self.last.insert(whole)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_estimate_of_rfc_3711_picks_the_nearest_round() {
        assert_eq!(nearest(0x1_0000, 0xffff), 0xffff);
        assert_eq!(nearest(0x1_ffff, 0x0000), 0x2_0000);
        assert_eq!(nearest(0x2_8000, 0x8001), 0x2_8001);
        assert_eq!(nearest(0, 0xffff), 0xffff, "nothing lies below index 0");
    }

    #[test]
    fn one_stray_number_moves_nothing() {
        let mut sequence = Sequence::near(70_000);
        assert_eq!(sequence.index(4_464), Some(70_000));
        assert_eq!(sequence.index(40_000), None);
        assert_eq!(sequence.index(4_465), Some(70_001));
        assert_eq!(sequence.index(40_001), None, "the proof must follow at once");
    }

    #[test]
    fn a_sender_that_starts_over_jumps_ahead() {
        let mut sequence = Sequence::near(70_000);
        assert_eq!(sequence.index(60_000), None);
        assert_eq!(sequence.index(60_001), Some(65_536 + 60_001));
        assert_eq!(sequence.index(60_002), Some(65_536 + 60_002));
    }

    #[test]
    fn an_index_that_cannot_be_breaks_nothing() {
        let mut sequence = Sequence::near(u64::MAX);
        assert_eq!(sequence.index(0xffff), Some(MAX_INDEX));
        for far in [0x8000, 0x8001] {
            assert!(sequence.index(far).is_none_or(|index| index <= 2 * MAX_INDEX));
        }
    }

    #[test]
    fn timestamps_go_on_over_the_wrap_and_back() {
        let mut timestamps = Timestamps::new();
        assert_eq!(timestamps.unwrap(10), (1 << 32) + 10);
        assert_eq!(timestamps.unwrap(u32::MAX - 10), (1 << 32) - 11);
        assert_eq!(timestamps.unwrap(20), (1 << 32) + 20);
        assert_eq!(timestamps.unwrap(0x7000_0000), (1 << 32) + 0x7000_0000);
        assert_eq!(timestamps.unwrap(0xe000_0000), (1 << 32) + 0xe000_0000);
        assert_eq!(timestamps.unwrap(5), (2 << 32) + 5);
    }

    proptest! {
        /// At exactly half the range both neighbours are as near; RFC 3711 §3.3.1 takes either.
        #[test]
        fn what_was_cut_is_found_again(index in 40_000..MAX_INDEX, off in -32_767..32_768_i64) {
            let reference = index.saturating_add_signed(off);
            prop_assert_eq!(nearest(reference, (index & 0xffff) as u16), index);
        }

        #[test]
        fn a_lossy_stream_keeps_its_indices(
            start in 0..MAX_INDEX, steps in proptest::collection::vec(-900..2_900_i64, 1..200),
        ) {
            let mut sequence = Sequence::near(start);
            let mut newest = start;
            for step in steps {
                let index = newest.saturating_add_signed(step);
                prop_assume!(index <= MAX_INDEX);
                prop_assert_eq!(sequence.index((index & 0xffff) as u16), Some(index));
                newest = newest.max(index);
            }
        }
    }
}
