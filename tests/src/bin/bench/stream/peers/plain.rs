//! The pictures of a run as plain RTP: what peers protect, and by which they are judged.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use alfarid_stream::{
    Codec,
    assemble::{Assembler, Config, Origin},
    lab::Network,
    rtp::Packet,
    transmit::HEADERS,
};
use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use gstreamer as gst;

use super::super::{run::Run, weather::Climate, witness::Picture};

/// Peers get a payload type of their own for parity; the stream's own must be another.
pub(super) const MEDIA: u8 = 96;

/// A packet of the stream.
pub(super) struct Plain {
    pub(super) at: Duration,
    pub(super) packet: Packet,
    pub(super) datagram: Bytes,
}

pub(super) struct Stream {
    pub(super) packets: Vec<Plain>,
    pub(super) pictures: Vec<Picture>,
    pub(super) ssrc: u32,
    /// When each picture is shown.
    due: BTreeMap<u32, Duration>,
    playout: Duration,
    places: HashMap<(u32, Bytes), usize>,
}

/// A packet of the stream, by its place in it, and when a machine has it.
pub(super) type Arrival = (Duration, usize);

impl Stream {
    /// From the first keyframe on: before it nobody shows anything.
    pub(super) fn of(run: &Run) -> Result<Self> {
        let witness = &run.outcome.witness;
        let start = run.pictures.iter().position(|picture| picture.is_keyframe);
        let pictures = run.pictures[start.context("a keyframe")?..].to_vec();
        let due: BTreeMap<_, _> =
            pictures.iter().map(|picture| (picture.rtp_time, picture.due)).collect();
        let own =
            witness.packets.iter().filter(|aired| due.contains_key(&aired.packet.header.timestamp));
        let packets: Vec<_> = own
            .map(|aired| {
                let mut packet = aired.packet.clone();
                packet.header.payload_type = MEDIA;
                let mut datagram = Vec::with_capacity(packet.size());
                packet.write(&mut datagram);
                Plain { at: aired.at, packet, datagram: datagram.into() }
            })
            .collect();
        let key = |plain: &Plain| (plain.packet.header.timestamp, plain.packet.payload.clone());
        let places: HashMap<_, _> = packets.iter().map(key).zip(0..).collect();
        ensure!(places.len() == packets.len(), "no two packets of the stream are the same");
        let ssrc = packets.first().context("a packet")?.packet.header.ssrc;
        Ok(Self { packets, pictures, ssrc, due, playout: witness.playout, places })
    }

    /// IP bytes of all of it.
    pub(super) fn bytes(&self) -> usize {
        self.packets.iter().map(|plain| plain.datagram.len() + HEADERS).sum()
    }

    /// Which packet of the stream this datagram is, to the last byte of its payload.
    pub(super) fn place(&self, datagram: &Bytes) -> Option<usize> {
        let packet = Packet::parse(datagram).ok()?;
        self.places.get(&(packet.header.timestamp, packet.payload)).copied()
    }

    /// When what is in a packet of that RTP time is shown.
    pub(super) fn due(&self, rtp_time: u32) -> Option<Duration> {
        self.due.get(&rtp_time).copied()
    }

    /// When each picture is whole on a machine that has these packets.
    pub(super) fn whole(&self, mut arrivals: Vec<Arrival>) -> HashMap<u32, Duration> {
        arrivals.sort_unstable();
        let config = Config { reorder_wait: self.playout, kept_wait: None };
        let mut assembler = Assembler::new(Codec::H264, config, Duration::ZERO);
        let mut whole = HashMap::new();
        let mut poll = |assembler: &mut Assembler, now| {
            while let Some(frame) = assembler.poll(now) {
                whole.insert((frame.timestamp & 0xffff_ffff) as u32, now);
            }
        };
        for (at, place) in arrivals {
            while let Some(timeout) = assembler.next_timeout().filter(|timeout| *timeout < at) {
                poll(&mut assembler, timeout);
            }
            if let Some(plain) = self.packets.get(place) {
                assembler.push(at, place as u64, plain.packet.clone(), Origin::Live);
            }
            poll(&mut assembler, at);
        }
        whole
    }
}

#[cfg(test)]
impl Stream {
    /// So many packets, ten a picture, 30 pictures a second.
    pub(super) fn of_noise(count: u32) -> Self {
        let mut random = alfarid_stream::lab::Random::new(3);
        let mut packet = |number: u32| {
            let noise = (0..125).flat_map(|_| random.next().to_be_bytes()).collect::<Vec<u8>>();
            let header = alfarid_stream::rtp::Header {
                marker: number % 10 == 9,
                payload_type: MEDIA,
                sequence: u16::try_from(number).unwrap(),
                timestamp: number / 10 * 3_000,
                ssrc: 5,
            };
            let packet = Packet { header, payload: noise.into() };
            let mut datagram = Vec::new();
            packet.write(&mut datagram);
            let at = Duration::from_millis(u64::from(number / 10) * 33);
            Plain { at, packet, datagram: datagram.into() }
        };
        let packets: Vec<Plain> = (0..count).map(&mut packet).collect();
        let due = |plain: &Plain| (plain.packet.header.timestamp, plain.at + PLAYOUT);
        let key = |plain: &Plain| (plain.packet.header.timestamp, plain.packet.payload.clone());
        Self {
            due: packets.iter().map(due).collect(),
            places: packets.iter().map(key).zip(0..).collect(),
            packets,
            pictures: Vec::new(),
            ssrc: 5,
            playout: PLAYOUT,
        }
    }
}

#[cfg(test)]
const PLAYOUT: Duration = Duration::from_millis(250);

/// Of RTP with this payload type.
pub(super) fn caps(payload_type: u8, ssrc: u32) -> gst::Caps {
    gst::Caps::builder("application/x-rtp")
        .field("media", "video")
        .field("encoding-name", "H264")
        .field("clock-rate", 90_000)
        .field("payload", i32::from(payload_type))
        .field("ssrc", ssrc)
        .build()
}

/// What a machine of this number gets of what is sent at these times: the weather, and the seed of
/// its losses, are those that its like had in the run.
pub(super) fn arrivals(
    climate: Climate,
    number: usize,
    sent: impl Iterator<Item = Duration>,
) -> Vec<Option<Duration>> {
    let place = climate.place(number);
    let mut network = Network::new(place.downlink, place.seed);
    sent.map(|at| network.carry(at).first().copied()).collect()
}
