//! A thread that has entered a host's network namespace and runs a runtime there.
//!
//! ```text
//!   start ──▶ runs what is spawned ──stop──▶ kills processes, waits for them ──▶ gone
//! ```

use std::{
    os::fd::OwnedFd,
    sync::{Mutex, PoisonError, mpsc::sync_channel},
    thread::{self, JoinHandle},
};

use anyhow::{Context, Result};
use nix::sched::{CloneFlags, setns};
use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
};

use crate::process::Process;

pub(super) struct Runtime {
    handle: Handle,
    running: Mutex<Option<Running>>,
}

struct Running {
    stop: oneshot::Sender<Vec<Process>>,
    thread: JoinHandle<()>,
}

impl Runtime {
    pub(super) fn start(name: &str, namespace: OwnedFd) -> Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let (started, handle) = sync_channel(1);
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || match enter(&namespace) {
                Ok(runtime) => {
                    let _ = started.send(Ok(runtime.handle().clone()));
                    runtime.block_on(run_until(stopped));
                }
                Err(error) => {
                    let _ = started.send(Err(error));
                }
            })
            .with_context(|| format!("start {name}'s thread"))?;
        let handle = handle.recv().with_context(|| format!("{name}'s thread ended"))??;
        Ok(Self { handle, running: Mutex::new(Some(Running { stop, thread })) })
    }

    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Kills the processes, then ends all tasks. Waits until both is done.
    pub(super) fn stop(&self, processes: Vec<Process>) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Running { stop, thread }) = running {
            let _ = stop.send(processes);
            let _ = thread.join();
        }
    }
}

fn enter(namespace: &OwnedFd) -> Result<tokio::runtime::Runtime> {
    setns(namespace, CloneFlags::CLONE_NEWNET).context("enter the host's namespace")?;
    Ok(Builder::new_current_thread().enable_all().build()?)
}

/// A host that is dropped without being stopped has no processes left to kill.
async fn run_until(stopped: oneshot::Receiver<Vec<Process>>) {
    for process in stopped.await.unwrap_or_default() {
        // What cannot be killed here goes with the lab's init.
        let _ = process.kill().await;
    }
}
