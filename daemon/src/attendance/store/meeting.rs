//! Lessons as attendance knows them.

use alfarid_protocol::{
    id::{ClassId, LessonId, MachineId, RoomId, StudentId, TeacherId},
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use crate::{
    attendance::{
        Meeting, MeetingView, OwnLesson, Thresholds,
        span::Span,
        state::{Seating, Window},
        store::seat,
    },
    clock::Clock,
    db::{DbError, column},
    roster::{self, Student},
};

/// A meeting as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::attendance) struct Kept {
    pub lesson: LessonId,
    pub class: ClassId,
    pub room: RoomId,
    pub teacher: TeacherId,
    /// `None`: the whole room.
    pub machines: Option<Vec<MachineId>>,
    pub window: Window,
    /// Those it ended with; `None` while it runs.
    pub thresholds: Option<Thresholds>,
}

impl Kept {
    pub(in crate::attendance) fn has(&self, machine: MachineId) -> bool {
        self.machines.as_ref().is_none_or(|machines| machines.contains(&machine))
    }
}

/// Keeps `meeting`, with a copy of the seating, if it is not kept yet.
pub(in crate::attendance) fn open(
    tx: &Transaction<'_>,
    meeting: &Meeting,
    clock: &Clock,
) -> Result<(), DbError> {
    // A list of ids always has a JSON form.
    let machine_ids = meeting.machines.as_ref().and_then(|ids| serde_json::to_string(ids).ok());
    let mut insert = tx.prepare_cached(
        "INSERT INTO meetings
            (lesson_id, class_id, room_id, teacher_id, start_at, planned_end_at, machine_ids)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (lesson_id) DO NOTHING",
    )?;
    let inserted = insert.execute(params![
        meeting.lesson.to_string(),
        meeting.class.to_string(),
        meeting.room.to_string(),
        meeting.teacher.to_string(),
        meeting.start_at.0,
        meeting.planned_end_at.0,
        machine_ids,
    ])?;
    if inserted == 0 {
        return Ok(());
    }
    let mut seats = roster::store::seating(tx, meeting.class, meeting.room)?;
    if let Some(machines) = &meeting.machines {
        seats.retain(|seat| machines.contains(&seat.machine_id));
    }
    for roster::Seat { machine_id: machine, student_ids } in seats {
        for student in student_ids {
            let seating = Seating { student, machine, span: Span::new(meeting.start_at, None) };
            seat::seat_down(tx, clock, meeting.lesson, seating)?;
        }
    }
    Ok(())
}

/// Ends a meeting, with the thresholds that its records are made by.
pub(in crate::attendance) fn close(
    tx: &Transaction<'_>,
    lesson: LessonId,
    end_at: Timestamp,
    thresholds: Thresholds,
) -> Result<(), DbError> {
    // A struct of numbers always has a JSON form.
    let thresholds = serde_json::to_string(&thresholds).unwrap_or_default();
    tx.prepare_cached("UPDATE meetings SET end_at = ?2, thresholds = ?3 WHERE lesson_id = ?1")?
        .execute(params![lesson.to_string(), end_at.0, thresholds])?;
    Ok(())
}

const MEETING: &str = "SELECT lesson_id, class_id, room_id, teacher_id, start_at, planned_end_at,
                              end_at, thresholds, machine_ids
                       FROM meetings";

pub(in crate::attendance) fn meeting(
    c: &Connection,
    lesson: LessonId,
) -> Result<Option<Kept>, DbError> {
    let mut statement = c.prepare_cached(&format!("{MEETING} WHERE lesson_id = ?1"))?;
    Ok(statement.query_row([lesson.to_string()], read_meeting).optional()?)
}

/// Running lessons in which somebody sits at `machine`.
pub(in crate::attendance) fn running_at(
    c: &Connection,
    machine: MachineId,
) -> Result<Vec<LessonId>, DbError> {
    let mut statement = c.prepare_cached(
        "SELECT DISTINCT meetings.lesson_id
         FROM lesson_seats
         JOIN meetings ON meetings.lesson_id = lesson_seats.lesson_id
         WHERE machine_id = ?1 AND end_at IS NULL",
    )?;
    let lessons = statement.query_map([machine.to_string()], |row| column::id(row, 0))?;
    Ok(lessons.collect::<Result<_, _>>()?)
}

