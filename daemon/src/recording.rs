//! Recordings: what a lesson put on air, kept on the box's disk as it was sent.
//!
//! A recording is one stretch between switching on and off, with its own folder and its own
//! row. It listens to the broadcast like any other receiver, before protection, and
//! encodes nothing again. Picture, the screen's sound and the teacher's voice are tracks of their
//! own; a track is a row of segments, each a file with one format.
//!
//! ```text
//!   Tap ─▶ recorder ─▶ track ─▶ (timeline, cutter, container) ─▶ files ─▶ disk
//!            │   one a recording                   one thread at a time
//!            ├─▶ board: what is on disk this moment, for whoever watches it grow
//!            └─▶ store: a row per segment, at most once a second
//!
//!   files ─▶ ranges (the page plays by MSE), hls, export (one file to take away)
//! ```
//!
//! ```text
//!   start ─▶ STARTING ─▶ RECORDING ── stop, lesson over, fault ──▶ PROCESSING ─▶ READY, perhaps
//!                │           │                                         ▲     │   with a fault
//!       the disk refuses     └── the power went ── next start, salvage ┘     └─▶ FAILED: nothing
//!                ▼                                                               plays
//!         nothing is kept
//! ```
//!
//! While it is starting, what is on air waits in memory for the disk: a recording begins with the
//! first keyframe after it was asked for, however long the disk takes to make a folder.
//!
//! Invariants:
//! - A fragment is on disk (`fdatasync`) before anybody is told of it. A power cut costs what came
//!   after the last fragment, about a second.
//! - Recording never holds a lesson up: whoever starts one waits for no disk. A disk that is full,
//!   broken or too slow to keep up ends the recording, with what there is, and says so; the lesson
//!   goes on. A disk that is slow to begin ends nothing.
//! - Files are only ever appended to, but for `metadata.json`, which is replaced whole.
//! - A recording can be read back without the database.
//!
//! Failure: [`Fault`] says how a recording ended; it stands in its row, its `metadata.json` and on
//! the health page. It stays ended: recording goes on when somebody switches it on again.

mod actor;
mod board;
mod container;
mod cutter;
mod export;
mod files;
mod folder;
mod handle;
mod hls;
mod media;
mod metadata;
mod pipeline;
mod recent;
mod recorder;
pub mod routes;
mod salvage;
mod store;
mod timeline;
mod track;

use std::{fmt, io};

use alfarid_protocol::{
    id::{LessonId, RecordingId, TeacherId},
    time::Timestamp,
};
use alfarid_stream::Size;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use utoipa::ToSchema;
use uuid::Uuid;

pub use self::{
    actor::{Service, new},
    container::Torn,
    export::Export,
    handle::Handle,
    pipeline::JoinError,
};
use crate::{broadcast::tap, db::DbError, events::Fragment};

#[derive(Debug, Error)]
pub enum Error {
    #[error("lesson {0} is being recorded already")]
    AlreadyRecording(LessonId),
    #[error("only {free_mb} MiB are free where recordings go")]
    DiskFull { free_mb: u64 },
    #[error("there is no recording {0}")]
    NotFound(RecordingId),
    #[error("there is no segment {0}")]
    NoSegment(SegmentId),
    #[error("recording {0} belongs to somebody else")]
    NotYours(RecordingId),
    #[error("recording {0} is still running")]
    StillRunning(RecordingId),
    #[error("cannot delete the files of recording {recording}")]
    DeleteFiles {
        recording: RecordingId,
        #[source]
        source: io::Error,
    },
    #[error("another recording is being made into one file")]
    ExportBusy,
    #[error("recording {0} has nothing to make a file of")]
    NothingToExport(RecordingId),
    #[error("cannot make one file of recording {recording}")]
    Export {
        recording: RecordingId,
        #[source]
        source: JoinError,
    },
    #[error("cannot read segment {segment} of a recording")]
    ReadSegment {
        segment: SegmentId,
        #[source]
        source: io::Error,
    },
    #[error("cannot read or write recordings")]
    Db(#[from] DbError),
    #[error("recording has stopped with the box")]
    Stopped,
}

/// One file of a recording.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[schema(value_type = Uuid)]
#[serde(transparent)]
pub struct SegmentId(pub Uuid);

impl From<Uuid> for SegmentId {
    fn from(id: Uuid) -> Self {
        Self(id)
    }
}

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RecordingStatus)]
pub enum Status {
    /// Asked for, and the disk has not answered yet. Has no row.
    Starting,
    Recording,
    /// Being closed, or read back after a power cut.
    Processing,
    Ready,
    /// Nothing of it plays.
    Failed,
}

