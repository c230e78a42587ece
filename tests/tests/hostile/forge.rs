//! What the hostile machine makes: all kinds of datagrams that the box sends, as they would be if
//! it could sign.
//!
//! It knows the product by heart and has the group's key, so its pictures and its sound are sealed as
//! the box's are, at the next indices and times. Its picture shows a counter of its own: shown
//! anywhere, it would be known.

use std::collections::VecDeque;

use alfarid_protocol::grant::{EpochKey, Grant};
use alfarid_stream::{
    block::{
        Claim, Entries, Entry, Error, Heartbeat, Kind, Manifest, Parity, SigningKey, digest_of,
    },
    epoch::Epoch,
    index::Sequence,
    lab::Random,
    rtp::{Header, Packet},
    srtp::Sealer,
    transmit::Lane,
};
use anyhow::{Context, Result};
use aws_lc_rs::signature::Ed25519KeyPair;
use bytes::Bytes;

/// Of each lane, and of all: what it sends again is up to a second old.
const REMEMBERED: usize = 600;
const FRAME: u32 = 3_000;

/// A stream as it is heard.
struct Heard {
    sequences: Sequence,
    index: u64,
    header: Header,
}

pub(crate) struct Forge {
    pub(crate) grant: Grant,
    epoch: Epoch,
    key: SigningKey,
    random: Random,
    turn: usize,
    /// The NAL units of the picture that is to be seen.
    picture: Vec<Vec<u8>>,
    video: Option<Heard>,
    audio: Option<Heard>,
    manifest: Option<Manifest>,
    parity: Option<Parity>,
    heartbeat: Option<Heartbeat>,
    heard: VecDeque<(Lane, Bytes)>,
}

impl Forge {
    pub(crate) fn new(grant: Grant, picture: Vec<Vec<u8>>) -> Result<Self> {
        let epoch = grant.protection.epochs.first().map(epoch).context("a key of the group")?;
        let key = SigningKey::new(Ed25519KeyPair::from_seed_unchecked(&[13; 32])?);
        Ok(Self {
            grant,
            epoch,
            key,
            random: Random::new(7),
            turn: 0,
            picture,
            video: None,
            audio: None,
            manifest: None,
            parity: None,
            heartbeat: None,
            heard: VecDeque::new(),
        })
    }

    pub(crate) fn hear(&mut self, lane: Lane, datagram: &Bytes) {
        fn read<T: Clone>(claim: Result<Claim<T>, Error>) -> Option<T> {
            claim.ok().map(|claim| claim.unverified().clone())
        }
        match (lane, Kind::of(datagram)) {
            (Lane::Repair, Some(Kind::Manifest)) => self.manifest = read(Manifest::parse(datagram)),
            (Lane::Repair, Some(Kind::Parity)) => self.parity = read(Parity::parse(datagram)),
            (Lane::Repair, Some(Kind::Heartbeat)) => {
                self.heartbeat = read(Heartbeat::parse(datagram));
            }
            (Lane::Video, None) => self.follow(datagram, true),
            (Lane::Sound, None) => self.follow(datagram, false),
            _ => {}
        }
        self.heard.push_back((lane, datagram.clone()));
        self.heard.drain(..self.heard.len().saturating_sub(REMEMBERED));
    }

    fn follow(&mut self, datagram: &Bytes, is_video: bool) {
        let Ok(header) = Header::parse(datagram) else { return };
        let (track, stream) = if is_video {
            (self.grant.video.as_ref(), &mut self.video)
        } else {
            (self.grant.audio.as_ref(), &mut self.audio)
        };
        let Some(track) = track.filter(|track| track.ssrc == header.ssrc) else { return };
        let index = track.next_index;
        let new = || Heard { sequences: Sequence::near(index), index, header };
        let heard = stream.get_or_insert_with(new);
        if let Some(index) = heard.sequences.index(header.sequence) {
            (heard.index, heard.header) = (index, header);
        }
    }

