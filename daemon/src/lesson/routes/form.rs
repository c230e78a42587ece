//! What pages send about lessons.

use alfarid_protocol::{
    grant::Picture,
    id::{ClassId, LessonId, MachineId, RoomId},
    time::Timestamp,
};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::{
    field::Change,
    lesson::{
        Ends, LessonChange, Plan, Profile, Status, Which,
        bandwidth::{Room, Wifi},
    },
};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct WhichQuery {
    status: Option<Status>,
    class_id: Option<ClassId>,
    /// Starting at this time or later.
    from: Option<Timestamp>,
    /// Starting before this time.
    to: Option<Timestamp>,
    limit: Option<u32>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct RoomQuery {
    #[param(minimum = 1, maximum = 500)]
    machines: u32,
    /// Of these, on Wi-Fi.
    on_wifi: u32,
    profile: Profile,
    /// The box's own link, in Mbit/s.
    #[param(minimum = 10, maximum = 100_000)]
    wire_mbps: u32,
    #[param(inline)]
    wifi: Wifi,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = NewLesson)]
pub(super) struct ScheduleForm {
    class_id: ClassId,
    room_id: RoomId,
    /// The class's name, if nothing is said.
    title: Option<String>,
    description: Option<String>,
    /// Now, if nothing is said.
    start_at: Option<Timestamp>,
    planned_end_at: Option<Timestamp>,
    /// The whole room, if nothing is said.
    machine_ids: Option<Vec<MachineId>>,
    recording: Option<bool>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = LessonStart)]
pub(super) struct StartForm {
    class_id: ClassId,
    room_id: RoomId,
    /// The class's name, if nothing is said.
    title: Option<String>,
    description: Option<String>,
    planned_end_at: Option<Timestamp>,
    /// Instead of `planned_end_at`.
    duration_minutes: Option<u32>,
    /// The whole room, if nothing is said.
    machine_ids: Option<Vec<MachineId>>,
    recording: Option<bool>,
    /// A lesson that stands in the way: it ends and this one starts, in one step.
    pub(super) replace_lesson_id: Option<LessonId>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ReplaceQuery {
    /// A lesson that stands in the way: it ends and this one starts, in one step.
    pub(super) replace_lesson_id: Option<LessonId>,
}

#[derive(Deserialize, ToSchema)]
pub(super) struct LessonChangeForm {
    title: Option<String>,
    /// `null` takes it away.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    description: Change<String>,
    /// A profile is pinned; `null` lets it follow the number of students again.
    #[serde(default)]
    #[schema(value_type = Option<Profile>)]
    quality_profile: Change<Profile>,
    is_recording: Option<bool>,
    picture: Option<Picture>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = LessonExtension)]
pub(super) struct Extension {
    #[schema(minimum = 1, maximum = 240)]
    pub(super) minutes: u32,
}

impl From<WhichQuery> for Which {
    fn from(query: WhichQuery) -> Self {
        Self {
            status: query.status,
            class: query.class_id,
            from: query.from,
            to: query.to,
            limit: query.limit,
        }
    }
}

impl From<RoomQuery> for Room {
    fn from(query: RoomQuery) -> Self {
        let RoomQuery { machines, on_wifi, profile, wire_mbps, wifi } = query;
        Self { machines, on_wifi, profile, wire_mbps, wifi }
    }
}

impl From<ScheduleForm> for Plan {
    fn from(form: ScheduleForm) -> Self {
        Self {
            class: form.class_id,
            room: form.room_id,
            title: form.title,
            description: form.description,
            start_at: form.start_at,
            ends: form.planned_end_at.map(Ends::At),
            machines: form.machine_ids,
            recording: form.recording,
        }
    }
}

impl From<StartForm> for Plan {
    fn from(form: StartForm) -> Self {
        Self {
            class: form.class_id,
            room: form.room_id,
            title: form.title,
            description: form.description,
            start_at: None,
            ends: form.planned_end_at.map(Ends::At).or(form.duration_minutes.map(Ends::After)),
            machines: form.machine_ids,
            recording: form.recording,
        }
    }
}

impl From<LessonChangeForm> for LessonChange {
    fn from(form: LessonChangeForm) -> Self {
        Self {
            title: form.title,
            description: form.description,
            quality: form.quality_profile,
            is_recording: form.is_recording,
            picture: form.picture,
        }
    }
}
