//! The task of one recording: from the tap to the disk, until it is told to stop, the lesson is
//! over, or the disk gives up.
//!
//! ```text
//!   tap ─▶ tracks ─▶ waiting jobs ─▶ batch in flight (a blocking thread) ─▶ ledger
//!                       bounded          one at a time
//! ```
//!
//! It takes from the tap from its first moment on; the first batch takes off when the recording
//! has its folder and its row.
//!
//! The slower the disk, the larger the batches: a batch is whatever came while the last one was
//! written, synced once. What waits is bounded by [`MAX_WAITING_BYTES`]; beyond it the recording
//! ends with [`Fault::DiskTooSlow`], for a fragment left out would tear the file. Where no file is
//! begun yet nothing can be torn: then it forgets what waits and starts over at the next keyframes.
//! The loop itself waits for nothing but its inputs, so that the tap is always emptied.

mod begin;
mod ledger;

use std::{collections::HashMap, future::pending, time::Duration};

use serde_json::json;
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

use self::{
    begin::{BeginError, Place, begin},
    ledger::{Ledger, report},
};
use super::{
    About, Fault, SegmentFile, SegmentId, TrackKind,
    board::Board,
    container::whole_ms,
    files::{Files, FilesError, Job},
    folder,
    media::Format,
    track::{Cut, Output, Track},
};
use crate::{
    broadcast::tap::{Tap, Tapped, TappedTrack, TrackId},
    clock::Clock,
    floor::Floor,
    logging::{self, chain},
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
    clock: Clock,
    /// The recording's, by the clock's monotonic time.
    start: Duration,
    tracks: HashMap<TrackId, Live>,
    waiting: Waiting,
    /// The folder and the row that are being made.
    beginning: Option<JoinHandle<Result<Place, BeginError>>>,
    /// `None` meanwhile, and while a batch is in flight.
    files: Option<Files>,
    flight: Option<JoinHandle<Landed>>,
    ledger: Ledger,
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
    /// What there is has changed. The description goes before the jobs: a file that lies there is
    /// always described.
    is_to_describe: bool,
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
    /// It is on the board; neither folder nor row is there. `start` is when it was asked for.
    pub(super) fn new(floor: Floor, board: Board, about: About, start: Duration) -> Self {
        let beginning = begin(floor.clone(), board.clone(), about.clone());
        Self {
            clock: floor.clock.clone(),
            start,
            tracks: HashMap::new(),
            waiting: Waiting::default(),
            beginning: Some(tokio::spawn(beginning)),
            files: None,
            flight: None,
            ledger: Ledger::new(floor, board, about),
        }
    }

    /// Ends when everything is closed and written down.
    pub(super) async fn run(mut self, tap: Tap, orders: mpsc::Receiver<Order>) {
        let fault = match self.follow(tap, orders).await {
            End::Stopped | End::LessonOver => None,
            End::Fault(fault) => Some(fault),
        };
        let fault = self.close(fault).await;
        self.ledger.conclude(fault).await;
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
                place = finished(&mut self.beginning) => {
                    if let Err(fault) = self.settle(place) {
                        return End::Fault(fault);
                    }
                }
                landed = finished(&mut self.flight) => {
                    if let Err(fault) = self.land(landed) {
                        return End::Fault(fault);
                    }
                }
                saved = finished(&mut self.ledger.saving) => report(saved),
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
                        self.ledger.save();
                    }
                }
            }
            if self.waiting.bytes > MAX_WAITING_BYTES {
                if self.beginning.is_none() {
                    return End::Fault(Fault::DiskTooSlow);
                }
                self.start_over();
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
        match tapped {
            Tapped::Started(TappedTrack { id, kind, codec, .. }) => {
                let kind = TrackKind::from(kind);
                // One track of a kind at a time: word of the last one's end may have been lost.
                self.end_tracks(|_, live| live.kind == kind);
                let track = Track::new(codec, self.start, self.clock.monotonic());
                self.tracks.insert(id, Live { kind, track, segment: None });
            }
            Tapped::Packet(packet) => self.hear(packet.track, |track| track.push(packet)),
            Tapped::Ended(ended) => self.end_tracks(|id, _| id == ended),
        }
    }

    fn tick(&mut self) {
        let now = self.clock.monotonic();
        let ids: Vec<_> = self.tracks.keys().copied().collect();
        for id in ids {
            self.hear(id, |track| track.tick(now));
        }
    }

    fn end_tracks(&mut self, which: impl Fn(TrackId, &Live) -> bool) {
        let now = self.clock.monotonic();
        let ending = self.tracks.iter().filter(|(id, live)| which(**id, live));
        let ids: Vec<_> = ending.map(|(id, _)| *id).collect();
        for id in ids {
            self.hear(id, |track| track.finish(now));
            let Some(live) = self.tracks.remove(&id) else { continue };
            let (lost, dropped) = live.track.losses();
            if lost > 0 {
                let kind = live.kind;
                tracing::warn!(
                    lost,
                    dropped,
                    "{kind:?}: {lost} packets did not reach the recorder"
                );
            }
        }
    }

    /// Makes jobs of what a track gives.
    fn hear(&mut self, id: TrackId, give: impl FnOnce(&mut Track) -> Vec<Output>) {
        let Some(live) = self.tracks.get_mut(&id) else { return };
        for output in give(&mut live.track) {
            match (output, live.segment) {
                (Output::Open { format, start_us, head }, _) => {
                    let path = numbered(&self.ledger, live.kind, &format);
                    let file = opened(self.clock.id(), live.kind, path, &format, start_us, &head);
                    live.segment = Some(file.id);
                    self.ledger.open(file.clone());
                    self.waiting.is_to_describe = true;
                    self.waiting.open(file, head);
                }
                (Output::Append(cut), Some(segment)) => self.waiting.append(segment, cut),
                (Output::Close, Some(segment)) => {
                    live.segment = None;
                    self.waiting.push(Job::Close { segment });
                    self.waiting.done.push(Done::Closed(segment));
                }
                // A track opens before it does anything else.
                (Output::Append(_) | Output::Close, None) => {}
            }
        }
    }

    fn note(&mut self, event: &serde_json::Value) {
        let offset = self.clock.monotonic().saturating_sub(self.start);
        let line = json!({
            "at": self.clock.now(),
            "offset_ms": whole_ms(u64::try_from(offset.as_micros()).unwrap_or(0)),
            "event": event,
        });
        self.waiting.push(Job::Event(format!("{line}\n").into_bytes()));
    }

    /// The folder and the row are there.
    fn settle(&mut self, place: Option<Result<Place, BeginError>>) -> Result<(), Fault> {
        match place.unwrap_or(Err(BeginError::Died)) {
            Ok(Place { files, storage_path }) => {
                tracing::info!("recording begins");
                self.files = Some(files);
                self.ledger.begin(storage_path);
                self.waiting.is_to_describe = true;
                Ok(())
            }
            Err(error) => {
                let cause = chain(&error);
                tracing::error!(error = %cause, "recording cannot begin: {cause}");
                Err(error.fault())
            }
        }
    }

    /// Forgets what waits for a disk that has not answered yet: nobody was told of it. Each track
    /// begins anew with its next keyframe.
    fn start_over(&mut self) {
        tracing::warn!("the disk keeps a recording waiting: what was on air so far is not in it");
        let now = self.clock.monotonic();
        self.waiting = Waiting::default();
        self.ledger.start_over();
        for live in self.tracks.values_mut() {
            live.track.start_over(now);
            live.segment = None;
        }
    }

    /// Sends what waits to the disk, if nothing is under way.
    fn take_off(&mut self) {
        if self.waiting.jobs.is_empty() && !self.waiting.is_to_describe {
            return;
        }
        let Some(mut files) = self.files.take() else { return };
        let Waiting { is_to_describe, mut jobs, done, .. } = std::mem::take(&mut self.waiting);
        if is_to_describe {
            jobs.insert(0, Job::Describe(self.ledger.description()));
        }
        self.flight = Some(logging::spawn_blocking(move || {
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
        for done in done {
            self.ledger.tell(done);
        }
        Ok(())
    }

    /// Closes the files. A fault on the way there is the recording's.
    async fn close(&mut self, mut fault: Option<Fault>) -> Option<Fault> {
        if fault.is_some() {
            // No room for more, or no order in it: what is on disk is what there is.
            self.waiting = Waiting::default();
        } else {
            self.end_tracks(|_, _| true);
        }
        if self.beginning.is_some() {
            let place = finished(&mut self.beginning).await;
            if let Err(refused) = self.settle(place) {
                fault = fault.or(Some(refused));
            }
        }
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
}

impl Waiting {
    fn push(&mut self, job: Job) {
        self.bytes += job.bytes();
        self.jobs.push(job);
    }

    fn open(&mut self, file: SegmentFile, head: Vec<u8>) {
        self.push(Job::Open { segment: file.id, path: file.path.clone(), head });
        self.done.push(Done::Opened(file));
    }

    fn append(&mut self, segment: SegmentId, cut: Cut) {
        let Cut { bytes, frames, at_us, end_us, keyframe } = cut;
        let length = bytes.len() as u64;
        self.push(Job::Append { segment, bytes });
        self.done.push(Done::Grew { segment, at_us, end_us, length, frames, keyframe });
    }
}

/// The path of the next segment of this kind.
fn numbered(ledger: &Ledger, kind: TrackKind, format: &Format) -> String {
    let before = ledger.opened().iter().filter(|file| file.kind == kind).count();
    folder::segment_path(kind, before + 1, format.extension())
}

/// A file with nothing but its head.
fn opened(
    id: SegmentId,
    kind: TrackKind,
    path: String,
    format: &Format,
    start_us: u64,
    head: &[u8],
) -> SegmentFile {
    SegmentFile {
        id,
        kind,
        path,
        mime: format.mime(),
        size: format.size(),
        offset_ms: whole_ms(start_us),
        duration_ms: 0,
        size_bytes: head.len() as u64,
        init_bytes: head.len() as u64,
        frame_count: 0,
        is_closed: false,
        fragments: Vec::new(),
    }
}

/// What the task gave, `None` if it panicked; never while there is none. Cancel-safe.
async fn finished<T>(task: &mut Option<JoinHandle<T>>) -> Option<T> {
    let Some(running) = task else { return pending().await };
    let result = running.await;
    *task = None;
    result.ok()
}
