//! A sign of life, signed.

use std::time::Duration;

use bytes::{BufMut, Bytes};

use super::{Claim, Commitment, Error, Kind, MAX_ENTRIES, SigningKey, reader::Reader};
use crate::{
    index::MAX_INDEX,
    playout::{MAX_DELAY, MIN_DELAY, Pair},
};

/// Where a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Next {
    pub ssrc: u32,
    /// Index of the packet that is sent next: one more than the last one on air.
    pub index: u64,
}

/// Where a stream is, and what its time is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    pub ssrc: u32,
    /// As in [`Next`].
    pub next: u64,
    /// What the stream's clock shows at the heartbeat's `box_ms`: the RTP time of what is due then,
    /// before D.
    pub timestamp: u32,
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
    /// D: how long after it is due everything is shown.
    pub playout_ms: u16,
    /// At most [`MAX_ENTRIES`]; none before anything was on air.
    pub streams: Vec<Stream>,
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
        let playout_ms = reader.u16()?;
        let count = usize::from(reader.u8()?);
        if count > MAX_ENTRIES {
            return Err(Error::Entries(count));
        }
        let mut streams: Vec<Stream> = Vec::with_capacity(count);
        for _ in 0..count {
            let (ssrc, next, timestamp) = (reader.u32()?, reader.u48()?, reader.u32()?);
            if streams.iter().any(|other| other.ssrc == ssrc) {
                return Err(Error::Overlap(ssrc));
            }
            streams.push(Stream { ssrc, next, timestamp });
        }
        reader.end()?;
        let heartbeat = Self { block, commitment, box_ms, playout_ms, streams };
        Ok(Claim::new(heartbeat, datagram))
    }

    /// The datagram. A stream that used up its last index says that one.
    pub fn sign(&self, key: &SigningKey) -> Bytes {
        let mut out = vec![Kind::Heartbeat.byte()];
        out.put_u32(self.block);
        out.put_slice(&self.commitment);
        out.put_u64(self.box_ms);
        out.put_u16(self.playout_ms);
        out.put_uint(self.streams.len() as u64, 1);
        for stream in &self.streams {
            out.put_u32(stream.ssrc);
            out.put_uint(stream.next.min(MAX_INDEX), 6);
            out.put_u32(stream.timestamp);
        }
        key.sign(out)
    }

    /// D, within its limits.
    pub fn playout(&self) -> Duration {
        Duration::from_millis(self.playout_ms.into()).clamp(MIN_DELAY, MAX_DELAY)
    }

    /// What [`Playout::said`](crate::playout::Playout::said) is to know of this stream.
    pub fn pair(&self, ssrc: u32) -> Option<Pair> {
        let stream = self.streams.iter().find(|stream| stream.ssrc == ssrc)?;
        let box_time = Duration::from_millis(self.box_ms);
        Some(Pair { timestamp: stream.timestamp, box_time })
    }
}
