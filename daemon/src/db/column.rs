//! Our own types in `SQLite`'s columns: ids as text, times as integers, enums as words.

use alfarid_protocol::time::Timestamp;
use rusqlite::{
    Row,
    types::{Type, ValueRef},
};
use uuid::Uuid;

/// An enum that a `TEXT` column with a `CHECK` holds.
pub trait Word: Copy + PartialEq + 'static {
    /// Every variant with its word, the same words as in the migration's `CHECK`.
    const WORDS: &'static [(&'static str, Self)];

    fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, value)| *value == self).map_or("", |(word, _)| word)
    }
}

/// Reads an id.
pub fn id<T: From<Uuid>>(row: &Row<'_>, index: usize) -> rusqlite::Result<T> {
    optional_id(row, index)?.ok_or_else(|| missing(index))
}

/// Reads an id that may be `NULL`.
pub fn optional_id<T: From<Uuid>>(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<T>> {
    let text: Option<String> = row.get(index)?;
    let Some(text) = text else { return Ok(None) };
    let id: Uuid = text.parse().map_err(|error| unreadable(index, error))?;
    Ok(Some(id.into()))
}

/// Reads a time.
pub fn time(row: &Row<'_>, index: usize) -> rusqlite::Result<Timestamp> {
    row.get(index).map(Timestamp)
}

/// Reads a time that may be `NULL`.
pub fn optional_time(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(index)?.map(Timestamp))
}

/// Reads an enum.
pub fn word<T: Word>(row: &Row<'_>, index: usize) -> rusqlite::Result<T> {
    let text: String = row.get(index)?;
    let found = T::WORDS.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
    found.ok_or_else(|| unreadable(index, format!("unknown word {text:?}")))
}

/// Reads an enum that may be `NULL`.
pub fn optional_word<T: Word>(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<T>> {
    match row.get_ref(index)? {
        ValueRef::Null => Ok(None),
        _ => word(row, index).map(Some),
    }
}

fn unreadable(
    index: usize,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(index, Type::Text, error.into())
}

fn missing(index: usize) -> rusqlite::Error {
    unreadable(index, "an id is missing")
}
