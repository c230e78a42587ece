//! How many frames and bits a second go on air.

use std::time::Duration;

#[derive(Debug)]
pub(super) struct Pace {
    since: Duration,
    /// Since then.
    new_frames: u64,
    new_bytes: u64,
    /// Ever.
    frames: u64,
}

impl Pace {
    pub(super) fn new(now: Duration) -> Self {
        Self { since: now, new_frames: 0, new_bytes: 0, frames: 0 }
    }

    /// Counts one packet, `ends_frame` where it is the last of a video frame.
    pub(super) fn count(&mut self, bytes: usize, ends_frame: bool) {
        self.new_bytes += bytes as u64;
        self.new_frames += u64::from(ends_frame);
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
        let fps = self.new_frames as f64 / seconds;
        let bps = self.new_bytes as f64 * 8.0 / seconds;
        self.since = now;
        self.new_frames = 0;
        self.new_bytes = 0;
        (fps as f32, bps as u64)
    }

    pub(super) fn frames(&self) -> u64 {
        self.frames
    }
}
