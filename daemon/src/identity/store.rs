//! All SQL about people; about students who sign in: [`students`].

pub(super) mod students;

use alfarid_protocol::{id::TeacherId, time::Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, Transaction};
use uuid::Uuid;

use super::{Language, Person, Role, Teacher, session};
use crate::db::{
    DbError,
    column::{self, Word},
};

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
        person.language.word(),
        at.0,
    );
    Ok(statement.query_row(row, |row| column::id(row, 0))?)
}

/// The addresses of the accounts that a browser has logged in to.
pub(super) fn accounts_of_device(
    c: &Connection,
    token_sha256: &[u8; 32],
) -> Result<Vec<String>, DbError> {
    let mut statement = c.prepare_cached(
        "SELECT email FROM devices
         JOIN teachers ON teachers.id = devices.teacher_id
         WHERE token_sha256 = ?1",
    )?;
    let accounts = statement.query_map([token_sha256], |row| row.get(0))?;
    Ok(accounts.collect::<Result<_, _>>()?)
}

/// Also forgets the devices that this one is too many for.
pub(super) fn keep_device(
    tx: &Transaction<'_>,
    token_sha256: &[u8; 32],
    teacher: TeacherId,
    at: Timestamp,
) -> Result<(), DbError> {
    const PER_PERSON: u32 = 32;
    let teacher = teacher.to_string();
    tx.prepare_cached(
        "INSERT INTO devices (token_sha256, teacher_id, last_used_at) VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET last_used_at = excluded.last_used_at",
    )?
    .execute((token_sha256, &teacher, at.0))?;
    tx.prepare_cached(
        "DELETE FROM devices
         WHERE teacher_id = ?1 AND token_sha256 != ?2 AND token_sha256 NOT IN (
             SELECT token_sha256 FROM devices
             WHERE teacher_id = ?1
             ORDER BY last_used_at DESC
             LIMIT ?3)",
    )?
    .execute((&teacher, token_sha256, PER_PERSON))?;
    Ok(())
}

/// Also ends the sessions that this one is too many for, and returns them.
pub(super) fn insert_session(
    tx: &Transaction<'_>,
    token_sha256: &[u8; 32],
    teacher: TeacherId,
    at: Timestamp,
) -> Result<Vec<[u8; 32]>, DbError> {
    let teacher = teacher.to_string();
    let mut displace = tx.prepare_cached(
        "DELETE FROM sessions
         WHERE teacher_id = ?1 AND token_sha256 NOT IN (
             SELECT token_sha256 FROM sessions
             WHERE teacher_id = ?1
             ORDER BY last_seen_at DESC, created_at DESC
             LIMIT ?2)
         RETURNING token_sha256",
    )?;
    let displaced = displace.query_map((&teacher, session::PER_PERSON - 1), |row| row.get(0))?;
    let displaced = displaced.collect::<Result<_, _>>()?;
    tx.prepare_cached(
        "INSERT INTO sessions (token_sha256, teacher_id, created_at, last_seen_at)
         VALUES (?1, ?2, ?3, ?3)",
    )?
    .execute((token_sha256, &teacher, at.0))?;
    Ok(displaced)
}

