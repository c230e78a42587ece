//! Box time, and the only place that asks a machine for the time of day.
//!
//! Clocks in classrooms are wrong for months: a Raspberry Pi has none, a mini-PC's battery is dead,
//! a technician sets a date by hand in mid-lesson. So box time is not the system's time. It starts
//! at the latest of what the system says, what was saved before the power went, and the day this
//! build was made; from there it follows the monotonic clock alone, so that nothing that happens
//! to the system's calendar can tear a running lesson. A daemon that is started again while the
//! machine runs on goes on by that clock too ([`saved`]).
//!
//! ```text
//!            start: max(system, saved, built)
//!                      │
//!        nobody vouches│for it             NTP set it lately, or a battery clock agrees
//!                      ▼                                  ▼
//!                   unsure ── a teacher's browser says ─▶ sure
//!                             what time it is
//! ```
//!
//! Invariants: it never goes behind [`Clock::saved`], and so never believes what it could not take
//! back ([`possible`]); a step happens only by [`Clock::correct`], which says how far;
//! [`Clock::monotonic`] never steps at all.

pub(crate) mod ntp;
pub(crate) mod possible;
mod reading;
mod saved;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use alfarid_protocol::{id::BootId, time::Timestamp};
use nix::time::{ClockId, clock_gettime};
use tokio::sync::watch;

use self::possible::{BUILT, possible};
pub use self::{
    possible::Impossible,
    reading::{Follower, Reading},
    saved::Saved,
};

/// A browser this far from us says nothing new: its own clock is no better.
const AGREES_WITHIN_MS: i64 = 5_000;

/// Cheap to clone; every clone is the same clock.
#[derive(Clone)]
pub struct Clock(Arc<Inner>);

struct Inner {
    /// Box time minus [`monotonic`], in milliseconds.
    offset_ms: AtomicI64,
    /// Box time never goes behind this.
    saved_ms: AtomicI64,
    sure: watch::Sender<bool>,
    /// Why the last time that a person's browser said was not believed, while nobody else vouches.
    refused: watch::Sender<Option<Impossible>>,
    ticks: Ticks,
}

enum Ticks {
    /// `CLOCK_BOOTTIME`: goes on through suspend.
    System,
    Manual(AtomicI64),
}

/// What is known of the time when the daemon starts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Evidence {
    pub system: Timestamp,
    pub saved: Option<Timestamp>,
    /// NTP has set it lately, or a battery-backed clock runs.
    pub vouched: bool,
    /// What an earlier daemon's clock says by now, and whether anybody vouches for that, if the
    /// machine has run on since.
    pub goes_on: Option<(Timestamp, bool)>,
}

/// Who says what time it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authority {
    /// A person with a password, by their browser: good enough while nothing better vouches.
    Browser,
    Ntp,
}

impl Evidence {
    /// Asks this machine.
    pub fn gather(saved: Option<Saved>) -> Self {
        let system = system();
        let vouched = ntp::set_at().is_some_and(|at| ntp::is_in_step(at, system))
            || std::path::Path::new("/sys/class/rtc/rtc0").exists();
        let goes_on = saved.and_then(|saved| saved.goes_on(boot(), Ticks::System.read()));
        Self { system, saved: saved.map(|saved| saved.at), vouched, goes_on }
    }

    /// Where box time starts, and whether anybody vouches for it. A system clock that cannot be
    /// right is wrong whoever vouches for it: batteries die, and chips make up a year.
    pub fn decide(self) -> (Timestamp, bool) {
        let floor = self.saved.unwrap_or(BUILT).max(BUILT);
        if let Some((now, is_sure)) = self.goes_on {
            return (now.max(floor), is_sure);
        }
        match possible(self.system, floor) {
            Ok(()) => (self.system, self.vouched),
            Err(_) => (floor, false),
        }
    }
}

/// What the system's calendar says.
#[expect(clippy::disallowed_methods, reason = "this is where the calendar comes in")]
pub(crate) fn system() -> Timestamp {
    let since_1970 = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
    Timestamp(since_1970)
}

