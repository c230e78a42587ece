//! Watching a lesson in a browser: who may, and up to when.
//!
//! ```text
//!   a student ── whose lesson is on? (attendance) ─┐
//!   its teacher, an admin ─────────────────────────┴─▶ broadcast ─▶ their browser
//! ```
//!
//! A student watches the lesson of theirs that is on and no other. Whoever may watch does so up to
//! the end of the lesson, of their own session, or of their part in it, whichever comes first: it
//! is looked at again whenever the box says that something changed about lessons or classes.
//!
//! A browser that cannot play what is on air live gets the newest of the running recording instead,
//! a second or two behind. That is the same right: it ends with the lesson, it reaches back no
//! further than a browser needs to begin, and what the teacher has blanked is no part of it.

mod routes;

use std::time::Duration;

use alfarid_protocol::id::{LessonId, StudentId};
use thiserror::Error;

pub use self::routes::routes;
use crate::{
    attendance,
    broadcast::{self, Coming, Showing, ViewerId, Watcher, Watching},
    clock::Clock,
    events::{Event, Events, Listener},
    identity::{SessionEnd, Who},
    logging::{self, chain},
    recording::{self, Recent, SegmentId},
};

/// How often it is looked whether a student's day is over: nothing says so.
const LOOK: Duration = Duration::from_mins(1);

#[derive(Debug, Error)]
pub enum Error {
    #[error("lesson {0} is not this student's")]
    NotTheirLesson(LessonId),
    #[error("lesson {0} is not being recorded")]
    NotRecorded(LessonId),
    #[error("cannot read the running recording")]
    Recording(#[from] recording::Error),
    #[error("cannot find a student's lesson")]
    Attendance(#[from] attendance::Error),
    #[error("the broadcast refuses")]
    Broadcast(#[from] broadcast::Error),
}

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    clock: Clock,
    events: Events,
    attendance: attendance::Handle,
    broadcast: broadcast::Handle,
    recording: recording::Handle,
}

impl Handle {
    pub fn new(
        clock: Clock,
        events: Events,
        attendance: attendance::Handle,
        broadcast: broadcast::Handle,
        recording: recording::Handle,
    ) -> Self {
        Self { clock, events, attendance, broadcast, recording }
    }

    /// Lets a browser watch, for as long as it may.
    async fn watch(
        &self,
        lesson: LessonId,
        who: Who,
        session: SessionEnd,
        offer: &str,
        coming: Coming,
    ) -> Result<(ViewerId, String), Error> {
        // From before it is looked up.
        let events = self.events.listen();
        let watching = match &who {
            Who::Person(person) => self.broadcast.watch(lesson, person, offer, coming).await?,
            Who::Student(student) => {
                self.check(lesson, student.id).await?;
                self.broadcast.watch_as_student(lesson, student.id, offer, coming).await?
            }
        };
        let Watching { id, answer, gone } = watching;
        let handle = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = gone => {}
                () = handle.right_is_over(lesson, &who, session, events) => {
                    handle.broadcast.shut_out(id).await;
                }
            }
        });
        Ok((id, answer))
    }

    async fn unwatch(&self, id: ViewerId, who: &Who) -> Result<(), Error> {
        Ok(self.broadcast.unwatch(id, watcher(who)).await?)
    }

    /// What the class is shown of a lesson, to whoever may watch it.
    async fn showing(&self, lesson: LessonId, who: &Who) -> Result<Showing, Error> {
        match who {
            Who::Person(person) => Ok(self.broadcast.showing(lesson, person).await?),
            Who::Student(student) => {
                self.check(lesson, student.id).await?;
                Ok(self.broadcast.showing_to_student(lesson).await?)
            }
        }
    }

    /// The newest of the recording that is made of a lesson just now.
    async fn recent(&self, lesson: LessonId, who: &Who) -> Result<Recent, Error> {
        let shown_for = self.showing(lesson, who).await?.shown_for;
        self.recording.recent(lesson, shown_for).ok_or(Error::NotRecorded(lesson))
    }

    /// A piece of it, with what kind of media it is.
    async fn recent_piece(
        &self,
        lesson: LessonId,
        (segment, offset): (SegmentId, u64),
        who: &Who,
    ) -> Result<(String, Vec<u8>), Error> {
        let shown_for = self.showing(lesson, who).await?.shown_for;
        Ok(self.recording.recent_piece(lesson, segment, offset, shown_for).await?)
    }

    async fn check(&self, lesson: LessonId, student: StudentId) -> Result<(), Error> {
        let own = self.attendance.own(student).await?;
        let is_theirs = own.lesson.is_some_and(|own| own.id == lesson);
        is_theirs.then_some(()).ok_or(Error::NotTheirLesson(lesson))
    }

    /// Resolves when somebody may not watch any more.
    async fn right_is_over(
        &self,
        lesson: LessonId,
        who: &Who,
        mut session: SessionEnd,
        mut events: Listener,
    ) {
        let mut look = tokio::time::interval(LOOK);
        loop {
            let is_to_be_checked = tokio::select! {
                () = session.over() => return,
                _ = look.tick() => false,
                event = events.next() => match event {
                    None => return,
                    Some(Event::LessonChanged { lesson_id }) => lesson_id == lesson,
                    Some(Event::RosterChanged { .. } | Event::Resync) => true,
                    Some(_) => false,
                },
            };
            if session.is_due(self.clock.monotonic()) {
                return;
            }
            if is_to_be_checked && let Err(error) = self.showing(lesson, who).await {
                let span = logging::lesson(lesson);
                tracing::debug!(parent: &span, error = %chain(&error), "a viewer is shut out");
                return;
            }
        }
    }
}

fn watcher(who: &Who) -> Watcher {
    match who {
        Who::Person(person) => Watcher::Person(person.id),
        Who::Student(student) => Watcher::Student(student.id),
    }
}
