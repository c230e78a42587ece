//! Blocks: what is protected together, and the three datagrams that speak of one.
//!
//! A block is a slice of time over all media, with a number of its own. Its source packets are on
//! air already, each sealed for the group; but the group's key is known to every machine, so the
//! seal alone does not say that the box sent them. The block's manifest does: it lists a digest of
//! each under the box's own signature. The manifest is itself a shard, so that parity brings it
//! back like any packet.
//!
//! ```text
//!            shards                                        parity, as many as are asked for
//!   ┌────────┬────────┬─────┬────────┬──────────┐          ┌───┬───┬─────┬────────┐
//!   │ source │ source │ ... │ source │ manifest │ ── RS ──▶ │ 0 │ 1 │ ... │ k + 15 │
//!   └────────┴────────┴─────┴────────┴──────────┘          └───┴───┴─────┴────────┘
//!        k - 1, entry by entry, index by index                  any k of all bring back all
//!
//!   Manifest   1 │ block u32 │ ticket 8 │ next tickets' commitments 2 × 8 │ entries │ digests │ sig 64
//!   Parity     2 │ block u32 │ entries │ number u8 │ shard                                  │ sig 64
//!   Heartbeat  3 │ block u32 │ commitment 8 │ box_ms u64 │ playout_ms u16 │ streams           │ sig 64
//!
//!   entries:   n u8 │ n × ( ssrc u32, first u48, count u8 )
//!   streams:   n u8 │ n × ( ssrc u32, next u48, timestamp u32 )
//! ```
//!
//! RS is `reed-solomon-simd`'s Reed-Solomon at its high rate, which makes other parity than its low
//! one. All integers are big-endian, an index has 48 bits, a digest is the first 16 bytes of a
//! SHA-256 over the whole protected datagram. The first byte tells these three from RTP, RTCP
//! (0b10xxxxxx) and from each other, under the signature too: nothing signed as one can be read as
//! another.
//!
//! Reading a datagram gives a [`Claim`]: what it says, not to be believed before
//! [`Claim::verify`]. Nothing here panics, and nothing allocates more than a few times its input,
//! whatever the bytes.

mod code;
mod engine;
mod entries;
mod heartbeat;
mod manifest;
mod parity;
mod reader;
mod signature;
mod ticket;

use aws_lc_rs::digest::{SHA256, digest};
use thiserror::Error;

pub(crate) use self::ticket::commitment;
pub use self::{
    code::{Decoder, Encoder, parity_of},
    entries::{Entries, Entry},
    heartbeat::{Heartbeat, Next, Stream},
    manifest::Manifest,
    parity::Parity,
    signature::{Claim, SigningKey, VerifyingKey},
    ticket::{AHEAD, Commitment, Ticket, Tickets},
};

/// Most source packets of a block. With the manifest that makes 65 shards and 81 of parity: any
/// number of one fits a byte, and a manifest of so many digests fits a datagram.
pub const MAX_SOURCES: usize = 64;

/// Most entries of a block: two media, each with a change of stream in it.
pub const MAX_ENTRIES: usize = 4;

/// Longest source datagram, in bytes: what an Ethernet frame carries over IPv4 and UDP.
///
/// The parity of a block is some 100 bytes longer than its longest source. To keep parity in one
/// frame too, sources should not be above 1,350 bytes; browsers and the box's own pipelines make
/// none above 1,250.
pub const MAX_DATAGRAM: usize = 1_472;

/// Bytes of an Ed25519 signature.
pub const SIGNATURE: usize = 64;

/// The first bytes of a source datagram's SHA-256.
pub type Digest = [u8; 16];

/// What a datagram of the repair lane says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Manifest,
    Parity,
    Heartbeat,
}

impl Kind {
    /// `None` for anything else: RTP, RTCP, feedback, noise.
    pub fn of(datagram: &[u8]) -> Option<Self> {
        match datagram.first()? {
            1 => Some(Self::Manifest),
            2 => Some(Self::Parity),
            3 => Some(Self::Heartbeat),
            _ => None,
        }
    }

    fn byte(self) -> u8 {
        match self {
            Self::Manifest => 1,
            Self::Parity => 2,
            Self::Heartbeat => 3,
        }
    }
}

/// Why a datagram is not what it says it is, or cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Error {
    #[error("datagram is no {0:?}")]
    Kind(Kind),
    #[error("datagram of {0} bytes ends too soon")]
    Truncated(usize),
    #[error("datagram goes on for {0} bytes behind its end")]
    Trailing(usize),
    #[error("{0} entries instead of 1 to {MAX_ENTRIES}")]
    Entries(usize),
    #[error("stream {0:08x} has an entry without packets")]
    Empty(u32),
    #[error("{0} source packets instead of 1 to {MAX_SOURCES}")]
    Sources(usize),
    #[error("stream {ssrc:08x} goes beyond the last index from {first} on")]
    Index { ssrc: u32, first: u64 },
    #[error("stream {0:08x} has a packet twice")]
    Overlap(u32),
    #[error("parity {number} of a block of {shards} shards")]
    Number { number: u8, shards: usize },
    #[error("shard of {0} bytes")]
    ShardLength(usize),
    #[error("source datagram of {0} bytes")]
    SourceLength(usize),
    #[error("the box did not sign this")]
    Signature,
    #[error("no key for signatures")]
    Key,
    #[error("these shards do not make a block")]
    Shards,
}

/// The digest of a source datagram, as it stands in a manifest.
pub fn digest_of(datagram: &[u8]) -> Digest {
    let mut first = Digest::default();
    let whole = digest(&SHA256, datagram);
    for (to, from) in first.iter_mut().zip(whole.as_ref()) {
        *to = *from;
    }
    first
}

#[cfg(test)]
mod tests;
