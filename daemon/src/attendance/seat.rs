//! Who sits where changes in mid-lesson.

use alfarid_protocol::{
    id::{LessonId, MachineId, StudentId},
    time::Timestamp,
};
use rusqlite::Transaction;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Error,
    span::Span,
    state::Seating,
    store::{
        meeting::{self, Kept},
        seat::{self, SeatChange},
    },
};
use crate::{clock::Clock, db::DbError, identity::Person};

/// How many students may share a machine.
const SEATS: usize = 2;

/// A student's seat from now on, or all along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    pub student: StudentId,
    /// `None`: no machine.
    pub machine: Option<MachineId>,
    pub mode: Mode,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = SeatMode)]
pub enum Mode {
    /// They move at this moment: what was before stays theirs.
    Now,
    /// They have sat there since their present seat was noted: what that machine saw is theirs.
    WasWrong,
}

/// Notes the change and leaves a trail. Returns whether anything changed.
pub(super) fn change(
    tx: &Transaction<'_>,
    clock: &Clock,
    meeting: &Kept,
    seat: Move,
    by: &Person,
) -> Result<bool, Error> {
    let now = clock.now();
    if seat.mode == Mode::Now && meeting.window.end_at.is_some() {
        return Err(Error::NotRunning(meeting.lesson));
    }
    if !meeting::students(tx, meeting)?.iter().any(|student| student.id == seat.student) {
        return Err(Error::NoSuchStudent(seat.student));
    }
    let seats = seat::seats(tx, meeting.lesson)?;
    let current = seats.iter().find(|s| s.seating.student == seat.student && s.is_current());
    let machine_was = current.map(|current| current.seating.machine);
    if machine_was == seat.machine {
        return Ok(false);
    }
    if let Some(machine) = seat.machine {
        let others = seats.iter().filter(|s| s.seating.machine == machine && s.is_current());
        check(tx, meeting, machine, others.count())?;
    }
    let from = match (seat.mode, current) {
        (Mode::Now, current) => {
            if let Some(current) = current {
                seat::stand_up(tx, &current.id, now)?;
            }
            now
        }
        (Mode::WasWrong, Some(current)) => {
            seat::strike(tx, &current.id)?;
            current.seating.span.from_at
        }
        (Mode::WasWrong, None) => meeting.window.start_at,
    };
    sit(tx, clock, meeting.lesson, seat, from)?;
    let change = SeatChange { seat, machine_was, by: by.id, at: now };
    seat::note_change(tx, clock, meeting.lesson, &change)?;
    Ok(true)
}

fn check(
    tx: &Transaction<'_>,
    meeting: &Kept,
    machine: MachineId,
    others: usize,
) -> Result<(), Error> {
    if seat::room_of(tx, machine)? != Some(meeting.room) || !meeting.has(machine) {
        return Err(Error::MachineElsewhere(machine));
    }
    if others >= SEATS {
        return Err(Error::MachineFull(machine));
    }
    Ok(())
}

fn sit(
    tx: &Transaction<'_>,
    clock: &Clock,
    lesson: LessonId,
    seat: Move,
    from: Timestamp,
) -> Result<(), DbError> {
    let Some(machine) = seat.machine else { return Ok(()) };
    let seating = Seating { student: seat.student, machine, span: Span::new(from, None) };
    seat::seat_down(tx, clock, lesson, seating)
}
