//! The packets that a receiver holds, by index.

use std::{collections::BTreeMap, time::Duration};

use crate::{codec::Codec, rtp::Packet};

/// Most packets held: the kept pictures and two seconds of live ones. Full: nothing is waited for
/// any more, and what cannot be given out is dropped.
const MAX_PACKETS: usize = 8_192;

/// Most payload bytes held; as above. Four times what is kept between keyframes.
const MAX_BYTES: usize = 8 << 20;

#[derive(Debug)]
pub(super) struct Held {
    pub packet: Packet,
    pub arrived: Duration,
    /// See [`opens_keyframe`](super::opens_keyframe).
    pub opens_keyframe: bool,
}

impl Held {
    pub(super) fn timestamp(&self) -> u32 {
        self.packet.header.timestamp
    }
}

/// The packets of one timestamp, from the next index on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Run {
    /// All there, up to the marker.
    Whole { first: u64, last: u64 },
    /// Another timestamp begins here, without a marker before.
    Cut(u64),
    /// This packet is not there.
    Missing(u64),
}

#[derive(Debug, Default)]
pub(super) struct Buffer {
    /// Everything below was given out or given up. `None` until then.
    next: Option<u64>,
    packets: BTreeMap<u64, Held>,
    bytes: usize,
    /// From `next` up to here (exclusive) all packets are there, of one timestamp, none marked: so
    /// that a long frame is not walked through again for each of its packets. Behind `next` when
    /// nothing was looked at since it moved.
    checked: u64,
}

impl Buffer {
    pub(super) fn next(&self) -> Option<u64> {
        self.next
    }

    pub(super) fn is_full(&self) -> bool {
        self.packets.len() >= MAX_PACKETS || self.bytes >= MAX_BYTES
    }

    pub(super) fn contains(&self, index: u64) -> bool {
        self.packets.contains_key(&index)
    }

    /// Must not be there already, nor below `next`.
    pub(super) fn insert(&mut self, index: u64, held: Held) {
        self.bytes += held.packet.payload.len();
        self.packets.insert(index, held);
    }

    /// Moves `next` up. Gives what was still there, and how many were not.
    pub(super) fn remove_below(&mut self, to: u64) -> (BTreeMap<u64, Held>, u64) {
        let above = self.packets.split_off(&to);
        let removed = std::mem::replace(&mut self.packets, above);
        self.bytes -= removed.values().map(|held| held.packet.payload.len()).sum::<usize>();
        let from = self.next.or_else(|| removed.keys().next().copied()).unwrap_or(to);
        let lost = (to - from) - removed.len() as u64;
        self.next = Some(to);
        (removed, lost)
    }

    /// The frame at `next`. Before anything was given out or up, that is the oldest packet's.
    pub(super) fn run(&self, codec: Codec) -> Run {
        let Some(first) = self.next.or_else(|| self.first_from(0)) else {
            return Run::Missing(0);
        };
        let mut expected = first.max(self.checked);
        let timestamp = self.packets.get(&first).map(Held::timestamp);
        for (&index, held) in self.packets.range(expected..) {
            if index != expected {
                break;
            }
            if timestamp != Some(held.timestamp()) {
                return Run::Cut(index);
            }
            // RFC 7587 §4.1: a packet of sound is always whole; its marker says something else.
            if held.packet.header.marker || codec == Codec::Opus {
                return Run::Whole { first, last: index };
            }
            expected += 1;
        }
        Run::Missing(expected)
    }

    /// As [`Buffer::run`], and remembers how far it came.
    pub(super) fn advance_run(&mut self, codec: Codec) -> Run {
        let run = self.run(codec);
        if let (Run::Missing(at), Some(_)) = (run, self.next) {
            self.checked = at;
        }
        run
    }

    /// The first packet of the oldest keyframe that can be recognised.
    pub(super) fn keyframe_start(&self) -> Option<u64> {
        let (&opening, held) = self.packets.iter().find(|(_, held)| held.opens_keyframe)?;
        Some(self.start_of(opening, held))
    }

    /// The first packet of the oldest keyframe not below `index` of which all is there. The oldest:
    /// live pictures are all shown, also those that came in one go.
    pub(super) fn whole_keyframe_from(&self, index: u64) -> Option<u64> {
        let mut openings = self.packets.range(index..).filter(|(_, held)| held.opens_keyframe);
        openings.find_map(|(&opening, held)| {
            let start = self.start_of(opening, held);
            let frame = (start..).map_while(|index| self.packets.get(&index));
            let mut frame = frame.take_while(|packet| packet.timestamp() == held.timestamp());
            frame.any(|packet| packet.packet.header.marker).then_some(start)
        })
    }

    /// A delimiter or SEI may stand before the packet that gives a keyframe away.
    fn start_of(&self, opening: u64, held: &Held) -> u64 {
        let mut start = opening;
        while let Some(index) = start.checked_sub(1)
            && let Some(before) = self.packets.get(&index)
            && before.timestamp() == held.timestamp()
            && !before.packet.header.marker
        {
            start = index;
        }
        start
    }

    /// The newest packet that `is_so`.
    pub(super) fn last_where(&self, is_so: impl Fn(&Held) -> bool) -> Option<u64> {
        self.packets.iter().rev().find(|(_, held)| is_so(held)).map(|(&index, _)| index)
    }

    pub(super) fn newest(&self) -> Option<u64> {
        self.packets.last_key_value().map(|(&index, _)| index)
    }

    /// The oldest packet not below `index`.
    pub(super) fn first_from(&self, index: u64) -> Option<u64> {
        self.packets.range(index..).next().map(|(&index, _)| index)
    }

    /// When the first of the packets not below `index` came.
    pub(super) fn oldest_arrival(&self, index: u64) -> Option<Duration> {
        self.packets.range(index..).map(|(_, held)| held.arrived).min()
    }

    pub(super) fn range(&self, first: u64, last: u64) -> impl Iterator<Item = &Held> + Clone {
        self.packets.range(first..=last).map(|(_, held)| held)
    }
}