/// Ends a person's sessions but for `except`, and returns them.
pub(super) fn end_sessions(
    tx: &Transaction<'_>,
    teacher: TeacherId,
    except: Option<&[u8; 32]>,
) -> Result<Vec<[u8; 32]>, DbError> {
    let mut statement = tx.prepare_cached(
        "DELETE FROM sessions
         WHERE teacher_id = ?1 AND token_sha256 IS NOT ?2
         RETURNING token_sha256",
    )?;
    let ended = statement.query_map((teacher.to_string(), except), |row| row.get(0))?;
    Ok(ended.collect::<Result<_, _>>()?)
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

/// Whosever it is.
pub(super) fn delete_session(tx: &Transaction<'_>, token_sha256: &[u8; 32]) -> Result<(), DbError> {
    tx.prepare_cached("DELETE FROM sessions WHERE token_sha256 = ?1")?.execute([token_sha256])?;
    students::delete_session(tx, token_sha256)
}

const TEACHER: &str = "SELECT id, email, full_name, department, role, is_active,
            stream_key_sha256 IS NOT NULL, created_at
     FROM teachers";

/// All accounts, by name.
pub(super) fn teachers(c: &Connection) -> Result<Vec<Teacher>, DbError> {
    let mut statement = c.prepare_cached(&format!("{TEACHER} ORDER BY full_name, email"))?;
    let teachers = statement.query_map([], read_teacher)?;
    Ok(teachers.collect::<Result<_, _>>()?)
}

pub(super) fn teacher(c: &Connection, id: TeacherId) -> Result<Option<Teacher>, DbError> {
    let mut statement = c.prepare_cached(&format!("{TEACHER} WHERE id = ?1"))?;
    Ok(statement.query_row([id.to_string()], read_teacher).optional()?)
}

pub(super) fn is_email_taken(c: &Connection, email: &str) -> Result<bool, DbError> {
    Ok(c.prepare_cached("SELECT 1 FROM teachers WHERE email = ?1")?.exists([email])?)
}

pub(super) fn insert_teacher(
    tx: &Transaction<'_>,
    teacher: &Teacher,
    password_hash: &str,
    language: Language,
) -> Result<(), DbError> {
    tx.prepare_cached(
        "INSERT INTO teachers
             (id, email, password_hash, full_name, department, role, language, is_active,
              created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9)",
    )?
    .execute((
        teacher.id.to_string(),
        &teacher.email,
        password_hash,
        &teacher.full_name,
        &teacher.department,
        teacher.role.word(),
        language.word(),
        teacher.is_active,
        teacher.created_at.0,
    ))?;
    Ok(())
}

pub(super) fn update_teacher(
    tx: &Transaction<'_>,
    teacher: &Teacher,
    at: Timestamp,
) -> Result<(), DbError> {
    tx.prepare_cached(
        "UPDATE teachers
         SET full_name = ?2, department = ?3, role = ?4, is_active = ?5, updated_at = ?6
         WHERE id = ?1",
    )?
    .execute((
        teacher.id.to_string(),
        &teacher.full_name,
        &teacher.department,
        teacher.role.word(),
        teacher.is_active,
        at.0,
    ))?;
    Ok(())
}

pub(super) fn update_person(
    tx: &Transaction<'_>,
    person: &Person,
    at: Timestamp,
) -> Result<(), DbError> {
    tx.prepare_cached(
        "UPDATE teachers SET full_name = ?2, language = ?3, updated_at = ?4 WHERE id = ?1",
    )?
    .execute((person.id.to_string(), &person.full_name, person.language.word(), at.0))?;
    Ok(())
}

pub(super) fn set_password(
    tx: &Transaction<'_>,
    id: TeacherId,
    password_hash: &str,
    at: Timestamp,
) -> Result<(), DbError> {
    tx.prepare_cached("UPDATE teachers SET password_hash = ?2, updated_at = ?3 WHERE id = ?1")?
        .execute((id.to_string(), password_hash, at.0))?;
    Ok(())
}

pub(super) fn set_stream_key(
    tx: &Transaction<'_>,
    id: TeacherId,
    key_sha256: Option<&[u8; 32]>,
    at: Timestamp,
) -> Result<(), DbError> {
    tx.prepare_cached("UPDATE teachers SET stream_key_sha256 = ?2, updated_at = ?3 WHERE id = ?1")?
        .execute((id.to_string(), key_sha256, at.0))?;
    Ok(())
}

fn read_teacher(row: &Row<'_>) -> rusqlite::Result<Teacher> {
    Ok(Teacher {
        id: column::id(row, 0)?,
        email: row.get(1)?,
        full_name: row.get(2)?,
        department: row.get(3)?,
        role: column::word(row, 4)?,
        is_active: row.get(5)?,
        has_stream_key: row.get(6)?,
        created_at: column::time(row, 7)?,
    })
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

impl Word for Role {
    const WORDS: &'static [(&'static str, Self)] =
        &[("teacher", Self::Teacher), ("admin", Self::Admin)];
}

impl Word for Language {
    const WORDS: &'static [(&'static str, Self)] = &[("ru", Self::Ru), ("en", Self::En)];
}

/// A line of the audit.
pub(super) struct AuditLine<'a> {
    pub(super) id: Uuid,
    pub(super) at: Timestamp,
    pub(super) by: Option<TeacherId>,
    pub(super) action: &'static str,
    pub(super) subject: &'a str,
    pub(super) detail: Option<&'a str>,
}

pub(super) fn append_audit(tx: &Transaction<'_>, line: &AuditLine<'_>) -> Result<(), DbError> {
    tx.prepare_cached(
        "INSERT INTO audit (id, at, teacher_id, action, subject, detail)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute((
        line.id.to_string(),
        line.at.0,
        line.by.map(|id| id.to_string()),
        line.action,
        line.subject,
        line.detail,
    ))?;
    Ok(())
}
