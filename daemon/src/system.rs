//! The box as a machine: what it is, how it is, what is broken.

pub mod routes;

use std::{
    mem,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Serialize;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use crate::{
    clock::Clock,
    config::Storage,
    health::{Fault, FaultCode, Health, Severity},
};

const DISK_EVERY: Duration = Duration::from_secs(30);

/// A school's database grows by less than this in a week.
const MIN_STATE_MB: u64 = 64;

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

/// Raises the faults of filling disks and clears them, and nobody else's: who was refused room by a
/// disk that seems to have some (a quota, a thin volume) knows better than a count of free blocks.
pub async fn watch_disk(storage: Storage, health: Health, stopping: CancellationToken) {
    let mut watched = Watched::of(&storage);
    let mut tick = tokio::time::interval(DISK_EVERY);
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = tick.tick() => {}
        }
        for watched in &mut watched {
            if let Some(disk) = disk(&watched.path) {
                watched.look(disk.free_bytes, &health);
            }
        }
    }
}

/// A disk, and what follows when it has no room.
#[derive(Debug)]
struct Watched {
    path: PathBuf,
    code: FaultCode,
    min_free_mb: u64,
    then: &'static str,
    /// Whether the fault that stands is this one's.
    is_low: bool,
}

impl Watched {
    fn of(storage: &Storage) -> [Self; 2] {
        [
            Self {
                path: storage.recordings_dir.clone(),
                code: FaultCode::DiskFull,
                min_free_mb: storage.min_free_mb,
                then: "lessons go on, but are not recorded",
                is_low: false,
            },
            Self {
                path: storage.state_dir.clone(),
                code: FaultCode::StateDiskFull,
                min_free_mb: MIN_STATE_MB,
                then: "lessons go on, but soon nothing can be written down",
                is_low: false,
            },
        ]
    }

    fn look(&mut self, free_bytes: u64, health: &Health) {
        let free_mb = free_bytes >> 20;
        let was_low = mem::replace(&mut self.is_low, free_mb < self.min_free_mb);
        if self.is_low {
            let (path, then) = (self.path.display(), self.then);
            let detail = format!("{free_mb} MiB are free where {path} lies: {then}.");
            health.raise(self.code, Severity::Error, detail);
        } else if was_low {
            health.clear(self.code);
        }
    }
}

#[cfg(test)]
mod tests {
    use alfarid_protocol::time::Timestamp;

    use super::*;
    use crate::events::Events;

    const FULL: u64 = 1 << 20;
    const ROOM: u64 = 8 << 30;

    /// Where lessons are recorded, with 512 MiB to be left free.
    fn recordings() -> (Watched, Health) {
        let storage = Storage {
            state_dir: "/state".into(),
            recordings_dir: "/recordings".into(),
            min_free_mb: 512,
        };
        let [recordings, _] = Watched::of(&storage);
        (recordings, Health::new(Clock::manual(Timestamp(0)), Events::default()))
    }

    #[test]
    fn a_full_disk_stands_until_it_has_room() {
        let (mut recordings, health) = recordings();
        recordings.look(FULL, &health);
        assert_eq!(health.faults()[0].code, FaultCode::DiskFull);
        recordings.look(ROOM, &health);
        assert!(health.faults().is_empty());
    }

    /// A quota: the disk takes nothing more of ours, and shows gigabytes.
    #[test]
    fn what_a_recorder_raised_stands_though_there_seems_to_be_room() {
        let (mut recordings, health) = recordings();
        recordings.look(ROOM, &health);
        health.raise(FaultCode::DiskFull, Severity::Error, "No room is left for recordings.");
        recordings.look(ROOM, &health);
        assert_eq!(health.faults()[0].detail, "No room is left for recordings.");
    }
}
