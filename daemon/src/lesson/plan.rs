//! From what a teacher asks for to a lesson with everything said.

use alfarid_protocol::{
    grant::Picture,
    id::{LessonId, MachineId, TeacherId},
    time::Timestamp,
};

use super::{Error, Lesson, Plan, Profile, Status};
use crate::{
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
    pub room: RoomName,
    pub machines_of_room: Vec<MachineId>,
    pub default_minutes: u32,
    pub records_by_default: bool,
}

impl Plan {
    /// The lesson as it begins at this moment.
    pub(super) fn draft(self, facts: Facts) -> Result<Lesson, Error> {
        let minutes = self.duration_minutes.unwrap_or(facts.default_minutes);
        let quality_profile = Profile::of(facts.class.student_count as usize);
        Ok(Lesson {
            id: facts.id,
            class_id: facts.class.id,
            room_id: facts.room.id,
            room_name: facts.room.name,
            substitute_for: substitute_for(facts.by.id, facts.class.teacher_id, None),
            teacher_id: facts.by.id,
            teacher_name: facts.by.full_name,
            title: self.title.unwrap_or_else(|| facts.class.name.clone()),
            class_name: facts.class.name,
            description: None,
            status: Status::Active,
            start_at: facts.now,
            planned_end_at: facts.now.plus_millis(i64::from(minutes) * 60_000),
            end_at: None,
            max_fps: quality_profile.limits().max_fps,
            quality_profile,
            quality_pinned: false,
            student_count: 0,
            duration_seconds: None,
            is_recording: self.recording.unwrap_or(facts.records_by_default),
            picture: Picture::Live,
            ends_by_itself_at: None,
            machine_ids: self.machines,
            clock_was_sure: facts.clock_is_sure,
            seen_at: facts.now,
        })
    }
}

/// Whom `holder` stands in for: the class's own teacher, or else who was to hold the lesson.
pub(super) fn substitute_for(
    holder: TeacherId,
    own: Option<TeacherId>,
    former: Option<TeacherId>,
) -> Option<TeacherId> {
    own.or(former).filter(|teacher| *teacher != holder)
}
