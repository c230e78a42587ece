//! A closed block: what there is to send again, and parity to be made of it.

use std::time::Duration;

use bytes::Bytes;

use super::{Open, Source};
use crate::{
    block::{Encoder, Entries, Manifest, Parity, SigningKey, Tickets, digest_of},
    transmit::{HEADERS, Lane},
};

/// A block that is on air, with its manifest. Parity is made at the first need, all at once, and
/// kept.
#[derive(Debug)]
pub struct Closed {
    at: Duration,
    number: u32,
    is_slice: bool,
    entries: Entries,
    sources: Vec<Source>,
    manifest: Bytes,
    /// None before it was needed; none at all if it could not be made.
    parity: Vec<Bytes>,
    /// The shard that is sent next.
    next: usize,
}

impl Closed {
    pub(super) fn new(
        at: Duration,
        number: u32,
        open: Open,
        key: &SigningKey,
        tickets: &Tickets,
    ) -> Self {
        let Open { is_slice, entries, mut sources, .. } = open;
        // They came in the order of time, the media mixed.
        sources.sort_by_key(|source| entries.position(source.ssrc, source.index));
        let manifest = Manifest {
            block: number,
            ticket: tickets.ticket(number),
            commitments: [1, 2].map(|ahead| tickets.commitment(number.wrapping_add(ahead))),
            entries: entries.clone(),
            digests: sources.iter().map(|source| digest_of(&source.datagram)).collect(),
        };
        let manifest = manifest.sign(key);
        Self { at, number, is_slice, entries, sources, manifest, parity: Vec::new(), next: 0 }
    }

    /// When it was closed.
    pub fn at(&self) -> Duration {
        self.at
    }

    pub fn number(&self) -> u32 {
        self.number
    }

    /// It is a slice of time, not a picture.
    pub fn is_slice(&self) -> bool {
        self.is_slice
    }

    pub fn entries(&self) -> &Entries {
        &self.entries
    }

    pub fn manifest(&self) -> &Bytes {
        &self.manifest
    }

    /// Bytes of the sources on air, IP and UDP included.
    pub(crate) fn source_bytes(&self) -> u64 {
        self.sources.iter().map(|source| on_air(&source.datagram)).sum()
    }

    /// Bytes that keeping it takes.
    pub(crate) fn size(&self) -> usize {
        let sources = self.sources.iter().map(|source| source.datagram.len()).sum::<usize>();
        let parity = self.parity.iter().map(Bytes::len).sum::<usize>();
        sources + self.manifest.len() + parity
    }

    /// The next so many parity datagrams that were not sent before; when all were, from the first
    /// on again.
    pub(crate) fn parity(
        &mut self,
        count: usize,
        encoder: &mut Encoder,
        key: &SigningKey,
    ) -> Vec<Bytes> {
        if count > 0 && self.parity.is_empty() {
            let sources = self.sources.iter().map(|source| source.datagram.clone());
            let shards: Vec<Bytes> = sources.chain([self.manifest.clone()]).collect();
            // Packets are not taken in above the length that makes this fail.
            self.parity = encoder.parity(&shards).unwrap_or_default();
        }
        let kept = self.parity.len();
        let shards = (self.next..self.next + count.min(kept)).filter_map(|at| {
            let at = at.checked_rem(kept)?;
            let (number, shard) = (u8::try_from(at).ok()?, self.parity.get(at)?.clone());
            let entries = self.entries.clone();
            Some(Parity { block: self.number, entries, number, shard }.sign(key))
        });
        let datagrams = shards.collect();
        self.next += count.min(kept);
        datagrams
    }

    /// Bytes on air of one datagram of its parity: those of the longest source, what names the
    /// shard, and the signature.
    pub(crate) fn parity_bytes(&self) -> u64 {
        self.sources.iter().map(|source| on_air(&source.datagram)).max().unwrap_or_default() + 100
    }

    /// All of it: the packets, then the manifest.
    pub(crate) fn all(&self) -> impl Iterator<Item = (Lane, &Bytes)> {
        let sources = self.sources.iter().map(|source| (source.lane, &source.datagram));
        sources.chain([(Lane::Repair, &self.manifest)])
    }
}

/// Bytes of a datagram on the network: IPv4 and UDP headers included.
pub(crate) fn on_air(datagram: &Bytes) -> u64 {
    (datagram.len() + HEADERS) as u64
}
