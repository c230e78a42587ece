//! A machine with the group's key that wants the others to see its own picture, or none.
//!
//! It hears all that goes to the group, sends to the group as fast as it is allowed, and knows this
//! crate by heart. What it cannot do is sign.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;

use super::{HEADERS, SOUND, VIDEO};
use crate::{
    block::{
        Claim, Commitment, Entries, Entry, Heartbeat, Kind, Manifest, Parity, Stream, digest_of,
    },
    lab::Random,
    rtp::Header,
};

/// What it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attack {
    /// Small packets at the next indices, many at each.
    Ahead,
    /// A packet like each that it hears, at once.
    Double,
    /// Manifests of the block that is open.
    Manifests,
    /// Manifests of the block that was just closed, with its ticket.
    Stolen,
    /// Parity of the blocks just closed, as small as can be.
    SmallParity,
    /// Parity of the blocks just closed that looks like the true one.
    LargeParity,
    Heartbeats,
    /// All that it heard, half a second later.
    Replays,
    /// All of these by turns.
    All,
}

impl Attack {
    pub(crate) const EACH: [Self; 8] = [
        Self::Ahead,
        Self::Double,
        Self::Manifests,
        Self::Stolen,
        Self::SmallParity,
        Self::LargeParity,
        Self::Heartbeats,
        Self::Replays,
    ];
}

pub(crate) struct Hostile {
    attack: Attack,
    random: Random,
    /// Bytes that it may send: twice those of the sources.
    credit: usize,
    turn: usize,
    /// The packets heard last.
    sources: VecDeque<(Header, Bytes)>,
    manifest: Option<Manifest>,
    parity: Option<Parity>,
    heartbeat: Option<Heartbeat>,
    heard: VecDeque<Bytes>,
}

impl Hostile {
    pub(crate) fn new(attack: Attack, seed: u64) -> Self {
        Self {
            attack,
            random: Random::new(seed),
            credit: 0,
            turn: 0,
            sources: VecDeque::new(),
            manifest: None,
            parity: None,
            heartbeat: None,
            heard: VecDeque::new(),
        }
    }

    pub(crate) fn earn(&mut self, bytes: usize) {
        self.credit += 2 * bytes;
    }

    pub(crate) fn hear(&mut self, datagram: &Bytes) {
        fn read<T: Clone>(claim: Result<Claim<T>, crate::block::Error>) -> Option<T> {
            claim.ok().map(|claim| claim.unverified().clone())
        }
        match Kind::of(datagram) {
            Some(Kind::Manifest) => self.manifest = read(Manifest::parse(datagram)),
            Some(Kind::Parity) => self.parity = read(Parity::parse(datagram)),
            Some(Kind::Heartbeat) => self.heartbeat = read(Heartbeat::parse(datagram)),
            None => {
                let header = Header::parse(datagram).unwrap();
                self.sources.push_back((header, datagram.clone()));
                self.sources.drain(..self.sources.len().saturating_sub(32));
            }
        }
        self.heard.push_back(datagram.clone());
        self.heard.drain(..self.heard.len().saturating_sub(400));
    }

    /// The next datagram, as long as the credit lasts.
    pub(crate) fn forge(&mut self, now: Duration) -> Option<Bytes> {
        if self.credit < 2_000 {
            return None;
        }
        self.turn += 1;
        let attack = match self.attack {
            Attack::All => Attack::EACH[self.turn % Attack::EACH.len()],
            attack => attack,
        };
        let datagram = match attack {
            Attack::Ahead => self.ahead(),
            Attack::Double => self.double(),
            Attack::Manifests => self.manifest(false),
            Attack::Stolen => self.manifest(true),
            Attack::SmallParity => self.parity(2),
            Attack::LargeParity => {
                let length = self.parity.as_ref().map_or(1_212, |parity| parity.shard.len());
                self.parity(length)
            }
            Attack::Heartbeats => self.heartbeat(now),
            Attack::Replays | Attack::All => {
                let at = self.random.below(self.heard.len().max(1) as u64);
                self.heard.get(usize::try_from(at).unwrap()).cloned()
            }
        };
        let datagram = datagram.unwrap_or_else(|| Bytes::from_static(&[0x80; 30]));
        self.credit -= datagram.len() + HEADERS;
        Some(datagram)
    }

    fn noise(&mut self, length: usize) -> Vec<u8> {
        let words = (0..length.div_ceil(8)).flat_map(|_| self.random.next().to_be_bytes());
        words.take(length).collect()
    }

    fn source(&mut self, header: Header, length: usize) -> Bytes {
        let noise = self.noise(length.max(30) - 12);
        Bytes::from([&header.to_bytes()[..], &noise].concat())
    }

    fn ahead(&mut self) -> Option<Bytes> {
        let (header, _) = self.sources.back()?.clone();
        let ahead = u16::try_from(1 + self.random.below(64)).unwrap();
        let sequence = header.sequence.wrapping_add(ahead);
        Some(self.source(Header { sequence, ..header }, 30))
    }

    fn double(&mut self) -> Option<Bytes> {
        let (header, datagram) = self.sources.back()?.clone();
        Some(self.source(header, datagram.len()))
    }

    /// Of the newest block or the one after it, listing a packet or more that were heard.
    fn manifest(&mut self, stolen: bool) -> Option<Bytes> {
        let mut manifest = self.manifest.clone()?;
        if stolen {
            manifest.digests = vec![digest_of(b"mine"); manifest.digests.len()];
        } else {
            manifest.block += 1 + u32::try_from(self.random.below(2)).unwrap();
            let (header, datagram) = self.sources.back()?.clone();
            let first = (1 << 16) + u64::from(header.sequence);
            manifest.entries =
                Entries::new(vec![Entry { ssrc: header.ssrc, first, count: 1 }]).ok()?;
            manifest.digests = vec![digest_of(&datagram)];
            manifest.ticket = Commitment::try_from(self.noise(8)).unwrap();
        }
        Some(self.sign(&manifest.sign(&super::tests::other_key())))
    }

    fn parity(&mut self, length: usize) -> Option<Bytes> {
        let manifest = self.manifest.clone()?;
        let parity = Parity {
            block: manifest.block,
            entries: manifest.entries,
            number: u8::try_from(self.random.below(16)).unwrap(),
            shard: Bytes::from(self.noise(length)),
        };
        Some(self.sign(&parity.sign(&super::tests::other_key())))
    }

    fn heartbeat(&mut self, now: Duration) -> Option<Bytes> {
        let mut heartbeat = self.heartbeat.clone()?;
        heartbeat.box_ms = u64::try_from(now.as_millis()).unwrap() + 1_000;
        heartbeat.block += 1_000;
        heartbeat.playout_ms = 0;
        let mut below = |end| self.random.below(end);
        heartbeat.streams = [VIDEO, SOUND]
            .map(|ssrc| {
                let timestamp = u32::try_from(below(1 << 32)).unwrap();
                Stream { ssrc, next: below(1 << 30), timestamp }
            })
            .to_vec();
        Some(self.sign(&heartbeat.sign(&super::tests::other_key())))
    }

    /// Another signature each time, so that nothing is the same twice.
    fn sign(&mut self, datagram: &Bytes) -> Bytes {
        let mut datagram = datagram.to_vec();
        let noise = self.noise(16);
        let end = datagram.len() - 64;
        datagram[end..end + 16].copy_from_slice(&noise);
        datagram.into()
    }
}