/// Which boot of the machine this is.
pub(crate) fn boot() -> Option<BootId> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    id.trim().parse().ok()
}

impl Clock {
    pub fn start(evidence: Evidence) -> Self {
        let (now, sure) = evidence.decide();
        Self::with(now, sure, Ticks::System)
    }

    /// A clock that stands still until it is told to move. For tests of rules.
    pub fn manual(now: Timestamp) -> Self {
        Self::with(now, true, Ticks::Manual(AtomicI64::new(0)))
    }

    fn with(now: Timestamp, sure: bool, ticks: Ticks) -> Self {
        let inner = Inner {
            offset_ms: AtomicI64::new(now.0 - millis(ticks.read())),
            saved_ms: AtomicI64::new(now.0),
            sure: watch::Sender::new(sure),
            refused: watch::Sender::default(),
            ticks,
        };
        Self(Arc::new(inner))
    }

    /// Box time.
    pub fn now(&self) -> Timestamp {
        Timestamp(self.0.offset_ms.load(Ordering::Acquire) + millis(self.0.ticks.read()))
    }

    /// Time since the machine started, which nothing can set: for durations and time-outs.
    pub fn monotonic(&self) -> Duration {
        self.0.ticks.read()
    }

    /// Whether anybody vouches for [`Clock::now`]. Shown to people while false.
    pub fn is_sure(&self) -> bool {
        *self.0.sure.borrow()
    }

    /// The same, for whoever waits until it changes.
    pub fn surety(&self) -> watch::Receiver<bool> {
        self.0.sure.subscribe()
    }

    /// The newest time that is on disk: box time will not go behind it, not even after a restart.
    pub fn saved(&self) -> Timestamp {
        Timestamp(self.0.saved_ms.load(Ordering::Acquire))
    }

    /// Says that `time` is on disk now.
    pub fn mark_saved(&self, time: Timestamp) {
        self.0.saved_ms.fetch_max(time.0, Ordering::AcqRel);
    }

    /// Why the last browser that could have put the clock right was not believed; `None` while
    /// none was refused, and once somebody vouches for the time.
    pub fn refused(&self) -> watch::Receiver<Option<Impossible>> {
        self.0.refused.subscribe()
    }

    /// Takes the time from `authority`, if it knows better. Returns by how many milliseconds box
    /// time moved, `None` if it did not: a browser does not overrule a clock that is sure, and
    /// nobody is believed any year.
    pub fn correct(&self, says: Timestamp, authority: Authority) -> Option<i64> {
        let offset_ms = self.0.offset_ms.load(Ordering::Acquire);
        let now = Timestamp(offset_ms + millis(self.0.ticks.read()));
        let moved = says.millis_since(now);
        if moved.saturating_abs() <= AGREES_WITHIN_MS {
            self.vouch();
            return None;
        }
        if authority == Authority::Browser && self.is_sure() {
            return None;
        }
        if let Err(why) = possible(says, self.saved()) {
            match authority {
                Authority::Browser => drop(self.0.refused.send_replace(Some(why))),
                Authority::Ntp => tracing::warn!(error = %why, "NTP is not believed: {why}"),
            }
            return None;
        }
        // Two authorities at once: the first moves it, and the second would move it again.
        let moved_by_us = self.0.offset_ms.compare_exchange(
            offset_ms,
            offset_ms + moved,
            Ordering::AcqRel,
            Ordering::Acquire,
        );
        if moved_by_us.is_err() {
            return None;
        }
        self.vouch();
        Some(moved)
    }

    fn vouch(&self) {
        self.0.sure.send_if_modified(|sure| !std::mem::replace(sure, true));
        self.0.refused.send_if_modified(|refused| refused.take().is_some());
    }

    /// Moves a [`Clock::manual`] on. Does nothing to a real one: time cannot be told to hurry.
    pub fn advance(&self, by: Duration) {
        if let Ticks::Manual(ticks) = &self.0.ticks {
            ticks.fetch_add(millis(by), Ordering::AcqRel);
        }
    }

