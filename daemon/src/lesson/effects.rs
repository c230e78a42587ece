//! The one place where a lesson asks the other capabilities to act.

use super::{Error, Lesson, state::Effect};
use crate::{
    attendance::{self, Meeting},
    events::{Event, Events},
    http::problem::chain,
};

/// Whom a lesson asks.
#[derive(Clone, Debug)]
pub(super) struct Others {
    pub attendance: attendance::Handle,
    pub events: Events,
}

impl Others {
    /// Does what a decision, which is on disk, asks for. What one part cannot do is reported and
    /// the others go on: a lesson without a picture is still a lesson.
    pub(super) async fn perform(&self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                // The actor has committed these.
                Effect::Save(_) | Effect::Log(_) => {}
                Effect::Open(lesson) => {
                    self.report(&lesson, self.attendance.open(meeting(&lesson)).await);
                }
                Effect::Close(lesson) => {
                    let ended_at = lesson.end_at.unwrap_or(lesson.planned_end_at);
                    self.report(&lesson, self.attendance.close(lesson.id, ended_at).await);
                }
                Effect::Tell(lesson_id) => self.events.tell(Event::LessonChanged { lesson_id }),
            }
        }
    }

    #[expect(clippy::unused_self, reason = "faults will be raised on it")]
    fn report<T>(&self, lesson: &Lesson, done: Result<T, attendance::Error>) {
        if let Err(error) = done {
            tracing::error!(lesson.id = %lesson.id, error = %chain(&error), "attendance failed");
        }
    }
}

fn meeting(lesson: &Lesson) -> Meeting {
    Meeting {
        lesson: lesson.id,
        class: lesson.class_id,
        room: lesson.room_id,
        teacher: lesson.teacher_id,
        machines: lesson.machine_ids.clone(),
        start_at: lesson.start_at,
        planned_end_at: lesson.planned_end_at,
    }
}

/// A lesson as it stands after `effects`.
pub(super) fn saved(
    effects: &[Effect],
    lesson: Option<alfarid_protocol::id::LessonId>,
) -> Result<Lesson, Error> {
    effects
        .iter()
        .rev()
        .find_map(|effect| match effect {
            Effect::Save(saved) if lesson.is_none_or(|id| id == saved.id) => {
                Some(Lesson::clone(saved))
            }
            _ => None,
        })
        .ok_or(Error::Stopped)
}
