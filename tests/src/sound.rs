//! A microphone that hears somebody: a sound server of the host's own, with one source; and whether
//! that is what arrived.
//!
//! ```text
//!   gst-launch (beeps) ──▶ FIFO ──▶ pulseaudio's "microphone" ──▶ Chromium
//! ```
//!
//! It beeps twice a second. A steady tone would not do: a browser takes it for noise, and takes
//! it away. Chromium's own fake microphone would not do either: the switch that brings it puts a
//! fake picture in the place of the shared screen too.

use std::{process::Command, time::Duration};

use anyhow::{Result, ensure};

use crate::{host::Host, playback::SAMPLE_RATE, process::Process};

const LIMIT: Duration = Duration::from_secs(20);

/// The pitch of its beeps.
const BEEP_HZ: u32 = 660;

/// A fifth of a second of [`BEEP_HZ`], every half second.
const BEEPS: &str = "audiotestsrc is-live=true wave=ticks volume=0.5 freq=660 \
    sine-periods-per-tick=132 tick-interval=500000000 ! \
    audio/x-raw,format=S16LE,rate=48000,channels=1";

/// A handle: the microphone stays plugged in until the host is shut down.
#[derive(Clone, Debug)]
pub struct Microphone {
    host: Host,
    server: Process,
    voice: Process,
}

impl Microphone {
    /// Returns when programmes find it.
    pub async fn plug_in(host: &Host) -> Result<Self> {
        let fifo = host.dir().join("run/voice");
        let source = format!(
            "module-pipe-source source_name=microphone file={} format=s16le rate=48000 channels=1",
            fifo.display()
        );
        let mut command = Command::new("pulseaudio");
        command.args(["-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1"]);
        command.args(["--log-level=info", "--disable-shm", "-L", "module-native-protocol-unix"]);
        command.args(["-L", "module-null-sink", "-L", &source]);
        let server = host.spawn("sound", command)?;
        server.wait_for_line(|line| line.contains("Daemon startup complete"), LIMIT).await?;

        let mut command = Command::new("gst-launch-1.0");
        command.args(["-q"]).args(BEEPS.split_whitespace());
        command.args(["!", "filesink", "sync=true", "buffer-mode=unbuffered"]);
        command.arg(format!("location={}", fifo.display()));
        let voice = host.spawn("voice", command)?;
        Ok(Self { host: host.clone(), server, voice })
    }

    /// By its own switch: programmes go on hearing it, and hear nothing.
    pub async fn mute(&self, is_muted: bool) -> Result<()> {
        let mut command = Command::new("pactl");
        command.args(["set-source-mute", "microphone", if is_muted { "1" } else { "0" }]);
        self.host.run_well(command, "", LIMIT).await.map(drop)
    }

    /// Pulls it out: programmes lose it.
    pub async fn unplug(self) -> Result<()> {
        self.voice.kill().await?;
        self.server.kill().await.map(drop)
    }
}

/// What arrived of the microphone's sound.
#[derive(Clone, Debug)]
pub struct Heard(Vec<Slice>);

/// Of what was heard: a beep holds three whole ones at least, a pause five.
#[derive(Clone, Copy, Debug)]
struct Slice {
    /// The root of the mean square: 0.35 for a sine of half the full scale.
    loudness: f32,
    /// Of a tone.
    hz: u32,
}

const SLICE: Duration = Duration::from_millis(50);
const SLICE_SAMPLES: usize = SAMPLE_RATE / 20;

impl Heard {
    /// Samples as [`listen`](crate::playback::listen) gives them.
    pub fn of(samples: &[f32]) -> Self {
        Self(samples.chunks_exact(SLICE_SAMPLES).map(Slice::of).collect())
    }

    pub fn length(&self) -> Duration {
        length_of(self.0.len())
    }

    /// The longest time between a beep and the next.
    pub fn longest_pause(&self) -> Duration {
        let loud = self.0.iter().enumerate().filter(|(_, slice)| slice.is_loud());
        let at: Vec<_> = loud.map(|(at, _)| at).collect();
        length_of(at.windows(2).map(|pair| pair[1] - pair[0] - 1).max().unwrap_or_default())
    }

    /// Fails unless it is beeps of the right pitch with silence between them.
    pub fn judge_beeps(&self) -> Result<()> {
        let loud = self.0.iter().filter(|slice| slice.is_loud()).count();
        let still = self.0.iter().filter(|slice| slice.loudness < 0.01).count();
        ensure!(loud >= 10 && still >= 10, "{loud} loud, {still} still of {}", self.0.len());
        // What has a loud one on either side is whole: a beep begins and ends anywhere in a slice.
        let whole = self.0.windows(3).filter(|three| three.iter().all(|slice| slice.is_loud()));
        let pitches: Vec<_> = whole.map(|three| three[1].hz).collect();
        let right = pitches.iter().filter(|hz| hz.abs_diff(BEEP_HZ) <= 30).count();
        ensure!(right * 10 >= pitches.len() * 8, "of {BEEP_HZ} Hz: {pitches:?}");
        ensure!(right >= 5, "{pitches:?}");
        Ok(())
    }
}

impl Slice {
    fn of(samples: &[f32]) -> Self {
        let squares: f32 = samples.iter().map(|sample| sample * sample).sum();
        #[expect(clippy::cast_precision_loss, reason = "a few thousand samples")]
        let count = samples.len() as f32;
        // A tone goes up through zero once in a period.
        let rising = samples.windows(2).filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0).count();
        let hz = u32::try_from(rising * SAMPLE_RATE / samples.len()).unwrap_or(u32::MAX);
        Self { loudness: (squares / count).sqrt(), hz }
    }

    fn is_loud(self) -> bool {
        self.loudness > 0.1
    }
}

fn length_of(slices: usize) -> Duration {
    SLICE * u32::try_from(slices).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Beeps as the microphone's, but where `is_muted` says so of a half second.
    fn voice(hz: f32, half_seconds: u16, is_muted: fn(u16) -> bool) -> Vec<f32> {
        let one = |n: u16| {
            (0..24_000_u16).map(move |at| {
                let is_beep = at < 9_600 && !is_muted(n);
                let turns = f32::from(at) * hz / 48_000.0;
                if is_beep { (turns * std::f32::consts::TAU).sin() / 2.0 } else { 0.0 }
            })
        };
        (0..half_seconds).flat_map(one).collect()
    }

    #[test]
    fn beeps_are_known_by_their_pitch_and_their_pauses() {
        let heard = Heard::of(&voice(660.0, 12, |_| false));

        heard.judge_beeps().unwrap();
        assert_eq!(heard.length(), Duration::from_secs(6));
        assert_eq!(heard.longest_pause(), Duration::from_millis(300));
    }

    #[test]
    fn another_tone_and_silence_are_no_beeps() {
        assert!(Heard::of(&voice(440.0, 12, |_| false)).judge_beeps().is_err());
        assert!(Heard::of(&voice(660.0, 12, |_| true)).judge_beeps().is_err());
        assert!(Heard::of(&[]).judge_beeps().is_err());
    }

    #[test]
    fn the_time_of_a_muted_microphone_is_a_long_pause() {
        let heard = Heard::of(&voice(660.0, 12, |n| (4..8).contains(&n)));

        assert_eq!(heard.longest_pause(), Duration::from_millis(2_300));
    }
}
