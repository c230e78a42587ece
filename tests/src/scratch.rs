//! The directory that a classroom keeps everything in: each host's state, home, logs.
//!
//! It is removed with the classroom. A test process that was killed cannot remove anything, so
//! the next classroom sweeps up after it: each directory holds a lock file, locked while its
//! process lives, and an unlocked one belongs to nobody.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use tempfile::TempDir;

const PREFIX: &str = "alfarid-lab-";
const LOCK: &str = "in-use";

/// Set (to anything) to look at what a classroom left.
const KEEP: &str = "ALFARID_KEEP";

#[derive(Debug)]
pub struct Scratch {
    dir: Option<TempDir>,
    path: PathBuf,
    /// Locked as long as it is open, and the kernel closes it however the process ends.
    _lock: File,
}

impl Scratch {
    pub fn new() -> Result<Self> {
        let parent = std::env::temp_dir();
        sweep(&parent);
        let dir = tempfile::Builder::new().prefix(PREFIX).tempdir_in(&parent)?;
        // Locked before it has its name: another lab's sweep never sees it unlocked.
        let unnamed = dir.path().join("being-made");
        let lock = File::create(&unnamed)?;
        lock.lock().context("lock the classroom's directory")?;
        fs::rename(&unnamed, dir.path().join(LOCK))?;
        Ok(Self { path: dir.path().to_owned(), dir: Some(dir), _lock: lock })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes `name` and what lies above it.
    pub fn make(&self, name: &str) -> Result<PathBuf> {
        let path = self.path.join(name);
        fs::create_dir_all(&path).with_context(|| format!("make {}", path.display()))?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(dir) = self.dir.take()
            && std::env::var_os(KEEP).is_some()
        {
            eprintln!("kept as {KEEP} says: {}", dir.keep().display());
        }
    }
}

/// Best effort: what another user owns, or another lab just removed, stays.
fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let is_ours =
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX));
        // A directory without its lock file yet is one that is being made.
        if is_ours && File::open(path.join(LOCK)).is_ok_and(|lock| is_abandoned(&lock)) {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

fn is_abandoned(lock: &File) -> bool {
    lock.try_lock().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_dead_process_left_is_swept_and_what_a_live_one_uses_is_not() {
        let parent = tempfile::tempdir().unwrap();
        let [dead, live] = ["dead", "live"].map(|name| {
            let path = parent.path().join(format!("{PREFIX}{name}"));
            fs::create_dir(&path).unwrap();
            path
        });
        File::create(dead.join(LOCK)).unwrap();
        let held = File::create(live.join(LOCK)).unwrap();
        held.lock().unwrap();

        sweep(parent.path());

        assert!(!dead.exists());
        assert!(live.exists());
    }
}
