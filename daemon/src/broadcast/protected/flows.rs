//! The unicast flows of one lesson: copies of what goes to the group, for machines that no
//! multicast reaches. Pure.
//!
//! ```text
//!            keep-alive: wanted              caught up
//!   none ─────────────────────▶ catching up ───────────▶ copies at once
//!     ▲                              │                        │
//!     └──── not wanted · LEASE after the last keep-alive ─────┘
//! ```
//!
//! A machine that falls names the first block of which it lacks something, and gets what is kept
//! from there on ahead of the present, in order: so that it loses nothing by falling. That is
//! paced, for all flows together: a class that falls as one would otherwise fill the port's queue,
//! and lose again what it is sent. What comes meanwhile waits behind it.
//!
//! Invariants: a flow gets datagrams in the order in which the group got them, and manifests once
//! more while it loses something; a queue of catching up is bounded ([`MAX_BEHIND`]), and one that
//! is full is given up: the machine goes on with what is on air, and asks for what it lacks.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use alfarid_stream::{
    rung::KEEP_ALIVE,
    transmit::{Lane, ReceiverId},
};
use bytes::Bytes;

use super::{Destination, Outgoing};
use crate::broadcast::multicast::Way;

/// A flow ends this long after its last keep-alive: three were lost.
const LEASE: Duration = KEEP_ALIVE.saturating_mul(3);

/// How long after a loss a flow is taken to lose more: as long as losses of the group count.
const LOSSY: Duration = Duration::from_secs(5);

/// How far back a machine is caught up. It falls within a second; what is older is seen no more.
pub(super) const CATCH_UP: Duration = Duration::from_millis(1_500);

/// A machine is caught up again no sooner.
const CAUGHT_UP_AGAIN: Duration = Duration::from_secs(1);

/// Keep-alives are answered no more often: sooner than an honest machine asks.
const ANSWERED_AGAIN: Duration = Duration::from_millis(50);

/// Datagrams that may wait for one machine: over a second of a rich stream. Full: they are dropped.
const MAX_BEHIND: usize = 2_048;

/// Bytes of catching up that leave in every [`QUANTUM`], to all machines together: 80 Mbit/s.
const QUANTUM_BYTES: usize = 20_000;
const QUANTUM: Duration = Duration::from_millis(2);

/// One machine's flow.
#[derive(Debug)]
struct Flow {
    way: Way,
    until: Duration,
    /// Until then it is taken to lose something.
    lossy_until: Duration,
    /// What it lacks still, and what came after. Empty: it gets copies at once.
    behind: VecDeque<(Lane, Bytes)>,
}

impl Flow {
    fn is_lossy(&self, now: Duration) -> bool {
        now < self.lossy_until
    }

    fn copy_of(&self, lane: Lane, datagram: &Bytes) -> Outgoing {
        Outgoing { to: Destination::Flow(self.way), lane, datagram: datagram.clone() }
    }

    /// Past all copies that are on their way.
    fn echo_of(&self, lane: Lane, datagram: &Bytes) -> Outgoing {
        Outgoing { to: Destination::Machine(self.way), ..self.copy_of(lane, datagram) }
    }
}

#[derive(Debug, Default)]
pub(super) struct Flows {
    /// No more than machines are heard.
    all: BTreeMap<ReceiverId, Flow>,
    /// Copies of the last datagram: at most one for each flow; what is repeated, for each flow as
    /// many at one go as the caller keeps; and answers to keep-alives, at most one for each that
    /// was heard at one go.
    out: VecDeque<Outgoing>,
    answered: BTreeMap<ReceiverId, Duration>,
    /// When each was caught up last. It outlives the flow: who ends that and wants it again would
    /// be sent as much each time.
    caught_up: BTreeMap<ReceiverId, Duration>,
    /// When more may leave of what machines are behind.
    next_quantum: Duration,
    left: usize,
}

impl Flows {
    /// The machine wants the stream, at this address. `true`: it may be caught up now.
    pub(super) fn wanted(&mut self, now: Duration, receiver: ReceiverId, way: Way) -> bool {
        let until = now + LEASE;
        let new = || Flow { way, until, lossy_until: Duration::ZERO, behind: VecDeque::new() };
        let flow = self.all.entry(receiver).or_insert_with(new);
        (flow.way, flow.until) = (way, until);
        let last = self.caught_up.get(&receiver);
        flow.behind.is_empty() && last.is_none_or(|at| *at + CAUGHT_UP_AGAIN <= now)
    }

