//! The task of one recording: from the tap to the disk, until it is told to stop, the lesson is
//! over, or the disk gives up.
//!
//! ```text
//!   tap ─▶ tracks ─▶ waiting jobs ─▶ batch in flight (a blocking thread) ─▶ board, Event
//!                       bounded          one at a time                    └─▶ rows, 1 a second
//! ```
//!
//! The slower the disk, the larger the batches: a batch is whatever came while the last one was
//! written, synced once. What waits is bounded by [`MAX_WAITING_BYTES`]; beyond it the recording
//! ends with [`Fault::DiskTooSlow`], for a fragment left out would tear the file. The loop itself
//! waits for nothing but its inputs, so that the tap is always emptied.

use std::{
    collections::{BTreeSet, HashMap},
    future::pending,
    sync::Arc,
    time::Duration,
};

use serde_json::json;
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

use super::{
    About, Fault, SegmentFile, SegmentId, Status, TrackKind,
    board::Board,
    container::whole_ms,
    files::{Files, FilesError, Job},
    folder,
    metadata::{Metadata, Standing},
    store,
    track::{Cut, Output, Track},
};
use crate::{
    broadcast::tap::{Tap, Tapped, TappedTrack, TrackId},
    db::DbError,
    events::{Event, Fragment},
    floor::Floor,
    health::Severity,
    http::problem::chain,
};

/// Bytes that may wait for the disk: more than ten seconds of the richest stream, so that an SD
/// card may think for a while.
const MAX_WAITING_BYTES: usize = 32 << 20;

/// How often to look for what waited long enough.
const TICK: Duration = Duration::from_millis(250);

/// Rows are written so often, in ticks.
const SAVE_EVERY: u32 = 4;

/// What the service says to a recorder.
#[derive(Debug)]
pub(super) enum Order {
    Event(serde_json::Value),
    Stop,
}

/// Orders that may wait. The loop takes them at once; full, an order is dropped and said so.
pub(super) const ORDERS: usize = 64;

#[derive(Debug)]
pub(super) struct Recorder {
    floor: Floor,
    board: Board,
    about: Arc<About>,
    /// By the clock's monotonic time.
    start: Duration,
    tracks: HashMap<TrackId, Live>,
    /// Every segment so far, as it was when it was opened.
    opened: Vec<SegmentFile>,
    waiting: Waiting,
    /// `None` while a batch is in flight.
    files: Option<Files>,
    flight: Option<JoinHandle<Landed>>,
    saving: Option<JoinHandle<Result<(), DbError>>>,
    /// Segments whose row is behind.
    unsaved: BTreeSet<SegmentId>,
}

#[derive(Debug)]
struct Live {
    kind: TrackKind,
    track: Track,
    segment: Option<SegmentId>,
}

/// Jobs for the disk, and what is to be told when they are done.
#[derive(Debug, Default)]
struct Waiting {
    jobs: Vec<Job>,
    done: Vec<Done>,
    bytes: usize,
}

/// What a job means once it is on disk.
#[derive(Debug)]
enum Done {
    Opened(SegmentFile),
    Grew { segment: SegmentId, at_us: u64, end_us: u64, length: u64, frames: u64, keyframe: bool },
    Closed(SegmentId),
}

#[derive(Debug)]
struct Landed {
    files: Files,
    done: Vec<Done>,
    result: Result<(), FilesError>,
}

/// Why the loop ended.
enum End {
    Stopped,
    LessonOver,
    Fault(Fault),
}

impl Recorder {
    /// The folder is there, the row too.
    pub(super) fn new(floor: Floor, board: Board, about: About, start: Duration) -> Self {
        let storage = &floor.config.storage;
        let folder = storage.recordings_dir.join(&about.storage_path);
        let files = Files::new(folder, storage.min_free_mb << 20);
        board.open(about.recording_id, about.lesson_id);
        Self {
            floor,
            board,
            about: Arc::new(about),
            start,
            tracks: HashMap::new(),
            opened: Vec::new(),
            waiting: Waiting::default(),
            files: Some(files),
            flight: None,
            saving: None,
            unsaved: BTreeSet::new(),
        }
    }

