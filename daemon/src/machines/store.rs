//! All SQL about machines as they come and go. Who is trusted is the business of
//! [`enrolment`](crate::enrolment), which makes and changes the rows.

use alfarid_protocol::{
    id::{MachineId, RoomId},
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, Row, Transaction};

use super::Machine;
use crate::{
    db::{DbError, column},
    enrolment::KnownMachine,
};

const MACHINE: &str =
    "id, room_id, name, is_approved, agent_version, enrolled_at, last_seen_at, address";

/// What a machine is welcomed with.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) known: KnownMachine,
    pub(super) room_name: String,
    pub(super) marks_through: u64,
}

/// The machines that have not lost their trust, by name.
pub(super) fn machines(c: &Connection, room: Option<RoomId>) -> Result<Vec<Machine>, DbError> {
    let sql = format!(
        "SELECT {MACHINE}
         FROM machines
         WHERE revoked_at IS NULL AND (?1 IS NULL OR room_id = ?1)
         ORDER BY name, id"
    );
    let mut statement = c.prepare_cached(&sql)?;
    let machines = statement.query_map([room.map(|room| room.to_string())], read_machine)?;
    Ok(machines.collect::<Result<_, _>>()?)
}

/// What holds for a machine at this moment; `None`: it is not known any more.
pub(super) fn standing(c: &Connection, id: MachineId) -> Result<Option<Standing>, DbError> {
    let mut statement = c.prepare_cached(
        "SELECT room_id, machines.name, is_approved, revoked_at IS NOT NULL, rooms.name,
                marks_through
         FROM machines
         JOIN rooms ON rooms.id = room_id
         WHERE machines.id = ?1",
    )?;
    let read = |row: &Row<'_>| {
        let through: i64 = row.get(5)?;
        Ok(Standing {
            known: KnownMachine {
                id,
                room: column::id(row, 0)?,
                name: row.get(1)?,
                is_approved: row.get(2)?,
                is_revoked: row.get(3)?,
            },
            room_name: row.get(4)?,
            marks_through: u64::try_from(through).unwrap_or(0),
        })
    };
    Ok(statement.query_row([id.to_string()], read).optional()?)
}

/// Notes that the machine has dialled in, whatever came of it.
pub(super) fn arrived(
    tx: &Transaction<'_>,
    machine: MachineId,
    agent_version: &str,
    address: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    let sql = "UPDATE machines SET agent_version = ?2, address = ?3, last_seen_at = ?4
               WHERE id = ?1";
    tx.execute(sql, (machine.to_string(), agent_version, address, now.0))?;
    Ok(())
}

/// Notes that the machine was here until now.
pub(super) fn left(
    tx: &Transaction<'_>,
    machine: MachineId,
    now: Timestamp,
) -> Result<(), DbError> {
    let sql = "UPDATE machines SET last_seen_at = ?2 WHERE id = ?1";
    tx.execute(sql, (machine.to_string(), now.0))?;
    Ok(())
}

/// A machine that has not lost its trust.
pub(super) fn machine(c: &Connection, machine: MachineId) -> Result<Option<Machine>, DbError> {
    let sql = format!("SELECT {MACHINE} FROM machines WHERE id = ?1 AND revoked_at IS NULL");
    Ok(c.prepare_cached(&sql)?.query_row([machine.to_string()], read_machine).optional()?)
}

fn read_machine(row: &Row<'_>) -> rusqlite::Result<Machine> {
    Ok(Machine {
        id: column::id(row, 0)?,
        room_id: column::id(row, 1)?,
        name: row.get(2)?,
        is_approved: row.get(3)?,
        is_connected: false,
        agent_version: row.get(4)?,
        enrolled_at: column::time(row, 5)?,
        last_seen_at: column::time(row, 6)?,
        address: row.get(7)?,
        session_in_use: false,
        refused: None,
    })
}
