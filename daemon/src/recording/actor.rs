//! The service: starts a recorder for a lesson, passes orders on to it, and knows when it ended.
//!
//! It holds no more than who records what. Everything slow is the recorders' own business, but for
//! making a folder and a row when one starts.

use std::{collections::HashMap, time::Duration};

use alfarid_protocol::id::{LessonId, RecordingId};
use tokio::{
    sync::{mpsc, oneshot},
    task::{Id, JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{
    About, Error, Handle, NewRecording, RECORDING_FAILED, Status,
    board::Board,
    export::Exporter,
    folder,
    recorder::{ORDERS, Order, Recorder},
    salvage, store,
};
use crate::{broadcast::tap::Tap, floor::Floor};

/// Commands that may wait: lessons start and stop a few times a day. Full: the next caller waits.
const COMMANDS: usize = 64;

/// How long recorders may take to close their files when the box stops.
const CLOSING: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) enum Command {
    Start { new: NewRecording, tap: Tap, reply: oneshot::Sender<Result<RecordingId, Error>> },
    Stop { lesson: LessonId, reply: oneshot::Sender<()> },
    Event { lesson: LessonId, event: serde_json::Value },
}

/// The one task that knows which lessons are being recorded.
#[derive(Debug)]
pub struct Service {
    floor: Floor,
    board: Board,
    commands: mpsc::Receiver<Command>,
    running: HashMap<LessonId, Running>,
    recorders: JoinSet<()>,
}

#[derive(Debug)]
struct Running {
    recording: RecordingId,
    task: Id,
    orders: mpsc::Sender<Order>,
    /// Who waits for its end.
    waiting: Vec<oneshot::Sender<()>>,
}

/// Nothing is recorded, and nothing salvaged, before [`Service::run`].
pub fn new(floor: Floor) -> (Handle, Service) {
    let (sender, commands) = mpsc::channel(COMMANDS);
    let board = Board::default();
    let exporter = Exporter::new(floor.config.storage.clone(), floor.clock.clone());
    let handle = Handle { commands: sender, board: board.clone(), exporter, floor: floor.clone() };
    let recorders = JoinSet::new();
    (handle, Service { floor, board, commands, running: HashMap::new(), recorders })
}

impl Service {
    /// Runs until `stopping`; then closes every recording.
    pub async fn run(mut self, stopping: CancellationToken) {
        let torn = salvage::survey(&self.floor).await;
        let mut salvage = Box::pin(salvage::run(self.floor.clone(), torn));
        let mut salvaging = true;
        loop {
            tokio::select! {
                () = stopping.cancelled() => break,
                () = &mut salvage, if salvaging => salvaging = false,
                command = self.commands.recv() => match command {
                    Some(command) => self.obey(command).await,
                    None => break,
                },
                Some(ended) = self.recorders.join_next_with_id() => self.ended(ended),
            }
        }
        self.close_all().await;
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Start { new, tap, reply } => {
                let started = self.start(new, tap).await;
                // A lesson that does not wait for the answer is recorded all the same.
                let _ = reply.send(started);
            }
            Command::Stop { lesson, reply } => match self.running.get_mut(&lesson) {
                Some(running) => {
                    order(running, Order::Stop);
                    running.waiting.push(reply);
                }
                None => {
                    let _ = reply.send(());
                }
            },
            Command::Event { lesson, event } => {
                if let Some(running) = self.running.get(&lesson) {
                    order(running, Order::Event(event));
                }
            }
        }
    }

    async fn start(&mut self, new: NewRecording, tap: Tap) -> Result<RecordingId, Error> {
        if self.running.contains_key(&new.lesson) {
            return Err(Error::AlreadyRecording(new.lesson));
        }
        let start = self.floor.clock.monotonic();
        let storage_path = self.make_folder(&new).await?;
        let about = About {
            recording_id: self.floor.clock.id(),
            lesson_id: new.lesson,
            teacher_id: new.teacher,
            title: new.title,
            class_name: new.class_name,
            teacher_name: new.teacher_name,
            storage_path,
            started_at: self.floor.clock.now(),
            clock_was_sure: self.floor.clock.is_sure(),
        };
        let row = about.clone();
        let insert =
            move |tx: &rusqlite::Transaction<'_>| store::insert(tx, &row, Status::Recording);
        self.floor.db.write(insert).await?;
        self.floor.health.clear(RECORDING_FAILED);
        let recording = about.recording_id;
        let recorder = Recorder::new(self.floor.clone(), self.board.clone(), about, start);
        let (orders, waiting) = mpsc::channel(ORDERS);
        let span = tracing::info_span!(
            "recording", recording.id = %recording, lesson.id = %new.lesson,
        );
        let task = self.recorders.spawn(recorder.run(tap, waiting).instrument(span)).id();
        self.running.insert(new.lesson, Running { recording, task, orders, waiting: Vec::new() });
        Ok(recording)
    }

    async fn make_folder(&self, new: &NewRecording) -> Result<String, Error> {
        let (teacher, lesson) = (new.teacher, new.lesson);
        let failed = move |source| Error::CreateFolder { lesson, source };
        let storage = self.floor.config.storage.clone();
        let made = tokio::task::spawn_blocking(move || {
            let recordings = &storage.recordings_dir;
            std::fs::create_dir_all(recordings).map_err(failed)?;
            let free_mb = folder::free_bytes(recordings).map_err(failed)? >> 20;
            if free_mb < storage.min_free_mb {
                return Err(Error::DiskFull { free_mb });
            }
            folder::create(recordings, teacher, lesson).map_err(failed)
        });
        made.await.map_err(|_| Error::Stopped)?
    }

    fn ended(&mut self, ended: Result<(Id, ()), JoinError>) {
        let task = match ended {
            Ok((task, ())) => task,
            Err(error) => {
                tracing::error!(error = %error, "a recorder died: {error}");
                error.id()
            }
        };
        let lesson = self.running.iter().find(|(_, running)| running.task == task);
        let Some(lesson) = lesson.map(|(lesson, _)| *lesson) else { return };
        let Some(running) = self.running.remove(&lesson) else { return };
        // Closed already, but for a recorder that died.
        self.board.close(running.recording);
        for reply in running.waiting {
            // Whoever asked may have gone.
            let _ = reply.send(());
        }
    }

    async fn close_all(mut self) {
        self.running.values().for_each(|running| order(running, Order::Stop));
        let closed = async {
            while let Some(ended) = self.recorders.join_next_with_id().await {
                self.ended(ended);
            }
        };
        if tokio::time::timeout(CLOSING, closed).await.is_err() {
            tracing::warn!("recordings did not close in time; the next start reads them back");
        }
    }
}

fn order(running: &Running, order: Order) {
    if let Err(error) = running.orders.try_send(order) {
        tracing::debug!(error = %error, "a recorder that is ending takes no more orders");
    }
}
