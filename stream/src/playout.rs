//! When a frame is shown: on all machines at the same moment.
//!
//! A frame shows at B + D. B, its base, is what time its media time is; D is one delay for the
//! whole lesson, large enough for the slowest machine. Both are in *box time*, the box's monotonic
//! clock, of which every machine has a copy.
//!
//! ```text
//!                 box                                        machine
//!   arrivals ──▶ Envelope ─┐
//!   publisher's            ├─▶ Base ── Pair ──┐
//!   sender reports ─▶ tie ─┘                  ├─ heartbeat ─▶ Playout ──▶ show at, in local time
//!   needs ──────────────────▶ Delay ── D ─────┘               ▲  │  ▲
//!     ▲                                                       │  │  └── BoxClock ◀─ exchanges
//!     └──────────────── Need: how late whole frames came ◀────┼──┘
//!                                                      frames ┘
//! ```
//!
//! # Where the envelope is taken
//! The lower envelope of arrivals could be taken by each machine, over what arrives there. It would
//! need nothing from the box, but each machine has its own network: its own least delay, its own
//! luck within the window, and it joins at its own time. Their bases would differ by that much, and
//! the difference would be visible side by side. The box hears the publisher before any machine
//! does, over one network, from the first packet on. So **the box takes the envelope, once**, and
//! says it: at this box time, that timestamp is due ([`Pair`]). What is left to a machine is one
//! clock, and what the machines differ by is what their copies of box time differ by
//! ([`BoxClock::uncertainty`]). The price is a pair every 100 ms: four bytes for each stream in
//! each
//! [`Heartbeat`](crate::block::Heartbeat), which has a moment of box time anyway. D takes two more.
//!
//! The pair travels with the *heartbeat*, which the box signs, and not in the RTCP sender report,
//! which is sealed with a key that every student's machine has: who forges reports could move
//! everybody's picture. Until a machine has heard a pair it takes the envelope of its own arrivals.
//!
//! # Who moves how
//! B is followed smoothly ([`Base`]: 1 % of the time that passes), D rises at once and falls by 1 %
//! of itself a second ([`Delay`]); both are said in the same heartbeat. A machine that missed one
//! is 1 ms off until the next, or by as much as D rose.
//!
//! # What it gives
//! Simulated, 20 machines with clocks up to an hour and 100 ppm off, one exchange in 5 s; the
//! spread of one frame's showing, p95: on a wire 0.8 ms; over Wi-Fi that takes 5 to 20 ms each way,
//! at random, 8 ms in the first two minutes and 2.7 ms from the seventh on. What no exchange can
//! find is a way that is always slower than the way back: half of that difference is between such a
//! machine and the others, so 10 ms hold as long as no Wi-Fi is lopsided by some 15.
//!
//! # How it fails
//! Whatever clocks say, no frame waits longer than [`MAX_WAIT`]: one that would is shown at once,
//! and counted. A frame that is late is shown at once as well, if the player has nothing newer.
//! Without a clock exchange, everything is shown at once.

mod base;
mod box_clock;
mod delay;
mod envelope;
mod sliding;
mod tie;
mod timeline;

use std::time::Duration;

pub use self::{
    base::{Base, Medium},
    box_clock::{BoxClock, Exchange, Outcome, QUICK_GAP, STEADY_GAP},
    delay::{Delay, MAX_DELAY, MIN_DELAY, Need},
    envelope::{Envelope, Pair},
    timeline::Timeline,
};
use crate::{assemble::Frame, codec::Codec};

/// No frame waits longer, however wrong the clocks: the largest delay, and as much for a base that
/// is still on its way.
pub const MAX_WAIT: Duration = Duration::from_millis(500);

/// What differs by more has jumped and is not followed smoothly: no delay would bear it meanwhile.
const JUMP: Duration = MAX_DELAY;

/// For so long after joining or changing the rung, lateness says nothing of the way.
const DISTURBANCE: Duration = Duration::from_secs(1);

/// For so long after a repair, what becomes whole waited for it.
const AFTERMATH: Duration = Duration::from_millis(10);

/// The playout of one lesson on a machine.
#[derive(Clone, Debug)]
pub struct Playout {
    picture: Option<Timeline>,
    sound: Option<Timeline>,
    delay: Duration,
    needs: [Need; 2],
    repaired_at: Option<Duration>,
    measures_from: Duration,
    doubted: u64,
}

impl Playout {
    /// A lesson that was granted now.
    pub fn new(now: Duration, picture: Option<Codec>, has_sound: bool) -> Self {
        Self {
            picture: picture.map(Timeline::new),
            sound: has_sound.then(|| Timeline::new(Codec::Opus)),
            delay: MIN_DELAY,
            needs: [Need::new(), Need::new()],
            repaired_at: None,
            measures_from: now + DISTURBANCE,
            doubted: 0,
        }
    }

    /// A heartbeat said a pair. Its signature was checked.
    pub fn said(&mut self, medium: Medium, pair: Pair) {
        if let Some(timeline) = self.timeline(medium) {
            timeline.said(pair);
        }
    }

