//! Watching by WHEP (draft-ietf-wish-whep): a browser offers, the box answers and sends what the
//! lesson has on air.
//!
//! ```text
//!   taps of a lesson ─▶ Programme ─▶ every viewer's session ─▶ the one UDP port
//!     (plain packets)    │ kept GOP         │ PLI, joins
//!                        └──▶ who joins     └──▶ the relay's keyframe policy
//! ```
//!
//! One task owns every viewer's session and is one reader of each watched lesson's taps, bounded
//! as the recorder is: when it is too slow, viewers lose packets and nobody else notices. A payload
//! is copied once for all viewers. Who begins, or has lost its way, gets the kept pictures at once
//! and asks for a keyframe as a machine does: at most one in ten seconds each, one a second in all.
//!
//! A viewer's stream has one picture codec. When another comes on air the session ends, and the
//! page calls again: whether its browser plays the other one, its answer says.
//!
//! While the teacher has blanked or frozen the screens, students' browsers are not sent its
//! picture: it is not for a page to hide.
//!
//! The port is the publishers' ([`rtc`](super::rtc)). Without it nobody watches, and the health
//! page says why.

mod engine;
mod kept;
mod negotiate;
mod programme;
mod session;
mod stream;

use std::{convert::Infallible, fmt, net::IpAddr, sync::Arc, time::Duration};

use alfarid_protocol::{
    grant::Picture,
    id::{LessonId, StudentId, TeacherId},
};
use alfarid_stream::Codec;
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tracing::Span;
use uuid::Uuid;

use self::negotiate::Lines;
use super::{rtc::Door, tap::Tap};
use crate::bucket::Rate;

pub(super) use self::{engine::Engine, programme::Source};

/// Orders that may wait for the engine: a class that opens its pages at once. Full: whoever gives
/// one waits.
const ORDERS_WAITING: usize = 128;

/// Sessions of one person or student: a page, one that is being reloaded, and another device with
/// the same. Beyond it the oldest gives way, and does not come back by itself: its page waits for a
/// click, or pages would take each other's place for ever.
const PER_PERSON: usize = 4;

/// Offers of one person: a page that finds no way through tries again every three seconds at most,
/// and there are [`PER_PERSON`] of them.
pub(super) const OFFERS: Rate = Rate { at_once: 20.0, per_second: 2.0 };

/// Kept pictures of one person, which are large: each of their sessions has them every five seconds
/// at most, however often it begins anew.
const KEPT: Rate = Rate { at_once: 8.0, per_second: 0.8 };

/// Sessions that had to give way and are remembered. More: the oldest may come back by itself.
const DISPLACED: usize = 128;

/// Sessions from one address, which may be a router with a class behind it. Beyond it one more is
/// refused.
const PER_ADDRESS: usize = 50;

/// One browser that watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ViewerId(pub Uuid);

impl From<Uuid> for ViewerId {
    fn from(id: Uuid) -> Self {
        Self(id)
    }
}

impl fmt::Display for ViewerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Who watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Watcher {
    Student(StudentId),
    Person(TeacherId),
}

impl Watcher {
    /// Students see what the teacher shows them. Whoever looks after a lesson sees what is on air.
    fn sees_everything(self) -> bool {
        matches!(self, Self::Person(_))
    }
}

/// Why somebody cannot watch just now.
#[derive(Debug, Error)]
pub enum WatchError {
    #[error("the offer is not SDP that a browser could have made: {0}")]
    Malformed(String),
    #[error("the offer has none of the codecs that this box sends")]
    Unsupported,
    #[error("the browser does not play {0:?}, which is on air")]
    Unplayable(Codec),
    #[error("the box cannot send media just now: its UDP port is not open")]
    NoPort,
    #[error("the box has as many viewers as it may have")]
    TooMany,
    #[error("there are too many viewers at one address")]
    TooManyHere,
    #[error("this page gave way to a newer one of the same person")]
    Displaced,
    #[error("the same person asks too often: not before {0:?}")]
    TooOften(Duration),
}

/// A session that has been agreed on, ready for the engine.
pub(super) struct Agreed {
    pub(super) answer: String,
    rtc: Box<str0m::Rtc>,
    lines: Lines,
    place: OwnedSemaphorePermit,
}

