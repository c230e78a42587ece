//! The task that owns the UDP port and every session.
//!
//! It never waits for anybody but the network and its orders: packets go to relays by
//! [`Feed::give`](crate::broadcast::feed::Feed::give), which drops what does not fit.

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use alfarid_protocol::id::PublicationId;
use str0m::{
    Input,
    crypto::from_feature_flags,
    net::{Protocol, Receive, Transmit},
};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::{
    Handle, MAX_SESSIONS, ORDERS_WAITING, Order,
    port::{Datagram, MAX_DATAGRAM, Port},
    session::Session,
};
use crate::{
    clock::Clock,
    health::{FaultCode, Health, Severity},
};

/// Datagrams taken in a row before timers and orders get their turn.
const BATCH: usize = 64;

/// How long to wait before the port is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// How often sessions are looked at even if nothing comes and str0m wants nothing.
const LOOK: Duration = Duration::from_millis(250);

/// str0m reckons in [`Instant`]s, which nobody can make: this makes them from the clock.
#[derive(Clone, Debug)]
pub(super) struct Ticks {
    clock: Clock,
    zero: (Duration, Instant),
}

impl Ticks {
    #[expect(clippy::disallowed_methods, reason = "the one instant that all others count from")]
    fn new(clock: Clock) -> Self {
        let zero = (clock.monotonic(), Instant::now());
        Self { clock, zero }
    }

    pub(super) fn now(&self) -> Instant {
        self.instant(self.clock.monotonic())
    }

    fn instant(&self, at: Duration) -> Instant {
        let (zero, instant) = self.zero;
        instant + at.saturating_sub(zero)
    }
}

/// To be run for the life of the process.
pub(in crate::broadcast) struct Engine {
    listen: SocketAddr,
    listening: watch::Sender<Option<SocketAddr>>,
    orders: mpsc::Receiver<Order>,
    ticks: Ticks,
    health: Health,
}

impl Engine {
    pub(in crate::broadcast) fn new(
        listen: SocketAddr,
        clock: Clock,
        health: Health,
    ) -> (Handle, Self) {
        let certificate = from_feature_flags().dtls_provider.generate_certificate();
        let (orders, waiting) = mpsc::channel(ORDERS_WAITING);
        let (listening, told) = watch::channel(None);
        let ticks = Ticks::new(clock);
        let handle = Handle {
            orders,
            listening: told,
            certificate: certificate.map(Arc::new),
            places: Arc::new(Semaphore::new(MAX_SESSIONS)),
            clock: ticks.clone(),
        };
        (handle, Self { listen, listening, orders: waiting, ticks, health })
    }

    pub(in crate::broadcast) async fn run(mut self, stopping: CancellationToken) {
        let opened = open_port(self.listen, &self.health);
        tokio::pin!(opened);
        let port = loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                port = &mut opened => break port,
                // Without a port nobody is answered, so that there is nothing to order.
                Some(_) = self.orders.recv() => {}
            }
        };
        self.listening.send_replace(Some(port.local()));
        let mut sessions = Sessions { port, ticks: self.ticks.clone(), open: Vec::new() };
        let mut buffer = [0; MAX_DATAGRAM];
        loop {
            let sleep = tokio::time::sleep(sessions.until_deadline());
            tokio::select! {
                () = stopping.cancelled() => break,
                order = self.orders.recv() => match order {
                    Some(order) => sessions.obey(order),
                    None => break,
                },
                ready = sessions.port.readable() => match ready {
                    Ok(()) => sessions.receive(&mut buffer),
                    Err(error) => {
                        tracing::error!(error = %error, "the WHIP port failed");
                        break;
                    }
                },
                () = sleep => {}
            }
            sessions.run_timers();
        }
        sessions.close_all();
    }
}

/// Tries until the port is open; meanwhile the health page says why it is not.
async fn open_port(listen: SocketAddr, health: &Health) -> Port {
    loop {
        match Port::open(listen) {
            Ok(port) => {
                health.clear(FaultCode::WhipPort);
                return port;
            }
            Err(error) => {
                let detail =
                    format!("Nobody can share a screen: UDP {listen} cannot be opened ({error}).");
                health.raise(FaultCode::WhipPort, Severity::Error, detail);
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

struct Sessions {
    port: Port,
    ticks: Ticks,
    /// Bounded by who was agreed with ([`MAX_SESSIONS`]).
    open: Vec<Session>,
}

impl Sessions {
    fn now(&self) -> (Duration, Instant) {
        let now = self.ticks.clock.monotonic();
        (now, self.ticks.instant(now))
    }

    fn until_deadline(&self) -> Duration {
        let (_, now) = self.now();
        let earliest = self.open.iter().map(|session| session.deadline).min();
        earliest.map_or(RETRY, |deadline| deadline.saturating_duration_since(now).min(LOOK))
    }

    fn obey(&mut self, order: Order) {
        let at = self.now();
        match order {
            Order::Open { publication, rtc, lines, feed, stay, span } => {
                self.open.push(Session::new(publication, rtc, lines, feed, stay, span, at));
            }
            Order::Close(publication) => {
                self.with(publication, |session, send| {
                    session.close(at.0, send);
                    false
                });
            }
            Order::Keyframe(publication) => {
                self.with(publication, |session, send| session.ask_keyframe(at.0, send));
            }
            Order::Limit(publication, bps) => {
                self.with(publication, |session, _| {
                    session.limit(at.0, bps);
                    true
                });
            }
        }
    }

    /// Does something with one session; `false` ends it.
    fn with(
        &mut self,
        publication: PublicationId,
        mut what: impl FnMut(&mut Session, &mut dyn FnMut(Transmit)) -> bool,
    ) {
        let port = &self.port;
        self.open.retain_mut(|session| {
            session.publication() != publication || what(session, &mut |t| transmit(port, &t))
        });
    }

    /// Takes what the port has, up to [`BATCH`].
    fn receive(&mut self, buffer: &mut [u8; MAX_DATAGRAM]) {
        for _ in 0..BATCH {
            match self.port.receive(buffer) {
                Ok(datagram) => self.take(&buffer[..datagram.length], datagram),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // An ICMP answer to something sent before: says nothing about the next datagram.
                Err(error) => tracing::debug!(error = %error, "a datagram could not be read"),
            }
        }
    }

    fn take(&mut self, bytes: &[u8], datagram: Datagram) {
        let (now, instant) = self.now();
        let Ok(receive) = Receive::new(Protocol::Udp, datagram.from, datagram.to, bytes) else {
            return;
        };
        let input = Input::Receive(instant, receive);
        let Some(index) = self.open.iter().position(|session| session.accepts(&input)) else {
            return;
        };
        let port = &self.port;
        if !self.open[index].take(now, input, &mut |t| transmit(port, &t)) {
            self.open.swap_remove(index);
        }
    }

    fn run_timers(&mut self) {
        let (now, instant) = self.now();
        let port = &self.port;
        self.open.retain_mut(|session| {
            session.look(now);
            session.deadline > instant
                || session.take(now, Input::Timeout(instant), &mut |t| transmit(port, &t))
        });
    }

    fn close_all(&mut self) {
        let (now, _) = self.now();
        let port = &self.port;
        for session in &mut self.open {
            session.close(now, &mut |t| transmit(port, &t));
        }
    }
}

fn transmit(port: &Port, transmit: &Transmit) {
    if let Err(error) = port.send(&transmit.contents, transmit.source, transmit.destination) {
        tracing::debug!(error = %error, "a datagram to a publisher was not sent");
    }
}
