//! A good copy of the database each day, for the day when the file itself is torn.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::Connection;
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use super::{Db, DbError, migrate};
use crate::{files, logging};

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
            let cause = logging::chain(&error);
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
            // The copy is written into another file; this one cannot be written to all the same.
            c.pragma_update(None, "query_only", false)?;
            let copied = copy(c, &fresh);
            c.pragma_update(None, "query_only", true)?;
            let schema = c.query_row("PRAGMA user_version", [], |row| row.get(0))?;
            let kept = copied.and_then(|()| Ok(keep(&backups, &fresh, schema)?));
            kept.map_err(|source| DbError::Backup { path: fresh.display().to_string(), source })
        })
        .await
    }
}

/// Why a copy was not made.
#[derive(Debug, Error)]
pub enum CopyError {
    #[error("the database was not copied")]
    Copy(#[from] rusqlite::Error),
    #[error("the copy was not kept")]
    Keep(#[from] io::Error),
}

/// Copies the database to `to`, over what may be there. A power cut may leave half of it: whoever
/// calls this gives it its lasting name afterwards.
pub(super) fn copy(c: &Connection, to: &Path) -> Result<(), CopyError> {
    files::remove(to)?;
    c.execute("VACUUM INTO ?1", [to.to_string_lossy()])?;
    Ok(fs::File::open(to)?.sync_all()?)
}

/// `day-1` is the newest. A copy that was made before a migration, and is of the same schema, is
/// older: the box went back to it.
fn keep(backups: &Path, fresh: &Path, schema: u32) -> io::Result<()> {
    let day = |n: u32| backups.join(format!("day-{n}.db"));
    for n in (1..KEPT).rev() {
        if day(n).exists() {
            fs::rename(day(n), day(n + 1))?;
        }
    }
    files::rename(fresh, &day(1))?;
    files::remove(&migrate::copy_of(schema, backups))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::open::schema_of_copy;

    /// Fails where what a power cut left of the last try stops every later one.
    #[tokio::test]
    async fn half_of_a_copy_is_in_nobodys_way() {
        let dir = tempfile::tempdir().unwrap();
        let backups = dir.path().join("backups");
        let db = Db::open(&dir.path().join("alfarid.db"), &backups).unwrap().db;
        fs::write(backups.join("fresh"), b"half of a copy").unwrap();
        db.back_up(backups.clone()).await.unwrap();
        assert!(schema_of_copy(&backups.join("day-1.db")).is_some());
        assert_eq!(fs::read_dir(&backups).unwrap().count(), 1);
    }

    /// Fails where a copy that is months old takes a damaged database's place before yesterday's.
    #[tokio::test]
    async fn a_days_copy_outdates_the_one_before_a_migration_that_was_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let backups = dir.path().join("backups");
        let db = Db::open(&dir.path().join("alfarid.db"), &backups).unwrap().db;
        db.back_up(backups.clone()).await.unwrap();
        let schema = schema_of_copy(&backups.join("day-1.db")).unwrap();
        let [earlier, same] = [schema - 1, schema].map(|of| migrate::copy_of(of, &backups));
        fs::write(&earlier, b"before the migration").unwrap();
        fs::write(&same, b"before one that was taken back").unwrap();
        db.back_up(backups.clone()).await.unwrap();
        assert!(earlier.exists() && !same.exists());
    }
}
