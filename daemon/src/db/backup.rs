//! A good copy of the database each day, for the day when the file itself is torn.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use super::{Db, DbError};

/// Days without a copy that a damaged file may cost.
const EVERY: Duration = Duration::from_hours(24);
/// A box that was just switched on has a lesson to start first.
const AFTER_START: Duration = Duration::from_mins(10);
/// Two turns, so that a copy of damage that nobody noticed does not push out the last good one.
const KEPT: u32 = 3;

/// Writes copies into `backups` until `stopping`. A copy that fails is reported and tried again at
/// the next turn; it never disturbs what is there.
pub async fn keep_backups(db: Db, backups: PathBuf, stopping: CancellationToken) {
    let mut turn = tokio::time::interval(EVERY);
    turn.reset_after(AFTER_START);
    while stopping.run_until_cancelled(turn.tick()).await.is_some() {
        if let Err(error) = db.back_up(backups.clone()).await {
            let cause = crate::http::problem::chain(&error);
            tracing::error!(error = %cause, "the database was not backed up: {cause}");
        }
    }
}

impl Db {
    /// Writes one copy, whole or not at all, and lets the oldest go. A reader makes it: writers
    /// go on meanwhile.
    pub async fn back_up(&self, backups: PathBuf) -> Result<(), DbError> {
        self.read(move |c| {
            let fresh = backups.join("fresh");
            let failed = |source| DbError::SetAside { path: backups.display().to_string(), source };
            remove_if_there(&fresh).map_err(failed)?;
            // The copy is written into another file; this one cannot be written to all the same.
            c.pragma_update(None, "query_only", false)?;
            let copied = c.execute("VACUUM INTO ?1", [fresh.to_string_lossy()]);
            c.pragma_update(None, "query_only", true)?;
            copied?;
            fs::File::open(&fresh).and_then(|file| file.sync_all()).map_err(failed)?;
            rotate(&backups, &fresh).map_err(failed)
        })
        .await
    }
}

/// `day-1` is the newest.
fn rotate(backups: &Path, fresh: &Path) -> io::Result<()> {
    let day = |n: u32| backups.join(format!("day-{n}.db"));
    for n in (1..KEPT).rev() {
        if day(n).exists() {
            fs::rename(day(n), day(n + 1))?;
        }
    }
    fs::rename(fresh, day(1))?;
    fs::File::open(backups)?.sync_all()
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
