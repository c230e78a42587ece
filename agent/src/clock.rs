//! The machine's own clocks. Rules never read them: they get a [`Moment`] handed in.
//!
//! Two clocks of the kernel are in use, and the calendar is not. `CLOCK_BOOTTIME` goes on through
//! suspend and stamps presence; `CLOCK_MONOTONIC` stops in suspend and times what is shown. Their
//! difference grows by exactly the time that the machine slept.

use std::time::Duration;

use alfarid_protocol::{
    id::{BootId, SpanId},
    span::Moment,
};
use nix::time::{ClockId, clock_gettime};
use thiserror::Error;

const BOOT_ID_PATH: &str = "/proc/sys/kernel/random/boot_id";

#[derive(Debug, Error)]
pub enum ClockError {
    #[error("read the boot id from {BOOT_ID_PATH}")]
    BootId(#[source] std::io::Error),
    #[error("the boot id in {BOOT_ID_PATH} is not a UUID")]
    NotAnId(#[source] uuid::Error),
}

/// What the two clocks say at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Readings {
    pub boottime: Duration,
    pub monotonic: Duration,
}

impl Readings {
    pub fn of_the_kernel() -> Self {
        // In this order, time that passes between the two is never taken for sleep.
        let boottime = read(ClockId::CLOCK_BOOTTIME);
        Self { boottime, monotonic: monotonic() }
    }
}

/// Reads the clocks of this boot.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    boot: BootId,
    read: fn() -> Readings,
}

impl Clock {
    pub fn of_this_boot() -> Result<Self, ClockError> {
        Self::reading(Readings::of_the_kernel)
    }

    /// Goes by other clocks than the kernel's, which no test can send to sleep.
    pub fn reading(read: fn() -> Readings) -> Result<Self, ClockError> {
        let text = std::fs::read_to_string(BOOT_ID_PATH).map_err(ClockError::BootId)?;
        let boot = text.trim().parse().map_err(ClockError::NotAnId)?;
        Ok(Self { boot, read })
    }

    pub fn now(&self) -> Moment {
        Moment { boot: self.boot, monotonic_ms: millis((self.read)().boottime) }
    }

    /// How long the machine has slept since it booted.
    pub fn slept(&self) -> Duration {
        let Readings { boottime, monotonic } = (self.read)();
        boottime.saturating_sub(monotonic)
    }
}

/// `CLOCK_MONOTONIC`: what `show_at` and logind's idle times are in.
pub fn monotonic() -> Duration {
    read(ClockId::CLOCK_MONOTONIC)
}

/// A new id for a span of presence. The calendar in it only helps a person who reads a database;
/// the random part makes it unique, so a wrong calendar does no harm.
pub fn new_span_id() -> SpanId {
    let millis = millis(read(ClockId::CLOCK_REALTIME));
    let mut random = [0; 10];
    // A kernel too old to have the system call would not run this binary either; an all-zero
    // random part would still be unique within one machine.
    let _ = getrandom::fill(&mut random);
    SpanId(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
}

fn read(clock: ClockId) -> Duration {
    // These three clocks exist on every Linux that runs this binary.
    clock_gettime(clock).map(Duration::from).unwrap_or_default()
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The same moment as `moment`, `by` later. For tests and arithmetic on deadlines.
pub fn later(moment: Moment, by: Duration) -> Moment {
    Moment { monotonic_ms: moment.monotonic_ms.saturating_add(millis(by)), ..moment }
}

/// A boot id for tests that need two different boots.
#[cfg(test)]
pub(crate) fn boot(n: u128) -> BootId {
    BootId(uuid::Uuid::from_u128(n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_forward_within_one_boot() {
        let clock = Clock::of_this_boot().unwrap();
        let (first, second) = (clock.now(), clock.now());
        assert_eq!(first.boot, second.boot);
        assert!(second.monotonic_ms >= first.monotonic_ms);
    }

    #[test]
    fn span_ids_differ_and_are_version_7() {
        let (one, two) = (new_span_id(), new_span_id());
        assert_ne!(one, two);
        assert_eq!(one.0.get_version_num(), 7);
    }
}
