//! What went on air, as it arrives where no weather has had its say: each packet of the streams,
//! opened, and when the box says that its picture is due.
//!
//! The pictures that peers are given are these.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use alfarid_protocol::grant::Grant;
use alfarid_stream::{
    Codec,
    block::{Heartbeat, Kind, VerifyingKey},
    epoch::Epoch,
    h264,
    index::Sequence,
    playout::Pair,
    rtp::{Header, Packet},
    srtp::Keyring,
    transmit::{HEADERS, Lane},
};
use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use classroom::line::Told;

#[derive(Debug)]
pub(super) struct Witness {
    keyring: Keyring,
    signer: VerifyingKey,
    video: u32,
    sequences: BTreeMap<u32, Sequence>,
    /// The next index of each stream: what is not seen here the crowd itself has lost.
    next: BTreeMap<u32, u64>,
    /// Packets of the picture, in their order.
    pub(super) packets: Vec<Aired>,
    /// IP bytes of each source packet, were it plain RTP.
    pub(super) plain: Vec<(Duration, usize)>,
    /// What repairs them, as it went on air.
    repair: Vec<(Duration, Kind, usize)>,
    pairs: Vec<Pair>,
    /// The ends of packets that name the key they are sealed with (RFC 3711 §3.1).
    keys: BTreeSet<[u8; 2]>,
    /// The largest that was said.
    pub(super) playout: Duration,
}

/// A packet of the picture.
#[derive(Clone, Debug)]
pub(super) struct Aired {
    pub(super) at: Duration,
    pub(super) packet: Packet,
}

/// A picture that went on air.
#[derive(Clone, Copy, Debug)]
pub(super) struct Picture {
    pub(super) rtp_time: u32,
    /// When its first packet was on air.
    pub(super) at: Duration,
    /// When it is shown: B + D.
    pub(super) due: Duration,
    pub(super) is_keyframe: bool,
}

impl Witness {
    pub(super) fn new(grant: &Grant) -> Result<Self> {
        let video = grant.video.as_ref().context("a picture")?;
        ensure!(video.clock_rate == 90_000, "a clock of {} Hz", video.clock_rate);
        Ok(Self {
            keyring: Keyring::new(),
            signer: VerifyingKey::new(&grant.protection.signer)?,
            video: video.ssrc,
            sequences: BTreeMap::new(),
            next: BTreeMap::new(),
            packets: Vec::new(),
            plain: Vec::new(),
            repair: Vec::new(),
            pairs: Vec::new(),
            keys: BTreeSet::new(),
            playout: Duration::ZERO,
        })
    }

    /// Takes keys, streams and their indices from what a machine is told.
    pub(super) fn hear(&mut self, told: &Told) -> Result<()> {
        let epochs = match told {
            Told::Grant(grant) => {
                for track in grant.video.iter().chain(&grant.audio) {
                    let near = || Sequence::near(track.next_index);
                    self.sequences.entry(track.ssrc).or_insert_with(near);
                }
                &grant.protection.epochs[..]
            }
            Told::Epoch(_, epoch) => std::slice::from_ref(epoch),
            Told::Kept(_) | Told::LeaveGroup(_) => &[],
        };
        for epoch in epochs {
            let (key, salt) = (*epoch.key.bytes(), *epoch.salt.bytes());
            self.keyring.add(&Epoch { number: epoch.number, key, salt })?;
        }
        Ok(())
    }

    /// Sees a datagram of the group. Gives stream and index of one of the streams' own.
    pub(super) fn see(
        &mut self,
        now: Duration,
        lane: Lane,
        datagram: &Bytes,
    ) -> Result<Option<(u32, u64)>> {
        if lane == Lane::Repair {
            let kind = Kind::of(datagram).context("a datagram of the repair lane")?;
            self.repair.push((now, kind, datagram.len() + HEADERS));
            if kind == Kind::Heartbeat {
                let heartbeat = Heartbeat::parse(datagram)?.verify(&self.signer)?;
                self.playout = self.playout.max(heartbeat.playout());
                self.pairs.extend(heartbeat.pair(self.video));
            }
            return Ok(None);
        }
        let Header { ssrc, sequence, .. } = Header::parse(datagram)?;
        // Of a stream that no grant has told of yet.
        let Some(sequences) = self.sequences.get_mut(&ssrc) else { return Ok(None) };
        let index = sequences.index(sequence).context("an index")?;
        let expected = self.next.insert(ssrc, index + 1).unwrap_or(index);
        ensure!(index == expected, "the crowd lost packets {expected} to {index} by itself");
        let packet = self.keyring.open(datagram, index)?;
        self.keys.extend(datagram.last_chunk());
        self.plain.push((now, packet.size() + HEADERS));
        if ssrc == self.video {
            self.packets.push(Aired { at: now, packet });
        }
        Ok(Some((ssrc, index)))
    }

    /// How many keys the lesson has had.
    pub(super) fn keys_used(&self) -> usize {
        self.keys.len()
    }

    /// The pictures that went on air between these times, in their order.
    pub(super) fn pictures(&self, from: Duration, until: Duration) -> Vec<Picture> {
        let mut pictures: Vec<Picture> = Vec::new();
        for Aired { at, packet, .. } in &self.packets {
            let rtp_time = packet.header.timestamp;
            let opens = opens_keyframe(&packet.payload);
            match pictures.last_mut() {
                Some(last) if last.rtp_time == rtp_time => last.is_keyframe |= opens,
                _ => pictures.push(Picture {
                    rtp_time,
                    at: *at,
                    due: self.base(*at, rtp_time) + self.playout,
                    is_keyframe: opens,
                }),
            }
        }
        pictures.retain(|picture| (from..until).contains(&picture.at));
        pictures
    }

    /// B, as the heartbeat before it said; before the first one, as that one did.
    fn base(&self, at: Duration, rtp_time: u32) -> Duration {
        let known = self.pairs.partition_point(|pair| pair.box_time <= at);
        let Some(pair) = self.pairs.get(known.saturating_sub(1)) else { return at };
        pair.box_time_of(Codec::H264, rtp_time)
    }

    /// IP bytes of this kind that went to all between these times, and in how many datagrams.
    pub(super) fn repair_bytes(
        &self,
        kind: Kind,
        from: Duration,
        until: Duration,
    ) -> (usize, usize) {
        let within =
            self.repair.iter().filter(|(at, own, _)| *own == kind && (from..until).contains(at));
        within.fold((0, 0), |(sum, count), (_, _, bytes)| (sum + bytes, count + 1))
    }

    /// IP bytes of the same streams as plain RTP, between these times.
    pub(super) fn plain_bytes(&self, from: Duration, until: Duration) -> usize {
        let within = self.plain.iter().filter(|(at, _)| (from..until).contains(at));
        within.map(|(_, bytes)| bytes).sum()
    }
}

fn opens_keyframe(payload: &[u8]) -> bool {
    h264::units(payload)
        .is_ok_and(|mut units| units.any(|unit| unit.is_whole() && unit.kind() == h264::kind::SPS))
}
