//! What is sent for what was asked: once for all, or to one machine alone.

use std::time::Duration;

use bytes::Bytes;

use super::{MAX_APART, MAX_WAITING, PATIENCE, ROUNDS, Reach, Repair, Waiting, kept::Ask};
use crate::{
    protect::on_air,
    transmit::{Lane, To, Transmit},
};

/// So many machines at most are answered alone...
const ALONE: usize = 2;
/// ... and so many while blocks are slices: then the wire loses, what two lack is much the same,
/// and sending it twice would cost another 2 % of the stream (simulated).
const ALONE_OF_SLICES: usize = 1;

/// Shards beyond the largest deficit, in the first, second and third answer to all. Each one more in
/// the second and third costs 1 % of the stream where a fifth is lost, and brings back nothing that the
/// next answer would not (50 machines, simulated).
const SPARE: [usize; ROUNDS as usize] = [1, 1, 2];
/// The same to one machine while blocks are slices: mostly one shard is lacking, and a second would be
/// half of the answer.
const SPARE_ALONE_OF_SLICES: [usize; ROUNDS as usize] = [0, 1, 2];

impl Repair {
    /// Answers what was asked for a block.
    pub(super) fn answer(&mut self, now: Duration, number: u32) {
        let Some(block) = self.kept.get_mut(number) else { return };
        let asks = block.take_asks();
        let (group, alone): (Vec<Ask>, Vec<Ask>) =
            asks.into_iter().partition(|ask| ask.reach == Reach::Multicast);
        let few = if block.closed.is_slice() { ALONE_OF_SLICES } else { ALONE };
        self.answer_alone(now, number, &alone);
        if group.len() <= few {
            self.answer_alone(now, number, &group);
        } else {
            self.answer_all(now, number, group);
        }
    }

    fn answer_all(&mut self, now: Duration, number: u32, mut asks: Vec<Ask>) {
        let bearable = self.budget(now) / 2;
        let Some(block) = self.kept.get_mut(number) else { return };
        if block.rounds == ROUNDS {
            self.stats.dropped += 1;
            return;
        }
        asks.sort_by_key(|ask| std::cmp::Reverse(ask.deficit));
        let (Some(first), Some(second)) = (asks.first(), asks.get(1)) else { return };
        let shard = block.closed.parity_bytes();
        let alone = u64::from(first.deficit - second.deficit) * shard;
        let account = self.accounts.get_mut(&first.receiver);
        let mut deficit = first.deficit;
        if account.is_some_and(|account| !account.may_cause(now, alone, bearable)) {
            // The others must not pay for it, nor go without.
            self.stats.limited += 1;
            deficit = second.deficit;
        }
        let count = usize::from(deficit) + spare(SPARE, block.rounds);
        block.rounds += 1;
        block.answered = Some((now, deficit));
        self.stats.rounds += 1;
        let manifest = block.closed.manifest().clone();
        let mut datagrams = block.closed.parity(count, &mut self.encoder, &self.key);
        if asks.iter().any(|ask| ask.wants_manifest) {
            datagrams.insert(0, manifest);
        }
        self.wait(now, To::Group, datagrams);
        self.kept.recount(number);
    }

    fn answer_alone(&mut self, now: Duration, number: u32, asks: &[Ask]) {
        let budget = self.budget(now);
        let Some(block) = self.kept.get_mut(number) else { return };
        let spares = if block.closed.is_slice() { SPARE_ALONE_OF_SLICES } else { SPARE };
        let shards = |ask: &Ask| usize::from(ask.deficit) + spare(spares, ask.round);
        let shard = block.closed.parity_bytes();
        let manifest = block.closed.manifest().clone();
        // Before anything is made for them: each shard is a signature, and none may be had twice.
        let mut bearable = Vec::with_capacity(asks.len());
        for ask in asks {
            let listed = if ask.wants_manifest { on_air(&manifest) } else { 0 };
            let bytes = shards(ask) as u64 * shard + listed;
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
            let count = shards(ask);
            self.stats.alone += 1;
            let manifest = ask.wants_manifest.then(|| manifest.clone());
            let datagrams = manifest.into_iter().chain(parity.iter().take(count).cloned());
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

/// What goes with the answer after so many.
fn spare(spares: [usize; ROUNDS as usize], before: u8) -> usize {
    spares.get(usize::from(before)).copied().unwrap_or_default()
}
