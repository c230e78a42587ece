//! What happens in a lesson, line by line: its event log.

use alfarid_protocol::{
    id::{LessonId, StudentId, TeacherId},
    time::Timestamp,
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::db::column::Word;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    Scheduled,
    Started,
    /// The box was off or restarted in between; `data.gap_ms` says for how long at most.
    TakenUp,
    Ended,
    Cancelled,
    TakenOver,
    Renamed,
    Extended,
    QualityChanged,
    RecordingOn,
    RecordingOff,
    PictureLive,
    PictureBlank,
    PictureFrozen,
    /// No teacher is there and the planned end has passed.
    EndsByItselfAnnounced,
    /// The teacher came back.
    EndsByItselfCalledOff,
    /// Box time was put right: every time of this lesson moved with it.
    ClockCorrected,
}

impl Word for EventKind {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("scheduled", Self::Scheduled),
        ("started", Self::Started),
        ("taken_up", Self::TakenUp),
        ("ended", Self::Ended),
        ("cancelled", Self::Cancelled),
        ("taken_over", Self::TakenOver),
        ("renamed", Self::Renamed),
        ("extended", Self::Extended),
        ("quality_changed", Self::QualityChanged),
        ("recording_on", Self::RecordingOn),
        ("recording_off", Self::RecordingOff),
        ("picture_live", Self::PictureLive),
        ("picture_blank", Self::PictureBlank),
        ("picture_frozen", Self::PictureFrozen),
        ("ends_by_itself_announced", Self::EndsByItselfAnnounced),
        ("ends_by_itself_called_off", Self::EndsByItselfCalledOff),
        ("clock_corrected", Self::ClockCorrected),
    ];
}

/// A line that is to be written.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub lesson: LessonId,
    pub at: Timestamp,
    pub kind: EventKind,
    /// Who did it; `None`: the box itself.
    pub teacher: Option<TeacherId>,
    pub data: Option<Value>,
}

/// A line as it stands in the log.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct LessonEvent {
    pub id: Uuid,
    pub at: Timestamp,
    /// One of the words of `EventKind`, or one that a later version wrote.
    pub event_type: String,
    #[schema(required)]
    pub student_id: Option<StudentId>,
    /// Who did it; `null`: the box itself.
    #[schema(required)]
    pub teacher_id: Option<TeacherId>,
    #[schema(required, value_type = Option<Object>)]
    pub data: Option<Value>,
}
