//! A database that is damaged or gone, and the newest good copy that takes its place.
//!
//! ```text
//!   alfarid.db is damaged
//!       │ the copy             ─▶ alfarid.new
//!       │ alfarid.db           ─▶ alfarid.damaged-1
//!       │ alfarid.db-wal, -shm ─▶ alfarid.damaged-1-wal, -shm: they are no part of the copy
//!       │ alfarid.new          ─▶ alfarid.db
//!       ▼
//!   alfarid.db is good
//! ```
//!
//! The power may go between any two of these steps, and in the middle of the copy: what is left
//! tells the next start that a database was here ([`was_here`]), and it does the rest. So a box
//! that has had a database is never taken for a new one, which anybody may claim. Where there is no
//! good copy nothing is moved: the database is refused, and a person decides.

use std::{
    cmp::Reverse,
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

use super::{DbError, Story, open};
use crate::files;

/// What SQLite keeps beside a database.
const BESIDE: [&str; 2] = ["-wal", "-shm"];

/// How the name of a damaged database ends, before its number.
const DAMAGED: &str = "damaged-";

/// One thing done to the files; on disk when it is done.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Copy { from: PathBuf, to: PathBuf },
    Move { from: PathBuf, to: PathBuf },
}

impl Step {
    fn take(&self) -> io::Result<()> {
        match self {
            Self::Copy { from, to } => files::copy(from, to),
            Self::Move { from, to } => files::rename(from, to),
        }
    }
}

/// Whether a database was at `path`, although none is there now.
pub(super) fn was_here(path: &Path, backups: &Path) -> bool {
    damaged(path).is_some() || copies(backups).next().is_some()
}

/// Sets aside what is at `path`, if anything is, and puts a copy of the newest good backup there.
pub(super) fn restore(path: &Path, backups: &Path) -> Result<Story, DbError> {
    let failed = |source| DbError::SetAside { path: path.display().to_string(), source };
    let Some(backup) = newest(backups) else {
        return Err(DbError::NoGoodCopy { path: path.display().to_string() });
    };
    let steps = steps(path, &backup);
    steps.iter().try_for_each(Step::take).map_err(failed)?;
    Ok(Story::Restored { aside: damaged(path), backup })
}

/// What is to be done, as far as an earlier start has not done it.
fn steps(path: &Path, backup: &Path) -> Vec<Step> {
    let fresh = path.with_extension("new");
    let aside = if path.exists() {
        numbered(path, damaged(path).map_or(1, |last| number(&last) + 1))
    } else {
        damaged(path).unwrap_or_else(|| numbered(path, 1))
    };
    let beside = BESIDE.map(|suffix| (with_suffix(path, suffix), with_suffix(&aside, suffix)));
    let away = [(path.to_owned(), aside)].into_iter().chain(beside);
    let away = away.filter(|(from, _)| from.exists());
    let mut steps = vec![Step::Copy { from: backup.to_owned(), to: fresh.clone() }];
    steps.extend(away.map(|(from, to)| Step::Move { from, to }));
    steps.push(Step::Move { from: fresh, to: path.to_owned() });
    steps
}

/// The database that was set aside last.
fn damaged(path: &Path) -> Option<PathBuf> {
    let beside = fs::read_dir(path.parent()?).into_iter().flatten().flatten();
    let beside = beside.map(|entry| entry.path());
    let asides = beside.filter(|beside| *beside == numbered(path, number(beside)));
    asides.max_by_key(|aside| number(aside))
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    path.with_extension(format!("{DAMAGED}{number}"))
}

/// 0 where it has none.
fn number(aside: &Path) -> u32 {
    let number = aside.extension().and_then(OsStr::to_str).and_then(|e| e.strip_prefix(DAMAGED));
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn copies(backups: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(backups).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|copy| copy.extension() == Some(OsStr::new("db")))
}

