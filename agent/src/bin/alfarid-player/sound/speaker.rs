//! The device's end of the sound: each sample is heard when it is due. Pure: time is handed in.
//!
//! ```text
//!   Writer ── samples ──▶ ring ──▶ Speaker ── a little faster or slower ──▶ device
//!          └─ marks: from this sample on, due at ...
//!
//!             first sample is due                    dry, or off by over JUMP
//!   SILENT ───────────────────────▶ PLAYING (fades in) ─────────▶ LEAVING (fades out) ──▶ SILENT
//! ```
//!
//! What is due moves all the time: clocks drift, the lesson's delay falls, the device's own crystal
//! is another one. The speaker follows by playing up to 1 % faster or slower ([`BEND`]), which
//! nobody hears; only what is off by more than [`JUMP`] is skipped or waited for, between two
//! fades.
//!
//! A device may take longer from being fed to being heard than the lesson's delay leaves it. Then
//! sound is heard later than its picture, by as much as is needed and no more ([`Speaker::lag`]).
//!
//! The writer never waits, and what finds no room is dropped; the device's thread never waits
//! either, and what is missing is silence.

use std::time::Duration;

use cpal::{FromSample, SizedSample};
use rtrb::{Consumer, Producer, RingBuffer};

/// Samples of one moment: left and right.
const STEREO: usize = 2;

/// Of Opus, and of what is in the ring.
pub(super) const RATE: u32 = 48_000;

/// Room in the ring: as far ahead as a packet may be due, and some.
const ROOM: usize = 600 * RATE as usize / 1_000;

/// Packets of 10 ms, the shortest that browsers send.
const MARKS: usize = 64;

/// Seconds that sound may be off before it is put right at once: what people forgive between a face
/// and its voice.
const JUMP: f64 = 0.040;

/// How much faster or slower it may be played: a sixth of a semitone.
const BEND: f64 = 0.01;

/// In how many seconds what is off is made up for, within [`BEND`].
const SETTLE: f64 = 1.0;

/// How much of each new look at what is off counts: what devices say of their delay jumps about.
const LOOK: f64 = 0.1;

/// Seconds of a fade.
const FADE: f64 = 0.005;

/// How much later sound is heard, at most, each time that it came too late after the device had run
/// dry, in seconds; and in all.
const LATER: f64 = 0.010;
const LAG: f64 = 0.400;

/// What may lie in the ring and never be needed, in seconds, before that is taken back.
const SPARE: f64 = 0.015;

/// Over how many seconds that is looked at.
const WATCH: f64 = 5.0;

/// From this moment of the ring on, sound is due at that time.
#[derive(Clone, Copy, Debug)]
struct Mark {
    moment: u64,
    due: Duration,
}

/// The decoder's end.
pub(super) struct Writer {
    samples: Producer<f32>,
    marks: Producer<Mark>,
    written: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Silent,
    Playing,
    Leaving,
}

/// The device's end.
pub(super) struct Speaker {
    samples: Consumer<f32>,
    marks: Consumer<Mark>,
    /// Of the device.
    rate: f64,
    mark: Option<Mark>,
    /// Moments taken from the ring.
    read: u64,
    /// The last four of them; what is heard lies between the second and the third.
    window: [[f32; STEREO]; 4],
    between: f64,
    state: State,
    /// The ring was empty before what was due.
    is_dry: bool,
    /// Moments of silence before it begins.
    wait: usize,
    gain: f64,
    /// How late it is, smoothed, in seconds.
    off: f64,
    /// How much later than due sound is heard because the device takes so long, in seconds.
    lag: f64,
    /// The least that lay in the ring, and the seconds since that was begun anew.
    least: (f64, f64),
}

/// Both ends, for a device of this rate.
pub(super) fn speaker(rate: u32) -> (Writer, Speaker) {
    let (writer, samples) = RingBuffer::new(ROOM * STEREO);
    let (mark, marks) = RingBuffer::new(MARKS);
    let speaker = Speaker {
        samples,
        marks,
        rate: f64::from(rate),
        mark: None,
        read: 0,
        window: [[0.0; STEREO]; 4],
        between: 0.0,
        state: State::Silent,
        is_dry: false,
        wait: 0,
        gain: 0.0,
        off: 0.0,
        lag: 0.0,
        least: (f64::MAX, 0.0),
    };
    (Writer { samples: writer, marks: mark, written: 0 }, speaker)
}

