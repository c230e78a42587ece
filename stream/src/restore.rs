//! The machine's side of the broadcast: what arrives in, what the box sent out.
//!
//! Anybody with the group's key can make packets that open like the teacher's, and every machine
//! has that key. So nothing leaves here because it arrived, only because its digest stands in a
//! manifest that the box signed:
//!
//! ```text
//!                    ┌────────────┐ digest listed
//!   source ─────────▶│ candidates │───────────────┬──▶ verified, each once
//!                    └────────────┘               │
//!   manifest ─▶ ticket, signature ─▶ ┌───────┐ ───┘
//!   parity ───▶ needed?, signature ─▶│ block │ ─── k of n: decoded ──▶ verified
//!   heartbeat ▶ newer?, signature ──▶└───────┘
//!                                        └── short: asked for (feedback)
//! ```
//!
//! - **Candidates**: what arrived and stands in no manifest yet, within [`AHEAD`] indices. They are
//!   bounded together, not by index: whoever fills the places of one index ahead of time shuts
//!   nobody out. Full, what lies farthest ahead goes first, so a flood of twice the stream's rate
//!   never costs a packet that is next.
//! - **Blocks** come to be by a signed datagram: their own, or one with a higher number. They are
//!   whole, or given up when what is in them could no longer be shown.
//! - **Without a manifest**, sources and parity may suffice: then what is decoded is the manifest
//!   first, and its signature says whether the sources were true.
//! - **Only what is signed moves** the newest index, the newest block, or time. A machine that slept
//!   finds its way by the first heartbeat or manifest: what is in between is lost, not waited for.
//! - **Signatures are checked** only where it matters and at most 2,000 times a second, each kind with
//!   a share of its own; forged manifests mostly fall to their [ticket](crate::block::Ticket) before.
//! - **Asking**: see [`Restore::feedback`].
//!
//! What a hostile machine can still do is jam: a network that is full carries nothing, and a machine
//! that lost a manifest twice while being flooded may get the next copy late.
//!
//! Invariants: every packet leaves at most once; its bytes have the digest that the box signed for
//! its index; memory is at most 8 MiB of candidates and 64 blocks.

mod asks;
mod blocks;
mod candidates;
mod checks;
mod pieces;
mod streams;
mod tickets;

use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

use bytes::Bytes;

use self::{
    asks::Asks,
    blocks::{Blocks, Place},
    candidates::{Candidate, Candidates, Kept},
    checks::{Checks, Class},
    pieces::{Added, Pieces},
    streams::{Found, Streams},
    tickets::Tickets,
};
use crate::{
    block::{
        Decoder, Entries, Heartbeat, Kind, MAX_DATAGRAM, Manifest, Next, Parity, VerifyingKey,
        digest_of,
    },
    feedback::{Feedback, Loss, Request},
    rtp,
};

/// How far ahead of the newest verified index of its stream a packet is kept: over a second of the
/// richest stream.
pub const AHEAD: u64 = 2_048;
/// A block that is known to be closed is not short before: its second manifest is still due.
pub const SETTLING: Duration = Duration::from_millis(5);
/// Requests for one block.
pub const ASKS: u8 = 3;
/// The shortest time between them.
const ASK_AGAIN: Duration = Duration::from_millis(30);
/// What the box waits before it answers, how long it sends, and the network's jitter.
const ANSWERING: Duration = Duration::from_millis(20);
/// How often feedback comes when something was lost...
const AFTER_LOSS: Duration = Duration::from_millis(500);
/// ... and when nothing was.
const WITHOUT_LOSS: Duration = Duration::from_secs(2);
/// Most entries of each kind in one feedback.
const MAX_ENTRIES: usize = 32;
/// Most shards that a block can lack.
const MAX_SHARDS: usize = crate::block::MAX_SOURCES + 1;
/// Most verified packets that wait to be polled. Full: the oldest is dropped.
const MAX_VERIFIED: usize = 4_096;

/// What the grant, the clock and the control channel say.
#[derive(Debug)]
pub struct Config {
    /// The box's, for this lesson.
    pub key: VerifyingKey,
    /// The streams and where they are. Those that begin later come by signed heartbeats.
    pub streams: Vec<Next>,
    /// From a packet's arrival to the showing of what is in it, until a heartbeat says it.
    pub playout: Duration,
    /// To the box and back.
    pub round_trip: Duration,
}

/// A packet that the box sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    pub ssrc: u32,
    /// 48 bits.
    pub index: u64,
    /// Still sealed for the group.
    pub datagram: Bytes,
    /// It was lost and brought back.
    pub restored: bool,
}

