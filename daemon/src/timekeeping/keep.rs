//! Keeps box time over power cuts, follows NTP where there is one, and says on the health page when
//! a browser was not believed.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Transaction};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::{
        Authority, Clock, Impossible, Saved, boot,
        ntp::{self, Ntp},
        system,
    },
    db::{Db, DbError},
    health::{FaultCode, Health, Severity},
};

/// The time alone, as every build of the box reads it.
const AT: &str = "clock.saved_at";
/// The same, and in which boot of the machine.
const IN_BOOT: &str = "clock.saved_in_boot";
/// What a power cut may cost a box without a calendar.
const EVERY: Duration = Duration::from_mins(1);

/// The newest box time on disk; `None` on a new box.
pub fn saved(c: &Connection) -> Result<Option<Saved>, DbError> {
    let Some(at) = value(c, AT)? else { return Ok(None) };
    Ok(Saved::parse(&at, value(c, IN_BOOT)?.as_deref()))
}

fn value(c: &Connection, key: &str) -> Result<Option<String>, DbError> {
    let mut statement = c.prepare_cached("SELECT value FROM settings WHERE key = ?1")?;
    Ok(statement.query_row([key], |row| row.get(0)).optional()?)
}

/// Writes box time down every minute, when somebody vouches for it and when the box stops, and
/// listens to NTP.
pub async fn keep(db: Db, clock: Clock, health: Health, stopping: CancellationToken) {
    let mut tick = tokio::time::interval(EVERY);
    // A clock that is sure took NTP's word into account; one that is not waits for any.
    let mut ntp = Ntp::heard(ntp::set_at().filter(|_| clock.is_sure()));
    let mut refused = clock.refused();
    // What was refused before this began counts too.
    refused.mark_changed();
    let mut surety = clock.surety();
    let boot = boot();
    loop {
        let last = tokio::select! {
            _ = tick.tick() => false,
            () = stopping.cancelled() => true,
            // A daemon that is killed now goes on from here. The other end is in the clock at hand.
            Ok(()) = surety.changed() => false,
            // The other end is in the clock at hand.
            Ok(()) = refused.changed() => {
                tell(&health, *refused.borrow_and_update());
                continue;
            }
        };
        follow_ntp(&mut ntp, &clock);
        let now = Saved::now(&clock, boot);
        let written: Result<(), DbError> = db.write(move |tx| save(tx, now)).await;
        match written {
            Ok(()) => clock.mark_saved(now.at),
            Err(error) => tracing::warn!(error = %error, "the time was not saved"),
        }
        if last {
            return;
        }
    }
}

fn tell(health: &Health, refused: Option<Impossible>) {
    let Some(why) = refused else { return health.clear(FaultCode::BrowserTimeRefused) };
    let detail = format!(
        "The box did not take its time from a browser: {why}. Set the date of that computer and \
         log in again; a box as old as that needs an update."
    );
    health.raise(FaultCode::BrowserTimeRefused, Severity::Warning, detail);
}

fn save(tx: &Transaction<'_>, now: Saved) -> Result<(), DbError> {
    let mut statement = tx.prepare_cached(
        "INSERT INTO settings (key, value, description, updated_at)
         VALUES (?1, ?2, 'the newest time this box has seen', ?3)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at",
    )?;
    for (key, value) in [(AT, now.at.0.to_string()), (IN_BOOT, now.to_string())] {
        statement.execute((key, value, now.at.0))?;
    }
    Ok(())
}

fn follow_ntp(ntp: &mut Ntp, clock: &Clock) {
    let Some(says) = ntp.says(ntp::set_at(), system()) else { return };
    if let Some(moved_ms) = clock.correct(says, Authority::Ntp) {
        tracing::info!(moved_ms, "NTP moved box time by {moved_ms} ms");
    }
}

#[cfg(test)]
mod tests {
    use alfarid_protocol::time::Timestamp;
    use tokio::time::timeout;

    use super::*;
    use crate::{
        clock::{Evidence, possible::BUILT},
        events::Events,
    };

    const PATIENCE: Duration = Duration::from_secs(15);

    fn open(dir: &tempfile::TempDir) -> Db {
        let opened = Db::open(&dir.path().join("alfarid.db"), &dir.path().join("backups"));
        opened.unwrap().db
    }

    #[tokio::test]
    async fn a_browser_that_is_not_believed_stands_on_the_health_page_until_one_is() {
        let dir = tempfile::tempdir().unwrap();
        let (clock, events) = (Clock::start(Evidence::default()), Events::default());
        let health = Health::new(clock.clone(), events.clone());
        let stopping = CancellationToken::new();
        let keeping = keep(open(&dir), clock.clone(), health.clone(), stopping.clone());
        let keeping = tokio::spawn(keeping);

        let mut news = events.listen();
        assert_eq!(clock.correct(Timestamp(i64::MAX), Authority::Browser), None);
        timeout(PATIENCE, news.next()).await.unwrap();
        assert_eq!(health.faults()[0].code, FaultCode::BrowserTimeRefused);
        assert!(clock.correct(clock.now().plus_millis(86_400_000), Authority::Browser).is_some());
        timeout(PATIENCE, news.next()).await.unwrap();
        assert!(health.faults().is_empty());
        stopping.cancel();
        keeping.await.unwrap();
    }

    /// Whatever this machine's calendar says.
    #[tokio::test]
    async fn a_daemon_that_is_started_again_goes_on_by_the_clock_it_had() {
        let dir = tempfile::tempdir().unwrap();
        let evidence = Evidence { saved: Some(BUILT.plus_millis(1)), ..Evidence::default() };
        let clock = Clock::start(evidence);
        let told = BUILT.plus_millis(9 * 365 * 86_400_000);
        assert!(clock.correct(told, Authority::Browser).is_some());
        let (db, stopping) = (open(&dir), CancellationToken::new());
        stopping.cancel();
        let health = Health::new(clock.clone(), Events::default());
        keep(db.clone(), clock.clone(), health, stopping).await;

        let saved = db.read(saved).await.unwrap();
        let again = Clock::start(Evidence::gather(saved));
        let behind = clock.now().millis_since(again.now());
        assert!((-1_000..1_000).contains(&behind), "{behind} ms");
        assert!(again.is_sure());
    }
}
