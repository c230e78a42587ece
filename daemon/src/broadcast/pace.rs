//! How many frames and bits a second go on air.

use std::time::Duration;

#[derive(Debug)]
pub(super) struct Pace {
    since: Duration,
    /// Since then.
    frames: u64,
    bytes: u64,
}

impl Pace {
    pub(super) fn new(now: Duration) -> Self {
        Self { since: now, frames: 0, bytes: 0 }
    }

    /// Counts one packet, `ends_frame` where it is the last of a video frame.
    pub(super) fn count(&mut self, bytes: usize, ends_frame: bool) {
        self.bytes += bytes as u64;
        self.frames += u64::from(ends_frame);
    }

    /// Frames and bits per second since the last call.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "figures for people: a second of packets fits many times"
    )]
    pub(super) fn per_second(&mut self, now: Duration) -> (f32, u64) {
        let seconds = now.saturating_sub(self.since).as_secs_f64().max(0.001);
        let fps = self.frames as f64 / seconds;
        let bps = self.bytes as f64 * 8.0 / seconds;
        self.since = now;
        self.frames = 0;
        self.bytes = 0;
        (fps as f32, bps as u64)
    }
}
