//! What the actor is asked, and by whom.

use alfarid_protocol::{
    id::{ClassId, LessonId, StudentId, TeacherId},
    time::Timestamp,
};
use tokio::sync::oneshot;

use super::{Change, Error, Meeting, Move, OwnView, PersonView, Record, Sheet, Status, Summary};
use crate::{identity::Person, roster::Class};

pub(super) type Reply<T> = oneshot::Sender<Result<T, Error>>;

#[derive(Debug)]
pub(super) enum Request {
    // From the lesson.
    Open {
        meeting: Meeting,
        reply: Reply<()>,
    },
    Close {
        lesson: LessonId,
        ended_at: Timestamp,
        reply: Reply<()>,
    },
    HandOver {
        lesson: LessonId,
        teacher: TeacherId,
        reply: Reply<()>,
    },
    Plan {
        lesson: LessonId,
        planned_end_at: Timestamp,
        reply: Reply<()>,
    },
    FollowClock {
        reply: Reply<()>,
    },
    Running {
        reply: Reply<Vec<LessonId>>,
    },
    Present {
        lesson: LessonId,
        reply: Reply<Vec<StudentId>>,
    },
    WereThere {
        lesson: LessonId,
        reply: Reply<u32>,
    },
    Changes {
        lesson: LessonId,
        reply: Reply<Vec<Change>>,
    },
    // From students.
    Own {
        student: StudentId,
        reply: Reply<OwnView>,
    },
    // From people.
    Sheet {
        lesson: LessonId,
        by: Person,
        reply: Reply<Sheet>,
    },
    People {
        lesson: LessonId,
        by: Person,
        reply: Reply<Vec<PersonView>>,
    },
    Correct {
        lesson: LessonId,
        student: StudentId,
        status: Status,
        why: String,
        by: Person,
        reply: Reply<Record>,
    },
    MoveSeat {
        lesson: LessonId,
        seat: Move,
        by: Person,
        reply: Reply<()>,
    },
    Summary {
        class: ClassId,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
        by: Person,
        reply: Reply<(Class, Vec<Summary>)>,
    },
}
