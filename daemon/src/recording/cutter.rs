//! Cuts a segment's frames into fragments of about a second.
//!
//! How long a picture lasts is known when the next one comes, so one frame is always held back:
//!
//! ```text
//!   push ──▶ held ──next frame──▶ ready ──▶ fragment, when
//!                                             it lasts SPAN,
//!                                             a keyframe follows (playing can start at it),
//!                                             it grew too large,
//!                                             sound pauses behind it,
//!                                             or SPAN has passed and nothing more came
//! ```
//!
//! A still screen sends nothing for minutes: what was ready before is on disk then, the one held
//! frame is not. Sound knows its own duration and holds nothing back for longer than a moment.
//!
//! Invariants: fragments leave in order and are never empty; within a fragment each frame lasts up
//! to the next; between fragments too, but for pauses in the sound.

use std::time::Duration;

use bytes::Bytes;

use super::container::Sample;

/// A fragment lasts so long: what a power cut costs at most, beside the frame held back.
pub(super) const SPAN: Duration = Duration::from_secs(1);

/// A keyframe ends a fragment that lasts at least so long, so that a stream of nothing but
/// keyframes does not become a fragment each.
const LEAST_SPAN_US: u64 = 500_000;

/// Bytes of one fragment, beyond which it is cut early: it is held in memory twice while written.
const MAX_BYTES: usize = 4 << 20;

/// Sound that begins within this of the end of the last packet goes on with it; later is a pause.
const PAUSE_US: u64 = 60_000;

/// A frame of the segment, its end not known yet.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    /// From the segment's start. Ascending.
    pub time_us: u64,
    pub keyframe: bool,
    pub data: Bytes,
    /// Of sound: how long it lasts by itself.
    pub own_duration_us: Option<u64>,
}

impl Frame {
    fn own_end_us(&self) -> Option<u64> {
        self.own_duration_us.map(|own_us| self.time_us + own_us)
    }
}

#[derive(Debug, Default)]
pub(super) struct Cutter {
    held: Option<Held>,
    ready: Vec<Sample>,
    ready_bytes: usize,
    /// When the first of `ready` came.
    ready_since: Duration,
}

#[derive(Debug)]
struct Held {
    frame: Frame,
    since: Duration,
}

impl Cutter {
    /// Takes a frame in at `now`, and gives a fragment if one is complete.
    pub(super) fn push(&mut self, now: Duration, frame: Frame) -> Option<Vec<Sample>> {
        let next_us = frame.time_us;
        let pauses = self.release(next_us);
        let is_keyframe = frame.keyframe && frame.own_duration_us.is_none();
        self.held = Some(Held { frame, since: now });
        let first = self.ready.first()?;
        let span_us = next_us - first.time_us;
        let ends = pauses
            || span_us >= micros(SPAN)
            || self.ready_bytes >= MAX_BYTES
            || is_keyframe && (span_us >= LEAST_SPAN_US || !first.keyframe);
        if ends { self.cut() } else { None }
    }

    /// Gives what waited long enough, though nothing came behind it. To be called a few times a
    /// second.
    pub(super) fn tick(&mut self, now: Duration) -> Option<Vec<Sample>> {
        let held = self.held.as_ref().filter(|held| now.saturating_sub(held.since) >= SPAN);
        if let Some(end_us) = held.and_then(|held| held.frame.own_end_us()) {
            self.release(end_us);
        }
        if self.ready.is_empty() || now.saturating_sub(self.ready_since) < SPAN {
            return None;
        }
        self.cut()
    }

    /// Gives what is left. A last picture lasts until `end_us`, at least a moment.
    pub(super) fn finish(&mut self, end_us: u64) -> Option<Vec<Sample>> {
        if let Some(Held { frame, .. }) = &self.held {
            let end_us = frame.own_end_us().unwrap_or(end_us.max(frame.time_us + 1_000));
            self.release(end_us);
        }
        self.cut()
    }

