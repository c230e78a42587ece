//! The screen's way to the machines: what is protected goes out by multicast, and by unicast to
//! machines that want it; what machines lack and want comes in.
//!
//! All ways out are paced, each by itself: what one more machine wants alone makes nobody on
//! multicast wait, and what machines lack does not wait behind a keyframe, or behind a picture for
//! each of fifty, or they would ask once more. Unpaced, a keyframe overflows a slow port, and all
//! machines lose it together.

use std::{collections::BTreeSet, net::Ipv4Addr, time::Duration};

use alfarid_protocol::secret::Secret;
use alfarid_stream::{
    epoch::Epoch,
    feedback,
    pace::{MAX_SPREAD, Pacer, Room},
    playout::{Delay, Medium},
    protect::HEARTBEAT,
    relay::Sent,
    transmit::{HEADERS, Lane, ReceiverId},
};

use crate::{
    broadcast::{
        multicast::{Group, Heard, Ports, Sender},
        protected::{Destination, Outgoing, ProtectError, Protected, Unheard},
    },
    logging::chain,
};

/// How often it may be said that something was not heard.
const WORD: Duration = Duration::from_mins(1);

pub(super) struct Transmitter {
    protected: Protected,
    /// What machines need: how long after it is due everything is shown.
    delay: Delay<ReceiverId>,
    /// When that is looked at again, and what it was.
    next_delay: Duration,
    told_delay: Duration,
    sender: Sender,
    /// `None`: everything leaves at once.
    pacers: Option<Pacers>,
    /// What came and was not heard yet: what [`Sender::listen`] reads at one go, and empty but for
    /// its memory in between.
    heard: Vec<Heard>,
    /// Said once per trouble, not per packet.
    is_failing: bool,
    /// When it may be said again that something was not heard, and what was said so far.
    next_word: Duration,
    told_unheard: Unheard,
}

/// The ways out.
#[derive(Debug)]
struct Pacers {
    answers: Pacer<Outgoing>,
    group: Pacer<Outgoing>,
    machines: Pacer<Outgoing>,
    flows: Pacer<Outgoing>,
}

impl Transmitter {
    pub(super) fn new(now: Duration, group: Group, protected: Protected, is_paced: bool) -> Self {
        Self {
            protected,
            delay: Delay::new(now),
            next_delay: now,
            told_delay: Duration::ZERO,
            sender: Sender::new(group),
            pacers: is_paced.then(Pacers::new),
            heard: Vec::new(),
            is_failing: false,
            next_word: Duration::ZERO,
            told_unheard: Unheard::default(),
        }
    }

    pub(super) fn set_interfaces(&mut self, wanted: &[Ipv4Addr]) -> Ports {
        self.sender.set_interfaces(wanted)
    }

    pub(super) fn admit(
        &mut self,
        receiver: ReceiverId,
        address: Ipv4Addr,
        key: &Secret<{ feedback::KEY }>,
    ) {
        if let Err(error) = self.protected.admit(receiver, address, key.bytes()) {
            tracing::error!(error = %chain(&error), "a machine is not heard");
        }
    }

    pub(super) fn dismiss(&mut self, receiver: ReceiverId) {
        self.protected.dismiss(receiver);
        self.delay.left(&receiver);
    }

    pub(super) fn switch(&mut self, epoch: &Epoch) {
        if let Err(error) = self.protected.switch(epoch) {
            tracing::error!(error = %chain(&error), "the lesson stays with its old key");
        }
    }

    /// How long after it is due everything is shown, as it was said last.
    pub(super) fn playout(&self) -> Duration {
        self.told_delay
    }

    /// A machine says how late frames come to it. What it needs beyond the largest delay it is not
    /// waited for.
    pub(super) fn needs(&mut self, now: Duration, receiver: ReceiverId, late: Duration) {
        self.delay.needs(now, receiver, late);
        // It rises at once.
        self.next_delay = now;
    }

