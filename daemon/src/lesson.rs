//! The life of a lesson: one meeting of a class in a room, held by any teacher.
//!
//! ```text
//!              cancel
//!   scheduled ────────▶ cancelled
//!       │ start
//!       ▼                end, replaced by another, or by itself
//!     active ───────────────────────────────────────────────▶ completed
//! ```
//!
//! This capability decides ([`state`]) and asks the others to act ([`effects`]): attendance keeps
//! the roll, the broadcast shows the picture, the recording keeps it. What is decided is on disk
//! before anybody acts, so a box that loses power takes its lessons up where they were.
//!
//! Invariants: two lessons in one room share no seat; a lesson changes only here, one command at
//! a time; every change leaves an event; a correction of the clock changes no duration.
//!
//! How it fails: a write that fails changes nothing and is answered with the cause. A part that
//! cannot do what it is asked (the broadcast, the recording) is reported as a fault, and the
//! lesson goes on without it.

mod actor;
mod effects;
mod plan;
pub mod quality;
mod routes;
mod state;
mod store;

use alfarid_protocol::{
    grant::Picture,
    id::{ClassId, LessonId, MachineId, RoomId, TeacherId},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use utoipa::ToSchema;

use self::actor::Request;
pub use self::{
    actor::{Actor, new},
    quality::Profile,
    routes::routes,
};
use crate::{
    db::{Db, DbError},
    identity::Person,
};

#[derive(Debug, Error)]
pub enum Error {
    #[error("cannot read or write lessons")]
    Db(#[from] DbError),
    #[error("there is no lesson {0}")]
    NoSuchLesson(LessonId),
    #[error("there is no class {0}")]
    NoSuchClass(ClassId),
    #[error("there is no room {0}")]
    NoSuchRoom(RoomId),
    #[error("the lesson is running already")]
    AlreadyRunning(Box<Lesson>),
    #[error("another lesson has these seats")]
    RoomBusy(Box<Lesson>),
    #[error("lesson {0} is not running")]
    NotActive(LessonId),
    #[error("lesson {0} is held by somebody else")]
    NotTheirs(LessonId),
    #[error("lessons are not kept any more: the box is stopping")]
    Stopped,
}

/// One meeting of a class in a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Lesson {
    pub id: LessonId,
    pub class_id: ClassId,
    pub class_name: String,
    pub room_id: RoomId,
    pub room_name: String,
    /// Who holds it.
    pub teacher_id: TeacherId,
    pub teacher_name: String,
    /// Whose lesson it was to be, when somebody else holds it.
    #[schema(required)]
    pub substitute_for: Option<TeacherId>,
    pub title: String,
    #[schema(required)]
    pub description: Option<String>,
    pub status: Status,
    pub start_at: Timestamp,
    pub planned_end_at: Timestamp,
    #[schema(required)]
    pub end_at: Option<Timestamp>,
    pub quality_profile: Profile,
    /// The teacher chose the profile; it does not follow the number of students.
    pub quality_pinned: bool,
    pub max_fps: u32,
    /// Students present while it runs; students who were there once it is over.
    pub student_count: u32,
    #[schema(required)]
    pub duration_seconds: Option<i64>,
    pub is_recording: bool,
    pub picture: Picture,
    /// When it ends if no teacher comes back; `null` while one is there.
    #[schema(required)]
    pub ends_by_itself_at: Option<Timestamp>,
    /// `null`: the whole room.
    #[schema(required)]
    pub machine_ids: Option<Vec<MachineId>>,
    /// Whether anybody vouched for the box's clock when it began.
    pub clock_was_sure: bool,
    /// Seen running up to here.
    #[serde(skip)]
    pub(crate) seen_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Scheduled,
    Active,
    Completed,
    Cancelled,
}

/// A lesson that somebody wants to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub class: ClassId,
    pub room: RoomId,
    pub title: Option<String>,
    pub duration_minutes: Option<u32>,
    /// `None`: the whole room.
    pub machines: Option<Vec<MachineId>>,
    pub recording: Option<bool>,
}

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    requests: mpsc::Sender<Request>,
    db: Db,
}

impl Handle {
    /// Starts a lesson now, `replace` ends first and in the same step.
    pub async fn start(
        &self,
        plan: Plan,
        by: Person,
        replace: Option<LessonId>,
    ) -> Result<Lesson, Error> {
        self.ask(|reply| Request::Start { plan, by, replace, reply }).await
    }

    pub async fn end(&self, lesson: LessonId, by: Person) -> Result<Lesson, Error> {
        self.ask(|reply| Request::End { lesson, by, reply }).await
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, Error>>) -> Request,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(request(reply)).await.map_err(|_| Error::Stopped)?;
        answer.await.map_err(|_| Error::Stopped)?
    }
}
