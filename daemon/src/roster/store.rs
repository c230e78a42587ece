//! All SQL about classes, students, rooms and seatings.

use alfarid_protocol::id::{ClassId, MachineId, RoomId, StudentId};
use rusqlite::{Connection, OptionalExtension, Row};

use super::{Class, RoomName, Seat, Student};
use crate::db::{DbError, column};

pub fn class(c: &Connection, id: ClassId) -> Result<Option<Class>, DbError> {
    let mut statement = c.prepare_cached(
        "SELECT id, name, description, teacher_id, max_students,
                (SELECT count(*) FROM students WHERE class_id = classes.id AND is_active = 1)
         FROM classes
         WHERE id = ?1",
    )?;
    Ok(statement.query_row([id.to_string()], read_class).optional()?)
}

pub fn room(c: &Connection, id: RoomId) -> Result<Option<RoomName>, DbError> {
    let mut statement = c.prepare_cached("SELECT id, name FROM rooms WHERE id = ?1")?;
    let read = |row: &Row<'_>| Ok(RoomName { id: column::id(row, 0)?, name: row.get(1)? });
    Ok(statement.query_row([id.to_string()], read).optional()?)
}

/// The active students of a class, by name.
pub fn students_of_class(c: &Connection, id: ClassId) -> Result<Vec<Student>, DbError> {
    let mut statement = c.prepare_cached(
        "SELECT id, student_id, full_name, email, class_id, is_active
         FROM students
         WHERE class_id = ?1 AND is_active = 1
         ORDER BY full_name, student_id",
    )?;
    let students = statement.query_map([id.to_string()], read_student)?;
    Ok(students.collect::<Result<_, _>>()?)
}

/// Who sits where when `class` is in `room`; machines without students are not named.
pub fn seating(c: &Connection, class: ClassId, room: RoomId) -> Result<Vec<Seat>, DbError> {
    let mut statement = c.prepare_cached(
        "SELECT machine_id, student_id
         FROM seatings
         WHERE class_id = ?1 AND room_id = ?2
         ORDER BY machine_id, student_id",
    )?;
    let pairs = statement.query_map([class.to_string(), room.to_string()], |row| {
        Ok((column::id::<MachineId>(row, 0)?, column::id::<StudentId>(row, 1)?))
    })?;
    let mut seats: Vec<Seat> = Vec::new();
    for pair in pairs {
        let (machine_id, student_id) = pair?;
        match seats.last_mut() {
            Some(seat) if seat.machine_id == machine_id => seat.student_ids.push(student_id),
            _ => seats.push(Seat { machine_id, student_ids: vec![student_id] }),
        }
    }
    Ok(seats)
}

fn read_class(row: &Row<'_>) -> rusqlite::Result<Class> {
    Ok(Class {
        id: column::id(row, 0)?,
        name: row.get(1)?,
        description: row.get(2)?,
        teacher_id: column::optional_id(row, 3)?,
        max_students: row.get(4)?,
        student_count: row.get(5)?,
    })
}

fn read_student(row: &Row<'_>) -> rusqlite::Result<Student> {
    Ok(Student {
        id: column::id(row, 0)?,
        student_id: row.get(1)?,
        full_name: row.get(2)?,
        email: row.get(3)?,
        class_id: column::optional_id(row, 4)?,
        is_active: row.get(5)?,
    })
}
