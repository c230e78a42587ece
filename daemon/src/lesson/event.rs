//! What happens in a lesson, line by line: its event log.

use alfarid_protocol::{
    id::{LessonId, StudentId, TeacherId},
    time::Timestamp,
};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    attendance::{Change, What},
    db::column::Word,
};

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
    /// Something went on air; `data` says what and from where.
    PublicationStarted,
    PublicationEnded,
    /// A student sits elsewhere; `data` says from where, where to and since when.
    SeatChanged,
    /// A person said what somebody's attendance was; `data` says why.
    AttendanceCorrected,
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
        ("publication_started", Self::PublicationStarted),
        ("publication_ended", Self::PublicationEnded),
        ("seat_changed", Self::SeatChanged),
        ("attendance_corrected", Self::AttendanceCorrected),
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
    #[schema(required)]
    pub student_name: Option<String>,
    /// Who did it; `null`: the box itself.
    #[schema(required)]
    pub teacher_id: Option<TeacherId>,
    #[schema(required)]
    pub teacher_name: Option<String>,
    #[schema(required, value_type = Option<Object>)]
    pub data: Option<Value>,
}

/// What people change of the attendance is kept there, with its trail, and stands in no second
/// place.
impl From<Change> for LessonEvent {
    fn from(change: Change) -> Self {
        let (kind, data) = match change.what {
            What::Seat { from, to, mode } => {
                (EventKind::SeatChanged, json!({ "from": from, "to": to, "mode": mode }))
            }
            What::Record { was, status, why } => (
                EventKind::AttendanceCorrected,
                json!({ "was": was, "status": status, "why": why }),
            ),
        };
        Self {
            id: change.id,
            at: change.at,
            event_type: kind.word().to_owned(),
            student_id: Some(change.student),
            student_name: Some(change.student_name),
            teacher_id: Some(change.by),
            teacher_name: Some(change.by_name),
            data: Some(data),
        }
    }
}
