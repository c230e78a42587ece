//! The pictures and the sound of a protected lesson.

use std::time::Duration;

use bytes::Bytes;

use super::{Event, Lesson, OnAir, Sent, VIDEO};
use crate::{
    rtp::{Header, Packet},
    transmit::{HEADERS, Lane},
};

/// What sealing adds: tag and MKI.
const SEAL: usize = 18;
/// Payload of a video packet.
const PAYLOAD: usize = 1_180;

impl Lesson {
    /// A picture every 30th of a second, every 120th a large one.
    pub(super) fn picture(&mut self, now: Duration) {
        let usual = self.plan.video / 8 / 30;
        let varied = usual / 2 + usize::try_from(self.random.below(usual as u64)).unwrap();
        let bytes = if self.pictures.is_multiple_of(120) { usual * 6 } else { varied * 115 / 120 };
        let packets = bytes.div_ceil(PAYLOAD).max(1);
        for number in 0..packets {
            let header = Header {
                ssrc: VIDEO,
                marker: number + 1 == packets,
                payload_type: 96,
                timestamp: u32::try_from(self.pictures).unwrap() * 3_000,
                ..Header::default()
            };
            // Paced: a large one takes its time.
            let at = now + Duration::from_micros(250) * u32::try_from(number).unwrap();
            self.plan_at(at, Event::Packet(Lane::Video, bytes / packets, header));
        }
        self.pictures += 1;
        if now < self.plan.length {
            let next = Duration::from_micros(33_333) * u32::try_from(self.pictures).unwrap();
            self.plan_at(next, Event::Picture);
        }
    }

    pub(super) fn packet(&mut self, now: Duration, lane: Lane, size: usize, header: Header) {
        let stream = usize::from(lane == Lane::Sound);
        let index = self.next[stream];
        self.next[stream] += 1;
        let sequence = u16::try_from(index & 0xffff).unwrap();
        let sealed: Vec<u8> =
            (0..(size + SEAL).div_ceil(8)).flat_map(|_| self.random.next().to_be_bytes()).collect();
        let payload = Bytes::from(sealed).slice(..size + SEAL);
        let packet = Packet { header: Header { sequence, ..header }, payload };
        let mut datagram = Vec::new();
        packet.write(&mut datagram);
        let datagram = Bytes::from(datagram);
        self.numbers.insert((header.ssrc, index), self.sent.len());
        let picture = (lane == Lane::Video).then(|| self.pictures - 1);
        self.sent.push(Sent { at: now, picture, datagram: datagram.clone() });
        let plain = datagram.len() - SEAL + HEADERS;
        self.on_air.push(OnAir { at: now, bytes: 0, plain });
        if let Some((hostile, _)) = &mut self.hostile {
            hostile.earn(plain);
        }
        self.protect.push(now, lane, index, datagram).unwrap();
        self.run_box(now);
    }
}
