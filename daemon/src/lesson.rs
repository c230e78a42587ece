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
//! How it fails: a write that fails changes nothing and is answered with the cause; what nobody
//! waits for is tried again. Lessons that ran when the box stopped go on before anything of that is
//! written down, so that a full disk stops none. A part that cannot do what it is asked (the
//! broadcast, the recording) is reported as a fault, and the lesson goes on without it.

mod actor;
mod bandwidth;
mod command;
mod effects;
mod event;
mod plan;
pub mod quality;
mod routes;
mod state;
mod store;

use std::time::Duration;

use alfarid_protocol::{
    grant::Picture,
    id::{ClassId, LessonId, MachineId, RoomId, TeacherId},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};
use utoipa::ToSchema;

use self::{
    actor::Request,
    bandwidth::{Allowance, Bandwidth, Room},
    command::Command,
    plan::substitute_for,
};
pub use self::{
    actor::{Actor, new},
    effects::Others,
    event::{EventKind, LessonEvent},
    quality::Profile,
    routes::routes,
};
use crate::{
    attendance,
    db::{Db, DbError},
    field::{self, Invalid},
    identity::Person,
    recording::{self, Fault},
    roster,
};

#[derive(Debug, Error)]
pub enum Error {
    #[error("this lesson is running already")]
    AlreadyRunning(Box<Lesson>),
    #[error("cannot read who changed the attendance")]
    Attendance(#[from] attendance::Error),
    #[error("cannot read or write lessons")]
    Db(#[from] DbError),
    #[error(transparent)]
    Invalid(#[from] Invalid),
    #[error("machine {0} is not in this room")]
    MachineElsewhere(MachineId),
    #[error("there is no class {0}")]
    NoSuchClass(ClassId),
    #[error("there is no lesson {0}")]
    NoSuchLesson(LessonId),
    #[error("there is no room {0}")]
    NoSuchRoom(RoomId),
    #[error("lesson {0} is not running")]
    NotActive(LessonId),
    #[error("lesson {0} is not in the way of this one")]
    NotInTheWay(LessonId),
    #[error("lesson {0} is not scheduled any more")]
    NotScheduled(LessonId),
    #[error("lesson {0} is held by somebody else: take it over first")]
    NotYours(LessonId),
    #[error(transparent)]
    NotRecorded(recording::Error),
    #[error("another lesson has these seats")]
    RoomBusy(Box<Lesson>),
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
    #[schema(required)]
    pub substitute_for_name: Option<String>,
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
    /// Why it stopped recording by itself, until somebody switches it on again.
    #[schema(required)]
    pub recording_fault: Option<Fault>,
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
#[schema(as = LessonStatus)]
pub enum Status {
    Scheduled,
    Active,
    Completed,
    Cancelled,
}

/// A lesson that somebody wants to hold, as they say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub class: ClassId,
    pub room: RoomId,
    /// `None`: the class's name.
    pub title: Option<String>,
    pub description: Option<String>,
    /// `None`: now. Only a scheduled lesson begins at another time.
    pub start_at: Option<Timestamp>,
    /// `None`: as long as lessons are by default.
    pub ends: Option<Ends>,
    /// `None`: the whole room.
    pub machines: Option<Vec<MachineId>>,
    /// `None`: as it is by default.
    pub recording: Option<bool>,
}

/// When a lesson is planned to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    At(Timestamp),
    /// So many minutes after its start.
    After(u32),
}

/// Whose lesson it was to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Colleague {
    id: TeacherId,
    full_name: String,
}

impl Lesson {
    /// When it ends by itself, if that was announced while it was last seen running.
    fn announced_end(&self) -> Option<Timestamp> {
        self.ends_by_itself_at.filter(|_| self.planned_end_at <= self.seen_at)
    }

    /// Whom its teacher stands in for.
    fn stood_in_for(&self) -> Option<Colleague> {
        let full_name = self.substitute_for_name.clone()?;
        self.substitute_for.map(|id| Colleague { id, full_name })
    }

    fn stand_in_for(&mut self, whom: Option<Colleague>) {
        let (id, full_name) = whom.map(|whom| (whom.id, whom.full_name)).unzip();
        (self.substitute_for, self.substitute_for_name) = (id, full_name);
    }

    /// From now on `by` holds it, who stands in for the class's own teacher, or else for whoever it
    /// was before.
    fn hand_to(&mut self, by: &Person, own: Option<Colleague>) {
        let former = self.stood_in_for().unwrap_or_else(|| Colleague {
            id: self.teacher_id,
            full_name: self.teacher_name.clone(),
        });
        self.stand_in_for(substitute_for(by.id, own, Some(former)));
        self.teacher_id = by.id;
        self.teacher_name.clone_from(&by.full_name);
    }
}

/// What a teacher changes in a lesson, as they say it; `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LessonChange {
    pub title: Option<String>,
    pub description: field::Change<String>,
    /// A profile is pinned; cleared, it follows the number of students again.
    pub quality: field::Change<Profile>,
    pub is_recording: Option<bool>,
    pub picture: Option<Picture>,
}

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    requests: mpsc::Sender<Request>,
    end_after: watch::Sender<Duration>,
    others: Others,
    db: Db,
    allowance: Allowance,
}

