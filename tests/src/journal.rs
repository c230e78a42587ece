//! A journal as on a real machine: `systemd-journald` itself, in the lab's own /run.
//!
//! ```text
//!   systemd-cat ──stdout, stderr──▶ /run/systemd/journal/stdout ─┐
//!        └ becomes the program ────▶ /run/systemd/journal/socket ┴▶ journald ─▶ /run/log/journal
//! ```
//!
//! Nothing of this machine's own journal is seen or written: /run is the lab's, and journald is
//! kept from the kernel's log, which has no namespaces.

use std::{process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{host::Host, process::Process, until::eventually};

const DIR: &str = "/run/log/journal";

const LIMIT: Duration = Duration::from_secs(10);

/// Makes the places that systemd makes, and becomes journald. It looks its clients up in the
/// control groups, which a host's own /sys does not show by itself.
const SERVER: &str = "mkdir -p /run/systemd/journal /run/log/journal && \
    mount -t cgroup2 cgroup2 /sys/fs/cgroup && \
    mount --bind /dev/null /dev/kmsg && exec /lib/systemd/systemd-journald";

/// As systemd starts a unit: both outputs are the journal's, and the program is told which they
/// are (`systemd.exec(5)`), so that it may write to the journal itself.
const UNIT: &str = "export JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2); exec \"$@\"";

/// A handle: it runs until the host is shut down.
#[derive(Clone, Debug)]
pub struct Journal {
    host: Host,
    /// Prints every message as it is written.
    follower: Process,
}

impl Journal {
    /// Returns when programs can write to it. One for a lab: /run is the same on all its hosts.
    pub async fn start(host: &Host) -> Result<Self> {
        let mut server = Command::new("bash");
        server.args(["-c", SERVER]);
        host.spawn("journald", server)?;
        eventually("the journal's own first word", LIMIT, async || {
            let mut newest = journalctl();
            newest.args(["--lines=1", "--output=cat"]);
            let word = host.run_well(newest, "", LIMIT).await?;
            ensure!(!word.is_empty(), "it is empty");
            Ok(())
        })
        .await?;
        let mut follower = journalctl();
        follower.args(["--follow", "--lines=all", "--output=cat"]);
        let follower = host.spawn("journal", follower)?;
        Ok(Self { host: host.clone(), follower })
    }

    /// Starts `command` as a unit of systemd. What it prints is in the journal, not in the process.
    pub fn spawn(&self, name: &str, command: &Command) -> Result<Process> {
        let mut unit = Command::new("systemd-cat");
        unit.args(["--identifier", name, "bash", "-c", UNIT, name]);
        unit.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => unit.env(name, value),
                None => unit.env_remove(name),
            };
        }
        self.host.spawn(name, unit)
    }

    /// Waits for a message, written already or to come.
    pub async fn wait_for(
        &self,
        is_it: impl FnMut(&str) -> bool,
        limit: Duration,
    ) -> Result<String> {
        self.follower.wait_for_line(is_it, limit).await
    }

    /// What `journalctl FILTER…` finds, oldest first: one object of fields for each entry.
    pub async fn entries(&self, filter: &[&str]) -> Result<Vec<Value>> {
        let mut sync = Command::new("journalctl");
        sync.arg("--sync");
        self.host.run_well(sync, "", LIMIT).await?;
        let mut command = journalctl();
        command.args(["--output=json", "--all", "--no-pager"]).args(filter);
        let printed = self.host.run_well(command, "", LIMIT).await?;
        let entries: Vec<Value> = printed
            .lines()
            .map(|line| serde_json::from_str(line).with_context(|| format!("an entry: {line}")))
            .collect::<Result<_>>()?;
        ensure!(!entries.is_empty(), "the journal has no entry of {filter:?}");
        Ok(entries)
    }
}

fn journalctl() -> Command {
    let mut command = Command::new("journalctl");
    command.args(["--directory", DIR, "--quiet"]);
    command
}
