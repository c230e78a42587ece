//! All SQL about machines and site tokens.

use alfarid_protocol::{
    id::{MachineId, RoomId, TeacherId, TokenId},
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, Row, Transaction};
use sha2::{Digest, Sha256};

use super::{KnownMachine, SiteTokenRow};
use crate::db::{DbError, column};

/// A machine that is about to be let in.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) id: MachineId,
    pub(super) spki_sha256: [u8; 32],
    pub(super) name: String,
    pub(super) agent_version: String,
    pub(super) address: String,
}

/// How long a token that expired stays in the list.
const OLD_TOKENS_STAY_MS: i64 = 30 * 86_400_000;

/// 128 random bits need no salt.
pub(super) fn secret_sha256(secret: &[u8]) -> [u8; 32] {
    Sha256::digest(secret).into()
}

/// `false` if there is no such room.
pub(super) fn insert_token(
    tx: &Transaction<'_>,
    token: &SiteTokenRow,
    secret_sha256: &[u8; 32],
    by: TeacherId,
) -> Result<bool, DbError> {
    let rows = tx
        .prepare_cached(
            "INSERT INTO site_tokens
                 (id, secret_sha256, room_id, uses_left, expires_at, created_by, created_at)
             SELECT ?1, ?2, rooms.id, ?4, ?5, ?6, ?7 FROM rooms WHERE rooms.id = ?3",
        )?
        .execute((
            token.id.to_string(),
            secret_sha256,
            token.room_id.to_string(),
            token.uses_left,
            token.expires_at.0,
            by.to_string(),
            token.created_at.0,
        ))?;
    Ok(rows == 1)
}

pub(super) fn tokens(c: &Connection) -> Result<Vec<SiteTokenRow>, DbError> {
    let mut statement = c.prepare_cached(
        "SELECT id, room_id, uses_left, expires_at, created_at
         FROM site_tokens
         ORDER BY created_at DESC, id",
    )?;
    let tokens = statement.query_map([], read_token)?;
    Ok(tokens.collect::<Result<_, _>>()?)
}

pub(super) fn token_of_secret(
    c: &Connection,
    secret_sha256: &[u8; 32],
) -> Result<Option<SiteTokenRow>, DbError> {
    let mut statement = c.prepare_cached(
        "SELECT id, room_id, uses_left, expires_at, created_at
         FROM site_tokens
         WHERE secret_sha256 = ?1",
    )?;
    Ok(statement.query_row([secret_sha256], read_token).optional()?)
}

/// `false` if no use is left.
pub(super) fn use_token(tx: &Transaction<'_>, id: TokenId) -> Result<bool, DbError> {
    let rows = tx
        .prepare_cached(
            "UPDATE site_tokens SET uses_left = uses_left - 1 WHERE id = ?1 AND uses_left > 0",
        )?
        .execute([id.to_string()])?;
    Ok(rows == 1)
}

pub(super) fn delete_token(tx: &Transaction<'_>, id: TokenId) -> Result<bool, DbError> {
    let rows =
        tx.prepare_cached("DELETE FROM site_tokens WHERE id = ?1")?.execute([id.to_string()])?;
    Ok(rows == 1)
}

pub(super) fn forget_old_tokens(tx: &Transaction<'_>, now: Timestamp) -> Result<(), DbError> {
    tx.prepare_cached("DELETE FROM site_tokens WHERE expires_at < ?1")?
        .execute([now.plus_millis(-OLD_TOKENS_STAY_MS).0])?;
    Ok(())
}

pub(super) fn insert_machine(
    tx: &Transaction<'_>,
    machine: &Candidate,
    room: RoomId,
    is_approved: bool,
    at: Timestamp,
) -> Result<(), DbError> {
    tx.prepare_cached(
        "INSERT INTO machines
             (id, room_id, name, spki_sha256, is_approved, agent_version, enrolled_at,
              last_seen_at, address)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8)",
    )?
    .execute((
        machine.id.to_string(),
        room.to_string(),
        &machine.name,
        machine.spki_sha256,
        is_approved,
        &machine.agent_version,
        at.0,
        &machine.address,
    ))?;
    Ok(())
}

/// The room that the box has had for longest.
pub(super) fn first_room(c: &Connection) -> Result<Option<RoomId>, DbError> {
    let mut statement = c.prepare_cached("SELECT id FROM rooms ORDER BY created_at, id LIMIT 1")?;
    Ok(statement.query_row([], |row| column::id(row, 0)).optional()?)
}

const MACHINE: &str = "SELECT id, room_id, name, is_approved, revoked_at FROM machines";

pub(super) fn machine_of_key(
    c: &Connection,
    spki_sha256: &[u8; 32],
) -> Result<Option<KnownMachine>, DbError> {
    let sql = format!("{MACHINE} WHERE spki_sha256 = ?1");
    Ok(c.prepare_cached(&sql)?.query_row([spki_sha256], read_machine).optional()?)
}

pub(super) fn machine(c: &Connection, id: MachineId) -> Result<Option<KnownMachine>, DbError> {
    let sql = format!("{MACHINE} WHERE id = ?1");
    Ok(c.prepare_cached(&sql)?.query_row([id.to_string()], read_machine).optional()?)
}

/// `false` if its room does not exist.
pub(super) fn update_machine(
    tx: &Transaction<'_>,
    machine: &KnownMachine,
) -> Result<bool, DbError> {
    let rows = tx
        .prepare_cached(
            "UPDATE machines SET name = ?2, room_id = ?3, is_approved = ?4
             WHERE id = ?1 AND EXISTS (SELECT 1 FROM rooms WHERE id = ?3)",
        )?
        .execute((
            machine.id.to_string(),
            &machine.name,
            machine.room.to_string(),
            machine.is_approved,
        ))?;
    Ok(rows == 1)
}

pub(super) fn revoke_machine(
    tx: &Transaction<'_>,
    id: MachineId,
    at: Timestamp,
) -> Result<(), DbError> {
    tx.prepare_cached("UPDATE machines SET revoked_at = ?2, is_approved = 0 WHERE id = ?1")?
        .execute((id.to_string(), at.0))?;
    Ok(())
}

/// Nobody sits at this machine any more, in any class.
pub(super) fn leave_seats(tx: &Transaction<'_>, id: MachineId) -> Result<(), DbError> {
    tx.prepare_cached("DELETE FROM seatings WHERE machine_id = ?1")?.execute([id.to_string()])?;
    Ok(())
}

fn read_token(row: &Row<'_>) -> rusqlite::Result<SiteTokenRow> {
    Ok(SiteTokenRow {
        id: column::id(row, 0)?,
        room_id: column::id(row, 1)?,
        uses_left: row.get(2)?,
        expires_at: column::time(row, 3)?,
        created_at: column::time(row, 4)?,
    })
}

fn read_machine(row: &Row<'_>) -> rusqlite::Result<KnownMachine> {
    Ok(KnownMachine {
        id: column::id(row, 0)?,
        room: column::id(row, 1)?,
        name: row.get(2)?,
        is_approved: row.get(3)?,
        is_revoked: row.get::<_, Option<i64>>(4)?.is_some(),
    })
}
