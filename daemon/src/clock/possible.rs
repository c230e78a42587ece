//! Which times can be, whatever a clock says. Pure.
//!
//! ```text
//!   ────────────┬───────────────┬────────────────────────────┬────────────▶ time
//!     cannot be │ not after the │           can be           │ cannot be
//!             BUILT    saved time (before it: cannot be)     LATEST
//! ```
//!
//! Box time never goes behind what it has saved, so a time that is believed once stays: what is
//! too far ahead does more harm than what is not believed. Between the bounds a wrong clock is
//! believed all the same; lessons are put right later.

use alfarid_protocol::time::Timestamp;
use thiserror::Error;

/// No box is older than its own software: 2026-11-01T00:00:00Z.
pub(crate) const BUILT: Timestamp = Timestamp(1_793_491_200_000);

/// Ten years after [`BUILT`], leap days and all: 2036-11-01T00:00:00Z. An update moves it on, and
/// a box that saw none for so long needs one more than the right date.
const LATEST: Timestamp = Timestamp(BUILT.0 + 3_653 * 86_400_000);

/// Why it cannot be that time now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Impossible {
    #[error("{} is before {}, which this box has seen", day(*says), day(*seen))]
    Past { says: Timestamp, seen: Timestamp },
    #[error("{} is more than ten years after this box's software was made", day(*says))]
    Future { says: Timestamp },
}

/// Whether it can be `says` now, on a box that has seen `seen`.
pub(super) fn possible(says: Timestamp, seen: Timestamp) -> Result<(), Impossible> {
    let seen = seen.max(BUILT);
    if says < seen {
        return Err(Impossible::Past { says, seen });
    }
    // A box that is beyond it all the same goes on from there.
    if says > LATEST.max(seen) {
        return Err(Impossible::Future { says });
    }
    Ok(())
}

/// The day, for people.
fn day(time: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(time.0).map_or_else(
        |_| "a day of no calendar".to_owned(),
        |time| time.strftime("%Y-%m-%d").to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const YEAR: i64 = 365 * 86_400_000;

    #[test]
    fn a_year_either_way_of_a_box_in_use_is_believed_only_forwards() {
        let seen = BUILT.plus_millis(2 * YEAR);
        assert_eq!(possible(seen.plus_millis(YEAR), seen), Ok(()));
        let says = seen.plus_millis(-YEAR);
        assert_eq!(possible(says, seen), Err(Impossible::Past { says, seen }));
    }

    #[test]
    fn nothing_is_before_the_software_or_ten_years_after_it() {
        let (early, late) = (BUILT.plus_millis(-1), BUILT.plus_millis(10 * YEAR + 4 * 86_400_000));
        assert!(possible(early, Timestamp(0)).is_err());
        assert!(possible(BUILT, Timestamp(0)).is_ok());
        assert!(possible(LATEST, BUILT).is_ok());
        assert_eq!(possible(late, BUILT), Err(Impossible::Future { says: late }));
    }

    #[test]
    fn a_refusal_names_the_days() {
        let told = possible(Timestamp(0), BUILT).unwrap_err().to_string();
        assert_eq!(told, "1970-01-01 is before 2026-11-01, which this box has seen");
        let told = possible(Timestamp(i64::MAX), BUILT).unwrap_err().to_string();
        assert!(told.starts_with("a day of no calendar"), "{told}");
    }
}
