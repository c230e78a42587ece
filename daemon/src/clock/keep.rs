//! Keeps box time over power cuts, and follows NTP where there is one.

use std::{path::Path, time::Duration};

use alfarid_protocol::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Transaction};
use tokio_util::sync::CancellationToken;

use super::{Authority, Clock, Evidence};
use crate::db::{Db, DbError};

const KEY: &str = "clock.saved_at";
/// What a power cut may cost a box without a calendar.
const EVERY: Duration = Duration::from_mins(1);

/// The newest box time on disk; `None` on a new box.
pub fn saved(c: &Connection) -> Result<Option<Timestamp>, DbError> {
    let value = c
        .query_row("SELECT value FROM settings WHERE key = ?1", [KEY], |row| {
            row.get::<_, String>(0)
        })
        .optional()?;
    Ok(value.and_then(|text| text.parse().ok()).map(Timestamp))
}

/// Writes box time down every minute and when the box stops, and listens to NTP.
pub async fn keep(db: Db, clock: Clock, stopping: CancellationToken) {
    let mut tick = tokio::time::interval(EVERY);
    loop {
        let last = tokio::select! {
            _ = tick.tick() => false,
            () = stopping.cancelled() => true,
        };
        follow_ntp(&clock);
        let now = clock.now();
        let written: Result<(), DbError> = db.write(move |tx| save(tx, now)).await;
        match written {
            Ok(()) => clock.mark_saved(now),
            Err(error) => tracing::warn!(error = %error, "the time was not saved"),
        }
        if last {
            return;
        }
    }
}

fn save(tx: &Transaction<'_>, now: Timestamp) -> Result<(), DbError> {
    tx.prepare_cached(
        "INSERT INTO settings (key, value, description, updated_at)
         VALUES (?1, ?2, 'the newest time this box has seen', ?2)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at",
    )?
    .execute((KEY, now.0))?;
    Ok(())
}

/// The system's clock counts once systemd says that NTP has set it.
fn follow_ntp(clock: &Clock) {
    if !Path::new("/run/systemd/timesync/synchronized").exists() {
        return;
    }
    let system = Evidence::gather(None).system;
    if let Some(moved_ms) = clock.correct(system, Authority::Ntp) {
        tracing::info!(moved_ms, "NTP moved box time by {moved_ms} ms");
    }
}
