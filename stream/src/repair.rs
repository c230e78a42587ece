//! The box's answers to machines that lack something.
//!
//! A machine short of d shards of a block asks for d, and any d shards of parity will do: so one
//! answer serves all who lost different packets, where a resend would serve one.
//!
//! ```text
//!   first request      GATHER later                          until the block is forgotten
//!   ──┬───┬──┬────────────┬────────────────────────────┬──────────────────────▶
//!     2   1  4            answer: 4 + 1 shards         the next: 1 + 1 shards
//! ```
//!
//! - **Many machines short**: the largest deficit and one more, once for all. **One or two**: the
//!   same, to each alone: that costs the others nothing, and Wi-Fi acknowledges it. While the wire
//!   loses much, one is answered like many, for others will lack the same, and a small answer has
//!   nothing to spare. Machines on unicast are always answered alone.
//! - **Again**: who asks a second time lost the answer; the third time is the last that is in time,
//!   so it is two more than what is lacking.
//! - Shards that were not sent before, as long as there are any. A machine that cannot tell what it
//!   lacks gets the manifest, and asks again by it: a forger makes all machines unsure that lack
//!   the manifest, and each would be sent the whole block.
//! - A request that crossed an answer to all is answered by it.
//! - **Budget**: all answers to machines on multicast take together at most half of what the sources
//!   take, over a second. What is beyond waits up to [`PATIENCE`], then it is dropped, and asked for
//!   again. A machine on unicast has the sources once more for itself, and half of them for what it
//!   lacks: fifty on one access point lack the same burst at once.
//! - **One machine's flood harms itself alone**: it is heard [`ROUNDS`] times about a block and so
//!   often a second (see [`Account`]), and causes by itself at most half of that budget; on
//!   unicast, its own. What it alone makes larger in an answer to all counts.
//!
//! Blocks are kept for [`KEPT`] and within [`MAX_BYTES`]; beyond, the oldest goes. Nothing here
//! trusts a request beyond that: it may name any block and any number.

mod account;
mod answer;
mod kept;

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use bytes::Bytes;

pub use self::kept::{KEPT, MAX_BLOCKS, MAX_BYTES};
use self::{
    account::Account,
    kept::{Ask, Kept},
};
use crate::{
    block::{Encoder, SigningKey},
    feedback::{Feedback, Request},
    protect::{Closed, on_air},
    restore::ROUNDS,
    transmit::{Lane, ReceiverId, Transmit},
    window::Window,
};

/// How long requests for a block gather after the first: machines on one wire ask within a few
/// milliseconds of each other.
pub const GATHER: Duration = Duration::from_millis(10);
/// The same after one from a machine that asks again: it has no time to lose, and the others ask
/// again each at its own time. And for machines on unicast, which are answered alone.
const GATHER_LITTLE: Duration = Duration::from_millis(2);
/// How long an answer waits for the budget.
pub const PATIENCE: Duration = Duration::from_millis(50);
/// A first request so soon after an answer to all was on its way before that arrived: the longest
/// round trip that repair within 250 ms is good for.
const CROSSING: Duration = Duration::from_millis(40);

/// What repair may take when the sources take less: a still screen's one lost packet is 2 % of its
/// stream of a minute, and half of that of a second.
const LEAST_BUDGET: u64 = 32 << 10;
/// How long what waits for the budget waits before the next look.
const RETRY: Duration = Duration::from_millis(5);

/// Most machines that are answered: far more than a room holds. Full: a further one is not.
const MAX_MACHINES: usize = 1_024;
/// Most datagrams that wait for the budget. Full: a further one is dropped.
const MAX_WAITING: usize = 1_024;
/// Most to machines on unicast that wait to be polled: one block's answers to over a hundred
/// machines. Full: a further one is dropped.
const MAX_APART: usize = 8_192;

/// How a machine receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    Multicast,
    /// What is sent to the group does not reach it.
    Unicast,
}

/// What happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Entries of feedback that asked for something.
    pub requests: u64,
    /// Of these: for a block that is not kept any more, or never was.
    pub unknown: u64,
    /// Of these: said once more, in case the first was lost.
    pub repeated: u64,
    /// Of these: crossed an answer to all that had as much.
    pub crossed: u64,
    /// Of these: over what one machine may ask for.
    pub limited: u64,
    /// Answers to all.
    pub rounds: u64,
    /// Answers to one machine.
    pub alone: u64,
    /// Datagrams sent.
    pub datagrams: u64,
    /// Datagrams dropped: over the budget for too long.
    pub dropped: u64,
}

/// A datagram that waits for the budget.
#[derive(Debug)]
struct Waiting {
    until: Duration,
    transmit: Transmit,
}

/// The repair of one lesson.
#[derive(Debug)]
pub struct Repair {
    key: SigningKey,
    encoder: Encoder,
    kept: Kept,
    /// At most [`MAX_MACHINES`].
    accounts: HashMap<ReceiverId, Account>,
    /// Bytes on air.
    sources: Window<20>,
    answers: Window<20>,
    /// In order of time. At most [`MAX_WAITING`].
    waiting: VecDeque<Waiting>,
    /// To machines on unicast. At most [`MAX_APART`].
    apart: VecDeque<Transmit>,
    stats: Stats,
}

