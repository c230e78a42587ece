//! The life of the process: ready, watched, reloaded, drained.
//!
//! ```text
//!   starting ──▶ ready ──SIGTERM, SIGINT──▶ draining ──all tasks ended──▶ exit 0
//!                │   │                          │
//!         SIGHUP └─▶ reload                     └──DRAIN is over──▶ exit 0, said so
//!                │
//!                └── a task ended that nobody told to ──▶ draining ──▶ exit 1
//! ```
//!
//! Every long-lived task is spawned here under a name. A box with a dead part that looks alive is
//! the worst box, so one task's death ends the process and systemd starts a whole one again.

use std::{
    future::Future,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long tasks may take to end in order: recordings close their files within it.
const DRAIN: Duration = Duration::from_secs(8);

#[derive(Clone, Debug, Default)]
pub struct Lifecycle {
    stopping: CancellationToken,
    tasks: TaskTracker,
    crashed: Arc<AtomicBool>,
}

impl Lifecycle {
    /// Cancelled when the process begins to stop. Tasks watch it.
    pub fn stopping(&self) -> CancellationToken {
        self.stopping.clone()
    }

    /// Runs `task` until the process stops. A task that ends before that, or panics, stops the
    /// process.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let own = self.clone();
        let inner = tokio::spawn(task);
        self.tasks.spawn(async move {
            let outcome = inner.await;
            if own.stopping.is_cancelled() {
                return;
            }
            tracing::error!(task = name, "task {name} ended unasked ({outcome:?}): stopping");
            own.crashed.store(true, Ordering::Release);
            own.stopping.cancel();
        });
    }

    /// Says that the box is ready and serves until it is told to stop. `reload` runs at each
    /// SIGHUP.
    pub async fn run(self, mut reload: impl FnMut()) -> std::io::Result<ExitCode> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let mut watchdog = tokio::time::interval(watchdog_period());
        notify(&[NotifyState::Ready]);
        tracing::info!("ready");
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                () = self.stopping.cancelled() => break,
                _ = watchdog.tick() => notify(&[NotifyState::Watchdog]),
                _ = hangup.recv() => {
                    if let Ok(monotonic) = NotifyState::monotonic_usec_now() {
                        notify(&[NotifyState::Reloading, monotonic]);
                    }
                    reload();
                    notify(&[NotifyState::Ready]);
                }
            }
        }
        Ok(self.drain().await)
    }

    async fn drain(self) -> ExitCode {
        notify(&[NotifyState::Stopping]);
        tracing::info!("stopping");
        self.stopping.cancel();
        self.tasks.close();
        if tokio::time::timeout(DRAIN, self.tasks.wait()).await.is_err() {
            tracing::warn!(left = self.tasks.len(), "some tasks did not end in time");
        }
        if self.crashed.load(Ordering::Acquire) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }
}

/// Half of what systemd allows, so that one late tick kills nobody; a slow heartbeat without it.
fn watchdog_period() -> Duration {
    sd_notify::watchdog_enabled().map_or(Duration::from_hours(1), |allowed| allowed / 2)
}

/// Without systemd there is nobody to tell, which is no failure.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(error = %error, "systemd was not told");
    }
}
