//! The box as systemd runs it: the real program as a process of its own, on a loopback address of
//! its own, in a directory of its own.
//!
//! ```text
//!   Appliance (disk, settings, address) ── start ──▶ Running (process, log, what systemd is told)
//!         ▲                                              │
//!         └────────── start again, as often as wanted ◀── ended
//! ```

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

pub(crate) mod desk;
pub(crate) mod seat;
mod tls;

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::atomic::{AtomicU8, Ordering},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::UnixDatagram,
    process::{Child, ChildStderr, Command},
    sync::watch,
    task::JoinHandle,
};

/// How long a test waits for what must come: only ever used up by a failing test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// How much of its log a failure shows.
const TOLD_LINES: usize = 40;

const PLAIN: u16 = 8080;
const WEB: u16 = 8443;
const AGENTS: u16 = 8444;
const WHIP: u16 = 8445;

/// Of this machine's systemd and of whoever runs the tests.
const NOT_FOR_THE_BOX: [&str; 4] =
    ["JOURNAL_STREAM", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"];

/// A box that is switched on and off: what is on its disk stays.
pub(crate) struct Appliance {
    dir: tempfile::TempDir,
    state_dir: PathBuf,
    pub(crate) address: Ipv4Addr,
    /// `ALFARID_` and systemd's variables.
    pub(crate) environment: Vec<(&'static str, String)>,
}

impl Appliance {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let state_dir = dir.path().join("state");
        fs::create_dir(&state_dir).unwrap();
        Self::with_state_in(state_dir, dir)
    }

    /// With its database and keys on a disk of its own.
    pub(crate) fn on_disk(state_dir: PathBuf) -> Self {
        Self::with_state_in(state_dir, tempfile::tempdir().unwrap())
    }

    fn with_state_in(state_dir: PathBuf, dir: tempfile::TempDir) -> Self {
        let appliance = Self { dir, state_dir, address: own_address(), environment: Vec::new() };
        appliance.set("");
        appliance
    }

    /// Writes the settings: those that keep it apart from other boxes, and `more`.
    pub(crate) fn set(&self, more: &str) {
        let (address, state_dir) = (self.address, self.state_dir.display());
        let recordings_dir = self.dir.path().join("recordings");
        let settings = format!(
            "[http]\nlisten = \"{address}:{WEB}\"\nredirect_listen = \"{address}:{PLAIN}\"\n\
             [agents]\nlisten = \"{address}:{AGENTS}\"\n\
             [media]\nwhip_listen = \"{address}:{WHIP}\"\n\
             [storage]\nstate_dir = \"{state_dir}\"\nrecordings_dir = \"{}\"\n\
             min_free_mb = 0\n\
             [discovery]\nmdns = false\n{more}",
            recordings_dir.display()
        );
        fs::write(self.settings(), settings).unwrap();
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.environment.push((name, value.to_owned()));
        self
    }

    pub(crate) fn web(&self) -> SocketAddr {
        (self.address, WEB).into()
    }

    /// Where plain HTTP is sent on from.
    pub(crate) fn plain(&self) -> SocketAddr {
        (self.address, PLAIN).into()
    }

    pub(crate) fn agents(&self) -> SocketAddr {
        (self.address, AGENTS).into()
    }

    /// Where publishers send to, by UDP.
    pub(crate) fn whip(&self) -> SocketAddr {
        (self.address, WHIP).into()
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.state_dir.join("alfarid.db")
    }

    pub(crate) fn claim_code(&self) -> String {
        fs::read_to_string(self.state_dir.join("claim-code")).unwrap().trim().to_owned()
    }

    /// Starts it and waits until it says that it is ready.
    pub(crate) async fn start(&self) -> Running {
        let mut running = self.switch_on();
        running.told("READY=1").await;
        running
    }

    /// Starts it, whatever becomes of it.
    pub(crate) fn switch_on(&self) -> Running {
        let socket = self.dir.path().join("notify");
        // An earlier run's.
        let _ = fs::remove_file(&socket);
        let systemd = UnixDatagram::bind(&socket).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_alfarid-daemon"));
        command.arg("--config").arg(self.settings());
        let foreign = std::env::vars_os().map(|(name, _)| name);
        for name in foreign.filter(|name| name.to_string_lossy().starts_with("ALFARID_")) {
            command.env_remove(name);
        }
        for name in NOT_FOR_THE_BOX {
            command.env_remove(name);
        }
        command.env("NOTIFY_SOCKET", &socket).env("NO_COLOR", "1");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().unwrap();
        let (told, log) = watch::channel(String::new());
        let reader = tokio::spawn(read(child.stderr.take().unwrap(), told));
        Running { child, systemd, log, reader }
    }

    fn settings(&self) -> PathBuf {
        self.dir.path().join("alfarid.toml")
    }
}

/// A box that runs. Dropped, it is killed.
pub(crate) struct Running {
    child: Child,
    systemd: UnixDatagram,
    log: watch::Receiver<String>,
    reader: JoinHandle<()>,
}

impl Running {
    /// Waits until systemd is told `state`; returns the whole message that it stands in.
    pub(crate) async fn told(&mut self, state: &str) -> String {
        let mut buffer = [0; 1024];
        let waiting = async {
            loop {
                let length = self.systemd.recv(&mut buffer).await.unwrap();
                let message = String::from_utf8_lossy(&buffer[..length]);
                if message.lines().any(|line| line == state) {
                    return message.into_owned();
                }
            }
        };
        let told = tokio::time::timeout(PATIENCE, waiting).await;
        told.unwrap_or_else(|_| panic!("systemd was never told {state}: {}", *self.log.borrow()))
    }

    /// Waits until the log has `words`.
    pub(crate) async fn says(&mut self, words: &str) {
        let waiting = self.log.clone();
        let said = async move { waiting.clone().wait_for(|log| log.contains(words)).await.is_ok() };
        let said = tokio::time::timeout(PATIENCE, said).await;
        assert_eq!(said, Ok(true), "it never said {words:?}: {}", *self.log.borrow());
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = self.child.id().unwrap().cast_signed();
        kill(Pid::from_raw(pid), signal).unwrap();
    }

    /// Waits for its end; returns how it ended and its whole log.
    pub(crate) async fn ended(mut self) -> (ExitStatus, String) {
        let end = async {
            let status = self.child.wait().await.unwrap();
            (&mut self.reader).await.unwrap();
            status
        };
        let status = tokio::time::timeout(PATIENCE, end).await;
        let log = self.log.borrow().clone();
        (status.unwrap_or_else(|_| panic!("it did not end: {log}")), log)
    }

    /// Ends it as systemd does; returns its whole log.
    pub(crate) async fn stopped(self) -> String {
        self.signal(Signal::SIGTERM);
        let (status, log) = self.ended().await;
        assert!(status.success(), "{status}: {log}");
        log
    }
}

impl Drop for Running {
    /// A test that failed tells what the box said last.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log.borrow();
            let lines = log.lines().filter(|line| !line.contains(" TRACE "));
            let last: Vec<_> = lines.rev().take(TOLD_LINES).collect();
            eprintln!("{}", last.into_iter().rev().collect::<Vec<_>>().join("\n"));
        }
    }
}

/// Takes the log in as it is written, so that the box never waits for its reader.
async fn read(stderr: ChildStderr, told: watch::Sender<String>) {
    let mut lines = BufReader::new(stderr).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        told.send_modify(|log| {
            log.push_str(&line);
            log.push('\n');
        });
    }
}

/// All of 127.0.0.0/8 is this machine: an address for each box leaves it all ports of its own.
fn own_address() -> Ipv4Addr {
    static BOXES: AtomicU8 = AtomicU8::new(1);
    let [.., high, low] = std::process::id().to_be_bytes();
    // Not 127.0.x.x, where other programs listen.
    Ipv4Addr::new(127, 1 + high % 254, low, BOXES.fetch_add(1, Ordering::Relaxed))
}
