//! One lesson's broadcast, protected: packets in, sealed datagrams out, machines answered. Pure.
//!
//! ```text
//!   packet ─▶ sealed ─▶ Protect ─┬─▶ group: sources, manifests, first parity, heartbeats
//!                         ▲      └─ closed blocks ─▶ Repair ─▶ group, or one machine alone
//!   feedback ─▶ opened ───┴──────────────────────────▲
//!   keep-alive ─▶ opened ─▶ Flows: copies of what the group gets, to one machine alone
//! ```
//!
//! Only machines that were admitted are heard, each by its own key. Where a machine is answered is
//! where its newest feedback came from: whoever has its key may have the answers sent elsewhere,
//! and what one machine causes is bounded in [`Repair`]. What is not heard is counted by kind.
//!
//! A flow, which is far more than an answer, goes to the machine's own address alone: that of its
//! control connection.
//!
//! Where an access point lets nothing through for a moment, a whole picture is lost with its
//! manifest, and the machine learns of it by the next one: too late for more than one round of
//! repair at 15 pictures a second. So a flow that loses something gets each manifest again [`ECHO`]
//! later.
//!
//! A machine that alone makes all others get more parity than they need is told to receive by
//! unicast, and set apart for a while: it gets what it lacks alone, and nothing is sent to the
//! group because of it. The same holds for whoever has a flow.

mod flows;
mod hearing;
mod unheard;

use std::{
    collections::{BTreeSet, HashMap, VecDeque, hash_map::Entry},
    net::Ipv4Addr,
    time::Duration,
};

use alfarid_stream::{
    block::{Kind, SigningKey, Tickets},
    epoch::Epoch,
    feedback::{self, Opener},
    pace::MAX_SPREAD,
    playout::Medium,
    protect::{self, Protect},
    relay::Sent,
    repair::Repair,
    srtp::{self, Sealer},
    transmit::{Lane, ReceiverId, To, Transmit},
};
use bytes::Bytes;
use thiserror::Error;

use self::flows::Flows;
pub(super) use self::unheard::Unheard;
use super::multicast::Way;

/// Most machines that are heard: as many as are repaired, far more than a room holds. Full: a
/// further one is not heard.
const MAX_SPEAKERS: usize = 1_024;

/// How long after a manifest it is repeated to flows that lose something: longer than most of what
/// takes everything away lasts, counted from when a [`Pacer`](alfarid_stream::pace::Pacer) has let
/// go of it at the latest, or both would leave as one; and less than the 15 pictures a second are
/// apart that fifty flows leave room for. With more of them the next manifest says as much.
const ECHO: Duration = MAX_SPREAD.saturating_add(Duration::from_millis(25));

/// Blocks of a large keyframe, several times over. Full: a manifest is not repeated.
const MAX_ECHOES: usize = 16;

/// Why something is not protected, or not heard.
#[derive(Debug, Error)]
pub enum ProtectError {
    #[error("cannot seal for the group")]
    Seal(#[source] srtp::Error),
    #[error("cannot take a packet into a block")]
    Protect(#[source] protect::Error),
    #[error("no room for receiver {}", .0.0)]
    TooMany(ReceiverId),
    #[error("receiver {} was not admitted", .0.0)]
    NotAdmitted(ReceiverId),
    #[error("receiver {} wants its flow at an address that is not its own", .0.0)]
    Elsewhere(ReceiverId),
    #[error("cannot open feedback")]
    Feedback(#[from] feedback::Error),
}

/// A machine that may speak.
#[derive(Debug)]
struct Speaker {
    opener: Opener,
    /// The machine's own address.
    address: Ipv4Addr,
    /// `None` before it was heard.
    way: Option<Way>,
    /// Until then it is set apart.
    apart_until: Option<Duration>,
}

/// Who gets a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Destination {
    Group,
    /// The group too: machines on it asked for this.
    Answer,
    /// A machine that receives alone: what the group gets, and what must not come before that.
    Flow(Way),
    /// One machine: what it lacks, by what it said or by what is likely.
    Machine(Way),
}

/// A datagram to be sent.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) to: Destination,
    pub(super) lane: Lane,
    pub(super) datagram: Bytes,
}

#[derive(Debug)]
pub(super) struct Protected {
    sealer: Sealer,
    protect: Protect,
    repair: Repair,
    /// At most [`MAX_SPEAKERS`].
    speakers: HashMap<ReceiverId, Speaker>,
    flows: Flows,
    /// Manifests and when each is repeated, while a flow loses something. At most [`MAX_ECHOES`].
    echoes: VecDeque<(Duration, Bytes)>,
    /// A machine that is to leave the group and has not been told yet; the newest one.
    outcast: Option<ReceiverId>,
    /// Speakers whose newest keep-alive came from an address that is not theirs.
    elsewhere: BTreeSet<ReceiverId>,
    next_look: Duration,
    unheard: Unheard,
}

impl Protected {
    /// Begins with this epoch. Key and tickets are made for this lesson and this start of the box.
    pub(super) fn new(
        now: Duration,
        epoch: &Epoch,
        key: SigningKey,
        tickets: Tickets,
    ) -> Result<Self, ProtectError> {
        Ok(Self {
            sealer: Sealer::new(epoch).map_err(ProtectError::Seal)?,
            protect: Protect::new(now, key.clone(), tickets),
            repair: Repair::new(key),
            speakers: HashMap::new(),
            flows: Flows::default(),
            echoes: VecDeque::new(),
            outcast: None,
            elsewhere: BTreeSet::new(),
            next_look: now,
            unheard: Unheard::default(),
        })
    }

