//! Recordings: what a lesson put on air, kept on the box's disk as it was sent.
//!
//! A recording is one stretch between switching on and off, with its own folder ([`folder`]) and
//! its own row. It listens to the broadcast like any other receiver, before protection, and
//! encodes nothing again. Picture, the screen's sound and the teacher's voice are tracks of their
//! own; a track is a row of segments, each a file with one format.
//!
//! ```text
//!   Tap ─▶ recorder ─▶ track ─▶ (timeline, cutter, container) ─▶ files ─▶ disk
//!            │   one a recording                   one thread at a time
//!            ├─▶ board: what is on disk this moment, for whoever watches it grow
//!            └─▶ store: a row per segment, at most once a second
//! ```
//!
//! ```text
//!   start ─▶ RECORDING ── stop, lesson over, fault ──▶ PROCESSING ─▶ READY, perhaps with a fault
//!                │                                         ▲     └─▶ FAILED: nothing plays
//!                └── the power went ── next start, salvage ┘
//! ```
//!
//! Invariants:
//! - A fragment is on disk (`fdatasync`) before anybody is told of it. A power cut costs what came
//!   after the last fragment, about a second.
//! - Recording never holds a lesson up. A disk that is full, broken or too slow ends the recording,
//!   with what there is, and says so; the lesson goes on.
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
mod media;
mod metadata;
mod pipeline;
mod recorder;
pub mod routes;
mod salvage;
mod store;
mod timeline;
mod track;

use std::{fmt, io, path::PathBuf};

use alfarid_protocol::{
    id::{LessonId, RecordingId, TeacherId},
    time::Timestamp,
};
use alfarid_stream::Size;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use utoipa::ToSchema;
use uuid::Uuid;

pub use self::{
    actor::{Service, new},
    container::Torn,
    export::Export,
    pipeline::JoinError,
};
use self::{actor::Command, board::Board, export::Exporter, store::Kept};
use crate::{
    broadcast::tap::{self, Tap},
    db::{Db, DbError},
    events::{Event, Fragment},
    floor::Floor,
    identity::Person,
};

/// The fault of a recording that ended early, on the health page.
const RECORDING_FAILED: &str = "recording_failed";

#[derive(Debug, Error)]
pub enum Error {
    #[error("lesson {0} is being recorded already")]
    AlreadyRecording(LessonId),
    #[error("only {free_mb} MiB are free where recordings go")]
    DiskFull { free_mb: u64 },
    #[error("cannot make a folder for the recording of lesson {lesson}")]
    CreateFolder {
        lesson: LessonId,
        #[source]
        source: io::Error,
    },
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
    Export { recording: RecordingId, #[source] source: JoinError },
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
    /// Relative to the recordings directory.
    storage_path: String,
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

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
    board: Board,
    exporter: Exporter,
    floor: Floor,
}

impl Handle {
    /// Begins to record what comes out of `tap`. Fails where there is no room, or the lesson is
    /// being recorded already.
    pub async fn start(&self, new: NewRecording, tap: Tap) -> Result<RecordingId, Error> {
        self.ask(|reply| Command::Start { new, tap, reply }).await?
    }

    /// Ends the recording of `lesson`, if there is one. Its files are closed when this resolves.
    pub async fn stop(&self, lesson: LessonId) -> Result<(), Error> {
        self.ask(|reply| Command::Stop { lesson, reply }).await
    }

    /// Writes a line into the events of the recording of `lesson`, if there is one.
    pub async fn append_event(
        &self,
        lesson: LessonId,
        event: serde_json::Value,
    ) -> Result<(), Error> {
        self.commands.send(Command::Event { lesson, event }).await.map_err(|_| Error::Stopped)
    }

    /// The recording of `lesson` that is running at this moment. One that ended by itself (a full
    /// disk) is none any more; `Event::RecordingChanged` says when to ask again.
    pub fn running(&self, lesson: LessonId) -> Option<RecordingId> {
        self.board.running(lesson)
    }

    /// The recordings of `lesson` become `teacher`'s, who took it over.
    pub async fn hand_over(&self, lesson: LessonId, teacher: TeacherId) -> Result<(), Error> {
        Ok(self.db().write(move |tx| store::hand_over(tx, lesson, teacher)).await?)
    }

