//! All SQL about settings. The table holds also what the box remembers of itself.

use alfarid_protocol::time::Timestamp;
use rusqlite::{Connection, Transaction};

use crate::db::{DbError, column};

pub(super) struct Kept {
    pub(super) key: String,
    /// JSON.
    pub(super) value: String,
    pub(super) updated_at: Timestamp,
}

pub(super) fn all(c: &Connection) -> Result<Vec<Kept>, DbError> {
    let mut statement = c.prepare_cached("SELECT key, value, updated_at FROM settings")?;
    let rows = statement.query_map([], |row| {
        Ok(Kept { key: row.get(0)?, value: row.get(1)?, updated_at: column::time(row, 2)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn put(
    tx: &Transaction<'_>,
    key: &str,
    value: &str,
    description: &str,
    at: Timestamp,
) -> Result<(), DbError> {
    tx.prepare_cached(
        "INSERT INTO settings (key, value, description, updated_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (key) DO UPDATE SET
             value = excluded.value,
             description = excluded.description,
             updated_at = excluded.updated_at",
    )?
    .execute((key, value, description, at.0))?;
    Ok(())
}