impl Writer {
    /// Takes a packet's samples, the first of which is due at `due`.
    pub(super) fn write(&mut self, samples: impl ExactSizeIterator<Item = f32>, due: Duration) {
        let room = self.samples.slots().min(samples.len()) & !1;
        let mark = Mark { moment: self.written, due };
        if room == 0 || self.marks.push(mark).is_err() {
            return;
        }
        if let Ok(chunk) = self.samples.write_chunk_uninit(room) {
            chunk.fill_from_iter(samples);
            self.written += (room / STEREO) as u64;
        }
    }
}

impl Speaker {
    /// Fills what the device asks for, whose first moment will be heard at `heard_at`. Stereo goes
    /// to the first two channels, or mixed to the only one; others stay silent.
    pub(super) fn fill<T: SizedSample + FromSample<f32>>(
        &mut self,
        samples: &mut [T],
        channels: usize,
        heard_at: Duration,
    ) {
        let moments = samples.len() / channels.max(1);
        self.steer(heard_at, moments);
        for moment in samples.chunks_mut(channels.max(1)) {
            let [left, right] = self.next();
            match moment {
                [only] => *only = T::from_sample(f32::midpoint(left, right)),
                [first, second, others @ ..] => {
                    *first = T::from_sample(left);
                    *second = T::from_sample(right);
                    others.fill(T::EQUILIBRIUM);
                }
                [] => {}
            }
        }
        self.watch_spare(moments);
    }

    /// Decides how the next `moments` are played.
    fn steer(&mut self, heard_at: Duration, moments: usize) {
        while let Ok(mark) = self.marks.peek()
            && mark.moment <= self.read
        {
            self.mark = self.marks.pop().ok();
        }
        let Some(mark) = self.mark else { return };
        #[expect(clippy::cast_precision_loss, reason = "a packet's length")]
        let since = (self.read - mark.moment) as f64 / f64::from(RATE);
        let late = heard_at.as_secs_f64() - (mark.due.as_secs_f64() + since + self.lag);
        match self.state {
            State::Silent => self.begin(late, moments),
            State::Playing if late.abs() > JUMP => self.state = State::Leaving,
            State::Playing => self.off += (late - self.off) * LOOK,
            State::Leaving => {}
        }
    }

    /// Begins where what is due is in the ring.
    fn begin(&mut self, late: f64, moments: usize) {
        let there = self.samples.slots() / STEREO;
        if there == 0 {
            return;
        }
        let mut late = late;
        if std::mem::take(&mut self.is_dry) {
            // What came next was too late for this device by so much.
            let later = late.clamp(0.0, LATER).min(LAG - self.lag);
            (self.lag, late) = (self.lag + later, late - later);
        }
        let passed = whole(late * f64::from(RATE));
        self.skip(passed.min(there));
        if passed >= there {
            self.is_dry = true;
            return;
        }
        let wait = whole(-late * self.rate);
        if wait < moments {
            self.wait = wait;
            self.window = [[0.0; STEREO]; 4];
            (self.state, self.gain, self.off, self.between) = (State::Playing, 0.0, 0.0, 0.0);
            self.least = (f64::MAX, 0.0);
        }
    }

    fn next(&mut self) -> [f32; STEREO] {
        if self.state == State::Silent {
            return [0.0; STEREO];
        }
        if self.wait > 0 {
            self.wait -= 1;
            return [0.0; STEREO];
        }
        self.fade();
        let bend = (self.off / SETTLE).clamp(-BEND, BEND);
        self.between += f64::from(RATE) / self.rate * (1.0 + bend);
        while self.between >= 1.0 {
            self.between -= 1.0;
            self.take();
        }
        [0, 1].map(|side| {
            let [a, b, c, d] = self.window.map(|moment| f64::from(moment[side]));
            #[expect(clippy::cast_possible_truncation, reason = "a sample")]
            let sample = (curve([a, b, c, d], self.between) * self.gain) as f32;
            sample
        })
    }

