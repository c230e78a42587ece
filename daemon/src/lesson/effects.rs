//! The one place where a lesson asks the other capabilities to act.

use alfarid_protocol::id::LessonId;

use super::{Lesson, state::Effect};
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
            self.act(effect).await;
        }
    }

    async fn act(&self, effect: Effect) {
        match effect {
            // The actor has committed these.
            Effect::Save(_) | Effect::Log(_) | Effect::Shift { .. } => {}
            Effect::Open(lesson) => {
                heard(lesson.id, self.attendance.open(meeting(&lesson)).await);
            }
            Effect::Close(lesson) => {
                let ended_at = lesson.end_at.unwrap_or(lesson.planned_end_at);
                heard(lesson.id, self.attendance.close(lesson.id, ended_at).await);
            }
            Effect::HandOver(lesson, teacher) => {
                heard(lesson, self.attendance.hand_over(lesson, teacher).await);
            }
            Effect::Plan(lesson, planned_end_at) => {
                heard(lesson, self.attendance.plan(lesson, planned_end_at).await);
            }
            Effect::FollowClock => self.follow_clock().await,
            Effect::Limit(..) | Effect::Record(_) | Effect::Retitle(..) | Effect::Show(..) => {}
            Effect::Tell(lesson_id) => self.events.tell(Event::LessonChanged { lesson_id }),
        }
    }
}

impl Others {
    /// Attendance notices a correction by itself at the next word of a machine; this is sooner.
    async fn follow_clock(&self) {
        if let Err(error) = self.attendance.follow_clock().await {
            tracing::error!(error = %chain(&error), "attendance did not look at the clock");
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

/// Attendance did as asked, or the log says why not.
fn heard<T>(lesson: LessonId, done: Result<T, attendance::Error>) {
    if let Err(error) = done {
        let cause = chain(&error);
        tracing::error!(lesson.id = %lesson, error = %cause, "attendance did not follow: {cause}");
    }
}
