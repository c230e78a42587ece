//! Opening the database file, whatever state it is in.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags};

use super::{Db, DbError, migrate};

/// An open database, and what it took to open it.
#[derive(Debug)]
pub struct Opened {
    pub db: Db,
    pub story: Story,
}

/// What happened while opening: the health page tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Story {
    Fresh,
    AsLeft,
    Migrated {
        from: u32,
        to: u32,
    },
    /// The file was damaged and is kept at `aside`; `backup` took its place, or nothing was there
    /// to take it.
    Restored {
        aside: PathBuf,
        backup: Option<PathBuf>,
    },
}

pub(super) fn open(path: &Path, backups: &Path) -> Result<(Connection, Story), DbError> {
    fs::create_dir_all(backups)
        .map_err(|source| DbError::SetAside { path: backups.display().to_string(), source })?;
    let fresh = !path.exists();
    let (mut connection, restored) = match healthy(path) {
        Ok(connection) => (connection, None),
        Err(damage) if is_damage(&damage) => {
            let (aside, backup) = set_aside(path, backups)?;
            let connection = healthy(path).map_err(|source| failed_to_open(path, source))?;
            (connection, Some(Story::Restored { aside, backup }))
        }
        Err(source) => return Err(failed_to_open(path, source)),
    };
    let migrated = migrate::migrate(&mut connection, path, backups)?;
    let story = restored.unwrap_or(match migrated {
        _ if fresh => Story::Fresh,
        Some((from, to)) => Story::Migrated { from, to },
        None => Story::AsLeft,
    });
    Ok((connection, story))
}

/// A connection that cannot write.
pub(super) fn reader(path: &Path) -> Result<Connection, DbError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection =
        Connection::open_with_flags(path, flags).map_err(|source| failed_to_open(path, source))?;
    connection
        .execute_batch("PRAGMA busy_timeout = 5000; PRAGMA query_only = ON;")
        .map_err(|source| failed_to_open(path, source))?;
    Ok(connection)
}

fn healthy(path: &Path) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open(path)?;
    connection.execute_batch(
        "PRAGMA busy_timeout = 5000;
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;",
    )?;
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict == "ok" {
        return Ok(connection);
    }
    let corrupt = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    Err(rusqlite::Error::SqliteFailure(corrupt, Some(verdict)))
}

/// Damage is what the bytes say; a missing right or a full disk is not damage, and setting the
/// file aside would make it worse.
fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
}

/// Moves the damaged file out of the way, and a copy of the newest backup that opens into its
/// place. Returns where the damaged file is and which backup it was.
fn set_aside(path: &Path, backups: &Path) -> Result<(PathBuf, Option<PathBuf>), DbError> {
    let failed = |source| DbError::SetAside { path: path.display().to_string(), source };
    let aside = (1..1_000)
        .map(|n| path.with_extension(format!("damaged-{n}")))
        .find(|candidate| !candidate.exists())
        .unwrap_or_else(|| path.with_extension("damaged"));
    fs::rename(path, &aside).map_err(failed)?;
    for suffix in ["-wal", "-shm"] {
        let beside = with_suffix(path, suffix);
        if beside.exists() {
            fs::rename(&beside, with_suffix(&aside, suffix)).map_err(failed)?;
        }
    }
    let good = newest_first(backups).into_iter().find(|backup| healthy(backup).is_ok());
    if let Some(backup) = &good {
        fs::copy(backup, path).map_err(failed)?;
    }
    Ok((aside, good))
}

fn newest_first(backups: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> = fs::read_dir(backups)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension() == Some(OsStr::new("db")))
        .collect();
    found.sort_by_key(|path| std::cmp::Reverse(fs::metadata(path).and_then(|m| m.modified()).ok()));
    found
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn failed_to_open(path: &Path, source: rusqlite::Error) -> DbError {
    DbError::Open { path: path.display().to_string(), source }
}
