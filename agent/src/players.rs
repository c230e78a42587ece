//! The player's socket: who may attach, and what is written to whom.
//!
//! One task owns the socket and everything about players. Each attached player has a writer task
//! with a bounded [`Outbox`], so that a player which does not read harms itself alone.
//!
//! ```text
//!   reception ──▶ Players ──▶ Outbox ──▶ writer ═══▶ alfarid-player
//!                    ▲                                    │
//!                    └────────────── reader ◀═════════════┘ Ready, Shown
//! ```
//!
//! Anybody on the machine may connect; whoever does not run as the user of the active session
//! ([`Seat::user`]) is closed before a byte is written, by the uid that the kernel gives
//! (`SO_PEERCRED`), never by what the player says. When several attach, the newest stays and the
//! older one is told to end. When the session changes hands, the player of the one before is
//! closed.

mod kept;
mod outbox;

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use alfarid_protocol::{grant::Stage, id::LessonId};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use thiserror::Error;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream, unix},
    sync::{Notify, mpsc, watch},
    task::{AbortHandle, JoinHandle},
    time::timeout,
};

use crate::{
    feed::{FromPlayer, Idle, REPLY, SOCKET, ToPlayer},
    files,
    presence::Seat,
};
use kept::KeptFrames;
use outbox::Outbox;

/// From reception to the socket's task. Both run in one thread and the task never waits for a
/// player, so this is a burst at most; when it is full, reception waits.
const QUEUE: usize = 64;

/// How long a replaced player gets to read that it should end.
const LAST_WORD: Duration = Duration::from_secs(1);

#[derive(Debug, Error)]
pub enum PlayersError {
    #[error("make the runtime folder {path}")]
    Folder { path: PathBuf, source: io::Error },
    #[error("listen on {path}")]
    Listen { path: PathBuf, source: io::Error },
}

/// What the rest of the agent may know about players.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attached {
    /// The uid of the player that is attached and has said it is ready.
    pub user: Option<u32>,
    /// Frames on show by all players since the agent started.
    pub shown: u64,
}

/// The way to whoever is attached.
#[derive(Clone, Debug)]
pub struct Players {
    messages: mpsc::Sender<ToPlayer>,
    attached: watch::Receiver<Attached>,
}

impl Players {
    /// Opens the socket and starts the task that owns it; it ends when all handles are gone.
    pub fn listen(
        runtime: &Path,
        seat: watch::Receiver<Seat>,
    ) -> Result<(Self, JoinHandle<()>), PlayersError> {
        let path = runtime.join(SOCKET);
        let listener = listen(runtime, &path)?;
        let (messages, inbox) = mpsc::channel(QUEUE);
        let (publish, attached) = watch::channel(Attached::default());
        // One word of each kind per player and second; a reader waits when this is full.
        let (report, reports) = mpsc::channel(16);
        let task = Task {
            listener,
            seat,
            inbox,
            attached: publish,
            report,
            reports,
            present: ToPlayer::Idle(Idle::default()),
            kept: KeptFrames::default(),
            player: None,
            next_id: 0,
        };
        Ok((Self { messages, attached }, tokio::spawn(task.run())))
    }

    /// Hands a message to whoever is attached, now or later.
    pub async fn send(&self, message: ToPlayer) {
        // The task ends only together with the agent.
        let _ = self.messages.send(message).await;
    }

    pub fn attached(&self) -> watch::Receiver<Attached> {
        self.attached.clone()
    }
}

fn listen(runtime: &Path, path: &Path) -> Result<UnixListener, PlayersError> {
    fs::create_dir_all(runtime)
        .map_err(|source| PlayersError::Folder { path: runtime.to_owned(), source })?;
    files::remove_if_there(path)
        .and_then(|()| UnixListener::bind(path))
        // Open to all, for the session's user is not known yet; `Task::admit` decides.
        .and_then(|listener| {
            fs::set_permissions(path, fs::Permissions::from_mode(0o666)).map(|()| listener)
        })
        .map_err(|source| PlayersError::Listen { path: path.to_owned(), source })
}

/// A player that was let in.
#[derive(Debug)]
struct Player {
    id: u64,
    user: u32,
    outbox: Arc<Shared>,
    writer: JoinHandle<()>,
    reader: AbortHandle,
    ready: bool,
    /// What it said last; its first word is where counting begins, for it may be older than this
    /// agent.
    shown: Option<u64>,
}

impl Drop for Player {
    fn drop(&mut self) {
        self.reader.abort();
        self.writer.abort();
    }
}

/// An outbox between the task that fills it and the one that writes.
#[derive(Debug, Default)]
struct Shared {
    outbox: Mutex<Outbox>,
    filled: Notify,
}

impl Shared {
    fn push(&self, message: ToPlayer) {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner).push(message);
        self.filled.notify_one();
    }

    fn pop(&self) -> Option<ToPlayer> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn dropped(&self) -> u64 {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner).dropped
    }
}

/// What a player's reader has to say; `None`: the player is gone.
type PlayerReport = (u64, Option<FromPlayer>);

struct Task {
    listener: UnixListener,
    seat: watch::Receiver<Seat>,
    inbox: mpsc::Receiver<ToPlayer>,
    attached: watch::Sender<Attached>,
    report: mpsc::Sender<PlayerReport>,
    reports: mpsc::Receiver<PlayerReport>,
    /// The newest Stage or Idle: the first thing that a player is told.
    present: ToPlayer,
    kept: KeptFrames,
    player: Option<Player>,
    next_id: u64,
}

