//! What a teacher does with a lesson between its start and its end.

use std::ops::RangeInclusive;

use alfarid_protocol::{grant::Picture, id::LessonId};
use serde_json::json;

use super::{Effect, EventKind, State, log, may_change, save};
use crate::{
    clock::Reading,
    field::{self, FieldCode, Invalid},
    identity::Person,
    lesson::{
        Colleague, Error, Lesson, LessonChange, Profile, Status,
        plan::{MAX_TITLE, description},
    },
    recording::Fault,
};

/// By how many minutes a lesson may be extended at once.
const EXTENSION: RangeInclusive<u32> = 1..=240;

impl State {
    /// Any teacher may: the one who held it may be ill, or gone.
    pub(super) fn take_over(
        &mut self,
        now: Reading,
        lesson: LessonId,
        by: &Person,
        own: Option<Colleague>,
        effects: &mut Vec<Effect>,
    ) -> Result<LessonId, Error> {
        let held = self.running(lesson)?;
        let former = held.lesson.teacher_id;
        if former == by.id {
            return Ok(lesson);
        }
        held.lesson.hand_to(by, own);
        held.away_since = None;
        save(effects, &held.lesson);
        let data = json!({ "from": former, "to": by.id });
        log(effects, lesson, now.at, EventKind::TakenOver, Some(by.id), Some(data));
        effects.extend([Effect::HandOver(lesson, by.id), Effect::Tell(lesson)]);
        Ok(lesson)
    }

    /// By so many minutes from the planned end, or from now if that has passed.
    pub(super) fn extend(
        &mut self,
        now: Reading,
        lesson: LessonId,
        by: &Person,
        minutes: u32,
        effects: &mut Vec<Effect>,
    ) -> Result<LessonId, Error> {
        if !EXTENSION.contains(&minutes) {
            let detail = "must be between a minute and four hours";
            return Err(Invalid { field: "minutes", code: FieldCode::OutOfRange, detail }.into());
        }
        let held = self.owned(lesson, by)?;
        let from = held.lesson.planned_end_at.max(now.at);
        let planned_end_at = from.plus_millis(i64::from(minutes) * 60_000);
        held.lesson.planned_end_at = planned_end_at;
        save(effects, &held.lesson);
        let data = json!({ "minutes": minutes, "planned_end_at": planned_end_at });
        log(effects, lesson, now.at, EventKind::Extended, Some(by.id), Some(data));
        effects.extend([Effect::Plan(lesson, planned_end_at), Effect::Tell(lesson)]);
        Ok(lesson)
    }

    /// A lesson that is to come can be changed too, but has no picture yet.
    pub(super) fn change(
        &mut self,
        now: Reading,
        lesson: LessonId,
        by: &Person,
        change: LessonChange,
        effects: &mut Vec<Effect>,
    ) -> Result<LessonId, Error> {
        let held = self.lessons.get_mut(&lesson).ok_or(Error::NotActive(lesson))?;
        let before = &held.lesson;
        may_change(before, by)?;
        if change.picture.is_some() && before.status != Status::Active {
            return Err(Error::NotActive(lesson));
        }
        let after = change.apply(before)?;
        if after == *before {
            return Ok(lesson);
        }
        save(effects, &after);
        let done = differences(before, &after);
        let active = before.status == Status::Active;
        for (kind, data, asked) in done {
            log(effects, lesson, now.at, kind, Some(by.id), data);
            effects.extend(active.then_some(asked));
        }
        effects.push(Effect::Tell(lesson));
        if after.quality_pinned {
            held.band = None;
        }
        held.lesson = after;
        Ok(lesson)
    }

    /// The disk is full, or the recorder gave up: the lesson goes on and says so.
    pub(super) fn recording_stopped(
        &mut self,
        now: Reading,
        lesson: LessonId,
        fault: Option<Fault>,
        effects: &mut Vec<Effect>,
    ) {
        let Ok(held) = self.running(lesson) else { return };
        if !held.lesson.is_recording {
            return;
        }
        held.lesson.is_recording = false;
        held.lesson.recording_fault = fault;
        save(effects, &held.lesson);
        let data = json!({ "by_itself": true, "fault": fault });
        log(effects, lesson, now.at, EventKind::RecordingOff, None, Some(data));
        effects.extend([Effect::Record(Box::new(held.lesson.clone())), Effect::Tell(lesson)]);
    }
}

impl LessonChange {
    fn apply(self, before: &Lesson) -> Result<Lesson, Error> {
        let mut after = before.clone();
        if let Some(title) = self.title {
            after.title = field::line("title", &title, MAX_TITLE)?;
        }
        if let Some(picture) = self.picture {
            after.picture = picture;
        }
        if let Some(is_recording) = self.is_recording {
            after.is_recording = is_recording;
            after.recording_fault = after.recording_fault.filter(|_| !is_recording);
        }
        match self.description {
            field::Change::Keep => {}
            field::Change::Clear => after.description = None,
            field::Change::To(text) => after.description = description(Some(&text))?,
        }
        let (profile, is_pinned) = match self.quality {
            field::Change::Keep => return Ok(after),
            field::Change::Clear => (Profile::of(before.student_count), false),
            field::Change::To(profile) => (profile, true),
        };
        after.quality_pinned = is_pinned;
        after.quality_profile = profile;
        after.max_fps = profile.limits().max_fps;
        Ok(after)
    }
}

/// What changed: how the log calls it, and what is asked of the others.
fn differences(
    before: &Lesson,
    after: &Lesson,
) -> Vec<(EventKind, Option<serde_json::Value>, Effect)> {
    let id = after.id;
    let mut done = Vec::new();
    if before.title != after.title {
        let data = json!({ "title": after.title });
        done.push((EventKind::Renamed, Some(data), Effect::Retitle(id, after.title.clone())));
    }
    if before.picture != after.picture {
        let kind = match after.picture {
            Picture::Live => EventKind::PictureLive,
            Picture::Blank => EventKind::PictureBlank,
            Picture::Frozen => EventKind::PictureFrozen,
        };
        done.push((kind, None, Effect::Show(id, after.picture)));
    }
    if before.is_recording != after.is_recording {
        let kind =
            if after.is_recording { EventKind::RecordingOn } else { EventKind::RecordingOff };
        done.push((kind, None, Effect::Record(Box::new(after.clone()))));
    }
    let quality = |lesson: &Lesson| (lesson.quality_profile, lesson.quality_pinned);
    if quality(before) != quality(after) {
        let data = quality_data(before.quality_profile, after);
        let limit = Effect::Limit(id, after.quality_profile);
        done.push((EventKind::QualityChanged, Some(data), limit));
    }
    done
}

pub(super) fn quality_data(from: Profile, after: &Lesson) -> serde_json::Value {
    json!({
        "from": from,
        "to": after.quality_profile,
        "pinned": after.quality_pinned,
        "students": after.student_count,
    })
}
