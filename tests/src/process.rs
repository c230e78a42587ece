//! A process on a host: what it prints, that it is up, how it ends.
//!
//! ```text
//!            spawn                 kill, terminate, or by itself
//!   (nothing) ──▶ running ──────────────────────────────▶ ended
//!                    ▲                 restart              │
//!                    └──────────────────────────────────────┘
//! ```
//!
//! Every line goes to memory (bounded) and to a file in the host's `logs`. An exit is known at
//! once, and whoever waits for a line of a process that is gone fails then, with what it printed
//! last, not at the end of the limit.

mod output;

use std::{
    process::{Command, ExitStatus},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    io::AsyncWriteExt,
    process::{Child, ChildStdin},
    sync::{mpsc, watch},
    task::JoinHandle,
    time::timeout,
};

pub use self::output::Line;
use self::output::{Output, Stream};
use crate::host::Host;

/// How long SIGTERM may take before it is a failure.
const TERMINATION: Duration = Duration::from_secs(15);

/// SIGKILL takes as long as the kernel needs to take the process apart.
const KILLING: Duration = Duration::from_secs(15);

/// A grandchild may hold the pipes for longer than the process lives: what it prints later is
/// still taken in, only the exit does not wait for it.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// How much of its output a failure shows.
const SHOWN_LINES: usize = 40;

/// A handle: clones are the same process.
#[derive(Clone, Debug)]
pub struct Process(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    host: Host,
    name: String,
    command: Command,
    output: Arc<Output>,
    run: Mutex<Run>,
}

/// One life of it.
#[derive(Debug)]
struct Run {
    pid: u32,
    /// The number of its first line.
    first_line: u64,
    /// A signal or two are under way at most; more wait.
    signals: mpsc::Sender<Signal>,
    /// `None` once closed. A talker waits while the process does not read.
    stdin: Option<mpsc::Sender<String>>,
    exit: watch::Receiver<Option<ExitStatus>>,
    /// Somebody asked for its end, or has seen it: it is no surprise.
    is_end_known: bool,
}

impl Process {
    pub(crate) fn start(host: &Host, name: &str, command: Command) -> Result<Self> {
        let output = Arc::new(Output::new(&host.dir().join("logs").join(format!("{name}.log")))?);
        let run = Run::begin(host, &command, &output)?;
        let (host, name) = (host.clone(), name.to_owned());
        Ok(Self(Arc::new(Inner { host, name, command, output, run: Mutex::new(run) })))
    }

    /// Host and name, as output is labelled.
    pub fn label(&self) -> String {
        format!("{}/{}", self.0.host.name(), self.0.name)
    }

    /// As this machine counts, so that /proc tells of it. It is the program's own: nothing stands
    /// in between.
    pub fn pid(&self) -> u32 {
        self.run().pid
    }

    /// `None` while it runs.
    pub fn exit_status(&self) -> Option<ExitStatus> {
        *self.run().exit.borrow()
    }

    /// Waits for a line of standard output or error of this life, printed already or to come.
    pub async fn wait_for_line(
        &self,
        is_it: impl FnMut(&str) -> bool,
        limit: Duration,
    ) -> Result<String> {
        self.lines().find(is_it, limit).await
    }

    /// The lines of this life from its beginning, as far as they are kept, then as they come.
    pub fn lines(&self) -> Lines {
        let next = self.run().first_line;
        Lines { process: self.clone(), next }
    }

    /// The lines from now on.
    pub fn new_lines(&self) -> Lines {
        Lines { process: self.clone(), next: self.0.output.count() }
    }

