//! What is sent for what was asked: once for all, or to one machine alone.

use std::time::Duration;

use bytes::Bytes;

use super::{MAX_APART, MAX_WAITING, PATIENCE, ROUNDS, Reach, Repair, Waiting, kept::Ask};
use crate::{
    protect::{MOST_ALONE, on_air},
    transmit::{Lane, To, Transmit},
};

/// Answers to all for one block: some two are sent where a fifth is lost (50 machines, simulated),
/// and what round trips spread over more than requests are gathered for may take more.
const MOST_ANSWERS: u8 = 2 * ROUNDS;

/// Shards beyond the largest deficit, in the answer to the first, the second, and any later
/// request. Each one more in the second and third costs 1 % of the stream where a fifth is lost,
/// and brings back nothing that the next answer would not (50 machines, simulated).
const SPARE: [usize; 3] = [1, 1, 2];

/// So small an answer to a first request goes without a spare shard while blocks are slices: that
/// would be half of it, and is mostly not needed.
const SMALL: u8 = 2;

impl Repair {
    /// Answers what was asked for a block.
    pub(super) fn answer(&mut self, now: Duration, number: u32) {
        let Some(block) = self.kept.get_mut(number) else { return };
        let (group, alone) = block.take_asks(now);
        // Of a slice what one lacks others do, whose requests are still on their way: to all it
        // costs as much, and saves up to 3 % of the stream (50 machines, simulated).
        let are_few = group.len() <= MOST_ALONE && !block.closed.is_slice();
        self.answer_alone(now, number, &alone);
        if are_few {
            self.answer_alone(now, number, &group);
        } else {
            self.answer_all(now, number, group);
        }
    }

    fn answer_all(&mut self, now: Duration, number: u32, mut asks: Vec<Ask>) {
        let bearable = self.budget(now) / 2;
        let Some(block) = self.kept.get_mut(number) else { return };
        asks.sort_by_key(|ask| std::cmp::Reverse(ask.deficit));
        let Some(first) = asks.first() else { return };
        if block.answers == MOST_ANSWERS {
            self.stats.dropped += 1;
            return;
        }
        let (is_slice, shard) = (block.closed.is_slice(), block.closed.parity_bytes());
        let round = asks.iter().map(|ask| ask.round).max().unwrap_or_default();
        let shards = |deficit| count(deficit, round, is_slice) as u64 * shard;
        let (others, alone) = match asks.get(1) {
            Some(second) => (second.deficit, shards(first.deficit) - shards(second.deficit)),
            // All of it is sent for this one.
            None => (0, shards(first.deficit) + listed(*first, block.closed.manifest())),
        };
        let account = self.accounts.get_mut(&first.receiver);
        let mut deficit = first.deficit;
        if account.is_some_and(|account| !account.may_cause(now, alone, bearable)) {
            // The others must not pay for it, nor go without.
            self.stats.limited += 1;
            deficit = others;
        }
        if deficit == 0 {
            return;
        }
        let most = count(deficit, round, is_slice);
        block.answers += 1;
        block.answered = Some((now, deficit));
        self.stats.rounds += 1;
        let manifest = block.closed.manifest().clone();
        let mut datagrams = block.closed.parity(most, &mut self.encoder, &self.key);
        if asks.iter().any(|ask| ask.wants_manifest) {
            datagrams.insert(0, manifest);
        }
        self.wait(now, To::Group, datagrams);
        self.kept.recount(number);
    }

    fn answer_alone(&mut self, now: Duration, number: u32, asks: &[Ask]) {
        let budget = self.budget(now);
        let Some(block) = self.kept.get_mut(number) else { return };
        let is_slice = block.closed.is_slice();
        let shards = |ask: &Ask| count(ask.deficit, ask.round, is_slice);
        let shard = block.closed.parity_bytes();
        let manifest = block.closed.manifest().clone();
        // Before anything is made for them: each shard is a signature, and none may be had twice.
        let mut bearable = Vec::with_capacity(asks.len());
        for ask in asks {
            let bytes = shards(ask) as u64 * shard + listed(*ask, &manifest);
            let most = if ask.reach == Reach::Unicast { budget } else { budget / 2 };
            let account = self.accounts.get_mut(&ask.receiver);
            if account.is_some_and(|account| account.may_cause(now, bytes, most)) {
                bearable.push(ask);
            } else {
                self.stats.limited += 1;
            }
        }
        let Some(most) = bearable.iter().map(|ask| shards(ask)).max() else { return };
        let parity = block.closed.parity(most, &mut self.encoder, &self.key);
        for ask in bearable {
            self.stats.alone += 1;
            let manifest = ask.wants_manifest.then(|| manifest.clone());
            let datagrams = manifest.into_iter().chain(parity.iter().take(shards(ask)).cloned());
            let to = To::Receiver(ask.receiver);
            match ask.reach {
                Reach::Multicast => self.wait(now, to, datagrams.collect()),
                Reach::Unicast => self.leave(to, datagrams),
            }
        }
        self.kept.recount(number);
    }

    /// Beside the budget of those on multicast.
    fn leave(&mut self, to: To, datagrams: impl Iterator<Item = Bytes>) {
        for datagram in datagrams {
            if self.apart.len() == MAX_APART {
                self.stats.dropped += 1;
                continue;
            }
            self.apart.push_back(Transmit { to, lane: Lane::Repair, datagram });
        }
    }

    fn wait(&mut self, now: Duration, to: To, datagrams: Vec<Bytes>) {
        for datagram in datagrams {
            if self.waiting.len() == MAX_WAITING {
                self.stats.dropped += 1;
                continue;
            }
            let transmit = Transmit { to, lane: Lane::Repair, datagram };
            self.waiting.push_back(Waiting { until: now + PATIENCE, transmit });
        }
    }
}

/// Bytes of the manifest on air, if it is wanted.
fn listed(ask: Ask, manifest: &Bytes) -> u64 {
    if ask.wants_manifest { on_air(manifest) } else { 0 }
}

/// Shards to answer with where so many lack after so many requests before.
fn count(deficit: u8, before: u8, is_slice: bool) -> usize {
    let spare = SPARE[usize::from(before).min(SPARE.len() - 1)];
    let does_without = is_slice && before == 0 && deficit <= SMALL;
    usize::from(deficit) + if does_without { 0 } else { spare }
}
