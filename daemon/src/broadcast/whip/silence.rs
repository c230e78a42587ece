//! Whether a connected publisher can be heard at this moment. Pure.
//!
//! A browser whose screen stands still sends no picture for long, but never nothing: its reports
//! come once or twice in [`SILENCE`] while it has video (RFC 3550 §6.2, as libwebrtc keeps it), its
//! checks of the path about as often (RFC 7675 §5.1). So complete silence says that it vanished, or
//! that its network did, which may be over in a moment: what is shown of it changes, and nothing
//! else.
//!
//! ```text
//!   heard ── SILENCE without a datagram ──▶ silent
//!     ▲                                       │
//!     └──────────── any datagram ─────────────┘
//! ```

use std::time::Duration;

/// As long as people wait before they wonder, and longer than one lost report.
const SILENCE: Duration = Duration::from_millis(2_500);

#[derive(Debug)]
pub(super) struct Silence {
    heard: Duration,
    is_silent: bool,
}

impl Silence {
    pub(super) fn new(now: Duration) -> Self {
        Self { heard: now, is_silent: false }
    }

    /// A datagram came. `true`: it ended a silence.
    pub(super) fn break_off(&mut self, now: Duration) -> bool {
        self.heard = now;
        std::mem::replace(&mut self.is_silent, false)
    }

    /// `true`: a silence has begun, and this is the first look since.
    pub(super) fn has_begun(&mut self, now: Duration) -> bool {
        let is_silent = self.so_far(now) >= SILENCE;
        is_silent && !std::mem::replace(&mut self.is_silent, true)
    }

    /// How long nothing has come.
    pub(super) fn so_far(&self, now: Duration) -> Duration {
        now.saturating_sub(self.heard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn silence_is_told_once_and_its_end_too() {
        let mut silence = Silence::new(ms(0));
        assert!(!silence.has_begun(ms(2_499)));
        assert!(silence.has_begun(ms(2_500)));
        assert!(!silence.has_begun(ms(3_000)));
        assert!(silence.break_off(ms(3_100)));
        assert!(!silence.break_off(ms(3_200)));
        assert!(!silence.has_begun(ms(5_600)));
        assert!(silence.has_begun(ms(5_700)));
    }

    #[test]
    fn a_still_screen_whose_reports_get_lost_now_and_then_is_heard() {
        let mut silence = Silence::new(ms(0));
        for report in (1..100).filter(|n| n % 3 != 0) {
            let now = ms(1_000 * report);
            assert!(!silence.has_begun(now), "{now:?}");
            silence.break_off(now);
        }
    }
}
