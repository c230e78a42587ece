//! How long a session has not been used, counted without a calendar.
//!
//! Box time may be put right by a year in the middle of a lesson, and nobody must be logged out
//! by that. So what passes while the daemon runs is measured by the monotonic clock; box time
//! counts only for what passed before: from a session's last use to the start of this daemon.
//!
//! ```text
//!   last use ─── by box time ──▶ daemon starts ─── monotonic ──▶ now       (not used since)
//!                                daemon starts ─ last use ─ monotonic ─▶ now
//! ```
//!
//! Who keeps a connection open by a session hears of its end ([`SessionEnd`]): logged out, cut off,
//! or one too many.
//!
//! A session that was used only before the clock was put right, and then outlived a restart, may
//! end early: its owner logs in once more.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use alfarid_protocol::time::Timestamp;
use tokio::sync::broadcast;

use crate::clock::Clock;

/// A school day with its evening; the next morning begins with a log-in.
const ENDS_UNUSED_AFTER: Duration = Duration::from_hours(12);

/// How stale the database may be about a session's last use: a write is an fsync, and a page asks
/// for many things.
const WRITE_EVERY: Duration = Duration::from_mins(5);

/// Sessions of one person that may be open at once; the one unused for longest goes first.
pub(super) const PER_PERSON: u32 = 16;

/// Ends that a listener may lie behind by. Beyond it loses some, and takes its own for one of them.
const ENDS: usize = 64;

type TokenHash = [u8; 32];

#[derive(Debug)]
pub(super) struct Sessions {
    started_at: Timestamp,
    started: Duration,
    /// Only of sessions in the database, so never more than [`PER_PERSON`] for each person.
    used: Mutex<HashMap<TokenHash, Use>>,
    ends: broadcast::Sender<TokenHash>,
}

/// Word of one session's end.
#[derive(Debug)]
pub struct SessionEnd {
    session: TokenHash,
    ends: broadcast::Receiver<TokenHash>,
}

impl SessionEnd {
    /// Resolves when the session is over. It may do so without need where very many ended at once:
    /// whoever is still logged in comes back. Cancel-safe.
    pub async fn over(&mut self) {
        while let Ok(ended) = self.ends.recv().await {
            if ended == self.session {
                return;
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Use {
    last: Duration,
    written: Duration,
}

impl Sessions {
    pub(super) fn new(clock: &Clock) -> Self {
        Self {
            started_at: clock.now(),
            started: clock.monotonic(),
            used: Mutex::default(),
            ends: broadcast::channel(ENDS).0,
        }
    }

    /// Tells of ends from now on: to be asked for before the session is looked up.
    pub(super) fn end_of(&self, session: TokenHash) -> SessionEnd {
        SessionEnd { session, ends: self.ends.subscribe() }
    }

    /// Whether a session that the database last saw used at `last_seen_at` is still good.
    pub(super) fn is_fresh(
        &self,
        session: &TokenHash,
        last_seen_at: Timestamp,
        now: Duration,
    ) -> bool {
        let unused = if let Some(seen) = self.used().get(session) {
            now.saturating_sub(seen.last)
        } else {
            let before = self.started_at.millis_since(last_seen_at);
            let before = Duration::from_millis(u64::try_from(before).unwrap_or(0));
            before.saturating_add(now.saturating_sub(self.started))
        };
        unused < ENDS_UNUSED_AFTER
    }

    /// Notes that a session is used. Whether the database should hear of it.
    pub(super) fn seen(&self, session: TokenHash, now: Duration) -> bool {
        let mut used = self.used();
        let written = used.get(&session).map(|seen| seen.written);
        let is_stale = written.is_none_or(|at| now.saturating_sub(at) >= WRITE_EVERY);
        let written = if is_stale { now } else { written.unwrap_or(now) };
        used.insert(session, Use { last: now, written });
        is_stale
    }

    /// Tells that sessions are over, which are in the database no more.
    pub(super) fn over(&self, sessions: &[TokenHash]) {
        for session in sessions {
            self.used().remove(session);
            // With nobody listening, nothing happens.
            let _ = self.ends.send(*session);
        }
    }

    fn used(&self) -> MutexGuard<'_, HashMap<TokenHash, Use>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp(1_800_000_000_000);
    const HOUR: Duration = Duration::from_hours(1);
    const ID: TokenHash = [1; 32];

    #[test]
    fn a_session_ends_after_twelve_hours_without_use() {
        let sessions = Sessions::new(&Clock::manual(NOON));
        assert!(sessions.seen(ID, HOUR));
        assert!(sessions.is_fresh(&ID, NOON, HOUR * 12));
        assert!(!sessions.is_fresh(&ID, NOON, HOUR * 13));
    }

    #[test]
    fn hours_before_the_daemon_started_count_too() {
        let sessions = Sessions::new(&Clock::manual(NOON));
        let ten_hours_ago = NOON.plus_millis(-10 * 3_600_000);
        assert!(sessions.is_fresh(&ID, ten_hours_ago, HOUR));
        assert!(!sessions.is_fresh(&ID, ten_hours_ago, HOUR * 2));
    }

    #[test]
    fn a_last_use_in_the_future_is_a_clock_that_was_put_back_and_counts_as_now() {
        let sessions = Sessions::new(&Clock::manual(NOON));
        assert!(sessions.is_fresh(&ID, NOON.plus_millis(i64::MAX), HOUR));
    }

    #[test]
    fn the_database_hears_of_use_only_now_and_then() {
        let sessions = Sessions::new(&Clock::manual(NOON));
        assert!(sessions.seen(ID, HOUR));
        assert!(!sessions.seen(ID, HOUR + Duration::from_secs(1)));
        assert!(sessions.seen(ID, HOUR + WRITE_EVERY));
    }
}
