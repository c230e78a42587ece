//! The lower envelope of arrivals: what a packet's media time is in the time of arrivals.
//!
//! A packet of media time `m` arrives at `m`, plus the clocks' difference, plus what it spent on
//! the way: encoding, sending, waiting, never less than nothing. So the arrivals that took least
//! time show the clocks, and all others are late by what they took longer:
//!
//! ```text
//!   arrival − media time
//!     │     ·                 ·        keyframes, loss, somebody else's traffic
//!     │ ·      ·  · ·     ·      ·
//!     │───·─────────────·───────────·  the envelope: the least over WINDOW
//!     └────────────────────────────────▶ time
//! ```
//!
//! The window is what follows the publisher's drift: 200 ppm are 2 ms in it, the same for all.
//!
//! A publisher's clock may also jump (a laptop that slept, a tab that was frozen). One packet
//! proves nothing. Two frames that come too early together prove a jump: no network makes packets
//! early. Too late they may just be stuck; when for [`PATIENCE`] nothing is in time, it was a jump,
//! or a way that got longer for good.

use std::time::Duration;

use super::{JUMP, sliding::Sliding};
use crate::codec::Codec;

/// Seconds over which the least is looked for.
const WINDOW: u64 = 10;

/// How long everything is too late before that is believed: longer than a stuck uplink, shorter
/// than a class's patience.
const PATIENCE: Duration = Duration::from_secs(2);

/// Says that at `box_time` the stream's clock shows `timestamp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    pub timestamp: u32,
    pub box_time: Duration,
}

/// The envelope of one stream (one SSRC).
#[derive(Clone, Debug)]
pub struct Envelope {
    codec: Codec,
    /// `ticks(arrival) − timestamp` of the first packet, modulo 2^32 (RFC 3550 §6.4.1 calls it the
    /// transit). Others are kept as what they are above it.
    reference: Option<u32>,
    transits: Sliding<i32>,
    astray: Option<Astray>,
}

/// Frames of which each is further off the envelope than [`JUMP`], on the same side.
#[derive(Clone, Copy, Debug)]
struct Astray {
    since: Duration,
    timestamp: u32,
    is_early: bool,
    least: i32,
}

impl Envelope {
    pub fn new(codec: Codec) -> Self {
        Self { codec, reference: None, transits: Sliding::over(WINDOW), astray: None }
    }

    /// A packet with `timestamp` arrived. All packets of a frame may be said; the first counts.
    pub fn arrived(&mut self, now: Duration, timestamp: u32) {
        let transit = self.codec.ticks(now).wrapping_sub(timestamp);
        let reference = *self.reference.get_or_insert(transit);
        let transit = transit.wrapping_sub(reference).cast_signed();
        let Some(least) = self.transits.least() else {
            return self.transits.push(now, transit);
        };
        if transit.abs_diff(least) <= self.jump() {
            self.astray = None;
            self.transits.push(now, transit);
        } else {
            self.went_astray(now, timestamp, transit, transit < least);
        }
    }

    /// The stream's clock at `at`, which is near the last arrival. `None` before the first.
    pub fn pair(&self, at: Duration) -> Option<Pair> {
        let transit = self.reference?.wrapping_add_signed(self.transits.least()?);
        Some(Pair { timestamp: self.codec.ticks(at).wrapping_sub(transit), box_time: at })
    }

    /// Another source took the stream over: its way is another one.
    pub fn restart(&mut self) {
        *self = Self::new(self.codec);
    }

    fn went_astray(&mut self, now: Duration, timestamp: u32, transit: i32, is_early: bool) {
        let new = Astray { since: now, timestamp, is_early, least: transit };
        let jump = self.jump();
        let agrees = |old: &Astray| {
            old.is_early == is_early && (!is_early || old.least.abs_diff(transit) <= jump)
        };
        let first = self.astray.filter(agrees).unwrap_or(new);
        let least = first.least.min(transit);
        let patience = if is_early { Duration::ZERO } else { PATIENCE };
        if timestamp == first.timestamp || now.saturating_sub(first.since) < patience {
            self.astray = Some(Astray { least, ..first });
        } else {
            self.astray = None;
            self.transits.clear();
            self.transits.push(now, least);
        }
    }