    /// Hears a machine from now on, which has this address. Once for each grant: a key is never
    /// used by two.
    pub(super) fn admit(
        &mut self,
        receiver: ReceiverId,
        address: Ipv4Addr,
        key: &[u8; feedback::KEY],
    ) -> Result<(), ProtectError> {
        let is_full = self.speakers.len() == MAX_SPEAKERS;
        match self.speakers.entry(receiver) {
            Entry::Vacant(_) if is_full => Err(ProtectError::TooMany(receiver)),
            entry => {
                let opener = Opener::new(receiver.0, key)?;
                entry.insert_entry(Speaker { opener, address, way: None, apart_until: None });
                Ok(())
            }
        }
    }

    /// Hears a machine no more, and forgets what it said.
    pub(super) fn dismiss(&mut self, receiver: ReceiverId) {
        self.speakers.remove(&receiver);
        self.elsewhere.remove(&receiver);
        self.flows.forget(receiver);
        self.protect.forget(receiver);
        self.repair.forget(receiver);
    }

    /// Seals with this epoch from now on.
    pub(super) fn switch(&mut self, epoch: &Epoch) -> Result<(), ProtectError> {
        self.sealer.switch(epoch).map_err(ProtectError::Seal)
    }

    /// Says from now on how long after it is due everything is shown.
    pub(super) fn set_playout(&mut self, playout: Duration) {
        self.protect.set_playout(playout);
    }

    /// The publisher says what its stream of this medium is at, at its own time `ntp`.
    pub(super) fn reported(&mut self, medium: Medium, ntp: u64, timestamp: u32) {
        self.protect.reported(medium, ntp, timestamp);
    }

    /// Another publication goes on with the same streams.
    pub(super) fn taken_over(&mut self) {
        self.protect.taken_over();
    }

    /// Takes a packet that goes on air.
    pub(super) fn send(
        &mut self,
        now: Duration,
        lane: Lane,
        sent: &Sent,
    ) -> Result<(), ProtectError> {
        let datagram = self.sealer.seal(sent.index, &sent.packet).map_err(ProtectError::Seal)?;
        self.protect.push(now, lane, sent.index, datagram).map_err(ProtectError::Protect)
    }

    /// Seals a compound RTCP packet, which is in no block: the next one says the same.
    pub(super) fn report(&mut self, report: &[u8]) -> Result<Bytes, ProtectError> {
        self.sealer.seal_report(report).map_err(ProtectError::Seal)
    }

    /// Machines that have a flow.
    pub(super) fn flows(&self) -> usize {
        self.flows.count()
    }

    /// Machines that are not sent a flow, for they ask for it from an address that is not theirs.
    pub(super) fn elsewhere(&self) -> &BTreeSet<ReceiverId> {
        &self.elsewhere
    }

    /// A machine that is to leave the group, once.
    pub(super) fn take_outcast(&mut self) -> Option<ReceiverId> {
        self.outcast.take()
    }

    /// What is to be sent. To be called until it gives `None`, after each of the above and at each
    /// timeout.
    pub(super) fn poll(&mut self, now: Duration) -> Option<Outgoing> {
        self.flows.expire(now);
        while let Some((_, manifest)) = self.echoes.pop_front_if(|(at, _)| *at <= now) {
            self.flows.repeat(now, Lane::Repair, &manifest);
        }
        loop {
            if let Some(outgoing) = self.flows.poll(now) {
                return Some(outgoing);
            }
            let (Transmit { to, lane, datagram }, is_answer) = self.next(now)?;
            let to = match to {
                // Who has a flow is answered alone.
                To::Group if is_answer => Destination::Answer,
                To::Group => {
                    self.flows.copy(lane, &datagram);
                    if self.flows.is_lossy(now) && Kind::of(&datagram) == Some(Kind::Manifest) {
                        self.echo(now, &datagram);
                    }
                    Destination::Group
                }
                To::Receiver(receiver) => {
                    // Dismissed meanwhile: what it asked for goes nowhere.
                    let speaker = self.speakers.get(&receiver);
                    let Some(way) = speaker.and_then(|speaker| speaker.way) else { continue };
                    Destination::Machine(way)
                }
            };
            return Some(Outgoing { to, lane, datagram });
        }
    }

    fn echo(&mut self, now: Duration, manifest: &Bytes) {
        // It was said twice where machines on multicast lose something too.
        let is_last = self.echoes.back().is_some_and(|(_, last)| last == manifest);
        if !is_last && self.echoes.len() < MAX_ECHOES {
            self.echoes.push_back((now + ECHO, manifest.clone()));
        }
    }

    /// When to poll again even if nothing happens.
    pub(super) fn next_timeout(&self, now: Duration) -> Duration {
        let echo = self.echoes.front().map(|(at, _)| *at);
        let others = [self.repair.next_timeout(now), self.flows.next_timeout(), echo];
        others.into_iter().flatten().fold(self.protect.next_timeout(), Duration::min)
    }

    /// With whether it was asked for.
    fn next(&mut self, now: Duration) -> Option<(Transmit, bool)> {
        if let Some(transmit) = self.protect.poll(now) {
            return Some((transmit, false));
        }
        while let Some(closed) = self.protect.take_closed() {
            self.repair.keep(now, closed);
        }
        self.repair.poll(now).map(|transmit| (transmit, true))
    }
}

#[cfg(test)]
mod tests;