    /// The publisher says where it is.
    pub(super) fn reported(&mut self, medium: Medium, ntp: u64, timestamp: u32) {
        self.protected.reported(medium, ntp, timestamp);
    }

    /// Machines that have a flow of their own.
    pub(super) fn flows(&self) -> usize {
        self.protected.flows()
    }

    /// A machine that is to leave the group, once.
    pub(super) fn take_outcast(&mut self) -> Option<ReceiverId> {
        self.protected.take_outcast()
    }

    /// Machines whose UDP comes from another address than they have.
    pub(super) fn elsewhere(&self) -> &BTreeSet<ReceiverId> {
        self.protected.elsewhere()
    }

    /// Another publication goes on with the same streams.
    pub(super) fn taken_over(&mut self) {
        self.protected.taken_over();
    }

    /// Sends a packet, and what follows from it.
    pub(super) fn send(&mut self, now: Duration, lane: Lane, sent: &Sent) {
        match self.protected.send(now, lane, sent) {
            Ok(()) => self.is_failing = false,
            Err(error) => self.fail(&error),
        }
        self.run_timers(now);
    }

    /// Sends a compound RTCP packet.
    pub(super) fn report(&mut self, lane: Lane, report: &[u8]) {
        match self.protected.report(report) {
            Ok(sealed) => self.sender.send(lane, &sealed),
            Err(error) => self.fail(&error),
        }
    }

    /// Waits until there is something to hear. Cancelling it loses nothing.
    pub(super) async fn listen(&mut self) {
        self.sender.listen(&mut self.heard).await;
    }

    pub(super) fn hear(&mut self, now: Duration) {
        for Heard { from, datagram } in self.heard.drain(..) {
            // What is not heard is counted.
            let _ = self.protected.hear(now, from, &datagram);
        }
    }

    /// What came and was nothing that a machine says, so far.
    pub(super) fn unheard(&self) -> Unheard {
        self.protected.unheard()
    }

    /// Says what was not heard, if it is time for that.
    pub(super) fn tell_unheard(&mut self, now: Duration) {
        if now < self.next_word {
            return;
        }
        let all = self.protected.unheard();
        let unheard = all.since(self.told_unheard);
        if unheard == Unheard::default() {
            return;
        }
        (self.next_word, self.told_unheard) = (now + WORD, all);
        let Unheard { forged, replayed, strangers, malformed } = unheard;
        if forged > 0 {
            tracing::warn!(
                feedback.forged = forged,
                feedback.replayed = replayed,
                feedback.strangers = strangers,
                feedback.malformed = malformed,
                "somebody spoke {forged} times in the name of a machine without its key",
            );
        } else {
            tracing::debug!(
                feedback.replayed = replayed,
                feedback.strangers = strangers,
                feedback.malformed = malformed,
                "not heard: {replayed} replayed, {strangers} of strangers, {malformed} malformed",
            );
        }
    }

    /// Sends what is due.
    pub(super) fn run_timers(&mut self, now: Duration) {
        if self.next_delay <= now {
            self.next_delay = now + HEARTBEAT;
            self.follow_delay(now);
        }
        loop {
            // Before the next is made, which may be a block's parity.
            self.let_go(now);
            let Some(outgoing) = self.protected.poll(now) else { return };
            let leaves = match &mut self.pacers {
                Some(pacers) => pacers.push(now, outgoing),
                None => Some(outgoing),
            };
            if let Some(outgoing) = leaves {
                put(&mut self.sender, &outgoing);
            }
        }
    }

    /// Sends what the pacers hold no longer.
    fn let_go(&mut self, now: Duration) {
        while let Some(outgoing) = self.pacers.as_mut().and_then(|pacers| pacers.poll(now)) {
            put(&mut self.sender, &outgoing);
        }
    }

