//! Records: what is left of a lesson's presence when it is over.

use std::collections::BTreeMap;

use alfarid_protocol::{
    id::{ClassId, LessonId, StudentId},
    time::Timestamp,
};
use rusqlite::{Connection, Row, Transaction, params};

use crate::{
    attendance::{Correction, Record, Status, Summary, span::Span},
    clock::Clock,
    db::{
        DbError,
        column::{self, Word},
    },
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
    let mut corrections = corrections(c, lesson)?;
    for record in &mut records {
        record.spans = spans(c, lesson, record.student_id)?;
        record.correction = corrections.remove(&record.student_id);
        record.is_corrected = record.correction.is_some();
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
        is_corrected: false,
        correction: None,
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

/// How many students came.
pub(in crate::attendance) fn were_there(c: &Connection, lesson: LessonId) -> Result<u32, DbError> {
    let mut statement = c.prepare_cached(
        "SELECT count(*) FROM lesson_attendance WHERE lesson_id = ?1 AND joined_at IS NOT NULL",
    )?;
    Ok(statement.query_row([lesson.to_string()], |row| row.get(0))?)
}

/// The correction of each student that stands: the newest.
pub(in crate::attendance) fn corrections(
    c: &Connection,
    lesson: LessonId,
) -> Result<BTreeMap<StudentId, Correction>, DbError> {
    let mut statement = c.prepare_cached(
        "SELECT student_id, teacher_id, full_name, at, why, was, status
         FROM attendance_corrections
         JOIN teachers ON teachers.id = teacher_id
         WHERE lesson_id = ?1
         ORDER BY at, attendance_corrections.rowid",
    )?;
    let corrections = statement.query_map([lesson.to_string()], |row| {
        let correction = Correction {
            by: column::id(row, 1)?,
            by_name: row.get(2)?,
            at: column::time(row, 3)?,
            why: row.get(4)?,
            was: column::word(row, 5)?,
            status: column::word(row, 6)?,
        };
        Ok((column::id(row, 0)?, correction))
    })?;
    Ok(corrections.collect::<Result<_, _>>()?)
}

pub(in crate::attendance) fn correct(
    tx: &Transaction<'_>,
    clock: &Clock,
    lesson: LessonId,
    student: StudentId,
    correction: &Correction,
) -> Result<(), DbError> {
    tx.prepare_cached(
        "INSERT INTO attendance_corrections
            (id, lesson_id, student_id, was, status, why, teacher_id, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        clock.id::<uuid::Uuid>().to_string(),
        lesson.to_string(),
        student.to_string(),
        correction.was.word(),
        correction.status.word(),
        correction.why,
        correction.by.to_string(),
        correction.at.0,
    ])?;
    Ok(())
}

/// Counts of every student who has a record in an ended lesson of `class` that began at `from` or
/// later and before `to`, by name.
pub(in crate::attendance) fn summary(
    c: &Connection,
    class: ClassId,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
) -> Result<Vec<Summary>, DbError> {
    let mut statement = c.prepare_cached(
        "SELECT students.id, students.student_id, full_name, count(*),
                sum(status = 'present'), sum(status = 'late'), sum(status = 'left_early'),
                sum(status = 'absent'), sum(status = 'excused'), sum(duration_seconds)
         FROM lesson_attendance
         JOIN meetings ON meetings.lesson_id = lesson_attendance.lesson_id
         JOIN students ON students.id = lesson_attendance.student_id
         WHERE meetings.class_id = ?1
           AND (?2 IS NULL OR start_at >= ?2)
           AND (?3 IS NULL OR start_at < ?3)
         GROUP BY students.id
         ORDER BY full_name, students.student_id",
    )?;
    let key = params![class.to_string(), from.map(|at| at.0), to.map(|at| at.0)];
    let summaries = statement.query_map(key, |row| {
        Ok(Summary {
            student_id: column::id(row, 0)?,
            student_number: row.get(1)?,
            full_name: row.get(2)?,
            lessons: row.get(3)?,
            present: row.get(4)?,
            late: row.get(5)?,
            left_early: row.get(6)?,
            absent: row.get(7)?,
            excused: row.get(8)?,
            duration_seconds: row.get(9)?,
        })
    })?;
    Ok(summaries.collect::<Result<_, _>>()?)
}

/// Moves the records of `lesson` and what people made of them.
pub(in crate::attendance) fn shift(
    tx: &Transaction<'_>,
    lesson: LessonId,
    moved_ms: i64,
) -> Result<(), DbError> {
    for sql in [
        "UPDATE lesson_attendance
         SET joined_at = joined_at + ?2, left_at = left_at + ?2
         WHERE lesson_id = ?1",
        "UPDATE lesson_attendance_spans
         SET from_at = from_at + ?2, to_at = to_at + ?2
         WHERE lesson_id = ?1",
        "UPDATE attendance_corrections SET at = at + ?2 WHERE lesson_id = ?1",
    ] {
        tx.prepare_cached(sql)?.execute(params![lesson.to_string(), moved_ms])?;
    }
    Ok(())
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
        record.status.word(),
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

impl Word for Status {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("present", Self::Present),
        ("late", Self::Late),
        ("left_early", Self::LeftEarly),
        ("absent", Self::Absent),
        ("excused", Self::Excused),
    ];
}
