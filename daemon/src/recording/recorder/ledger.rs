//! What a recorder writes down of itself: on the board at once, in the rows once a second, in
//! `metadata.json` when something begins or ends; and whom it tells.

use std::collections::BTreeSet;

use tokio::task::JoinHandle;

use super::{Done, finished};
use crate::{
    db::DbError,
    events::{Event, Fragment},
    files,
    floor::Floor,
    health::{FaultCode, Severity},
    logging::chain,
    recording::{
        About, Fault, SegmentFile, SegmentId, Status,
        board::Board,
        container::whole_ms,
        folder,
        metadata::{Metadata, Standing},
        store,
    },
};

#[derive(Debug)]
pub(super) struct Ledger {
    floor: Floor,
    board: Board,
    about: About,
    /// Where its folder is, relative to the recordings directory; `None` before there is one.
    storage_path: Option<String>,
    /// Every segment so far, as it was when it was opened.
    opened: Vec<SegmentFile>,
    /// Segments whose row is behind.
    unsaved: BTreeSet<SegmentId>,
    /// The rows that are being written.
    pub(super) saving: Option<JoinHandle<Result<(), DbError>>>,
}

impl Ledger {
    /// It is on the board already, as starting.
    pub(super) fn new(floor: Floor, board: Board, about: About) -> Self {
        Self {
            floor,
            board,
            about,
            storage_path: None,
            opened: Vec::new(),
            unsaved: BTreeSet::new(),
            saving: None,
        }
    }

    /// It has a folder and a row.
    pub(super) fn begin(&mut self, storage_path: String) {
        self.storage_path = Some(storage_path);
        self.board.begun(self.about.recording_id);
        self.floor.health.clear(FaultCode::RecordingFailed);
        // The disk has just taken something, and has the room that is to be left free.
        self.floor.health.clear(FaultCode::DiskFull);
        self.changed();
    }

    /// What was opened is on no disk, and will not be.
    pub(super) fn start_over(&mut self) {
        self.opened.clear();
    }

    /// The segments that were opened so far.
    pub(super) fn opened(&self) -> &[SegmentFile] {
        &self.opened
    }

    pub(super) fn open(&mut self, file: SegmentFile) {
        self.opened.push(file);
    }

    /// The description of a running recording.
    pub(super) fn description(&self) -> Vec<u8> {
        let standing = Standing { status: Status::Recording, fault: None, ended_at: None };
        Metadata::new(self.floor.box_id, &self.about, standing, &self.opened).to_bytes()
    }

    /// Tells of something that is on disk now.
    pub(super) fn tell(&mut self, done: Done) {
        let recording = self.about.recording_id;
        match done {
            Done::Opened(file) => {
                self.unsaved.insert(file.id);
                self.board.add(recording, file);
                self.changed();
            }
            Done::Closed(id) => {
                self.unsaved.insert(id);
                self.board.change(recording, id, |segment| segment.is_closed = true);
            }
            Done::Grew { segment: id, at_us, end_us, length, frames, keyframe } => {
                self.unsaved.insert(id);
                let grown = self.board.change(recording, id, |segment| {
                    let at_ms = whole_ms(at_us);
                    let fragment = Fragment { at_ms, offset: segment.size_bytes, length, keyframe };
                    segment.fragments.push(fragment);
                    segment.size_bytes += length;
                    segment.duration_ms = whole_ms(end_us);
                    segment.frame_count += frames;
                    fragment
                });
                if let Some(fragment) = grown {
                    self.floor.events.tell(Event::RecordingGrew {
                        recording_id: recording,
                        lesson_id: self.about.lesson_id,
                        segment_id: id.to_string(),
                        fragment,
                    });
                }
            }
        }
    }

    /// Brings the rows up to the board, unless that is under way already.
    pub(super) fn save(&mut self) {
        if self.saving.is_some() || self.unsaved.is_empty() {
            return;
        }
        let (db, recording) = (self.floor.db.clone(), self.about.recording_id);
        let unsaved = std::mem::take(&mut self.unsaved);
        let segments = self.board.rows(recording, &unsaved);
        self.saving = Some(tokio::spawn(async move {
            db.write(move |tx| store::save_segments(tx, recording, &segments)).await
        }));
    }

    /// Writes down how it ended. The files are closed.
    pub(super) async fn conclude(mut self, fault: Option<Fault>) {
        let recording = self.about.recording_id;
        if let Some(fault) = fault {
            self.raise(fault);
        }
        let Some(storage_path) = self.storage_path.take() else { return self.leave(fault) };
        let mut segments = self.board.segments(recording).unwrap_or_default();
        for segment in &mut segments {
            segment.is_closed = true;
        }
        let plays = segments.iter().any(|segment| segment.frame_count > 0);
        let standing = Standing {
            status: if plays { Status::Ready } else { Status::Failed },
            fault: fault.or((!plays).then_some(Fault::NothingRecorded)),
            ended_at: Some(self.floor.clock.now()),
        };
        if self.saving.is_some() {
            report(finished(&mut self.saving).await);
        }
        let text = Metadata::new(self.floor.box_id, &self.about, standing, &segments).to_bytes();
        self.stand(Standing { status: Status::Processing, ..standing }, segments).await;
        self.describe(&storage_path, text).await;
        self.stand(standing, Vec::new()).await;
        tracing::info!("recording ended: {:?}, fault {:?}", standing.status, standing.fault);
        self.leave(fault);
    }

    fn leave(&self, fault: Option<Fault>) {
        self.board.close(self.about.recording_id, fault);
        self.changed();
    }

    async fn stand(&self, standing: Standing, segments: Vec<SegmentFile>) {
        let recording = self.about.recording_id;
        let written = self.floor.db.write(move |tx| {
            store::set_standing(tx, recording, standing)?;
            store::save_segments(tx, recording, &segments)
        });
        report(Some(written.await));
        self.changed();
    }

    async fn describe(&self, storage_path: &str, text: Vec<u8>) {
        let recordings = &self.floor.config.storage.recordings_dir;
        let path = recordings.join(storage_path).join(folder::METADATA);
        let replaced = tokio::task::spawn_blocking(move || files::replace(&path, &text)).await;
        if !matches!(replaced, Ok(Ok(()))) {
            tracing::warn!("the recording's description is out of date: {replaced:?}");
        }
    }

    fn raise(&self, fault: Fault) {
        let cause = match fault {
            Fault::Interrupted | Fault::NothingRecorded => return,
            Fault::DiskFull => {
                let detail = "No room is left for recordings: lessons go on, but are not recorded.";
                return self.floor.health.raise(FaultCode::DiskFull, Severity::Error, detail);
            }
            Fault::DiskFailed => "the disk could not be written to",
            Fault::DiskTooSlow => "the disk was too slow for it",
        };
        let lesson = self.about.lesson_id;
        let detail = format!("The recording of lesson {lesson} ended early: {cause}.");
        self.floor.health.raise(FaultCode::RecordingFailed, Severity::Error, detail);
    }

    fn changed(&self) {
        let (recording_id, lesson_id) = (self.about.recording_id, self.about.lesson_id);
        self.floor.events.tell(Event::RecordingChanged { recording_id, lesson_id });
    }
}

/// Rows that are behind do no harm: the next start's salvage reads the files.
pub(super) fn report(saved: Option<Result<(), DbError>>) {
    if let Some(Err(error)) = saved {
        tracing::warn!(error = %chain(&error), "recording's rows are behind: {}", chain(&error));
    }
}
