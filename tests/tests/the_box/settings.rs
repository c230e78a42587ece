//! Settings at the start and at `systemctl reload`: what is taken up, what waits, what is refused;
//! and what systemd is told meanwhile.

use std::{path::PathBuf, process::Command};

use anyhow::{Result, ensure};
use classroom::{Classroom, Host, Process, binaries};
use nix::sys::signal::Signal;
use tokio::{net::UnixDatagram, time::timeout};

use crate::SOON;

/// A box, its own settings file, and systemd's end of its notices.
struct Service {
    host: Host,
    file: PathBuf,
    notices: UnixDatagram,
}

impl Service {
    fn new(classroom: &Classroom) -> Result<Self> {
        let host = classroom.the_box().clone();
        let notices = UnixDatagram::bind(host.dir().join("notify"))?;
        Ok(Self { file: host.dir().join("alfarid.toml"), host, notices })
    }

    /// The daemon with these settings, on top of a state directory of its own.
    fn command(&self, settings: &str) -> Result<Command> {
        self.set(settings)?;
        let mut command = binaries::daemon()?;
        command
            .arg("--config")
            .arg(&self.file)
            .env("NOTIFY_SOCKET", self.host.dir().join("notify"));
        command.env("ALFARID_STORAGE__STATE_DIR", self.host.dir().join("state"));
        command.env("ALFARID_STORAGE__RECORDINGS_DIR", self.host.dir().join("state/recordings"));
        Ok(command)
    }

    fn set(&self, settings: &str) -> Result<()> {
        Ok(std::fs::write(&self.file, settings)?)
    }

    /// Returns when systemd was told this.
    async fn told(&self, state: &str) -> Result<()> {
        let mut notice = [0; 512];
        let heard = async {
            loop {
                let length = self.notices.recv(&mut notice).await?;
                let text = String::from_utf8_lossy(&notice[..length]);
                if text.lines().any(|line| line == state) {
                    return anyhow::Ok(());
                }
            }
        };
        timeout(SOON, heard).await?
    }

    /// As `systemctl reload` does. Returns when the daemon has done with it.
    async fn reload(&self, daemon: &Process, settings: &str) -> Result<()> {
        self.set(settings)?;
        daemon.signal(Signal::SIGHUP).await?;
        self.told("RELOADING=1").await?;
        self.told("READY=1").await
    }
}

#[tokio::test]
async fn a_reload_takes_up_what_it_can_and_names_what_waits() -> Result<()> {
    let classroom = Classroom::new().open().await?;
    let service = Service::new(&classroom)?;
    let daemon = service.host.spawn("daemon", service.command("")?)?;
    service.told("READY=1").await?;

    service.reload(&daemon, "[log]\nlevel = \"debug\"\n").await?;
    daemon.wait_for_line(|line| line.ends_with("settings read again"), SOON).await?;
    service.reload(&daemon, "[media]\nmulticast_ttl = 4\n[http]\nnames = [\"box\"]\n").await?;
    let waits = "settings read again; at the next start: http.names, media.multicast_ttl";
    daemon.wait_for_line(|line| line.ends_with(waits), SOON).await?;

    service.reload(&daemon, "[lesson]\nend_after_minutes = \"soon\"\n").await?;
    let refused = daemon.wait_for_line(|line| line.contains("stay as they were"), SOON).await?;
    for part in ["alfarid.toml", "lesson.end_after_minutes", "\"soon\"", "a whole number"] {
        ensure!(refused.contains(part), "{part} is not in: {refused}");
    }
    ensure!(daemon.terminate().await?.success(), "a box that is told to stop has not failed");
    service.told("STOPPING=1").await?;
    classroom.close()
}

#[tokio::test]
async fn a_setting_that_cannot_be_keeps_a_box_from_its_start_and_is_named() -> Result<()> {
    let classroom = Classroom::new().open().await?;
    let service = Service::new(&classroom)?;
    for (settings, parts) in [
        ("[http]\nlisen = \"0.0.0.0:443\"\n", ["alfarid.toml", "http.lisen", "`listen`"]),
        ("[log]\nlevel = \"inof\"\n", ["alfarid.toml", "\"inof\"", "error, warn, info"]),
    ] {
        let output = service.host.run(service.command(settings)?, "", SOON).await?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(!output.status.success(), "it started with {settings}");
        for part in parts {
            ensure!(said.contains(part), "{part} is not in: {said}");
        }
    }
    ensure!(!service.host.dir().join("state").exists(), "nothing was made before");
    classroom.close()
}
