//! All SQL about lessons and their event log.

use alfarid_protocol::{
    grant::Picture,
    id::{ClassId, LessonId},
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::{
    Colleague, Lesson, Status, Which,
    event::{Entry, LessonEvent},
};
use crate::{
    clock::Clock,
    db::{
        DbError,
        column::{self, Word},
    },
};

const LESSON: &str = "
    SELECT lessons.id, lessons.class_id, classes.name, lessons.room_id, rooms.name,
           lessons.teacher_id, teachers.full_name, substitute_for, title, lessons.description,
           status, start_time, planned_end_time, end_time, quality_profile, quality_pinned,
           max_fps, student_count, duration_seconds, is_recording, picture, ends_by_itself_at,
           machine_ids, clock_was_sure, seen_at, own.full_name, recording_fault
    FROM lessons
    JOIN classes ON classes.id = lessons.class_id
    JOIN rooms ON rooms.id = lessons.room_id
    JOIN teachers ON teachers.id = lessons.teacher_id
    LEFT JOIN teachers AS own ON own.id = substitute_for";

pub(super) fn lesson(c: &Connection, id: LessonId) -> Result<Option<Lesson>, DbError> {
    let mut statement = c.prepare_cached(&format!("{LESSON} WHERE lessons.id = ?1"))?;
    Ok(statement.query_row([id.to_string()], read).optional()?)
}

/// Lessons that are not over.
pub(super) fn unfinished(c: &Connection) -> Result<Vec<Lesson>, DbError> {
    let mut statement =
        c.prepare_cached(&format!("{LESSON} WHERE status IN ('scheduled', 'active')"))?;
    let lessons = statement.query_map([], read)?;
    Ok(lessons.collect::<Result<_, _>>()?)
}

/// The newest first.
pub(super) fn lessons(c: &Connection, which: &Which) -> Result<Vec<Lesson>, DbError> {
    let mut statement = c.prepare_cached(&format!(
        "{LESSON}
         WHERE (?1 IS NULL OR status = ?1)
           AND (?2 IS NULL OR lessons.class_id = ?2)
           AND (?3 IS NULL OR start_time >= ?3)
           AND (?4 IS NULL OR start_time < ?4)
         ORDER BY start_time DESC, lessons.id DESC
         LIMIT ?5"
    ))?;
    let lessons = statement.query_map(
        params![
            which.status.map(Word::word),
            which.class.map(|id| id.to_string()),
            which.from.map(|at| at.0),
            which.to.map(|at| at.0),
            which.limit.unwrap_or(LONGEST_LIST).min(LONGEST_LIST),
        ],
        read,
    )?;
    Ok(lessons.collect::<Result<_, _>>()?)
}

/// A year of lessons of one class; a longer list is asked for by its times.
const LONGEST_LIST: u32 = 500;

/// Moves the times of every lesson that began at `from` or later, and of what stands in its log.
/// Returns which lessons they are. What is scheduled was not measured by any clock.
pub(super) fn shift(
    tx: &Transaction<'_>,
    from: Timestamp,
    moved_ms: i64,
) -> Result<Vec<LessonId>, DbError> {
    let mut statement = tx.prepare_cached(
        "UPDATE lessons
         SET start_time = start_time + ?2, planned_end_time = planned_end_time + ?2,
             end_time = end_time + ?2, ends_by_itself_at = ends_by_itself_at + ?2,
             seen_at = seen_at + ?2, clock_was_sure = 1
         WHERE start_time >= ?1 AND status IN ('active', 'completed')
         RETURNING id",
    )?;
    let lessons = statement.query_map(params![from.0, moved_ms], |row| column::id(row, 0))?;
    let lessons = lessons.collect::<Result<Vec<LessonId>, _>>()?;
    let mut events = tx.prepare_cached(
        "UPDATE lesson_events SET created_at = created_at + ?2 WHERE lesson_id = ?1",
    )?;
    for lesson in &lessons {
        events.execute(params![lesson.to_string(), moved_ms])?;
    }
    Ok(lessons)
}

/// The own teacher of a class.
pub(super) fn own_teacher(c: &Connection, class: ClassId) -> Result<Option<Colleague>, DbError> {
    let mut statement = c.prepare_cached(
        "SELECT teachers.id, full_name
         FROM classes
         JOIN teachers ON teachers.id = classes.teacher_id
         WHERE classes.id = ?1",
    )?;
    let own = statement.query_row([class.to_string()], |row| {
        Ok(Colleague { id: column::id(row, 0)?, full_name: row.get(1)? })
    });
    Ok(own.optional()?)
}

/// How many students were there, once a lesson is over.
pub(super) fn set_student_count(
    tx: &Transaction<'_>,
    lesson: LessonId,
    students: u32,
) -> Result<bool, DbError> {
    let changed = tx
        .prepare_cached(
            "UPDATE lessons
             SET student_count = ?2
             WHERE id = ?1 AND status = 'completed' AND student_count <> ?2",
        )?
        .execute(params![lesson.to_string(), students])?;
    Ok(changed > 0)
}

/// The log of a lesson, in order; lines of the same millisecond as they were written.
pub(super) fn events(c: &Connection, lesson: LessonId) -> Result<Vec<LessonEvent>, DbError> {
    let mut statement = c.prepare_cached(
        "SELECT lesson_events.id, lesson_events.created_at, event_type, lesson_events.student_id,
                teacher_id, event_data, students.full_name, teachers.full_name
         FROM lesson_events
         LEFT JOIN students ON students.id = lesson_events.student_id
         LEFT JOIN teachers ON teachers.id = teacher_id
         WHERE lesson_id = ?1
         ORDER BY lesson_events.created_at, lesson_events.rowid",
    )?;
    let events = statement.query_map([lesson.to_string()], |row| {
        let data: Option<String> = row.get(5)?;
        Ok(LessonEvent {
            id: column::id(row, 0)?,
            at: column::time(row, 1)?,
            event_type: row.get(2)?,
            student_id: column::optional_id(row, 3)?,
            student_name: row.get(6)?,
            teacher_id: column::optional_id(row, 4)?,
            teacher_name: row.get(7)?,
            data: data.and_then(|json| serde_json::from_str(&json).ok()),
        })
    })?;
    Ok(events.collect::<Result<_, _>>()?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Lesson> {
    let machine_ids: Option<String> = row.get(22)?;
    Ok(Lesson {
        id: column::id(row, 0)?,
        class_id: column::id(row, 1)?,
        class_name: row.get(2)?,
        room_id: column::id(row, 3)?,
        room_name: row.get(4)?,
        teacher_id: column::id(row, 5)?,
        teacher_name: row.get(6)?,
        substitute_for: column::optional_id(row, 7)?,
        title: row.get(8)?,
        description: row.get(9)?,
        status: column::word(row, 10)?,
        start_at: column::time(row, 11)?,
        planned_end_at: column::time(row, 12)?,
        end_at: column::optional_time(row, 13)?,
        quality_profile: column::word(row, 14)?,
        quality_pinned: row.get(15)?,
        max_fps: row.get(16)?,
        student_count: row.get(17)?,
        duration_seconds: row.get(18)?,
        is_recording: row.get(19)?,
        picture: column::word(row, 20)?,
        ends_by_itself_at: column::optional_time(row, 21)?,
        machine_ids: machine_ids.and_then(|json| serde_json::from_str(&json).ok()),
        clock_was_sure: row.get(23)?,
        seen_at: column::time(row, 24)?,
        substitute_for_name: row.get(25)?,
        recording_fault: column::optional_word(row, 26)?,
    })
}

/// Writes `lesson` over what was there.
pub(super) fn save(tx: &Transaction<'_>, lesson: &Lesson, now: Timestamp) -> Result<(), DbError> {
    // A list of ids always has a JSON form.
    let machine_ids = lesson.machine_ids.as_ref().and_then(|ids| serde_json::to_string(ids).ok());
    tx.prepare_cached(
        "INSERT INTO lessons
            (id, class_id, room_id, teacher_id, substitute_for, title, description, status,
             start_time, planned_end_time, end_time, quality_profile, quality_pinned, max_fps,
             student_count, duration_seconds, is_recording, picture, ends_by_itself_at,
             machine_ids, clock_was_sure, seen_at, recording_fault, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,
                 ?19, ?20, ?21, ?22, ?23, ?24, ?24)
         ON CONFLICT (id) DO UPDATE
         SET teacher_id = ?4, substitute_for = ?5, title = ?6, description = ?7, status = ?8,
             start_time = ?9, planned_end_time = ?10, end_time = ?11, quality_profile = ?12,
             quality_pinned = ?13, max_fps = ?14, student_count = ?15, duration_seconds = ?16,
             is_recording = ?17, picture = ?18, ends_by_itself_at = ?19, machine_ids = ?20,
             clock_was_sure = ?21, seen_at = ?22, recording_fault = ?23, updated_at = ?24",
    )?
    .execute(params![
        lesson.id.to_string(),
        lesson.class_id.to_string(),
        lesson.room_id.to_string(),
        lesson.teacher_id.to_string(),
        lesson.substitute_for.map(|id| id.to_string()),
        lesson.title,
        lesson.description,
        lesson.status.word(),
        lesson.start_at.0,
        lesson.planned_end_at.0,
        lesson.end_at.map(|at| at.0),
        lesson.quality_profile.word(),
        lesson.quality_pinned,
        lesson.max_fps,
        lesson.student_count,
        lesson.duration_seconds,
        lesson.is_recording,
        lesson.picture.word(),
        lesson.ends_by_itself_at.map(|at| at.0),
        machine_ids,
        lesson.clock_was_sure,
        lesson.seen_at.0,
        lesson.recording_fault.map(Word::word),
        now.0,
    ])?;
    Ok(())
}

pub(super) fn log(tx: &Transaction<'_>, clock: &Clock, entry: &Entry) -> Result<(), DbError> {
    tx.prepare_cached(
        "INSERT INTO lesson_events
            (id, lesson_id, teacher_id, event_type, event_data, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        clock.id::<uuid::Uuid>().to_string(),
        entry.lesson.to_string(),
        entry.teacher.map(|id| id.to_string()),
        entry.kind.word(),
        entry.data.as_ref().map(ToString::to_string),
        entry.at.0,
    ])?;
    Ok(())
}

impl Word for Status {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("scheduled", Self::Scheduled),
        ("active", Self::Active),
        ("completed", Self::Completed),
        ("cancelled", Self::Cancelled),
    ];
}

impl Word for Picture {
    const WORDS: &'static [(&'static str, Self)] =
        &[("live", Self::Live), ("blank", Self::Blank), ("frozen", Self::Frozen)];
}
