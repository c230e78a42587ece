//! A lesson in virtual time, for tests: publishers that pack like the real ones, and a network
//! that loses, delays, overtakes and repeats. Everything follows from a seed.
//!
//! The network is there for benches too, by the feature `lab`: the same weather stands before real
//! sockets there. And so is what lets many machines of one process check a signature once.

#[cfg(test)]
mod broadcast;
#[cfg(test)]
mod lesson;
mod network;
#[cfg(test)]
mod publisher;
mod signed;

use std::time::Duration;

pub use self::network::{Gilbert, Network, Outages, Weather};
#[cfg(test)]
pub(crate) use self::publisher::{Made, Publisher, Style, essence};
pub(crate) use self::signed::Signed;
#[cfg(test)]
use crate::{
    relay::{Outgoing, Relay, Sent, SourceId},
    reorder::Ordered,
};

/// What a publisher of this style makes and what a relay sends of it, over a perfect network:
/// `K` in `frames` stands for a keyframe, `d` for one that refers to the last.
#[cfg(test)]
pub(crate) fn on_air(style: Style, frames: &str) -> Vec<(Made, Vec<Sent>)> {
    let mut relay = Relay::new(Outgoing {
        codec: style.codec(),
        ssrc: 1,
        payload_type: 96,
        first_index: 65_500,
        first_timestamp: u32::MAX - 90_000,
    });
    relay.announce(SourceId(0));
    let mut publisher = Publisher::new(style, 0);
    let air = frames.chars().enumerate().map(|(number, kind)| {
        let now = Duration::from_millis(40 * number as u64);
        let made = publisher.frame(kind == 'K', 400);
        let ordered = made.packets.iter().cloned().map(Ordered::Packet);
        let sent = ordered.flat_map(|one| relay.push(now, SourceId(0), one)).collect();
        (made, sent)
    });
    air.collect()
}

/// `SplitMix64` (Steele, Lea, Flood 2014): small, seedable, good enough to lose packets by.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    #[expect(clippy::should_implement_trait, reason = "it has no end, and needs no adapters")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// Below `end`, which is not 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// Below `end`, which may be nothing.
    pub fn duration(&mut self, end: Duration) -> Duration {
        let micros = u64::try_from(end.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.below(micros.max(1)))
    }

    /// From nothing to twice as long.
    pub fn about(&mut self, mean: Duration) -> Duration {
        self.duration(mean * 2)
    }
}
