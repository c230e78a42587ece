//! What is being recorded this moment, and what of it is on disk.
//!
//! Rows in the database are up to a second behind, and a page that was just told of a fragment
//! asks for it at once. The recorder writes here what it wrote to disk, routes read it.
//!
//! ```text
//!   open ─▶ starting ── begun ─▶ recording ─┐
//!              └──────── closing ───────────┴─▶ closing ── close ─▶ gone; its fault stays
//! ```
//!
//! A recording is on the board from before it has a row until after its row says how it ended: one
//! of this run that is not here is over.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use alfarid_protocol::id::{LessonId, RecordingId, TeacherId};

use super::{About, Fault, SegmentFile, SegmentId};

/// Cheap to clone; every clone is the same board. Locked for moments only, never over an await.
#[derive(Clone, Debug, Default)]
pub(super) struct Board(Arc<Mutex<Standings>>);

#[derive(Debug, Default)]
struct Standings {
    running: HashMap<RecordingId, Running>,
    /// Why the last recording of a lesson ended by itself, until somebody has switched it off.
    faults: HashMap<LessonId, Fault>,
}

#[derive(Debug)]
struct Running {
    about: About,
    /// It has a folder and a row.
    has_begun: bool,
    /// It is not to go on: another one of its lesson may start.
    is_closing: bool,
    segments: Vec<SegmentFile>,
    /// When it was asked for, by the daemon's monotonic clock: what its offsets count from.
    start: Duration,
}

impl Board {
    /// `false`: its lesson is being recorded already.
    pub(super) fn open(&self, about: About, start: Duration) -> bool {
        let mut board = self.lock();
        if board.current(about.lesson_id).is_some() {
            return false;
        }
        board.faults.remove(&about.lesson_id);
        let (has_begun, is_closing) = (false, false);
        let id = about.recording_id;
        board
            .running
            .insert(id, Running { about, has_begun, is_closing, segments: Vec::new(), start });
        true
    }

    pub(super) fn begun(&self, recording: RecordingId) {
        if let Some(running) = self.lock().running.get_mut(&recording) {
            running.has_begun = true;
        }
    }

    /// Whoever records `lesson` is told to end.
    pub(super) fn closing(&self, lesson: LessonId) {
        let mut board = self.lock();
        board.faults.remove(&lesson);
        let of_lesson = board.running.values_mut().filter(|r| r.about.lesson_id == lesson);
        of_lesson.for_each(|running| running.is_closing = true);
    }

    /// It is over; `fault` where nobody asked for its end.
    pub(super) fn close(&self, recording: RecordingId, fault: Option<Fault>) {
        let mut board = self.lock();
        let Some(running) = board.running.remove(&recording) else { return };
        if let Some(fault) = fault.filter(|_| !running.is_closing) {
            board.faults.insert(running.about.lesson_id, fault);
        }
    }

    /// What records `lesson`, or is about to.
    pub(super) fn running(&self, lesson: LessonId) -> Option<RecordingId> {
        self.lock().current(lesson)
    }

    /// Why nothing records `lesson` although it was to be recorded.
    pub(super) fn fault(&self, lesson: LessonId) -> Option<Fault> {
        self.lock().faults.get(&lesson).copied()
    }

    /// All that have not ended.
    pub(super) fn ids(&self) -> HashSet<RecordingId> {
        self.lock().running.keys().copied().collect()
    }

    /// What has no row yet, the newest first.
    pub(super) fn starting(&self) -> Vec<About> {
        let board = self.lock();
        let starting = board.running.values().filter(|running| !running.has_begun);
        let mut found: Vec<_> = starting.map(|running| running.about.clone()).collect();
        found.sort_unstable_by_key(|about| std::cmp::Reverse(about.recording_id));
        found
    }

    /// What a recording that has not ended is of.
    pub(super) fn about(&self, recording: RecordingId) -> Option<About> {
        self.lock().running.get(&recording).map(|running| running.about.clone())
    }

    pub(super) fn hand_over(&self, lesson: LessonId, teacher: TeacherId) {
        let mut board = self.lock();
        let of_lesson = board.running.values_mut().filter(|r| r.about.lesson_id == lesson);
        of_lesson.for_each(|running| running.about.teacher_id = teacher);
    }

    /// The segments of a running recording, with their fragments.
    pub(super) fn segments(&self, recording: RecordingId) -> Option<Vec<SegmentFile>> {
        self.lock().running.get(&recording).map(|running| running.segments.clone())
    }

    /// The segments of a running recording so far, and how long it has gone on.
    pub(super) fn so_far(
        &self,
        recording: RecordingId,
        now: Duration,
    ) -> Option<(Vec<SegmentFile>, Duration)> {
        let board = self.lock();
        let running = board.running.get(&recording)?;
        Some((running.segments.clone(), now.saturating_sub(running.start)))
    }

    /// One segment of a running recording, without its fragments.
    pub(super) fn segment(&self, recording: RecordingId, id: SegmentId) -> Option<SegmentFile> {
        let board = self.lock();
        let segments = &board.running.get(&recording)?.segments;
        segments.iter().find(|segment| segment.id == id).map(without_fragments)
    }

    /// The segments `which`, with fragments where they are closed: what their rows say.
    pub(super) fn rows(
        &self,
        recording: RecordingId,
        which: &BTreeSet<SegmentId>,
    ) -> Vec<SegmentFile> {
        let board = self.lock();
        let segments = board.running.get(&recording).map_or(&[][..], |running| &running.segments);
        let segments = segments.iter().filter(|segment| which.contains(&segment.id));
        segments.map(|s| if s.is_closed { s.clone() } else { without_fragments(s) }).collect()
    }

    pub(super) fn add(&self, recording: RecordingId, segment: SegmentFile) {
        if let Some(running) = self.lock().running.get_mut(&recording) {
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
        let segments = &mut board.running.get_mut(&recording)?.segments;
        segments.iter_mut().find(|segment| segment.id == id).map(change)
    }

    fn lock(&self) -> MutexGuard<'_, Standings> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Standings {
    fn current(&self, lesson: LessonId) -> Option<RecordingId> {
        let goes_on = |running: &Running| running.about.lesson_id == lesson && !running.is_closing;
        self.running.iter().find(|(_, running)| goes_on(running)).map(|(id, _)| *id)
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
