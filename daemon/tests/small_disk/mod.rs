//! A disk of a few kilobytes or megabytes that is really full when it is full. Needs no root.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::{path::PathBuf, process::Command};

/// Where, below the directory of [`mounted`], the small disk is.
pub(crate) const RECORDINGS: &str = "recordings";

/// Runs the test `name` again in a process of its own, with a disk of `size` for recordings that
/// nobody else sees. `Some` in that process: the directory to use.
pub(crate) fn mounted(name: &str, size: &str) -> Option<PathBuf> {
    const DISK: &str = "ALFARID_TEST_SMALL_DISK";
    if let Some(disk) = std::env::var_os(DISK) {
        return Some(disk.into());
    }
    let disk = tempfile::tempdir().unwrap();
    std::fs::create_dir(disk.path().join(RECORDINGS)).unwrap();
    let script = format!(
        "mount -t tmpfs -o size={size} tmpfs \"${DISK}/{RECORDINGS}\" && exec \"$0\" \"$@\""
    );
    let status = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", &script])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(DISK, disk.path())
        .status()
        .unwrap();
    assert!(status.success(), "{name} on a small disk");
    None
}
