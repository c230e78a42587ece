//! A screen that nobody sees: an X server for one host, 1280x720.
//!
//! It leaves nothing behind: its socket lies in the lab's own /tmp/.X11-unix, and it takes no lock
//! file, since display numbers are counted here.

use std::{
    path::Path,
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Result, ensure};

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
}

impl Display {
    /// Returns when the server takes clients.
    pub async fn start(host: &Host) -> Result<Self> {
        let name = format!(":{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let mut command = Command::new("Xvfb");
        command.arg(&name).args(["-screen", "0", &format!("{WIDTH}x{HEIGHT}x24")]);
        command.args(["-nolisten", "tcp", "-nolock", "-noreset", "-displayfd", "1"]);
        let server = host.spawn("screen", command)?;
        // It writes its number to the descriptor once it is up.
        server.wait_for_line(|line| line == &name[1..], LIMIT).await?;
        Ok(Self { host: host.clone(), name, server })
    }

    /// What a client's `DISPLAY` is.
    pub fn name(&self) -> &str {
        &self.name
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