/// What happened so far, in datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Sources that came and were verified.
    pub received: u64,
    /// Sources that were brought back by parity.
    pub restored: u64,
    /// Sources that were never there in time.
    pub lost: u64,
    /// Signatures checked.
    pub checked: u64,
    /// Dropped: what the box sent has another digest or ticket, or contradicts what it signed.
    pub forged: u64,
    /// Dropped: nothing said in time whether the box had sent it.
    pub unsure: u64,
    /// Dropped: not signed by the box.
    pub bad_signature: u64,
    /// Dropped: of the past.
    pub replayed: u64,
    /// Dropped: it was there already, or no longer needed.
    pub duplicate: u64,
    /// Dropped: nothing that the box sends looks like that.
    pub malformed: u64,
    /// Dropped: too far ahead, too many candidates, or too many signatures to check.
    pub over_limits: u64,
    /// Dropped: of a stream that is none of this lesson's.
    pub foreign: u64,
    /// Dropped: nobody polled.
    pub overflow: u64,
    /// Sources and parity that together did not make a block: some source was forged.
    pub failed_decodes: u64,
    pub requests: u64,
}

/// One machine's side of one lesson.
#[derive(Debug)]
pub struct Restore {
    key: VerifyingKey,
    playout: Duration,
    round_trip: Duration,
    streams: Streams,
    candidates: Candidates,
    blocks: Blocks,
    tickets: Tickets,
    checks: Checks,
    decoder: Decoder,
    /// The newest heartbeat, and when it or anything else signed came.
    heartbeat: Option<Heartbeat>,
    last_sign: Option<Duration>,
    /// At most [`MAX_VERIFIED`].
    verified: VecDeque<Verified>,
    /// Of blocks settled since the last feedback. At most [`MAX_ENTRIES`]; full: the oldest goes.
    losses: VecDeque<Loss>,
    last_feedback: Duration,
    stats: Stats,
}

impl Restore {
    pub fn new(now: Duration, config: Config) -> Self {
        Self {
            key: config.key,
            playout: config.playout,
            round_trip: config.round_trip,
            streams: Streams::new(&config.streams),
            candidates: Candidates::default(),
            blocks: Blocks::default(),
            tickets: Tickets::default(),
            checks: Checks::new(),
            decoder: Decoder::new(),
            heartbeat: None,
            last_sign: None,
            verified: VecDeque::new(),
            losses: VecDeque::new(),
            last_feedback: now,
            stats: Stats::default(),
        }
    }

    /// Takes the playout delay of a new grant. The next heartbeat says the newest.
    pub fn set_playout(&mut self, playout: Duration) {
        self.playout = playout;
    }

    /// Follows the round trip to the box.
    pub fn set_round_trip(&mut self, round_trip: Duration) {
        self.round_trip = round_trip;
    }

    /// Expects a stream, as a new grant says it. Known ones only go forward.
    pub fn expect(&mut self, next: Next) {
        self.learn(next.ssrc, next.index);
    }

    /// Takes in a datagram of any lane but the controls'. It is kept as it is: a small one should
    /// not be a slice of a large buffer.
    pub fn push(&mut self, now: Duration, datagram: Bytes) {
        self.expire(now);
        match Kind::of(&datagram) {
            Some(Kind::Manifest) => self.manifest(now, &datagram),
            Some(Kind::Parity) => self.parity(now, &datagram),
            Some(Kind::Heartbeat) => self.heartbeat(now, &datagram),
            None => self.source(now, datagram),
        }
    }

    /// The next packet that the box sent, as soon as that is sure; not in their order.
    pub fn poll(&mut self) -> Option<Verified> {
        self.verified.pop_front()
    }

    /// What is to be told to the box now. To be called until it gives `None`, after each push and
    /// at each timeout.
    ///
    /// A block that is short is asked for [`SETTLING`] after it is known to be closed, again when
    /// the answer should have come, [`ASKS`] times at most, and never after the time when its first
    /// packet is shown. What was lost is told every 500 ms; that nothing was, every 2 s.
    pub fn feedback(&mut self, now: Duration) -> Option<Feedback> {
        self.expire(now);
        let newest_block = self.blocks.newest()?;
        let requests = self.requests(now);
        if requests.is_empty() && now < self.next_report() {
            return None;
        }
        self.last_feedback = now;
        self.stats.requests += requests.len() as u64;
        Some(Feedback {
            newest_block,
            requests,
            losses: self.losses.drain(..).collect(),
            received: low(self.stats.received),
            lost: low(self.stats.lost),
        })
    }

