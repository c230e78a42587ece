//! What others may ask of recording. Who may see and do what is decided here, per recording.

use std::{path::PathBuf, time::Duration};

use alfarid_protocol::id::{LessonId, RecordingId, TeacherId};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::{
    About, Error, Export, Fault, NewRecording, Opened, Recent, Recording, SegmentFile, SegmentId,
    Status, actor::Command, board::Board, export::Exporter, folder, hls, recent, store,
    store::Kept,
};
use crate::{
    broadcast::tap::Tap, config::Storage, db::Db, events::Event, floor::Floor, identity::Person,
    logging,
};

/// How long whoever switches a recording on waits to hear that the disk has room.
const PATIENCE: Duration = Duration::from_millis(500);

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) board: Board,
    pub(super) exporter: Exporter,
    pub(super) floor: Floor,
}

impl Handle {
    /// Begins to record what comes out of `tap`, from now on. Waits for no disk: what the disk
    /// refuses ends the recording later, and [`Handle::fault`] says why. Fails where the lesson is
    /// being recorded already.
    pub async fn start(&self, new: NewRecording, tap: Tap) -> Result<RecordingId, Error> {
        let place = self.commands.reserve().await.map_err(|_| Error::Stopped)?;
        let Floor { clock, events, .. } = &self.floor;
        let (recording_id, lesson_id) = (clock.id(), new.lesson);
        let about = About {
            recording_id,
            lesson_id,
            teacher_id: new.teacher,
            title: new.title,
            class_name: new.class_name,
            teacher_name: new.teacher_name,
            started_at: clock.now(),
            clock_was_sure: clock.is_sure(),
        };
        let start = clock.monotonic();
        if !self.board.open(about.clone(), start) {
            return Err(Error::AlreadyRecording(lesson_id));
        }
        place.send(Command::Start { about, start, tap });
        events.tell(Event::RecordingChanged { recording_id, lesson_id });
        Ok(recording_id)
    }

    /// Whether a recording may begin, as far as the disk says at once. One that keeps silent is
    /// taken to have room: what it refuses later ends the recording.
    pub async fn has_room(&self) -> Result<(), Error> {
        let Storage { recordings_dir, min_free_mb, .. } = self.floor.config.storage.clone();
        // Before the first recording there is no directory of its own.
        let ask = move || recordings_dir.ancestors().find_map(|dir| folder::free_bytes(dir).ok());
        let asked = logging::spawn_blocking(ask);
        let Ok(Ok(Some(free))) = timeout(PATIENCE, asked).await else { return Ok(()) };
        if free >> 20 < min_free_mb.max(1) {
            Err(Error::DiskFull { free_mb: free >> 20 })
        } else {
            Ok(())
        }
    }

    /// Ends the recording of `lesson`, if there is one. Its files are closed when this resolves;
    /// another one may start before.
    pub async fn stop(&self, lesson: LessonId) -> Result<(), Error> {
        let place = self.commands.reserve().await.map_err(|_| Error::Stopped)?;
        let (reply, stopped) = oneshot::channel();
        self.board.closing(lesson);
        place.send(Command::Stop { lesson, reply });
        stopped.await.map_err(|_| Error::Stopped)
    }

    /// Writes a line into the events of the recording of `lesson`, if there is one.
    pub async fn append_event(
        &self,
        lesson: LessonId,
        event: serde_json::Value,
    ) -> Result<(), Error> {
        self.commands.send(Command::Event { lesson, event }).await.map_err(|_| Error::Stopped)
    }

    /// The recording of `lesson` that is running at this moment, or starting. One that ended by
    /// itself (a full disk) is none any more; `Event::RecordingChanged` says when to ask again.
    pub fn running(&self, lesson: LessonId) -> Option<RecordingId> {
        self.board.running(lesson)
    }

    /// The newest of what is being recorded of `lesson`, as far as the class may see it that has
    /// been shown everything for so long. Whoever asks says who may.
    pub fn recent(&self, lesson: LessonId, shown_for: Duration) -> Option<Recent> {
        let recording_id = self.board.running(lesson)?;
        let (segments, age) = self.board.so_far(recording_id, self.floor.clock.monotonic())?;
        let tracks = store::tracks(recent::recent(segments, age, shown_for));
        Some(Recent { recording_id, tracks })
    }

