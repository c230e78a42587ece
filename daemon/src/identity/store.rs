//! All SQL about people.

use rusqlite::{Connection, OptionalExtension, Row};

use super::{Language, Person, Role};
use crate::db::{DbError, column};

const PERSON: &str = "teachers.id, email, full_name, role, language";

pub(super) fn person_of_session(
    c: &Connection,
    token_sha256: &[u8; 32],
) -> Result<Option<Person>, DbError> {
    let sql = format!(
        "SELECT {PERSON}
         FROM sessions
         JOIN teachers ON teachers.id = sessions.teacher_id
         WHERE token_sha256 = ?1 AND is_active = 1"
    );
    Ok(c.prepare_cached(&sql)?.query_row([token_sha256], person).optional()?)
}

pub(super) fn person_of_stream_key(
    c: &Connection,
    key_sha256: &[u8; 32],
) -> Result<Option<Person>, DbError> {
    let sql =
        format!("SELECT {PERSON} FROM teachers WHERE stream_key_sha256 = ?1 AND is_active = 1");
    Ok(c.prepare_cached(&sql)?.query_row([key_sha256], person).optional()?)
}

fn person(row: &Row<'_>) -> rusqlite::Result<Person> {
    Ok(Person {
        id: column::id(row, 0)?,
        email: row.get(1)?,
        full_name: row.get(2)?,
        role: column::word(row, 3)?,
        language: column::word(row, 4)?,
    })
}

impl column::Word for Role {
    const WORDS: &'static [(&'static str, Self)] =
        &[("teacher", Self::Teacher), ("admin", Self::Admin)];
}

impl column::Word for Language {
    const WORDS: &'static [(&'static str, Self)] = &[("ru", Self::Ru), ("en", Self::En)];
}