    /// Sends what the machine lacks before what is to come.
    pub(super) fn catch_up<'a>(
        &mut self,
        now: Duration,
        receiver: ReceiverId,
        lacking: impl Iterator<Item = (Lane, &'a Bytes)>,
    ) {
        let Some(flow) = self.all.get_mut(&receiver) else { return };
        self.caught_up.insert(receiver, now);
        let lacking = lacking.take(MAX_BEHIND / 2);
        flow.behind.extend(lacking.map(|(lane, datagram)| (lane, datagram.clone())));
    }

    /// Answers a keep-alive, if it is time for that.
    pub(super) fn answer(
        &mut self,
        now: Duration,
        receiver: ReceiverId,
        way: Way,
        answer: impl FnOnce() -> Bytes,
    ) {
        let last = self.answered.insert(receiver, now);
        if let Some(last) = last.filter(|last| now < *last + ANSWERED_AGAIN) {
            self.answered.insert(receiver, last);
            return;
        }
        let (to, lane) = (Destination::Flow(way), Lane::Repair);
        match self.all.get_mut(&receiver).filter(|flow| !flow.behind.is_empty()) {
            Some(flow) => flow.behind.push_back((lane, answer())),
            None => self.out.push_back(Outgoing { to, lane, datagram: answer() }),
        }
    }

    /// The machine wants no flow any more.
    pub(super) fn end(&mut self, receiver: ReceiverId) {
        self.all.remove(&receiver);
    }

    /// The machine is gone.
    pub(super) fn forget(&mut self, receiver: ReceiverId) {
        self.end(receiver);
        self.answered.remove(&receiver);
        self.caught_up.remove(&receiver);
    }

    pub(super) fn has(&self, receiver: ReceiverId) -> bool {
        self.all.contains_key(&receiver)
    }

    pub(super) fn count(&self) -> usize {
        self.all.len()
    }

    /// Ends the flows that were not kept alive.
    pub(super) fn expire(&mut self, now: Duration) {
        self.all.retain(|_, flow| now < flow.until);
    }

    /// This goes to the group: every flow gets a copy.
    pub(super) fn copy(&mut self, lane: Lane, datagram: &Bytes) {
        for flow in self.all.values_mut() {
            if flow.behind.is_empty() {
                self.out.push_back(flow.copy_of(lane, datagram));
            } else if flow.behind.len() < MAX_BEHIND {
                flow.behind.push_back((lane, datagram.clone()));
            } else {
                flow.behind.clear();
            }
        }
    }

    /// A machine with a flow lacks something.
    pub(super) fn loses(&mut self, now: Duration, receiver: ReceiverId) {
        if let Some(flow) = self.all.get_mut(&receiver) {
            flow.lossy_until = now + LOSSY;
        }
    }

    pub(super) fn is_lossy(&self, now: Duration) -> bool {
        self.all.values().any(|flow| flow.is_lossy(now))
    }

    /// Says something once more to every flow that loses something.
    pub(super) fn repeat(&mut self, now: Duration, lane: Lane, datagram: &Bytes) {
        let lossy = self.all.values().filter(|flow| flow.is_lossy(now) && flow.behind.is_empty());
        self.out.extend(lossy.map(|flow| flow.echo_of(lane, datagram)));
    }

    /// What is to be sent to machines alone; until it gives `None`.
    pub(super) fn poll(&mut self, now: Duration) -> Option<Outgoing> {
        if let Some(outgoing) = self.out.pop_front() {
            return Some(outgoing);
        }
        if self.next_quantum <= now {
            (self.next_quantum, self.left) = (now + QUANTUM, QUANTUM_BYTES);
        }
        if self.left == 0 {
            return None;
        }
        // Who is behind the most: all come to the present together.
        let behind = self.all.values_mut().max_by_key(|flow| flow.behind.len())?;
        let (lane, datagram) = behind.behind.pop_front()?;
        self.left = self.left.saturating_sub(datagram.len());
        Some(Outgoing { to: Destination::Flow(behind.way), lane, datagram })
    }

    /// When to poll again, while a machine is behind.
    pub(super) fn next_timeout(&self) -> Option<Duration> {
        let is_behind = self.all.values().any(|flow| !flow.behind.is_empty());
        is_behind.then_some(self.next_quantum)
    }
}
