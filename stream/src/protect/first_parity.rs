//! How much parity is sent before anybody asks.
//!
//! Machines tell how many shards of each block they lacked before parity. The largest of a block is
//! what would have made all of them whole at once; [`OF_BLOCKS`] of these over the last 5 s are no
//! larger than what is sent, and what else is lacking is asked for. Below that, more is asked for
//! than is saved; above, all get what only the unluckiest few needed.
//!
//! The same numbers say when one machine alone is the cause: see [`FirstParity::outlier`].

use std::{collections::VecDeque, time::Duration};

use crate::transmit::ReceiverId;

/// How far back the rule looks.
const SPAN: Duration = Duration::from_secs(5);

/// Until then a block's losses are told, but for what was hopeless: feedback comes every 500 ms, and
/// takes its time. A younger block of which nobody said anything does not count yet.
const TOLD: Duration = Duration::from_millis(900);

/// In so many of a hundred blocks nobody would have to ask if no parity were lost. Where a fifth is
/// lost one by one the median costs 0.7 % of the stream more, and three quarters as much as this
/// (50 machines, simulated).
const OF_BLOCKS: usize = 55;

/// All of a block, where shares of blocks are compared.
const WHOLE: usize = 1_000;

/// Most blocks looked at: 5 s of 100 a second. Full: the oldest no longer counts.
const MAX_BLOCKS: usize = 512;

/// What was told of one block.
#[derive(Clone, Debug)]
struct Told {
    block: u32,
    closed: Duration,
    shards: usize,
    /// The largest number of shards that a machine lacked...
    largest: u8,
    /// ... the machine, unless there are several...
    whose: Option<ReceiverId>,
    /// ... and what was told by the others.
    second: u8,
}

/// The rule, and what it rests on.
#[derive(Clone, Debug, Default)]
pub struct FirstParity {
    /// By number. At most [`MAX_BLOCKS`].
    blocks: VecDeque<Told>,
}

impl FirstParity {
    pub fn new() -> Self {
        Self::default()
    }

    /// A block of so many shards is on air. Numbers grow.
    pub fn closed(&mut self, now: Duration, block: u32, shards: usize) {
        let is_old = |told: &Told| told.closed + SPAN < now;
        while self.blocks.len() >= MAX_BLOCKS || self.blocks.front().is_some_and(is_old) {
            self.blocks.pop_front();
        }
        let told = Told { block, closed: now, shards, largest: 0, whose: None, second: 0 };
        self.blocks.push_back(told);
    }

    /// A machine lacked so many shards of the block. Gives how many are believed: at most all.
    /// `None` if the block is none of the last ones.
    pub fn hear(&mut self, receiver: ReceiverId, block: u32, missing: u8) -> Option<u8> {
        let at = self.blocks.binary_search_by_key(&block, |told| told.block).ok()?;
        let told = self.blocks.get_mut(at)?;
        let missing = missing.min(u8::try_from(told.shards).unwrap_or(u8::MAX));
        if missing > told.largest {
            if told.whose != Some(receiver) {
                told.second = told.largest;
            }
            told.largest = missing;
            told.whose = Some(receiver);
        } else if told.whose != Some(receiver) {
            told.second = told.second.max(missing);
        }
        Some(missing)
    }

    /// The machine no longer counts: the largest it told is taken for that of the others.
    pub fn forget(&mut self, receiver: ReceiverId) {
        for told in self.blocks.iter_mut().filter(|told| told.whose == Some(receiver)) {
            told.largest = told.second;
            told.whose = None;
        }
    }

    /// Parity to send with a block of so many shards that closes now. Blocks differ in size, so
    /// shares are compared. Never more than half of the block: so much loss is none that parity
    /// should be sent against.
    pub fn count(&self, now: Duration, shards: usize) -> usize {
        let share = |told: &Told| usize::from(told.largest) * WHOLE / told.shards.max(1);
        let mut largest: Vec<usize> = self.counting(now).map(share).collect();
        let at = largest.len() * OF_BLOCKS / 100;
        if at == largest.len() {
            return 0;
        }
        let (_, share, _) = largest.select_nth_unstable(at);
        let rounded = (*share * shards + WHOLE / 2) / WHOLE;
        rounded.min(shards.div_ceil(2))
    }

    /// Somebody lost something.
    pub fn is_lossy(&self, now: Duration) -> bool {
        self.counting(now).any(|told| told.largest > 0)
    }

    /// The machine that alone told the largest number of nine in ten blocks of which something was
    /// lost, and of so many of all that there is parity for it, over the whole of the last 5 s.
    pub fn outlier(&self, now: Duration) -> Option<ReceiverId> {
        // A block of every second or so would do: the oldest one must nearly be at the end.
        let oldest = self.blocks.front().filter(|told| told.closed + SPAN * 9 / 10 <= now)?;
        debug_assert!(oldest.closed <= now, "time never goes back");
        let counting = || self.counting(now);
        let alone = |told: &&Told| told.largest > told.second;
        let whose = counting().filter(alone).last()?.whose?;
        let his = counting().filter(alone).filter(|told| told.whose == Some(whose)).count();
        let lossy = counting().filter(|told| told.largest > 0).count();
        (his * 10 >= lossy * 9 && his * 100 >= counting().count() * (100 - OF_BLOCKS))
            .then_some(whose)
    }

    fn counting(&self, now: Duration) -> impl Iterator<Item = &Told> {
        self.blocks.iter().filter(move |told| {
            let age = now.saturating_sub(told.closed);
            age <= SPAN && (told.largest > 0 || age >= TOLD)
        })
    }
}