    /// Ends when everything is closed and written down.
    #[tracing::instrument(name = "recording", skip_all, fields(
        recording.id = %self.about.recording_id, lesson.id = %self.about.lesson_id))]
    pub(super) async fn run(mut self, tap: Tap, orders: mpsc::Receiver<Order>) {
        tracing::info!("recording to {}", self.about.storage_path);
        self.describe();
        let fault = match self.follow(tap, orders).await {
            End::Stopped | End::LessonOver => None,
            End::Fault(fault) => Some(fault),
        };
        let fault = self.close(fault).await;
        self.conclude(fault).await;
    }

    async fn follow(&mut self, mut tap: Tap, mut orders: mpsc::Receiver<Order>) -> End {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut until_save = SAVE_EVERY;
        loop {
            self.take_off();
            tokio::select! {
                tapped = tap.recv() => match tapped {
                    Some(tapped) => self.take(tapped),
                    None => return End::LessonOver,
                },
                landed = finished(&mut self.flight) => {
                    if let Err(fault) = self.land(landed) {
                        return End::Fault(fault);
                    }
                }
                saved = finished(&mut self.saving) => report(saved),
                order = orders.recv() => match order {
                    Some(Order::Event(event)) => self.note(&event),
                    Some(Order::Stop) | None => {
                        self.drain(&mut tap);
                        return End::Stopped;
                    }
                },
                _ = ticks.tick() => {
                    self.tick();
                    until_save -= 1;
                    if until_save == 0 {
                        until_save = SAVE_EVERY;
                        self.save();
                    }
                }
            }
            if self.waiting.bytes > MAX_WAITING_BYTES {
                return End::Fault(Fault::DiskTooSlow);
            }
        }
    }

    /// What was on air before the order to stop is recorded still; what comes meanwhile is not.
    fn drain(&mut self, tap: &mut Tap) {
        for _ in 0..tap.len() {
            if let Ok(tapped) = tap.try_recv() {
                self.take(tapped);
            }
        }
    }

    fn take(&mut self, tapped: Tapped) {
        let now = self.floor.clock.monotonic();
        match tapped {
            Tapped::Started(TappedTrack { id, kind, codec, .. }) => {
                let kind = TrackKind::from(kind);
                // One track of a kind at a time, whatever the broadcast says.
                self.end_tracks(now, |live| live.kind == kind);
                let track = Track::new(codec, self.start, now);
                self.tracks.insert(id, Live { kind, track, segment: None });
            }
            Tapped::Packet(packet) => {
                let id = packet.track;
                if let Some(live) = self.tracks.get_mut(&id) {
                    let outputs = live.track.push(packet);
                    self.put(id, outputs);
                }
            }
            Tapped::Ended(id) => {
                if let Some(live) = self.tracks.get_mut(&id) {
                    let outputs = live.track.finish(now);
                    self.put(id, outputs);
                    self.forget(id);
                }
            }
        }
    }

    fn end_tracks(&mut self, now: Duration, which: impl Fn(&Live) -> bool) {
        let ids: Vec<_> =
            self.tracks.iter().filter(|(_, live)| which(live)).map(|(id, _)| *id).collect();
        for id in ids {
            if let Some(live) = self.tracks.get_mut(&id) {
                let outputs = live.track.finish(now);
                self.put(id, outputs);
                self.forget(id);
            }
        }
    }

    fn forget(&mut self, id: TrackId) {
        let Some(live) = self.tracks.remove(&id) else { return };
        let (lost, dropped) = live.track.losses();
        if lost > 0 {
            let kind = live.kind;
            tracing::warn!(lost, dropped, "{kind:?}: {lost} packets did not reach the recorder");
        }
    }

    fn tick(&mut self) {
        let now = self.floor.clock.monotonic();
        let ids: Vec<_> = self.tracks.keys().copied().collect();
        for id in ids {
            if let Some(live) = self.tracks.get_mut(&id) {
                let outputs = live.track.tick(now);
                self.put(id, outputs);
            }
        }
    }

    /// Makes jobs of what a track gave.
    fn put(&mut self, id: TrackId, outputs: Vec<Output>) {
        for output in outputs {
            let Some(live) = self.tracks.get_mut(&id) else { return };
            match output {
                Output::Open { format, start_us, head } => {
                    let kind = live.kind;
                    let number = 1 + self.opened.iter().filter(|file| file.kind == kind).count();
                    let file = SegmentFile {
                        id: self.floor.clock.id(),
                        kind,
                        path: folder::segment_path(kind, number, format.extension()),
                        mime: format.mime(),
                        size: format.size(),
                        offset_ms: whole_ms(start_us),
                        duration_ms: 0,
                        size_bytes: head.len() as u64,
                        init_bytes: head.len() as u64,
                        frame_count: 0,
                        is_closed: false,
                        fragments: Vec::new(),
                    };
                    live.segment = Some(file.id);
                    self.open(file, head);
                }
                Output::Append(cut) => {
                    if let Some(segment) = live.segment {
                        self.waiting.append(segment, cut);
                    }
                }
                Output::Close => {
                    if let Some(segment) = live.segment.take() {
                        self.waiting.push(Job::Close { segment });
                        self.waiting.done.push(Done::Closed(segment));
                    }
                }
            }
        }
    }

    /// The description goes first: a file that lies there is always described.
    fn open(&mut self, file: SegmentFile, head: Vec<u8>) {
        self.opened.push(file.clone());
        self.describe();
        self.waiting.push(Job::Open { segment: file.id, path: file.path.clone(), head });
        self.waiting.done.push(Done::Opened(file));
    }

    fn note(&mut self, event: &serde_json::Value) {
        let clock = &self.floor.clock;
        let offset = clock.monotonic().saturating_sub(self.start);
        let line = json!({
            "at": clock.now(),
            "offset_ms": whole_ms(u64::try_from(offset.as_micros()).unwrap_or(0)),
            "event": event,
        });
        self.waiting.push(Job::Event(format!("{line}\n").into_bytes()));
    }

    /// Sends what waits to the disk, if nothing is under way.
    fn take_off(&mut self) {
        if self.waiting.jobs.is_empty() {
            return;
        }
        let Some(mut files) = self.files.take() else { return };
        let Waiting { jobs, done, .. } = std::mem::take(&mut self.waiting);
        self.flight = Some(tokio::task::spawn_blocking(move || {
            let result = files.run(&jobs);
            Landed { files, done, result }
        }));
    }

    /// Tells of what is on disk now.
    fn land(&mut self, landed: Option<Landed>) -> Result<(), Fault> {
        // The thread panicked: nothing is known of the files.
        let Some(Landed { files, done, result }) = landed else { return Err(Fault::DiskFailed) };
        self.files = Some(files);
        if let Err(error) = result {
            tracing::error!(error = %chain(&error), "recording cannot go on: {}", chain(&error));
            return Err(error.fault());
        }
        done.into_iter().for_each(|done| self.tell(done));
        Ok(())
    }

    fn tell(&mut self, done: Done) {
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
    fn save(&mut self) {
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

    /// Closes the files. A fault on the way there is the recording's.
    async fn close(&mut self, fault: Option<Fault>) -> Option<Fault> {
        if fault.is_some() {
            // No room for more, or no order in it: what is on disk is what there is.
            self.waiting = Waiting::default();
        } else {
            self.end_tracks(self.floor.clock.monotonic(), |_| true);
        }
        let mut fault = fault;
        loop {
            self.take_off();
            if self.flight.is_none() {
                return fault;
            }
            let landed = finished(&mut self.flight).await;
            if let Err(later) = self.land(landed) {
                self.waiting = Waiting::default();
                fault = fault.or(Some(later));
            }
        }
    }

    /// Writes down how it ended.
    async fn conclude(&mut self, fault: Option<Fault>) {
        let recording = self.about.recording_id;
        let mut segments = self.segments();
        segments.iter_mut().for_each(|segment| segment.is_closed = true);
        let plays = segments.iter().any(|segment| segment.frame_count > 0);
        let standing = Standing {
            status: if plays { Status::Ready } else { Status::Failed },
            fault: fault.or((!plays).then_some(Fault::NothingRecorded)),
            ended_at: Some(self.floor.clock.now()),
        };
        self.raise(fault);
        let processing = Standing { status: Status::Processing, ..standing };
        self.stand(processing, segments.clone()).await;
        let text = self.metadata(standing, &segments);
        let path = self.folder().join(folder::METADATA);
        let replaced = tokio::task::spawn_blocking(move || folder::replace(&path, &text)).await;
        if !matches!(replaced, Ok(Ok(()))) {
            tracing::warn!("the recording's description is out of date: {replaced:?}");
        }
        self.stand(standing, Vec::new()).await;
        self.board.close(recording);
        self.changed();
        tracing::info!("recording ended: {:?}, fault {:?}", standing.status, standing.fault);
    }

    async fn stand(&mut self, standing: Standing, segments: Vec<SegmentFile>) {
        report(finished_or_none(&mut self.saving).await);
        let recording = self.about.recording_id;
        let written = self.floor.db.write(move |tx| {
            store::set_standing(tx, recording, standing)?;
            store::save_segments(tx, recording, &segments)
        });
        report(Some(written.await));
        self.changed();
    }

    fn raise(&self, fault: Option<Fault>) {
        let health = &self.floor.health;
        let lesson = self.about.lesson_id;
        let detail = match fault {
            None | Some(Fault::Interrupted | Fault::NothingRecorded) => return,
            Some(Fault::DiskFull) => {
                let detail = "No room is left for recordings: lessons go on, but are not recorded.";
                return health.raise("disk_full", Severity::Error, detail);
            }
            Some(Fault::DiskFailed) => "the disk could not be written to",
            Some(Fault::DiskTooSlow) => "the disk was too slow for it",
        };
        let detail = format!("The recording of lesson {lesson} ended early: {detail}.");
        health.raise(super::RECORDING_FAILED, Severity::Error, detail);
    }

    fn describe(&mut self) {
        let standing = Standing { status: Status::Recording, fault: None, ended_at: None };
        let text = self.metadata(standing, &self.opened);
        self.waiting.push(Job::Describe(text));
    }

    fn metadata(&self, standing: Standing, segments: &[SegmentFile]) -> Vec<u8> {
        Metadata::new(self.floor.box_id, &self.about, standing, segments).to_bytes()
    }

    fn folder(&self) -> std::path::PathBuf {
        self.floor.config.storage.recordings_dir.join(&self.about.storage_path)
    }

    fn segments(&self) -> Vec<SegmentFile> {
        self.board.segments(self.about.recording_id).unwrap_or_default()
    }

    fn changed(&self) {
        let (recording_id, lesson_id) = (self.about.recording_id, self.about.lesson_id);
        self.floor.events.tell(Event::RecordingChanged { recording_id, lesson_id });
    }
}

impl Waiting {
    fn push(&mut self, job: Job) {
        self.bytes += job.bytes();
        self.jobs.push(job);
    }

    fn append(&mut self, segment: SegmentId, cut: Cut) {
        let Cut { bytes, frames, at_us, end_us, keyframe } = cut;
        let length = bytes.len() as u64;
        self.push(Job::Append { segment, bytes });
        self.done.push(Done::Grew { segment, at_us, end_us, length, frames, keyframe });
    }
}

/// What the task gave, `None` if it panicked; never while there is none. Cancel-safe.
async fn finished<T>(task: &mut Option<JoinHandle<T>>) -> Option<T> {
    let Some(running) = task else { return pending().await };
    let result = running.await;
    *task = None;
    result.ok()
}

/// The same, but at once where there is none.
async fn finished_or_none<T>(task: &mut Option<JoinHandle<T>>) -> Option<T> {
    if task.is_none() { None } else { finished(task).await }
}

/// Rows that are behind do no harm: the next start's salvage reads the files.
fn report(saved: Option<Result<(), DbError>>) {
    if let Some(Err(error)) = saved {
        tracing::warn!(error = %chain(&error), "recording's rows are behind: {}", chain(&error));
    }
}
