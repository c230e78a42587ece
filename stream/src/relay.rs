//! One outgoing track: packets of changing sources in, one unbroken RTP stream out.
//!
//! A source is a publication's track: a browser that may reload, reconnect, lose packets, change
//! its picture's size. What leaves has one SSRC, one payload type, sequence numbers without gaps,
//! timestamps that go on, and never a frame that a decoder could not decode. So it can be sent to a
//! group, kept, and recorded alike, and no receiver ever learns of a change of source.
//!
//! Each source has a gate:
//!
//! ```text
//!                first keyframe: takes the track over
//!   announce ──▶ CLOSED ─────────────────────────▶ OPEN ──▶ numbered, sent
//!                  ▲   (drops all, learns SPS/PPS)   │
//!                  └──── loss, unreadable payload ───┘
//! ```
//!
//! Rules:
//! - A gate opens only at the first packet of a keyframe. The present source goes on until an
//!   announced one's gate opens; from then on its packets are dropped. Sound knows no gates.
//!   Announced sources do not stand in each other's way: each takes over at its own keyframe.
//! - **A frame cut short is never continued.** When the head of a frame was sent and the rest is
//!   lost, the next packet sent starts a keyframe: the numbers go on, but the timestamp changes and
//!   no marker came. Receivers drop such a frame by that (see [`assemble`](crate::assemble)), and
//!   nothing that follows it refers to it.
//! - Before an IDR access unit that does not carry SPS and PPS, the newest known ones are repeated
//!   in one STAP-A packet. Without any, the gate stays closed: no decoder could start there.
//! - What precedes the slices of an H.264 access unit (delimiter, SPS, PPS, SEI) waits for the
//!   first slice, which follows in the same instant: only that shows what the access unit is.
//!   Parameter sets sent as an access unit of their own travel with the picture that follows.
//! - Every VP8 packet gets a `PictureID` of 15 bits that counts the sent frames; `TL0PICIDX` is
//!   shifted so that it goes on. Packets without payload (a browser's probes) are dropped.
//! - At a change of source, the timestamp goes on by the time that passed.
//!
//! A publisher must mark the last packet of each frame, as RFC 6184 §5.1 and RFC 7741 §4.1 want it:
//! the frames of one that does not would all look cut short.

mod feed;
mod h264;
mod numbering;
mod vp8;

use std::{sync::Arc, time::Duration};

use self::{
    feed::{Feed, Passed},
    numbering::Numbering,
};
use crate::{
    codec::{Codec, Size},
    h264::ParameterSets,
    reorder::Ordered,
    rtcp::SenderReport,
    rtp::Packet,
};

/// Sources that may be announced at a time: the next publication, and the present one that starts
/// over meanwhile. Full: the one announced first is forgotten.
pub const MAX_ANNOUNCED: usize = 2;

/// A name for one source of a track, chosen by the caller and not used twice for one relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SourceId(pub u64);

/// How the outgoing stream is numbered. The random values come from outside (RFC 3550 §5.1).
#[derive(Clone, Copy, Debug)]
pub struct Outgoing {
    pub codec: Codec,
    pub ssrc: u32,
    pub payload_type: u8,
    /// Index of the first packet. Random below 2^15: then no receiver can take the numbers before
    /// the first roll-over for the ones after it (RFC 3711 §3.3.1).
    pub first_index: u64,
    pub first_timestamp: u32,
}

/// One packet as it goes on air.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// 48 bits; the low 16 are the sequence number. Each is one more than the one before.
    pub index: u64,
    pub packet: Packet,
    /// On the first packet of a keyframe: what a decoder is in for.
    pub keyframe: Option<Keyframe>,
}

/// Says that a keyframe starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyframe {
    pub format: Arc<Format>,
    /// The format differs from the last keyframe's, or this is the first: a recording starts a new
    /// segment here.
    pub is_new_format: bool,
}

/// What a decoder or a file must know before the first picture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Format {
    /// `None` when the bytes that say it could not be read.
    pub size: Option<Size>,
    /// H.264 only, and then complete.
    pub parameter_sets: Option<ParameterSets>,
}

/// What happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Packets sent.
    pub packets: u64,
    /// Payload bytes sent, as RFC 3550 §6.4.1 counts them.
    pub octets: u64,
    /// Packets that a closed gate dropped: nobody could have decoded them.
    pub held_back: u64,
    /// Packets whose payload could not be read. Each closes the gate as a loss does.
    pub malformed: u64,
    /// STAP-A packets that were put before an IDR access unit.
    pub parameter_sets_repeated: u64,
}