    fn fade(&mut self) {
        let step = 1.0 / (FADE * self.rate);
        match self.state {
            State::Playing => self.gain = (self.gain + step).min(1.0),
            State::Leaving if self.gain > step => self.gain -= step,
            State::Leaving | State::Silent => (self.gain, self.state) = (0.0, State::Silent),
        }
    }

    /// The next moment of the ring; where there is none, the last one stays while it fades.
    fn take(&mut self) {
        self.window.rotate_left(1);
        if self.samples.slots() >= STEREO
            && let (Ok(left), Ok(right)) = (self.samples.pop(), self.samples.pop())
        {
            self.window[3] = [left, right];
            self.read += 1;
            return;
        }
        self.window[3] = self.window[2];
        if self.state == State::Playing {
            (self.state, self.is_dry) = (State::Leaving, true);
        }
    }

    /// Takes back some lag where more lies in the ring than is ever needed.
    fn watch_spare(&mut self, moments: usize) {
        if self.state != State::Playing {
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "a ring's length")]
        let seconds = |moments: usize, rate: f64| moments as f64 / rate;
        let left = seconds(self.samples.slots() / STEREO, f64::from(RATE));
        let (least, since) = self.least;
        self.least = (least.min(left), since + seconds(moments, self.rate));
        if self.least.1 >= WATCH {
            let spare = (self.least.0 - SPARE).clamp(0.0, LATER / 2.0);
            self.lag = (self.lag - spare).max(0.0);
            self.least = (f64::MAX, 0.0);
        }
    }

    fn skip(&mut self, moments: usize) {
        if let Ok(skipped) = self.samples.read_chunk(moments * STEREO) {
            skipped.commit_all();
            self.read += moments as u64;
        }
    }
}

/// A smooth curve through the middle two of four points (Catmull and Rom's).
fn curve([a, b, c, d]: [f64; 4], at: f64) -> f64 {
    let third = (3.0 * (b - c) + d - a) / 2.0;
    let second = a - 2.5 * b + 2.0 * c - d / 2.0;
    ((third * at + second) * at + (c - a) / 2.0) * at + b
}

