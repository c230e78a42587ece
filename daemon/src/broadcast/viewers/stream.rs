//! How one track is numbered for one viewer. Pure.
//!
//! A viewer's stream begins at its own number, for a receiver guesses the upper half of what it
//! hears first (RFC 3711 §3.3.1), and has no gaps but those of the network: what the viewer was not
//! sent it must not ask for.
//!
//! Kept pictures are to be decoded at once and not shown at their pace, so their times are moved
//! together, [`STEP`] apart, right before the live ones; and so is the keyframe that makes the rest
//! of them needless.

use super::programme::Piece;

/// Of RTP time at 90 kHz: a millisecond. A receiver sees pictures that come as fast as they are to
/// be shown.
const STEP: u32 = 90;

#[derive(Debug)]
pub(super) struct Numbered {
    pub(super) sequence: u64,
    pub(super) timestamp: u32,
}

#[derive(Debug)]
pub(super) struct Numbering {
    next: u64,
    /// Of the packet sent last, as it came in and as it went out.
    last: Option<(u32, u32)>,
    first_timestamp: u32,
}

impl Numbering {
    /// `random` is any number: half of it becomes the first sequence number, below 2^15.
    pub(super) fn new(random: u32) -> Self {
        Self { next: u64::from(random & 0x7fff), last: None, first_timestamp: random }
    }

    /// The next packet, to be shown at once or when its time, as it came in, says.
    pub(super) fn number(&mut self, piece: &Piece, at_once: bool) -> Numbered {
        let timestamp = match self.last {
            None => self.first_timestamp,
            Some((came, went)) if at_once && came != piece.timestamp => went.wrapping_add(STEP),
            Some((_, went)) if at_once => went,
            Some((came, went)) => went.wrapping_add(piece.timestamp.wrapping_sub(came)),
        };
        self.last = Some((piece.timestamp, timestamp));
        let sequence = self.next;
        self.next += 1;
        Numbered { sequence, timestamp }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broadcast::viewers::programme::tests::piece;

    fn times(numbering: &mut Numbering, timestamps: &[u32], at_once: bool) -> Vec<u32> {
        let number = |timestamp: &u32| {
            numbering.number(&Piece { timestamp: *timestamp, ..piece(0, false) }, at_once).timestamp
        };
        timestamps.iter().map(number).collect()
    }

    #[test]
    fn kept_pictures_are_moved_together_and_live_ones_go_on_from_there() {
        let mut numbering = Numbering::new(1_000);
        let kept = times(&mut numbering, &[90_000, 90_000, 180_000, 270_000], true);
        assert_eq!(kept, [1_000, 1_000, 1_090, 1_180]);
        assert_eq!(times(&mut numbering, &[270_000, 273_000], false), [1_180, 4_180]);
    }

    #[test]
    fn pictures_that_are_repeated_never_go_back_in_time() {
        let mut numbering = Numbering::new(7);
        times(&mut numbering, &[90_000, 93_000, 96_000], false);
        let again = times(&mut numbering, &[90_000, 93_000], true);
        assert_eq!(again, [6_097, 6_187], "later than the last live one");
        assert_eq!(times(&mut numbering, &[99_000], false), [12_187]);
    }

    #[test]
    fn time_that_rolls_over_goes_on() {
        let mut numbering = Numbering::new(u32::MAX);
        let times = times(&mut numbering, &[u32::MAX - 10, 2_989], false);
        assert_eq!(times, [u32::MAX, 2_999]);
    }

    #[test]
    fn numbers_begin_below_half_of_their_range_and_have_no_gaps() {
        let mut numbering = Numbering::new(u32::MAX);
        let mut next = || numbering.number(&piece(70_000, true), false).sequence;
        assert_eq!([next(), next()], [0x7fff, 0x8000]);
    }
}
