//! The rules of a lesson's life, with no clock, disk or network: a command comes in, effects come
//! out.
//!
//! The state holds the lessons that are not over. It changes only as a whole: the actor commits
//! what [`Effect::Save`], [`Effect::Log`] and [`Effect::Shift`] say, and if the disk refuses it
//! keeps the state it had.
//!
//! Here are starting and ending; [`hold`] has what a teacher does in between, [`watch`] what
//! happens by itself.

mod hold;
mod watch;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use alfarid_protocol::{
    id::{LessonId, TeacherId},
    time::Timestamp,
};
use serde_json::{Value, json};

use super::{
    Colleague, Error, Lesson, Profile, Status,
    command::{Command, Decision, Effect, Publication},
    event::{Entry, EventKind},
};
use crate::{
    clock::{Follower, Reading},
    identity::Person,
};

#[derive(Clone, Debug)]
pub(super) struct State {
    /// A lesson with no teacher there ends so long after its planned end.
    end_after: Duration,
    lessons: BTreeMap<LessonId, Held>,
    /// Teachers with a live page open.
    here: BTreeSet<TeacherId>,
    follower: Follower,
    /// Box time of this run's beginning: what is older was not measured by this clock.
    since: Timestamp,
}

/// A lesson that is not over, and what is remembered about it while the box runs.
#[derive(Clone, Debug)]
struct Held {
    lesson: Lesson,
    publications: Vec<Publication>,
    /// Since when no teacher is there.
    away_since: Option<Timestamp>,
    /// That it ends by itself stands in its log.
    is_announced: bool,
    /// The profile that the number of students asks for, and since when, by the monotonic clock.
    band: Option<(Profile, Duration)>,
    /// What the box found when it came back to it, until that is written down.
    found: Option<Found>,
}

/// What became of a lesson while the box was off.
#[derive(Clone, Copy, Debug)]
enum Found {
    /// It goes on, from here.
    Running(Timestamp),
    Over,
}

impl Held {
    fn new(lesson: Lesson) -> Self {
        Self {
            is_announced: lesson.announced_end().is_some(),
            lesson,
            publications: Vec::new(),
            away_since: None,
            band: None,
            found: None,
        }
    }
}

impl State {
    pub(super) fn new(now: Reading) -> Self {
        Self {
            end_after: Duration::ZERO,
            lessons: BTreeMap::new(),
            here: BTreeSet::new(),
            follower: Follower::new(now),
            since: now.at,
        }
    }

    pub(super) fn set_end_after(&mut self, end_after: Duration) {
        self.end_after = end_after;
    }

    pub(super) fn handle(&mut self, now: Reading, command: Command) -> Result<Decision, Error> {
        let mut effects = Vec::new();
        self.follow_clock(now, &mut effects);
        self.write_found(&mut effects);
        let about = self.obey(now, command, &mut effects)?;
        self.look_after(now, &mut effects);
        let lesson = about.and_then(|id| self.as_decided(id, &effects));
        Ok(Decision { lesson, effects })
    }

