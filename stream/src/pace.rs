//! Spreads what would leave in one burst.
//!
//! A keyframe is a hundred packets that come in one instant. Sent at the speed of the cable they
//! pile up in a slow port's or an access point's queue, which holds a few dozen, and the rest is
//! lost to everybody at once. So packets leave in quanta of 1 ms, in the order they came:
//!
//! ```text
//!   in    ▌▌▌▌▌▌▌▌▌▌▌▌▌▌▌▌▌▌▌▌▌▌▌▌          a keyframe
//!   out   ▌▌▌▌ ▌▌▌▌ ▌▌▌▌ ▌▌▌▌ ▌▌▌▌ ▌▌▌▌     USUAL a quantum, or more if it must be
//!         ├──┤ quantum                │
//!         ├── at most the spread ─────┤
//! ```
//!
//! Each quantum lets through [`USUAL`] bytes, or as many as it takes so that every packet leaves
//! within the spread (one frame time) of its coming. A small frame therefore leaves at once, a
//! large one is spread, and a huge one only leaves faster: never later.
//!
//! Invariants: packets leave in order, each once, none is dropped; each at most the spread after it
//! came, if the caller polls when [`Pacer::next_timeout`] says so. A caller that polls late gets
//! what it missed: pacing then fails into bursts, not into delay.

use std::{collections::VecDeque, time::Duration};

/// What leaves together. Timers of a tokio runtime know no less.
pub const QUANTUM: Duration = Duration::from_millis(1);

/// Bytes that may leave in every quantum: four full packets. A usual frame of 4 Mbit/s leaves in
/// 4 ms, a keyframe of 150 kB in a frame time, and 38 Mbit/s are below any port of today.
pub const USUAL: usize = 4_800;

/// The longest spread: a frame time at 30 fps. At lower rates frames would have longer, but the
/// playout delay on a good wire (60 ms) has to pay for it.
pub const MAX_SPREAD: Duration = Duration::from_micros(33_333);

/// What is held at most. Full: the oldest leaves at once.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    pub packets: usize,
    pub bytes: usize,
}

impl Room {
    /// A second of one rich stream, and several large keyframes.
    pub const OF_ONE: Self = Self { packets: 1_024, bytes: 2 << 20 };
    /// A keyframe of a large screen to each machine of a large class.
    pub const OF_A_CLASS: Self = Self { packets: 8_192, bytes: 12 << 20 };
}

/// Quanta that a late caller is given at once: a scheduler's hiccup, less than a keyframe.
const MAX_MISSED: u128 = 8;

/// What happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Packets that left.
    pub packets: u64,
    /// Of those: had to leave early, for want of room.
    pub pushed_out: u64,
    /// The longest that one was held.
    pub longest: Duration,
}

/// Paces one way of packets out. `T` is what the caller sends.
#[derive(Debug)]
pub struct Pacer<T> {
    spread: Duration,
    room: Room,
    queue: VecDeque<Held<T>>,
    bytes: usize,
    /// The end of the present quantum, and the bytes that may still leave in it.
    until: Duration,
    allowance: usize,
    stats: Stats,
}

#[derive(Debug)]
struct Held<T> {
    came: Duration,
    len: usize,
    item: T,
}

impl<T> Pacer<T> {
    /// Spreads over one `frame_time`, within [`QUANTUM`] and [`MAX_SPREAD`].
    pub fn new(frame_time: Duration, room: Room) -> Self {
        Self {
            room,
            spread: frame_time.clamp(QUANTUM, MAX_SPREAD),
            queue: VecDeque::new(),
            bytes: 0,
            until: Duration::ZERO,
            allowance: 0,
            stats: Stats::default(),
        }
    }