impl Handle {
    pub async fn schedule(&self, plan: Plan, by: Person) -> Result<Lesson, Error> {
        self.ask(|reply| Request::Schedule { plan, by, reply }).await
    }

    /// Starts a lesson now; `replace` ends first and in the same step.
    pub async fn start(
        &self,
        plan: Plan,
        by: Person,
        replace: Option<LessonId>,
    ) -> Result<Lesson, Error> {
        self.ask(|reply| Request::Start { plan, by, replace, reply }).await
    }

    /// Starts a scheduled lesson now, whoever was to hold it.
    pub async fn start_scheduled(
        &self,
        lesson: LessonId,
        by: Person,
        replace: Option<LessonId>,
    ) -> Result<Lesson, Error> {
        self.ask(|reply| Request::StartScheduled { lesson, by, replace, reply }).await
    }

    pub async fn end(&self, lesson: LessonId, by: Person) -> Result<Lesson, Error> {
        self.command(Command::End { lesson, by }).await
    }

    pub async fn cancel(&self, lesson: LessonId, by: Person) -> Result<Lesson, Error> {
        self.command(Command::Cancel { lesson, by }).await
    }

    pub async fn take_over(&self, lesson: LessonId, by: Person) -> Result<Lesson, Error> {
        self.ask(|reply| Request::TakeOver { lesson, by, reply }).await
    }

    pub async fn extend(
        &self,
        lesson: LessonId,
        by: Person,
        minutes: u32,
    ) -> Result<Lesson, Error> {
        self.command(Command::Extend { lesson, by, minutes }).await
    }

    pub async fn change(
        &self,
        lesson: LessonId,
        by: Person,
        change: LessonChange,
    ) -> Result<Lesson, Error> {
        if change.is_recording == Some(true) {
            self.has_room_to_record(lesson).await?;
        }
        self.command(Command::Change { lesson, by, change }).await
    }

    /// As it is on disk.
    pub async fn lesson(&self, id: LessonId) -> Result<Lesson, Error> {
        self.db.read(move |c| store::lesson(c, id)?.ok_or(Error::NoSuchLesson(id))).await
    }

    /// The newest first.
    pub async fn lessons(&self, which: Which) -> Result<Vec<Lesson>, Error> {
        Ok(self.db.read(move |c| store::lessons(c, &which)).await?)
    }

    /// Before the switch is turned: one that a full disk turns back at once is no switch.
    async fn has_room_to_record(&self, lesson: LessonId) -> Result<(), Error> {
        let known = self.lesson(lesson).await?;
        if known.status != Status::Active || known.is_recording {
            return Ok(());
        }
        self.others.recording.has_room().await.map_err(Error::NotRecorded)
    }

    /// What a lesson in such a room would ask of the school's network.
    fn bandwidth(&self, room: Room) -> Result<Bandwidth, Error> {
        Ok(room.check()?.bandwidth(self.allowance))
    }

    /// The log of a lesson, in order, with what people changed of its attendance: for who holds
    /// it, the class's own teacher and an admin.
    pub async fn events(&self, id: LessonId, by: &Person) -> Result<Vec<LessonEvent>, Error> {
        let by = by.clone();
        let read = self.db.read(move |c| {
            let lesson = store::lesson(c, id)?.ok_or(Error::NoSuchLesson(id))?;
            let class = roster::store::class(c, lesson.class_id)?;
            let is_own = class.is_some_and(|class| class.teacher_id == Some(by.id));
            if !is_own && lesson.teacher_id != by.id && !by.is_admin() {
                return Err(Error::NotYours(id));
            }
            Ok(store::events(c, id)?)
        });
        let mut events = read.await?;
        events.extend(self.others.attendance.changes(id).await?.into_iter().map(Into::into));
        events.sort_by_key(|event: &LessonEvent| event.at);
        Ok(events)
    }

    /// Takes up a setting that was read again.
    pub fn set_end_after_minutes(&self, minutes: u32) {
        self.end_after.send_replace(actor::minutes(minutes));
    }

    async fn command(&self, command: Command) -> Result<Lesson, Error> {
        self.ask(|reply| Request::Command { command, reply }).await
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

/// Which lessons a list has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Which {
    pub status: Option<Status>,
    pub class: Option<ClassId>,
    /// Starting at this time or later, and before that one.
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    /// How many at most; there is a bound of its own.
    pub limit: Option<u32>,
}
