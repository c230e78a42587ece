//! Opening the database file, whatever state it is in.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use super::{Db, DbError, migrate, restore};

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
    /// The file was damaged and is kept at `aside`, or it was gone; `backup` took its place.
    Restored {
        aside: Option<PathBuf>,
        backup: PathBuf,
    },
}

pub(super) fn open(path: &Path, backups: &Path) -> Result<(Connection, Story), DbError> {
    fs::create_dir_all(backups)
        .map_err(|source| DbError::SetAside { path: backups.display().to_string(), source })?;
    let (mut connection, found) = find(path, backups)?;
    let migrated = migrate::migrate(&mut connection, path, backups)?;
    let story = found.unwrap_or(match migrated {
        Some((0, _)) => Story::Fresh,
        Some((from, to)) => Story::Migrated { from, to },
        None => Story::AsLeft,
    });
    Ok((connection, story))
}

/// The database that is at `path`, or what takes its place.
fn find(path: &Path, backups: &Path) -> Result<(Connection, Option<Story>), DbError> {
    let is_there = fs::metadata(path).is_ok_and(|file| file.len() > 0);
    if is_there || !restore::was_here(path, backups) {
        match healthy(path) {
            Ok(connection) => return Ok((connection, None)),
            Err(damage) if is_damage(&damage) => {
                tracing::error!(error = %damage, "the database is damaged: {damage}");
            }
            Err(source) => return Err(failed_to_open(path, source)),
        }
    }
    let story = restore::restore(path, backups)?;
    let connection = healthy(path).map_err(|source| failed_to_open(path, source))?;
    Ok((connection, Some(story)))
}

/// A connection that cannot write.
pub(super) fn reader(path: &Path) -> Result<Connection, DbError> {
    let opened = read_only(path).and_then(|connection| {
        connection.execute_batch("PRAGMA busy_timeout = 5000; PRAGMA query_only = ON;")?;
        Ok(connection)
    });
    opened.map_err(|source| failed_to_open(path, source))
}

/// The schema of the copy at `path`, if it is a whole database with anything in it.
pub(super) fn schema_of_copy(path: &Path) -> Option<u32> {
    let connection = read_only(path).ok()?;
    check(&connection).ok()?;
    let schema = connection.query_row("PRAGMA user_version", [], |row| row.get(0));
    schema.ok().filter(|schema| *schema > 0)
}

fn read_only(path: &Path) -> Result<Connection, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags)
}

fn healthy(path: &Path) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open(path)?;
    // Closing a database writes its log into it and deletes the log: not into a damaged one.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.execute_batch(
        "PRAGMA busy_timeout = 5000;
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;",
    )?;
    check(&connection)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    Ok(connection)
}

fn check(connection: &Connection) -> Result<(), rusqlite::Error> {
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict == "ok" {
        return Ok(());
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

fn failed_to_open(path: &Path, source: rusqlite::Error) -> DbError {
    DbError::Open { path: path.display().to_string(), source }
}
