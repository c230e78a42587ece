//! A microphone that hears somebody: a sound server of the host's own, with one source.
//!
//! ```text
//!   gst-launch (beeps) ──▶ FIFO ──▶ pulseaudio's "microphone" ──▶ Chromium
//! ```
//!
//! It beeps twice a second. A steady tone would not do: a browser takes it for noise, and takes
//! it away. Chromium's own fake microphone would not do either: the switch that brings it puts a
//! fake picture in the place of the shared screen too.

use std::{process::Command, time::Duration};

use anyhow::Result;

use crate::{host::Host, process::Process};

const LIMIT: Duration = Duration::from_secs(20);

/// The pitch of its beeps.
pub const BEEP_HZ: u32 = 660;

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