/// Lessons that were opened and not closed.
pub(in crate::attendance) fn running(c: &Connection) -> Result<Vec<Kept>, DbError> {
    let mut statement = c.prepare_cached(&format!("{MEETING} WHERE end_at IS NULL"))?;
    let meetings = statement.query_map([], read_meeting)?;
    Ok(meetings.collect::<Result<_, _>>()?)
}

pub(in crate::attendance) fn hand_over(
    tx: &Transaction<'_>,
    lesson: LessonId,
    teacher: TeacherId,
) -> Result<(), DbError> {
    tx.prepare_cached("UPDATE meetings SET teacher_id = ?2 WHERE lesson_id = ?1")?
        .execute([lesson.to_string(), teacher.to_string()])?;
    Ok(())
}

pub(in crate::attendance) fn plan(
    tx: &Transaction<'_>,
    lesson: LessonId,
    planned_end_at: Timestamp,
) -> Result<(), DbError> {
    tx.prepare_cached("UPDATE meetings SET planned_end_at = ?2 WHERE lesson_id = ?1")?
        .execute(params![lesson.to_string(), planned_end_at.0])?;
    Ok(())
}

/// Moves every meeting that began at `from` or later, and who sat where in it. Returns them.
pub(in crate::attendance) fn shift(
    tx: &Transaction<'_>,
    from: Timestamp,
    moved_ms: i64,
) -> Result<Vec<LessonId>, DbError> {
    let mut statement = tx.prepare_cached(
        "UPDATE meetings
         SET start_at = start_at + ?2, planned_end_at = planned_end_at + ?2, end_at = end_at + ?2
         WHERE start_at >= ?1
         RETURNING lesson_id",
    )?;
    let lessons = statement.query_map([from.0, moved_ms], |row| column::id(row, 0))?;
    let lessons = lessons.collect::<Result<Vec<LessonId>, _>>()?;
    let mut seats = tx.prepare_cached(
        "UPDATE lesson_seats
         SET from_at = from_at + ?2, to_at = to_at + ?2
         WHERE lesson_id = ?1",
    )?;
    let mut changes =
        tx.prepare_cached("UPDATE lesson_seat_changes SET at = at + ?2 WHERE lesson_id = ?1")?;
    let mut pages = tx.prepare_cached(
        "UPDATE page_spans
         SET from_at = from_at + ?2, until_at = until_at + ?2
         WHERE lesson_id = ?1",
    )?;
    for lesson in &lessons {
        for table in [&mut seats, &mut changes, &mut pages] {
            table.execute(params![lesson.to_string(), moved_ms])?;
        }
    }
    Ok(lessons)
}

/// Ended lessons in which somebody sat at `machine` and that overlap `span`, the newest first.
pub(in crate::attendance) fn ended_at(
    c: &Connection,
    machine: MachineId,
    span: Span,
) -> Result<Vec<Kept>, DbError> {
    let mut statement = c.prepare_cached(&format!(
        "{MEETING}
         WHERE end_at >= ?2 AND start_at <= ?3
           AND lesson_id IN (SELECT lesson_id FROM lesson_seats WHERE machine_id = ?1)
         ORDER BY start_at DESC"
    ))?;
    let to_at = span.to_at.map_or(i64::MAX, |to_at| to_at.0);
    let key = params![machine.to_string(), span.from_at.0, to_at];
    let meetings = statement.query_map(key, read_meeting)?;
    Ok(meetings.collect::<Result<_, _>>()?)
}

/// Lessons that have ended and began no earlier than `since`.
pub(in crate::attendance) fn ended_since(
    c: &Connection,
    since: Timestamp,
) -> Result<Vec<LessonId>, DbError> {
    let mut statement = c.prepare_cached(
        "SELECT lesson_id FROM meetings WHERE end_at IS NOT NULL AND start_at >= ?1",
    )?;
    let lessons = statement.query_map([since.0], |row| column::id(row, 0))?;
    Ok(lessons.collect::<Result<_, _>>()?)
}

