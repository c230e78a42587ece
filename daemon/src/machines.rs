//! The live channel to every student machine.
//!
//! Every machine dials out to the agent port and keeps one connection (one that no UDP reaches has
//! a second beside it, [`tunnel`], on which the box alone speaks); what it says goes up
//! through [`Outlets`] to the capability that it concerns, what a capability has to say to it goes
//! down through [`Handle`]. This module knows who is connected and nothing of lessons.
//!
//! ```text
//!   dialled in ──Hello, approved──▶ ready ──silence, close, too slow──▶ gone
//!       │  └──Hello, not approved──▶ waiting ──approved: closed, dials in again──▶
//!       ├──Enrol──▶ enrolled: closed, dials in again with its certificate
//!       └──Hello of another age──▶ refused, and shown to people until it is updated
//! ```
//!
//! Invariants: a machine has one connection, the newest ([`RefusalCode::Replaced`] to the older);
//! who a machine is follows from its key alone; a machine that does not read, or says too much,
//! harms itself alone; whatever an admin changes of a machine reaches it at once, however it stands
//! at that moment.
//!
//! [`RefusalCode::Replaced`]: alfarid_protocol::control::RefusalCode::Replaced

mod connection;
mod greeting;
mod hearing;
mod patience;
pub mod routes;
mod store;
mod table;
mod tunnel;

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use alfarid_protocol::{
    control::{FromBox, Report},
    id::{LessonId, MachineId, RoomId, TeacherId},
    rung::{Rung, RungCause},
    span::{Mark, Moment},
    time::Timestamp,
};
use rusqlite::Connection;
use serde::Serialize;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};
use utoipa::ToSchema;

pub use self::tunnel::TunnelLane;
use self::{
    patience::Patience,
    table::{Ending, Table},
};
use crate::{
    db::DbError,
    enrolment::{self, MachineChange},
    events::Event,
    floor::Floor,
};

/// Messages that may wait for the broadcast: each of fifty machines reports once a second. Full:
/// the machine that has something to say waits, and nobody else.
const MEDIA_WAITING: usize = 256;

/// Messages that may wait for the attendance, which writes each to disk. Full: the same.
const PRESENCE_WAITING: usize = 256;

#[derive(Debug, Error)]
pub enum Error {
    #[error("cannot change a machine's trust")]
    Enrolment(#[from] enrolment::Error),
    #[error("machine {0} does not exist")]
    NoSuchMachine(MachineId),
    #[error("cannot read or write machines")]
    Db(#[from] DbError),
}

/// What machines say, sorted by whom it concerns. Each outlet has one taker.
#[derive(Debug)]
pub struct Outlets {
    /// For the broadcast.
    pub media: mpsc::Receiver<MediaMessage>,
    /// For the attendance.
    pub presence: mpsc::Receiver<PresenceMessage>,
}

#[derive(Clone, Debug)]
pub enum MediaMessage {
    /// Approved and ready to be granted a lesson.
    Ready(Link),
    Gone(MachineId),
    /// An admin took its trust away, whether it is connected or not: what it was granted must not
    /// serve it any longer.
    Distrusted(MachineId),
    HasEpoch {
        machine: MachineId,
        lesson: LessonId,
        number: u32,
    },
    WantKept {
        machine: MachineId,
        serial: u32,
        video_from: Option<u64>,
        audio_from: Option<u64>,
    },
    Report {
        machine: MachineId,
        report: Report,
    },
    /// It receives in another way now.
    Rung {
        machine: MachineId,
        serial: u32,
        rung: Rung,
        cause: Option<RungCause>,
    },
    /// It wants the lesson through TLS, from this index on.
    Tunnel {
        machine: MachineId,
        serial: u32,
        from: Option<u64>,
        lane: TunnelLane,
    },
}

/// A connected machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub machine: MachineId,
    pub room: RoomId,
    pub name: String,
    /// The machine's address and the box's own on the same network: multicast to this machine
    /// leaves by the interface that has `local`, and comes from it.
    pub peer: Ipv4Addr,
    pub local: Ipv4Addr,
}

#[derive(Debug)]
pub enum PresenceMessage {
    Connected {
        machine: MachineId,
        now: Moment,
        box_time: Timestamp,
    },
    /// A clock exchange: that moment of the machine was this box time.
    Clock {
        machine: MachineId,
        moment: Moment,
        box_time: Timestamp,
    },
    /// Answered with the highest number that is on disk here; the machine is told.
    Marks {
        machine: MachineId,
        marks: Vec<Mark>,
        applied: oneshot::Sender<u64>,
    },
    Gone {
        machine: MachineId,
        box_time: Timestamp,
    },
}

/// A machine as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Machine {
    pub id: MachineId,
    pub room_id: RoomId,
    pub name: String,
    /// `false`: it waits to be let in.
    pub is_approved: bool,
    pub is_connected: bool,
    pub agent_version: String,
    pub enrolled_at: Timestamp,
    pub last_seen_at: Timestamp,
    pub address: Option<String>,
    /// Somebody works at it: its session is active, unlocked and not idle.
    pub session_in_use: bool,
    /// It is on and dials in, and cannot be served: somebody has to update one side.
    #[schema(required)]
    pub refused: Option<Misfit>,
}

