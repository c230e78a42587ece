//! A lesson's screen and voice in the clear, for players that know nothing of the box: VLC, ffplay,
//! GStreamer.
//!
//! ```text
//!   tap of the lesson ─▶ output, one per lesson ─┬─▶ RTP, a group of its own, unencrypted
//!                            └─ session (SDP) ───┼─▶ SAP: players list it by themselves
//!                                                └─▶ /api/v1/rooms/{id}/broadcast.sdp
//! ```
//!
//! | port | what, each with its RTCP on the next |
//! |---|---|
//! | P + 10 | video |
//! | P + 12 | its sound |
//! | P + 14 | the teacher's voice |
//!
//! Off until an admin opens a room, for whoever is on the network may then watch, be it through the
//! wall: pages say so plainly. The machines of the room go on as they are, by the protected
//! broadcast: what is sent here is sent once more. Nothing is repaired, and nothing is mixed: a
//! player of one sound at a time plays the screen's before the voice.
//!
//! An output lives as long as its lesson is on and its room is open. While the teacher has the
//! screens blank or frozen the picture is not sent here either: a player cannot be trusted to hide
//! it. The sound goes on, as it does on machines. Whoever cannot read which rooms are open takes
//! all of them for shut.

mod actor;
mod output;
pub mod routes;
mod session;
mod store;

use alfarid_protocol::{id::RoomId, time::Timestamp};
use serde::Serialize;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use self::actor::{Actor, Order};
use crate::{
    broadcast,
    clock::Clock,
    db::{Db, DbError},
    events::{Event, Events},
    floor::Floor,
    identity::{Person, audit},
};

/// Orders that may wait for the actor. Full: whoever gives one waits.
const ORDERS_WAITING: usize = 16;

#[derive(Debug, Error)]
pub enum Error {
    #[error("room {0} does not exist")]
    NoSuchRoom(RoomId),
    #[error("nothing goes out in the clear from room {0}")]
    NothingInTheClear(RoomId),
    #[error("cannot read or write which rooms are open")]
    Db(#[from] DbError),
    #[error("the open broadcast has stopped")]
    Stopped,
}

/// Whether a room is open, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct OpenAir {
    pub is_open: bool,
    /// `null` while it is not.
    pub opened_at: Option<Timestamp>,
}

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    orders: mpsc::Sender<Order>,
    db: Db,
    clock: Clock,
    events: Events,
}

/// Builds the capability; nothing runs before [`Open::run`].
pub fn new(floor: &Floor, broadcast: broadcast::Handle) -> (Handle, Open) {
    let (orders, waiting) = mpsc::channel(ORDERS_WAITING);
    let Floor { db, clock, events, .. } = floor.clone();
    let handle = Handle { orders, db, clock, events };
    (handle, Open(Actor::new(floor, broadcast, waiting)))
}

/// The capability's task, to be run for the life of the process.
pub struct Open(Actor);

impl Open {
    pub async fn run(self, stopping: CancellationToken) {
        self.0.run(stopping).await;
    }
}

impl std::fmt::Debug for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Open")
    }
}

impl Handle {
    /// Whether the lessons of a room go out in the clear.
    pub async fn of_room(&self, room: RoomId) -> Result<OpenAir, Error> {
        self.db
            .read(move |c| {
                if store::name(c, room)?.is_none() {
                    return Err(Error::NoSuchRoom(room));
                }
                let opened_at = store::opened_at(c, room)?;
                Ok(OpenAir { is_open: opened_at.is_some(), opened_at })
            })
            .await
    }

    /// Opens a room, or shuts it; at once, also for a lesson that is on. Done again, it changes
    /// nothing.
    pub async fn set(&self, admin: &Person, room: RoomId, is_open: bool) -> Result<OpenAir, Error> {
        let (by, clock) = (admin.id, self.clock.clone());
        self.db
            .write(move |tx| {
                if store::name(tx, room)?.is_none() {
                    return Err(Error::NoSuchRoom(room));
                }
                let (changed, action) = if is_open {
                    (store::open(tx, room, by, clock.now())?, "room_opened")
                } else {
                    (store::shut(tx, room)?, "room_shut")
                };
                if changed {
                    audit::write(tx, &clock, &audit::Entry::new(by, action, &room))?;
                }
                Ok(())
            })
            .await?;
        self.ask(Order::Look).await?;
        self.events.tell(Event::RoomChanged { room_id: room });
        self.of_room(room).await
    }

    /// The SDP of what is on air in a room: of its newest lesson, if there are several.
    pub async fn session(&self, room: RoomId) -> Result<String, Error> {
        let session = self.ask(|reply| Order::Session(room, reply)).await?;
        session.ok_or(Error::NothingInTheClear(room))
    }

    async fn ask<T>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.orders.send(order(reply)).await.map_err(|_| Error::Stopped)?;
        answer.await.map_err(|_| Error::Stopped)
    }
}