/// Whole moments; none of what is not positive.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded below")]
fn whole(moments: f64) -> usize {
    moments.max(0.0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a device asks for at one go: 20 ms.
    const GO: usize = 960;
    const GO_MS: f64 = 20.0;

    fn at(millis: f64) -> Duration {
        Duration::from_secs_f64(millis / 1e3)
    }

    /// A device that is fed packets of 20 ms, each some time before it is heard.
    struct Device {
        writer: Writer,
        speaker: Speaker,
        /// Milliseconds: of the device, and of the next packet.
        now: f64,
        packet: f64,
        /// When packets are due beyond their own time.
        delay: f64,
        /// Millionths that the device is faster than the clock.
        ppm: f64,
        heard: Vec<f32>,
    }

    impl Device {
        fn new() -> Self {
            let (writer, speaker) = speaker(RATE);
            let (now, packet, delay, ppm) = (1_000.0, 1_000.0, 60.0, 0.0);
            Self { writer, speaker, now, packet, delay, ppm, heard: Vec::new() }
        }

        /// A packet says in each sample how many milliseconds after 1 s it was made.
        #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "small")]
        fn write(&mut self) {
            let made = self.packet - 1_000.0;
            let samples: Vec<f32> = (0..GO * STEREO)
                .map(|n| (made + (n / STEREO) as f64 / 48.0) as f32 / 1e6)
                .collect();
            self.writer.write(samples.into_iter(), at(self.packet + self.delay));
            self.packet += GO_MS;
        }

        /// Goes on for so many goes of the device. It takes `latency` ms from being fed to be
        /// heard; packets come as they are made.
        fn run(&mut self, goes: usize, latency: f64) {
            for _ in 0..goes {
                while self.packet <= self.now {
                    self.write();
                }
                let mut samples = vec![9.0_f32; GO * STEREO];
                self.speaker.fill(&mut samples, STEREO, at(self.now + latency));
                self.heard.extend(samples.chunks(STEREO).map(|moment| moment[0]));
                self.now += GO_MS / (1.0 + self.ppm * 1e-6);
            }
        }

        /// Milliseconds after it was made that the last moment so far was heard.
        fn behind(&self, latency: f64) -> f64 {
            let made = f64::from(*self.heard.last().unwrap()) * 1e6 + 1_000.0;
            self.now + latency - made
        }
    }

    #[test]
    fn each_sample_is_heard_when_it_is_due() {
        let mut device = Device::new();
        device.run(50, 10.0);
        assert!((device.behind(10.0) - 60.0).abs() < 1.0, "{}", device.behind(10.0));
        let silence = device.heard.iter().take_while(|sample| **sample == 0.0).count();
        assert!((2_300..2_450).contains(&silence), "50 ms before the first, not {silence}");
    }

    #[test]
    fn a_device_that_runs_faster_is_followed() {
        for ppm in [200.0, -200.0] {
            let mut device = Device { ppm, ..Device::new() };
            device.run(3_000, 10.0);
            let behind = device.behind(10.0);
            assert!((behind - 60.0).abs() < 2.0, "{behind} after a minute at {ppm} ppm");
        }
    }

    #[test]
    fn a_small_step_is_made_up_for_without_a_break() {
        let mut device = Device::new();
        device.run(100, 10.0);
        for delay in [85.0, 60.0] {
            let from = device.heard.len();
            device.delay = delay;
            device.run(400, 10.0);
            assert!((device.behind(10.0) - delay).abs() < 2.0, "{}", device.behind(10.0));
            let steps = device.heard[from..].windows(2).map(|pair| (pair[1] - pair[0]) * 48e6);
            // Besides what is lost in the sixth digit.
            assert!(steps.clone().all(|step| (0.5..1.5).contains(&step)), "no break");
        }
    }

    #[test]
    fn a_large_step_is_made_at_once_between_two_fades() {
        let mut device = Device::new();
        device.run(100, 10.0);
        device.delay = 200.0;
        device.run(20, 10.0);
        assert!((device.behind(10.0) - 200.0).abs() < 2.0, "{}", device.behind(10.0));
        let loudest = device.heard.iter().fold(0.0_f32, |loudest, sample| loudest.max(*sample));
        let steps = device.heard.windows(2).map(|pair| (pair[1] - pair[0]).abs());
        let steepest = steps.fold(0.0_f32, f32::max);
        assert!(steepest < loudest / 50.0, "{steepest} of {loudest} is a click");
    }

    #[test]
    fn a_device_that_takes_longer_than_the_delay_is_late_and_not_silent() {
        let mut device = Device::new();
        device.run(150, 180.0);
        let from = device.heard.len();
        device.run(500, 180.0);
        let behind = device.behind(180.0);
        assert!((180.0..240.0).contains(&behind), "{behind} ms");
        let silent = device.heard[from..].iter().filter(|sample| **sample == 0.0).count();
        assert!(silent < RATE as usize / 10, "{silent} moments of ten seconds are silent");
    }

    #[test]
    fn one_loudspeaker_gets_both_sides_and_six_stay_apart() {
        for (channels, wanted) in [(1, vec![0.25]), (6, vec![0.5, 0.0, 0.0, 0.0, 0.0, 0.0])] {
            let (mut writer, mut speaker) = speaker(RATE);
            writer.write([0.5, 0.0].repeat(GO).into_iter(), at(1_000.0));
            let mut samples = vec![9.0_f32; 500 * channels];
            speaker.fill(&mut samples, channels, at(1_000.0));
            assert_eq!(samples[400 * channels..401 * channels], wanted);
        }
    }

    #[test]
    fn what_finds_no_room_is_dropped_and_what_follows_is_in_time() {
        let mut device = Device::new();
        for _ in 0..100 {
            device.write();
        }
        device.run(200, 10.0);
        assert!((device.behind(10.0) - 60.0).abs() < 2.0, "{}", device.behind(10.0));
    }
}
