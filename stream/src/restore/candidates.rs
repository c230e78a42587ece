//! What arrived and may be of the box: nobody knows yet.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use bytes::Bytes;

use crate::block::{Digest, Entries, MAX_ENTRIES};

/// Most bytes of candidates in all streams. A flood of twice a stream of 4 Mbit/s would fill them
/// in five seconds; most are settled after a tenth of one, all within one. Full: see
/// [`Candidates::insert`].
pub(super) const MAX_BYTES: usize = 8 << 20;
/// Of these each stream has so many to itself: no flood of one shuts out another.
const RESERVED: usize = 1 << 20;
/// What keeping one costs beside its bytes.
const OVERHEAD: usize = 128;

#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub ssrc: u32,
    pub index: u64,
    pub digest: Digest,
    pub arrived: Duration,
    pub datagram: Bytes,
}

impl Candidate {
    fn cost(&self) -> usize {
        self.datagram.len() + OVERHEAD
    }
}

/// Whether a candidate was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    Yes,
    /// The same is there already.
    Twice,
    /// This one was not, or so many others had to go.
    Full(usize),
}

#[derive(Debug, Default)]
struct Stream {
    /// By index; of one index in the order of arrival.
    indices: BTreeMap<u64, Vec<Candidate>>,
    cost: usize,
}

impl Stream {
    fn take(&mut self, index: u64) -> Vec<Candidate> {
        let taken = self.indices.remove(&index).unwrap_or_default();
        self.cost -= taken.iter().map(Candidate::cost).sum::<usize>();
        taken
    }
}

/// By stream: those that [`Streams`](super::streams::Streams) knows.
#[derive(Debug, Default)]
pub(super) struct Candidates(HashMap<u32, Stream>);

impl Candidates {
    /// Keeps a candidate. Full: what lies farthest ahead in its stream goes first, for that is
    /// needed last, and what a forger has most time for; and if nothing is farther, this one is not
    /// kept.
    pub(super) fn insert(&mut self, candidate: Candidate) -> Kept {
        let limit = self.limit(candidate.ssrc);
        let Candidate { index, digest, .. } = candidate;
        let cost = candidate.cost();
        let stream = self.0.entry(candidate.ssrc).or_default();
        let there = stream.indices.get(&index);
        if there.is_some_and(|there| there.iter().any(|other| other.digest == digest)) {
            return Kept::Twice;
        }
        let mut gone = 0;
        while stream.cost + cost > limit {
            match stream.indices.last_key_value() {
                Some((&last, _)) if last > index => gone += stream.take(last).len(),
                _ => return Kept::Full(gone + 1),
            }
        }
        stream.cost += cost;
        stream.indices.entry(index).or_default().push(candidate);
        if gone == 0 { Kept::Yes } else { Kept::Full(gone) }
    }

    /// Removes and gives all of this index.
    pub(super) fn take(&mut self, ssrc: u32, index: u64) -> Vec<Candidate> {
        self.0.get_mut(&ssrc).map(|stream| stream.take(index)).unwrap_or_default()
    }

    /// Removes all of this stream below the index.
    pub(super) fn drop_below(&mut self, ssrc: u32, index: u64) {
        let Some(stream) = self.0.get_mut(&ssrc) else { return };
        let above = stream.indices.split_off(&index);
        let below = std::mem::replace(&mut stream.indices, above);
        stream.cost -= below.values().flatten().map(Candidate::cost).sum::<usize>();
    }

    /// The stream is none of the lesson's any more.
    pub(super) fn forget(&mut self, ssrc: u32) {
        self.0.remove(&ssrc);
    }

    /// The only one of this index, if there is just one.
    pub(super) fn single(&self, ssrc: u32, index: u64) -> Option<&Bytes> {
        match self.0.get(&ssrc)?.indices.get(&index)?.as_slice() {
            [candidate] => Some(&candidate.datagram),
            _ => None,
        }
    }

