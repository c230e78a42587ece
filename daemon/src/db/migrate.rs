//! Migrations: files in `daemon/migrations`, applied in order, never edited once released.
//!
//! The number of steps applied is `SQLite`'s `user_version`. All missing steps run in one
//! transaction, after a copy of what was there.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, TransactionBehavior};

use super::{DbError, backup};
use crate::files;

/// How the name of a copy begins that was made before a migration; the schema's number follows.
pub(super) const COPY: &str = "schema-";

macro_rules! steps {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../migrations/", $name, ".sql")))),*]
    };
}

const STEPS: &[(&str, &str)] = steps![
    "0001_settings",
    "0002_identity",
    "0003_roster",
    "0004_enrolment",
    "0005_lesson",
    "0006_attendance",
    "0007_recording",
    "0008_student_sign_in",
    "0009_open_rooms",
];

/// Brings the database up to this build. Returns (from, to) if anything was to be done.
pub(super) fn migrate(
    connection: &mut Connection,
    path: &Path,
    backups: &Path,
) -> Result<Option<(u32, u32)>, DbError> {
    let opened = |source| DbError::Open { path: path.display().to_string(), source };
    let found: u32 =
        connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(opened)?;
    let known = u32::try_from(STEPS.len()).unwrap_or(u32::MAX);
    if found > known {
        return Err(DbError::Newer { path: path.display().to_string(), found, known });
    }
    if found == known {
        return Ok(None);
    }
    if found > 0 {
        back_up(connection, backups, found)?;
    }
    let started = |source| DbError::Migrate { step: "begin", source };
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(started)?;
    for (step, sql) in STEPS.iter().skip(found as usize) {
        transaction.execute_batch(sql).map_err(|source| DbError::Migrate { step, source })?;
    }
    let ended = |source| DbError::Migrate { step: "commit", source };
    transaction.pragma_update(None, "user_version", known).map_err(ended)?;
    transaction.commit().map_err(ended)?;
    Ok(Some((found, known)))
}

/// Where the copy of a database of this schema is that was made before the step to the next one.
pub(super) fn copy_of(schema: u32, backups: &Path) -> PathBuf {
    backups.join(format!("{COPY}{schema:04}.db"))
}

/// Over the copy of an earlier attempt: what came after it, on a box that went back to the older
/// program, is in no other.
fn back_up(connection: &Connection, backups: &Path, from: u32) -> Result<(), DbError> {
    let path = copy_of(from, backups);
    let fresh = path.with_extension("new");
    backup::copy(connection, &fresh)
        .and_then(|()| Ok(files::rename(&fresh, &path)?))
        .map_err(|source| DbError::Backup { path: path.display().to_string(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_holds_together_and_a_second_run_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let mut connection = Connection::open(&path).unwrap();
        let to = u32::try_from(STEPS.len()).unwrap();
        assert_eq!(migrate(&mut connection, &path, dir.path()).unwrap(), Some((0, to)));
        assert_eq!(migrate(&mut connection, &path, dir.path()).unwrap(), None);
        let broken = connection.prepare("PRAGMA foreign_key_check").unwrap().exists([]).unwrap();
        assert!(!broken);
    }

    /// Of the older program, that was put back with the copy it had left.
    #[test]
    fn a_second_upgrade_is_backed_up_as_the_first_was() {
        let dir = tempfile::tempdir().unwrap();
        let (path, to) = (dir.path().join("a.db"), u32::try_from(STEPS.len()).unwrap());
        let copy = copy_of(to - 1, dir.path());
        for key in ["first", "second"] {
            let mut connection = Connection::open(&path).unwrap();
            for (_, sql) in &STEPS[..STEPS.len() - 1] {
                connection.execute_batch(sql).unwrap();
            }
            connection.pragma_update(None, "user_version", to - 1).unwrap();
            let insert = "INSERT INTO settings (key, value, updated_at) VALUES (?1, '1', 0)";
            connection.execute(insert, [key]).unwrap();
            migrate(&mut connection, &path, dir.path()).unwrap();
            let kept = Connection::open(&copy).unwrap();
            let kept: String =
                kept.query_row("SELECT key FROM settings", [], |row| row.get(0)).unwrap();
            assert_eq!(kept, key);
            std::fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn every_table_is_strict() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let mut connection = Connection::open(&path).unwrap();
        migrate(&mut connection, &path, dir.path()).unwrap();
        let lax: i64 = connection
            .query_row(
                "SELECT count(*) FROM pragma_table_list
                 WHERE schema = 'main' AND type = 'table' AND strict = 0
                   AND name NOT LIKE 'sqlite_%'",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(lax, 0);
    }
}
