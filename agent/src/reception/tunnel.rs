//! The lesson through TLS: a second connection to the box, where no UDP gets through.
//!
//! ```text
//!   connecting ── first message: Opened ──▶ open ── messages ──▶ ...
//!        └── failed ──┐        └── silent for 3 s, closed ──┐
//!                     ▼                                     ▼
//!                   over: whoever wants it opens another, after a while
//! ```
//!
//! One task reads; what it has read waits in a short queue, then in TCP, then at the box, which
//! lets a machine that lags jump.

use std::{future::pending, time::Duration};

use alfarid_protocol::tunnel::{SIGN_EVERY_MS, path};
use bytes::Bytes;
use tokio::{sync::mpsc, task::JoinHandle};

use crate::channel::{ChannelError, Dial};

/// Messages that wait for reception. Full: the box waits.
const WAITING: usize = 8;

const PATIENCE: Duration = Duration::from_millis(3 * SIGN_EVERY_MS);

/// What comes of a tunnel.
#[derive(Debug)]
pub(super) enum Event {
    Opened,
    /// One message of `alfarid_protocol::kept`.
    Message(Bytes),
    Over,
}

#[derive(Debug)]
pub(super) struct Tunnel {
    /// Of the grant that it was opened for.
    pub(super) serial: u32,
    events: mpsc::Receiver<Event>,
    task: JoinHandle<()>,
}

impl Tunnel {
    /// Opens one for a grant; `from`: the first index of the picture that is lacking.
    pub(super) fn open(dial: Dial, serial: u32, from: Option<u64>) -> Self {
        let (sender, events) = mpsc::channel(WAITING);
        let task = tokio::spawn(async move {
            if let Err(error) = carry(&dial, &path(serial, from), &sender).await {
                let error = &error as &dyn std::error::Error;
                tracing::debug!(error, "the tunnel to the box is over");
            }
        });
        Self { serial, events, task }
    }

    /// Cancelling it loses nothing.
    async fn next(&mut self) -> Event {
        self.events.recv().await.unwrap_or(Event::Over)
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Waits for what comes of the tunnel; for ever without one.
pub(super) async fn next(tunnel: &mut Option<Tunnel>) -> Event {
    match tunnel {
        Some(tunnel) => tunnel.next().await,
        None => pending().await,
    }
}

async fn carry(dial: &Dial, path: &str, events: &mpsc::Sender<Event>) -> Result<(), ChannelError> {
    let mut tunnelled = dial.tunnel(path).await?;
    // A box that does not know the grant any more opens it and says nothing.
    let first = tunnelled.receive(PATIENCE).await?;
    // Who does not wait for it any more ends this task.
    let _ = events.send(Event::Opened).await;
    let _ = events.send(Event::Message(first)).await;
    loop {
        let message = tunnelled.receive(PATIENCE).await?;
        let _ = events.send(Event::Message(message)).await;
    }
}