/// The newest copy that can be read, by what is in it: a box's clock may have been wrong by years
/// when a copy was made. Of one schema the last is the copy made before the step to the next one,
/// for no later day leaves one ([`super::backup`]), then `day-1`.
fn newest(backups: &Path) -> Option<PathBuf> {
    let good = copies(backups).filter_map(|copy| Some((open::schema_of_copy(&copy)?, copy)));
    let oldest_last = |(schema, copy): &(u32, PathBuf)| {
        let name = copy.file_name().unwrap_or_default().to_string_lossy().into_owned();
        (Reverse(*schema), !name.starts_with(super::migrate::COPY), name)
    };
    good.min_by_key(oldest_last).map(|(_, copy)| copy)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    const TORN: &[u8] = b"this is no database, it was torn by a power cut";
    const TORN_LOG: &[u8] = b"nor is this its log";

    /// A damaged database with its log, and a good copy.
    fn damage(dir: &Path) -> (PathBuf, PathBuf) {
        let (path, backups) = (dir.join("alfarid.db"), dir.join("backups"));
        let (connection, _) = open::open(&path, &backups).unwrap();
        write(&connection, "kept");
        connection.execute("VACUUM INTO ?1", [backups.join("day-1.db").to_str()]).unwrap();
        write(&connection, "lost");
        drop(connection);
        fs::write(&path, TORN).unwrap();
        fs::write(with_suffix(&path, "-wal"), TORN_LOG).unwrap();
        (path, backups)
    }

    fn write(connection: &Connection, key: &str) {
        let insert = "INSERT INTO settings (key, value, updated_at) VALUES (?1, '1', 0)";
        connection.execute(insert, [key]).unwrap();
    }

    fn keys(connection: &Connection) -> Vec<String> {
        let mut statement = connection.prepare("SELECT key FROM settings ORDER BY key").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    /// Fails where a box comes up empty, with the log of another database, or without the damaged
    /// one, when the power went at any step, or in the middle of the copy.
    #[test]
    fn wherever_the_power_goes_the_next_start_does_the_rest() {
        let all = {
            let dir = tempfile::tempdir().unwrap();
            let (path, backups) = damage(dir.path());
            steps(&path, &newest(&backups).unwrap())
        };
        assert_eq!(all.len(), 4, "{all:?}");
        for done in 0..all.len() {
            let dir = tempfile::tempdir().unwrap();
            let (path, backups) = damage(dir.path());
            let steps = steps(&path, &newest(&backups).unwrap());
            for step in &steps[..done] {
                step.take().unwrap();
            }
            fs::write(path.with_extension("new"), b"half of a copy").unwrap();
            let (connection, story) = open::open(&path, &backups).unwrap();
            let aside = dir.path().join("alfarid.damaged-1");
            let expected =
                Story::Restored { aside: Some(aside.clone()), backup: backups.join("day-1.db") };
            assert_eq!(story, expected, "after {done} steps");
            assert_eq!(keys(&connection), ["kept"], "after {done} steps");
            assert_eq!(fs::read(&aside).unwrap(), TORN);
            assert_eq!(fs::read(with_suffix(&aside, "-wal")).unwrap(), TORN_LOG);
            drop(connection);
            let (_, story) = open::open(&path, &backups).unwrap();
            assert_eq!(story, Story::AsLeft);
        }
    }

    #[test]
    fn a_second_damaged_database_pushes_the_first_one_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let (path, backups) = damage(dir.path());
        for n in 1..=11 {
            let (_, story) = open::open(&path, &backups).unwrap();
            let Story::Restored { aside: Some(aside), .. } = story else { panic!("{story:?}") };
            assert_eq!(aside, numbered(&path, n));
            fs::write(&path, TORN).unwrap();
        }
    }

    /// A file system that was checked may have cut a file to nothing, or lost it.
    #[test]
    fn an_empty_or_missing_database_that_has_copies_is_no_new_one() {
        let dir = tempfile::tempdir().unwrap();
        let (path, backups) = damage(dir.path());
        fs::remove_file(with_suffix(&path, "-wal")).unwrap();
        fs::write(&path, b"").unwrap();
        let (connection, story) = open::open(&path, &backups).unwrap();
        assert!(matches!(story, Story::Restored { aside: Some(_), .. }), "{story:?}");
        assert_eq!(keys(&connection), ["kept"]);

        let dir = tempfile::tempdir().unwrap();
        let (path, backups) = damage(dir.path());
        fs::remove_file(&path).unwrap();
        let (connection, story) = open::open(&path, &backups).unwrap();
        assert!(matches!(story, Story::Restored { aside: None, .. }), "{story:?}");
        assert_eq!(keys(&connection), ["kept"]);
    }

    #[test]
    fn without_a_good_copy_nothing_is_moved_and_nothing_opened() {
        let dir = tempfile::tempdir().unwrap();
        let (path, backups) = damage(dir.path());
        fs::write(backups.join("day-1.db"), b"").unwrap();
        fs::write(backups.join("day-2.db"), TORN).unwrap();
        for _ in 0..2 {
            let refused = open::open(&path, &backups);
            assert!(matches!(refused, Err(DbError::NoGoodCopy { .. })), "{refused:?}");
            assert_eq!(fs::read(&path).unwrap(), TORN);
        }
    }

    #[test]
    fn the_newest_copy_is_known_without_any_clock() {
        let dir = tempfile::tempdir().unwrap();
        let copy = |name: &str, schema: u32| {
            let connection = Connection::open(dir.path().join(name)).unwrap();
            connection.execute_batch("CREATE TABLE t (a INTEGER) STRICT").unwrap();
            connection.pragma_update(None, "user_version", schema).unwrap();
        };
        let newest_yet = |name: &str, schema| {
            copy(name, schema);
            assert_eq!(newest(dir.path()), Some(dir.path().join(name)));
        };
        newest_yet("day-3.db", 5);
        newest_yet("day-2.db", 5);
        newest_yet("day-1.db", 5);
        newest_yet("schema-0005.db", 5);
        newest_yet("day-9.db", 6);
    }
}
