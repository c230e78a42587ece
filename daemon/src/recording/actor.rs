//! The service: starts a recorder for a lesson, passes orders on to it, and knows when it ended.
//!
//! It holds no more than who records what, and waits for no disk: everything slow is the recorders'
//! own business, or the salvage's, which runs beside.

use std::{collections::HashMap, time::Duration};

use alfarid_protocol::id::{LessonId, RecordingId};
use tokio::{
    sync::{mpsc, oneshot},
    task::{Id, JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{
    About, Fault, Handle,
    board::Board,
    export::Exporter,
    recorder::{ORDERS, Order, Recorder},
    salvage,
};
use crate::{broadcast::tap::Tap, floor::Floor, logging};

/// Commands that may wait: lessons start and stop a few times a day. Full: the next caller waits.
const COMMANDS: usize = 64;

/// How long recorders may take to close their files when the box stops.
const CLOSING: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) enum Command {
    /// It is on the board already; asked for at `start`, by the clock's monotonic time.
    Start {
        about: About,
        start: Duration,
        tap: Tap,
    },
    Stop {
        lesson: LessonId,
        reply: oneshot::Sender<()>,
    },
    Event {
        lesson: LessonId,
        event: serde_json::Value,
    },
}

/// The one task that knows which lessons are being recorded.
#[derive(Debug)]
pub struct Service {
    floor: Floor,
    board: Board,
    exporter: Exporter,
    commands: mpsc::Receiver<Command>,
    /// More than one of a lesson while an earlier one still closes its files.
    running: HashMap<RecordingId, Running>,
    recorders: JoinSet<()>,
}

#[derive(Debug)]
struct Running {
    lesson: LessonId,
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
    let handle = Handle {
        commands: sender,
        board: board.clone(),
        exporter: exporter.clone(),
        floor: floor.clone(),
    };
    let (running, recorders) = (HashMap::new(), JoinSet::new());
    (handle, Service { floor, board, exporter, commands, running, recorders })
}

impl Service {
    /// Runs until `stopping`; then closes every recording.
    pub async fn run(mut self, stopping: CancellationToken) {
        let (floor, board, exporter) =
            (self.floor.clone(), self.board.clone(), self.exporter.clone());
        let mut salvage = Box::pin(salvage::run(floor, board, exporter));
        let mut salvaging = true;
        loop {
            tokio::select! {
                () = stopping.cancelled() => break,
                command = self.commands.recv() => match command {
                    Some(command) => self.obey(command),
                    None => break,
                },
                Some(ended) = self.recorders.join_next_with_id() => self.ended(ended),
                () = &mut salvage, if salvaging => salvaging = false,
            }
        }
        self.close_all().await;
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Start { about, start, tap } => self.start(about, start, tap),
            Command::Stop { lesson, reply } => match self.newest(lesson) {
                Some(running) => {
                    order(running, Order::Stop);
                    running.waiting.push(reply);
                }
                None => {
                    let _ = reply.send(());
                }
            },
            Command::Event { lesson, event } => {
                if let Some(running) = self.newest(lesson) {
                    order(running, Order::Event(event));
                }
            }
        }
    }

    fn start(&mut self, about: About, start: Duration, tap: Tap) {
        let (recording, lesson) = (about.recording_id, about.lesson_id);
        let recorder = Recorder::new(self.floor.clone(), self.board.clone(), about, start);
        let (orders, waiting) = mpsc::channel(ORDERS);
        let span = logging::recording(recording, lesson);
        let task = self.recorders.spawn(recorder.run(tap, waiting).instrument(span)).id();
        self.running.insert(recording, Running { lesson, task, orders, waiting: Vec::new() });
    }

    /// The recorder of a lesson that was started last: ids grow.
    fn newest(&mut self, lesson: LessonId) -> Option<&mut Running> {
        let of_lesson = self.running.iter_mut().filter(|(_, running)| running.lesson == lesson);
        of_lesson.max_by_key(|(recording, _)| **recording).map(|(_, running)| running)
    }

    fn ended(&mut self, ended: Result<(Id, ()), JoinError>) {
        let task = match ended {
            Ok((task, ())) => task,
            Err(error) => {
                tracing::error!(error = %error, "a recorder died: {error}");
                error.id()
            }
        };
        let recording = self.running.iter().find(|(_, running)| running.task == task);
        let Some(recording) = recording.map(|(recording, _)| *recording) else { return };
        let Some(running) = self.running.remove(&recording) else { return };
        // Closed already, but for a recorder that died.
        self.board.close(recording, Some(Fault::DiskFailed));
        for reply in running.waiting {
            // Whoever asked may have gone.
            let _ = reply.send(());
        }
    }

    async fn close_all(mut self) {
        // What was asked for before is still done.
        self.commands.close();
        while let Ok(command) = self.commands.try_recv() {
            self.obey(command);
        }
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
