//! A network that loses, delays, overtakes and repeats.

use std::time::Duration;

use super::Random;

/// What the shortest way takes.
const WIRE: Duration = Duration::from_micros(500);

/// How bad it is. The default is a perfect wire.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// Percent of packets that begin a burst of loss.
    pub loss: u64,
    /// Longest burst, in packets. 0 and 1 are both single losses.
    pub burst: u64,
    /// Loss in bursts whose length follows from chance alone.
    pub gilbert: Gilbert,
    /// When nothing comes through at all, for all networks with these at once.
    pub outages: Option<Outages>,
    /// Percent of packets that come twice.
    pub repeat: u64,
    /// Packets take at least so much longer.
    pub delay: Duration,
    /// Packets take up to this much longer, each for itself: so they overtake each other.
    pub jitter: Duration,
    /// Unless they must not.
    pub in_order: bool,
    /// Percent of packets that take another 10 ms, and are overtaken.
    pub reorder: u64,
}

/// The model of Gilbert, Elliott's with nothing lost in the good state and all in the bad one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gilbert {
    /// Share of packets lost, in thousandths.
    pub loss: u64,
    /// Mean length of a burst, in packets; 0 is independent loss.
    pub mean: u64,
}

/// When a radio is jammed or a switch is busy: known to nobody ahead, but the same for all.
#[derive(Clone, Copy, Debug)]
pub struct Outages {
    pub seed: u64,
    /// From the end of one to the start of the next, on average.
    pub every: Duration,
    /// How long one is, on average.
    pub length: Duration,
}

#[derive(Clone, Debug)]
pub struct Network {
    weather: Weather,
    random: Random,
    burst: u64,
    is_bad: bool,
    outages: Random,
    /// The present outage, or the next.
    outage: (Duration, Duration),
    last: Duration,
}

impl Network {
    pub fn new(weather: Weather, seed: u64) -> Self {
        let outages = Random::new(weather.outages.map_or(0, |outages| outages.seed));
        let (random, outage) = (Random::new(seed), (Duration::ZERO, Duration::ZERO));
        let last = Duration::ZERO;
        Self { weather, random, burst: 0, is_bad: false, outages, outage, last }
    }

    /// What a packet takes at least.
    pub fn least(&self) -> Duration {
        WIRE + self.weather.delay
    }

    /// When a packet that is sent now arrives: never, once, or twice.
    pub fn carry(&mut self, now: Duration) -> Vec<Duration> {
        if self.loses() | self.gilbert_loses() | self.is_out(now) {
            return Vec::new();
        }
        let copies = if self.random.percent(self.weather.repeat) { 2 } else { 1 };
        (0..copies).map(|_| self.arrival(now)).collect()
    }

    fn loses(&mut self) -> bool {
        let Weather { loss, burst, .. } = self.weather;
        if self.burst == 0 && self.random.percent(loss) {
            self.burst = 1 + self.random.below(burst.max(1));
        }
        let loses = self.burst > 0;
        self.burst = self.burst.saturating_sub(1);
        loses
    }

    fn gilbert_loses(&mut self) -> bool {
        let Gilbert { loss, mean } = self.weather.gilbert;
        if loss == 0 {
            return false;
        }
        let (recover, fall) = match mean {
            0 => (1_000_000 - 1_000 * loss, 1_000 * loss),
            mean => (1_000_000 / mean, 1_000_000 * loss / (mean * (1_000 - loss))),
        };
        let changes = self.random.below(1_000_000) < if self.is_bad { recover } else { fall };
        self.is_bad ^= changes;
        self.is_bad
    }

    fn is_out(&mut self, now: Duration) -> bool {
        let Some(Outages { every, length, .. }) = self.weather.outages else { return false };
        while self.outage.1 <= now {
            let start = self.outage.1 + self.outages.about(every);
            self.outage = (start, start + self.outages.about(length));
        }
        self.outage.0 <= now
    }

    fn arrival(&mut self, now: Duration) -> Duration {
        let Weather { delay, jitter, in_order, reorder, .. } = self.weather;
        let held_up = if self.random.percent(reorder) { 10 } else { 0 };
        let base = WIRE + delay + Duration::from_millis(held_up);
        let at = now + base + self.random.duration(jitter);
        self.last = self.last.max(at);
        if in_order { self.last } else { at }
    }
}
