//! All SQL about which rooms are open.

use std::collections::HashSet;

use alfarid_protocol::{
    id::{RoomId, TeacherId},
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, Transaction};

use crate::db::{DbError, column};

/// What a room is called; `None`: there is no such room.
pub(super) fn name(c: &Connection, room: RoomId) -> Result<Option<String>, DbError> {
    let mut statement = c.prepare_cached("SELECT name FROM rooms WHERE id = ?1")?;
    Ok(statement.query_row([room.to_string()], |row| row.get(0)).optional()?)
}

pub(super) fn open_rooms(c: &Connection) -> Result<HashSet<RoomId>, DbError> {
    let mut statement = c.prepare_cached("SELECT room_id FROM open_rooms")?;
    let rooms = statement.query_map([], |row| column::id(row, 0))?;
    Ok(rooms.collect::<Result<_, _>>()?)
}

/// `None`: it is not open.
pub(super) fn opened_at(c: &Connection, room: RoomId) -> Result<Option<Timestamp>, DbError> {
    let mut statement = c.prepare_cached("SELECT opened_at FROM open_rooms WHERE room_id = ?1")?;
    let opened = statement.query_row([room.to_string()], |row| column::time(row, 0));
    Ok(opened.optional()?)
}

/// `false`: it was open already.
pub(super) fn open(
    tx: &Transaction<'_>,
    room: RoomId,
    by: TeacherId,
    at: Timestamp,
) -> Result<bool, DbError> {
    let mut insert = tx.prepare_cached(
        "INSERT INTO open_rooms (room_id, opened_by, opened_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (room_id) DO NOTHING",
    )?;
    Ok(insert.execute((room.to_string(), by.to_string(), at.0))? > 0)
}

/// `false`: it was not open.
pub(super) fn shut(tx: &Transaction<'_>, room: RoomId) -> Result<bool, DbError> {
    let mut delete = tx.prepare_cached("DELETE FROM open_rooms WHERE room_id = ?1")?;
    Ok(delete.execute([room.to_string()])? > 0)
}
