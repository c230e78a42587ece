//! Which packets a block holds.

use bytes::BufMut;

use super::{Error, MAX_ENTRIES, MAX_SOURCES, reader::Reader};
use crate::index::MAX_INDEX;

/// A run of packets of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub ssrc: u32,
    /// 48 bits.
    pub first: u64,
    /// 1 to 64.
    pub count: u8,
}

impl Entry {
    /// The first index behind this run.
    pub fn end(&self) -> u64 {
        self.first + u64::from(self.count)
    }

    fn holds(&self, ssrc: u32, index: u64) -> bool {
        self.ssrc == ssrc && (self.first..self.end()).contains(&index)
    }
}

/// The runs of a block, in the order of its shards. Never without a packet, never with one twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entries(Vec<Entry>);

impl Entries {
    /// Refuses what no block has.
    pub fn new(entries: Vec<Entry>) -> Result<Self, Error> {
        if entries.is_empty() || entries.len() > MAX_ENTRIES {
            return Err(Error::Entries(entries.len()));
        }
        let mut sources = 0;
        for (place, entry) in entries.iter().enumerate() {
            if entry.count == 0 {
                return Err(Error::Empty(entry.ssrc));
            }
            let last = entry.first.checked_add(u64::from(entry.count) - 1);
            if last.is_none_or(|last| last > MAX_INDEX) {
                return Err(Error::Index { ssrc: entry.ssrc, first: entry.first });
            }
            let overlaps = |other: &Entry| {
                other.ssrc == entry.ssrc && other.first < entry.end() && entry.first < other.end()
            };
            if entries.iter().take(place).any(overlaps) {
                return Err(Error::Overlap(entry.ssrc));
            }
            sources += usize::from(entry.count);
        }
        if sources > MAX_SOURCES {
            return Err(Error::Sources(sources));
        }
        Ok(Self(entries))
    }

    /// A block that begins with this packet.
    pub fn begin(ssrc: u32, index: u64) -> Self {
        Self(vec![Entry { ssrc, first: index, count: 1 }])
    }

    /// Adds the packet, at the place that [`Entries::position`] says then. `false` if the block has
    /// no room for it. Its index must be above all of its stream.
    #[must_use]
    pub fn push(&mut self, ssrc: u32, index: u64) -> bool {
        if self.sources() == MAX_SOURCES {
            return false;
        }
        let run = self.0.iter_mut().find(|entry| entry.ssrc == ssrc && entry.end() == index);
        if let Some(run) = run {
            run.count += 1;
            return true;
        }
        if self.0.len() == MAX_ENTRIES {
            return false;
        }
        self.0.push(Entry { ssrc, first: index, count: 1 });
        true
    }

    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.0.iter()
    }

    /// Source packets: 1 to 64.
    pub fn sources(&self) -> usize {
        self.0.iter().map(|entry| usize::from(entry.count)).sum()
    }

    /// Shards, the manifest's among them: k.
    pub fn shards(&self) -> usize {
        self.sources() + 1
    }

    /// SSRC and index of each source packet, in the order of the shards.
    pub fn packets(&self) -> impl Iterator<Item = (u32, u64)> {
        self.0.iter().flat_map(|entry| (entry.first..entry.end()).map(|index| (entry.ssrc, index)))
    }

    /// The shard that this packet is.
    pub fn position(&self, ssrc: u32, index: u64) -> Option<usize> {
        let mut before = 0;
        for entry in &self.0 {
            if entry.holds(ssrc, index) {
                let place = usize::try_from(index - entry.first).ok()?;
                return Some(before + place);
            }
            before += usize::from(entry.count);
        }
        None
    }

    /// The first index behind this block's packets of the stream, if it has any.
    pub fn end_of(&self, ssrc: u32) -> Option<u64> {
        self.0.iter().filter(|entry| entry.ssrc == ssrc).map(Entry::end).max()
    }

    /// The first index of this block's packets of the stream, if it has any.
    pub fn start_of(&self, ssrc: u32) -> Option<u64> {
        self.0.iter().filter(|entry| entry.ssrc == ssrc).map(|entry| entry.first).min()
    }

    pub(super) fn read(reader: &mut Reader) -> Result<Self, Error> {
        let count = usize::from(reader.u8()?);
        if count > MAX_ENTRIES {
            return Err(Error::Entries(count));
        }
        let entry =
            |_| Ok(Entry { ssrc: reader.u32()?, first: reader.u48()?, count: reader.u8()? });
        Self::new((0..count).map(entry).collect::<Result<_, Error>>()?)
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.put_uint(self.0.len() as u64, 1);
        for entry in &self.0 {
            out.put_u32(entry.ssrc);
            out.put_uint(entry.first, 6);
            out.put_u8(entry.count);
        }
    }
}