    /// A piece of it: a segment's head at 0, a fragment where one begins.
    pub async fn recent_piece(
        &self,
        lesson: LessonId,
        segment: SegmentId,
        offset: u64,
        shown_for: Duration,
    ) -> Result<(String, Vec<u8>), Error> {
        let no_segment = || Error::NoSegment(segment);
        let id = self.board.running(lesson).ok_or_else(no_segment)?;
        let now = self.floor.clock.monotonic();
        let (segments, age) = self.board.so_far(id, now).ok_or_else(no_segment)?;
        let segments = recent::recent(segments, age, shown_for);
        let file = segments.into_iter().find(|file| file.id == segment).ok_or_else(no_segment)?;
        let (offset, length) = recent::piece(&file, offset).ok_or_else(no_segment)?;
        let kept = self.db().read(move |c| store::one(c, id)).await?.ok_or(Error::NotFound(id))?;
        let path = self.recordings_dir().join(&kept.storage_path).join(&file.path);
        let read = move || folder::read_piece(&path, offset, length);
        let read = tokio::task::spawn_blocking(read).await.map_err(|_| Error::Stopped)?;
        let bytes = read.map_err(|source| Error::ReadSegment { segment, source })?;
        Ok((file.mime, bytes))
    }

    /// Why the recording of `lesson` ended by itself, if it did.
    pub fn fault(&self, lesson: LessonId) -> Option<Fault> {
        self.board.fault(lesson)
    }

    /// The recordings of `lesson` become `teacher`'s, who took it over.
    pub async fn hand_over(&self, lesson: LessonId, teacher: TeacherId) -> Result<(), Error> {
        // First where one stands that has no row yet.
        self.board.hand_over(lesson, teacher);
        Ok(self.db().write(move |tx| store::hand_over(tx, lesson, teacher)).await?)
    }

    /// What `person` may see, newest first; of one lesson or of all. Without fragments.
    pub async fn list(
        &self,
        person: &Person,
        lesson: Option<LessonId>,
    ) -> Result<Vec<Recording>, Error> {
        let mut starting = self.starting();
        starting.retain(|kept| lesson.is_none_or(|of| kept.about.lesson_id == of));
        starting.retain(|kept| kept.is_seen_by(person));
        let viewer = person.clone();
        let mut kept = self.db().read(move |c| store::list(c, &viewer, lesson)).await?;
        // One whose row was written this moment is in both.
        kept.retain(|kept| starting.iter().all(|other| other.id() != kept.id()));
        Ok(starting.into_iter().chain(kept).map(Kept::into_recording).collect())
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
        let path = self.recordings_dir().join(&kept.storage_path).join(&file.path);
        let opened = tokio::fs::File::open(path).await;
        let opened = opened.map_err(|source| Error::ReadSegment { segment, source })?;
        let SegmentFile { mime, size_bytes, is_closed, .. } = file;
        Ok(Opened { segment, mime, size_bytes, is_closed, file: opened })
    }

    /// A playlist of the recording for players of HLS, by its name.
    pub async fn playlist(
        &self,
        person: &Person,
        id: RecordingId,
        name: &str,
    ) -> Result<String, Error> {
        let playlist = hls::Playlist::parse(name).ok_or(Error::NotFound(id))?;
        let recording = self.get(person, id).await?;
        playlist.text(&recording).ok_or(Error::NotFound(id))
    }

    /// A piece of media that a playlist names, in the recording's own time.
    pub async fn piece(
        &self,
        person: &Person,
        id: RecordingId,
        segment: SegmentId,
        name: &str,
    ) -> Result<Vec<u8>, Error> {
        let piece = hls::Piece::parse(name).ok_or(Error::NoSegment(segment))?;
        let Recording { tracks, .. } = self.get(person, id).await?;
        let mut segments = tracks.into_iter().flat_map(|track| track.segments);
        let found = segments.find(|found| found.id == segment);
        let found = found.ok_or(Error::NoSegment(segment))?;
        let opened = self.open_segment(person, id, segment).await?;
        let read = hls::read(opened.file, &found, piece).await;
        read.map_err(|source| Error::ReadSegment { segment, source })?
            .ok_or(Error::NoSegment(segment))
    }

