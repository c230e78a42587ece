//! Publishing by WHIP (RFC 9725): a browser, OBS or GStreamer offers, the box answers and takes
//! RTP packets in.
//!
//! ```text
//!   offer ─▶ negotiate ─▶ Rtc, answer
//!                          │
//!   one UDP port ─▶ Engine ┴ sessions ─▶ Feed (relay of the slot)
//! ```
//!
//! One task reads the UDP port and owns every publisher's session; a session never sends media.
//! What it shares with viewers is in [`rtc`](super::rtc).
//!
//! When the port cannot be had, the rest of the box works, the health page says so, and it is tried
//! again until it can.

mod budget;
mod engine;
mod negotiate;
mod reported;
mod session;
mod silence;

use std::{convert::Infallible, net::IpAddr, sync::Arc};

use alfarid_protocol::id::PublicationId;
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tracing::Span;

use self::session::Lines;
use super::{feed::Feed, rtc::Door};

pub(super) use self::{
    engine::Engine,
    negotiate::{Offered, Wanted},
};

/// Orders that may wait for the engine. Full: a keyframe request is dropped (it is repeated), the
/// others wait.
const ORDERS_WAITING: usize = 64;

/// Publishers at once: a box has a few lessons, each with two publications, each of which may be
/// taken over. Beyond it a publisher is refused, and told to come later.
const MAX_SESSIONS: usize = 32;

/// Why an offer is not taken.
#[derive(Debug, Error)]
pub enum OfferError {
    #[error("the offer is not SDP that a browser could have made: {0}")]
    Malformed(String),
    #[error("the offer has none of the codecs that this box takes")]
    Unsupported,
    #[error("the box cannot take media just now: its UDP port is not open")]
    NoPort,
    #[error("the box has {MAX_SESSIONS} publishers, and takes no more at once")]
    TooMany,
}

/// A session that has been agreed on, ready for the engine.
pub(super) struct Agreed {
    pub(super) answer: String,
    rtc: Box<str0m::Rtc>,
    lines: Lines,
    place: OwnedSemaphorePermit,
}

/// What is let go when a session ends, whatever the reason.
struct Stay {
    /// Its other end notices.
    _here: oneshot::Sender<Infallible>,
    /// One of [`MAX_SESSIONS`], taken when it was agreed on.
    _place: OwnedSemaphorePermit,
}

impl Agreed {
    pub(super) fn has_sound(&self) -> bool {
        self.lines.audio.is_some()
    }
}

enum Order {
    Open {
        publication: PublicationId,
        rtc: Box<str0m::Rtc>,
        lines: Lines,
        feed: Feed,
        stay: Stay,
        /// Its own, inside the lesson's: the engine serves all lessons.
        span: Span,
    },
    Close(PublicationId),
    Keyframe(PublicationId),
    /// Tells the publisher to send no more than so many bits a second.
    Limit(PublicationId, u64),
}

/// Cheap to clone.
#[derive(Clone)]
pub(super) struct Handle {
    orders: mpsc::Sender<Order>,
    door: Door,
    places: Arc<Semaphore>,
}

impl Handle {
    /// Agrees with a publisher, without starting anything; its sound is to have `sound_bps` at
    /// most. `came_to` is the address of the box that the publisher's request came to: the one that
    /// is sure to work.
    pub(super) fn agree(
        &self,
        offer: &str,
        wanted: Wanted,
        sound_bps: u32,
        came_to: IpAddr,
    ) -> Result<Agreed, OfferError> {
        if !self.door.is_open() {
            return Err(OfferError::NoPort);
        }
        let offered = Offered::read(offer, wanted)?;
        let terms = self.door.terms(came_to).ok_or(OfferError::NoPort)?;
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| OfferError::TooMany)?;
        offered.answer(&terms, sound_bps, place)
    }

    /// Starts a session, which logs inside the caller's span. The receiver ends when the session
    /// does.
    pub(super) async fn open(
        &self,
        publication: PublicationId,
        agreed: Agreed,
        feed: Feed,
    ) -> oneshot::Receiver<Infallible> {
        let (here, gone) = oneshot::channel();
        let Agreed { rtc, lines, place, .. } = agreed;
        let stay = Stay { _here: here, _place: place };
        let span = tracing::error_span!("publication", publication.id = %publication);
        let order = Order::Open { publication, rtc, lines, feed, stay, span };
        // Without an engine all of it is dropped at once: the session has ended.
        let _ = self.orders.send(order).await;
        gone
    }

    /// Ends a session, telling the publisher.
    pub(super) async fn close(&self, publication: PublicationId) {
        let _ = self.orders.send(Order::Close(publication)).await;
    }

    pub(super) async fn limit(&self, publication: PublicationId, bitrate_bps: u64) {
        let _ = self.orders.send(Order::Limit(publication, bitrate_bps)).await;
    }

    /// Never waits.
    pub(super) fn ask_keyframe(&self, publication: PublicationId) {
        let _ = self.orders.try_send(Order::Keyframe(publication));
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").field("door", &self.door).finish_non_exhaustive()
    }
}
