//! One block, as far as it is there.
//!
//! The first block of all is most often on its way already when a machine begins to listen. What
//! was on air before is not lost: it is not told of, nor asked for unless something behind it lacks
//! too, or each machine that joins would make the box repair for all. It comes with the kept
//! pictures.

mod decode;

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;

use self::decode::singles;
use super::{Asks, LATE_WAIT, candidates::Candidates};
use crate::{
    block::{Digest, Entries, MAX_SOURCES, Manifest, Parity},
    protect::SLICE,
};

/// How long after it is known to be closed a block that is whole waits for what comes late: until
/// then what parity brought back sooner is not lost.
const GRACE: Duration = Duration::from_millis(40);

/// What the manifest says.
#[derive(Debug)]
struct List {
    digests: Vec<Digest>,
    /// The datagram, for it is a shard too.
    datagram: Bytes,
    /// It came by itself.
    came: bool,
}

/// A source packet.
#[derive(Clone, Debug, Default)]
struct Source {
    /// Verified.
    datagram: Option<Bytes>,
    /// It came by itself.
    came: bool,
}

/// What a source packet is to its block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Added {
    New,
    /// It was there already.
    Again,
    /// The manifest says something else.
    Wrong,
}

/// One block.
#[derive(Debug)]
pub(super) struct Pieces {
    /// When it was known to be closed.
    known: Duration,
    /// How long after that the last packet came by itself.
    lateness: Duration,
    /// When its first packet came, as far as that is known...
    heard: Option<Duration>,
    /// ... and when it must have begun by what is known of others.
    since: Duration,
    /// None was known before.
    is_first: bool,
    entries: Option<Entries>,
    list: Option<List>,
    /// By place. Empty before there is a list.
    sources: Vec<Source>,
    /// Verified, all of one length. At most as many as there are shards.
    parity: BTreeMap<u8, Bytes>,
    guesses: u8,
    /// How many candidates and parity shards the last guess was made from.
    guessed: (usize, usize),
    asks: Asks,
}

impl Pieces {
    /// It is known from now on that this block is closed; it began at `since`. What comes late
    /// comes `lateness` late.
    pub(super) fn new(now: Duration, since: Duration, lateness: Duration, is_first: bool) -> Self {
        Self {
            known: now,
            lateness: Duration::ZERO,
            heard: None,
            since,
            is_first,
            entries: None,
            list: None,
            sources: Vec::new(),
            parity: BTreeMap::new(),
            guesses: 0,
            guessed: (0, 0),
            asks: Asks::new(now + lateness),
        }
    }

    pub(super) fn since(&self) -> Duration {
        self.heard.unwrap_or(self.since)
    }

    /// When it is settled: whole and nothing can be on its way any more, or even its last packet
    /// would be later than anything is waited for.
    pub(super) fn settled_at(&self, playout: Duration) -> Duration {
        let given_up = self.in_time_until(playout) + LATE_WAIT;
        if self.is_whole() { given_up.min(self.known + GRACE) } else { given_up }
    }

    /// Until when even its last packet can be shown in time.
    pub(super) fn in_time_until(&self, playout: Duration) -> Duration {
        self.since() + playout + SLICE
    }

    /// Until when it is asked for, as its first packet says.
    pub(super) fn asked_until(&self, playout: Duration) -> Duration {
        self.since() + playout + LATE_WAIT
    }

    pub(super) fn lateness(&self) -> Duration {
        self.lateness
    }

    pub(super) fn asks(&mut self) -> &mut Asks {
        &mut self.asks
    }

    /// When to ask for what it lacks.
    pub(super) fn next_ask(&self) -> Option<Duration> {
        let is_served = self.is_listed() && self.undelivered() == 0;
        if is_served { None } else { self.asks.next() }
    }

    pub(super) fn entries(&self) -> Option<&Entries> {
        self.entries.as_ref()
    }

    /// Its manifest is there.
    pub(super) fn is_listed(&self) -> bool {
        self.list.is_some()
    }

    pub(super) fn is_whole(&self) -> bool {
        self.is_listed() && self.sources.iter().all(|source| source.datagram.is_some())
    }

    /// What a signed datagram says that the block consists of.
    pub(super) fn consists_of(&mut self, entries: &Entries) {
        self.entries.get_or_insert_with(|| entries.clone());
    }

    /// Takes the verified manifest, which came as this datagram. `false` if there is one, or it
    /// contradicts what was signed before.
    pub(super) fn list(&mut self, manifest: Manifest, datagram: Bytes, came: bool) -> bool {
        let entries = self.entries.get_or_insert(manifest.entries.clone());
        if self.list.is_some() || *entries != manifest.entries {
            return false;
        }
        self.sources = vec![Source::default(); entries.sources()];
        self.list = Some(List { digests: manifest.digests, datagram, came });
        true
    }

