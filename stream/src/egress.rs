//! What machines on unicast and in the tunnel may cost together, and what the publisher is asked
//! for so that they do not cost more.
//!
//! Multicast costs the same for one machine and for fifty. Every other machine costs the stream
//! once more, on the box's port and in the Wi-Fi's air. Within the budget they get it as it is;
//! beyond, nobody is refused, but the stream gets smaller for all:
//!
//! ```text
//!   bit rate  4 Mbit/s ┤─────────╮
//!                      │          ╲___  the budget, over the machines
//!                1     ┤              ╲___  from here on at 15 frames, then 10, then 5
//!                      │                  ╲______
//!                      └─────────────────────────▶ machines
//! ```
//!
//! The bit rate goes first, down to what still makes a readable picture at the frame rate
//! ([`FRAME_BITS`] each); then the frame rate. Down within a second, so that a class that falls
//! together costs one change; up only when for [`RISE_AFTER`] there was room for it.
//!
//! The box decides this alone, from how many machines it serves. How it fails: a publisher that
//! does not follow (OBS knows no such wish) goes on as it is, [`Egress::bears`] says that it is too
//! much, and the teacher reads it.

mod overhead;

use std::time::Duration;

pub use self::overhead::{Overhead, on_wire};

/// What is allowed by default: two thirds of a 100 Mbit/s port, or of a good access point.
pub const BUDGET_BPS: u64 = 60_000_000;

/// How long there must be room before the publisher is asked for more.
pub const RISE_AFTER: Duration = Duration::from_mins(1);

/// How long there is too little room before it is asked for less.
const FALL_AFTER: Duration = Duration::from_secs(1);

/// Bits that a frame gets at least while frames can still become fewer: 4 kB redraw a paragraph.
/// 1 Mbit/s at 30 frames a second.
pub const FRAME_BITS: u32 = 33_333;

/// Frame rates below the profile's.
const FEWER: [u32; 3] = [15, 10, 5];

/// What a machine costs beside the stream's payload, in percent: headers and tags 5, manifests,
/// parity and repair at 1 % loss up to 10.
const OVERHEAD: u64 = 15;

/// Bit rates are asked for in such steps, so that one more machine is often no change.
const STEP_BPS: u64 = 50_000;

/// The least that is asked for, whatever the number of machines: less is no picture.
pub const LEAST_BPS: u32 = 150_000;

/// The best that the lesson's quality profile allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Of the picture.
    pub bitrate_bps: u32,
    pub fps: u32,
    /// Of the sound, which is never lowered: it is what a lesson can least do without.
    pub sound_bps: u32,
}

/// What the publisher is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// At most, for the picture.
    pub bitrate_bps: u32,
    /// At most.
    pub fps: u32,
}

/// The budget of one lesson. Of several on one box, each has its share.
#[derive(Clone, Debug)]
pub struct Egress {
    budget_bps: u64,
    profile: Profile,
    machines: u32,
    ask: Ask,
    /// Whether [`Self::poll`] has still to give out `ask`.
    is_new: bool,
    /// There is too little room, since when.
    over: Option<Duration>,
    /// There is room for more, since when, and for how much all that time.
    room: Option<(Duration, Ask)>,
}

impl Egress {
    /// Nobody is on unicast yet.
    pub fn new(budget_bps: u64, profile: Profile) -> Self {
        let ask = profile.ask();
        Self { budget_bps, profile, machines: 0, ask, is_new: true, over: None, room: None }
    }

    /// How many machines are on unicast and in the tunnel now.
    pub fn serves(&mut self, now: Duration, machines: u32) {
        self.machines = machines;
        self.weigh(now);
    }

    /// The lesson's share of the budget changed: lessons come and go.
    pub fn set_budget(&mut self, now: Duration, budget_bps: u64) {
        self.budget_bps = budget_bps;
        self.weigh(now);
    }

    /// The lesson's profile changed: less is asked for at once, and more as well, unless the budget
    /// holds the stream down.
    pub fn profile(&mut self, now: Duration, profile: Profile) {
        let was_free = !self.is_lowered();
        self.profile = profile;
        let fitting = self.fitting();
        if was_free || fitting.bitrate_bps < self.ask.bitrate_bps || fitting.fps < self.ask.fps {
            self.set(fitting);
        }
        self.weigh(now);
    }

    /// What is asked for in the end, were so many machines served from now on.
    pub fn settle(&mut self, machines: u32) -> Ask {
        self.machines = machines;
        self.set(self.fitting());
        self.ask
    }

