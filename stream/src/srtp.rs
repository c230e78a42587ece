//! The broadcast, protected: SRTP with AES-128-GCM
//! ([RFC 7714](https://www.rfc-editor.org/rfc/rfc7714)) and master key identifiers
//! ([RFC 3711 §3.1](https://www.rfc-editor.org/rfc/rfc3711#section-3.1)).
//!
//! Any player that speaks RFC 7714 and has the group's key can play what the box sends.
//!
//! ```text
//!   SRTP    │ RTP header 12 │ payload, sealed │ tag 16 │ MKI 2 │
//!             └── authentic ┘
//!   SRTCP   │ RTCP header 8 │ the rest, sealed │ tag 16 │ 1, index 31 bits │ MKI 2 │
//!             └── authentic ┘                             └── authentic ───┘
//! ```
//!
//! - The box has one [`Sealer`] for a lesson. It goes from key to key, and **never seals twice with
//!   the same key, SSRC and index**: that would give away both packets and the means to forge
//!   more. It remembers the last index of each SSRC for life and refuses what is not above it.
//! - A machine has one [`Keyring`] and finds the key of a packet by its MKI. It says whether a
//!   packet was sealed with the group's key, which every machine of the group has: **not that the
//!   box sent it**, nor that it was not there before. Packets are compared with signed digests and
//!   taken once before they come here.
//! - [`Reports`] does the same for the RTCP of one stream, and takes each report once.
//!
//! Header extensions, contributing sources and padding are never sealed
//! (the [`relay`](crate::relay) drops them), so a packet that has them was not sealed here.

mod keyring;
mod sealer;
mod session;

use thiserror::Error;

pub use self::{
    keyring::{Keyring, MAX_EPOCHS, Reports},
    sealer::{MAX_SSRCS, Sealer},
};
use crate::gcm;

/// Bytes of the master key identifier.
const MKI: usize = 2;
/// Bytes of an RTCP header with the SSRC of who reports: what of a report stays readable.
const REPORT_HEADER: usize = 8;
/// Set beside a report's index when the report is encrypted (RFC 3711 §3.4).
const ENCRYPTED: u32 = 1 << 31;
/// The last index of a report: beside it is one flag (RFC 3711 §3.4).
const MAX_REPORT_INDEX: u32 = ENCRYPTED - 1;

/// Bytes by which a protected packet is longer than the packet.
pub const OVERHEAD: usize = gcm::TAG + MKI;
/// Bytes by which a protected report is longer than the report.
pub const REPORT_OVERHEAD: usize = OVERHEAD + 4;

/// Why something is not sealed, or not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// Sealing: the caller's fault, and it would be the end of the key.
    #[error("index {index} of SSRC {ssrc:#010x} is not above {last}, the last that was sealed")]
    Reused { ssrc: u32, index: u64, last: u64 },
    /// Sealing: no receiver could find such a packet's index again.
    #[error("packet with sequence number {sequence} does not belong to index {index}")]
    Sequence { index: u64, sequence: u16 },
    #[error("index {0} does not fit 48 bits")]
    Index(u64),
    /// Sealing: RFC 3711 §9.2 ends a key's life here. At a report a second it takes 68 years.
    #[error("all report indices of SSRC {0:#010x} are used up")]
    Exhausted(u32),
    #[error("no room for SSRC {0:#010x} beside those sealed so far")]
    TooManySsrcs(u32),
    #[error("epoch {number} is not above {present}, the present one")]
    Epoch { number: u32, present: u32 },
    #[error("protected datagram of {0} bytes is too short")]
    Short(usize),
    #[error("first byte {0:#04x} is none of a packet that is sealed here")]
    Format(u8),
    #[error("no epoch with the key identifier {0} is known")]
    UnknownMki(u16),
    #[error("report of SSRC {0:#010x}, which is not followed")]
    Foreign(u32),
    /// Nobody here sends such: it would only show who listens how.
    #[error("report is not encrypted")]
    Unencrypted,
    #[error("report {index} is not above {newest}, the newest")]
    Replayed { index: u32, newest: u32 },
    #[error("datagram was not sealed with this key, SSRC and index")]
    Forged,
    #[error("AES failed, for want of memory")]
    Aes,
}

#[cfg(test)]
mod tests;
