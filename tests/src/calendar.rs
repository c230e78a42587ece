//! From the calendar, by which the kernel stamps packets, to clocks that nobody sets.

use std::time::Duration;

use nix::{
    sys::socket::{ControlMessageOwned, RecvMsg},
    time::{ClockId, clock_gettime},
};

/// Whoever reads two clocks may be put aside in between: the closest pair of so many counts.
const PAIRS: usize = 3;

/// When by the calendar the kernel saw a packet; `None` where its socket was not told to say.
pub(crate) fn stamp<S>(message: &RecvMsg<'_, '_, S>) -> nix::Result<Option<Duration>> {
    Ok(message.cmsgs()?.find_map(|control| match control {
        ControlMessageOwned::ScmTimestampns(at) => Some(Duration::from(at)),
        _ => None,
    }))
}

/// When by `clock` something was that the kernel stamped so: as long as nobody sets the calendar
/// meanwhile.
pub fn by(clock: ClockId, stamped: Duration) -> Duration {
    stamped.saturating_sub(began(clock))
}

/// When by the calendar `clock` was at 0.
pub fn began(clock: ClockId) -> Duration {
    let pairs = (0..PAIRS).map(|_| {
        let before = read(clock);
        let calendar = read(ClockId::CLOCK_REALTIME);
        let after = read(clock);
        (after.saturating_sub(before), calendar.saturating_sub(after))
    });
    pairs.min().map_or(Duration::ZERO, |(_, began)| began)
}

/// No clock that is asked for here is ever lacking.
fn read(clock: ClockId) -> Duration {
    clock_gettime(clock).map_or(Duration::ZERO, Duration::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stamped_now_is_now_by_the_other_clock() {
        let before = read(ClockId::CLOCK_BOOTTIME);
        let at = by(ClockId::CLOCK_BOOTTIME, read(ClockId::CLOCK_REALTIME));
        let after = read(ClockId::CLOCK_BOOTTIME);
        // The calendar may be slewed by half a millisecond a second meanwhile.
        let little = Duration::from_millis(1);
        assert!(before.saturating_sub(little) <= at && at <= after + little);
    }
}
