//! Where a frame stands in the recording, by when it came and by what its sender says.
//!
//! A frame brings two times. Its RTP timestamp is exact to the tick but belongs to a clock of the
//! sender's, which starts anywhere and runs a little fast or slow: sound and picture of one
//! lesson drift a quarter of a second apart in an hour. Its arrival is by the box's own clock,
//! the same for every track, but late by an ever-changing while. So the distance between two
//! frames is taken from the timestamps, and where they stand all together from the arrivals:
//!
//! ```text
//!   lag = arrival - timestamp      ·   ·
//!                              · ·   ·   ·  ·  ·      each dot a frame
//!   offset ────────────────────────·─────·────────    the least lag, followed
//! ```
//!
//! - A lag below the offset lowers it at once: nothing arrives before it happened.
//! - The least lag of a window raises it, by 1 % of the time at most, so that nobody sees or hears
//!   it happen.
//! - A lag far above it is no delay but a sender that stood still: the offset jumps.
//!
//! Invariants: places ascend by at least [`STEP_US`] and are never negative. What came from before
//! the recording's start (the kept pictures that the first live ones refer to) is pressed into its
//! first moments.

use std::time::Duration;

/// The least distance of two frames: a WebM file counts in milliseconds.
pub(super) const STEP_US: u64 = 1_000;

/// Arrivals that a least lag is taken of. Long enough that one frame in it came without delay.
const WINDOW_US: i64 = 5_000_000;
const WINDOW_FRAMES: u32 = 8;

/// No frame is delayed by as much on a local network.
const JUMP_US: i64 = 2_000_000;

/// How much of the passing time the offset may rise by.
const RISE_PER: i64 = 100;

/// The time of one track.
#[derive(Debug)]
pub(super) struct Timeline {
    clock_rate: u64,
    /// The recording's start, by the box's monotonic clock.
    start: Duration,
    state: Option<State>,
}

#[derive(Debug)]
struct State {
    offset_us: i64,
    /// How much the offset has still to rise.
    due_us: i64,
    window: Window,
    last_arrival_us: i64,
    last_place_us: u64,
}

#[derive(Debug)]
struct Window {
    from_us: i64,
    frames: u32,
    least_us: i64,
}

impl Timeline {
    pub(super) fn new(clock_rate: u32, start: Duration) -> Self {
        Self { clock_rate: u64::from(clock_rate), start, state: None }
    }

    /// Microseconds from the recording's start to the frame with the unwrapped RTP `timestamp`
    /// that arrived at `at`. Frames come in the order they are to be shown in.
    pub(super) fn place(&mut self, at: Duration, timestamp: u64) -> u64 {
        let arrival_us = micros(at) - micros(self.start);
        let media_us = self.media_us(timestamp);
        let lag_us = arrival_us - media_us;
        let Some(state) = &mut self.state else {
            let place_us = u64::try_from(arrival_us).unwrap_or(0);
            self.state = Some(State {
                offset_us: lag_us,
                due_us: 0,
                window: Window::new(arrival_us, lag_us),
                last_arrival_us: arrival_us,
                last_place_us: place_us,
            });
            return place_us;
        };
        state.follow(arrival_us, lag_us);
        let place_us = u64::try_from(media_us + state.offset_us).unwrap_or(0);
        state.last_place_us = place_us.max(state.last_place_us + STEP_US);
        state.last_place_us
    }

    fn media_us(&self, timestamp: u64) -> i64 {
        let micros = u128::from(timestamp) * 1_000_000 / u128::from(self.clock_rate);
        i64::try_from(micros).unwrap_or(i64::MAX / 2)
    }
}

impl State {
    fn follow(&mut self, arrival_us: i64, lag_us: i64) {
        let passed_us = (arrival_us - self.last_arrival_us).max(0);
        self.last_arrival_us = self.last_arrival_us.max(arrival_us);
        if lag_us <= self.offset_us || lag_us > self.offset_us + JUMP_US {
            self.offset_us = lag_us;
            self.due_us = 0;
            self.window = Window::new(arrival_us, lag_us);
            return;
        }
        if let Some(least_us) = self.window.take(arrival_us, lag_us) {
            self.due_us = least_us - self.offset_us;
        }
        let rise_us = self.due_us.min(passed_us / RISE_PER);
        self.offset_us += rise_us;
        self.due_us -= rise_us;
    }
}

