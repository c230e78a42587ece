//! A screen that nobody sees: an X server for one host, 1280x720 unless told otherwise.
//!
//! Its memory is a file too ([`Pixels`]): what stands on it can be read at any moment, without asking
//! the server and waiting for its answer.
//!
//! It leaves nothing behind: its socket lies in the lab's own /tmp/.X11-unix, and it takes no lock
//! file, since display numbers are counted here.

mod pixels;

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Result, ensure};

pub use self::pixels::Pixels;
use crate::{host::Host, process::Process};

pub const WIDTH: usize = 1280;
pub const HEIGHT: usize = 720;

/// Time for an X server or a picture of its screen on a busy machine.
const LIMIT: Duration = Duration::from_secs(20);

/// Hosts of one lab share the sockets' directory, so a number is given once in the process.
static NEXT: AtomicU32 = AtomicU32::new(1);

#[derive(Clone, Debug)]
pub struct Display {
    host: Host,
    name: String,
    server: Process,
    size: (usize, usize),
}

impl Display {
    /// Returns when the server takes clients.
    pub async fn start(host: &Host) -> Result<Self> {
        Self::sized(host, (WIDTH, HEIGHT)).await
    }

    /// One of another size.
    pub async fn sized(host: &Host, (width, height): (usize, usize)) -> Result<Self> {
        let name = format!(":{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let mut command = Command::new("Xvfb");
        command.arg(&name).args(["-screen", "0", &format!("{width}x{height}x24")]);
        let memory = memory_dir(host, &name);
        std::fs::create_dir_all(&memory)?;
        command.arg("-fbdir").arg(&memory);
        command.args(["-nolisten", "tcp", "-nolock", "-noreset", "-displayfd", "1"]);
        let server = host.spawn("screen", command)?;
        // It writes its number to the descriptor once it is up.
        server.wait_for_line(|line| line == &name[1..], LIMIT).await?;
        Ok(Self { host: host.clone(), name, server, size: (width, height) })
    }

    /// What a client's `DISPLAY` is.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Width and height in pixels.
    pub fn size(&self) -> (usize, usize) {
        self.size
    }

    /// The memory of the screen.
    pub fn pixels(&self) -> Result<Pixels> {
        Pixels::open(&memory_dir(&self.host, &self.name).join("Xvfb_screen0"))
    }

    pub fn server(&self) -> &Process {
        &self.server
    }

    /// What stands on the screen, as a PNG file.
    pub async fn screenshot(&self, path: &Path) -> Result<()> {
        let mut command = self.import();
        command.arg(path);
        self.host.run_well(command, "", LIMIT).await.map(drop)
    }

    /// What stands on the screen, scaled and in grey, a byte a pixel.
    pub async fn grey(&self, width: usize, height: usize) -> Result<Vec<u8>> {
        let mut command = self.import();
        command.args(["-resize", &format!("{width}x{height}!"), "-colorspace", "Gray"]);
        command.args(["-depth", "8", "gray:-"]);
        let output = self.host.run(command, "", LIMIT).await?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.stdout.len() == width * height, "no picture of the screen: {complaint}");
        Ok(output.stdout)
    }

    fn import(&self) -> Command {
        let mut command = Command::new("import");
        command.args(["-silent", "-window", "root"]).env("DISPLAY", &self.name);
        command
    }
}

fn memory_dir(host: &Host, name: &str) -> PathBuf {
    host.dir().join(format!("screen{}", name.replace(':', "-")))
}