    /// Does as told. Returns which lesson it was about.
    fn obey(
        &mut self,
        now: Reading,
        command: Command,
        effects: &mut Vec<Effect>,
    ) -> Result<Option<LessonId>, Error> {
        let about = match command {
            Command::Schedule { lesson, by } => self.schedule(now, *lesson, &by, effects),
            Command::Start { lesson, by, replace } => {
                self.start(now, *lesson, &by, replace, effects)?
            }
            Command::StartScheduled { lesson, by, own, clock_is_sure, replace } => {
                let lesson = self.due_now(now, lesson, &by, own, clock_is_sure)?;
                self.start(now, lesson, &by, replace, effects)?
            }
            Command::End { lesson, by } => {
                self.owned(lesson, &by)?;
                self.end(now.at, lesson, Some(by.id), None, effects);
                lesson
            }
            Command::Cancel { lesson, by } => self.cancel(now, lesson, &by, effects)?,
            Command::TakeOver { lesson, by, own } => {
                self.take_over(now, lesson, &by, own, effects)?
            }
            Command::Extend { lesson, by, minutes } => {
                self.extend(now, lesson, &by, minutes, effects)?
            }
            Command::Change { lesson, by, change } => {
                self.change(now, lesson, &by, change, effects)?
            }
            Command::Present { lesson, students } => {
                self.count(now, lesson, students, effects);
                lesson
            }
            Command::OnAir { lesson, publications } => {
                self.put_on_air(now, lesson, publications, effects);
                lesson
            }
            Command::RecordingStopped { lesson, fault } => {
                self.recording_stopped(now, lesson, fault, effects);
                lesson
            }
            Command::Here(here) => {
                self.here = here;
                return Ok(None);
            }
            Command::Tick => return Ok(None),
        };
        Ok(Some(about))
    }

    pub(super) fn lesson(&self, id: LessonId) -> Option<&Lesson> {
        self.lessons.get(&id).map(|held| &held.lesson)
    }

    pub(super) fn active(&self) -> impl Iterator<Item = &Lesson> {
        self.lessons
            .values()
            .map(|held| &held.lesson)
            .filter(|lesson| lesson.status == Status::Active)
    }

    /// Running lessons of whoever is not `here`.
    pub(super) fn without(&self, here: &BTreeSet<TeacherId>) -> Vec<LessonId> {
        let left = self.active().filter(|lesson| !here.contains(&lesson.teacher_id));
        left.map(|lesson| lesson.id).collect()
    }

    /// What was on air when somebody looked last.
    pub(super) fn on_air(&self, id: LessonId) -> &[Publication] {
        self.lessons.get(&id).map_or(&[], |held| &held.publications)
    }

    /// A lesson that has just ended is only in what was decided.
    fn as_decided(&self, id: LessonId, effects: &[Effect]) -> Option<Lesson> {
        let saved = effects.iter().rev().find_map(|effect| match effect {
            Effect::Save(lesson) if lesson.id == id => Some(Lesson::clone(lesson)),
            _ => None,
        });
        saved.or_else(|| self.lesson(id).cloned())
    }

    fn schedule(
        &mut self,
        now: Reading,
        lesson: Lesson,
        by: &Person,
        effects: &mut Vec<Effect>,
    ) -> LessonId {
        let id = lesson.id;
        save(effects, &lesson);
        log(effects, id, now.at, EventKind::Scheduled, Some(by.id), None);
        effects.push(Effect::Tell(id));
        self.lessons.insert(id, Held::new(lesson));
        id
    }

    /// A scheduled lesson as it begins now, with the length it was to have.
    fn due_now(
        &self,
        now: Reading,
        lesson: LessonId,
        by: &Person,
        own: Option<Colleague>,
        clock_is_sure: bool,
    ) -> Result<Lesson, Error> {
        if let Some(running) = self.active().find(|running| running.id == lesson) {
            return Err(Error::AlreadyRunning(Box::new(running.clone())));
        }
        let mut lesson = self.scheduled(lesson)?.clone();
        let length_ms = lesson.planned_end_at.millis_since(lesson.start_at);
        lesson.hand_to(by, own);
        lesson.status = Status::Active;
        lesson.start_at = now.at;
        lesson.planned_end_at = now.at.plus_millis(length_ms);
        lesson.clock_was_sure = clock_is_sure;
        lesson.seen_at = now.at;
        Ok(lesson)
    }

