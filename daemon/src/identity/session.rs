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
//! A student's session is counted in the same way from when it was opened, and ends with the school
//! day whether it is used or not.
//!
//! Who keeps a connection open by a session hears of its end ([`SessionEnd`]): logged out, cut off,
//! one too many, or at the end of its day.
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

/// Of a student's session: longer than a school day, and shorter than from one to the next.
const STUDENT_DAY: Duration = Duration::from_hours(10);

/// How stale the database may be about a session's last use: a write is an fsync, and a page asks
/// for many things.
const WRITE_EVERY: Duration = Duration::from_mins(5);

/// Sessions of one person that may be open at once; the one unused for longest goes first.
pub(super) const PER_PERSON: u32 = 16;

/// Sessions of one student that may be open at once; the oldest goes first.
pub(super) const PER_STUDENT: u32 = 4;

/// Ends that a listener may lie behind by: a large class that gets new codes ends as many at once.
/// Beyond it loses some, and takes its own for one of them.
const ENDS: usize = 512;

type TokenHash = [u8; 32];

#[derive(Debug)]
pub(super) struct Sessions {
    started_at: Timestamp,
    started: Duration,
    /// Only of sessions in the database, so never more than [`PER_PERSON`] for each person.
    used: Mutex<HashMap<TokenHash, Use>>,
    /// When students' sessions were opened, those of this run. Only of sessions in the database, so
    /// never more than [`PER_STUDENT`] for each student.
    begun: Mutex<HashMap<TokenHash, Duration>>,
    ends: broadcast::Sender<TokenHash>,
}

/// Word of one session's end.
#[derive(Debug)]
pub struct SessionEnd {
    session: TokenHash,
    ends: broadcast::Receiver<TokenHash>,
    /// By the monotonic clock; `None`: it does not end by itself while its connection is open.
    at_the_latest: Option<Duration>,
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

    /// Whether it is over by now, as nobody says: the day of whose session it is has ended.
    pub fn is_due(&self, now: Duration) -> bool {
        self.at_the_latest.is_some_and(|at| at <= now)
    }

    pub(super) fn at_the_latest(self, at: Duration) -> Self {
        Self { at_the_latest: Some(at), ..self }
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
            begun: Mutex::default(),
            ends: broadcast::channel(ENDS).0,
        }
    }

    /// Tells of ends from now on: to be asked for before the session is looked up.
    pub(super) fn end_of(&self, session: TokenHash) -> SessionEnd {
        SessionEnd { session, ends: self.ends.subscribe(), at_the_latest: None }
    }

    /// Whether a session that the database last saw used at `last_seen_at` is still good.
    pub(super) fn is_fresh(
        &self,
        session: &TokenHash,
        last_seen_at: Timestamp,
        now: Duration,
    ) -> bool {
        let seen = self.used().get(session).map(|seen| seen.last);
        self.passed(seen, last_seen_at, now) < ENDS_UNUSED_AFTER
    }

    /// How long a student's session goes on that the database says was opened at `opened_at`;
    /// `None`: it is over.
    pub(super) fn left_of_day(
        &self,
        session: &TokenHash,
        opened_at: Timestamp,
        now: Duration,
    ) -> Option<Duration> {
        let begun = locked(&self.begun).get(session).copied();
        let left = STUDENT_DAY.checked_sub(self.passed(begun, opened_at, now))?;
        (!left.is_zero()).then_some(left)
    }

    /// Notes that a student's session was opened.
    pub(super) fn begun(&self, session: TokenHash, now: Duration) {
        locked(&self.begun).insert(session, now);
    }

    /// Since `seen`, or where this run has not seen it, since what the database has.
    fn passed(&self, seen: Option<Duration>, written: Timestamp, now: Duration) -> Duration {
        if let Some(seen) = seen {
            return now.saturating_sub(seen);
        }
        let before = self.started_at.millis_since(written);
        let before = Duration::from_millis(u64::try_from(before).unwrap_or(0));
        before.saturating_add(now.saturating_sub(self.started))
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
            locked(&self.begun).remove(session);
            // With nobody listening, nothing happens.
            let _ = self.ends.send(*session);
        }
    }

    fn used(&self) -> MutexGuard<'_, HashMap<TokenHash, Use>> {
        locked(&self.used)
    }
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
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
    fn a_students_session_ends_with_the_day_however_often_it_is_used() {
        let sessions = Sessions::new(&Clock::manual(NOON));
        sessions.begun(ID, HOUR);
        assert_eq!(sessions.left_of_day(&ID, NOON, HOUR * 10), Some(HOUR));
        sessions.seen(ID, HOUR * 10);
        assert_eq!(sessions.left_of_day(&ID, NOON, HOUR * 11), None);
    }

    #[test]
    fn a_restart_does_not_begin_a_students_day_anew() {
        let sessions = Sessions::new(&Clock::manual(NOON));
        let nine_hours_ago = NOON.plus_millis(-9 * 3_600_000);
        assert_eq!(sessions.left_of_day(&ID, nine_hours_ago, HOUR / 2), Some(HOUR / 2));
        assert_eq!(sessions.left_of_day(&ID, nine_hours_ago, HOUR), None);
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
