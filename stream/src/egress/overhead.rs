//! What a copy of the stream costs on the wire beside its payload, as measured.
//!
//! For whoever reckons beforehand what a network must carry; nothing here steers a lesson. The
//! laboratory holds these figures to what is really sent (`lab/broadcast/tests`).

/// In percent of the payload: headers of RTP, UDP and IP, seals, manifests, heartbeats, parity and
/// what is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overhead {
    /// One copy for a whole class: every machine loses something else, and all of it is mended.
    pub multicast: u64,
    /// The copy of a machine that receives alone.
    pub alone: u64,
}

impl Overhead {
    /// Nothing gets lost.
    pub const CALM: Self = Self { multicast: 10, alone: 10 };

    /// One packet in twenty gets lost on the way to each machine, of fifty.
    pub const LOSSY: Self = Self { multicast: 32, alone: 24 };
}

/// What so many bits of payload are on the wire.
pub fn on_wire(payload_bps: u64, percent: u64) -> u64 {
    payload_bps.saturating_mul(100 + percent) / 100
}