/// The state of one outgoing track. It has one codec for life.
#[derive(Debug)]
pub struct Relay {
    codec: Codec,
    /// The source on air.
    present: Option<Feed>,
    /// Those that take over at their first keyframe, in the order of their announcement. At most
    /// [`MAX_ANNOUNCED`].
    announced: Vec<Feed>,
    numbering: Numbering,
    format: Option<Arc<Format>>,
    stats: Stats,
}

impl Relay {
    pub fn new(outgoing: Outgoing) -> Self {
        Self {
            codec: outgoing.codec,
            present: None,
            announced: Vec::with_capacity(MAX_ANNOUNCED),
            numbering: Numbering::new(outgoing),
            format: None,
            stats: Stats::default(),
        }
    }

    /// Announces a source. It takes over at its first keyframe (sound: at its first packet); until
    /// then the present one goes on. One that is announced already begins anew.
    pub fn announce(&mut self, source: SourceId) {
        self.announced.retain(|feed| feed.source != source);
        if self.announced.len() == MAX_ANNOUNCED {
            self.announced.remove(0);
        }
        self.announced.push(Feed::new(self.codec, source));
    }

    /// Forgets a source. If it was on air, the track is silent until another takes over.
    pub fn withdraw(&mut self, source: SourceId) {
        self.present.take_if(|feed| feed.source == source);
        self.announced.retain(|feed| feed.source != source);
    }

    /// Takes what a source's [`Reorder`](crate::reorder::Reorder) gives, and gives what goes on air
    /// because of it, in order: often one packet, sometimes none or a few. What comes from a source
    /// that is neither on air nor announced is dropped.
    pub fn push(&mut self, now: Duration, source: SourceId, ordered: Ordered) -> Vec<Sent> {
        let mut feeds = self.present.iter_mut().chain(&mut self.announced);
        let Some(feed) = feeds.find(|feed| feed.source == source) else { return Vec::new() };
        let passed = feed.push(ordered, &mut self.stats);
        if let Some(first) = passed.first()
            && let Some(announced) = self.announced.iter().position(|feed| feed.source == source)
        {
            self.numbering.change_source(now, first.packet.header.timestamp);
            self.present = Some(self.announced.remove(announced));
        }
        passed.into_iter().map(|passed| self.send(now, passed)).collect()
    }

    /// The source on air.
    pub fn source(&self) -> Option<SourceId> {
        self.present.as_ref().map(|feed| feed.source)
    }

    /// The outgoing timestamp of what has `timestamp` at this source: so its sender reports are
    /// read in the track's own time. `None` while the source is not on air.
    pub fn outgoing(&self, source: SourceId, timestamp: u32) -> Option<u32> {
        self.source().filter(|present| *present == source)?;
        Some(self.numbering.outgoing(timestamp))
    }

    /// Nothing of this source can be sent before its next keyframe. Never so for sound.
    pub fn wants_keyframe(&self, source: SourceId) -> bool {
        let mut feeds = self.present.iter().chain(&self.announced);
        feeds.any(|feed| feed.source == source && feed.is_closed())
    }

    /// Index of the packet that is sent next.
    pub fn next_index(&self) -> u64 {
        self.numbering.next_index()
    }

    /// The sender report for this moment; `ntp` is the same moment as NTP writes it (seconds since
    /// 1900 in the upper half, their fraction in the lower). `None` before the first packet.
    pub fn report(&self, now: Duration, ntp: u64) -> Option<SenderReport> {
        Some(SenderReport {
            ssrc: self.numbering.ssrc(),
            ntp,
            timestamp: self.numbering.timestamp_at(now)?,
            // RFC 3550 §6.4.1 counts modulo 2^32.
            packets: (self.stats.packets & 0xffff_ffff) as u32,
            octets: (self.stats.octets & 0xffff_ffff) as u32,
        })
    }

    pub fn stats(&self) -> Stats {
        self.stats
    }

    fn send(&mut self, now: Duration, passed: Passed) -> Sent {
        let keyframe = passed.keyframe.clone().map(|format| self.keyframe(format));
        let (index, packet) = self.numbering.number(now, passed);
        self.stats.packets += 1;
        self.stats.octets += packet.payload.len() as u64;
        Sent { index, packet, keyframe }
    }

    fn keyframe(&mut self, format: Format) -> Keyframe {
        match &self.format {
            Some(last) if **last == format => {
                Keyframe { format: Arc::clone(last), is_new_format: false }
            }
            _ => {
                let format = Arc::new(format);
                self.format = Some(Arc::clone(&format));
                Keyframe { format, is_new_format: true }
            }
        }
    }
}

#[cfg(test)]
mod tests;