    /// A heartbeat said D; more than [`MAX_DELAY`] is taken for that.
    pub fn delayed(&mut self, delay: Duration) {
        self.delay = delay.min(MAX_DELAY);
    }

    /// A verified packet arrived. Needed only while [`Self::wants_arrivals`].
    pub fn arrived(&mut self, now: Duration, clock: &BoxClock, medium: Medium, timestamp: u32) {
        if let (Some(timeline), Some(box_time)) = (self.timeline(medium), clock.box_time(now)) {
            timeline.arrived(box_time, timestamp);
        }
    }

    /// No pair was said yet of a stream that the lesson has.
    pub fn wants_arrivals(&self) -> bool {
        self.picture.iter().chain(&self.sound).any(|timeline| !timeline.is_told())
    }

    /// The machine joined anew, changed its rung, or slept: how late frames come in the next second
    /// is nobody's measure.
    pub fn disturbed(&mut self, now: Duration) {
        self.measures_from = now + DISTURBANCE;
    }

    /// A packet that was lost is back: what is whole now waited for it.
    pub fn repaired(&mut self, now: Duration) {
        self.repaired_at = Some(now);
    }

    /// A whole frame is here: when it shows, in the machine's monotonic time. `None` means at once,
    /// and so does a time that is past. How late it came is measured on the way.
    pub fn show_at(&mut self, now: Duration, clock: &BoxClock, frame: &Frame) -> Option<Duration> {
        if frame.catch_up {
            return None;
        }
        let medium = if frame.codec.is_video() { Medium::Picture } else { Medium::Sound };
        self.due(now, clock, medium, frame.timestamp)
    }

    /// The same of a frame that is to be shown, by its medium and unwrapped timestamp.
    pub fn due(
        &mut self,
        now: Duration,
        clock: &BoxClock,
        medium: Medium,
        timestamp: u64,
    ) -> Option<Duration> {
        let timestamp = (timestamp & 0xffff_ffff) as u32;
        let base = self.timeline(medium)?.base(timestamp)?;
        let came = clock.box_time(now)?;
        let show_at = clock.local_time(base.saturating_add(self.delay))?;
        if show_at > now.saturating_add(MAX_WAIT) {
            self.doubted += 1;
            return None;
        }
        if now >= self.measures_from {
            let is_repaired = self.repaired_at.is_some_and(|at| now <= at + AFTERMATH);
            let need = &mut self.needs[usize::from(medium == Medium::Sound)];
            need.came(now, came.saturating_sub(base), is_repaired);
        }
        Some(show_at)
    }

    /// What this machine needs D to be, for its next report: see [`Need::measured`].
    pub fn need(&mut self, now: Duration) -> Option<Duration> {
        self.needs.iter_mut().filter_map(|need| need.measured(now)).max()
    }

    /// D as it was last said.
    pub fn delay(&self) -> Duration {
        self.delay
    }

    /// Frames that were to wait too long to be believed.
    pub fn doubted(&self) -> u64 {
        self.doubted
    }

    /// Frames so late that no delay would have saved them.
    pub fn hopeless(&self) -> u64 {
        self.needs.iter().map(Need::hopeless).sum()
    }

    fn timeline(&mut self, medium: Medium) -> Option<&mut Timeline> {
        match medium {
            Medium::Picture => self.picture.as_mut(),
            Medium::Sound => self.sound.as_mut(),
        }
    }
}

impl Pair {
    /// The same line at another moment.
    pub(crate) fn at(self, codec: Codec, box_time: Duration) -> Self {
        let timestamp = if box_time >= self.box_time {
            self.timestamp.wrapping_add(codec.ticks(box_time.saturating_sub(self.box_time)))
        } else {
            self.timestamp.wrapping_sub(codec.ticks(self.box_time.saturating_sub(box_time)))
        };
        Self { timestamp, box_time }
    }

    /// When the stream's clock shows `timestamp`; of all rounds, the nearest.
    pub fn box_time_of(self, codec: Codec, timestamp: u32) -> Duration {
        let ahead = timestamp.wrapping_sub(self.timestamp).cast_signed();
        let span = codec.span(ahead.unsigned_abs());
        if ahead < 0 {
            self.box_time.saturating_sub(span)
        } else {
            self.box_time.saturating_add(span)
        }
    }
}

/// `later − earlier` in seconds, of either sign.
fn signed(later: Duration, earlier: Duration) -> f64 {
    match later.checked_sub(earlier) {
        Some(ahead) => ahead.as_secs_f64(),
        None => -earlier.saturating_sub(later).as_secs_f64(),
    }
}

/// `time` and so many seconds, of either sign; at the ends of time, the end.
fn shifted(time: Duration, seconds: f64) -> Duration {
    let by = Duration::try_from_secs_f64(seconds.abs()).unwrap_or(Duration::MAX);
    if seconds < 0.0 { time.saturating_sub(by) } else { time.saturating_add(by) }
}

#[cfg(test)]
mod tests;