    /// What to ask the publisher for, when it is not what was asked for last.
    pub fn poll(&mut self, now: Duration) -> Option<Ask> {
        if self.over.is_some_and(|since| since + FALL_AFTER <= now) {
            self.set(self.fitting());
        }
        if let Some((_, room)) = self.room.filter(|(since, _)| *since + RISE_AFTER <= now) {
            self.set(room);
            // There may be room for more than there was all the time.
            self.weigh(now);
        }
        std::mem::take(&mut self.is_new).then_some(self.ask)
    }

    /// When to poll again, if nothing is said before.
    pub fn next_timeout(&self) -> Option<Duration> {
        let over = self.over.map(|since| since + FALL_AFTER);
        let room = self.room.map(|(since, _)| since + RISE_AFTER);
        let new = self.is_new.then_some(Duration::ZERO);
        [over, room, new].into_iter().flatten().min()
    }

    /// What the publisher was last asked for.
    pub fn ask(&self) -> Ask {
        self.ask
    }

    /// The stream is smaller than the profile wants it, for the budget's sake.
    pub fn is_lowered(&self) -> bool {
        self.ask != self.profile.ask()
    }

    /// Whether the budget bears a stream of so many bits a second, picture and sound, for all that
    /// are served.
    pub fn bears(&self, stream_bps: u64) -> bool {
        let each = stream_bps.saturating_mul(100 + OVERHEAD) / 100;
        each.saturating_mul(u64::from(self.machines)) <= self.budget_bps
    }

    /// The best that the budget and the profile allow.
    fn fitting(&self) -> Ask {
        let Profile { bitrate_bps, fps, sound_bps } = self.profile;
        let Some(each) = self.budget_bps.checked_div(u64::from(self.machines)) else {
            return self.profile.ask();
        };
        let payload = each.saturating_mul(100) / (100 + OVERHEAD);
        let picture = payload.saturating_sub(u64::from(sound_bps));
        if picture >= u64::from(bitrate_bps) {
            return self.profile.ask();
        }
        let steps = picture / STEP_BPS * STEP_BPS;
        let least = LEAST_BPS.min(bitrate_bps);
        let bitrate_bps = u32::try_from(steps).unwrap_or(u32::MAX).max(least);
        // A profile that gives its own frames fewer bits is not to be bettered.
        let frame_bits = FRAME_BITS.min(self.profile.bitrate_bps / fps.max(1));
        let is_readable = |fps: &u32| fps.saturating_mul(frame_bits) <= bitrate_bps;
        let fewer = FEWER.into_iter().filter(|fewer| *fewer < fps);
        let rates = std::iter::once(fps).chain(fewer);
        let slowest = rates.clone().last().unwrap_or(fps);
        Ask { bitrate_bps, fps: rates.into_iter().find(is_readable).unwrap_or(slowest) }
    }

    fn weigh(&mut self, now: Duration) {
        let fitting = self.fitting();
        let (wanted, asked) = (fitting.bitrate_bps, self.ask.bitrate_bps);
        self.over = (wanted < asked).then(|| self.over.unwrap_or(now));
        self.room = (wanted > asked).then_some(match self.room {
            Some((since, room)) if room.bitrate_bps < wanted => (since, room),
            Some((since, _)) => (since, fitting),
            None => (now, fitting),
        });
    }

    fn set(&mut self, ask: Ask) {
        self.is_new |= ask != self.ask;
        self.ask = ask;
        self.over = None;
        self.room = None;
    }
}

