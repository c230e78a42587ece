//! What people changed of a lesson's attendance, as they did it.

use alfarid_protocol::id::LessonId;
use rusqlite::{Connection, Row};

use crate::{
    attendance::{Change, What},
    db::{DbError, column},
};

/// Every change of a seat and every correction; in order, each of its kind.
pub(in crate::attendance) fn changes(
    c: &Connection,
    lesson: LessonId,
) -> Result<Vec<Change>, DbError> {
    let mut seats = c.prepare_cached(
        "SELECT changes.id, at, teacher_id, teachers.full_name, changes.student_id,
                students.full_name, was.name, machines.name, mode
         FROM lesson_seat_changes AS changes
         JOIN teachers ON teachers.id = teacher_id
         JOIN students ON students.id = changes.student_id
         LEFT JOIN machines AS was ON was.id = machine_was
         LEFT JOIN machines ON machines.id = machine_id
         WHERE lesson_id = ?1
         ORDER BY at, changes.rowid",
    )?;
    let seats = seats.query_map([lesson.to_string()], |row| read(row, seat(row)?))?;
    let mut changes = seats.collect::<Result<Vec<_>, _>>()?;
    let mut corrections = c.prepare_cached(
        "SELECT corrections.id, at, teacher_id, teachers.full_name, corrections.student_id,
                students.full_name, was, status, why
         FROM attendance_corrections AS corrections
         JOIN teachers ON teachers.id = teacher_id
         JOIN students ON students.id = corrections.student_id
         WHERE lesson_id = ?1
         ORDER BY at, corrections.rowid",
    )?;
    let corrections = corrections.query_map([lesson.to_string()], |row| read(row, record(row)?))?;
    for correction in corrections {
        changes.push(correction?);
    }
    Ok(changes)
}

fn seat(row: &Row<'_>) -> rusqlite::Result<What> {
    Ok(What::Seat { from: row.get(6)?, to: row.get(7)?, mode: column::word(row, 8)? })
}

fn record(row: &Row<'_>) -> rusqlite::Result<What> {
    let (was, status) = (column::word(row, 6)?, column::word(row, 7)?);
    Ok(What::Record { was, status, why: row.get(8)? })
}

fn read(row: &Row<'_>, what: What) -> rusqlite::Result<Change> {
    Ok(Change {
        id: column::id(row, 0)?,
        at: column::time(row, 1)?,
        by: column::id(row, 2)?,
        by_name: row.get(3)?,
        student: column::id(row, 4)?,
        student_name: row.get(5)?,
        what,
    })
}