/// Where a viewer belongs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seat {
    pub(super) id: ViewerId,
    pub(super) lesson: LessonId,
    pub(super) who: Watcher,
    pub(super) address: IpAddr,
    pub(super) former: Option<ViewerId>,
}

/// How a viewer comes.
#[derive(Clone, Copy, Debug)]
pub struct Coming {
    pub address: IpAddr,
    /// The box's address that the request came to.
    pub came_to: IpAddr,
    /// The session that the same page had before and has lost.
    pub former: Option<ViewerId>,
}

/// Ends when the session does.
pub type Gone = oneshot::Receiver<Infallible>;

/// What is let go when a session ends, whatever the reason.
struct Stay {
    /// Its other end notices.
    _here: oneshot::Sender<Infallible>,
    _place: OwnedSemaphorePermit,
}

enum Order {
    /// A lesson begins to be watched.
    Follow(LessonId, Tap, Source, Picture),
    /// The lesson is over: so is watching it.
    Leave(LessonId),
    /// What the teacher lets the class see.
    Picture(LessonId, Picture),
    Open {
        seat: Seat,
        rtc: Box<str0m::Rtc>,
        lines: Box<Lines>,
        stay: Stay,
        /// Its own, inside the lesson's: the engine serves all lessons.
        span: Span,
        reply: oneshot::Sender<Result<(), WatchError>>,
    },
    /// Ends a session of `who`; of anybody's without one. Answered by whether there was one.
    Close(ViewerId, Option<Watcher>, oneshot::Sender<bool>),
}

/// Cheap to clone.
#[derive(Clone)]
pub(super) struct Handle {
    orders: mpsc::Sender<Order>,
    door: Door,
    places: Arc<Semaphore>,
}

impl Handle {
    /// Whether anybody can watch: the port is open.
    pub(super) fn is_open(&self) -> bool {
        self.door.is_open()
    }

    /// Agrees with a viewer, without starting anything. `came_to` is the address of the box that
    /// the viewer's request came to; `on_air`, the picture's codec if there is one.
    pub(super) fn agree(
        &self,
        offer: &str,
        on_air: Option<Codec>,
        came_to: IpAddr,
    ) -> Result<Agreed, WatchError> {
        let terms = self.door.terms(came_to).ok_or(WatchError::NoPort)?;
        let offered = negotiate::Offered::read(offer)?;
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| WatchError::TooMany)?;
        offered.answer(&terms, on_air, place)
    }

    /// Starts a session, which logs inside the caller's span.
    pub(super) async fn open(&self, seat: Seat, agreed: Agreed) -> Result<Gone, WatchError> {
        let (here, gone) = oneshot::channel();
        let Agreed { rtc, lines, place, .. } = agreed;
        let (lines, stay) = (Box::new(lines), Stay { _here: here, _place: place });
        let span = tracing::error_span!("viewer", viewer.id = %seat.id);
        let (reply, answer) = oneshot::channel();
        let order = Order::Open { seat, rtc, lines, stay, span, reply };
        // Without an engine the session would have ended at once.
        self.orders.send(order).await.map_err(|_| WatchError::NoPort)?;
        answer.await.map_err(|_| WatchError::NoPort)?.map(|()| gone)
    }

    /// Ends a session, telling its viewer. `false`: there is none of theirs.
    pub(super) async fn close(&self, id: ViewerId, who: Option<Watcher>) -> bool {
        let (reply, answer) = oneshot::channel();
        let _ = self.orders.send(Order::Close(id, who, reply)).await;
        answer.await.unwrap_or(false)
    }

    pub(super) async fn follow(
        &self,
        lesson: LessonId,
        tap: Tap,
        source: Source,
        picture: Picture,
    ) {
        let _ = self.orders.send(Order::Follow(lesson, tap, source, picture)).await;
    }

    pub(super) async fn leave(&self, lesson: LessonId) {
        let _ = self.orders.send(Order::Leave(lesson)).await;
    }

    pub(super) async fn set_picture(&self, lesson: LessonId, picture: Picture) {
        let _ = self.orders.send(Order::Picture(lesson, picture)).await;
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("door", &self.door).finish_non_exhaustive()
    }
}