    /// Whether this is the manifest that is there already. If it was brought back, it came after
    /// all.
    pub(super) fn list_again(&mut self, datagram: &Bytes) -> bool {
        let Some(list) = &mut self.list else { return false };
        let same = list.datagram == datagram;
        list.came |= same;
        same
    }

    /// Takes a source packet that came at `arrived`, or by parity.
    pub(super) fn add(
        &mut self,
        ssrc: u32,
        index: u64,
        digest: Digest,
        datagram: &Bytes,
        arrived: Option<Duration>,
    ) -> Added {
        let place = self.entries.as_ref().and_then(|entries| entries.position(ssrc, index));
        let (Some(place), Some(list)) = (place, &self.list) else { return Added::Wrong };
        let (source, listed) = (self.sources.get_mut(place), list.digests.get(place));
        let Some(source) = source.filter(|_| listed == Some(&digest)) else { return Added::Wrong };
        if let Some(arrived) = arrived {
            source.came = true;
            self.lateness = self.lateness.max(arrived.saturating_sub(self.known));
            self.heard = Some(self.heard.map_or(arrived, |heard| heard.min(arrived)));
        }
        if source.datagram.is_some() {
            return Added::Again;
        }
        source.datagram = Some(datagram.clone());
        Added::New
    }

    pub(super) fn has(&self, number: u8) -> bool {
        self.parity.contains_key(&number)
    }

    /// Whether such parity could be of this block, and is of use. No signature is checked for what
    /// this refuses.
    pub(super) fn fits(&self, parity: &Parity) -> bool {
        let length = parity.shard.len();
        let like_others = self.parity.values().all(|shard| shard.len() == length);
        let longest = self.present().map(|(_, datagram)| datagram.len()).max().unwrap_or_default();
        let same = self.entries.as_ref().is_none_or(|entries| *entries == parity.entries);
        same && like_others && length >= longest + 2
    }

    /// Takes verified parity. Gives how long it took, if it answers the first request.
    pub(super) fn add_parity(&mut self, now: Duration, parity: Parity) -> Option<Duration> {
        if !self.fits(&parity) || self.parity.len() > MAX_SOURCES {
            return None;
        }
        self.parity.insert(parity.number, parity.shard);
        self.asks.came(now)
    }

    /// Shards that it lacks; 0 when the manifest is needed: only it can tell, for some packet came
    /// in two versions or was a forged one; or too little time is left to lose another answer.
    /// [`Pieces::entries`] must be known.
    pub(super) fn deficit(&self, candidates: &Candidates) -> usize {
        let Some(entries) = &self.entries else { return 0 };
        let here = if self.is_listed() {
            1 + self.present().count()
        } else if self.guesses > 0 || candidates.is_doubtful(entries) {
            return 0;
        } else {
            singles(entries, candidates).count()
        };
        let lacking = entries.shards().saturating_sub(here + self.parity.len()).max(1);
        // Without its manifest a block that lacks one shard gives nothing; with it, all that came.
        let by_manifest = match self.asks.rounds() {
            0 => 0,
            1 => 2,
            _ => usize::MAX,
        };
        if !self.is_listed() && lacking <= by_manifest { 0 } else { lacking }
    }

    /// Shards that did not come by themselves, late as they may be.
    pub(super) fn missing(&self) -> usize {
        match (&self.entries, &self.list) {
            (Some(_), Some(list)) => {
                let sources = self.sources.iter().filter(|source| !source.came).count();
                sources - self.before(|source| source.came) + usize::from(!list.came)
            }
            // Nobody can say what of it was on air before.
            (_, None) if self.is_first => 0,
            (Some(entries), None) => entries.shards(),
            (None, _) => MAX_SOURCES + 1,
        }
    }

    /// Packets that did not leave, as far as they are known.
    pub(super) fn undelivered(&self) -> usize {
        let sources = self.entries.as_ref().map_or(0, Entries::sources);
        sources - self.present().count() - self.before(|source| source.datagram.is_some())
    }

    /// Packets that were on air before the machine listened: of each run those before the first
    /// that is there.
    fn before(&self, is_there: impl Fn(&Source) -> bool) -> usize {
        let Some(entries) = self.entries.as_ref().filter(|_| self.is_first) else { return 0 };
        let mut rest = &self.sources[..];
        let lacking = entries.iter().map(|entry| {
            let (run, behind) = rest.split_at(rest.len().min(entry.count.into()));
            rest = behind;
            run.iter().position(&is_there).unwrap_or(run.len())
        });
        lacking.sum()
    }

    /// The verified sources, by place.
    fn present(&self) -> impl Iterator<Item = (usize, &Bytes)> + Clone {
        let sources = self.sources.iter().enumerate();
        sources.filter_map(|(place, source)| Some((place, source.datagram.as_ref()?)))
    }
}