    /// Makes one file of a recording: pictures as they were sent, the sounds mixed into one. Takes
    /// as long as reading and writing all of it; dropping the future ends it.
    pub async fn export(&self, person: &Person, id: RecordingId) -> Result<Export, Error> {
        let mut kept = self.visible(person, id).await?;
        match kept.status {
            Status::Ready => {}
            Status::Starting | Status::Recording | Status::Processing => {
                return Err(Error::StillRunning(id));
            }
            Status::Failed => return Err(Error::NothingToExport(id)),
        }
        kept.segments = self.with_fragments(kept.segments).await?;
        self.exporter.export(kept).await
    }

    /// Lets every teacher of the site watch a recording, or its own alone. Its owner may, and an
    /// admin.
    pub async fn set_public(
        &self,
        person: &Person,
        id: RecordingId,
        is_public: bool,
    ) -> Result<Recording, Error> {
        let kept = self.visible(person, id).await?;
        if !kept.belongs_to(person) {
            return Err(Error::NotYours(id));
        }
        if !self.db().write(move |tx| store::set_public(tx, id, is_public)).await? {
            return Err(Error::StillRunning(id));
        }
        let lesson_id = kept.about.lesson_id;
        self.floor.events.tell(Event::RecordingChanged { recording_id: id, lesson_id });
        self.get(person, id).await
    }

    /// Deletes a recording and its files. Its owner may, and an admin.
    pub async fn delete(&self, person: &Person, id: RecordingId) -> Result<(), Error> {
        let kept = self.visible(person, id).await?;
        if !kept.belongs_to(person) {
            return Err(Error::NotYours(id));
        }
        match kept.status {
            Status::Ready | Status::Failed => {}
            Status::Starting | Status::Recording | Status::Processing => {
                return Err(Error::StillRunning(id));
            }
        }
        let failed = move |source| Error::DeleteFiles { recording: id, source };
        let (storage_path, lesson_id) = (kept.storage_path, kept.about.lesson_id);
        let recordings = self.recordings_dir().clone();
        // First out of sight in one step, then out of the database, then off the disk: a power cut
        // between leaves nothing that comes back.
        let away = move || folder::throw_away(&recordings, &storage_path, id);
        let away = tokio::task::spawn_blocking(away).await.map_err(|_| Error::Stopped)?;
        let away = away.map_err(failed)?;
        self.db().write(move |tx| store::delete(tx, id)).await?;
        let remove = move || folder::remove(&away);
        tokio::task::spawn_blocking(remove).await.map_err(|_| Error::Stopped)?.map_err(failed)?;
        tracing::info!(
            lesson.id = %lesson_id, recording.id = %id, teacher.id = %person.id,
            "recording {id} was deleted",
        );
        self.floor.events.tell(Event::RecordingChanged { recording_id: id, lesson_id });
        Ok(())
    }

    async fn visible(&self, person: &Person, id: RecordingId) -> Result<Kept, Error> {
        let starting = self.starting().into_iter().find(|kept| kept.id() == id);
        let kept = match starting {
            Some(kept) => Some(kept),
            None => self.db().read(move |c| store::one(c, id)).await?,
        };
        kept.filter(|kept| kept.is_seen_by(person)).ok_or(Error::NotFound(id))
    }

    /// Those that have no row yet, the newest first.
    fn starting(&self) -> Vec<Kept> {
        self.board.starting().into_iter().map(Kept::starting).collect()
    }

    async fn with_fragments(&self, segments: Vec<SegmentFile>) -> Result<Vec<SegmentFile>, Error> {
        Ok(self.db().read(move |c| store::load_fragments(c, segments)).await?)
    }

    fn recordings_dir(&self) -> &PathBuf {
        &self.floor.config.storage.recordings_dir
    }

    fn db(&self) -> &Db {
        &self.floor.db
    }
}
