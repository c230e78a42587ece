//! All SQL about people.

use alfarid_protocol::{id::TeacherId, time::Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, Transaction};

use super::{Language, Person, Role, session};
use crate::db::{DbError, column};

const PERSON: &str = "teachers.id, email, full_name, role, language";

/// Whose session it is, if that person is active, and when it was last used.
pub(super) fn session(
    c: &Connection,
    token_sha256: &[u8; 32],
) -> Result<Option<(Person, Timestamp)>, DbError> {
    let sql = format!(
        "SELECT {PERSON}, last_seen_at
         FROM sessions
         JOIN teachers ON teachers.id = sessions.teacher_id
         WHERE token_sha256 = ?1 AND is_active = 1"
    );
    let read = |row: &Row<'_>| Ok((person(row)?, column::time(row, 5)?));
    Ok(c.prepare_cached(&sql)?.query_row([token_sha256], read).optional()?)
}

pub(super) fn person_of_stream_key(
    c: &Connection,
    key_sha256: &[u8; 32],
) -> Result<Option<Person>, DbError> {
    let sql =
        format!("SELECT {PERSON} FROM teachers WHERE stream_key_sha256 = ?1 AND is_active = 1");
    Ok(c.prepare_cached(&sql)?.query_row([key_sha256], person).optional()?)
}

/// The active person of an address, and the hash of their password.
pub(super) fn credentials(
    c: &Connection,
    email: &str,
) -> Result<Option<(Person, String)>, DbError> {
    let sql =
        format!("SELECT {PERSON}, password_hash FROM teachers WHERE email = ?1 AND is_active = 1");
    let read = |row: &Row<'_>| Ok((person(row)?, row.get(5)?));
    Ok(c.prepare_cached(&sql)?.query_row([email], read).optional()?)
}

pub(super) fn has_admin(c: &Connection) -> Result<bool, DbError> {
    let mut statement =
        c.prepare_cached("SELECT 1 FROM teachers WHERE role = 'admin' AND is_active = 1")?;
    Ok(statement.exists([])?)
}

/// Inserts the first admin, or makes one of the account that has this address already. Returns
/// the account's id.
pub(super) fn put_first_admin(
    tx: &Transaction<'_>,
    person: &Person,
    password_hash: &str,
    at: Timestamp,
) -> Result<TeacherId, DbError> {
    let mut statement = tx.prepare_cached(
        "INSERT INTO teachers
             (id, email, password_hash, full_name, role, language, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, 'admin', ?5, ?6, ?6)
         ON CONFLICT (email) DO UPDATE SET
             password_hash = excluded.password_hash,
             full_name = excluded.full_name,
             role = 'admin',
             language = excluded.language,
             is_active = 1,
             updated_at = excluded.updated_at
         RETURNING id",
    )?;
    let row = (
        person.id.to_string(),
        &person.email,
        password_hash,
        &person.full_name,
        column::Word::word(person.language),
        at.0,
    );
    Ok(statement.query_row(row, |row| column::id(row, 0))?)
}

/// Also ends the sessions that this one is too many for.
pub(super) fn insert_session(
    tx: &Transaction<'_>,
    token_sha256: &[u8; 32],
    teacher: TeacherId,
    at: Timestamp,
) -> Result<(), DbError> {
    tx.prepare_cached(
        "DELETE FROM sessions
         WHERE teacher_id = ?1 AND token_sha256 NOT IN (
             SELECT token_sha256 FROM sessions
             WHERE teacher_id = ?1
             ORDER BY last_seen_at DESC, created_at DESC
             LIMIT ?2)",
    )?
    .execute((teacher.to_string(), session::PER_PERSON - 1))?;
    tx.prepare_cached(
        "INSERT INTO sessions (token_sha256, teacher_id, created_at, last_seen_at)
         VALUES (?1, ?2, ?3, ?3)",
    )?
    .execute((token_sha256, teacher.to_string(), at.0))?;
    Ok(())
}

pub(super) fn touch_session(
    tx: &Transaction<'_>,
    token_sha256: &[u8; 32],
    at: Timestamp,
) -> Result<(), DbError> {
    tx.prepare_cached("UPDATE sessions SET last_seen_at = ?2 WHERE token_sha256 = ?1")?
        .execute((token_sha256, at.0))?;
    Ok(())
}

pub(super) fn delete_session(tx: &Transaction<'_>, token_sha256: &[u8; 32]) -> Result<(), DbError> {
    tx.prepare_cached("DELETE FROM sessions WHERE token_sha256 = ?1")?.execute([token_sha256])?;
    Ok(())
}

fn person(row: &Row<'_>) -> rusqlite::Result<Person> {
    Ok(Person {
        id: column::id(row, 0)?,
        email: row.get(1)?,
        full_name: row.get(2)?,
        role: column::word(row, 3)?,
        language: column::word(row, 4)?,
    })
}

impl column::Word for Role {
    const WORDS: &'static [(&'static str, Self)] =
        &[("teacher", Self::Teacher), ("admin", Self::Admin)];
}

impl column::Word for Language {
    const WORDS: &'static [(&'static str, Self)] = &[("ru", Self::Ru), ("en", Self::En)];
}
