//! Who did what that matters for trust. Append-only, written in the transaction that does it: a
//! change without its line cannot exist.

use std::fmt::Display;

use alfarid_protocol::id::TeacherId;
use rusqlite::Transaction;

use super::store;
use crate::{clock::Clock, db::DbError};

#[derive(Clone, Debug)]
pub struct Entry {
    by: Option<TeacherId>,
    action: &'static str,
    subject: String,
    detail: Option<String>,
}

impl Entry {
    /// `action` is a stable word in the past tense, `subject` the id of what it was done to.
    pub fn new(by: TeacherId, action: &'static str, subject: &impl Display) -> Self {
        Self { by: Some(by), action, subject: subject.to_string(), detail: None }
    }

    /// Done by the box or a machine itself.
    pub fn by_nobody(action: &'static str, subject: &impl Display) -> Self {
        Self { by: None, action, subject: subject.to_string(), detail: None }
    }

    /// What else there is to know: never a secret, never a student's name.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

pub fn write(tx: &Transaction<'_>, clock: &Clock, entry: &Entry) -> Result<(), DbError> {
    let line = store::AuditLine {
        id: clock.id(),
        at: clock.now(),
        by: entry.by,
        action: entry.action,
        subject: &entry.subject,
        detail: entry.detail.as_deref(),
    };
    store::append_audit(tx, &line)?;
    tracing::info!(
        audit.action = entry.action,
        audit.subject = %entry.subject,
        "{} {}",
        entry.action,
        entry.subject
    );
    Ok(())
}
