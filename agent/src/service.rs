//! The service: its parts put together, started, watched and ended.
//!
//! ```text
//!   start: clock, socket, tasks ──▶ READY=1 ──▶ until SIGTERM or SIGINT, or a task ends
//!   end:   recorder (closes the span) ──▶ link (sends it) ──▶ exit
//! ```
//!
//! Ready does not wait for a box: a machine without one is in order. A task that ends by itself is
//! a fault; the process then exits with an error and systemd starts it again.

use std::{io, path::PathBuf, time::Duration};

use sd_notify::NotifyState;
use thiserror::Error;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::{Clock, ClockError},
    exchange::exchanges,
    identity::StateDir,
    link::Link,
    players::{Players, PlayersError},
    presence::{PresenceError, Recorder, SeatSource},
    reception::Reception,
};

/// From the link to reception. Kept pictures are the largest: at most 64 KiB each.
const ORDERS: usize = 16;

/// From reception to the link: one report a second and a word at each grant.
const OUTGOING: usize = 16;

/// From the link to the recorder: one for each message of marks.
const ACKNOWLEDGED: usize = 4;

/// The watchdog is fed this often where systemd does not say.
const WATCHDOG_OTHERWISE: Duration = Duration::from_secs(10);

/// How long the last mark may take to the disk, and how long the link may take to say goodbye.
const END_WITHIN: Duration = Duration::from_secs(3);

#[derive(Debug, Error)]
pub enum ServiceError {
    #[error("read the machine's clock")]
    Clock(#[from] ClockError),
    #[error("open the player's socket")]
    Players(#[from] PlayersError),
    #[error("record presence")]
    Presence(#[from] PresenceError),
    #[error("wait for signals")]
    Signals(#[source] io::Error),
    #[error("the task of {0} ended by itself")]
    TaskEnded(&'static str),
}

/// How the service is to run.
#[derive(Clone, Debug)]
pub struct Service {
    pub state: PathBuf,
    pub runtime: PathBuf,
    /// Join groups on this interface, whichever reaches the box.
    pub interface: Option<String>,
    /// Listen to mDNS while no box is connected.
    pub discovery: bool,
    /// Where the session in front is learnt from.
    pub seat: SeatSource,
    /// How often an open span gets a checkpoint.
    pub checkpoint: Duration,
}

impl Service {
    /// Serves until SIGTERM or SIGINT.
    pub async fn run(self) -> Result<(), ServiceError> {
        let mut terminate = signal(SignalKind::terminate()).map_err(ServiceError::Signals)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(ServiceError::Signals)?;
        let mut parts = self.start()?;
        notify(&[NotifyState::Ready]);
        let every = sd_notify::watchdog_enabled().map_or(WATCHDOG_OTHERWISE, |limit| limit / 2);
        let mut watchdog = interval(every);
        watchdog.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let fault = loop {
            tokio::select! {
                _ = terminate.recv() => break None,
                _ = interrupt.recv() => break None,
                _ = watchdog.tick() => notify(&[NotifyState::Watchdog]),
                fault = parts.fault() => break Some(fault),
            }
        };
        notify(&[NotifyState::Stopping]);
        match fault {
            Some(fault) => Err(fault),
            None => parts.end().await,
        }
    }

    fn start(self) -> Result<Parts, ServiceError> {
        let clock = Clock::of_this_boot()?;
        let state = StateDir::new(self.state);
        let (publish_seat, seat) = watch::channel(self.seat.at_first());
        let (players, players_task) = Players::listen(&self.runtime, seat.clone())?;
        let (orders, orders_inbox) = mpsc::channel(ORDERS);
        let (outgoing, outgoing_inbox) = mpsc::channel(OUTGOING);
        let (acknowledged, acknowledged_inbox) = mpsc::channel(ACKNOWLEDGED);
        let (publish_batch, batch) = watch::channel(Vec::new());
        let (exchanges, box_clock) = exchanges();
        let stop = Stop::default();
        let recorder = Recorder {
            clock,
            journal: state.journal_path(),
            checkpoint: self.checkpoint,
            attached: players.attached(),
            seat,
            acknowledged: acknowledged_inbox,
            batch: publish_batch,
        };
        let link = Link {
            clock,
            state,
            discovery: self.discovery,
            orders,
            outgoing: outgoing_inbox,
            batch,
            acknowledged,
            exchanges,
        };
        let reception = Reception::new(players, outgoing, self.interface, box_clock);
        Ok(Parts {
            seat: tokio::spawn(self.seat.follow(publish_seat)),
            players: players_task,
            reception: tokio::spawn(reception.run(orders_inbox)),
            recorder: tokio::spawn(recorder.run(stop.recorder.clone())),
            link: tokio::spawn(link.run(stop.link.clone())),
            stop,
        })
    }
}

#[derive(Debug, Default)]
struct Stop {
    recorder: CancellationToken,
    link: CancellationToken,
}

/// The running tasks.
#[derive(Debug)]
struct Parts {
    seat: JoinHandle<()>,
    players: JoinHandle<()>,
    reception: JoinHandle<()>,
    recorder: JoinHandle<Result<(), PresenceError>>,
    link: JoinHandle<()>,
    stop: Stop,
}

impl Parts {
    /// Waits for a task to end by itself. None ever should.
    async fn fault(&mut self) -> ServiceError {
        tokio::select! {
            _ = &mut self.seat => ServiceError::TaskEnded("the seat"),
            _ = &mut self.players => ServiceError::TaskEnded("players"),
            _ = &mut self.reception => ServiceError::TaskEnded("reception"),
            _ = &mut self.link => ServiceError::TaskEnded("the link"),
            ended = &mut self.recorder => match ended {
                Ok(Err(error)) => error.into(),
                _ => ServiceError::TaskEnded("presence"),
            },
        }
    }

    /// Ends in order: the span is closed on the disk, then the box is told, if it is there.
    async fn end(mut self) -> Result<(), ServiceError> {
        self.stop.recorder.cancel();
        if let Ok(Ok(ended)) = timeout(END_WITHIN, &mut self.recorder).await {
            ended?;
        }
        self.stop.link.cancel();
        let _ = timeout(END_WITHIN, &mut self.link).await;
        Ok(())
    }
}

/// Tells systemd, where there is one.
fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "systemd could not be told");
    }
}
