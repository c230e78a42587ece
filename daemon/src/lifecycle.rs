//! The life of the process: ready, watched, reloaded, drained.
//!
//! ```text
//!   starting ──▶ ready ──SIGTERM, SIGINT──▶ draining ──all phases over──▶ exit 0
//!                │   │                       doors ─▶ lessons ─▶ recordings ─▶ floor
//!         SIGHUP └─▶ reload
//!                │
//!                └── a task ended that nobody told to ──▶ draining ──▶ exit 1
//! ```
//!
//! Every long-lived task is spawned here under a name. A box with a dead part that looks alive is
//! the worst box, so one task's death ends the process and systemd starts a whole one again.
//!
//! It ends from the outside in ([`Phase`]): what a phase stands on goes on until that phase is
//! over, or has had its time. So what a browser or a machine said last is still written down.

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

/// What ends together when the box stops, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing new comes in, and everybody connected is told.
    Doors,
    /// What runs a lesson finishes what it is about.
    Lessons,
    /// Recordings write what a lesson gave last, and close their files.
    Recordings,
    /// What all others stand on.
    Floor,
}

impl Phase {
    const IN_ORDER: [Self; 4] = [Self::Doors, Self::Lessons, Self::Recordings, Self::Floor];

    /// How long its tasks may take to end; each bounds itself a little closer. All together stay
    /// below what systemd allows (`TimeoutStopSec`).
    const fn patience(self) -> Duration {
        Duration::from_secs(match self {
            Self::Doors => 3,
            Self::Lessons => 2,
            Self::Recordings => 6,
            Self::Floor => 1,
        })
    }
}

/// Cheap to clone; every clone is the same process.
#[derive(Clone, Debug, Default)]
pub struct Lifecycle {
    /// Cancelled when the process begins to stop.
    stopping: CancellationToken,
    phases: [Tasks; Phase::IN_ORDER.len()],
    crashed: Arc<AtomicBool>,
}

/// The tasks of one phase.
#[derive(Clone, Debug, Default)]
struct Tasks {
    stopping: CancellationToken,
    running: TaskTracker,
}

impl Lifecycle {
    /// Runs a task until the token that it is made with is cancelled: when the process stops and
    /// `phase` has come. A task that ends before the process stops, or panics, stops the process.
    pub fn spawn<T>(
        &self,
        phase: Phase,
        name: &'static str,
        task: impl FnOnce(CancellationToken) -> T,
    ) where
        T: Future<Output = ()> + Send + 'static,
    {
        let own = self.clone();
        let tasks = &self.phases[phase as usize];
        let inner = tokio::spawn(task(tasks.stopping.clone()));
        tasks.running.spawn(async move {
            let outcome = inner.await;
            if own.stopping.is_cancelled() {
                return;
            }
            tracing::error!(task = name, "task {name} ended unasked ({outcome:?}): stopping");
            own.crashed.store(true, Ordering::Release);
            own.stopping.cancel();
        });
    }

    /// Ends the process in order, as SIGTERM does. Where systemd keeps it, it begins anew.
    pub fn stop(&self) {
        self.stopping.cancel();
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
        for phase in Phase::IN_ORDER {
            let Tasks { stopping, running } = &self.phases[phase as usize];
            stopping.cancel();
            running.close();
            if tokio::time::timeout(phase.patience(), running.wait()).await.is_err() {
                let left = running.len();
                tracing::warn!(left, "{left} tasks of the phase {phase:?} did not end in time");
            }
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

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    /// A recording that closes while a lesson still sends loses what the lesson sends last.
    #[tokio::test]
    async fn what_a_phase_stands_on_goes_on_until_that_phase_is_over() {
        let lifecycle = Lifecycle::default();
        let (ended, mut ends) = mpsc::channel(Phase::IN_ORDER.len());
        // The earlier a phase, the longer its task takes to end.
        for (turns, phase) in Phase::IN_ORDER.into_iter().rev().enumerate() {
            let ended = ended.clone();
            lifecycle.spawn(phase, "a task", async move |stopping| {
                stopping.cancelled().await;
                for _ in 0..turns {
                    tokio::task::yield_now().await;
                }
                ended.try_send(phase).unwrap();
            });
        }
        assert_eq!(lifecycle.drain().await, ExitCode::SUCCESS);
        let order: Vec<_> = std::iter::from_fn(|| ends.try_recv().ok()).collect();
        assert_eq!(order, Phase::IN_ORDER);
    }

    #[tokio::test]
    async fn a_task_that_ends_unasked_ends_the_process() {
        let lifecycle = Lifecycle::default();
        lifecycle.spawn(Phase::Lessons, "a task", async |_| ());
        lifecycle.stopping.cancelled().await;
        assert_eq!(lifecycle.drain().await, ExitCode::FAILURE);
    }
}