    /// Whether some packet of these is there in several versions.
    pub(super) fn is_doubtful(&self, entries: &Entries) -> bool {
        let crowd = |(ssrc, index)| Some(self.0.get(&ssrc)?.indices.get(&index)?.len());
        entries.packets().filter_map(crowd).any(|crowd| crowd > 1)
    }

    /// How many of these indices have none, up to `most`.
    pub(super) fn lacking(&self, ssrc: u32, start: u64, end: u64, most: usize) -> usize {
        let indices = self.0.get(&ssrc).map(|stream| &stream.indices);
        let is_lacking = |index: &u64| !indices.is_some_and(|indices| indices.contains_key(index));
        // A range that nothing bounds could be that of a machine that slept.
        (start..end).take(4 * most).filter(is_lacking).take(most).count()
    }

    #[cfg(test)]
    pub(super) fn cost(&self) -> usize {
        self.0.values().map(|stream| stream.cost).sum()
    }

    /// What this stream may cost: all that the others have not, nor are to have.
    fn limit(&self, ssrc: u32) -> usize {
        let others = self.0.iter().filter(|(other, _)| **other != ssrc);
        let costs: Vec<usize> = others.map(|(_, stream)| stream.cost.max(RESERVED)).collect();
        let unborn = (MAX_ENTRIES - 1).saturating_sub(costs.len()) * RESERVED;
        MAX_BYTES.saturating_sub(costs.iter().sum::<usize>() + unborn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::digest_of;

    fn candidate(ssrc: u32, index: u64, name: u64, length: usize) -> Candidate {
        let mut datagram = vec![0; length];
        datagram[..8].copy_from_slice(&name.to_be_bytes());
        let digest = digest_of(&datagram);
        Candidate { ssrc, index, digest, arrived: Duration::ZERO, datagram: datagram.into() }
    }

    #[test]
    fn many_may_claim_one_index_and_each_once() {
        let mut candidates = Candidates::default();
        assert_eq!(candidates.insert(candidate(1, 5, 0, 100)), Kept::Yes);
        assert!(candidates.single(1, 5).is_some());
        assert_eq!(candidates.insert(candidate(1, 5, 0, 100)), Kept::Twice);
        for name in 1..1_000 {
            assert_eq!(candidates.insert(candidate(1, 5, name, 100)), Kept::Yes);
        }
        assert!(candidates.single(1, 5).is_none());
        assert_eq!(candidates.take(1, 5).len(), 1_000);
        assert_eq!(candidates.cost(), 0);
    }

    #[test]
    fn what_is_forged_far_ahead_makes_room_for_what_is_next() {
        let mut candidates = Candidates::default();
        let mut name = 0;
        let mut forge = |candidates: &mut Candidates, index| {
            name += 1;
            candidates.insert(candidate(1, index, name, 1_200))
        };
        while forge(&mut candidates, 2_000) == Kept::Yes {}
        assert_eq!(forge(&mut candidates, 2_000), Kept::Full(1), "itself");
        let crowd = candidates.0[&1].indices[&2_000].len();
        assert_eq!(forge(&mut candidates, 7), Kept::Full(crowd), "the crowd");
        assert!(candidates.single(1, 7).is_some());
    }

    #[test]
    fn no_flood_of_one_stream_shuts_out_another_nor_goes_beyond_the_limit() {
        let mut candidates = Candidates::default();
        for index in 0..10_000 {
            candidates.insert(candidate(1, index, 0, 1_400));
        }
        for ssrc in 2..=4 {
            for index in 0..600 {
                assert_eq!(candidates.insert(candidate(ssrc, index, 0, 1_400)), Kept::Yes);
            }
        }
        for ssrc in 2..=4 {
            for index in 600..10_000 {
                candidates.insert(candidate(ssrc, index, 0, 1_400));
            }
        }
        assert!(candidates.cost() <= MAX_BYTES);
        for ssrc in 1..=4 {
            candidates.drop_below(ssrc, 20_000);
        }
        assert_eq!(candidates.cost(), 0);
    }
}
