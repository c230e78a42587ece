//! Puts a publisher's packets back in order.
//!
//! A browser on Wi-Fi overtakes itself and sends again what was lost, so packets arrive out of
//! order and late. [`Reorder`] gives them out in order and waits for a missing one, but never
//! longer than [`WAIT`]: then it says [`Ordered::Lost`] and goes on behind the gap. What a loss
//! means (for video: nothing up to the next keyframe) is not decided here but in
//! [`relay`](crate::relay), which has to hold back up to a keyframe anyway.
//!
//! ```text
//!   push ──▶ next missing? ──no──▶ Packet
//!                 │ yes
//!                 ▼
//!              hold ── it came ──▶ Packet
//!                 │
//!                 └── WAIT over, or full ──▶ Lost, then Packet
//! ```
//!
//! Invariants: indices leave strictly ascending, each at most once; a held packet leaves at most
//! [`WAIT`] after it came, if the caller polls when [`Reorder::next_timeout`] says so.

use std::{collections::BTreeMap, time::Duration};

use crate::{index::Sequence, rtp::Packet};

/// How long a missing packet is waited for: five requests, 33 ms apart, and the last one's answer.
/// On a Wi-Fi that loses one packet in twenty, a tenth of all requests come to nothing; after one
/// of them one frame in twenty would be given up, and all up to the next keyframe with it. Where
/// nothing is lost nothing waits.
pub const WAIT: Duration = Duration::from_millis(200);

/// Most packets that are held behind a gap, about a second of a rich stream. Full: the gap is given
/// up at once.
pub const MAX_PACKETS: usize = 1_024;

/// Most bytes that are held behind a gap: two large keyframes. Full: the gap is given up at once.
pub const MAX_BYTES: usize = 2 << 20;

/// What comes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ordered {
    /// The next packet.
    Packet(Packet),
    /// This many packets are given up: the packets before and after do not belong together.
    Lost(u64),
}

/// What happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Packets handed in.
    pub received: u64,
    /// Packets that never came in time.
    pub lost: u64,
    /// Dropped: it was there already.
    pub duplicate: u64,
    /// Dropped: its place was already passed.
    pub late: u64,
    /// Dropped: its number was too far off to be believed (see [`Sequence`]).
    pub doubted: u64,
    /// Dropped: no room was left because nobody polled.
    pub overflow: u64,
}

/// Reorders one RTP stream of one publisher (one SSRC).
#[derive(Debug, Default)]
pub struct Reorder {
    sequence: Sequence,
    /// The index that leaves next; `None` before the first packet.
    next: Option<u64>,
    /// What came and has not left, none below `next`.
    held: BTreeMap<u64, Held>,
    held_bytes: usize,
    stats: Stats,
}

#[derive(Debug)]
struct Held {
    arrived: Duration,
    packet: Packet,
}

impl Reorder {
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a packet in. The first one decides where the stream starts.
    pub fn push(&mut self, now: Duration, packet: Packet) {
        self.stats.received += 1;
        let Some(index) = self.sequence.index(packet.header.sequence) else {
            self.stats.doubted += 1;
            return;
        };
        if index < *self.next.get_or_insert(index) {
            self.stats.late += 1;
        } else if self.held.contains_key(&index) {
            self.stats.duplicate += 1;
        } else if self.is_full() {
            self.stats.overflow += 1;
        } else {
            self.held_bytes += packet.payload.len();
            self.held.insert(index, Held { arrived: now, packet });
        }
    }

    /// What leaves now. To be called until it gives `None`, after each push and at each timeout.
    pub fn poll(&mut self, now: Duration) -> Option<Ordered> {
        let next = self.next?;
        let (&first, _) = self.held.first_key_value()?;
        if first == next {
            let held = self.held.remove(&first)?;
            self.held_bytes -= held.packet.payload.len();
            self.next = Some(next + 1);
            return Some(Ordered::Packet(held.packet));
        }
        if now < self.next_timeout()? && !self.is_full() {
            return None;
        }
        let lost = first - next;
        self.stats.lost += lost;
        self.next = Some(first);
        Some(Ordered::Lost(lost))
    }

    /// When to poll again even if nothing more arrives; `None` while nothing is waited for.
    pub fn next_timeout(&self) -> Option<Duration> {
        // The gap is as old as the first packet that came from beyond it.
        self.held.values().map(|held| held.arrived + WAIT).min()
    }

    pub fn stats(&self) -> Stats {
        self.stats
    }

