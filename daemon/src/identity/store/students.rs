//! All SQL about students who sign in. The students themselves are the roster's: what is read of
//! them here is who is active, and their names.

use alfarid_protocol::{
    id::{StudentId, TeacherId},
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, Row, Transaction};

use crate::{
    db::{DbError, column},
    identity::{SignedStudent, session},
};

/// What all codes of this box are hashed with.
pub(in crate::identity) fn salt(c: &Connection) -> Result<Vec<u8>, DbError> {
    Ok(c.prepare_cached("SELECT salt FROM student_code_salt")?.query_row([], |row| row.get(0))?)
}

/// In the place of the student's older one. That two students get the same code is less likely
/// than a broken disk, and fails as one would.
pub(in crate::identity) fn put_code(
    tx: &Transaction<'_>,
    student: StudentId,
    code_hash: &[u8; 32],
    by: TeacherId,
    at: Timestamp,
) -> Result<(), DbError> {
    tx.prepare_cached(
        "INSERT INTO student_codes (student_id, code_hash, created_by, created_at)
         VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (student_id) DO UPDATE
         SET code_hash = ?2, created_by = ?3, created_at = ?4",
    )?
    .execute((student.to_string(), code_hash, by.to_string(), at.0))?;
    Ok(())
}

pub(in crate::identity) fn delete_code(
    tx: &Transaction<'_>,
    student: StudentId,
) -> Result<(), DbError> {
    tx.prepare_cached("DELETE FROM student_codes WHERE student_id = ?1")?
        .execute([student.to_string()])?;
    Ok(())
}

/// Whose code it is, if that student is active.
pub(in crate::identity) fn student_of_code(
    c: &Connection,
    code_hash: &[u8; 32],
) -> Result<Option<SignedStudent>, DbError> {
    let mut statement = c.prepare_cached(
        "SELECT students.id, full_name
         FROM student_codes
         JOIN students ON students.id = student_codes.student_id
         WHERE code_hash = ?1 AND is_active = 1",
    )?;
    Ok(statement.query_row([code_hash], read).optional()?)
}

/// Whose code has last let a browser in.
pub(in crate::identity) fn owner_of_device(
    c: &Connection,
    token_sha256: &[u8; 32],
) -> Result<Option<StudentId>, DbError> {
    let mut statement =
        c.prepare_cached("SELECT student_id FROM student_devices WHERE token_sha256 = ?1")?;
    Ok(statement.query_row([token_sha256], |row| column::id(row, 0)).optional()?)
}

/// Also forgets the devices that this one is too many for.
pub(in crate::identity) fn keep_device(
    tx: &Transaction<'_>,
    token_sha256: &[u8; 32],
    student: StudentId,
    at: Timestamp,
) -> Result<(), DbError> {
    const PER_STUDENT: u32 = 8;
    let student = student.to_string();
    tx.prepare_cached(
        "INSERT INTO student_devices (token_sha256, student_id, last_used_at) VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE
         SET student_id = excluded.student_id, last_used_at = excluded.last_used_at",
    )?
    .execute((token_sha256, &student, at.0))?;
    tx.prepare_cached(
        "DELETE FROM student_devices
         WHERE student_id = ?1 AND token_sha256 != ?2 AND token_sha256 NOT IN (
             SELECT token_sha256 FROM student_devices
             WHERE student_id = ?1
             ORDER BY last_used_at DESC
             LIMIT ?3)",
    )?
    .execute((&student, token_sha256, PER_STUDENT))?;
    Ok(())
}

pub(in crate::identity) fn forget_devices(
    tx: &Transaction<'_>,
    student: StudentId,
) -> Result<(), DbError> {
    tx.prepare_cached("DELETE FROM student_devices WHERE student_id = ?1")?
        .execute([student.to_string()])?;
    Ok(())
}

/// Whose session it is, if that student is active, and when it was opened.
pub(in crate::identity) fn session(
    c: &Connection,
    token_sha256: &[u8; 32],
) -> Result<Option<(SignedStudent, Timestamp)>, DbError> {
    let mut statement = c.prepare_cached(
        "SELECT students.id, full_name, student_sessions.created_at
         FROM student_sessions
         JOIN students ON students.id = student_sessions.student_id
         WHERE token_sha256 = ?1 AND is_active = 1",
    )?;
    let read = |row: &Row<'_>| Ok((read(row)?, column::time(row, 2)?));
    Ok(statement.query_row([token_sha256], read).optional()?)
}

/// Also ends the sessions that this one is too many for, and returns them.
pub(in crate::identity) fn insert_session(
    tx: &Transaction<'_>,
    token_sha256: &[u8; 32],
    student: StudentId,
    at: Timestamp,
) -> Result<Vec<[u8; 32]>, DbError> {
    let student = student.to_string();
    let mut displace = tx.prepare_cached(
        "DELETE FROM student_sessions
         WHERE student_id = ?1 AND token_sha256 NOT IN (
             SELECT token_sha256 FROM student_sessions
             WHERE student_id = ?1
             ORDER BY created_at DESC
             LIMIT ?2)
         RETURNING token_sha256",
    )?;
    let displaced = displace.query_map((&student, session::PER_STUDENT - 1), |row| row.get(0))?;
    let displaced = displaced.collect::<Result<_, _>>()?;
    tx.prepare_cached(
        "INSERT INTO student_sessions (token_sha256, student_id, created_at) VALUES (?1, ?2, ?3)",
    )?
    .execute((token_sha256, &student, at.0))?;
    Ok(displaced)
}

/// Ends all sessions of a student, and returns them.
pub(in crate::identity) fn end_sessions(
    tx: &Transaction<'_>,
    student: StudentId,
) -> Result<Vec<[u8; 32]>, DbError> {
    let mut statement = tx.prepare_cached(
        "DELETE FROM student_sessions WHERE student_id = ?1 RETURNING token_sha256",
    )?;
    let ended = statement.query_map([student.to_string()], |row| row.get(0))?;
    Ok(ended.collect::<Result<_, _>>()?)
}

pub(in crate::identity) fn delete_session(
    tx: &Transaction<'_>,
    token_sha256: &[u8; 32],
) -> Result<(), DbError> {
    tx.prepare_cached("DELETE FROM student_sessions WHERE token_sha256 = ?1")?
        .execute([token_sha256])?;
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<SignedStudent> {
    Ok(SignedStudent { id: column::id(row, 0)?, full_name: row.get(1)? })
}
