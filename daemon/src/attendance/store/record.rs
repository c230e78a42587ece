//! Records: what is left of a lesson's presence when it is over.

use alfarid_protocol::{
    id::{LessonId, StudentId},
    time::Timestamp,
};
use rusqlite::{Connection, Row, Transaction, params};

use crate::{
    attendance::{Record, Status, span::Span},
    clock::Clock,
    db::{DbError, column},
};

/// The records of an ended lesson, by name.
pub(in crate::attendance) fn records(
    c: &Connection,
    lesson: LessonId,
) -> Result<Vec<Record>, DbError> {
    let mut statement = c.prepare_cached(
        "SELECT students.id, students.student_id, full_name, joined_at, left_at,
                duration_seconds, status
         FROM lesson_attendance
         JOIN students ON students.id = lesson_attendance.student_id
         WHERE lesson_id = ?1
         ORDER BY full_name, students.student_id",
    )?;
    let records = statement.query_map([lesson.to_string()], read_record)?;
    let mut records = records.collect::<Result<Vec<_>, _>>()?;
    for record in &mut records {
        record.spans = spans(c, lesson, record.student_id)?;
    }
    Ok(records)
}

fn read_record(row: &Row<'_>) -> rusqlite::Result<Record> {
    Ok(Record {
        student_id: column::id(row, 0)?,
        student_number: row.get(1)?,
        full_name: row.get(2)?,
        joined_at: column::optional_time(row, 3)?,
        left_at: column::optional_time(row, 4)?,
        duration_seconds: row.get(5)?,
        status: column::word(row, 6)?,
        spans: Vec::new(),
    })
}

fn spans(c: &Connection, lesson: LessonId, student: StudentId) -> Result<Vec<Span>, DbError> {
    let mut statement = c.prepare_cached(
        "SELECT from_at, to_at
         FROM lesson_attendance_spans
         WHERE lesson_id = ?1 AND student_id = ?2
         ORDER BY from_at",
    )?;
    let spans = statement.query_map([lesson.to_string(), student.to_string()], |row| {
        Ok(Span::new(column::time(row, 0)?, column::time(row, 1)?))
    })?;
    Ok(spans.collect::<Result<_, _>>()?)
}

/// Writes one record over what was there.
pub(in crate::attendance) fn write(
    tx: &Transaction<'_>,
    clock: &Clock,
    lesson: LessonId,
    record: &Record,
) -> Result<(), DbError> {
    tx.prepare_cached(
        "INSERT INTO lesson_attendance
            (id, lesson_id, student_id, joined_at, left_at, duration_seconds, status)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (lesson_id, student_id) DO UPDATE
         SET joined_at = ?4, left_at = ?5, duration_seconds = ?6, status = ?7",
    )?
    .execute(params![
        clock.id::<uuid::Uuid>().to_string(),
        lesson.to_string(),
        record.student_id.to_string(),
        record.joined_at.map(|at| at.0),
        record.left_at.map(|at| at.0),
        record.duration_seconds,
        column::Word::word(record.status),
    ])?;
    let key = [lesson.to_string(), record.student_id.to_string()];
    tx.prepare_cached(
        "DELETE FROM lesson_attendance_spans WHERE lesson_id = ?1 AND student_id = ?2",
    )?
    .execute([&key[0], &key[1]])?;
    let mut insert = tx.prepare_cached(
        "INSERT INTO lesson_attendance_spans (lesson_id, student_id, from_at, to_at)
         VALUES (?1, ?2, ?3, ?4)",
    )?;
    for span in &record.spans {
        let to_at = span.to_at.unwrap_or(Timestamp(i64::MAX));
        insert.execute(params![key[0], key[1], span.from_at.0, to_at.0])?;
    }
    Ok(())
}

impl column::Word for Status {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("present", Self::Present),
        ("late", Self::Late),
        ("left_early", Self::LeftEarly),
        ("absent", Self::Absent),
        ("excused", Self::Excused),
    ];
}