/// Why there is less than there could be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RecordingFault)]
pub enum Fault {
    DiskFull,
    DiskFailed,
    /// Fragments came faster than the disk took them.
    DiskTooSlow,
    /// The box lost its power or was killed: the last second is missing.
    Interrupted,
    /// Nothing was on air, or not long enough.
    NothingRecorded,
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum TrackKind {
    ScreenVideo,
    ScreenAudio,
    PersonAudio,
}

impl From<tap::TrackKind> for TrackKind {
    fn from(kind: tap::TrackKind) -> Self {
        match kind {
            tap::TrackKind::ScreenVideo => Self::ScreenVideo,
            tap::TrackKind::ScreenAudio => Self::ScreenAudio,
            tap::TrackKind::PersonAudio => Self::PersonAudio,
        }
    }
}

/// What is to be recorded.
#[derive(Clone, Debug)]
pub struct NewRecording {
    pub lesson: LessonId,
    /// Whose recording it becomes.
    pub teacher: TeacherId,
    pub title: String,
    pub class_name: String,
    pub teacher_name: String,
}

/// What a recording is of. Does not change, whatever becomes of lesson and class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct About {
    recording_id: RecordingId,
    lesson_id: LessonId,
    teacher_id: TeacherId,
    title: String,
    class_name: String,
    teacher_name: String,
    started_at: Timestamp,
    /// Whether anybody vouched for the box's clock then.
    clock_was_sure: bool,
}

/// One file of a recording, as far as it is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
struct SegmentFile {
    id: SegmentId,
    kind: TrackKind,
    /// Relative to the recording's folder.
    path: String,
    mime: String,
    size: Option<Size>,
    offset_ms: i64,
    duration_ms: i64,
    size_bytes: u64,
    init_bytes: u64,
    frame_count: u64,
    is_closed: bool,
    fragments: Vec<Fragment>,
}

/// A recording as the pages see it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Recording {
    pub id: RecordingId,
    pub lesson_id: LessonId,
    pub title: String,
    pub class_name: String,
    /// Whose it is.
    pub teacher_id: TeacherId,
    pub teacher_name: String,
    pub status: Status,
    pub fault: Option<Fault>,
    pub started_at: Timestamp,
    pub duration_seconds: i64,
    pub file_size_bytes: u64,
    /// Pictures.
    pub frame_count: u64,
    /// Any teacher of the site may see it.
    pub is_public: bool,
    pub tracks: Vec<Track>,
}

/// The newest of a running recording.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = RecentRecording)]
pub struct Recent {
    pub recording_id: RecordingId,
    pub tracks: Vec<Track>,
}

/// One sort of what was on air, in the order of its segments.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Track {
    /// Unique within the recording.
    pub id: TrackKind,
    pub kind: TrackKind,
    pub segments: Vec<Segment>,
}

/// One file: a head and fragments behind it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Segment {
    pub id: SegmentId,
    /// As `MediaSource.isTypeSupported` takes it.
    #[schema(example = "video/mp4; codecs=\"avc1.42e01f\"")]
    pub mime: String,
    /// From the recording's start.
    pub offset_ms: i64,
    pub duration_ms: i64,
    pub size_bytes: u64,
    /// Length of the head, at the file's start.
    pub init_bytes: u64,
    /// Empty in a list of recordings.
    pub fragments: Vec<Fragment>,
}

/// A segment's file, open for reading.
#[derive(Debug)]
pub struct Opened {
    pub segment: SegmentId,
    pub mime: String,
    /// As far as it is on disk; behind it may lie what is being written.
    pub size_bytes: u64,
    pub is_closed: bool,
    pub file: tokio::fs::File,
}