    fn start(
        &mut self,
        now: Reading,
        lesson: Lesson,
        by: &Person,
        replace: Option<LessonId>,
        effects: &mut Vec<Effect>,
    ) -> Result<LessonId, Error> {
        if let Some(same) = self.active().find(|other| is_same(other, &lesson)) {
            return Err(Error::AlreadyRunning(Box::new(same.clone())));
        }
        // A lesson to replace that ended in the meantime is out of the way too.
        let replaced = self.active().find(|other| Some(other.id) == replace);
        if let Some(elsewhere) = replaced.filter(|other| !share_seats(other, &lesson)) {
            return Err(Error::NotInTheWay(elsewhere.id));
        }
        let in_the_way = |other: &&Lesson| Some(other.id) != replace && share_seats(other, &lesson);
        if let Some(other) = self.active().find(in_the_way) {
            return Err(Error::RoomBusy(Box::new(other.clone())));
        }
        let id = lesson.id;
        if let Some(replaced) = replaced.map(|other| other.id) {
            let data = json!({ "replaced_by": id });
            self.end(now.at, replaced, Some(by.id), Some(data), effects);
        }
        save(effects, &lesson);
        // Opened before it is logged: the recording's own log has its first line too.
        effects.push(Effect::Open(Box::new(lesson.clone())));
        log(effects, id, now.at, EventKind::Started, Some(by.id), None);
        effects.push(Effect::Tell(id));
        self.lessons.insert(id, Held::new(lesson));
        Ok(id)
    }

    /// `by` is `None` when it ends by itself.
    fn end(
        &mut self,
        at: Timestamp,
        lesson: LessonId,
        by: Option<TeacherId>,
        data: Option<Value>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(Held { mut lesson, .. }) = self.lessons.remove(&lesson) else { return };
        let end_at = at.max(lesson.start_at);
        lesson.status = Status::Completed;
        lesson.end_at = Some(end_at);
        lesson.duration_seconds = Some(end_at.millis_since(lesson.start_at) / 1000);
        lesson.ends_by_itself_at = None;
        save(effects, &lesson);
        log(effects, lesson.id, end_at, EventKind::Ended, by, data);
        effects.extend([Effect::Close(Box::new(lesson.clone())), Effect::Tell(lesson.id)]);
    }

    fn cancel(
        &mut self,
        now: Reading,
        lesson: LessonId,
        by: &Person,
        effects: &mut Vec<Effect>,
    ) -> Result<LessonId, Error> {
        let mut cancelled = self.scheduled(lesson)?.clone();
        may_change(&cancelled, by)?;
        cancelled.status = Status::Cancelled;
        self.lessons.remove(&lesson);
        save(effects, &cancelled);
        log(effects, lesson, now.at, EventKind::Cancelled, Some(by.id), None);
        effects.push(Effect::Tell(lesson));
        Ok(lesson)
    }

    fn scheduled(&self, lesson: LessonId) -> Result<&Lesson, Error> {
        self.lesson(lesson)
            .filter(|found| found.status == Status::Scheduled)
            .ok_or(Error::NotScheduled(lesson))
    }

    /// A running lesson.
    fn running(&mut self, lesson: LessonId) -> Result<&mut Held, Error> {
        self.lessons
            .get_mut(&lesson)
            .filter(|held| held.lesson.status == Status::Active)
            .ok_or(Error::NotActive(lesson))
    }

    /// A running lesson that `by` may change.
    fn owned(&mut self, lesson: LessonId, by: &Person) -> Result<&mut Held, Error> {
        let held = self.running(lesson)?;
        may_change(&held.lesson, by)?;
        Ok(held)
    }
}

fn may_change(lesson: &Lesson, by: &Person) -> Result<(), Error> {
    if lesson.teacher_id == by.id || by.is_admin() {
        Ok(())
    } else {
        Err(Error::NotYours(lesson.id))
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

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn save(effects: &mut Vec<Effect>, lesson: &Lesson) {
    effects.push(Effect::Save(Box::new(lesson.clone())));
}

fn log(
    effects: &mut Vec<Effect>,
    lesson: LessonId,
    at: Timestamp,
    kind: EventKind,
    teacher: Option<TeacherId>,
    data: Option<Value>,
) {
    effects.push(Effect::Log(Entry { lesson, at, kind, teacher, data }));
}