/// Why a machine that is known here cannot be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Misfit {
    AgentTooOld,
    BoxTooOld,
}

/// How many machines of each room are connected: only the newest count is kept.
pub type Counts = watch::Sender<BTreeMap<RoomId, u32>>;

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    floor: Floor,
    enrolment: enrolment::Handle,
    table: Arc<Mutex<Table>>,
    patience: Arc<Mutex<Patience>>,
    counts: Counts,
    media: mpsc::Sender<MediaMessage>,
}

/// Builds the capability: what others use, what machines say, and the router of the agent port.
pub fn new(
    floor: &Floor,
    enrolment: enrolment::Handle,
    counts: Counts,
) -> (Handle, Outlets, axum::Router) {
    let (media, media_end) = mpsc::channel(MEDIA_WAITING);
    let (presence, presence_end) = mpsc::channel(PRESENCE_WAITING);
    let (table, patience) = (Arc::default(), Arc::default());
    let floor = floor.clone();
    let handle = Handle { floor, enrolment, table, patience, counts, media: media.clone() };
    let router = connection::router(handle.clone(), media, presence);
    (handle, Outlets { media: media_end, presence: presence_end }, router)
}

impl Handle {
    /// Says something to a machine, if it is connected. Never waits: a machine that does not keep
    /// up with its control messages loses its connection and comes back to the present state.
    pub fn say(&self, machine: MachineId, message: FromBox) {
        self.table().say(machine, message);
    }

    /// Sends kept pictures (see [`alfarid_protocol::kept`]), if the machine is connected and has
    /// room for them. `false`: it has not, and the rest of the answer is useless to it.
    pub fn send(&self, machine: MachineId, message: bytes::Bytes) -> bool {
        self.table().send(machine, message)
    }

    /// Every machine that is connected and approved.
    pub fn links(&self) -> Vec<Link> {
        self.table().links()
    }

    /// The machines of a room, or all, by name.
    pub async fn list(&self, room: Option<RoomId>) -> Result<Vec<Machine>, Error> {
        let mut machines = self.floor.db.read(move |c| store::machines(c, room)).await?;
        let table = self.table();
        for machine in &mut machines {
            table.describe(machine);
        }
        Ok(machines)
    }

    /// Changes a machine. One whose room or approval changed is disconnected and dials in again
    /// to what holds now. One that was moved or kept out has keys of a lesson that is none of its
    /// business any more: that lesson goes on to others.
    pub async fn change(
        &self,
        by: TeacherId,
        machine: MachineId,
        change: MachineChange,
    ) -> Result<Machine, Error> {
        let is_distrusted = change.room.is_some() || change.is_approved == Some(false);
        let is_changed = is_distrusted || change.is_approved.is_some();
        self.enrolment.change_machine(by, machine, change).await?;
        if is_distrusted {
            // Before it can be back, in another room: that new link is to stay.
            self.distrust(machine).await;
        }
        if is_changed {
            self.table().end(machine, Ending::Changed);
        }
        let read =
            move |c: &Connection| store::machine(c, machine)?.ok_or(Error::NoSuchMachine(machine));
        let mut changed = self.floor.db.read(read).await?;
        self.table().describe(&mut changed);
        Ok(changed)
    }

    /// Takes a machine's trust away, at once and for good: its key is never taken again.
    pub async fn revoke(&self, by: TeacherId, machine: MachineId) -> Result<(), Error> {
        self.enrolment.revoke_machine(by, machine).await?;
        self.table().end(machine, Ending::Revoked);
        self.distrust(machine).await;
        Ok(())
    }

    async fn distrust(&self, machine: MachineId) {
        // An outlet without a taker: the box is stopping, and its keys end with it.
        let _ = self.media.send(MediaMessage::Distrusted(machine)).await;
    }

    fn tell(&self, machine_id: MachineId, room_id: RoomId) {
        self.counts.send_replace(self.table().counts());
        self.floor.events.tell(Event::MachineChanged { machine_id, room_id });
    }

    /// As [`Handle::table`].
    fn patience(&self) -> MutexGuard<'_, Patience> {
        self.patience.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Held for a few instructions only, never across an await.
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
