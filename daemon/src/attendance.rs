//! Who was there: from marks and pages to spans, from spans to records.
//!
//! ```text
//!   machine ──marks──▶ machine spans ─┐ who sat there
//!                      (its own time)─┴──▶ presence ──thresholds──▶ record ──a person──▶ corrected
//!   page ────────────▶ page spans ───────▶ (within the lesson)
//! ```
//!
//! A machine says when it was in use, by its own clock; [`state`] turns that into box time by the
//! nearest clock exchange and into students by the lesson's own copy of the seating. While a
//! lesson runs everything is worked out when it is asked for; when it ends the records are
//! written, and marks that come later (the network was gone, or the box) write them anew.
//!
//! Invariants: a mark counts once, however often and in whatever order it comes; what is
//! acknowledged is on disk; a record never exceeds its lesson; a correction is never overwritten
//! by a machine.
//!
//! How it fails: what the database does not take is not acknowledged, so the machine sends it
//! again. Use in a boot that the box never exchanged clocks with counts for nothing: nobody can
//! say when it was.

mod actor;
mod marks;
mod roll;
mod span;
mod state;
mod store;

use alfarid_protocol::{
    id::{ClassId, LessonId, MachineId, RoomId, StudentId, TeacherId},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use utoipa::ToSchema;

use self::actor::Request;
pub use self::{
    actor::{Actor, new},
    span::Span,
};
use crate::db::DbError;

#[derive(Debug, Error)]
pub enum Error {
    #[error("cannot read or write the attendance")]
    Db(#[from] DbError),
    #[error("no attendance is kept of lesson {0}")]
    NoSuchLesson(LessonId),
    #[error("the attendance is not kept any more: the box is stopping")]
    Stopped,
}

/// What attendance must know of a lesson.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meeting {
    pub lesson: LessonId,
    pub class: ClassId,
    pub room: RoomId,
    /// Who holds it: it is theirs to see and correct.
    pub teacher: TeacherId,
    /// `None`: the whole room.
    pub machines: Option<Vec<MachineId>>,
    pub start_at: Timestamp,
    pub planned_end_at: Timestamp,
}

/// From when on presence has another name.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Thresholds {
    /// Who joins later than this after the start is late.
    pub late_after_minutes: u32,
    /// Who leaves earlier than this before the end has left early.
    pub left_early_before_minutes: u32,
    /// Who was there for less than this part of the lesson was absent.
    pub present_minimum_ratio: f64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { late_after_minutes: 5, left_early_before_minutes: 5, present_minimum_ratio: 0.5 }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Present,
    Late,
    LeftEarly,
    Absent,
    /// Only ever said by a person.
    Excused,
}

/// One student's attendance of one lesson.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Record {
    pub student_id: StudentId,
    /// The school's own number.
    pub student_number: String,
    pub full_name: String,
    #[schema(required)]
    pub joined_at: Option<Timestamp>,
    /// `None` too for whoever is still there.
    #[schema(required)]
    pub left_at: Option<Timestamp>,
    /// The union of the spans.
    pub duration_seconds: i64,
    pub status: Status,
    pub spans: Vec<Span>,
}

/// Everybody's attendance of one lesson.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Sheet {
    pub thresholds: Thresholds,
    pub items: Vec<Record>,
}

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    requests: mpsc::Sender<Request>,
}

impl Handle {
    /// Keeps attendance of a lesson from now on. The seating is copied the first time; a lesson
    /// that is opened again (the box was restarted) goes on as it was.
    pub async fn open(&self, meeting: Meeting) -> Result<(), Error> {
        self.ask(|reply| Request::Open { meeting, reply }).await
    }

    /// Writes the records. Returns how many students were there. Closing twice changes nothing.
    pub async fn close(&self, lesson: LessonId, ended_at: Timestamp) -> Result<usize, Error> {
        self.ask(|reply| Request::Close { lesson, ended_at, reply }).await
    }

    /// Who is in the lesson at this moment.
    pub async fn present(&self, lesson: LessonId) -> Result<Vec<StudentId>, Error> {
        self.ask(|reply| Request::Present { lesson, reply }).await
    }

    /// The records as they stand: of a lesson that runs, worked out at this moment.
    pub async fn sheet(&self, lesson: LessonId) -> Result<Sheet, Error> {
        self.ask(|reply| Request::Sheet { lesson, reply }).await
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
