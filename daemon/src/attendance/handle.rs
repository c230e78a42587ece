//! What others ask of attendance.

use alfarid_protocol::{
    id::{ClassId, LessonId, StudentId, TeacherId},
    time::Timestamp,
};
use tokio::sync::{mpsc, oneshot};

use super::{
    Change, Error, Meeting, Move, OwnView, PersonView, Record, Sheet, Status, Summary,
    request::{Reply, Request},
};
use crate::{identity::Person, roster::Class};

/// Cheap to clone. Whatever takes a person checks what that person may see or change.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(super) requests: mpsc::Sender<Request>,
}

impl Handle {
    /// Keeps attendance of a lesson from now on. The seating is copied the first time; a lesson
    /// that is opened again (the box was restarted) goes on as it was.
    pub async fn open(&self, meeting: Meeting) -> Result<(), Error> {
        self.ask(|reply| Request::Open { meeting, reply }).await
    }

    /// Writes the records. Closing twice changes nothing.
    pub async fn close(&self, lesson: LessonId, ended_at: Timestamp) -> Result<(), Error> {
        self.ask(|reply| Request::Close { lesson, ended_at, reply }).await
    }

    /// Somebody else holds the lesson from now on.
    pub async fn hand_over(&self, lesson: LessonId, teacher: TeacherId) -> Result<(), Error> {
        self.ask(|reply| Request::HandOver { lesson, teacher, reply }).await
    }

    /// The lesson is to end at another time.
    pub async fn plan(&self, lesson: LessonId, planned_end_at: Timestamp) -> Result<(), Error> {
        self.ask(|reply| Request::Plan { lesson, planned_end_at, reply }).await
    }

    /// Box time was corrected: look now and not at the next word of a machine.
    pub async fn follow_clock(&self) -> Result<(), Error> {
        self.ask(|reply| Request::FollowClock { reply }).await
    }

    /// Lessons whose records are not written yet.
    pub async fn running(&self) -> Result<Vec<LessonId>, Error> {
        self.ask(|reply| Request::Running { reply }).await
    }

    /// Who is in the lesson at this moment.
    pub async fn present(&self, lesson: LessonId) -> Result<Vec<StudentId>, Error> {
        self.ask(|reply| Request::Present { lesson, reply }).await
    }

    /// How many students came to a lesson that is over.
    pub async fn were_there(&self, lesson: LessonId) -> Result<u32, Error> {
        self.ask(|reply| Request::WereThere { lesson, reply }).await
    }

    /// What people changed of it, seats first, then records. Whoever asks says who may see it.
    pub async fn changes(&self, lesson: LessonId) -> Result<Vec<Change>, Error> {
        self.ask(|reply| Request::Changes { lesson, reply }).await
    }

    /// What a signed-in student sees of themselves.
    pub async fn own(&self, student: StudentId) -> Result<OwnView, Error> {
        self.ask(|reply| Request::Own { student, reply }).await
    }

    /// The records as they stand: of a lesson that runs, worked out at this moment.
    pub async fn sheet(&self, lesson: LessonId, by: &Person) -> Result<Sheet, Error> {
        self.ask(|reply| Request::Sheet { lesson, by: by.clone(), reply }).await
    }

    /// The live view.
    pub async fn people(&self, lesson: LessonId, by: &Person) -> Result<Vec<PersonView>, Error> {
        self.ask(|reply| Request::People { lesson, by: by.clone(), reply }).await
    }

    /// `by` says what the record of `student` is, and why.
    pub async fn correct(
        &self,
        lesson: LessonId,
        student: StudentId,
        status: Status,
        why: String,
        by: &Person,
    ) -> Result<Record, Error> {
        self.ask(|reply| Request::Correct { lesson, student, status, why, by: by.clone(), reply })
            .await
    }

    /// A student sits elsewhere, or has all along.
    pub async fn move_seat(&self, lesson: LessonId, seat: Move, by: &Person) -> Result<(), Error> {
        self.ask(|reply| Request::MoveSeat { lesson, seat, by: by.clone(), reply }).await
    }

    /// `class`, and everybody's attendance of its lessons that began in a stretch of time.
    pub async fn summary(
        &self,
        class: ClassId,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
        by: &Person,
    ) -> Result<(Class, Vec<Summary>), Error> {
        self.ask(|reply| Request::Summary { class, from, to, by: by.clone(), reply }).await
    }

    async fn ask<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(request(reply)).await.map_err(|_| Error::Stopped)?;
        answer.await.map_err(|_| Error::Stopped)?
    }
}
