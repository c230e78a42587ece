//! The task that reads the UDP port and owns every publisher's session.
//!
//! It never waits for anybody but the network and its orders: packets go to relays by
//! [`Feed::give`](crate::broadcast::feed::Feed::give), which drops what does not fit.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use alfarid_protocol::id::PublicationId;
use str0m::net::Transmit;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::{Handle, MAX_SESSIONS, ORDERS_WAITING, Order, session::Session};
use crate::{
    broadcast::rtc::{
        Door, Doorkeeper, Stray,
        port::{MAX_DATAGRAM, Port},
        sessions::{Session as _, Sessions},
    },
    health::{FaultCode, Health, Severity},
};

/// Datagrams taken in a row before timers and orders get their turn, and the relay: what it is
/// woken for here often waits for this task to pause.
const BATCH: usize = 8;

/// How long to wait before the port is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// To be run for the life of the process.
pub(in crate::broadcast) struct Engine {
    listen: SocketAddr,
    door: Door,
    keeper: Doorkeeper,
    orders: mpsc::Receiver<Order>,
    health: Health,
}

impl Engine {
    pub(in crate::broadcast) fn new(
        listen: SocketAddr,
        door: Door,
        keeper: Doorkeeper,
        health: Health,
    ) -> (Handle, Self) {
        let (orders, waiting) = mpsc::channel(ORDERS_WAITING);
        let places = Arc::new(Semaphore::new(MAX_SESSIONS));
        let handle = Handle { orders, door: door.clone(), places };
        (handle, Self { listen, door, keeper, orders: waiting, health })
    }

    pub(in crate::broadcast) async fn run(mut self, stopping: CancellationToken) {
        let opened = open_port(self.listen, &self.health);
        tokio::pin!(opened);
        let port = loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                port = &mut opened => break Arc::new(port),
                // Without a port nobody is answered, so that there is nothing to order.
                Some(_) = self.orders.recv() => {}
            }
        };
        self.keeper.opened.send_replace(Some(Arc::clone(&port)));
        let mut sessions = Sessions::new(Arc::clone(&port), self.door.ticks.clone());
        let mut buffer = [0; MAX_DATAGRAM];
        loop {
            let sleep = tokio::time::sleep(sessions.until_deadline());
            tokio::select! {
                () = stopping.cancelled() => break,
                order = self.orders.recv() => match order {
                    Some(order) => obey(&mut sessions, order),
                    None => break,
                },
                ready = port.readable() => match ready {
                    Ok(()) => {
                        if self.receive(&port, &mut sessions, &mut buffer) {
                            tokio::task::yield_now().await;
                        }
                    }
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

    /// Takes what the port has, up to [`BATCH`]. `true`: there may be more.
    fn receive(
        &self,
        port: &Port,
        sessions: &mut Sessions<Session>,
        buffer: &mut [u8; MAX_DATAGRAM],
    ) -> bool {
        for _ in 0..BATCH {
            match port.receive(buffer) {
                Ok(datagram) => {
                    let (bytes, from, to) =
                        (&buffer[..datagram.length], datagram.from, datagram.to);
                    if !sessions.receive(bytes, from, to) {
                        // Full: lost, as datagrams are.
                        let _ =
                            self.keeper.strays.try_send(Stray { from, to, bytes: bytes.into() });
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                // An ICMP answer to something sent before: says nothing about the next datagram.
                Err(error) => tracing::debug!(error = %error, "a datagram could not be read"),
            }
        }
        true
    }
}

fn obey(sessions: &mut Sessions<Session>, order: Order) {
    let at = sessions.now();
    match order {
        Order::Open { publication, rtc, lines, feed, stay, span } => {
            sessions.add(Session::new(publication, rtc, lines, feed, stay, span, at));
        }
        Order::Close(publication) => {
            with(sessions, publication, |session, send| {
                session.close(at.0, send);
                false
            });
        }
        Order::Keyframe(publication) => {
            with(sessions, publication, |session, send| session.ask_keyframe(at.0, send));
        }
        Order::Limit(publication, bps) => {
            with(sessions, publication, |session, _| {
                session.limit(at.0, bps);
                true
            });
        }
    }
}

/// Does something with one session; `false` ends it.
fn with(
    sessions: &mut Sessions<Session>,
    publication: PublicationId,
    mut what: impl FnMut(&mut Session, &mut dyn FnMut(Transmit)) -> bool,
) {
    sessions.each(|session, send| session.publication() != publication || what(session, send));
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
                let detail = format!(
                    "Nobody can share a screen, nor watch one in a browser: UDP {listen} cannot \
                         be opened ({error})."
                );
                health.raise(FaultCode::WhipPort, Severity::Error, detail);
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}