    /// Drives a future for as long as the process is up: fails at once when it ends.
    pub async fn while_up<T>(&self, future: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            result = future => result,
            status = self.ended() => Err(self.gone(status?)),
        }
    }

    /// Waits until it ends by itself.
    pub async fn wait_for_exit(&self, limit: Duration) -> Result<ExitStatus> {
        match timeout(limit, self.ended()).await {
            Ok(status) => {
                self.run().is_end_known = true;
                status
            }
            Err(_) => Err(self.complaint(&format!("did not end within {limit:?}"))),
        }
    }

    /// SIGTERM, and waits for the end.
    pub async fn terminate(&self) -> Result<ExitStatus> {
        self.end_by(Signal::SIGTERM, TERMINATION).await
    }

    /// SIGKILL, and waits for the end.
    pub async fn kill(&self) -> Result<ExitStatus> {
        self.end_by(Signal::SIGKILL, KILLING).await
    }

    /// Any other signal, to a process that is up.
    pub async fn signal(&self, signal: Signal) -> Result<()> {
        let signals = self.run().signals.clone();
        let sent = signals.send(signal).await;
        sent.map_err(|_| self.complaint(&format!("had ended before {signal}")))
    }

    /// The same command again, after SIGKILL if it still runs.
    pub async fn restart(&self) -> Result<()> {
        self.kill().await?;
        let run = Run::begin(&self.0.host, &self.0.command, &self.0.output)?;
        *self.run() = run;
        Ok(())
    }

    /// Writes a line to its standard input.
    pub async fn say(&self, line: &str) -> Result<()> {
        let stdin = self.run().stdin.clone();
        let stdin = stdin.with_context(|| format!("{}'s input is closed", self.label()))?;
        let sent = stdin.send(format!("{line}\n")).await;
        sent.map_err(|_| self.complaint("reads no more"))
    }

    /// Ends its standard input once all that was said is written.
    pub fn close_stdin(&self) {
        self.run().stdin = None;
    }

    /// What it printed last and how it is, for people.
    pub fn story(&self) -> String {
        let state = match self.exit_status() {
            Some(status) => format!("ended: {status}"),
            None => "running".to_owned(),
        };
        let lines = self.0.output.last(SHOWN_LINES);
        format!("── {} ({state}) ──\n{lines}", self.label())
    }

    /// Whether it failed by itself and nobody looked.
    pub(crate) fn failed_unseen(&self) -> bool {
        let run = self.run();
        !run.is_end_known && run.exit.borrow().is_some_and(|status| !status.success())
    }

    async fn end_by(&self, signal: Signal, limit: Duration) -> Result<ExitStatus> {
        let signals = {
            let mut run = self.run();
            run.is_end_known = true;
            run.signals.clone()
        };
        // It may end, or have ended, by itself: all the same.
        let _ = signals.send(signal).await;
        match timeout(limit, self.ended()).await {
            Ok(status) => status,
            Err(_) => Err(self.complaint(&format!("is still there {limit:?} after {signal}"))),
        }
    }

    async fn ended(&self) -> Result<ExitStatus> {
        let mut exit = self.run().exit.clone();
        let status = *exit.wait_for(Option::is_some).await.map_err(|_| self.lost())?;
        status.ok_or_else(|| self.lost())
    }

    fn gone(&self, status: ExitStatus) -> anyhow::Error {
        self.complaint(&format!("ended: {status}"))
    }

    /// The host's runtime ended first.
    fn lost(&self) -> anyhow::Error {
        anyhow!("{} went with its host", self.label())
    }

    fn complaint(&self, what: &str) -> anyhow::Error {
        anyhow!("{} {what}\n{}", self.label(), self.story())
    }

    fn run(&self) -> MutexGuard<'_, Run> {
        self.0.run.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in a process's output, moved on by what is found.
#[derive(Debug)]
pub struct Lines {
    process: Process,
    next: u64,
}

impl Lines {
    /// Waits for the next line that is it, and stands behind it then.
    pub async fn find(
        &mut self,
        mut is_it: impl FnMut(&str) -> bool,
        limit: Duration,
    ) -> Result<String> {
        let output = &self.process.0.output;
        let mut scan = || {
            let (found, next) = output.find(self.next, &mut is_it);
            self.next = next;
            found.map(|line| line.text)
        };
        let mut news = output.news();
        let search = async {
            loop {
                news.mark_unchanged();
                if let Some(line) = scan() {
                    return Ok(line);
                }
                tokio::select! {
                    changed = news.changed() => changed.map_err(|_| self.process.lost())?,
                    // All that it printed before its exit was known is scanned once more.
                    status = self.process.ended() => {
                        let status = status?;
                        return scan().ok_or_else(|| self.process.gone(status));
                    }
                }
            }
        };
        match timeout(limit, search).await {
            Ok(found) => found,
            Err(_) => bail!(self.process.complaint(&format!("printed no such line in {limit:?}"))),
        }
    }
}

impl Run {
    fn begin(host: &Host, command: &Command, output: &Arc<Output>) -> Result<Self> {
        let first_line = output.count();
        let mut child = host.start(command)?;
        let pid = child.id().context("it just started")?;
        let readers = [
            child.stdout.take().map(|out| output.follow(host.runtime(), Stream::Out, out)),
            child.stderr.take().map(|err| output.follow(host.runtime(), Stream::Err, err)),
        ];
        let (stdin, said) = mpsc::channel(16);
        if let Some(pipe) = child.stdin.take() {
            host.runtime().spawn(write(pipe, said));
        }
        let (signals, received) = mpsc::channel(2);
        let (exited, exit) = watch::channel(None);
        host.runtime().spawn(supervise(child, received, readers, exited));
        Ok(Self { pid, first_line, signals, stdin: Some(stdin), exit, is_end_known: false })
    }
}

/// Signals go by way of the task that reaps the child, so none meets a stranger with its number.
async fn supervise(
    mut child: Child,
    mut signals: mpsc::Receiver<Signal>,
    readers: [Option<JoinHandle<()>>; 2],
    exited: watch::Sender<Option<ExitStatus>>,
) {
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            Some(signal) = signals.recv() => {
                // Between its end and our wait there is nobody to signal.
                let _ = send(&child, signal);
            }
        }
    };
    let last_words = async {
        for reader in readers.into_iter().flatten() {
            let _ = reader.await;
        }
    };
    let _ = timeout(LAST_WORDS, last_words).await;
    // Dropped without a status, the channel tells that there will be none.
    if let Ok(status) = status {
        exited.send_replace(Some(status));
    }
}

fn send(child: &Child, signal: Signal) -> Result<()> {
    let pid = i32::try_from(child.id().context("it has ended")?)?;
    ensure!(pid > 0);
    Ok(kill(Pid::from_raw(pid), signal)?)
}

async fn write(mut stdin: ChildStdin, mut said: mpsc::Receiver<String>) {
    while let Some(line) = said.recv().await {
        if stdin.write_all(line.as_bytes()).await.is_err() {
            return;
        }
    }
}