    /// When to call [`Restore::feedback`] and [`Restore::poll`] even if nothing arrives; `None`
    /// before anything signed did.
    pub fn next_timeout(&self) -> Option<Duration> {
        self.blocks.newest()?;
        let times = self.blocks.open().flat_map(|(_, pieces)| {
            let ask = pieces.next_ask().filter(|&at| at < pieces.since() + self.playout);
            ask.into_iter().chain([pieces.settled_at(self.playout)])
        });
        times.chain([self.next_report()]).min()
    }

    /// When something signed last came: the box is there, and reaches this machine.
    pub fn last_sign(&self) -> Option<Duration> {
        self.last_sign
    }

    /// The newest heartbeat: the box's time, that of each stream, and D.
    pub fn heartbeat(&self) -> Option<&Heartbeat> {
        self.heartbeat.as_ref()
    }

    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Bytes of candidates.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.candidates.cost()
    }

    fn source(&mut self, now: Duration, datagram: Bytes) {
        let header = match rtp::Header::parse(&datagram) {
            Ok(header) if datagram.len() <= MAX_DATAGRAM => header,
            _ => return self.stats.malformed += 1,
        };
        let ssrc = header.ssrc;
        let (index, taken) = match self.streams.find(ssrc, header.sequence) {
            Found::Wanted(index) => (index, false),
            Found::Taken(index) => (index, true),
            Found::Old => return self.stats.replayed += 1,
            Found::Far => return self.stats.over_limits += 1,
            Found::Foreign => return self.stats.foreign += 1,
        };
        let block = self.blocks.holding(ssrc, index);
        if taken && block.is_none() {
            return self.stats.duplicate += 1;
        }
        let digest = digest_of(&datagram);
        match block.map(|number| (number, self.blocks.place(number))) {
            Some((number, Place::Open(pieces))) if pieces.is_listed() => {
                match pieces.add(ssrc, index, digest, &datagram, Some(now)) {
                    Added::New => {
                        self.deliver(ssrc, index, datagram, false);
                        self.complete(now, number);
                    }
                    Added::Again => self.stats.duplicate += 1,
                    Added::Wrong => self.stats.forged += 1,
                }
            }
            Some((number, Place::Open(_))) => {
                self.keep(Candidate { ssrc, index, digest, arrived: now, datagram });
                self.complete(now, number);
            }
            Some(_) if taken => self.stats.duplicate += 1,
            Some(_) => self.stats.replayed += 1,
            None => self.keep(Candidate { ssrc, index, digest, arrived: now, datagram }),
        }
    }

    fn keep(&mut self, candidate: Candidate) {
        match self.candidates.insert(candidate) {
            Kept::Yes => {}
            Kept::Twice => self.stats.duplicate += 1,
            Kept::Full(gone) => self.stats.over_limits += gone as u64,
        }
    }

    fn manifest(&mut self, now: Duration, datagram: &Bytes) {
        let Ok(claim) = Manifest::parse(datagram) else { return self.stats.malformed += 1 };
        let (block, ticket) = (claim.unverified().block, claim.unverified().ticket);
        match self.blocks.place(block) {
            Place::Open(pieces) if !pieces.is_listed() => {}
            Place::Open(pieces) => {
                let again = pieces.list_again(datagram);
                self.stats.duplicate += u64::from(again);
                self.stats.forged += u64::from(!again);
                return;
            }
            Place::Beyond => {}
            Place::Settled => return self.stats.duplicate += 1,
            Place::Past => return self.stats.replayed += 1,
        }
        let class = match self.tickets.check(block, ticket) {
            Some(true) => Class::Ticketed,
            Some(false) => return self.stats.forged += 1,
            None => Class::Unticketed,
        };
        if !self.may_check(now, class) {
            return;
        }
        match claim.verify(&self.key) {
            Ok(manifest) => self.list(now, manifest, datagram.clone(), true),
            Err(_) => self.stats.bad_signature += 1,
        }
    }

    fn parity(&mut self, now: Duration, datagram: &Bytes) {
        let Ok(claim) = Parity::parse(datagram) else { return self.stats.malformed += 1 };
        let parity = claim.unverified();
        let number = parity.block;
        match self.blocks.place(number) {
            Place::Open(pieces) if pieces.is_whole() || pieces.has(parity.number) => {
                return self.stats.duplicate += 1;
            }
            Place::Open(pieces) if !pieces.fits(parity) => return self.stats.forged += 1,
            Place::Open(_) | Place::Beyond => {}
            Place::Settled => return self.stats.duplicate += 1,
            Place::Past => return self.stats.replayed += 1,
        }
        if !self.may_check(now, Class::of_parity(datagram)) {
            return;
        }
        let Ok(parity) = claim.verify(&self.key) else { return self.stats.bad_signature += 1 };
        self.know(now, number, Some(&parity.entries));
        if let Place::Open(pieces) = self.blocks.place(number) {
            pieces.add_parity(now, parity);
            self.complete(now, number);
        }
    }

    fn heartbeat(&mut self, now: Duration, datagram: &Bytes) {
        let Ok(claim) = Heartbeat::parse(datagram) else { return self.stats.malformed += 1 };
        let claimed = claim.unverified();
        let is_old = |last: &Heartbeat| claimed.box_ms <= last.box_ms || claimed.block < last.block;
        if self.heartbeat.as_ref().is_some_and(is_old) {
            return self.stats.replayed += 1;
        }
        if !self.may_check(now, Class::Heartbeat) {
            return;
        }
        let Ok(heartbeat) = claim.verify(&self.key) else { return self.stats.bad_signature += 1 };
        for stream in &heartbeat.streams {
            self.learn(stream.ssrc, stream.next);
        }
        self.playout = heartbeat.playout();
        self.tickets.learn(heartbeat.block, heartbeat.commitment);
        self.last_sign = Some(now);
        let settled = self.blocks.closed(now, heartbeat.block, heartbeat.block);
        self.settle(settled);
        self.heartbeat = Some(heartbeat);
    }

    fn learn(&mut self, ssrc: u32, next: u64) {
        if let Some(gone) = self.streams.learn(ssrc, next) {
            self.candidates.forget(gone);
        }
    }

    fn may_check(&mut self, now: Duration, class: Class) -> bool {
        let may = self.checks.take(now, class);
        if may {
            self.stats.checked += 1;
        } else {
            self.stats.over_limits += 1;
        }
        may
    }

    /// This block is closed, as something signed says.
    fn know(&mut self, now: Duration, number: u32, entries: Option<&Entries>) {
        self.last_sign = Some(now);
        let settled = self.blocks.closed(now, number, number.saturating_add(1));
        self.settle(settled);
        let Some(entries) = entries else { return };
        for entry in entries.iter() {
            self.learn(entry.ssrc, entry.end());
        }
        if let Place::Open(pieces) = self.blocks.place(number) {
            pieces.consists_of(entries);
        }
    }

    /// What the block consists of is known.
    fn list(&mut self, now: Duration, manifest: Manifest, datagram: Bytes, came: bool) {
        let number = manifest.block;
        self.know(now, number, Some(&manifest.entries));
        self.tickets.learn_from(&manifest);
        let Place::Open(pieces) = self.blocks.place(number) else { return };
        let entries = manifest.entries.clone();
        if !pieces.list(manifest, datagram, came) {
            return;
        }
        for (ssrc, index) in entries.packets() {
            for candidate in self.candidates.take(ssrc, index) {
                let Place::Open(pieces) = self.blocks.place(number) else { return };
                let Candidate { arrived, datagram, .. } = candidate;
                match pieces.add(ssrc, index, candidate.digest, &datagram, Some(arrived)) {
                    Added::New => self.deliver(ssrc, index, datagram, false),
                    Added::Again => self.stats.duplicate += 1,
                    Added::Wrong => self.stats.forged += 1,
                }
            }
        }
        self.complete(now, number);
    }

    /// Decodes the block if that is possible.
    fn complete(&mut self, now: Duration, number: u32) {
        let Place::Open(pieces) = self.blocks.place(number) else { return };
        if !pieces.is_listed() {
            let Some(datagram) = pieces.guess(&mut self.decoder, &self.candidates) else { return };
            let manifest = Manifest::parse(&datagram).ok();
            let manifest = manifest.filter(|claim| claim.unverified().block == number);
            let verified = match manifest {
                Some(claim) if self.may_check(now, Class::Ticketed) => claim.verify(&self.key).ok(),
                _ => None,
            };
            match verified {
                Some(manifest) => self.list(now, manifest, datagram, false),
                None => self.stats.failed_decodes += 1,
            }
            return;
        }
        for (ssrc, index, datagram) in pieces.decode(&mut self.decoder) {
            self.deliver(ssrc, index, datagram, true);
        }
    }

    fn deliver(&mut self, ssrc: u32, index: u64, datagram: Bytes, restored: bool) {
        // A box that lists one packet in two blocks would be wrong; still it leaves once.
        if !self.streams.take(ssrc, index) {
            self.stats.duplicate += 1;
            return;
        }
        if restored {
            self.stats.restored += 1;
        } else {
            self.stats.received += 1;
        }
        if self.verified.len() == MAX_VERIFIED {
            self.verified.pop_front();
            self.stats.overflow += 1;
        }
        self.verified.push_back(Verified { ssrc, index, datagram, restored });
    }

    /// Settles what is whole, or could no longer be shown.
    fn expire(&mut self, now: Duration) {
        let playout = self.playout;
        while let Some(number) = self.blocks.due(now, playout) {
            let settled = self.blocks.settle(number);
            self.settle(settled.into_iter().collect());
        }
    }

    /// These blocks are whole, or given up.
    fn settle(&mut self, settled: Vec<(u32, Pieces)>) {
        for (block, pieces) in settled {
            let missing = pieces.missing().min(MAX_SHARDS);
            if let Some(missing) = u8::try_from(missing).ok().filter(|&missing| missing > 0) {
                if self.losses.len() == MAX_ENTRIES {
                    self.losses.pop_front();
                }
                self.losses.push_back(Loss { block, missing });
            }
            let candidates = &mut self.candidates;
            let packets = pieces.entries().into_iter().flat_map(Entries::packets);
            let left: usize = packets.map(|(ssrc, index)| candidates.take(ssrc, index).len()).sum();
            // Without the manifest, what the box sent is there as well.
            if pieces.is_listed() {
                self.stats.forged += left as u64;
            } else {
                self.stats.unsure += left as u64;
            }
        }
        for (entries, undelivered) in self.blocks.pass() {
            self.stats.lost += undelivered as u64;
            for entry in entries.iter() {
                self.stats.lost += self.streams.pass(entry);
                self.candidates.drop_below(entry.ssrc, entry.end());
            }
        }
        self.tickets.drop_below(self.blocks.floor());
    }

    fn next_report(&self) -> Duration {
        match self.losses.len() {
            0 => self.last_feedback + WITHOUT_LOSS,
            MAX_ENTRIES => self.last_feedback,
            _ => self.last_feedback + AFTER_LOSS,
        }
    }

    fn requests(&mut self, now: Duration) -> Vec<Request> {
        let again = ASK_AGAIN.max(self.round_trip + ANSWERING);
        let due = self.blocks.open().filter(|(_, pieces)| {
            pieces.next_ask().is_some_and(|at| at <= now) && now < pieces.since() + self.playout
        });
        let due: Vec<u32> = due.map(|(number, _)| number).take(MAX_ENTRIES).collect();
        let mut requests = Vec::with_capacity(due.len());
        for block in due {
            let deficit = self.deficit(block);
            if let Place::Open(pieces) = self.blocks.place(block) {
                pieces.asks().asked(now, now + again);
                requests.push(Request { block, deficit });
            }
        }
        requests
    }

    /// Shards that the block lacks; 0 if nothing is known of it.
    fn deficit(&mut self, number: u32) -> u8 {
        let deficit = match self.blocks.place(number) {
            Place::Open(pieces) if pieces.entries().is_some() => pieces.deficit(&self.candidates),
            _ => self.guess_deficit(number).unwrap_or_default(),
        };
        u8::try_from(deficit.min(MAX_SHARDS)).unwrap_or_default()
    }

    /// Of a block of which nothing came: its packets lie between those of its neighbours, and some
    /// of them may be here. `None` if a neighbour is as unknown.
    fn guess_deficit(&self, number: u32) -> Option<usize> {
        let before = self.blocks.entries(number.checked_sub(1)?);
        let after = self.blocks.entries(number.saturating_add(1));
        let heartbeat = self.heartbeat.as_ref().filter(|last| last.block == number + 1);
        if before.is_none() || (after.is_none() && heartbeat.is_none()) {
            return None;
        }
        let mut lacking = 1;
        let ssrcs: BTreeSet<u32> = self.streams.all().collect();
        for ssrc in ssrcs {
            let start = self.blocks.end_before(number, ssrc).or(self.streams.passed(ssrc));
            let end = after.and_then(|entries| entries.start_of(ssrc));
            let end = end.or_else(|| {
                let stream = heartbeat?.streams.iter().find(|stream| stream.ssrc == ssrc)?;
                Some(stream.next)
            });
            if let (Some(start), Some(end)) = (start, end) {
                lacking += self.candidates.lacking(ssrc, start, end, MAX_SHARDS);
            }
        }
        Some(lacking)
    }
}

/// The low 32 bits, as feedback has room for.
fn low(count: u64) -> u32 {
    (count & 0xffff_ffff) as u32
}

#[cfg(test)]
mod tests;