    fn jump(&self) -> u32 {
        self.codec.ticks(JUMP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::Random;

    const CODEC: Codec = Codec::H264;

    /// 30 frames a second from a publisher whose clock is off by `ppm`; each takes 5 ms and up to
    /// 40 more. Times are in microseconds.
    struct Publisher {
        random: Random,
        ppm: f64,
        start: u32,
    }

    impl Publisher {
        fn new(seed: u64, ppm: f64) -> Self {
            Self { random: Random::new(seed), ppm, start: u32::MAX - 1_000_000 }
        }

        fn timestamp(&self, made: Duration) -> u32 {
            self.start.wrapping_add(CODEC.ticks(made.mul_f64(1.0 + self.ppm * 1e-6)))
        }

        fn send(&mut self, envelope: &mut Envelope, seconds: std::ops::Range<u64>) {
            for n in seconds.start * 30..seconds.end * 30 {
                let made = Duration::from_micros(n * 33_333);
                let way = Duration::from_micros(5_000 + self.random.below(40_000));
                envelope.arrived(made + way, self.timestamp(made));
            }
        }

        /// By how many milliseconds the envelope is above a way of 5 ms.
        fn above(&self, envelope: &Envelope, at: Duration) -> f64 {
            let pair = envelope.pair(at).unwrap();
            let ideal = self.timestamp(at.saturating_sub(Duration::from_millis(5)));
            f64::from(ideal.wrapping_sub(pair.timestamp).cast_signed()) / 90.0
        }
    }

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_fastest_packets_show_the_clock() {
        assert_eq!(Envelope::new(CODEC).pair(secs(1)), None);
        for ppm in [0.0, 100.0, -100.0, 200.0, -200.0] {
            let mut publisher = Publisher::new(1, ppm);
            let mut envelope = Envelope::new(CODEC);
            for second in 0..600 {
                publisher.send(&mut envelope, second..second + 1);
                let above = publisher.above(&envelope, secs(second + 1));
                if second > 10 {
                    assert!((-2.5..2.5).contains(&above), "{above} ms at {ppm} ppm");
                }
            }
        }
    }

    #[test]
    fn on_a_still_screen_the_last_arrivals_hold() {
        let mut publisher = Publisher::new(2, 0.0);
        let mut envelope = Envelope::new(CODEC);
        publisher.send(&mut envelope, 0..20);
        assert!(publisher.above(&envelope, secs(300)).abs() < 1.5);
        publisher.send(&mut envelope, 300..301);
        assert!(publisher.above(&envelope, secs(301)).abs() < 6.0);
    }

    #[test]
    fn one_mad_timestamp_moves_nothing() {
        let mut publisher = Publisher::new(3, 0.0);
        let mut envelope = Envelope::new(CODEC);
        for (second, mad) in
            [(20, 5_000_000), (21, 0x8000_0000), (22, 90_000), (23, (-90_000_i32).cast_unsigned())]
        {
            publisher.send(&mut envelope, second - 20..second);
            let truth = publisher.timestamp(secs(second));
            envelope.arrived(secs(second), truth.wrapping_add(mad));
            envelope.arrived(secs(second), truth.wrapping_add(mad));
            assert!(publisher.above(&envelope, secs(second)).abs() < 1.5);
            publisher = Publisher::new(second, 0.0);
            envelope = Envelope::new(CODEC);
        }
    }

    #[test]
    fn a_clock_that_jumps_is_followed() {
        for (jump, patience) in
            [(900_000, 1), (90_000 * 3_600, 1), ((-90_000_i32).cast_unsigned(), 3)]
        {
            let mut publisher = Publisher::new(4, 0.0);
            let mut envelope = Envelope::new(CODEC);
            publisher.send(&mut envelope, 0..20);
            publisher.start = publisher.start.wrapping_add(jump);
            publisher.send(&mut envelope, 20..20 + patience);
            let above = publisher.above(&envelope, secs(20 + patience));
            assert!(above.abs() < 6.0, "{above} ms");
        }
    }

    #[test]
    fn a_stuck_uplink_is_no_jump() {
        let mut publisher = Publisher::new(5, 0.0);
        let mut envelope = Envelope::new(CODEC);
        publisher.send(&mut envelope, 0..20);
        // Nothing for 1.5 s, then all at once.
        for n in 0..45 {
            let made = secs(20) + Duration::from_micros(n * 33_333);
            envelope.arrived(Duration::from_millis(21_500), publisher.timestamp(made));
        }
        assert!(publisher.above(&envelope, secs(22)).abs() < 1.5);
    }
}
