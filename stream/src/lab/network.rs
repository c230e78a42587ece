//! A network that loses, delays, overtakes and repeats.

use std::time::Duration;

use super::Random;

/// How bad it is. The default is a perfect wire.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    /// Percent of packets that begin a burst of loss.
    pub loss: u64,
    /// Longest burst, in packets. 0 and 1 are both single losses.
    pub burst: u64,
    /// Percent of packets that come twice.
    pub repeat: u64,
    /// Packets take up to this much longer, each for itself: so they overtake each other.
    pub jitter: Duration,
}

pub(crate) struct Network {
    weather: Weather,
    random: Random,
    burst: u64,
}

impl Network {
    pub(crate) fn new(weather: Weather, seed: u64) -> Self {
        Self { weather, random: Random::new(seed), burst: 0 }
    }

    /// When a packet that is sent now arrives: never, once, or twice.
    pub(crate) fn carry(&mut self, now: Duration) -> Vec<Duration> {
        let Weather { loss, burst, repeat, .. } = self.weather;
        if self.burst == 0 && self.random.percent(loss) {
            self.burst = 1 + self.random.below(burst.max(1));
        }
        if self.burst > 0 {
            self.burst -= 1;
            return Vec::new();
        }
        let copies = if self.random.percent(repeat) { 2 } else { 1 };
        (0..copies).map(|_| now + self.delay()).collect()
    }

    fn delay(&mut self) -> Duration {
        let micros = u64::try_from(self.weather.jitter.as_micros()).unwrap();
        Duration::from_micros(500 + self.random.below(micros.max(1)))
    }
}
