//! What a protected lesson is like.

use std::time::Duration;

use super::Attack;
use crate::lab::Weather;

/// What a lesson is like.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub receivers: u32,
    pub length: Duration,
    /// Bits a second of video, at 30 pictures a second.
    pub video: usize,
    /// Bytes of each packet of sound, 50 a second; 0 is none.
    pub sound: usize,
    /// To each machine; its delay is what it has more than the shortest of these two.
    pub downlink: Weather,
    pub uplink: Weather,
    /// Each way, from and to: every machine has its own.
    pub delay: (Duration, Duration),
    pub playout: Duration,
    pub attack: Option<Attack>,
    pub seed: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            receivers: 10,
            length: Duration::from_secs(6),
            video: 4_000_000,
            sound: 160,
            downlink: Weather::default(),
            uplink: Weather::default(),
            delay: (Duration::from_millis(5), Duration::from_millis(20)),
            playout: Duration::from_millis(250),
            attack: None,
            seed: 1,
        }
    }
}