    /// What goes to the group next, kind after kind; nothing where it has not heard enough yet.
    pub(crate) fn next(&mut self) -> Vec<(Lane, Bytes)> {
        self.turn += 1;
        let made = match self.turn % 12 {
            0 => self.picture_ahead(),
            1 => self.double(),
            2 => self.sound(),
            3 => self.manifest(false).map(repair),
            4 => self.manifest(true).map(repair),
            5 => self.parity(2).map(repair),
            6 => {
                let length = self.parity.as_ref().map_or(1_212, |parity| parity.shard.len());
                self.parity(length).map(repair)
            }
            7 => self.heartbeat().map(repair),
            8 => self.replay(),
            9 => Some(self.random_bytes()),
            10 => self.maimed(),
            _ => self.report(),
        };
        made.unwrap_or_default()
    }

    /// A whole picture at the next indices, and further ahead.
    fn picture_ahead(&mut self) -> Option<Vec<(Lane, Bytes)>> {
        let ahead = 1 + self.below(48);
        let (index, header) = self.video.as_ref().map(|heard| (heard.index, heard.header))?;
        let later = u32::try_from(1 + self.below(3)).ok()?;
        let units = self.picture.clone();
        let last = units.len().checked_sub(1)?;
        let packets = units.into_iter().enumerate().filter_map(|(n, unit)| {
            let header = Header {
                marker: n == last,
                timestamp: header.timestamp.wrapping_add(later * FRAME),
                ..header
            };
            Some((Lane::Video, self.seal(index + ahead + n as u64, header, unit)?))
        });
        Some(packets.collect())
    }

    /// In the place of the packet that was heard last.
    fn double(&mut self) -> Option<Vec<(Lane, Bytes)>> {
        let (index, header) = self.video.as_ref().map(|heard| (heard.index, heard.header))?;
        let unit = self.picture.last()?.clone();
        Some(vec![(Lane::Video, self.seal(index, header, unit)?)])
    }

    fn sound(&mut self) -> Option<Vec<(Lane, Bytes)>> {
        let ahead = 1 + self.below(8);
        let heard = self.audio.as_ref()?;
        let (index, header) = (heard.index + ahead, heard.header);
        let later = u32::try_from(ahead).ok()? * 960;
        let header = Header { timestamp: header.timestamp.wrapping_add(later), ..header };
        let mut noise = self.noise(120);
        // 20 ms of stereo by CELT (RFC 6716 §3.1).
        noise[0] = 0xfc;
        Some(vec![(Lane::Sound, self.seal(index, header, noise)?)])
    }

    /// Of the open block and the next, over packets of its own; or of the block that was just
    /// closed, with the ticket that has been on air.
    fn manifest(&mut self, is_stolen: bool) -> Option<Bytes> {
        let mut manifest = self.manifest.clone()?;
        if is_stolen {
            manifest.digests = vec![digest_of(b"mine"); manifest.digests.len()];
        } else {
            manifest.block += 1 + u32::try_from(self.below(2)).ok()?;
            let (index, header) = self.video.as_ref().map(|heard| (heard.index, heard.header))?;
            let unit = self.picture.last()?.clone();
            let own = self.seal(index + 1, header, unit)?;
            let entry = Entry { ssrc: header.ssrc, first: index + 1, count: 1 };
            manifest.entries = Entries::new(vec![entry]).ok()?;
            manifest.digests = vec![digest_of(&own)];
            manifest.ticket = self.noise(8).try_into().ok()?;
        }
        let signed = manifest.sign(&self.key);
        Some(self.disturb(&signed))
    }

    fn parity(&mut self, length: usize) -> Option<Bytes> {
        let manifest = self.manifest.clone()?;
        let parity = Parity {
            block: manifest.block,
            entries: manifest.entries,
            number: u8::try_from(self.below(16)).ok()?,
            shard: self.noise(length).into(),
        };
        let signed = parity.sign(&self.key);
        Some(self.disturb(&signed))
    }

