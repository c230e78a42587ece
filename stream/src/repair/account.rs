//! What one machine may ask for, and cause.

use std::time::Duration;

use crate::{limit::Limit, window::Window};

/// Blocks that one machine may ask for in a second: each of 60, three times.
const PER_SECOND: u32 = 200;
/// At once: one datagram of feedback.
const AT_ONCE: u32 = 32;

/// One machine's account.
#[derive(Debug)]
pub(super) struct Account {
    entries: Limit,
    /// Bytes that are sent because of this machine alone.
    caused: Window<20>,
    limited: u64,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            entries: Limit::new(PER_SECOND, AT_ONCE),
            caused: Window::new(Duration::from_secs(1)),
            limited: 0,
        }
    }
}

impl Account {
    /// Whether one more entry of its feedback is heard. If so, it counts.
    pub(super) fn may_ask(&mut self, now: Duration) -> bool {
        let may = self.entries.take(now);
        self.limited += u64::from(!may);
        may
    }

    /// Whether it may cause so many bytes, with `share` for a second. If so, they count.
    pub(super) fn may_cause(&mut self, now: Duration, bytes: u64, share: u64) -> bool {
        let may = bytes == 0 || self.caused.sum(now) + bytes <= share;
        if may {
            self.caused.add(now, bytes);
        }
        self.limited += u64::from(!may);
        may
    }

    /// It was over another limit.
    pub(super) fn limit(&mut self) {
        self.limited += 1;
    }

    pub(super) fn limited(&self) -> u64 {
        self.limited
    }
}