impl Task {
    async fn run(mut self) {
        loop {
            tokio::select! {
                message = self.inbox.recv() => match message {
                    Some(message) => self.deliver(message),
                    None => return,
                },
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => self.admit(stream),
                    Err(error) => tracing::warn!(%error, "a player could not be accepted"),
                },
                Some((id, report)) = self.reports.recv() => self.hear(id, report),
                Ok(()) = self.seat.changed() => self.check_seat(),
            }
        }
    }

    fn deliver(&mut self, message: ToPlayer) {
        match &message {
            ToPlayer::Video(frame) => self.kept.push(frame),
            ToPlayer::Idle(_) => {
                self.kept.clear();
                self.present = message.clone();
            }
            ToPlayer::Stage(stage) => {
                if lesson(&self.present) != Some(stage.lesson) {
                    self.kept.clear();
                }
                self.present = message.clone();
            }
            ToPlayer::Audio(_) | ToPlayer::Replaced => {}
        }
        if let Some(player) = &self.player {
            player.outbox.push(message);
        }
    }

    fn admit(&mut self, stream: UnixStream) {
        let user = match getsockopt(&stream, PeerCredentials) {
            Ok(credentials) => credentials.uid(),
            Err(error) => {
                tracing::warn!(%error, "a player's user could not be found out");
                return;
            }
        };
        if self.seat.borrow().user != Some(user) {
            tracing::info!(user, "a player was turned away: its user has no active session");
            return;
        }
        if let Some(older) = self.player.take() {
            say_goodbye(older);
        }
        let player = self.attach(stream, user);
        player.outbox.push(self.present.clone());
        for frame in self.kept.replay() {
            player.outbox.push(ToPlayer::Video(frame));
        }
        tracing::info!(user, "a player is attached");
        self.player = Some(player);
        self.publish();
    }

    fn attach(&mut self, stream: UnixStream, user: u32) -> Player {
        let id = self.next_id;
        self.next_id += 1;
        let outbox = Arc::new(Shared::default());
        let (read, write) = stream.into_split();
        let writer = tokio::spawn(write_all(write, Arc::clone(&outbox)));
        let reader = tokio::spawn(read_all(read, id, self.report.clone())).abort_handle();
        Player { id, user, outbox, writer, reader, ready: false, shown: None }
    }

    fn hear(&mut self, id: u64, report: Option<FromPlayer>) {
        let Some(player) = self.player.as_mut().filter(|player| player.id == id) else { return };
        match report {
            Some(FromPlayer::Ready) => player.ready = true,
            Some(FromPlayer::Shown(frames)) => {
                let before = player.shown.replace(frames).unwrap_or(frames);
                let more = frames.saturating_sub(before);
                self.attached.send_modify(|attached| attached.shown += more);
            }
            None => {
                let dropped = player.outbox.dropped();
                tracing::info!(frames.dropped = dropped, "the player is gone");
                self.player = None;
            }
        }
        self.publish();
    }

    fn check_seat(&mut self) {
        let user = self.seat.borrow_and_update().user;
        if self.player.as_ref().is_some_and(|player| Some(player.user) != user) {
            tracing::info!("the session changed hands; its player is closed");
            self.player = None;
            self.publish();
        }
    }

    fn publish(&self) {
        let user = self.player.as_ref().filter(|player| player.ready).map(|player| player.user);
        self.attached
            .send_if_modified(|attached| std::mem::replace(&mut attached.user, user) != user);
    }
}

fn lesson(present: &ToPlayer) -> Option<LessonId> {
    match present {
        ToPlayer::Stage(Stage { lesson, .. }) => Some(*lesson),
        _ => None,
    }
}

/// Tells a player that another one has its place, in its own time but not for long.
fn say_goodbye(player: Player) {
    player.outbox.push(ToPlayer::Replaced);
    tokio::spawn(async move {
        let mut player = player;
        // On its way out whatever happens: dropping the player closes what is left.
        let _ = timeout(LAST_WORD, &mut player.writer).await;
    });
}

/// Writes until the player is gone or has been told that it is replaced.
async fn write_all(mut socket: unix::OwnedWriteHalf, shared: Arc<Shared>) {
    loop {
        let Some(message) = shared.pop() else {
            shared.filled.notified().await;
            continue;
        };
        let Ok((header, payload)) = message.encode() else {
            // Longer than any frame may be: the decoder waits for the next keyframe.
            tracing::warn!("a frame too large for the feed was dropped");
            continue;
        };
        let written = async {
            socket.write_all(&header).await?;
            socket.write_all(&payload).await
        };
        // A reader that fails reports the loss; here there is nobody to tell.
        if written.await.is_err() || message == ToPlayer::Replaced {
            return;
        }
    }
}

/// Reads until the player is gone or says something that this build does not know.
async fn read_all(mut socket: unix::OwnedReadHalf, id: u64, report: mpsc::Sender<PlayerReport>) {
    let mut message = [0; REPLY];
    while socket.read_exact(&mut message).await.is_ok() {
        match FromPlayer::decode(message) {
            Ok(word) => {
                if report.send((id, Some(word))).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a player is closed");
                break;
            }
        }
    }
    let _ = report.send((id, None)).await;
}
