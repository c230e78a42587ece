//! All SQL about classes, students, rooms and seatings.

use std::collections::HashSet;

use alfarid_protocol::{
    id::{ClassId, MachineId, RoomId, StudentId, TeacherId},
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, Row, Transaction};

use super::{Class, Room, RoomName, Seat, Student};
use crate::db::{DbError, column};

const CLASS: &str = "SELECT id, name, description, teacher_id, max_students,
            (SELECT count(*) FROM students WHERE class_id = classes.id AND is_active = 1)
     FROM classes";

const STUDENT: &str = "SELECT id, student_id, full_name, email, class_id, is_active FROM students";

pub fn class(c: &Connection, id: ClassId) -> Result<Option<Class>, DbError> {
    let mut statement = c.prepare_cached(&format!("{CLASS} WHERE id = ?1"))?;
    Ok(statement.query_row([id.to_string()], read_class).optional()?)
}

pub fn room(c: &Connection, id: RoomId) -> Result<Option<RoomName>, DbError> {
    let mut statement = c.prepare_cached("SELECT id, name FROM rooms WHERE id = ?1")?;
    let read = |row: &Row<'_>| Ok(RoomName { id: column::id(row, 0)?, name: row.get(1)? });
    Ok(statement.query_row([id.to_string()], read).optional()?)
}

/// The active students of a class, by name.
pub fn students_of_class(c: &Connection, id: ClassId) -> Result<Vec<Student>, DbError> {
    let mut students = all_students_of_class(c, id)?;
    students.retain(|student| student.is_active);
    Ok(students)
}

/// All who were ever in the class and are in no other now, by name.
pub fn all_students_of_class(c: &Connection, id: ClassId) -> Result<Vec<Student>, DbError> {
    let sql = format!("{STUDENT} WHERE class_id = ?1 ORDER BY full_name, student_id");
    let mut statement = c.prepare_cached(&sql)?;
    let students = statement.query_map([id.to_string()], read_student)?;
    Ok(students.collect::<Result<_, _>>()?)
}