    /// Everything is due at once, and has long gone by.
    fn heartbeat(&mut self) -> Option<Bytes> {
        let mut heartbeat = self.heartbeat.clone()?;
        heartbeat.box_ms += 500 + self.below(1_000);
        heartbeat.block += 1_000;
        heartbeat.playout_ms = if self.below(2) == 0 { 0 } else { u16::MAX };
        for stream in &mut heartbeat.streams {
            stream.next += 5_000;
            stream.timestamp = stream.timestamp.wrapping_add(90_000);
        }
        let signed = heartbeat.sign(&self.key);
        Some(self.disturb(&signed))
    }

    fn replay(&mut self) -> Option<Vec<(Lane, Bytes)>> {
        Some(vec![self.any()?])
    }

    fn random_bytes(&mut self) -> Vec<(Lane, Bytes)> {
        let length = usize::try_from(1 + self.below(1_400)).unwrap_or(1);
        let mut noise = self.noise(length);
        // As often as not it looks like something.
        if let Some(first) = noise.first_mut().filter(|first| **first & 1 == 0) {
            *first = [0x80, 1, 2, 3][usize::from(*first >> 1 & 3)];
        }
        let lanes = [Lane::Video, Lane::Sound, Lane::Repair, Lane::VideoControl];
        vec![(lanes[usize::try_from(self.below(4)).unwrap_or(0)], noise.into())]
    }

    /// Cut off, or longer than any datagram of the box.
    fn maimed(&mut self) -> Option<Vec<(Lane, Bytes)>> {
        let (lane, datagram) = self.any()?;
        let maimed = if self.below(2) == 0 {
            let length = usize::try_from(self.below(datagram.len() as u64)).ok()?;
            datagram.slice(..length)
        } else {
            let length = usize::try_from(1_500 + self.below(2_500)).ok()?;
            [&datagram[..], &self.noise(length)].concat().into()
        };
        Some(vec![(lane, maimed)])
    }

    /// The picture's source says good-bye (RFC 3550 §6.6).
    fn report(&mut self) -> Option<Vec<(Lane, Bytes)>> {
        let ssrc = self.grant.video.as_ref()?.ssrc;
        let mut sealer = Sealer::new(&self.epoch).ok()?;
        let bye = [&[0x81, 203, 0, 1][..], &ssrc.to_be_bytes()].concat();
        Some(vec![(Lane::VideoControl, sealer.seal_report(&bye).ok()?)])
    }

    /// A new sealer for each: the true one never uses an index twice, which is no rule of this host.
    fn seal(&self, index: u64, header: Header, payload: Vec<u8>) -> Option<Bytes> {
        let sequence = u16::try_from(index & 0xffff).ok()?;
        let packet = Packet { header: Header { sequence, ..header }, payload: payload.into() };
        Sealer::new(&self.epoch).ok()?.seal(index, &packet).ok()
    }

    /// Another signature each time, so that nothing is the same twice.
    fn disturb(&mut self, datagram: &Bytes) -> Bytes {
        let mut datagram = datagram.to_vec();
        let noise = self.noise(16);
        let signature = datagram.len() - alfarid_stream::block::SIGNATURE;
        datagram[signature..signature + 16].copy_from_slice(&noise);
        datagram.into()
    }

    fn any(&mut self) -> Option<(Lane, Bytes)> {
        let at = self.below(self.heard.len().max(1) as u64);
        self.heard.get(usize::try_from(at).ok()?).cloned()
    }

    /// Below `end`, which is above 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.random.below(end)
    }

    pub(crate) fn noise(&mut self, length: usize) -> Vec<u8> {
        let words = (0..length.div_ceil(8)).flat_map(|_| self.random.next().to_be_bytes());
        words.take(length).collect()
    }

    /// The newest block that was closed.
    pub(crate) fn block(&self) -> u32 {
        self.manifest.as_ref().map_or(0, |manifest| manifest.block)
    }
}

fn repair(datagram: Bytes) -> Vec<(Lane, Bytes)> {
    vec![(Lane::Repair, datagram)]
}

fn epoch(of: &EpochKey) -> Epoch {
    Epoch { number: of.number, key: *of.key.bytes(), salt: *of.salt.bytes() }
}
