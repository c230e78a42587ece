//! What one source sends, up to its gate.

use super::{Format, SourceId, Stats, h264, vp8};
use crate::{codec::Codec, reorder::Ordered, rtp::Packet, vp8::Descriptor};

/// A packet that passed its source's gate, still with the source's numbers.
#[derive(Debug, Default)]
pub(super) struct Passed {
    pub packet: Packet,
    /// On the first packet of a keyframe.
    pub keyframe: Option<Format>,
    /// VP8 only.
    pub vp8: Option<Vp8>,
}

/// What a VP8 packet is renumbered by.
#[derive(Debug)]
pub(super) struct Vp8 {
    /// Taken off the payload.
    pub descriptor: Descriptor,
    /// The gate opened here: what the source counts does not go on from the last packet sent.
    pub is_opening: bool,
}

/// The payload cannot be read.
#[derive(Debug)]
pub(super) struct Malformed;

/// One source of a track.
#[derive(Debug)]
pub(super) struct Feed {
    pub source: SourceId,
    gate: Gate,
}

#[derive(Debug)]
enum Gate {
    H264(h264::Gate),
    Vp8(vp8::Gate),
    /// Each packet of sound stands for itself.
    Opus,
}

impl Feed {
    pub(super) fn new(codec: Codec, source: SourceId) -> Self {
        let gate = match codec {
            Codec::H264 => Gate::H264(h264::Gate::default()),
            Codec::Vp8 => Gate::Vp8(vp8::Gate::default()),
            Codec::Opus => Gate::Opus,
        };
        Self { source, gate }
    }

    /// What passes because of this packet or loss, in order.
    pub(super) fn push(&mut self, ordered: Ordered, stats: &mut Stats) -> Vec<Passed> {
        let packet = match ordered {
            Ordered::Packet(packet) => packet,
            Ordered::Lost(_) => {
                self.close(stats);
                return Vec::new();
            }
        };
        if packet.payload.is_empty() {
            return Vec::new();
        }
        let passed = match &mut self.gate {
            Gate::H264(gate) => gate.push(packet, stats),
            Gate::Vp8(gate) => gate.push(packet, stats),
            Gate::Opus => Ok(vec![Passed { packet, ..Passed::default() }]),
        };
        passed.unwrap_or_else(|Malformed| {
            stats.malformed += 1;
            self.close(stats);
            Vec::new()
        })
    }

    pub(super) fn is_closed(&self) -> bool {
        match &self.gate {
            Gate::H264(gate) => gate.is_closed(),
            Gate::Vp8(gate) => gate.is_closed(),
            Gate::Opus => false,
        }
    }

    fn close(&mut self, stats: &mut Stats) {
        match &mut self.gate {
            Gate::H264(gate) => gate.close(stats),
            Gate::Vp8(gate) => gate.close(),
            Gate::Opus => {}
        }
    }
}