    /// Takes in a packet of `len` bytes. What comes back found no room any more: it is the oldest
    /// and to be sent now.
    #[must_use = "a packet that is given back must be sent"]
    pub fn push(&mut self, now: Duration, len: usize, item: T) -> Option<T> {
        if self.queue.is_empty() {
            // Quanta in which nothing waited were not missed.
            self.until = self.until.max(now);
        }
        // A packet without length would never use up a quantum.
        let len = len.max(1);
        self.queue.push_back(Held { came: now, len, item });
        self.bytes = self.bytes.saturating_add(len);
        if self.queue.len() <= self.room.packets && self.bytes <= self.room.bytes {
            return None;
        }
        self.stats.pushed_out += 1;
        self.take(now)
    }

    /// What leaves now. To be called until it gives `None`, after each push and at each timeout.
    pub fn poll(&mut self, now: Duration) -> Option<T> {
        if self.queue.is_empty() {
            return None;
        }
        if now >= self.until {
            let missed = quanta(now.saturating_sub(self.until)).min(MAX_MISSED);
            let missed = usize::try_from(missed).unwrap_or_default();
            self.allowance = self.needed(now).max(USUAL).saturating_mul(1 + missed);
            self.until = now + QUANTUM;
        }
        if self.allowance == 0 {
            return None;
        }
        self.take(now)
    }

    /// When to poll again, `None` while nothing is held. May lie in the past: poll then.
    pub fn next_timeout(&self) -> Option<Duration> {
        let front = self.queue.front()?;
        Some(if self.allowance > 0 { front.came } else { self.until })
    }

    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// The least that must leave in each quantum from now on, so that all leave in time: the
    /// steepest way from here to any packet's deadline.
    fn needed(&self, now: Duration) -> usize {
        let mut ahead = 0_usize;
        let slopes = self.queue.iter().map(|held| {
            ahead = ahead.saturating_add(held.len);
            let left = quanta((held.came + self.spread).saturating_sub(now)).max(1);
            ahead.div_ceil(usize::try_from(left).unwrap_or(usize::MAX))
        });
        slopes.max().unwrap_or_default()
    }

    fn take(&mut self, now: Duration) -> Option<T> {
        let held = self.queue.pop_front()?;
        self.bytes -= held.len;
        self.allowance = self.allowance.saturating_sub(held.len);
        self.stats.packets += 1;
        self.stats.longest = self.stats.longest.max(now.saturating_sub(held.came));
        Some(held.item)
    }
}

