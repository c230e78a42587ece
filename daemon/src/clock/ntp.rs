//! What NTP says, as far as it can be believed. Pure, but for looking at the flag.
//!
//! `systemd-timesyncd` touches [`FLAG`] each time that a server's answer has set the system's clock
//! (systemd-timesyncd.service(8)). The flag stays when the network goes, and the system's clock can
//! be set by hand then: so it counts only while it is fresh by that same clock, and each touch
//! counts once.
//!
//! ```text
//!   touched ──▶ the system's clock is NTP's ──▶ asked: believed ──▶ asked again: nothing new
//!                        │ set by hand
//!                        └─▶ touched long ago, or in the future: not believed
//! ```

use std::{fs, path::Path, time::UNIX_EPOCH};

use alfarid_protocol::time::Timestamp;

/// Touched at each answer that was taken.
const FLAG: &str = "/run/systemd/timesync/synchronized";

/// It asks every 2048 s at most (timesyncd.conf(5), `PollIntervalMaxSec=`), and may pass over an
/// answer that differs from the others.
const FRESH_FOR_MS: i64 = 2 * 2_048_000;

/// When NTP last set the system's clock, by that clock.
pub(crate) fn set_at() -> Option<Timestamp> {
    let touched = fs::metadata(Path::new(FLAG)).and_then(|flag| flag.modified()).ok()?;
    let since_1970 = touched.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since_1970.as_millis()).ok().map(Timestamp)
}

/// Whether the system's clock, which says `system`, is NTP's if that set it at `set_at`.
pub(crate) fn is_in_step(set_at: Timestamp, system: Timestamp) -> bool {
    (0..=FRESH_FOR_MS).contains(&system.millis_since(set_at))
}

/// Remembers what NTP has said.
#[derive(Debug)]
pub(crate) struct Ntp {
    heard: Option<Timestamp>,
}

impl Ntp {
    /// When NTP last set the system's clock as far as the box knows: that answer counts no more,
    /// for the clock may have been set by hand since.
    pub(crate) fn heard(set_at: Option<Timestamp>) -> Self {
        Self { heard: set_at }
    }

    /// What time it is by NTP, which set the system's clock at `set_at`, if that is news.
    pub(crate) fn says(
        &mut self,
        set_at: Option<Timestamp>,
        system: Timestamp,
    ) -> Option<Timestamp> {
        let set_at = set_at.filter(|at| is_in_step(*at, system))?;
        (self.heard.replace(set_at) != Some(set_at)).then_some(system)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2027-02-01T09:00:00Z.
    const NINE: Timestamp = Timestamp(1_801_472_400_000);
    const MINUTE: i64 = 60_000;
    const YEAR: i64 = 365 * 86_400_000;

    #[test]
    fn each_answer_counts_once_and_not_for_long() {
        let mut ntp = Ntp::heard(None);
        assert_eq!(ntp.says(None, NINE), None);
        let now = NINE.plus_millis(MINUTE);
        assert_eq!(ntp.says(Some(NINE), now), Some(now));
        assert_eq!(ntp.says(Some(NINE), now.plus_millis(MINUTE)), None);
        let later = NINE.plus_millis(34 * MINUTE);
        assert_eq!(ntp.says(Some(later), later), Some(later));
        assert_eq!(Ntp::heard(None).says(Some(NINE), NINE.plus_millis(90 * MINUTE)), None);
    }

    /// The network is gone, the flag is there, and somebody sets a date: it is not NTP's.
    #[test]
    fn a_date_set_by_hand_is_not_taken_for_ntps() {
        let mut ntp = Ntp::heard(None);
        assert_eq!(ntp.says(Some(NINE), NINE), Some(NINE));
        for by_hand in [13 * YEAR, YEAR, 20 * MINUTE, -20 * MINUTE, -YEAR] {
            let system = NINE.plus_millis(by_hand);
            assert_eq!(ntp.says(Some(NINE), system), None, "{by_hand}");
            // Nor when the daemon was started again meanwhile.
            assert_eq!(Ntp::heard(Some(NINE)).says(Some(NINE), system), None, "{by_hand}");
        }
    }
}
