//! The blocks that can still be repaired, and what was asked for them.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use bytes::Bytes;

use super::Reach;
use crate::{
    protect::Closed,
    transmit::{Lane, ReceiverId},
};

/// How long a block is kept: what a machine lacks that just fell to unicast.
pub const KEPT: Duration = Duration::from_secs(3);
/// Most blocks kept. Full: the oldest goes.
pub const MAX_BLOCKS: usize = 256;
/// Most bytes kept, parity included: 3 s of 20 Mbit/s. Full: the oldest block goes.
pub const MAX_BYTES: usize = 16 << 20;

/// What a machine asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask {
    pub receiver: ReceiverId,
    pub reach: Reach,
    /// Not 0.
    pub deficit: u8,
    /// It cannot tell how many it lacks.
    pub wants_manifest: bool,
    /// How often it asked for this block before.
    pub round: u8,
}

/// What gathers until it is answered.
#[derive(Debug, Default)]
struct Gathering {
    due: Option<Duration>,
    /// One for each machine.
    asks: Vec<Ask>,
}

impl Gathering {
    fn add(&mut self, due: Duration, ask: Ask) {
        self.asks.push(ask);
        self.due = Some(self.due.map_or(due, |before| before.min(due)));
    }

    fn take(&mut self, now: Duration) -> Vec<Ask> {
        if self.due.is_none_or(|due| now < due) {
            return Vec::new();
        }
        std::mem::take(self).asks
    }
}

#[derive(Debug)]
pub(super) struct Block {
    pub closed: Closed,
    /// From machines on multicast...
    group: Gathering,
    /// ... and from those on unicast, which wait for nobody.
    alone: Gathering,
    /// Of each machine that asked: rounds before this one were heard, or will not be any more.
    pub next_rounds: HashMap<ReceiverId, u8>,
    /// Answers to all so far.
    pub answers: u8,
    /// The last of them, and for how large a deficit it was.
    pub answered: Option<(Duration, u8)>,
    size: usize,
}

impl Block {
    fn ask(&mut self, due: Duration, ask: Ask) {
        self.forget(ask.receiver);
        match ask.reach {
            Reach::Multicast => self.group.add(due, ask),
            Reach::Unicast => self.alone.add(due, ask),
        }
    }

    /// What is to be answered now: of machines on multicast, and of those on unicast.
    pub(super) fn take_asks(&mut self, now: Duration) -> (Vec<Ask>, Vec<Ask>) {
        (self.group.take(now), self.alone.take(now))
    }

    fn due(&self) -> Option<Duration> {
        [self.group.due, self.alone.due].into_iter().flatten().min()
    }

    fn forget(&mut self, receiver: ReceiverId) {
        for gathering in [&mut self.group, &mut self.alone] {
            gathering.asks.retain(|ask| ask.receiver != receiver);
        }
    }
}

/// By number.
#[derive(Debug, Default)]
pub(super) struct Kept {
    blocks: BTreeMap<u32, Block>,
    bytes: usize,
    /// No block is to be answered before. Looking through all of them for each packet would take as
    /// long as sending it.
    next_due: Option<Duration>,
}

impl Kept {
    pub(super) fn insert(&mut self, now: Duration, closed: Closed) {
        let size = closed.size();
        let number = closed.number();
        self.remove(number);
        let block = Block {
            closed,
            group: Gathering::default(),
            alone: Gathering::default(),
            next_rounds: HashMap::new(),
            answers: 0,
            answered: None,
            size,
        };
        self.blocks.insert(number, block);
        self.bytes += size;
        self.expire(now);
    }

    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut Block> {
        self.blocks.get_mut(&number)
    }

    /// What is asked for a block is to be answered by `due` at the latest.
    pub(super) fn ask(&mut self, number: u32, due: Duration, ask: Ask) {
        if let Some(block) = self.blocks.get_mut(&number) {
            block.ask(due, ask);
            self.next_due = Some(self.next_due.map_or(due, |before| before.min(due)));
        }
    }

    /// Counts a block's bytes again, after its parity was made.
    pub(super) fn recount(&mut self, number: u32) {
        let Some(block) = self.blocks.get_mut(&number) else { return };
        self.bytes -= block.size;
        block.size = block.closed.size();
        self.bytes += block.size;
    }

    pub(super) fn expire(&mut self, now: Duration) {
        while let Some((&number, oldest)) = self.blocks.first_key_value() {
            let is_old = oldest.closed.at() + KEPT < now;
            if !is_old && self.blocks.len() <= MAX_BLOCKS && self.bytes <= MAX_BYTES {
                break;
            }
            self.remove(number);
        }
    }

    pub(super) fn forget(&mut self, receiver: ReceiverId) {
        for block in self.blocks.values_mut() {
            block.forget(receiver);
            block.next_rounds.remove(&receiver);
        }
    }

    /// A block whose requests are to be answered now.
    pub(super) fn due(&mut self, now: Duration) -> Option<u32> {
        self.next_due.filter(|due| *due <= now)?;
        let is_due = |block: &Block| block.due().is_some_and(|due| due <= now);
        let found = self.blocks.iter().find(|(_, block)| is_due(block)).map(|(number, _)| *number);
        if found.is_none() {
            self.next_due = self.blocks.values().filter_map(Block::due).min();
        }
        found
    }

    /// When to look for one again.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.next_due
    }

    pub(super) fn from(&self, block: u32, since: Duration) -> impl Iterator<Item = (Lane, &Bytes)> {
        let kept = self.blocks.range(block..).map(|(_, block)| &block.closed);
        kept.filter(move |closed| closed.at() >= since).flat_map(Closed::all)
    }

    fn remove(&mut self, number: u32) {
        if let Some(block) = self.blocks.remove(&number) {
            self.bytes -= block.size;
        }
    }
}
