//! The rules of a lesson's life, with no clock, disk or network: a command comes in, effects come
//! out.
//!
//! The state holds the lessons that are not over. It changes only as a whole: the actor commits
//! what [`Effect::Save`] and [`Effect::Log`] say, and if the disk refuses it keeps the state it
//! had.

use std::collections::BTreeMap;

use alfarid_protocol::{
    id::{LessonId, TeacherId},
    time::Timestamp,
};
use serde_json::{Value, json};

use super::{Error, Lesson, Status};
use crate::{clock::Reading, identity::Person};

#[derive(Clone, Debug)]
pub(super) enum Command {
    /// Begins `lesson` now; `replace` ends first.
    Start {
        lesson: Box<Lesson>,
        by: Person,
        replace: Option<LessonId>,
    },
    End {
        lesson: LessonId,
        by: Person,
    },
}

/// What a decision comes to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Effect {
    /// To disk, all of one command in one transaction.
    Save(Box<Lesson>),
    Log(Entry),
    /// Asked of the others once it is on disk, in this order.
    Open(Box<Lesson>),
    Close(Box<Lesson>),
    Tell(LessonId),
}

/// A line of a lesson's event log.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub lesson: LessonId,
    pub at: Timestamp,
    pub kind: &'static str,
    /// Who did it; `None`: the box itself.
    pub teacher: Option<TeacherId>,
    pub data: Option<Value>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct State {
    lessons: BTreeMap<LessonId, Lesson>,
}

impl State {
    /// Takes up what was left.
    pub(super) fn new(lessons: impl IntoIterator<Item = Lesson>) -> Self {
        Self { lessons: lessons.into_iter().map(|lesson| (lesson.id, lesson)).collect() }
    }

    pub(super) fn handle(&mut self, now: Reading, command: Command) -> Result<Vec<Effect>, Error> {
        let mut effects = Vec::new();
        match command {
            Command::Start { lesson, by, replace } => {
                self.start(now, *lesson, &by, replace, &mut effects)?;
            }
            Command::End { lesson, by } => {
                self.owned(lesson, &by)?;
                self.end(now, lesson, Some(by.id), &mut effects);
            }
        }
        Ok(effects)
    }

    fn start(
        &mut self,
        now: Reading,
        lesson: Lesson,
        by: &Person,
        replace: Option<LessonId>,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Error> {
        if let Some(same) = self.active().find(|other| is_same(other, &lesson)) {
            return Err(Error::AlreadyRunning(Box::new(same.clone())));
        }
        let in_the_way = |other: &&Lesson| Some(other.id) != replace && share_seats(other, &lesson);
        if let Some(other) = self.active().find(in_the_way) {
            return Err(Error::RoomBusy(Box::new(other.clone())));
        }
        if let Some(replaced) = replace
            && self.active().any(|other| other.id == replaced && other.room_id == lesson.room_id)
        {
            self.end(now, replaced, Some(by.id), effects);
        }
        effects.extend([
            Effect::Save(Box::new(lesson.clone())),
            Effect::Log(Entry {
                lesson: lesson.id,
                at: now.at,
                kind: "started",
                teacher: Some(by.id),
                data: None,
            }),
            Effect::Open(Box::new(lesson.clone())),
            Effect::Tell(lesson.id),
        ]);
        self.lessons.insert(lesson.id, lesson);
        Ok(())
    }

    fn end(
        &mut self,
        now: Reading,
        lesson: LessonId,
        by: Option<TeacherId>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(mut lesson) = self.lessons.remove(&lesson) else { return };
        lesson.status = Status::Completed;
        lesson.end_at = Some(now.at);
        lesson.duration_seconds = Some(now.at.millis_since(lesson.start_at) / 1000);
        effects.extend([
            Effect::Save(Box::new(lesson.clone())),
            Effect::Log(Entry {
                lesson: lesson.id,
                at: now.at,
                kind: "ended",
                teacher: by,
                data: by.is_none().then(|| json!({ "by_itself": true })),
            }),
            Effect::Close(Box::new(lesson.clone())),
            Effect::Tell(lesson.id),
        ]);
    }

    fn active(&self) -> impl Iterator<Item = &Lesson> {
        self.lessons.values().filter(|lesson| lesson.status == Status::Active)
    }

    /// A running lesson that `by` may change.
    fn owned(&self, lesson: LessonId, by: &Person) -> Result<&Lesson, Error> {
        let running =
            self.active().find(|running| running.id == lesson).ok_or(Error::NotActive(lesson))?;
        if running.teacher_id == by.id || by.is_admin() {
            Ok(running)
        } else {
            Err(Error::NotTheirs(lesson))
        }
    }
}

/// The same teacher with the same class in the same room: a second click, not a second lesson.
fn is_same(a: &Lesson, b: &Lesson) -> bool {
    (a.teacher_id, a.class_id, a.room_id) == (b.teacher_id, b.class_id, b.room_id)
}

fn share_seats(a: &Lesson, b: &Lesson) -> bool {
    a.room_id == b.room_id
        && match (&a.machine_ids, &b.machine_ids) {
            (Some(a), Some(b)) => a.iter().any(|machine| b.contains(machine)),
            // The whole room is everybody's seats.
            (None, _) | (_, None) => true,
        }
}
