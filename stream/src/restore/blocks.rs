//! The blocks that are known: open ones, and settled ones that something open still precedes.
//!
//! ```text
//!      all passed      settled and open     not known to be closed
//!   ───────────────┤├──────────────────────┤├─────────────────────
//!                 floor                   next
//! ```

use std::{collections::BTreeMap, time::Duration};

use super::pieces::Pieces;
use crate::{block::Entries, protect::SLICE};

/// Most blocks between floor and next: a second of them, where 700 ms are waited for. Full: the
/// oldest is given up.
pub(super) const MAX_BLOCKS: usize = 64;

/// Asking waits no longer than this for what overtook itself: repair needs the time.
const MAX_LATENESS: Duration = Duration::from_millis(20);

/// Where a number is.
pub(super) enum Place<'a> {
    Past,
    Settled,
    Open(&'a mut Pieces),
    Beyond,
}

#[derive(Debug)]
enum State {
    Open(Box<Pieces>),
    Settled(Settled),
}

/// What is to be remembered of a block that is whole or given up.
#[derive(Debug)]
struct Settled {
    entries: Option<Entries>,
    undelivered: usize,
}

impl State {
    fn entries(&self) -> Option<&Entries> {
        match self {
            Self::Open(pieces) => pieces.entries(),
            Self::Settled(settled) => settled.entries.as_ref(),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Blocks {
    /// `None` before anything signed came, and while at rest.
    next: Option<u32>,
    /// Everything below is of the past, also what was open when it came to rest.
    floor: u32,
    /// One was opened since it began, or began anew.
    has_opened: bool,
    /// From floor to next, without those that were skipped. At most [`MAX_BLOCKS`].
    states: BTreeMap<u32, State>,
    /// When `next` last moved.
    moved: Duration,
    /// How late packets came that were not lost: what asking waits for.
    lateness: Duration,
}

impl Blocks {
    /// The newest block that is known to be closed.
    pub(super) fn newest(&self) -> Option<u32> {
        self.next?.checked_sub(1)
    }

    pub(super) fn floor(&self) -> u32 {
        self.floor
    }

    /// All blocks below `next` are closed. The first time, those below `first` do not matter.
    /// Gives what had to be given up, after a long sleep for example.
    pub(super) fn closed(&mut self, now: Duration, first: u32, next: u32) -> Vec<(u32, Pieces)> {
        if next < self.floor {
            return Vec::new();
        }
        let known = *self.next.get_or_insert_with(|| {
            self.floor = self.floor.max(first);
            self.moved = now;
            self.floor
        });
        if next <= known {
            return Vec::new();
        }
        let skip_to = next.saturating_sub(u32::try_from(MAX_BLOCKS).unwrap_or(u32::MAX));
        let opened = known.max(skip_to)..next;
        let count = u32::try_from(opened.len()).unwrap_or(u32::MAX);
        let passed = now.saturating_sub(self.moved);
        for (place, number) in (0..).zip(opened) {
            // They lie evenly between what was heard before and now; and none is open for longer
            // than a slice.
            let even = self.moved + passed / count * place;
            let since = even.max(now.saturating_sub(SLICE * (count - place)));
            // No block is open for longer than a slice: what began after the first sign did not
            // begin before the machine listened.
            let is_first = !std::mem::replace(&mut self.has_opened, true) && passed < SLICE;
            let pieces = Pieces::new(now, since, self.lateness, is_first);
            self.states.insert(number, State::Open(Box::new(pieces)));
        }
        self.next = Some(next);
        self.moved = now;
        let excess = self.states.len().saturating_sub(MAX_BLOCKS);
        let oldest: Vec<u32> = self.states.keys().take(excess).copied().collect();
        oldest.into_iter().filter_map(|number| self.settle(number)).collect()
    }

    /// Forgets what is open. What is known to be closed stays so: it may be replayed.
    pub(super) fn rest(&mut self) {
        *self = Self { floor: self.next.unwrap_or(self.floor), ..Self::default() };
    }

    pub(super) fn place(&mut self, number: u32) -> Place<'_> {
        if number < self.floor {
            return Place::Past;
        }
        if self.next.is_none_or(|next| next <= number) {
            return Place::Beyond;
        }
        match self.states.get_mut(&number) {
            Some(State::Open(pieces)) => Place::Open(pieces),
            Some(State::Settled(_)) => Place::Settled,
            None => Place::Past,
        }
    }

    pub(super) fn open(&self) -> impl Iterator<Item = (u32, &Pieces)> {
        self.states.iter().filter_map(|(number, state)| match state {
            State::Open(pieces) => Some((*number, &**pieces)),
            State::Settled(_) => None,
        })
    }

    /// The block that this packet is of, if that is known.
    pub(super) fn holding(&self, ssrc: u32, index: u64) -> Option<u32> {
        let holds = |state: &State| {
            state.entries().is_some_and(|entries| entries.position(ssrc, index).is_some())
        };
        // Most often it is of the newest, or of none yet.
        self.states.iter().rev().find(|(_, state)| holds(state)).map(|(number, _)| *number)
    }

    /// Behind the last packet of the stream in the blocks before this one, as far as they are
    /// remembered.
    pub(super) fn end_before(&self, number: u32, ssrc: u32) -> Option<u64> {
        let before = self.states.range(..number).filter_map(|(_, state)| state.entries());
        before.filter_map(|entries| entries.end_of(ssrc)).max()
    }

    /// The first packet of the stream in the blocks behind this one, as far as they are known.
    pub(super) fn start_behind(&self, number: u32, ssrc: u32) -> Option<u64> {
        let behind = self.states.range(number.checked_add(1)?..);
        behind.filter_map(|(_, state)| state.entries()?.start_of(ssrc)).min()
    }

    /// An open block that is to be settled.
    pub(super) fn due(&self, now: Duration, playout: Duration) -> Option<u32> {
        let mut open = self.open();
        open.find(|(_, pieces)| pieces.settled_at(playout) <= now).map(|(number, _)| number)
    }

    /// The block is whole, or given up. Gives its pieces if it was open.
    pub(super) fn settle(&mut self, number: u32) -> Option<(u32, Pieces)> {
        let state = self.states.get_mut(&number)?;
        let State::Open(pieces) = state else { return None };
        let (entries, undelivered) = (pieces.entries().cloned(), pieces.undelivered());
        // Half forgotten after 44 blocks.
        self.lateness = (self.lateness * 63 / 64).max(pieces.lateness().min(MAX_LATENESS));
        match std::mem::replace(state, State::Settled(Settled { entries, undelivered })) {
            State::Open(pieces) => Some((number, *pieces)),
            State::Settled(_) => None,
        }
    }

    /// Moves the floor up over what is settled. Gives what these blocks consisted of, where that is
    /// known, and how many of their packets never left.
    pub(super) fn pass(&mut self) -> Vec<(Entries, usize)> {
        let mut passed = Vec::new();
        while let Some(first) = self.states.first_entry() {
            self.floor = *first.key();
            if let State::Open(_) = first.get() {
                return passed;
            }
            if let State::Settled(Settled { entries: Some(entries), undelivered }) = first.remove()
            {
                passed.push((entries, undelivered));
            }
        }
        self.floor = self.next.unwrap_or(self.floor);
        passed
    }
}