fn read_meeting(row: &Row<'_>) -> rusqlite::Result<Kept> {
    let thresholds: Option<String> = row.get(7)?;
    let machines: Option<String> = row.get(8)?;
    Ok(Kept {
        lesson: column::id(row, 0)?,
        class: column::id(row, 1)?,
        room: column::id(row, 2)?,
        teacher: column::id(row, 3)?,
        window: Window {
            start_at: column::time(row, 4)?,
            planned_end_at: column::time(row, 5)?,
            end_at: column::optional_time(row, 6)?,
        },
        thresholds: thresholds.and_then(|json| serde_json::from_str(&json).ok()),
        machines: machines.and_then(|json| serde_json::from_str(&json).ok()),
    })
}

/// With the names of whom and what it is about.
pub(in crate::attendance) fn view(c: &Connection, kept: &Kept) -> Result<MeetingView, DbError> {
    let mut statement = c.prepare_cached(
        "SELECT classes.name, rooms.name, teachers.full_name, own.full_name, clock_was_sure
         FROM meetings
         JOIN lessons ON lessons.id = meetings.lesson_id
         JOIN classes ON classes.id = meetings.class_id
         JOIN rooms ON rooms.id = meetings.room_id
         JOIN teachers ON teachers.id = meetings.teacher_id
         LEFT JOIN teachers AS own ON own.id = lessons.substitute_for
         WHERE lesson_id = ?1",
    )?;
    Ok(statement.query_row([kept.lesson.to_string()], |row| {
        Ok(MeetingView {
            id: kept.lesson,
            class_id: kept.class,
            class_name: row.get(0)?,
            room_id: kept.room,
            room_name: row.get(1)?,
            teacher_id: kept.teacher,
            teacher_name: row.get(2)?,
            substitute_for_name: row.get(3)?,
            clock_was_sure: row.get(4)?,
            start_at: kept.window.start_at,
            planned_end_at: kept.window.planned_end_at,
            end_at: kept.window.end_at,
        })
    })?)
}

/// As one of its students sees it.
pub(in crate::attendance) fn own(
    c: &Connection,
    kept: &Kept,
    is_here: bool,
) -> Result<OwnLesson, DbError> {
    let mut statement = c.prepare_cached(
        "SELECT lessons.title, teachers.full_name
         FROM meetings
         JOIN lessons ON lessons.id = meetings.lesson_id
         JOIN teachers ON teachers.id = meetings.teacher_id
         WHERE lesson_id = ?1",
    )?;
    Ok(statement.query_row([kept.lesson.to_string()], |row| {
        Ok(OwnLesson {
            id: kept.lesson,
            title: row.get(0)?,
            teacher_name: row.get(1)?,
            start_at: kept.window.start_at,
            is_here,
        })
    })?)
}

/// Everybody whose attendance of the meeting is kept: the class as it is, as long as no records
/// are written, but for those who sit at machines that the lesson has not; and whoever had a seat,
/// a page or a record in it.
pub(in crate::attendance) fn students(
    c: &Connection,
    meeting: &Kept,
) -> Result<Vec<Student>, DbError> {
    let mut students = if meeting.thresholds.is_none() {
        let mut seats = roster::store::seating(c, meeting.class, meeting.room)?;
        seats.retain(|seat| !meeting.has(seat.machine_id));
        let sits_elsewhere =
            |id: &StudentId| seats.iter().any(|seat| seat.student_ids.contains(id));
        let mut students = roster::store::students_of_class(c, meeting.class)?;
        students.retain(|student| !sits_elsewhere(&student.id));
        students
    } else {
        Vec::new()
    };
    let mut statement = c.prepare_cached(
        "SELECT id, student_id, full_name, email, class_id, is_active
         FROM students
         WHERE id IN (SELECT student_id FROM lesson_seats WHERE lesson_id = ?1
                      UNION SELECT student_id FROM page_spans WHERE lesson_id = ?1
                      UNION SELECT student_id FROM lesson_attendance WHERE lesson_id = ?1)",
    )?;
    let others = statement.query_map([meeting.lesson.to_string()], |row| {
        Ok(Student {
            id: column::id(row, 0)?,
            student_id: row.get(1)?,
            full_name: row.get(2)?,
            email: row.get(3)?,
            class_id: column::optional_id(row, 4)?,
            is_active: row.get(5)?,
        })
    })?;
    for other in others {
        let other = other?;
        if !students.iter().any(|student| student.id == other.id) {
            students.push(other);
        }
    }
    students.sort_by(|a, b| (&a.full_name, &a.student_id).cmp(&(&b.full_name, &b.student_id)));
    Ok(students)
}
