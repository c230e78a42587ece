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
//!   whole, or given up [`LATE_WAIT`] after what is in them was to be shown: the pictures behind
//!   need theirs, and the next keyframe may be seconds away.
//! - **Without a manifest**, sources and parity may suffice: then what is decoded is the manifest
//!   first, and its signature says whether the sources were true.
//! - **Only what is signed moves** the newest index, the newest block, or time. A machine that
//!   slept finds its way by the first heartbeat or manifest: what is in between is lost, not waited
//!   for.
//! - **Signatures are checked** only where it matters and at most 2,000 times a second, each kind
//!   with a share of its own; forged manifests mostly fall to their [ticket](crate::block::Ticket)
//!   before.
//! - **Asking**: see [`Restore::feedback`].
//!
//! What a hostile machine can still do is jam: a network that is full carries nothing, and a
//! machine that lost a manifest twice while being flooded may get the next copy late.
//!
//! Invariants: every packet leaves at most once; its bytes have the digest that the box signed for
//! its index; memory is at most 8 MiB of candidates and 64 blocks.

mod asks;
mod blocks;
mod candidates;
mod checks;
mod course;
mod intake;
mod pieces;
mod speaking;
mod stats;
mod streams;
mod tickets;

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;

pub use self::stats::Stats;
use self::{
    asks::{Answers, Asks},
    blocks::Blocks,
    candidates::Candidates,
    checks::{Checks, Class},
    streams::Streams,
    tickets::Tickets,
};
use crate::{
    block::{Decoder, Heartbeat, Kind, Next, VerifyingKey},
    feedback::Loss,
};

/// How far ahead of the newest verified index of its stream a packet is kept: over a second of the
/// richest stream.
pub const AHEAD: u64 = 2_048;
/// A block that is known to be closed is not short before: its second manifest is still due.
pub const SETTLING: Duration = Duration::from_millis(5);
/// Requests for one block, as soon as the last one's answer is missing: all of them while what it
/// brings can be shown in time...
const ASKS: u8 = 3;
/// ... and with those that follow more slowly: where nothing comes through for a tenth of a second,
/// the first ones are spent on that.
pub const ROUNDS: u8 = ASKS + 4;
/// How far apart these are: whatever held up the others' answers is over by then.
const LATE_APART: Duration = Duration::from_millis(100);
/// How long after its time to be shown what a block lacks is still waited for: until the last of
/// the requests is answered.
pub const LATE_WAIT: Duration = Duration::from_millis(350);
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
    /// How long from a packet's arrival what is in it may be shown in time: the largest that D may
    /// become, not what D is. A frame that comes after D is shown late, once, and D rises by what is
    /// heard of it; one that was given up, [`LATE_WAIT`] later, is missed up to the next keyframe.
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

/// One machine's side of one lesson.
#[derive(Debug)]
pub struct Restore {
    key: VerifyingKey,
    playout: Duration,
    round_trip: Duration,
    streams: Streams,
    candidates: Candidates,
    blocks: Blocks,
    answers: Answers,
    tickets: Tickets,
    checks: Checks,
    decoder: Decoder,
    /// The newest heartbeat, and when it or anything else signed came.
    heartbeat: Option<Heartbeat>,
    last_sign: Option<Duration>,
    /// How often anything signed was heard.
    signs: u64,
    /// The box's time in the newest answer to a keep-alive.
    answered: Option<u64>,
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
            answers: Answers::default(),
            tickets: Tickets::default(),
            checks: Checks::new(),
            decoder: Decoder::new(),
            heartbeat: None,
            last_sign: None,
            signs: 0,
            answered: None,
            verified: VecDeque::new(),
            losses: VecDeque::new(),
            last_feedback: now,
            stats: Stats::default(),
        }
    }

    /// Takes the playout delay of a new grant.
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
    ///
    /// `true`: the box is heard by the way that it came. It was needed and is the box's own, or is
    /// the newest heartbeat once more, by another way.
    pub fn push(&mut self, now: Duration, datagram: Bytes) -> bool {
        self.expire(now);
        let before = (self.stats.received, self.signs);
        match Kind::of(&datagram) {
            Some(Kind::Manifest) => self.manifest(now, &datagram),
            Some(Kind::Parity) => self.parity(now, &datagram),
            Some(Kind::Heartbeat) => self.beat(now, &datagram),
            None => self.source(now, datagram),
        }
        (self.stats.received, self.signs) != before
    }

    /// Hears the answer to a keep-alive, and nothing else by it: what came meanwhile is not missing
    /// yet, for it may come by the flow that is only asked for. `true`: it is the box's, and newer
    /// than any.
    pub fn answered(&mut self, now: Duration, datagram: &Bytes) -> bool {
        let Ok(claim) = Heartbeat::parse(datagram) else { return false };
        let box_ms = claim.unverified().box_ms;
        let heard = self.heartbeat.as_ref().map(|last| last.box_ms).max(self.answered);
        if heard.is_some_and(|heard| box_ms <= heard) || !self.may_check(now, Class::Heartbeat) {
            return false;
        }
        let is_true = claim.verify(&self.key).is_ok();
        self.stats.bad_signature += u64::from(!is_true);
        if is_true {
            self.answered = Some(box_ms);
        }
        is_true
    }

    /// The first block of which something lacks; `None` before anything signed came.
    pub fn lacks_from(&self) -> Option<u32> {
        self.blocks.newest().map(|_| self.blocks.floor())
    }

    /// The stream reaches the machine by another way than this from now on. What is under way is
    /// given up without being called lost; the next that is signed begins anew.
    pub fn rest(&mut self) {
        self.blocks.rest();
        self.candidates = Candidates::default();
        self.streams.begin_anew();
        self.losses.clear();
    }

    /// The next packet that the box sent, as soon as that is sure; not in their order.
    pub fn poll(&mut self) -> Option<Verified> {
        self.verified.pop_front()
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

    fn learn(&mut self, ssrc: u32, next: u64) {
        if let Some(gone) = self.streams.learn(ssrc, next) {
            self.candidates.forget(gone);
        }
    }
}

#[cfg(test)]
mod tests;