impl Profile {
    fn ask(&self) -> Ask {
        Ask { bitrate_bps: self.bitrate_bps, fps: self.fps }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SMALL: Profile = Profile { bitrate_bps: 4_000_000, fps: 30, sound_bps: 128_000 };
    const LARGE: Profile = Profile { bitrate_bps: 2_000_000, fps: 15, sound_bps: 64_000 };

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn ask(bitrate_bps: u32, fps: u32) -> Ask {
        Ask { bitrate_bps, fps }
    }

    /// What is asked for, once so many machines are served.
    fn for_machines(profile: Profile, machines: u32) -> Ask {
        let mut egress = Egress::new(BUDGET_BPS, profile);
        egress.serves(secs(0), machines);
        egress.poll(secs(1)).expect("the first is always new")
    }

    #[test]
    fn the_bit_rate_goes_first_and_then_the_frame_rate() {
        assert_eq!(for_machines(SMALL, 0), ask(4_000_000, 30));
        assert_eq!(for_machines(SMALL, 12), ask(4_000_000, 30));
        assert_eq!(for_machines(SMALL, 13), ask(3_850_000, 30));
        assert_eq!(for_machines(SMALL, 30), ask(1_600_000, 30));
        assert_eq!(for_machines(SMALL, 50), ask(900_000, 15));
        assert_eq!(for_machines(SMALL, 100), ask(350_000, 10));
        assert_eq!(for_machines(SMALL, 1_000), ask(150_000, 5));
        assert_eq!(for_machines(LARGE, 50), ask(950_000, 15));
    }

    #[test]
    fn a_class_that_falls_together_is_one_change() {
        let mut egress = Egress::new(BUDGET_BPS, SMALL);
        assert_eq!(egress.poll(secs(0)), Some(ask(4_000_000, 30)));
        for n in 1..=30 {
            egress.serves(secs(10) + Duration::from_millis(20 * u64::from(n)), n);
            assert_eq!(egress.poll(secs(10) + Duration::from_millis(20 * u64::from(n))), None);
        }
        let due = egress.next_timeout().unwrap();
        assert!(due <= secs(12));
        assert_eq!(egress.poll(due), Some(ask(1_600_000, 30)));
        assert!(egress.is_lowered());
        assert_eq!((egress.poll(secs(13)), egress.next_timeout()), (None, None));
    }

    #[test]
    fn more_is_asked_for_after_a_minute_of_room() {
        let mut egress = Egress::new(BUDGET_BPS, SMALL);
        egress.serves(secs(0), 30);
        egress.poll(secs(1));
        egress.serves(secs(100), 20);
        egress.serves(secs(130), 0);
        assert_eq!(egress.poll(secs(159)), None);
        assert_eq!(egress.poll(secs(160)), Some(ask(2_450_000, 30)), "what there was room for");
        assert_eq!(egress.poll(secs(219)), None);
        assert_eq!(egress.poll(secs(220)), Some(ask(4_000_000, 30)));
        assert!(!egress.is_lowered());
    }

    #[test]
    fn a_machine_that_comes_and_goes_changes_nothing() {
        let mut egress = Egress::new(BUDGET_BPS, SMALL);
        egress.serves(secs(0), 30);
        egress.poll(secs(1));
        for n in 0..100 {
            egress.serves(secs(10 + 50 * n), 29);
            assert_eq!(egress.poll(secs(35 + 50 * n)), None);
            egress.serves(secs(35 + 50 * n), 30);
            assert_eq!(egress.poll(secs(59 + 50 * n)), None);
        }
    }

    #[test]
    fn a_new_profile_holds_at_once_within_the_budget() {
        let mut egress = Egress::new(BUDGET_BPS, SMALL);
        egress.poll(secs(0));
        egress.profile(secs(1), LARGE);
        assert_eq!(egress.poll(secs(1)), Some(ask(2_000_000, 15)));
        egress.profile(secs(2), SMALL);
        assert_eq!(egress.poll(secs(2)), Some(ask(4_000_000, 30)));
        egress.serves(secs(3), 50);
        assert_eq!(egress.poll(secs(4)), Some(ask(900_000, 15)));
        egress.profile(secs(5), LARGE);
        assert_eq!(egress.poll(secs(5)), None, "the sound's share is not worth a change yet");
        egress.profile(secs(6), SMALL);
        assert_eq!(egress.poll(secs(90)), None);
    }

    #[test]
    fn it_says_when_a_publisher_does_not_follow() {
        let mut egress = Egress::new(BUDGET_BPS, SMALL);
        assert!(egress.bears(u64::MAX), "nobody is served");
        egress.serves(secs(0), 13);
        assert!(!egress.bears(4_128_000));
        assert!(egress.bears(3_850_000 + 128_000));
    }

    proptest! {
        #[test]
        fn what_is_asked_for_fits_unless_it_is_the_least(
            budget in 0..10_000_000_000_u64, machines in 0..2_000_u32,
            bitrate_bps in 1..20_000_000_u32, fps in 0..120_u32, sound_bps in 0..500_000_u32,
        ) {
            let profile = Profile { bitrate_bps, fps, sound_bps };
            let mut egress = Egress::new(budget, profile);
            egress.serves(secs(0), machines);
            egress.poll(secs(1));
            let ask = egress.ask();
            prop_assert!(ask.bitrate_bps <= bitrate_bps && ask.fps <= fps);
            let stream = u64::from(ask.bitrate_bps) + u64::from(sound_bps);
            prop_assert!(ask.bitrate_bps <= LEAST_BPS || egress.bears(stream));
        }

        #[test]
        fn more_machines_never_get_more(machines in 0..500_u32) {
            let (fewer, more) = (for_machines(SMALL, machines), for_machines(SMALL, machines + 1));
            prop_assert!(more.bitrate_bps <= fewer.bitrate_bps && more.fps <= fewer.fps);
        }
    }
}
