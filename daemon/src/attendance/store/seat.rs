//! Who sits where in a lesson.

use alfarid_protocol::{
    id::{LessonId, MachineId, RoomId, StudentId, TeacherId},
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use crate::{
    attendance::{Mode, Move, span::Span, state::Seating},
    clock::Clock,
    db::{
        DbError,
        column::{self, Word},
    },
};

pub(in crate::attendance) fn seat_down(
    tx: &Transaction<'_>,
    clock: &Clock,
    lesson: LessonId,
    seating: Seating,
) -> Result<(), DbError> {
    tx.prepare_cached(
        "INSERT INTO lesson_seats (id, lesson_id, machine_id, student_id, from_at, to_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        clock.id::<uuid::Uuid>().to_string(),
        lesson.to_string(),
        seating.machine.to_string(),
        seating.student.to_string(),
        seating.span.from_at.0,
        seating.span.to_at.map(|to_at| to_at.0),
    ])?;
    Ok(())
}

/// One line of the lesson's own seating.
#[derive(Clone, Debug)]
pub(in crate::attendance) struct Seat {
    pub id: String,
    pub seating: Seating,
}

impl Seat {
    /// Nobody has said that they sit elsewhere since.
    pub(in crate::attendance) fn is_current(&self) -> bool {
        self.seating.span.to_at.is_none()
    }
}

/// Who sat where in `lesson`, in the order of sitting down.
pub(in crate::attendance) fn seats(c: &Connection, lesson: LessonId) -> Result<Vec<Seat>, DbError> {
    let mut statement = c.prepare_cached(
        "SELECT id, student_id, machine_id, from_at, to_at
         FROM lesson_seats
         WHERE lesson_id = ?1
         ORDER BY from_at, id",
    )?;
    let seats = statement.query_map([lesson.to_string()], read_seat)?;
    Ok(seats.collect::<Result<_, _>>()?)
}

/// Where `student` sat in `lesson`, in the order of sitting down.
pub(in crate::attendance) fn seats_of(
    c: &Connection,
    lesson: LessonId,
    student: StudentId,
) -> Result<Vec<Seat>, DbError> {
    let mut statement = c.prepare_cached(
        "SELECT id, student_id, machine_id, from_at, to_at
         FROM lesson_seats
         WHERE lesson_id = ?1 AND student_id = ?2
         ORDER BY from_at, id",
    )?;
    let seats = statement.query_map([lesson.to_string(), student.to_string()], read_seat)?;
    Ok(seats.collect::<Result<_, _>>()?)
}

fn read_seat(row: &Row<'_>) -> rusqlite::Result<Seat> {
    let span = Span::new(column::time(row, 3)?, column::optional_time(row, 4)?);
    let seating = Seating { student: column::id(row, 1)?, machine: column::id(row, 2)?, span };
    Ok(Seat { id: row.get(0)?, seating })
}

pub(in crate::attendance) fn stand_up(
    tx: &Transaction<'_>,
    seat: &str,
    at: Timestamp,
) -> Result<(), DbError> {
    tx.prepare_cached("UPDATE lesson_seats SET to_at = ?2 WHERE id = ?1")?
        .execute(params![seat, at.0])?;
    Ok(())
}

/// Nobody ever sat there.
pub(in crate::attendance) fn strike(tx: &Transaction<'_>, seat: &str) -> Result<(), DbError> {
    tx.prepare_cached("DELETE FROM lesson_seats WHERE id = ?1")?.execute([seat])?;
    Ok(())
}

/// A line of the trail that a change of seats leaves.
#[derive(Clone, Copy, Debug)]
pub(in crate::attendance) struct SeatChange {
    pub seat: Move,
    pub machine_was: Option<MachineId>,
    pub by: TeacherId,
    pub at: Timestamp,
}

pub(in crate::attendance) fn note_change(
    tx: &Transaction<'_>,
    clock: &Clock,
    lesson: LessonId,
    change: &SeatChange,
) -> Result<(), DbError> {
    tx.prepare_cached(
        "INSERT INTO lesson_seat_changes
            (id, lesson_id, student_id, machine_was, machine_id, mode, teacher_id, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        clock.id::<uuid::Uuid>().to_string(),
        lesson.to_string(),
        change.seat.student.to_string(),
        change.machine_was.map(|id| id.to_string()),
        change.seat.machine.map(|id| id.to_string()),
        change.seat.mode.word(),
        change.by.to_string(),
        change.at.0,
    ])?;
    Ok(())
}

pub(in crate::attendance) fn room_of(
    c: &Connection,
    machine: MachineId,
) -> Result<Option<RoomId>, DbError> {
    let mut statement = c.prepare_cached("SELECT room_id FROM machines WHERE id = ?1")?;
    Ok(statement.query_row([machine.to_string()], |row| column::id(row, 0)).optional()?)
}

pub(in crate::attendance) fn machine_name(
    c: &Connection,
    machine: MachineId,
) -> Result<Option<String>, DbError> {
    let mut statement = c.prepare_cached("SELECT name FROM machines WHERE id = ?1")?;
    Ok(statement.query_row([machine.to_string()], |row| row.get(0)).optional()?)
}

impl Word for Mode {
    const WORDS: &'static [(&'static str, Self)] =
        &[("now", Self::Now), ("was_wrong", Self::WasWrong)];
}