    fn is_full(&self) -> bool {
        self.held.len() >= MAX_PACKETS || self.held_bytes >= MAX_BYTES
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::lab::{Network, Weather};

    fn packet(sequence: u16) -> Packet {
        let mut packet = Packet { payload: vec![0; 100].into(), ..Packet::default() };
        packet.header.sequence = sequence;
        packet
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Sequence numbers, and losses as negative counts.
    fn drain(reorder: &mut Reorder, now: Duration) -> Vec<i64> {
        let shorten = |ordered| match ordered {
            Ordered::Packet(packet) => i64::from(packet.header.sequence),
            Ordered::Lost(count) => -i64::try_from(count).unwrap(),
        };
        std::iter::from_fn(|| reorder.poll(now)).map(shorten).collect()
    }

    #[test]
    fn overtaken_packets_leave_in_order_over_the_wrap() {
        let mut reorder = Reorder::new();
        for sequence in [65_534, 0, 1, 65_535] {
            reorder.push(ms(0), packet(sequence));
        }
        assert_eq!(drain(&mut reorder, ms(0)), [65_534, 65_535, 0, 1]);
        assert_eq!(reorder.next_timeout(), None);
    }

    #[test]
    fn a_missing_packet_is_waited_for_and_then_given_up() {
        let mut reorder = Reorder::new();
        reorder.push(ms(0), packet(1));
        reorder.push(ms(10), packet(3));
        reorder.push(ms(30), packet(6));
        assert_eq!(drain(&mut reorder, ms(209)), [1]);
        assert_eq!(reorder.next_timeout(), Some(ms(210)));
        assert_eq!(drain(&mut reorder, ms(210)), [-1, 3]);
        assert_eq!(reorder.next_timeout(), Some(ms(230)));
        reorder.push(ms(220), packet(2));
        reorder.push(ms(220), packet(5));
        assert_eq!(drain(&mut reorder, ms(230)), [-1, 5, 6]);
        assert_eq!(reorder.stats().lost, 2);
        assert_eq!(reorder.stats().late, 1);
    }

    #[test]
    fn a_packet_leaves_once() {
        let mut reorder = Reorder::new();
        for sequence in [1, 3, 3, 2, 2, 1] {
            reorder.push(ms(0), packet(sequence));
        }
        assert_eq!(drain(&mut reorder, ms(0)), [1, 2, 3]);
        reorder.push(ms(0), packet(3));
        assert_eq!(drain(&mut reorder, ms(100)), []);
        assert_eq!((reorder.stats().duplicate, reorder.stats().late), (3, 1));
    }

    #[test]
    fn a_full_buffer_waits_no_longer() {
        let mut reorder = Reorder::new();
        reorder.push(ms(0), packet(0));
        for sequence in 2..=1_024 {
            reorder.push(ms(1), packet(sequence));
        }
        assert_eq!(drain(&mut reorder, ms(1)), [0]);
        reorder.push(ms(1), packet(1_025));
        assert_eq!(drain(&mut reorder, ms(1)).len(), 1 + MAX_PACKETS);

        for sequence in 1_026..3_000 {
            reorder.push(ms(1), packet(sequence));
        }
        assert_eq!(reorder.stats().overflow, 1_974 - MAX_PACKETS as u64, "nobody polled");
    }

    #[test]
    fn a_publisher_that_starts_over_is_one_that_lost_much() {
        let mut reorder = Reorder::new();
        reorder.push(ms(0), packet(40_000));
        for sequence in 100..103 {
            reorder.push(ms(0), packet(sequence));
        }
        assert_eq!(drain(&mut reorder, ms(0)), [40_000]);
        let lost = 65_536 + 101 - 40_001;
        assert_eq!(drain(&mut reorder, WAIT), [-lost, 101, 102]);
        assert_eq!(reorder.stats().doubted, 1);
    }

    fn any_weather() -> impl Strategy<Value = Weather> {
        (0..30_u64, 0..5_u64, 0..20_u64, 0..80_u64).prop_map(|(loss, burst, repeat, jitter)| {
            Weather { loss, burst, repeat, jitter: ms(jitter), ..Weather::default() }
        })
    }

    proptest! {
        #[test]
        fn every_place_is_taken_once_or_lost_and_nobody_waits_too_long(
            weather in any_weather(), seed: u64, start: u16, count in 1..300_u16,
        ) {
            let mut network = Network::new(weather, seed);
            let mut arrivals: Vec<(Duration, u16)> = (0..count)
                .flat_map(|n| {
                    let sequence = start.wrapping_add(n);
                    network.carry(ms(3 * u64::from(n))).into_iter().map(move |at| (at, sequence))
                })
                .collect();
            arrivals.sort();
            let mut reorder = Reorder::new();
            let mut came = std::collections::HashMap::new();
            let mut place = arrivals.first().map_or(start, |first| first.1);
            let mut arrivals = arrivals.into_iter().peekable();
            loop {
                let timeout = reorder.next_timeout();
                let arrival = arrivals.peek().map(|arrival| arrival.0);
                let Some(now) = [timeout, arrival].into_iter().flatten().min() else { break };
                if let Some((_, sequence)) = arrivals.next_if(|arrival| arrival.0 == now) {
                    came.entry(sequence).or_insert(now);
                    reorder.push(now, packet(sequence));
                }
                while let Some(ordered) = reorder.poll(now) {
                    match ordered {
                        Ordered::Lost(lost) => {
                            place = place.wrapping_add(u16::try_from(lost).unwrap());
                        },
                        Ordered::Packet(packet) => {
                            prop_assert_eq!(packet.header.sequence, place);
                            prop_assert!(now <= came[&place] + WAIT);
                            place = place.wrapping_add(1);
                        }
                    }
                }
            }
        }
    }
}
