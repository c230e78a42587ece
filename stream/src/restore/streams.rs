//! Where each stream is, and which of its packets left already.

use crate::{
    block::{Entry, MAX_ENTRIES, Next},
    index::{MAX_INDEX, nearest},
};

/// Indices that are remembered for each stream: a second of the richest. RFC 3711 §3.3.2 wants at
/// least 64; repair brings back what is hundreds of packets old.
const REMEMBERED: u64 = 4_096;
const WORDS: usize = 64;

/// What a sequence number means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// This index has not left yet.
    Wanted(u64),
    /// It has.
    Taken(u64),
    /// It can no longer leave.
    Old,
    /// It is farther ahead than anything is kept.
    Far,
    /// No such stream.
    Foreign,
}

/// One stream.
#[derive(Debug)]
struct Stream {
    ssrc: u32,
    /// The newest index that the box signed.
    newest: u64,
    /// All below is settled. `None` before the first block.
    passed: Option<u64>,
    /// Packets in the last block with any that is settled.
    run: u64,
    replay: Replay,
}

/// The last packets that left (RFC 3711 §3.3.2).
#[derive(Debug)]
struct Replay {
    /// Behind the highest index.
    end: u64,
    /// Index `n` is bit `n % REMEMBERED`.
    bits: [u64; WORDS],
}

impl Replay {
    fn is_old(&self, index: u64) -> bool {
        index.saturating_add(REMEMBERED) < self.end
    }

    fn has(&self, index: u64) -> bool {
        let (word, bit) = place(index);
        index < self.end && self.bits[word] & bit != 0
    }

    /// Whether this index was not there.
    fn take(&mut self, index: u64) -> bool {
        if self.is_old(index) || self.has(index) {
            return false;
        }
        if index >= self.end {
            let skipped = (index - self.end).min(REMEMBERED - 1);
            for passed in index - skipped..=index {
                let (word, bit) = place(passed);
                self.bits[word] &= !bit;
            }
            self.end = index + 1;
        }
        let (word, bit) = place(index);
        self.bits[word] |= bit;
        true
    }
}

fn place(index: u64) -> (usize, u64) {
    let bit = index % REMEMBERED;
    (usize::try_from(bit / 64).unwrap_or_default(), 1 << (bit % 64))
}

/// The streams of a lesson, the one that was named last comes last. At most [`MAX_ENTRIES`]; full:
/// the one that was not named for the longest goes.
#[derive(Debug, Default)]
pub(super) struct Streams(Vec<Stream>);

impl Streams {
    pub(super) fn new(streams: &[Next]) -> Self {
        let mut all = Self::default();
        for next in streams {
            all.learn(next.ssrc, next.index);
        }
        all
    }

    /// The box says that `next` is next in this stream. Gives the stream that had to go.
    pub(super) fn learn(&mut self, ssrc: u32, next: u64) -> Option<u32> {
        let newest = next.saturating_sub(1).min(MAX_INDEX);
        let known = self.0.iter().position(|stream| stream.ssrc == ssrc);
        if let Some(at) = known {
            let mut stream = self.0.remove(at);
            stream.newest = stream.newest.max(newest);
            self.0.push(stream);
            return None;
        }
        let gone = (self.0.len() == MAX_ENTRIES).then(|| self.0.remove(0).ssrc);
        let replay = Replay { end: 0, bits: [0; WORDS] };
        self.0.push(Stream { ssrc, newest, passed: None, run: 0, replay });
        gone
    }

    /// The index that a packet with this sequence number has, and whether it is wanted.
    pub(super) fn find(&self, ssrc: u32, sequence: u16) -> Found {
        let Some(stream) = self.get(ssrc) else { return Found::Foreign };
        let index = nearest(stream.newest, sequence);
        if index > stream.newest + super::AHEAD || index > MAX_INDEX {
            Found::Far
        } else if stream.replay.has(index) {
            Found::Taken(index)
        } else if stream.passed.is_some_and(|passed| index < passed) || stream.replay.is_old(index)
        {
            Found::Old
        } else {
            Found::Wanted(index)
        }
    }

