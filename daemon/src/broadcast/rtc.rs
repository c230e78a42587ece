//! WebRTC on one UDP port: what publishers ([`whip`](super::whip)) and
//! [`viewers`](super::viewers) share.
//!
//! ```text
//!   one UDP port ─▶ publishers' sessions ── nobody's ──▶ viewers' sessions
//!        ▲                │                                    │
//!        └────────────────┴──────────── datagrams ─────────────┘
//! ```
//!
//! A session is a [`str0m::Rtc`] in RTP mode. The box is ICE-lite: it answers the other side's
//! checks on the box's own addresses and looks nothing up. Which session a datagram is for is said
//! by its ICE name first (the `ufrag` of its STUN checks), by its address afterwards.
//!
//! Publishers and viewers are two tasks, so that a keyframe on its way to a hundred viewers delays
//! nothing that a publisher sends. The publishers' task owns the port's reading end, and hands on
//! what is for none of its sessions.

mod burst;
pub(super) mod offer;
pub(super) mod peer;
pub(super) mod port;
pub(super) mod sessions;
mod ticks;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Instant,
};

use str0m::config::DtlsCert;
use tokio::sync::{mpsc, watch};

use self::port::Port;

pub(super) use self::ticks::Ticks;

/// How many box addresses an answer names at most.
const MAX_CANDIDATES: usize = 8;

/// Datagrams for viewers that may wait: they are small and few (checks and reports). Full: one is
/// lost, as datagrams are.
pub(super) const STRAYS_WAITING: usize = 512;

/// A datagram that was for no publisher.
#[derive(Debug)]
pub(super) struct Stray {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) bytes: Vec<u8>,
}

/// Where the box takes and sends media, and as whom. Cheap to clone.
#[derive(Clone)]
pub(super) struct Door {
    /// The port, while it is open.
    pub(super) port: watch::Receiver<Option<Arc<Port>>>,
    /// `None`: this box cannot make one, for want of randomness.
    certificate: Option<Arc<DtlsCert>>,
    pub(super) ticks: Ticks,
}

/// The engine's own end of it.
pub(super) struct Doorkeeper {
    pub(super) opened: watch::Sender<Option<Arc<Port>>>,
    pub(super) strays: mpsc::Sender<Stray>,
}

/// The door of a box, still closed, and where what is for no publisher comes out.
pub(super) fn door(clock: crate::clock::Clock) -> (Door, Doorkeeper, mpsc::Receiver<Stray>) {
    let certificate = str0m::crypto::from_feature_flags().dtls_provider.generate_certificate();
    let (opened, port) = watch::channel(None);
    let (strays, straying) = mpsc::channel(STRAYS_WAITING);
    let door = Door { port, certificate: certificate.map(Arc::new), ticks: Ticks::new(clock) };
    (door, Doorkeeper { opened, strays }, straying)
}

/// What an answer is made with.
pub(super) struct Terms<'a> {
    pub(super) candidates: Vec<SocketAddr>,
    pub(super) certificate: &'a DtlsCert,
    pub(super) now: Instant,
}

impl Door {
    /// Where somebody whose request came to `came_to` finds the box. `None`: nowhere, for now.
    pub(super) fn terms(&self, came_to: IpAddr) -> Option<Terms<'_>> {
        let listening = self.port.borrow().as_ref()?.local();
        Some(Terms {
            candidates: port::candidates(listening, came_to, MAX_CANDIDATES),
            certificate: self.certificate.as_deref()?,
            now: self.ticks.now(),
        })
    }

    pub(super) fn is_open(&self) -> bool {
        self.port.borrow().is_some()
    }
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").field("port", &*self.port.borrow()).finish_non_exhaustive()
    }
}