    /// What `person` may see, newest first; of one lesson or of all. Without fragments.
    pub async fn list(
        &self,
        person: &Person,
        lesson: Option<LessonId>,
    ) -> Result<Vec<Recording>, Error> {
        let viewer = person.clone();
        let kept = self.db().read(move |c| store::list(c, &viewer, lesson)).await?;
        Ok(kept.into_iter().map(Kept::into_recording).collect())
    }

    /// One recording, with its fragments; of a running one, what is on disk this moment.
    pub async fn get(&self, person: &Person, id: RecordingId) -> Result<Recording, Error> {
        let mut kept = self.visible(person, id).await?;
        kept.segments = match self.board.segments(id) {
            Some(running) => running,
            None => self.with_fragments(kept.segments).await?,
        };
        Ok(kept.into_recording())
    }

    /// Opens a segment's file for reading.
    pub async fn open_segment(
        &self,
        person: &Person,
        id: RecordingId,
        segment: SegmentId,
    ) -> Result<Opened, Error> {
        let kept = self.visible(person, id).await?;
        let running = self.board.segment(id, segment);
        let in_row = || kept.segments.iter().find(|file| file.id == segment).cloned();
        let file = running.or_else(in_row).ok_or(Error::NoSegment(segment))?;
        let path = self.recordings_dir().join(&kept.about.storage_path).join(&file.path);
        let opened = tokio::fs::File::open(path).await;
        let opened = opened.map_err(|source| Error::ReadSegment { segment, source })?;
        let SegmentFile { mime, size_bytes, is_closed, .. } = file;
        Ok(Opened { segment, mime, size_bytes, is_closed, file: opened })
    }

    /// Makes one file of a recording: pictures as they were sent, the sounds mixed into one. Takes
    /// as long as reading and writing all of it; dropping the future ends it.
    pub async fn export(&self, person: &Person, id: RecordingId) -> Result<Export, Error> {
        let mut kept = self.visible(person, id).await?;
        match kept.status {
            Status::Ready => {}
            Status::Recording | Status::Processing => return Err(Error::StillRunning(id)),
            Status::Failed => return Err(Error::NothingToExport(id)),
        }
        kept.segments = self.with_fragments(kept.segments).await?;
        self.exporter.export(kept).await
    }

    /// Deletes a recording and its files. Its owner may, and an admin.
    pub async fn delete(&self, person: &Person, id: RecordingId) -> Result<(), Error> {
        let kept = self.visible(person, id).await?;
        if !kept.belongs_to(person) {
            return Err(Error::NotYours(id));
        }
        if matches!(kept.status, Status::Recording | Status::Processing) {
            return Err(Error::StillRunning(id));
        }
        let failed = move |source| Error::DeleteFiles { recording: id, source };
        let About { storage_path, lesson_id, .. } = kept.about;
        let recordings = self.recordings_dir().clone();
        // First out of sight in one step, then out of the database, then off the disk: a power cut
        // between leaves nothing that comes back.
        let away = move || folder::throw_away(&recordings, &storage_path, id);
        let away = tokio::task::spawn_blocking(away).await.map_err(|_| Error::Stopped)?;
        let away = away.map_err(failed)?;
        self.db().write(move |tx| store::delete(tx, id)).await?;
        tokio::fs::remove_dir_all(away).await.map_err(failed)?;
        tracing::info!(recording.id = %id, teacher.id = %person.id, "recording {id} was deleted");
        self.floor.events.tell(Event::RecordingChanged { recording_id: id, lesson_id });
        Ok(())
    }

    async fn visible(&self, person: &Person, id: RecordingId) -> Result<Kept, Error> {
        let kept = self.db().read(move |c| store::one(c, id)).await?;
        kept.filter(|kept| kept.is_seen_by(person)).ok_or(Error::NotFound(id))
    }

    async fn with_fragments(&self, segments: Vec<SegmentFile>) -> Result<Vec<SegmentFile>, Error> {
        Ok(self.db().read(move |c| store::load_fragments(c, segments)).await?)
    }

    fn recordings_dir(&self) -> &PathBuf {
        &self.floor.config.storage.recordings_dir
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| Error::Stopped)?;
        answer.await.map_err(|_| Error::Stopped)
    }

    fn db(&self) -> &Db {
        &self.floor.db
    }
}