impl Window {
    fn new(from_us: i64, lag_us: i64) -> Self {
        Self { from_us, frames: 1, least_us: lag_us }
    }

    /// The least lag of the window that ends with this frame, if one ends.
    fn take(&mut self, arrival_us: i64, lag_us: i64) -> Option<i64> {
        self.frames += 1;
        self.least_us = self.least_us.min(lag_us);
        if self.frames < WINDOW_FRAMES || arrival_us - self.from_us < WINDOW_US {
            return None;
        }
        let ended =
            std::mem::replace(self, Self { from_us: arrival_us, frames: 0, least_us: i64::MAX });
        Some(ended.least_us)
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(1_000);
    const FRAME_US: u64 = 33_333;

    fn at(us: i64) -> Duration {
        Duration::from_micros(u64::try_from(micros(START) + us).unwrap())
    }

    /// A sender's timestamp for what it took at `us` by the box's clock, when its own clock is
    /// fast by `ppm` and started somewhere else.
    fn ticks(us: u64, ppm: i64) -> u64 {
        let drift = i64::try_from(us).unwrap() * ppm / 1_000_000;
        (1 << 32) + 77_777 + us.checked_add_signed(drift).unwrap() * 90 / 1_000
    }

    /// Deterministic delays of 3 to 33 ms.
    fn jitter(frame: u64) -> u64 {
        3_000 + frame.wrapping_mul(2_654_435_761) % 30_000
    }

    #[test]
    fn jitter_of_the_way_does_not_show_and_drift_is_followed_for_an_hour() {
        for ppm in [-100, 100] {
            let mut timeline = Timeline::new(90_000, START);
            let mut last = 0;
            for frame in 0..30 * 3_600 {
                let taken = frame * FRAME_US;
                let arrival = at(i64::try_from(taken + jitter(frame)).unwrap());
                let place = timeline.place(arrival, ticks(taken, ppm));
                if frame > 300 {
                    assert!(place.abs_diff(taken) < 12_000, "frame {frame}: {taken} at {place}");
                    assert!(place.abs_diff(last + FRAME_US) < 5_000, "frame {frame} jumps");
                }
                last = place;
            }
        }
    }

    #[test]
    fn a_still_screen_and_a_source_that_was_gone_come_out_right_in_time() {
        let mut timeline = Timeline::new(90_000, START);
        assert_eq!(timeline.place(at(10_000), ticks(0, 0)), 10_000);
        assert_eq!(timeline.place(at(9_010_000), ticks(9_000_000, 0)), 9_010_000);
        // The next source goes on with the numbers as if no time had passed.
        assert_eq!(timeline.place(at(69_010_000), ticks(9_033_333, 0)), 69_010_000);
        assert_eq!(timeline.place(at(69_043_333), ticks(9_066_666, 0)), 69_043_333);
    }

    #[test]
    fn one_late_frame_moves_nothing() {
        let mut timeline = Timeline::new(90_000, START);
        timeline.place(at(0), ticks(0, 0));
        // The sender's ticks are coarser than microseconds.
        assert!(timeline.place(at(733_333), ticks(FRAME_US, 0)).abs_diff(FRAME_US) < 12);
        assert!(timeline.place(at(733_400), ticks(2 * FRAME_US, 0)).abs_diff(2 * FRAME_US) < 12);
    }

    #[test]
    fn pictures_from_before_the_start_are_pressed_into_its_first_moments() {
        let mut timeline = Timeline::new(90_000, START);
        for frame in 0..60 {
            let taken = i64::try_from(frame * FRAME_US).unwrap() - 2_000_000;
            let place = timeline.place(at(taken), ticks(frame * FRAME_US, 0));
            assert_eq!(place, frame * STEP_US);
        }
        assert_eq!(timeline.place(at(100_000), ticks(2_100_000, 0)), 100_000);
    }
}
