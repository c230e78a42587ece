//! The box as a machine: what it is, how it is, what is broken.

pub mod routes;

use std::{path::Path, time::Duration};

use serde::Serialize;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use crate::{
    clock::Clock,
    config::Storage,
    health::{Fault, Health, Severity},
};

const DISK_FULL: &str = "disk_full";
const DISK_EVERY: Duration = Duration::from_secs(30);

/// Room on the disk that recordings go to.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct Disk {
    pub free_bytes: u64,
    pub total_bytes: u64,
}

/// How the box is.
#[derive(Debug, Serialize, ToSchema)]
pub struct HealthReport {
    pub faults: Vec<Fault>,
    /// Absent when the disk does not answer.
    pub disk: Option<Disk>,
    pub clock: ClockReport,
    pub version: &'static str,
    pub uptime_seconds: u64,
}

/// What the box takes the time to be.
#[derive(Debug, Serialize, ToSchema)]
pub struct ClockReport {
    pub now: alfarid_protocol::time::Timestamp,
    /// `false`: nobody vouches for it; lesson times may have to be put right.
    pub sure: bool,
}

impl ClockReport {
    pub fn of(clock: &Clock) -> Self {
        Self { now: clock.now(), sure: clock.is_sure() }
    }
}

/// Free and total bytes where `path` lies.
pub fn disk(path: &Path) -> Option<Disk> {
    let stat = nix::sys::statvfs::statvfs(path).ok()?;
    let block = stat.fragment_size();
    Some(Disk { free_bytes: stat.blocks_available() * block, total_bytes: stat.blocks() * block })
}

/// Raises and clears the fault of a filling disk.
pub async fn watch_disk(storage: Storage, health: Health, stopping: CancellationToken) {
    let mut tick = tokio::time::interval(DISK_EVERY);
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = tick.tick() => {}
        }
        let Some(disk) = disk(&storage.recordings_dir) else { continue };
        let free_mb = disk.free_bytes / (1024 * 1024);
        if free_mb < storage.min_free_mb {
            let detail = format!("{free_mb} MiB are free: lessons go on, but are not recorded.");
            health.raise(DISK_FULL, Severity::Error, detail);
        } else {
            health.clear(DISK_FULL);
        }
    }
}
