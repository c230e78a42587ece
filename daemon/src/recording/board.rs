//! What running recordings have on disk this moment.
//!
//! Rows in the database are up to a second behind, and a page that was just told of a fragment
//! asks for it at once. The recorder writes here what it wrote to disk, routes read it.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use alfarid_protocol::id::{LessonId, RecordingId};

use super::{SegmentFile, SegmentId};

/// Cheap to clone; every clone is the same board. Locked for moments only, never over an await.
#[derive(Clone, Debug, Default)]
pub(super) struct Board(Arc<Mutex<HashMap<RecordingId, Running>>>);

#[derive(Debug)]
struct Running {
    lesson: LessonId,
    segments: Vec<SegmentFile>,
}

impl Board {
    pub(super) fn open(&self, recording: RecordingId, lesson: LessonId) {
        self.lock().insert(recording, Running { lesson, segments: Vec::new() });
    }

    pub(super) fn close(&self, recording: RecordingId) {
        self.lock().remove(&recording);
    }

    pub(super) fn running(&self, lesson: LessonId) -> Option<RecordingId> {
        let board = self.lock();
        board.iter().find(|(_, running)| running.lesson == lesson).map(|(id, _)| *id)
    }

    /// The segments of a running recording, with their fragments.
    pub(super) fn segments(&self, recording: RecordingId) -> Option<Vec<SegmentFile>> {
        self.lock().get(&recording).map(|running| running.segments.clone())
    }

    /// One segment of a running recording, without its fragments.
    pub(super) fn segment(&self, recording: RecordingId, id: SegmentId) -> Option<SegmentFile> {
        let board = self.lock();
        let segment = board.get(&recording)?.segments.iter().find(|segment| segment.id == id)?;
        Some(without_fragments(segment))
    }

    /// The segments `which`, with fragments where they are closed: what their rows say.
    pub(super) fn rows(
        &self,
        recording: RecordingId,
        which: &BTreeSet<SegmentId>,
    ) -> Vec<SegmentFile> {
        let board = self.lock();
        let segments = board.get(&recording).map_or(&[][..], |running| &running.segments);
        let segments = segments.iter().filter(|segment| which.contains(&segment.id));
        segments.map(|s| if s.is_closed { s.clone() } else { without_fragments(s) }).collect()
    }

    pub(super) fn add(&self, recording: RecordingId, segment: SegmentFile) {
        if let Some(running) = self.lock().get_mut(&recording) {
            running.segments.push(segment);
        }
    }

    /// Changes one segment, and gives what `change` gives.
    pub(super) fn change<T>(
        &self,
        recording: RecordingId,
        id: SegmentId,
        change: impl FnOnce(&mut SegmentFile) -> T,
    ) -> Option<T> {
        let mut board = self.lock();
        let segments = &mut board.get_mut(&recording)?.segments;
        segments.iter_mut().find(|segment| segment.id == id).map(change)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RecordingId, Running>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn without_fragments(segment: &SegmentFile) -> SegmentFile {
    SegmentFile {
        path: segment.path.clone(),
        mime: segment.mime.clone(),
        fragments: Vec::new(),
        ..*segment
    }
}