pub fn student(c: &Connection, id: StudentId) -> Result<Option<Student>, DbError> {
    let mut statement = c.prepare_cached(&format!("{STUDENT} WHERE id = ?1"))?;
    Ok(statement.query_row([id.to_string()], read_student).optional()?)
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

pub(super) fn rooms(c: &Connection) -> Result<Vec<Room>, DbError> {
    let mut statement = c.prepare_cached(
        "SELECT id, name,
                (SELECT count(*) FROM machines WHERE room_id = rooms.id AND revoked_at IS NULL)
         FROM rooms
         ORDER BY name",
    )?;
    let rooms = statement.query_map([], |row| {
        let (id, name) = (column::id(row, 0)?, row.get(1)?);
        Ok(Room { id, name, machine_count: row.get(2)?, connected_count: 0 })
    })?;
    Ok(rooms.collect::<Result<_, _>>()?)
}

pub(super) fn room_named(c: &Connection, name: &str) -> Result<Option<RoomId>, DbError> {
    let mut statement = c.prepare_cached("SELECT id FROM rooms WHERE name = ?1")?;
    Ok(statement.query_row([name], |row| column::id(row, 0)).optional()?)
}

pub(super) fn insert_room(
    tx: &Transaction<'_>,
    id: RoomId,
    name: &str,
    at: Timestamp,
) -> Result<(), DbError> {
    tx.prepare_cached(
        "INSERT INTO rooms (id, name, created_at, updated_at) VALUES (?1, ?2, ?3, ?3)",
    )?
    .execute((id.to_string(), name, at.0))?;
    Ok(())
}

/// `false` if there is no such room.
pub(super) fn rename_room(
    tx: &Transaction<'_>,
    id: RoomId,
    name: &str,
    at: Timestamp,
) -> Result<bool, DbError> {
    let rows = tx
        .prepare_cached("UPDATE rooms SET name = ?2, updated_at = ?3 WHERE id = ?1")?
        .execute((id.to_string(), name, at.0))?;
    Ok(rows == 1)
}

/// Whether anything names the room that must not lose it.
pub(super) fn is_room_in_use(c: &Connection, id: RoomId) -> Result<bool, DbError> {
    let mut statement = c.prepare_cached(
        "SELECT 1 FROM machines WHERE room_id = ?1
         UNION ALL
         SELECT 1 FROM lessons WHERE room_id = ?1",
    )?;
    Ok(statement.exists([id.to_string()])?)
}

/// With the tokens that would let machines into it.
pub(super) fn delete_room(tx: &Transaction<'_>, id: RoomId) -> Result<(), DbError> {
    tx.prepare_cached("DELETE FROM site_tokens WHERE room_id = ?1")?.execute([id.to_string()])?;
    tx.prepare_cached("DELETE FROM rooms WHERE id = ?1")?.execute([id.to_string()])?;
    Ok(())
}

/// The machines of a room that are let in.
pub fn machines_of_room(c: &Connection, id: RoomId) -> Result<HashSet<MachineId>, DbError> {
    let mut statement =
        c.prepare_cached("SELECT id FROM machines WHERE room_id = ?1 AND revoked_at IS NULL")?;
    let machines = statement.query_map([id.to_string()], |row| column::id(row, 0))?;
    Ok(machines.collect::<Result<_, _>>()?)
}

pub(super) fn classes(c: &Connection) -> Result<Vec<Class>, DbError> {
    let mut statement = c.prepare_cached(&format!("{CLASS} ORDER BY name"))?;
    let classes = statement.query_map([], read_class)?;
    Ok(classes.collect::<Result<_, _>>()?)
}

pub(super) fn class_named(c: &Connection, name: &str) -> Result<Option<ClassId>, DbError> {
    let mut statement = c.prepare_cached("SELECT id FROM classes WHERE name = ?1")?;
    Ok(statement.query_row([name], |row| column::id(row, 0)).optional()?)
}

/// Writes `class` over what was there.
pub(super) fn save_class(
    tx: &Transaction<'_>,
    class: &Class,
    at: Timestamp,
) -> Result<(), DbError> {
    tx.prepare_cached(
        "INSERT INTO classes
             (id, name, description, teacher_id, max_students, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)
         ON CONFLICT (id) DO UPDATE
         SET name = ?2, description = ?3, teacher_id = ?4, max_students = ?5, updated_at = ?6",
    )?
    .execute((
        class.id.to_string(),
        &class.name,
        &class.description,
        class.teacher_id.map(|id| id.to_string()),
        class.max_students,
        at.0,
    ))?;
    Ok(())
}

pub(super) fn has_class_lessons(c: &Connection, id: ClassId) -> Result<bool, DbError> {
    let mut statement = c.prepare_cached("SELECT 1 FROM lessons WHERE class_id = ?1")?;
    Ok(statement.exists([id.to_string()])?)
}

pub(super) fn delete_class(
    tx: &Transaction<'_>,
    id: ClassId,
    at: Timestamp,
) -> Result<(), DbError> {
    tx.prepare_cached(
        "UPDATE students SET class_id = NULL, is_active = 0, updated_at = ?2 WHERE class_id = ?1",
    )?
    .execute((id.to_string(), at.0))?;
    tx.prepare_cached("DELETE FROM classes WHERE id = ?1")?.execute([id.to_string()])?;
    Ok(())
}

pub(super) fn is_active_teacher(c: &Connection, id: TeacherId) -> Result<bool, DbError> {
    let mut statement =
        c.prepare_cached("SELECT 1 FROM teachers WHERE id = ?1 AND is_active = 1")?;
    Ok(statement.exists([id.to_string()])?)
}

pub(super) fn student_of_number(c: &Connection, number: &str) -> Result<Option<Student>, DbError> {
    let mut statement = c.prepare_cached(&format!("{STUDENT} WHERE student_id = ?1"))?;
    Ok(statement.query_row([number], read_student).optional()?)
}

/// Writes `student` over what was there.
pub(super) fn save_student(
    tx: &Transaction<'_>,
    student: &Student,
    at: Timestamp,
) -> Result<(), DbError> {
    tx.prepare_cached(
        "INSERT INTO students
             (id, student_id, full_name, email, class_id, is_active, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)
         ON CONFLICT (id) DO UPDATE
         SET student_id = ?2, full_name = ?3, email = ?4, class_id = ?5, is_active = ?6,
             updated_at = ?7",
    )?
    .execute((
        student.id.to_string(),
        &student.student_id,
        &student.full_name,
        &student.email,
        student.class_id.map(|id| id.to_string()),
        student.is_active,
        at.0,
    ))?;
    Ok(())
}

/// The student sits nowhere any more, in no class and no room.
pub(super) fn leave_seats(tx: &Transaction<'_>, id: StudentId) -> Result<(), DbError> {
    tx.prepare_cached("DELETE FROM seatings WHERE student_id = ?1")?.execute([id.to_string()])?;
    Ok(())
}

pub(super) fn replace_seating(
    tx: &Transaction<'_>,
    class: ClassId,
    room: RoomId,
    seats: &[Seat],
) -> Result<(), DbError> {
    let (class, room) = (class.to_string(), room.to_string());
    tx.prepare_cached("DELETE FROM seatings WHERE class_id = ?1 AND room_id = ?2")?
        .execute([&class, &room])?;
    let mut insert = tx.prepare_cached(
        "INSERT INTO seatings (class_id, room_id, machine_id, student_id)
         VALUES (?1, ?2, ?3, ?4)",
    )?;
    for seat in seats {
        for student in &seat.student_ids {
            insert.execute((&class, &room, seat.machine_id.to_string(), student.to_string()))?;
        }
    }
    Ok(())
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
