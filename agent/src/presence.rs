//! Who was here and from when to when, as this machine can tell: marks, written down first.
//!
//! ```text
//!   logind ──▶ Seat ───┐
//!                      ├──▶ state ──▶ journal (disk) ──▶ batch ──▶ link ──▶ box
//!   player ──▶ Attached┘                 ▲                            │
//!                                        └──────── acknowledged ──────┘
//! ```
//!
//! The actor observes each second and at each change. Whether a box is in reach makes no
//! difference to it: marks wait in the journal. When the disk takes nothing, they wait in memory
//! and are tried again; nothing is sent that is not on the disk.

pub mod journal;
pub mod seat;
pub mod state;

use std::{path::PathBuf, time::Duration};

use alfarid_protocol::span::Mark;
use thiserror::Error;
use tokio::{
    sync::{mpsc, watch},
    task::{JoinError, spawn_blocking},
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

pub use self::seat::{Seat, SeatSource};
use self::{
    journal::{Journal, JournalError},
    state::{Draft, Presence, close_left_open, in_use},
};
use crate::{
    clock::{self, Clock},
    players::Attached,
};

/// How often the session is looked at, beside each change.
const OBSERVE: Duration = Duration::from_secs(1);

/// Marks in memory while the disk takes nothing. Beyond it the newest are dropped: the span then
/// ends at its last mark on the disk.
const UNWRITTEN: usize = 1000;

#[derive(Debug, Error)]
pub enum PresenceError {
    #[error("open the presence journal")]
    Open(#[source] JournalError),
    #[error("the thread that writes the presence journal died")]
    Thread(#[source] JoinError),
}

/// The journal's keeper.
#[derive(Debug)]
pub struct Recorder {
    pub clock: Clock,
    pub journal: PathBuf,
    pub checkpoint: Duration,
    pub attached: watch::Receiver<Attached>,
    pub seat: watch::Receiver<Seat>,
    /// What the box has, by its number: from the link, which waits when this is full.
    pub acknowledged: mpsc::Receiver<u64>,
    /// The next marks to send; at most one message of them.
    pub batch: watch::Sender<Vec<Mark>>,
}

impl Recorder {
    /// Records until `stop`, then closes the open span.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), PresenceError> {
        let mut book = Book::open(self.journal.clone()).await?;
        self.batch.send_replace(book.batch());
        let mut presence = Presence::new(self.checkpoint);
        let mut observe = interval(OBSERVE);
        observe.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let mut through = None;
            tokio::select! {
                () = stop.cancelled() => break,
                _ = observe.tick() => {}
                Ok(()) = self.attached.changed() => {}
                Ok(()) = self.seat.changed() => {}
                Some(number) = self.acknowledged.recv() => through = Some(number),
            }
            let player = self.attached.borrow_and_update().user;
            let in_use = in_use(player, &self.seat.borrow_and_update(), clock::monotonic());
            let drafts = presence.observe(self.clock.now(), in_use, clock::new_span_id);
            if book.turn(drafts, through).await? {
                self.batch.send_replace(book.batch());
            }
        }
        book.turn(presence.end(self.clock.now()), None).await?;
        self.batch.send_replace(book.batch());
        Ok(())
    }
}

/// The journal on a thread of its own, for a flush may take longer than a frame.
struct Book {
    /// `None` only while the thread has it.
    journal: Option<Journal>,
    unwritten: Vec<Draft>,
}

impl Book {
    /// Opens the journal; a span that was left open is closed where it was last seen.
    async fn open(path: PathBuf) -> Result<Self, PresenceError> {
        let journal = spawn_blocking(move || Journal::open(&path))
            .await
            .map_err(PresenceError::Thread)?
            .map_err(PresenceError::Open)?;
        let unwritten = journal.last().and_then(close_left_open).into_iter().collect();
        let mut book = Self { journal: Some(journal), unwritten };
        book.turn(Vec::new(), None).await?;
        Ok(book)
    }

    fn batch(&self) -> Vec<Mark> {
        self.journal.as_ref().map(Journal::batch).unwrap_or_default()
    }

    /// Writes `drafts` and takes note of an acknowledgement. Whether anything changed.
    async fn turn(
        &mut self,
        drafts: Vec<Draft>,
        through: Option<u64>,
    ) -> Result<bool, PresenceError> {
        let room = UNWRITTEN.saturating_sub(self.unwritten.len());
        self.unwritten.extend(drafts.into_iter().take(room));
        if self.unwritten.is_empty() && through.is_none() {
            return Ok(false);
        }
        let Some(mut journal) = self.journal.take() else { return Ok(false) };
        let mut unwritten = std::mem::take(&mut self.unwritten);
        let work = move || {
            let acknowledged = through.map_or(Ok(()), |through| journal.acknowledge(through));
            let written = journal.append(&unwritten);
            if written.is_ok() {
                unwritten.clear();
            }
            (journal, unwritten, acknowledged.and(written))
        };
        let (journal, unwritten, result) =
            spawn_blocking(work).await.map_err(PresenceError::Thread)?;
        self.journal = Some(journal);
        self.unwritten = unwritten;
        if let Err(error) = result {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "presence could not be written down; it is tried again"
            );
        }
        Ok(true)
    }
}
