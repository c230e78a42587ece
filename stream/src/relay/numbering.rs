//! The numbers of the outgoing stream.

use std::time::Duration;

use bytes::{BufMut, BytesMut};

use super::{
    Outgoing,
    feed::{Passed, Vp8},
};
use crate::{
    index::MAX_INDEX,
    rtp::Packet,
    vp8::{Descriptor, PictureId},
};

/// The least time between the last frame of one source and the first of the next: an Opus packet,
/// and less than a frame of video.
const MIN_STEP: Duration = Duration::from_millis(20);

/// `PictureID` has 15 bits (RFC 7741 §4.2).
const PICTURE_IDS: u16 = 1 << 15;

/// Gives each packet its place in the outgoing stream.
#[derive(Debug)]
pub(super) struct Numbering {
    outgoing: Outgoing,
    next_index: u64,
    /// What is added to the present source's timestamps, modulo 2^32.
    timestamp_offset: u32,
    /// When the newest frame started, and its outgoing timestamp.
    newest: Option<(Duration, u32)>,
    /// Of the newest frame.
    picture_id: u16,
    /// The newest outgoing `TL0PICIDX`, and what is added to the source's, modulo 2^8.
    tl0_pic_idx: u8,
    tl0_offset: u8,
}

impl Numbering {
    pub(super) fn new(outgoing: Outgoing) -> Self {
        Self {
            outgoing,
            next_index: outgoing.first_index & MAX_INDEX,
            timestamp_offset: 0,
            newest: None,
            picture_id: 0,
            tl0_pic_idx: 0,
            tl0_offset: 0,
        }
    }

    pub(super) fn next_index(&self) -> u64 {
        self.next_index
    }

    pub(super) fn ssrc(&self) -> u32 {
        self.outgoing.ssrc
    }

    /// The RTP time of this moment, `None` before the first packet.
    pub(super) fn timestamp_at(&self, now: Duration) -> Option<u32> {
        let (at, timestamp) = self.newest?;
        Some(timestamp.wrapping_add(self.outgoing.codec.ticks(now.saturating_sub(at))))
    }

    /// A timestamp of the present source as it goes on air.
    pub(super) fn outgoing(&self, timestamp: u32) -> u32 {
        timestamp.wrapping_add(self.timestamp_offset)
    }

    /// A source takes over whose first frame has `timestamp` and starts now.
    pub(super) fn change_source(&mut self, now: Duration, timestamp: u32) {
        let outgoing = match self.newest {
            None => self.outgoing.first_timestamp,
            Some((at, newest)) => {
                let passed = now.saturating_sub(at).max(MIN_STEP);
                newest.wrapping_add(self.outgoing.codec.ticks(passed))
            }
        };
        self.timestamp_offset = outgoing.wrapping_sub(timestamp);
    }

    /// The packet as it goes on air, with its index.
    pub(super) fn number(&mut self, now: Duration, passed: Passed) -> (u64, Packet) {
        let mut packet = passed.packet;
        let index = self.next_index;
        self.next_index = (index + 1) & MAX_INDEX;
        let header = &mut packet.header;
        header.ssrc = self.outgoing.ssrc;
        header.payload_type = self.outgoing.payload_type;
        header.sequence = (index & 0xffff) as u16;
        header.timestamp = header.timestamp.wrapping_add(self.timestamp_offset);
        if self.newest.is_none_or(|(_, newest)| newest != header.timestamp) {
            self.newest = Some((now, header.timestamp));
        }
        if let Some(vp8) = passed.vp8 {
            let descriptor = self.renumber(vp8);
            let mut payload = BytesMut::with_capacity(Descriptor::MAX + packet.payload.len());
            descriptor.write(&mut payload);
            payload.put_slice(&packet.payload);
            packet.payload = payload.freeze();
        }
        (index, packet)
    }

    fn renumber(&mut self, Vp8 { mut descriptor, is_opening }: Vp8) -> Descriptor {
        if descriptor.starts_frame() {
            self.picture_id = (self.picture_id + 1) % PICTURE_IDS;
        }
        descriptor.picture_id = Some(PictureId::Long(self.picture_id));
        if let Some(source) = descriptor.tl0_pic_idx {
            if is_opening {
                self.tl0_offset = self.tl0_pic_idx.wrapping_add(1).wrapping_sub(source);
            }
            self.tl0_pic_idx = source.wrapping_add(self.tl0_offset);
            descriptor.tl0_pic_idx = Some(self.tl0_pic_idx);
        }
        descriptor
    }
}