impl Repair {
    /// With the key of [`Protect`](crate::protect::Protect).
    pub fn new(key: SigningKey) -> Self {
        Self {
            key,
            encoder: Encoder::new(),
            kept: Kept::default(),
            accounts: HashMap::new(),
            sources: Window::new(Duration::from_secs(1)),
            answers: Window::new(Duration::from_secs(1)),
            waiting: VecDeque::new(),
            apart: VecDeque::new(),
            stats: Stats::default(),
        }
    }

    /// Keeps a block, to be repaired from now on.
    pub fn keep(&mut self, now: Duration, closed: Closed) {
        self.sources.add(now, closed.source_bytes());
        self.kept.insert(now, closed);
    }

    /// Hears what a machine asks for.
    pub fn hear(&mut self, now: Duration, receiver: ReceiverId, reach: Reach, feedback: &Feedback) {
        if self.accounts.len() >= MAX_MACHINES && !self.accounts.contains_key(&receiver) {
            self.stats.limited += feedback.requests.len() as u64;
            return;
        }
        self.accounts.entry(receiver).or_default();
        for request in &feedback.requests {
            self.request(now, receiver, reach, *request);
        }
    }

    /// The machine left the lesson.
    pub fn forget(&mut self, receiver: ReceiverId) {
        self.accounts.remove(&receiver);
        self.kept.forget(receiver);
    }

    /// What is to be sent. To be called until it gives `None`, after requests and at each timeout.
    pub fn poll(&mut self, now: Duration) -> Option<Transmit> {
        self.kept.expire(now);
        loop {
            if let Some(transmit) = self.apart.pop_front() {
                self.stats.datagrams += 1;
                return Some(transmit);
            }
            let Some(block) = self.kept.due(now) else { break };
            self.answer(now, block);
        }
        while let Some(waiting) = self.waiting.front() {
            let bytes = on_air(&waiting.transmit.datagram);
            if self.answers.sum(now) + bytes <= self.budget(now) {
                self.answers.add(now, bytes);
                self.stats.datagrams += 1;
                return self.waiting.pop_front().map(|waiting| waiting.transmit);
            }
            if now < waiting.until {
                return None;
            }
            self.waiting.pop_front();
            self.stats.dropped += 1;
        }
        None
    }

    /// When to poll again even if nothing is asked for; `None` while nothing waits.
    pub fn next_timeout(&self, now: Duration) -> Option<Duration> {
        let waiting = self.waiting.front().map(|waiting| waiting.until.min(now + RETRY));
        [waiting, self.kept.next_due()].into_iter().flatten().min()
    }

    /// Everything kept from this block on that was closed after `since`, oldest first, the manifest
    /// of each block behind its packets: for a machine that has all before it and starts on
    /// unicast.
    pub fn from(&self, block: u32, since: Duration) -> impl Iterator<Item = (Lane, &Bytes)> {
        self.kept.from(block, since)
    }

    /// Entries of this machine's feedback that were over its limits.
    pub fn limited(&self, receiver: ReceiverId) -> u64 {
        self.accounts.get(&receiver).map_or(0, Account::limited)
    }

    pub fn stats(&self) -> Stats {
        self.stats
    }

    fn budget(&self, now: Duration) -> u64 {
        (self.sources.sum(now) / 2).max(LEAST_BUDGET)
    }

    fn request(&mut self, now: Duration, receiver: ReceiverId, reach: Reach, request: Request) {
        self.stats.requests += 1;
        let Some(account) = self.accounts.get_mut(&receiver) else { return };
        let Some(block) = self.kept.get_mut(request.block) else {
            self.stats.unknown += 1;
            return;
        };
        let round = request.round;
        let next_round = block.next_rounds.get(&receiver).copied().unwrap_or_default();
        if round < next_round {
            self.stats.repeated += 1;
            return;
        }
        if round >= ROUNDS || !account.may_ask(now) {
            account.limit();
            self.stats.limited += 1;
            return;
        }
        block.next_rounds.insert(receiver, round + 1);
        let is_first = next_round == 0;
        let wants_manifest = request.deficit == 0;
        let shards = u8::try_from(block.closed.entries().shards()).unwrap_or(u8::MAX);
        let mut deficit = request.deficit.clamp(1, shards);
        if let Some((at, count)) = block.answered
            && is_first
            && !wants_manifest
            && reach == Reach::Multicast
            && now < at + CROSSING
        {
            deficit = deficit.saturating_sub(count);
            if deficit == 0 {
                self.stats.crossed += 1;
                return;
            }
        }
        let gather = if is_first && reach == Reach::Multicast { GATHER } else { GATHER_LITTLE };
        let ask = Ask { receiver, reach, deficit, wants_manifest, round };
        self.kept.ask(request.block, now + gather, ask);
    }
}

#[cfg(test)]
mod tests;