    fn follow_delay(&mut self, now: Duration) {
        let delay = self.delay.current(now);
        if delay > self.told_delay {
            let delay_ms = delay.as_millis();
            tracing::debug!(delay_ms, "all wait {delay_ms} ms for the slowest machine");
        }
        self.told_delay = delay;
        self.protected.set_playout(delay);
    }

    pub(super) fn next_timeout(&self, now: Duration) -> Duration {
        let paced = self.pacers.as_ref().and_then(Pacers::next_timeout);
        paced.into_iter().fold(self.protected.next_timeout(now), Duration::min)
    }

    fn fail(&mut self, error: &ProtectError) {
        if std::mem::replace(&mut self.is_failing, true) {
            tracing::trace!(error = %chain(error), "a packet was not protected, and not sent");
        } else {
            tracing::error!(error = %chain(error), "packets cannot be protected, and are not sent");
        }
    }
}

impl Pacers {
    fn new() -> Self {
        Self {
            answers: Pacer::new(MAX_SPREAD, Room::OF_ONE),
            group: Pacer::new(MAX_SPREAD, Room::OF_ONE),
            machines: Pacer::new(MAX_SPREAD, Room::OF_A_CLASS),
            flows: Pacer::new(MAX_SPREAD, Room::OF_A_CLASS),
        }
    }

    /// What comes back found no room, and leaves now.
    fn push(&mut self, now: Duration, outgoing: Outgoing) -> Option<Outgoing> {
        let pacer = match outgoing.to {
            Destination::Answer => &mut self.answers,
            Destination::Group => &mut self.group,
            Destination::Machine(_) => &mut self.machines,
            Destination::Flow(_) => &mut self.flows,
        };
        pacer.push(now, outgoing.datagram.len() + HEADERS, outgoing)
    }

    fn poll(&mut self, now: Duration) -> Option<Outgoing> {
        [&mut self.answers, &mut self.group, &mut self.machines, &mut self.flows]
            .into_iter()
            .find_map(|pacer| pacer.poll(now))
    }

    fn next_timeout(&self) -> Option<Duration> {
        let all = [&self.answers, &self.group, &self.machines, &self.flows];
        all.into_iter().filter_map(Pacer::next_timeout).min()
    }
}

fn put(sender: &mut Sender, outgoing: &Outgoing) {
    match outgoing.to {
        Destination::Answer | Destination::Group => sender.send(outgoing.lane, &outgoing.datagram),
        Destination::Machine(way) | Destination::Flow(way) => {
            sender.send_to(way, &outgoing.datagram);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddrV4;

    use alfarid_stream::pace::USUAL;
    use bytes::Bytes;

    use super::*;
    use crate::broadcast::multicast::Way;

    fn outgoing(to: Destination) -> Outgoing {
        Outgoing { to, lane: Lane::Video, datagram: Bytes::from(vec![0; 1_200 - HEADERS]) }
    }

    #[test]
    fn a_keyframe_for_many_machines_alone_makes_the_group_wait_for_nothing() {
        let peer = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1);
        let way = Way { local: Ipv4Addr::LOCALHOST, peer };
        let (mut pacers, now) = (Pacers::new(), Duration::from_secs(1));
        for _ in 0..3_000 {
            assert!(pacers.push(now, outgoing(Destination::Flow(way))).is_none());
        }
        for _ in 0..USUAL / 1_200 {
            assert!(pacers.push(now, outgoing(Destination::Group)).is_none());
        }
        assert!(pacers.push(now, outgoing(Destination::Machine(way))).is_none());

        let left: Vec<_> = std::iter::from_fn(|| pacers.poll(now)).collect();

        let to_group = left.iter().filter(|outgoing| outgoing.to == Destination::Group).count();
        assert_eq!(to_group, USUAL / 1_200, "all of it, at once");
        assert!(left.iter().any(|outgoing| outgoing.to == Destination::Machine(way)));
        assert!(left.len() < 300, "the others are spread");
        let next = pacers.next_timeout().unwrap();
        assert!(next > now && next <= now + Duration::from_millis(1));
    }
}
