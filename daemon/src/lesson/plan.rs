//! From what a teacher asks for to a lesson with everything said.

use std::{collections::HashSet, time::Duration};

use alfarid_protocol::{
    grant::Picture,
    id::{LessonId, MachineId, TeacherId},
    time::Timestamp,
};

use super::{Colleague, Ends, Error, Lesson, Plan, Profile, Status, state::millis};
use crate::{
    field::{self, FieldCode, Invalid},
    identity::Person,
    roster::{Class, RoomName},
};

/// What is looked up before a plan can be judged.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub id: LessonId,
    pub now: Timestamp,
    pub clock_is_sure: bool,
    pub by: Person,
    pub class: Class,
    /// The class's own teacher.
    pub own: Option<Colleague>,
    pub room: RoomName,
    /// Those that are let in.
    pub machines_of_room: HashSet<MachineId>,
    pub default_length: Duration,
    pub records_by_default: bool,
}

/// The longest title that is taken, in characters.
pub(super) const MAX_TITLE: usize = 200;

/// The longest description that is taken, in characters.
pub(super) const MAX_DESCRIPTION: usize = 2_000;

/// The longest that a lesson may be planned for, and the furthest ahead.
const MAX_LENGTH_MS: i64 = 24 * 3_600_000;
const MAX_AHEAD_MS: i64 = 2 * 365 * 86_400_000;

impl Plan {
    /// A lesson that begins at this moment.
    pub(super) fn begin(self, facts: Facts) -> Result<Lesson, Error> {
        let start_at = facts.now;
        self.lesson(facts, Status::Active, start_at)
    }

    /// A lesson that is to come.
    pub(super) fn schedule(self, facts: Facts) -> Result<Lesson, Error> {
        let start_at = self.start_at.unwrap_or(facts.now);
        let ahead_ms = start_at.millis_since(facts.now);
        if !(0..=MAX_AHEAD_MS).contains(&ahead_ms) {
            let detail = "must be between now and two years ahead";
            return Err(Invalid { field: "start_at", code: FieldCode::OutOfRange, detail }.into());
        }
        self.lesson(facts, Status::Scheduled, start_at)
    }

    fn lesson(self, facts: Facts, status: Status, start_at: Timestamp) -> Result<Lesson, Error> {
        let title = field::optional_line("title", self.title.as_deref(), MAX_TITLE)?;
        let description = description(self.description.as_deref())?;
        let machine_ids = seats(self.machines, &facts.machines_of_room)?;
        let planned_end_at = match self.ends {
            Some(Ends::At(end_at)) => end_at,
            Some(Ends::After(minutes)) => start_at.plus_millis(i64::from(minutes) * 60_000),
            None => start_at.plus_millis(millis(facts.default_length)),
        };
        if !(1..=MAX_LENGTH_MS).contains(&planned_end_at.millis_since(start_at)) {
            let detail = "must be after the start, within a day";
            return Err(
                Invalid { field: "planned_end_at", code: FieldCode::OutOfRange, detail }.into()
            );
        }
        // A first guess, until students are there to be counted.
        let quality_profile = Profile::of(facts.class.student_count);
        let mut lesson = Lesson {
            id: facts.id,
            class_id: facts.class.id,
            room_id: facts.room.id,
            room_name: facts.room.name,
            substitute_for: None,
            substitute_for_name: None,
            teacher_id: facts.by.id,
            teacher_name: facts.by.full_name,
            title: title.unwrap_or_else(|| facts.class.name.clone()),
            class_name: facts.class.name,
            description,
            status,
            start_at,
            planned_end_at,
            end_at: None,
            max_fps: quality_profile.limits().max_fps,
            quality_profile,
            quality_pinned: false,
            student_count: 0,
            duration_seconds: None,
            is_recording: self.recording.unwrap_or(facts.records_by_default),
            recording_fault: None,
            picture: Picture::Live,
            ends_by_itself_at: None,
            machine_ids,
            clock_was_sure: facts.clock_is_sure,
            seen_at: facts.now,
        };
        lesson.stand_in_for(substitute_for(facts.by.id, facts.own, None));
        Ok(lesson)
    }
}

/// Several lines, if anything is said at all.
pub(super) fn description(text: Option<&str>) -> Result<Option<String>, Invalid> {
    let text = text.unwrap_or_default().trim();
    if text.chars().count() > MAX_DESCRIPTION {
        let detail = "must be two thousand characters at most";
        return Err(Invalid { field: "description", code: FieldCode::TooLong, detail });
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

/// The named machines, each once and all in the room; nobody named is the whole room.
fn seats(
    named: Option<Vec<MachineId>>,
    of_room: &HashSet<MachineId>,
) -> Result<Option<Vec<MachineId>>, Error> {
    let Some(mut named) = named else { return Ok(None) };
    if named.is_empty() {
        let detail = "must name at least one machine, or be absent";
        return Err(Invalid { field: "machine_ids", code: FieldCode::Empty, detail }.into());
    }
    if let Some(elsewhere) = named.iter().find(|machine| !of_room.contains(machine)) {
        return Err(Error::MachineElsewhere(*elsewhere));
    }
    named.sort_unstable();
    named.dedup();
    Ok(Some(named))
}

/// Whom `holder` stands in for: the class's own teacher, or else who was to hold the lesson.
pub(super) fn substitute_for(
    holder: TeacherId,
    own: Option<Colleague>,
    former: Option<Colleague>,
) -> Option<Colleague> {
    own.or(former).filter(|teacher| teacher.id != holder)
}
