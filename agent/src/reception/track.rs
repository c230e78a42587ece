//! One track of a grant: packets in, whole frames for the player out. Pure: time is handed in.

use std::time::Duration;

use alfarid_protocol::grant::{Codec, Track};
use alfarid_stream::{
    assemble::{Assembler, Config, KEPT_WAIT, Origin, Stats},
    index::nearest,
    restore::LATE_WAIT,
    rtp::Packet,
};
use bytes::Bytes;

use crate::feed::Frame;

/// What a packet of sound lasts.
const PACKET_OF_SOUND: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub struct TrackReceiver {
    track: Track,
    assembler: Assembler,
    first_live: Option<u64>,
    /// Of another stream than the grant's: a late packet of the one before, or noise.
    foreign: u64,
}

impl TrackReceiver {
    /// A packet that is missing may be repaired within the `playout` delay. One of a picture is
    /// waited for after that, as the pictures behind need it.
    pub fn new(track: Track, playout: Duration, now: Duration) -> Self {
        let codec = stream_codec(track.codec);
        let config =
            Config { reorder_wait: playout, kept_wait: codec.is_video().then_some(KEPT_WAIT) };
        let mut assembler = Assembler::new(codec, config, now);
        if codec.is_video() {
            assembler.set_late_wait(LATE_WAIT);
        }
        Self { assembler, track, first_live: None, foreign: 0 }
    }

    /// Sound is worth nothing after `delay`, and nothing that follows needs it. That a packet is
    /// missing shows by the next.
    pub(super) fn set_wait(&mut self, delay: Duration) {
        self.assembler.set_reorder_wait(delay.saturating_sub(PACKET_OF_SOUND));
    }

    /// Takes in what the box sent to the group, if it is of this track.
    pub fn live(&mut self, now: Duration, index: u64, packet: Packet) {
        if let Some(packet) = self.own(packet) {
            self.first_live.get_or_insert(index);
            self.assembler.push(now, index, packet, Origin::Live);
        }
    }

    /// Takes in one of the kept packets.
    pub fn kept(&mut self, now: Duration, index: u64, packet: &[u8]) {
        if let Some(packet) = self.plain(index, packet) {
            self.assembler.push(now, index, packet, Origin::Kept);
        }
    }

    /// Takes in what came through the tunnel, if it is of this track.
    pub(super) fn tunnelled(&mut self, now: Duration, index: u64, packet: &[u8]) {
        if let Some(packet) = self.plain(index, packet) {
            self.first_live.get_or_insert(index);
            self.assembler.push(now, index, packet, Origin::Live);
        }
    }

    /// A packet that came by TLS.
    fn plain(&mut self, index: u64, packet: &[u8]) -> Option<Packet> {
        let packet = Packet::parse(&Bytes::copy_from_slice(packet)).ok()?;
        let packet = self.own(packet)?;
        (nearest(index, packet.header.sequence) == index).then_some(packet)
    }

    fn own(&mut self, packet: Packet) -> Option<Packet> {
        let Track { ssrc, payload_type, .. } = self.track;
        let is_own = packet.header.ssrc == ssrc && packet.header.payload_type == payload_type;
        self.foreign += u64::from(!is_own);
        is_own.then_some(packet)
    }

    pub fn ssrc(&self) -> u32 {
        self.track.ssrc
    }

    pub fn kept_ended(&mut self) {
        self.assembler.kept_ended();
    }

    /// The next whole frame, until there is none.
    pub fn poll(&mut self, now: Duration) -> Option<Frame> {
        let frame = self.assembler.poll(now)?;
        Some(Frame {
            codec: self.track.codec,
            keyframe: frame.is_keyframe,
            catch_up: frame.catch_up,
            timestamp: frame.timestamp,
            // For whoever knows the box's clock to say.
            show_at: 0,
            data: frame.data,
        })
    }

    pub fn next_timeout(&self) -> Option<Duration> {
        self.assembler.next_timeout()
    }

    /// The first index that came from the group.
    pub fn first_live(&self) -> Option<u64> {
        self.first_live
    }

    /// Where the tunnel could go on.
    pub(super) fn goes_on_at(&self) -> Option<u64> {
        self.assembler.goes_on_at()
    }

    pub fn wants_keyframe(&self) -> bool {
        self.assembler.wants_keyframe()
    }

    pub fn stats(&self) -> Stats {
        self.assembler.stats()
    }
}

pub(super) fn stream_codec(codec: Codec) -> alfarid_stream::Codec {
    match codec {
        Codec::H264 => alfarid_stream::Codec::H264,
        Codec::Vp8 => alfarid_stream::Codec::Vp8,
        Codec::Opus => alfarid_stream::Codec::Opus,
    }
}
