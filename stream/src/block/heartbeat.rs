//! A sign of life, signed.

use bytes::{BufMut, Bytes};

use super::{Claim, Commitment, Error, Kind, MAX_ENTRIES, SigningKey, reader::Reader};
use crate::index::MAX_INDEX;

/// Where a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Next {
    pub ssrc: u32,
    /// Index of the packet that is sent next: one more than the last one on air.
    pub index: u64,
}

/// What the box says ten times a second while the lesson is on, so that silence on a still screen
/// is not taken for loss, and a lost last packet is noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// The block that is open, or will be opened next: all below are closed.
    pub block: u32,
    /// Of that block's [`Ticket`](super::Ticket).
    pub commitment: Commitment,
    /// The box's monotonic time in milliseconds. Grows with each heartbeat.
    pub box_ms: u64,
    /// At most [`MAX_ENTRIES`]; none before anything was on air.
    pub next: Vec<Next>,
}

impl Heartbeat {
    /// Reads a datagram.
    ///
    /// # Errors
    /// Not of this kind, cut off, too long, more streams than allowed, one of them twice, or an
    /// index of over 48 bits.
    pub fn parse(datagram: &Bytes) -> Result<Claim<Self>, Error> {
        let mut reader = Reader::new(datagram, Kind::Heartbeat)?;
        let block = reader.u32()?;
        let commitment = reader.take()?;
        let box_ms = reader.u64()?;
        let count = usize::from(reader.u8()?);
        if count > MAX_ENTRIES {
            return Err(Error::Entries(count));
        }
        let mut next: Vec<Next> = Vec::with_capacity(count);
        for _ in 0..count {
            let (ssrc, index) = (reader.u32()?, reader.u48()?);
            if next.iter().any(|other| other.ssrc == ssrc) {
                return Err(Error::Overlap(ssrc));
            }
            next.push(Next { ssrc, index });
        }
        reader.end()?;
        Ok(Claim::new(Self { block, commitment, box_ms, next }, datagram))
    }

    /// The datagram. A stream that used up its last index says that one.
    pub fn sign(&self, key: &SigningKey) -> Bytes {
        let mut out = vec![Kind::Heartbeat.byte()];
        out.put_u32(self.block);
        out.put_slice(&self.commitment);
        out.put_u64(self.box_ms);
        out.put_uint(self.next.len() as u64, 1);
        for next in &self.next {
            out.put_u32(next.ssrc);
            out.put_uint(next.index.min(MAX_INDEX), 6);
        }
        key.sign(out)
    }
}