fn quanta(span: Duration) -> u128 {
    span.as_micros() / QUANTUM.as_micros()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FRAME: Duration = Duration::from_micros(33_333);

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Everything that leaves, with its time, by a caller that comes when it is told to.
    fn drain(pacer: &mut Pacer<usize>, mut now: Duration) -> Vec<(Duration, usize)> {
        let mut left = Vec::new();
        loop {
            left.extend(std::iter::from_fn(|| pacer.poll(now)).map(|item| (now, item)));
            match pacer.next_timeout() {
                Some(timeout) => now = timeout,
                None => return left,
            }
        }
    }

    #[test]
    fn a_small_frame_leaves_at_once() {
        let mut pacer = Pacer::new(FRAME, Room::OF_ONE);
        for n in 0..4 {
            assert_eq!(pacer.push(ms(5), 1_200, n), None);
        }
        assert_eq!(drain(&mut pacer, ms(5)), [0, 1, 2, 3].map(|n| (ms(5), n)));
        assert_eq!(pacer.next_timeout(), None);
    }

    #[test]
    fn a_keyframe_is_spread_evenly_within_a_frame_time() {
        let mut pacer = Pacer::new(FRAME, Room::OF_ONE);
        for n in 0..330 {
            assert_eq!(pacer.push(ms(5), 1_000, n), None);
        }
        let left = drain(&mut pacer, ms(5));
        assert_eq!(left.len(), 330);
        assert!(left.iter().all(|(at, _)| *at <= ms(5) + FRAME));
        for quantum in 5..38 {
            let together = left.iter().filter(|(at, _)| *at == ms(quantum)).count();
            assert!((9..=11).contains(&together), "{together} packets at {quantum} ms");
        }
    }

    #[test]
    fn a_slow_frame_rate_does_not_stretch_the_spread() {
        let mut pacer = Pacer::new(ms(200), Room::OF_ONE);
        for n in 0..500 {
            assert_eq!(pacer.push(ms(0), 1_200, n), None);
        }
        assert!(drain(&mut pacer, ms(0)).iter().all(|(at, _)| *at <= MAX_SPREAD));
    }

    #[test]
    fn a_caller_that_comes_late_gets_what_it_missed() {
        let mut pacer = Pacer::new(FRAME, Room::OF_ONE);
        for n in 0..165 {
            assert_eq!(pacer.push(ms(0), 1_000, n), None);
        }
        let mut at_ms = Vec::new();
        // A timer that is always a millisecond late.
        for millis in (0..34).step_by(2) {
            at_ms.push(std::iter::from_fn(|| pacer.poll(ms(millis))).count());
        }
        assert_eq!(at_ms.iter().sum::<usize>(), 165);
        assert!(at_ms.iter().all(|together| *together <= 12), "{at_ms:?}");
    }

    #[test]
    fn after_a_pause_there_is_no_burst_to_make_up_for() {
        let mut pacer = Pacer::new(FRAME, Room::OF_ONE);
        assert_eq!(pacer.push(ms(0), 1_200, 0), None);
        drain(&mut pacer, ms(0));
        for n in 0..30 {
            assert_eq!(pacer.push(ms(500), 1_200, n), None);
        }
        assert_eq!(std::iter::from_fn(|| pacer.poll(ms(500))).count(), 4);
    }

    #[test]
    fn when_there_is_no_room_the_oldest_leaves() {
        let mut pacer = Pacer::new(FRAME, Room::OF_ONE);
        for n in 0..Room::OF_ONE.packets {
            assert_eq!(pacer.push(ms(0), 100, n), None);
        }
        assert_eq!(pacer.push(ms(0), 100, Room::OF_ONE.packets), Some(0));
        assert_eq!(pacer.stats().pushed_out, 1);
        let rest: Vec<_> = drain(&mut pacer, ms(0)).into_iter().map(|(_, n)| n).collect();
        assert_eq!(rest, (1..=Room::OF_ONE.packets).collect::<Vec<_>>());

        let mut pacer = Pacer::new(FRAME, Room::OF_ONE);
        assert_eq!(
            pacer.push(ms(0), Room::OF_ONE.bytes + 1, 7),
            Some(7),
            "too large to be held at all"
        );
    }

    proptest! {
        /// Whatever comes whenever: all of it leaves in order, nothing later than a frame time.
        #[test]
        fn nothing_is_late_lost_or_out_of_order(
            bursts in proptest::collection::vec((0..60_000_u64, 1..60_usize, 1..1_500_usize), 1..20),
            frame_micros in 500..40_000_u64,
        ) {
            let frame = Duration::from_micros(frame_micros);
            let mut pacer = Pacer::new(frame, Room::OF_ONE);
            let (mut now, mut came, mut left) = (Duration::ZERO, Vec::new(), Vec::new());
            for (pause, packets, len) in bursts {
                let next = now + Duration::from_micros(pause);
                while let Some(timeout) = pacer.next_timeout().filter(|timeout| *timeout <= next) {
                    now = timeout.max(now);
                    left.extend(std::iter::from_fn(|| pacer.poll(now)).map(|item| (now, item)));
                }
                now = next;
                for _ in 0..packets {
                    prop_assert_eq!(pacer.push(now, len, came.len()), None);
                    came.push(now);
                }
                left.extend(std::iter::from_fn(|| pacer.poll(now)).map(|item| (now, item)));
            }
            while let Some(timeout) = pacer.next_timeout() {
                now = timeout.max(now);
                left.extend(std::iter::from_fn(|| pacer.poll(now)).map(|item| (now, item)));
            }
            prop_assert_eq!(left.len(), came.len());
            for (n, (at, item)) in left.into_iter().enumerate() {
                prop_assert_eq!(item, n);
                prop_assert!(at <= came[n] + frame.clamp(QUANTUM, MAX_SPREAD));
            }
        }
    }
}
