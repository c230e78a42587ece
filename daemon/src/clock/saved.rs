//! What of box time is on disk, and how a daemon that is started again goes on from it. Pure.
//!
//! ```text
//!   the same boot of the machine:  saved ── CLOCK_BOOTTIME goes on ──▶ now, as sure as before
//!   another one:                   saved ── nobody knows how long ──▶ the calendar is asked
//! ```
//!
//! So nothing that happens to the system's calendar while the daemon is down, for an update say,
//! can end a lesson or take the box into another year.

use std::{fmt, time::Duration};

use alfarid_protocol::{id::BootId, time::Timestamp};

use super::{Clock, millis};

/// The newest box time on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Saved {
    pub at: Timestamp,
    /// Which boot of the machine it was in, how long that had lasted, and whether anybody vouched
    /// for it. `None` where the machine does not say which boot it is.
    boot: Option<(BootId, Duration, bool)>,
}

impl Saved {
    /// Box time at this moment, in `boot`.
    pub(crate) fn now(clock: &Clock, boot: Option<BootId>) -> Self {
        let now = clock.read();
        let is_sure = clock.is_sure();
        Self { at: now.at, boot: boot.map(|boot| (boot, now.monotonic, is_sure)) }
    }

    /// What it is by now, and whether anybody vouches for that, when `boot` has lasted for `up`:
    /// only in the boot that it was saved in.
    pub(super) fn goes_on(&self, boot: Option<BootId>, up: Duration) -> Option<(Timestamp, bool)> {
        let (saved_in, saved_when, is_sure) = self.boot?;
        let since = up.checked_sub(saved_when).filter(|_| boot == Some(saved_in))?;
        Some((self.at.plus_millis(millis(since)), is_sure))
    }

    /// From the time as it is kept alone, which every build of the box understands, and what
    /// [`fmt::Display`] wrote beside it. That counts if it is of the same time: a build that does
    /// not know it leaves it as it is.
    pub(crate) fn parse(at: &str, beside: Option<&str>) -> Option<Self> {
        let kept = Timestamp(at.parse().ok()?);
        let boot = |text: &str| {
            let mut words = text.split(' ');
            let at = Timestamp(words.next()?.parse().ok()?);
            let boot = words.next()?.parse().ok()?;
            let up = Duration::from_millis(words.next()?.parse().ok()?);
            (at == kept).then_some((boot, up, words.next()? == "sure"))
        };
        Some(Self { at: kept, boot: beside.and_then(boot) })
    }
}

impl fmt::Display for Saved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.at.0)?;
        let Some((boot, up, is_sure)) = self.boot else { return Ok(()) };
        write!(f, " {boot} {} {}", up.as_millis(), if is_sure { "sure" } else { "unsure" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Evidence;

    /// 2027-02-01T09:00:00Z.
    const NINE: Timestamp = Timestamp(1_801_472_400_000);
    const YEAR: i64 = 365 * 86_400_000;
    const BOOT: BootId = BootId(uuid::Uuid::from_u128(7));

    /// A box that has run for an hour, in the middle of a lesson.
    fn saved() -> Saved {
        let clock = Clock::manual(NINE);
        clock.advance(Duration::from_hours(1));
        Saved::now(&clock, Some(BOOT))
    }

    #[test]
    fn what_is_written_is_read() {
        let without = Saved { boot: None, ..saved() };
        for saved in [saved(), without] {
            let at = saved.at.0.to_string();
            assert_eq!(Saved::parse(&at, Some(&saved.to_string())), Some(saved));
            assert_eq!(Saved::parse(&at, None), Some(Saved { boot: None, ..saved }));
        }
        assert_eq!(Saved::parse("", None), None);
    }

    /// An older build ran meanwhile, and wrote its time alone.
    #[test]
    fn what_stands_beside_another_time_is_of_no_use() {
        let later = (saved().at.0 + 60_000).to_string();
        let read = Saved::parse(&later, Some(&saved().to_string()));
        assert_eq!(read.map(|saved| saved.boot), Some(None));
    }

    /// The daemon is killed, somebody sets a date, and it is started again two seconds later.
    #[test]
    fn a_calendar_that_jumps_while_the_daemon_is_down_moves_nothing() {
        let up = Duration::from_hours(1) + Duration::from_secs(2);
        let goes_on = saved().at.plus_millis(2_000);
        for jump in [YEAR, -YEAR, 3_600_000] {
            let evidence = Evidence {
                system: goes_on.plus_millis(jump),
                saved: Some(saved().at),
                vouched: true,
                goes_on: saved().goes_on(Some(BOOT), up),
            };
            assert_eq!(evidence.decide(), (goes_on, true), "{jump}");
        }
    }

    #[test]
    fn after_another_boot_the_calendar_is_asked() {
        let up = Duration::from_secs(20);
        let another = BootId(uuid::Uuid::from_u128(8));
        assert_eq!(saved().goes_on(Some(another), Duration::from_hours(2)), None);
        assert_eq!(saved().goes_on(None, Duration::from_hours(2)), None);
        // A boot never lasts less than it did.
        assert_eq!(saved().goes_on(Some(BOOT), up), None);
    }
}
