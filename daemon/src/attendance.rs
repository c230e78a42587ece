//! Who was there: from marks and pages to spans, from spans to records.
//!
//! ```text
//!   machine ──marks──▶ machine spans ─┐ who sat there
//!                      (its own time)─┴──▶ presence ──thresholds──▶ record ──a person──▶ corrected
//!   page ────────────▶ page spans ───────▶ (within the lesson)
//! ```
//!
//! A machine says when it was in use, by its own clock; the box turns that into box time by the
//! nearest clock exchange and into students by the lesson's own copy of the seating. A student who
//! has signed in at a page of their own is there while that is open, in whichever lesson of theirs
//! is on ([`pages`]). While a lesson runs everything is worked out when it is asked for ([`roll`]);
//! when it ends the records are written, and marks that come later (the network was gone, or the
//! box) write them anew ([`marks`]).
//!
//! Invariants: a mark counts once, however often and in whatever order it comes; what is
//! acknowledged is on disk; a record never exceeds its lesson; a person's correction is never
//! overwritten by a machine.
//!
//! How it fails: what the database does not take is not acknowledged, so the machine sends it
//! again. Use in a boot that the box never exchanged clocks with counts for nothing: nobody can
//! say when it was. What a page does while the box is out of reach nobody knows, so one that comes
//! back soon was never gone, and one that does not was there up to its last sign of life. What
//! machines told is forgotten after [`KEPT_DAYS`]; records stay.

mod access;
mod actor;
mod export;
mod handle;
mod ledger;
mod marks;
mod pages;
mod request;
mod roll;
mod routes;
mod seat;
mod span;
mod state;
mod store;

use alfarid_protocol::{
    id::{ClassId, LessonId, MachineId, RoomId, StudentId, TeacherId},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use utoipa::ToSchema;
use uuid::Uuid;

pub use self::{
    actor::{Actor, new},
    handle::Handle,
    pages::{Page, Pages},
    routes::routes,
    seat::{Mode, Move},
    span::Span,
};
use crate::{db::DbError, settings::AttendanceThresholds};

/// How long marks and clock exchanges are kept: so late may a machine bring what it wrote down,
/// and so late may a seat be put right.
pub const KEPT_DAYS: u32 = 30;

#[derive(Debug, Error)]
pub enum Error {
    #[error("cannot read or write the attendance")]
    Db(#[from] DbError),
    #[error("machine {0} is not one of the lesson's")]
    MachineElsewhere(MachineId),
    #[error("machine {0} has two students already")]
    MachineFull(MachineId),
    #[error("there is no class {0}")]
    NoSuchClass(ClassId),
    #[error("no attendance is kept of lesson {0}")]
    NoSuchLesson(LessonId),
    #[error("student {0} has no part in this lesson")]
    NoSuchStudent(StudentId),
    #[error("lesson {0} is not running")]
    NotRunning(LessonId),
    #[error("only the class's own teacher or an admin sees its attendance")]
    NotYourClass(ClassId),
    #[error("only the lesson's teacher or an admin may do this")]
    NotYourLesson(LessonId),
    #[error("the attendance is not kept any more: the box is stopping")]
    Stopped,
    #[error("lesson {0} is too long ago: what machines told then is forgotten")]
    TooLongAgo(LessonId),
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

impl From<AttendanceThresholds> for Thresholds {
    fn from(set: AttendanceThresholds) -> Self {
        Self {
            late_after_minutes: set.late_after_minutes,
            left_early_before_minutes: set.left_early_before_minutes,
            present_minimum_ratio: set.present_minimum_ratio,
        }
    }
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { late_after_minutes: 5, left_early_before_minutes: 5, present_minimum_ratio: 0.5 }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AttendanceStatus)]
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
#[schema(as = AttendanceRecord)]
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
    /// What a person said, if one did.
    pub status: Status,
    pub is_corrected: bool,
    #[schema(required)]
    pub correction: Option<Correction>,
    pub spans: Vec<Span>,
}

/// What a person made of a record. The newest stands; all of them are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = AttendanceCorrection)]
pub struct Correction {
    pub by: TeacherId,
    pub by_name: String,
    pub at: Timestamp,
    pub why: String,
    pub was: Status,
    #[serde(skip)]
    pub(crate) status: Status,
}

/// What a person changed of a lesson's attendance: a line of its trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub id: Uuid,
    pub at: Timestamp,
    pub by: TeacherId,
    pub by_name: String,
    pub student: StudentId,
    pub student_name: String,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The student sits at another machine, by name; `None` is none.
    Seat {
        from: Option<String>,
        to: Option<String>,
        mode: Mode,
    },
    Record {
        was: Status,
        status: Status,
        why: String,
    },
}

/// Everybody's attendance of one lesson.
#[derive(Clone, Debug, PartialEq)]
pub struct Sheet {
    pub lesson: MeetingView,
    pub thresholds: Thresholds,
    pub records: Vec<Record>,
}

/// The lesson of a sheet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = AttendanceLesson)]
pub struct MeetingView {
    pub id: LessonId,
    pub class_id: ClassId,
    pub class_name: String,
    pub room_id: RoomId,
    pub room_name: String,
    pub teacher_id: TeacherId,
    pub teacher_name: String,
    /// Whose lesson it was to be, when somebody else held it.
    #[schema(required)]
    pub substitute_for_name: Option<String>,
    /// Whether anybody vouched for the box's clock that these times are by.
    pub clock_was_sure: bool,
    pub start_at: Timestamp,
    pub planned_end_at: Timestamp,
    #[schema(required)]
    pub end_at: Option<Timestamp>,
}

/// A student as the teacher sees them while the lesson runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = LessonPerson)]
pub struct PersonView {
    pub student_id: StudentId,
    pub full_name: String,
    #[schema(required)]
    pub machine_id: Option<MachineId>,
    #[schema(required)]
    pub machine_name: Option<String>,
    pub state: PersonState,
    /// What shows that they are here; `null`: they are not.
    #[schema(required)]
    pub present_by: Option<Source>,
    #[schema(required)]
    pub joined_at: Option<Timestamp>,
    /// Since when it is so, where that is known.
    #[schema(required)]
    pub since_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PersonState {
    Present,
    /// Has not been there yet.
    Absent,
    Left,
    /// Their machine is off, or out of reach: what it saw it will tell later.
    MachineOff,
}

/// What shows that a student is there: the machine where they sit before a page of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = PresenceSource)]
pub enum Source {
    Machine,
    Page,
}

/// What a student sees of themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = OwnPage)]
pub struct OwnView {
    pub full_name: String,
    #[schema(required)]
    pub class_name: Option<String>,
    /// `null`: none of theirs is on.
    #[schema(required)]
    pub lesson: Option<OwnLesson>,
}

/// A running lesson as a student of it sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct OwnLesson {
    pub id: LessonId,
    pub title: String,
    pub teacher_name: String,
    pub start_at: Timestamp,
    /// Whether they are counted as present at this moment.
    pub is_here: bool,
}

/// A student's attendance of the lessons of a class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = AttendanceSummary)]
pub struct Summary {
    pub student_id: StudentId,
    pub student_number: String,
    pub full_name: String,
    pub lessons: u32,
    pub present: u32,
    pub late: u32,
    pub left_early: u32,
    pub absent: u32,
    pub excused: u32,
    pub duration_seconds: i64,
}
