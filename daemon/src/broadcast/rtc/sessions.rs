//! All sessions of one task: who a datagram is for, and when each is to be called again.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use str0m::{
    Event, Input,
    net::{Protocol, Receive, Transmit},
};

use super::{
    Ticks,
    burst::Burst,
    peer::{Next, Peer},
    port::Port,
};

/// How often sessions are looked at even if nothing comes and str0m wants nothing.
const LOOK: Duration = Duration::from_millis(250);

/// How late a timer of str0m's may be: those of a hundred sessions fire together then, and do not
/// wake the box one by one.
const SLACK: Duration = Duration::from_millis(4);

/// How long a task without a session may sleep.
const IDLE: Duration = Duration::from_secs(5);

/// What a task keeps going. `false` from any of these: it is over.
pub(in crate::broadcast) trait Session {
    fn peer(&self) -> &Peer;

    fn peer_mut(&mut self) -> &mut Peer;

    fn notice(&mut self, now: Duration, event: Event) -> bool;

    /// Whether nothing has been heard of the other end for too long.
    fn is_lost(&self, now: Duration) -> bool;

    /// Takes one input, and sends and passes on what follows from it.
    fn take(&mut self, now: Duration, input: Input<'_>, send: &mut dyn FnMut(Transmit)) -> bool;

    /// Notices what is not there. Called every so often.
    fn look(&mut self, now: Duration);

    fn deadline(&self) -> Instant {
        self.peer().deadline
    }

    /// Sends what is to be sent, and notices what has happened.
    fn drain(&mut self, now: Duration, send: &mut dyn FnMut(Transmit)) -> bool {
        loop {
            match self.peer_mut().next(send) {
                Next::Rest => return !self.is_lost(now),
                Next::Over => return false,
                Next::Event(event) => {
                    if !self.notice(now, event) {
                        return false;
                    }
                }
            }
        }
    }

    /// Says goodbye.
    fn close(&mut self, now: Duration, send: &mut dyn FnMut(Transmit)) {
        if self.peer_mut().rtc.close().is_ok() {
            self.drain(now, send);
        }
    }
}

pub(in crate::broadcast) struct Sessions<S> {
    port: Arc<Port>,
    /// Empty between calls.
    burst: Burst,
    ticks: Ticks,
    /// Bounded by who was agreed with.
    open: Vec<S>,
}

impl<S: Session> Sessions<S> {
    pub(in crate::broadcast) fn new(port: Arc<Port>, ticks: Ticks) -> Self {
        Self { port, burst: Burst::default(), ticks, open: Vec::new() }
    }

    pub(in crate::broadcast) fn now(&self) -> (Duration, Instant) {
        self.ticks.both()
    }

    pub(in crate::broadcast) fn add(&mut self, session: S) {
        self.open.push(session);
    }

    pub(in crate::broadcast) fn iter(&self) -> impl Iterator<Item = &S> {
        self.open.iter()
    }

    pub(in crate::broadcast) fn until_deadline(&self) -> Duration {
        let now = self.ticks.now();
        let earliest = self.open.iter().map(Session::deadline).min();
        earliest.map_or(IDLE, |at| at.saturating_duration_since(now).clamp(SLACK, LOOK))
    }

    /// Does something with every session; `false` ends it.
    pub(in crate::broadcast) fn each(
        &mut self,
        mut what: impl FnMut(&mut S, &mut dyn FnMut(Transmit)) -> bool,
    ) {
        let (port, burst) = (&self.port, &mut self.burst);
        self.open.retain_mut(|session| what(session, &mut |t| burst.push(port, t)));
        burst.send(port);
    }

    /// Gives a datagram to whom it is for. `false`: it is nobody's.
    pub(in crate::broadcast) fn receive(
        &mut self,
        bytes: &[u8],
        from: std::net::SocketAddr,
        to: std::net::SocketAddr,
    ) -> bool {
        let (now, instant) = self.now();
        // What is neither STUN, DTLS nor RTP is nobody's, and not worth being handed on.
        let Ok(receive) = Receive::new(Protocol::Udp, from, to, bytes) else { return true };
        let input = Input::Receive(instant, receive);
        let Some(index) = self.open.iter().position(|session| session.peer().accepts(&input))
        else {
            return false;
        };
        let (port, burst) = (&self.port, &mut self.burst);
        if !self.open[index].take(now, input, &mut |t| burst.push(port, t)) {
            self.open.swap_remove(index);
        }
        burst.send(port);
        true
    }

    pub(in crate::broadcast) fn run_timers(&mut self) {
        let (now, instant) = self.now();
        self.each(|session, send| {
            session.look(now);
            session.deadline() > instant || session.take(now, Input::Timeout(instant), send)
        });
    }

    pub(in crate::broadcast) fn close_all(&mut self) {
        let (now, _) = self.now();
        self.each(|session, send| {
            session.close(now, send);
            false
        });
    }
}
