//! How one track is numbered for one viewer. Pure.
//!
//! A viewer's stream begins at its own number, for a receiver guesses the upper half of what it
//! hears first (RFC 3711 §3.3.1), and has no gaps but those of the network: what the viewer was not
//! sent it must not ask for.
//!
//! Kept pictures are to be decoded at once and not shown at their pace, so their times are moved
//! together, [`STEP`] apart, right before the live ones.

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

    /// The next packet. Without `is_kept` it is live, and its time goes on as it came in.
    pub(super) fn number(&mut self, piece: &Piece, is_kept: bool) -> Numbered {
        let timestamp = match self.last {
            None => self.first_timestamp,
            Some((came, went)) if is_kept && came != piece.timestamp => went.wrapping_add(STEP),
            Some((_, went)) if is_kept => went,
            Some((came, went)) => went.wrapping_add(piece.timestamp.wrapping_sub(came)),
        };
        self.last = Some((piece.timestamp, timestamp));
        let sequence = self.next;
        self.next += 1;
        Numbered { sequence, timestamp }
    }
}
