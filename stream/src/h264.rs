//! H.264 in RTP ([RFC 6184](https://www.rfc-editor.org/rfc/rfc6184)), as far as a relay and a
//! receiver must understand it.
//!
//! Nothing is decoded here. [`units`] shows which NAL units a payload carries, [`ParameterSets`]
//! remembers SPS and PPS and packs them again, [`sps`] reads the picture's size, and
//! [`depacketise`] puts an access unit together. Packetization-mode 1 is understood: single NAL
//! units, STAP-A and FU-A. Every browser, OBS and `rtph264pay` send nothing else; the interleaved
//! types of mode 2 are refused.

mod bits;
mod depacketise;
mod parameter_sets;
pub mod sps;
mod units;

use thiserror::Error;

pub use self::{
    depacketise::{AccessUnit, depacketise},
    parameter_sets::{MAX_BYTES, ParameterSets},
    units::{Part, Unit, Units, units},
};

/// Why bytes are not H.264 as we understand it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Error {
    #[error("H.264 payload ends inside a NAL unit")]
    Truncated,
    #[error("H.264 payload of type {0} is not of packetization-mode 1")]
    Unsupported(u8),
    #[error("H.264 fragment goes on or ends where none began")]
    StrayFragment,
    #[error("H.264 fragment has no end")]
    OpenFragment,
    #[error("H.264 access unit without a NAL unit")]
    Empty,
    #[error("H.264 parameter set cannot be read")]
    ParameterSet,
    #[error("H.264 parameter sets are larger than {MAX_BYTES} bytes together")]
    ParameterSetsTooLarge,
}

/// What a NAL unit is (H.264 table 7-1): its type, the low five bits of its first byte.
pub mod kind {
    /// A slice of a picture that refers to others.
    pub const SLICE: u8 = 1;
    /// A slice of an IDR picture: decoding can start here.
    pub const IDR: u8 = 5;
    pub const SEI: u8 = 6;
    pub const SPS: u8 = 7;
    pub const PPS: u8 = 8;
    /// Access unit delimiter: the first of its access unit, if there.
    pub const DELIMITER: u8 = 9;

    /// RFC 6184 §5.7.1: several NAL units in one packet.
    pub(super) const STAP_A: u8 = 24;
    /// RFC 6184 §5.8: one NAL unit over several packets.
    pub(super) const FU_A: u8 = 28;
}
