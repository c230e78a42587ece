//! What stands between the box and each machine, and what clock the machine goes by.

use std::time::Duration;

use alfarid_stream::{
    lab::{Gilbert, Outages, Random, Weather},
    rung::Link,
};

/// Of an ordinary network.
const DELAY: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(20));
const JITTER: Duration = Duration::from_millis(1);
/// How wrong clocks are: so much at most, either way, and so many millionths.
const CLOCK_OFF: Duration = Duration::from_hours(1);
const DRIFT_PPM: u32 = 100;

/// What a whole run is like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Climate {
    pub(super) name: &'static str,
    /// Share of packets lost, in thousandths.
    loss: u64,
    /// Mean length of a burst of loss, in packets; 0 is independent loss.
    mean: u64,
    /// An access point: see [`Radio`].
    radio: Option<Radio>,
    /// Each way, every machine has its own delay within these; one packet after the other takes a
    /// little longer, or less.
    delay: (Duration, Duration),
    jitter: Duration,
}

/// What all machines on one access point have in common.
#[derive(Clone, Copy, Debug)]
struct Radio {
    /// When nothing comes through to anybody.
    outages: Outages,
    /// While anybody saves power, what is for all is held until the next of these (DTIM beacons).
    batch: Duration,
    /// Each way, for everybody.
    delay: Duration,
}

/// One machine's.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) downlink: Weather,
    /// What is sent to all is held until the next of these.
    pub(super) batch: Option<Duration>,
    pub(super) uplink: Weather,
    /// What its ladder begins from. `None`: without rungs, in the group whatever happens and whatever
    /// the box says of it.
    pub(super) link: Option<Link>,
    pub(super) clock: OwnClock,
    /// Where the losses of this machine begin.
    pub(super) seed: u64,
}

impl Climate {
    pub(super) const CALM: Self =
        Self { name: "no loss", loss: 0, mean: 0, radio: None, delay: DELAY, jitter: JITTER };
    /// Nothing but what the box and its wire take themselves.
    pub(super) const NONE: Self =
        Self { delay: (Duration::ZERO, Duration::ZERO), jitter: Duration::ZERO, ..Self::CALM };
    pub(super) const IID5: Self = Self { name: "5 % independent loss", loss: 50, ..Self::CALM };
    pub(super) const BURST5: Self =
        Self { name: "5 % loss in bursts of 5", loss: 50, mean: 5, ..Self::CALM };
    pub(super) const IID20: Self = Self { name: "20 % independent loss", loss: 200, ..Self::CALM };

    /// Bursts of 20 ms every half second on average, the same for all; a beacon every 100 ms; 30 ms
    /// there and back.
    pub(super) const WIFI: Self = Self {
        name: "Wi-Fi",
        radio: Some(Radio {
            outages: Outages {
                seed: 77,
                every: Duration::from_millis(500),
                length: Duration::from_millis(20),
            },
            batch: Duration::from_millis(100),
            delay: Duration::from_millis(15),
        }),
        ..Self::CALM
    };

    /// Of so many machines. Those on Wi-Fi receive alone: one more, on a perfect wire, is in the group
    /// and keeps it on the air.
    pub(super) fn places(self, machines: usize) -> Vec<Place> {
        let one_more = self.radio.map(|_| Self::CALM.place(machines));
        (0..machines).map(|number| self.place(number)).chain(one_more).collect()
    }

    /// Whether machines go by their rungs here.
    pub(super) fn has_rungs(self) -> bool {
        self.radio.is_some()
    }

    /// Of machine `number`: the same in every run.
    pub(super) fn place(self, number: usize) -> Place {
        let mut random = Random::new(1_000 + number as u64);
        let (least, most) = self.delay;
        let mut delay = || least + random.duration(most.saturating_sub(least));
        let (down, up) = (delay(), delay());
        let (down, up) = self.radio.map_or((down, up), |radio| (radio.delay, radio.delay));
        let outages = self.radio.map(|radio| radio.outages);
        let weather = |delay, mean| Weather {
            gilbert: Gilbert { loss: self.loss, mean },
            jitter: self.jitter,
            delay,
            in_order: true,
            outages,
            ..Weather::default()
        };
        // What a machine says is so far apart that no burst takes two of it.
        let (downlink, uplink) = (weather(down, self.mean), weather(up, 0));
        let batch = self.radio.map(|radio| radio.batch);
        let link = self.radio.map(|_| Link::Wireless);
        Place {
            downlink,
            batch,
            uplink,
            link,
            clock: OwnClock::any(&mut random),
            seed: random.next(),
        }
    }
}

/// When what is sent to all leaves an access point that has it then.
pub(super) fn held(at: Duration, batch: Option<Duration>) -> Duration {
    let Some(batch) = batch else { return at };
    let beacons = at.as_nanos().div_ceil(batch.as_nanos().max(1));
    batch * u32::try_from(beacons).unwrap_or(u32::MAX)
}

/// A machine's own clock, beside the true one. Both count from a start long ago.
#[derive(Clone, Copy, Debug)]
pub(super) struct OwnClock {
    ahead: Duration,
    rate: f64,
}

impl OwnClock {
    fn any(random: &mut Random) -> Self {
        // An hour behind is none ahead, for no clock is before its start.
        let ahead = random.duration(CLOCK_OFF * 2);
        let ppm = f64::from(u32::try_from(random.below(2 * u64::from(DRIFT_PPM))).unwrap_or(0));
        Self { ahead, rate: 1.0 + (ppm - f64::from(DRIFT_PPM)) * 1e-6 }
    }

    pub(super) fn shows(self, now: Duration) -> Duration {
        self.ahead + now.mul_f64(self.rate)
    }

    /// When it will show that: a microsecond later at most, and never earlier.
    pub(super) fn when(self, shown: Duration) -> Duration {
        shown.saturating_sub(self.ahead).div_f64(self.rate) + Duration::from_micros(1)
    }
}