    /// The packet leaves. `false` if it did before, or is too old to say.
    pub(super) fn take(&mut self, ssrc: u32, index: u64) -> bool {
        let mut streams = self.0.iter_mut();
        let stream = streams.find(|stream| stream.ssrc == ssrc);
        stream.is_some_and(|stream| stream.replay.take(index))
    }

    /// All up to the end of this run is settled. Gives how many packets before it nobody ever heard
    /// of.
    pub(super) fn pass(&mut self, entry: &Entry) -> u64 {
        let mut streams = self.0.iter_mut();
        let Some(stream) = streams.find(|stream| stream.ssrc == entry.ssrc) else { return 0 };
        let passed = stream.passed.unwrap_or(entry.first);
        stream.passed = Some(passed.max(entry.end()));
        stream.run = entry.count.into();
        entry.first.saturating_sub(passed)
    }

    /// Nothing is settled any more; what left stays known.
    pub(super) fn begin_anew(&mut self) {
        for stream in &mut self.0 {
            stream.passed = None;
        }
    }

    /// Below this index all is settled.
    pub(super) fn passed(&self, ssrc: u32) -> Option<u64> {
        self.get(ssrc)?.passed
    }

    /// How many packets the last settled block with any of this stream had.
    pub(super) fn run(&self, ssrc: u32) -> u64 {
        self.get(ssrc).map_or(0, |stream| stream.run)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = u32> {
        self.0.iter().map(|stream| stream.ssrc)
    }

    fn get(&self, ssrc: u32) -> Option<&Stream> {
        self.0.iter().find(|stream| stream.ssrc == ssrc)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_sequence_number_is_that_of_the_nearest_index() {
        let streams = Streams::new(&[Next { ssrc: 1, index: 65_540 }]);
        assert_eq!(streams.find(1, 4), Found::Wanted(65_540));
        assert_eq!(streams.find(1, 65_530), Found::Wanted(65_530));
        assert_eq!(streams.find(1, 2_051), Found::Wanted(65_539 + 2_048));
        assert_eq!(streams.find(1, 2_052), Found::Far);
        assert_eq!(streams.find(2, 4), Found::Foreign);
    }

    #[test]
    fn what_is_passed_or_left_is_wanted_no_more() {
        let mut streams = Streams::new(&[Next { ssrc: 1, index: 100 }]);
        assert!(streams.take(1, 100));
        assert_eq!(streams.find(1, 100), Found::Taken(100));
        assert_eq!(streams.pass(&Entry { ssrc: 1, first: 98, count: 2 }), 0);
        assert_eq!(streams.find(1, 99), Found::Old);
        assert_eq!(streams.pass(&Entry { ssrc: 1, first: 110, count: 2 }), 10);
        assert_eq!(streams.passed(1), Some(112));
        assert_eq!(streams.find(1, 111), Found::Old);
    }

    #[test]
    fn nothing_moves_a_stream_back_and_a_fifth_takes_the_place_of_the_oldest() {
        let mut streams = Streams::new(&[Next { ssrc: 1, index: 100 }]);
        assert_eq!(streams.learn(1, 50), None);
        assert_eq!(streams.find(1, 100), Found::Wanted(100));
        for ssrc in 2..=4 {
            assert_eq!(streams.learn(ssrc, 0), None);
        }
        assert_eq!(streams.learn(1, 101), None);
        assert_eq!(streams.learn(5, 0), Some(2));
        assert_eq!(streams.find(2, 0), Found::Foreign);
    }

    proptest! {
        #[test]
        fn an_index_is_taken_once_or_too_old(
            steps in proptest::collection::vec(-6_000..3_000_i64, 1..300),
        ) {
            let mut streams = Streams::new(&[Next { ssrc: 1, index: 100_000 }]);
            let (mut at, mut newest) = (100_000_u64, 0);
            let mut taken = HashSet::new();
            for step in steps {
                at = at.saturating_add_signed(step % 40 * if step % 7 == 0 { 100 } else { 1 });
                let is_old = at + REMEMBERED < newest;
                let is_new = !is_old && taken.insert(at);
                prop_assert_eq!(streams.take(1, at), is_new);
                if is_new {
                    newest = newest.max(at + 1);
                }
            }
        }
    }
}
