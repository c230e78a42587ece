//! The real binaries as processes that end with the test.

use std::{
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};

use alfarid_protocol::token::SiteToken;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use crate::within;

pub(crate) const AGENT: &str = env!("CARGO_BIN_EXE_alfarid-agent");
pub(crate) const PLAYER: &str = env!("CARGO_BIN_EXE_alfarid-player");

/// A started binary. Killed when dropped.
pub(crate) struct Process {
    child: Child,
    stdout: Lines<BufReader<ChildStdout>>,
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, stdout }
    }

    /// The service as systemd would start it, but that it asks neither logind nor mDNS.
    pub(crate) fn agent(state: &Path, runtime: &Path) -> Self {
        Self::start(
            Command::new(AGENT)
                .arg("run")
                .args(["--no-logind", "--no-discovery", "--checkpoint-ms", "200"])
                .arg("--state")
                .arg(state)
                .arg("--runtime")
                .arg(runtime),
        )
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id().unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.id().cast_signed()), signal).unwrap();
    }

    /// Waits for the end; whether it was a good one.
    pub(crate) async fn ended(&mut self) -> bool {
        within("a process to end", self.child.wait()).await.unwrap().success()
    }

    /// The next line of standard output.
    pub(crate) async fn line(&mut self) -> String {
        within("a line of output", self.stdout.next_line()).await.unwrap().expect("no more output")
    }

    /// A line that was printed after this was called.
    pub(crate) async fn new_line(&mut self) -> String {
        let old = Duration::from_millis(50);
        while tokio::time::timeout(old, self.stdout.next_line()).await.is_ok() {}
        self.line().await
    }

    /// Reads lines until one is wanted.
    pub(crate) async fn line_if<T>(&mut self, what: &str, wanted: impl Fn(&str) -> Option<T>) -> T {
        within(what, async {
            loop {
                if let Some(found) = wanted(&self.line().await) {
                    return found;
                }
            }
        })
        .await
    }
}

/// Runs `alfarid-agent enrol` to its end, the token on its standard input.
pub(crate) async fn enrol(state: &Path, token: &SiteToken, arguments: &[&str]) -> Output {
    let mut child = Command::new(AGENT)
        .arg("enrol")
        .arg("--state")
        .arg(state)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // With --token-file nobody reads it.
    let _ = stdin.write_all(format!("{token}\n").as_bytes()).await;
    drop(stdin);
    within("the enrolment to end", child.wait_with_output()).await.unwrap()
}

pub(crate) fn message(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