    /// A fresh id whose order is the order of making.
    pub fn id<T: From<uuid::Uuid>>(&self) -> T {
        let mut random = [0; 10];
        // Without randomness there are no keys and no sessions either: the ids stay unique by
        // their time, and whoever needs a secret reports the failure.
        let _ = getrandom::fill(&mut random);
        let millis = u64::try_from(self.now().0).unwrap_or(0);
        T::from(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }
}

impl Ticks {
    fn read(&self) -> Duration {
        match self {
            Self::System => {
                clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Into::into)
            }
            Self::Manual(millis) => {
                Duration::from_millis(u64::try_from(millis.load(Ordering::Acquire)).unwrap_or(0))
            }
        }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").field("now", &self.now()).field("sure", &self.is_sure()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp(BUILT.0 + 43_200_000);

    /// Of a machine that was just switched on.
    fn known(system: Timestamp, saved: Option<Timestamp>, vouched: bool) -> Evidence {
        Evidence { system, saved, vouched, goes_on: None }
    }

    #[test]
    fn a_box_without_a_calendar_starts_where_it_stopped() {
        let evidence = known(Timestamp(0), Some(NOON), true);
        assert_eq!(evidence.decide(), (NOON, false));
    }

    #[test]
    fn a_new_box_in_1970_is_not_older_than_its_software() {
        let evidence = known(Timestamp(0), None, false);
        assert_eq!(evidence.decide(), (BUILT, false));
    }

    #[test]
    fn a_teachers_browser_puts_an_unsure_clock_right_and_no_sure_one() {
        let clock = Clock::start(known(Timestamp(0), Some(NOON), true));
        let later = NOON.plus_millis(86_400_000);
        assert!(clock.correct(later, Authority::Browser).is_some());
        assert!(clock.is_sure());
        assert!(clock.now() >= later);
        assert_eq!(clock.correct(later.plus_millis(86_400_000), Authority::Browser), None);
    }

    #[test]
    fn a_battery_clock_that_makes_up_a_year_is_not_believed() {
        let system = NOON.plus_millis(60 * 365 * 86_400_000);
        let evidence = known(system, Some(NOON), true);
        assert_eq!(evidence.decide(), (NOON, false));
    }

    /// Box time never goes back: one wrong laptop would leave the box in that year for good.
    #[test]
    fn a_browser_is_not_believed_any_year_and_the_next_one_puts_it_right() {
        let evidence = known(Timestamp(0), Some(NOON), false);
        let clock = Clock::start(evidence);
        let mut refused = clock.refused();
        for wrong in [i64::MAX, NOON.0 + 30 * 365 * 86_400_000, NOON.0 - 86_400_000, 0, i64::MIN] {
            assert_eq!(clock.correct(Timestamp(wrong), Authority::Browser), None);
            assert!(refused.borrow_and_update().is_some());
            assert!(!clock.is_sure() && clock.now().millis_since(NOON) < 60_000);
        }
        let right = NOON.plus_millis(86_400_000);
        assert!(clock.correct(right, Authority::Browser).is_some());
        assert_eq!(*refused.borrow_and_update(), None);
    }

    /// A time server may be wrong by decades too, and its word would stay.
    #[test]
    fn ntp_is_not_believed_any_year() {
        let clock = Clock::manual(NOON);
        for years in [14, 30, 200] {
            let wrong = NOON.plus_millis(years * 365 * 86_400_000);
            assert_eq!(clock.correct(wrong, Authority::Ntp), None, "{years}");
        }
        assert_eq!(clock.now(), NOON);
        let year = 365 * 86_400_000;
        assert_eq!(clock.correct(NOON.plus_millis(year), Authority::Ntp), Some(year));
    }

    #[test]
    fn nobody_takes_it_behind_what_was_saved() {
        let clock = Clock::start(known(NOON, Some(NOON), false));
        assert_eq!(clock.correct(NOON.plus_millis(-60_000), Authority::Ntp), None);
        assert!(clock.now() >= NOON);
    }
}