    /// Makes the held frame ready, which lasts until `next_us`. Returns whether it is sound and
    /// a pause follows.
    fn release(&mut self, next_us: u64) -> bool {
        let Some(Held { frame, since }) = self.held.take() else { return false };
        let until_next_us = next_us.saturating_sub(frame.time_us);
        let own_us = frame.own_duration_us;
        let pauses = own_us.is_some_and(|own_us| until_next_us > own_us + PAUSE_US);
        let duration_us = own_us.filter(|_| pauses).unwrap_or(until_next_us);
        if self.ready.is_empty() {
            self.ready_since = since;
        }
        self.ready_bytes += frame.data.len();
        let Frame { time_us, keyframe, data, .. } = frame;
        self.ready.push(Sample { time_us, duration_us, keyframe, data });
        pauses
    }

    fn cut(&mut self) -> Option<Vec<Sample>> {
        self.ready_bytes = 0;
        let fragment = std::mem::take(&mut self.ready);
        (!fragment.is_empty()).then_some(fragment)
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(time_ms: u64, keyframe: bool) -> Frame {
        let data = Bytes::from_static(b"picture");
        Frame { time_us: time_ms * 1_000, keyframe, data, own_duration_us: None }
    }

    fn sound(time_ms: u64) -> Frame {
        Frame { own_duration_us: Some(20_000), keyframe: true, ..picture(time_ms, true) }
    }

    fn at(ms: u64) -> Duration {
        Duration::from_mins(1) + Duration::from_millis(ms)
    }

    /// When each frame of a fragment starts and ends, in milliseconds.
    fn spans(fragment: &[Sample]) -> Vec<(u64, u64)> {
        let ms = |us: u64| us / 1_000;
        fragment.iter().map(|s| (ms(s.time_us), ms(s.time_us + s.duration_us))).collect()
    }

    #[test]
    fn a_second_of_pictures_is_a_fragment_and_a_keyframe_begins_one() {
        let mut cutter = Cutter::default();
        let mut starts = Vec::new();
        for n in 0..100 {
            let frame = picture(n * 40, n == 0 || n == 65);
            if let Some(fragment) = cutter.push(at(n * 40), frame) {
                starts.push((fragment[0].time_us / 1_000, fragment.len()));
            }
        }
        assert_eq!(starts, [(0, 25), (1_000, 25), (2_000, 15), (2_600, 25)]);
        assert_eq!(spans(&cutter.finish(4_100_000).unwrap()).last(), Some(&(3_960, 4_100)));
    }

    #[test]
    fn what_came_before_a_still_screen_does_not_wait_for_its_end() {
        let mut cutter = Cutter::default();
        for ms in [0, 40, 80] {
            assert_eq!(cutter.push(at(ms), picture(ms, ms == 0)), None);
        }
        assert_eq!(cutter.tick(at(900)), None);
        assert_eq!(spans(&cutter.tick(at(1_000)).unwrap()), [(0, 40), (40, 80)]);
        assert_eq!(cutter.tick(at(60_000)), None, "the last one still stands");
        let fragment = cutter.push(at(90_000), picture(90_000, false)).unwrap();
        assert_eq!(spans(&fragment), [(80, 90_000)]);
    }

    #[test]
    fn a_pause_in_the_sound_is_a_gap_and_not_one_long_packet() {
        let mut cutter = Cutter::default();
        for ms in [0, 20, 41] {
            assert_eq!(cutter.push(at(ms), sound(ms)), None);
        }
        let fragment = cutter.push(at(5_000), sound(5_000)).unwrap();
        assert_eq!(spans(&fragment), [(0, 20), (20, 41), (41, 61)]);
        assert_eq!(spans(&cutter.tick(at(6_000)).unwrap()), [(5_000, 5_020)]);
        assert_eq!(cutter.finish(9_000_000), None);
    }

    #[test]
    fn nothing_but_keyframes_are_still_half_a_second_each() {
        let mut cutter = Cutter::default();
        let fragments: Vec<_> =
            (0..50).filter_map(|n| cutter.push(at(n * 100), picture(n * 100, true))).collect();
        assert!(fragments.iter().all(|fragment| fragment.len() == 5));
    }
}
