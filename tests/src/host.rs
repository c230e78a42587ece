//! A computer in the classroom: a network namespace, a directory, a runtime whose sockets are in
//! that namespace, and the processes that run on it.
//!
//! A `Host` is a handle: clones are the same computer. It works until its classroom is closed.

mod runtime;

use std::{
    fmt,
    net::Ipv4Addr,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, ensure};
use tokio::{io::AsyncWriteExt, task::AbortHandle, time::timeout};

use self::runtime::Runtime;
use crate::{
    faults::Faults,
    lab::{self, Lab},
    network,
    process::Process,
    scratch::Scratch,
    traffic::{Packet, Traffic, Watch},
};

/// Of this machine's environment, children see these and nothing else: no proxy, no display, no
/// `ALFARID_` of whoever runs the tests.
const ENVIRONMENT_KEPT: [&str; 4] = ["PATH", "RUST_BACKTRACE", "RUST_LOG", "TERM"];

#[derive(Clone)]
pub struct Host(Arc<Inner>);

struct Inner {
    name: String,
    address: Ipv4Addr,
    dir: PathBuf,
    lab: Arc<Lab>,
    runtime: Runtime,
    faults: Mutex<Faults>,
    clock_ahead: Mutex<Duration>,
    processes: Mutex<Vec<Process>>,
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Its processes know their host: the whole of it would have no end.
        f.debug_tuple("Host").field(&self.name()).finish()
    }
}

impl Host {
    pub(crate) fn plug_in(
        lab: &Arc<Lab>,
        scratch: &Scratch,
        name: &str,
        address: Ipv4Addr,
    ) -> Result<Self> {
        network::plug_in(lab, name, address)?;
        let namespace = lab.open_namespace(name)?;
        for dir in ["home", "tmp", "run", "logs"] {
            scratch.make(&format!("{name}/{dir}"))?;
        }
        Ok(Self(Arc::new(Inner {
            name: name.to_owned(),
            address,
            dir: scratch.path().join(name),
            lab: Arc::clone(lab),
            runtime: Runtime::start(name, namespace.into())?,
            faults: Mutex::default(),
            clock_ahead: Mutex::default(),
            processes: Mutex::default(),
        })))
    }

    pub fn name(&self) -> &str {
        &self.0.name
    }

    pub fn address(&self) -> Ipv4Addr {
        self.0.address
    }

    /// The host's own directory. `home`, `tmp`, `run` and `logs` in it are there, and are what its
    /// processes have as `HOME`, `TMPDIR` and `XDG_RUNTIME_DIR`.
    pub fn dir(&self) -> &Path {
        &self.0.dir
    }

    /// Starts a process that is to stay up; `name` is what its output is labelled with. Program,
    /// arguments, variables and directory of `command` count, its standard streams do not.
    ///
    /// The process sees of this machine's environment only PATH, TERM and Rust's own variables.
    pub fn spawn(&self, name: &str, command: Command) -> Result<Process> {
        let process = Process::start(self, name, command)?;
        self.all_processes().push(process.clone());
        Ok(process)
    }

    /// Runs a command to its end, `input` on its standard input. Its exit status is for the caller
    /// to judge. It is killed when it takes longer than `limit`.
    pub async fn run(&self, command: Command, input: &str, limit: Duration) -> Result<Output> {
        let name = format!("{command:?} on {}", self.name());
        let mut child = self.start(&command)?;
        let mut stdin = child.stdin.take().context("it has a standard input")?;
        let input = input.to_owned();
        let run = self.enter(async move {
            // A program that ends without reading is for its status to tell.
            let _ = stdin.write_all(input.as_bytes()).await;
            drop(stdin);
            child.wait_with_output().await
        });
        let output = timeout(limit, run).await;
        output.with_context(|| format!("{name} took longer than {limit:?}"))??.context(name)
    }

    /// Runs a command to its end, and fails unless it succeeds; returns what it printed.
    pub async fn run_well(&self, command: Command, input: &str, limit: Duration) -> Result<String> {
        let name = format!("{command:?} on {}", self.name());
        let output = self.run(command, input, limit).await?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{name}: {}: {}", output.status, complaint.trim_end());
        String::from_utf8(output.stdout).with_context(|| format!("{name} printed no UTF-8"))
    }

    /// Runs a future on this host: sockets opened in it are the host's, and stay so when handed
    /// out. The future ends when the caller stops waiting; a panic in it goes on in the caller.
    pub async fn enter<F>(&self, future: F) -> Result<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        struct AbortOnDrop(AbortHandle);
        impl Drop for AbortOnDrop {
            fn drop(&mut self) {
                self.0.abort();
            }
        }
        let task = self.runtime().spawn(future);
        let _abort = AbortOnDrop(task.abort_handle());
        task.await.map_err(|error| match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => anyhow!("{} is shut down", self.name()),
        })
    }

    /// The runtime whose sockets are this host's, for what is to run beside the test.
    pub fn runtime(&self) -> &tokio::runtime::Handle {
        self.0.runtime.handle()
    }

    /// Shows every IP packet on the host's wire to `see`, on the host's runtime.
    ///
    /// Not to be called on that runtime itself.
    pub fn watch_packets(&self, see: impl FnMut(&Packet<'_>) + Send + 'static) -> Result<Watch> {
        Watch::start(self.runtime(), Box::new(see))
    }

    /// Counts from now on.
    pub fn count_traffic(&self) -> Result<Traffic> {
        Traffic::count(self.runtime())
    }

    /// Loses that share of all IP packets, in and out, at random.
    pub fn lose_percent(&self, percent: f64) -> Result<()> {
        ensure!((0.0..=100.0).contains(&percent), "{percent} is no percentage");
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0 to 1000, as just checked"
        )]
        let loss_permille = (percent * 10.0).round() as u16;
        self.change_faults(|faults| faults.loss_permille = loss_permille)
    }

    /// Lets no multicast in, as a Wi-Fi does that gave up on it.
    pub fn cut_multicast(&self) -> Result<()> {
        self.change_faults(|faults| faults.is_multicast_cut = true)
    }

    /// Lets no UDP in or out, as a strict firewall does.
    pub fn cut_udp(&self) -> Result<()> {
        self.change_faults(|faults| faults.is_udp_cut = true)
    }

    /// Lets no more than so much come in.
    pub fn throttle(&self, kbps: u32) -> Result<()> {
        network::set_rate(&self.0.lab, self.name(), Some(kbps))
    }

    /// Takes [`Self::throttle`] back.
    pub fn unthrottle(&self) -> Result<()> {
        network::set_rate(&self.0.lab, self.name(), None)
    }

    /// Sets the clocks that count from the start of the machine ahead by whole seconds, for
    /// processes started from now on: each computer has its own, and the lab's have one kernel.
    pub fn set_clock_ahead(&self, by: Duration) {
        *self.0.clock_ahead.lock().unwrap_or_else(PoisonError::into_inner) = by;
    }

    pub fn clock_ahead(&self) -> Duration {
        *self.0.clock_ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes back losses and cuts. The cable is another matter: [`Self::plug`].
    pub fn restore(&self) -> Result<()> {
        self.change_faults(|faults| *faults = Faults::default())
    }

    /// Pulls the cable: the link is gone, address and routes stay.
    pub fn unplug(&self) -> Result<()> {
        network::set_carrier(&self.0.lab, self.name(), false)
    }

    pub fn plug(&self) -> Result<()> {
        network::set_carrier(&self.0.lab, self.name(), true)
    }

    /// Every process that was spawned here, ended ones too, in the order of their start.
    pub fn processes(&self) -> Vec<Process> {
        self.all_processes().clone()
    }

    /// Kills what runs and ends the runtime. Waits for both.
    pub(crate) fn shut_down(&self) {
        // Processes hold their host: taking them out is what lets go of both.
        let processes = std::mem::take(&mut *self.all_processes());
        self.0.runtime.stop(processes);
    }

    /// Starts a child in the host's namespaces, all three streams piped to the host's runtime.
    pub(crate) fn start(&self, command: &Command) -> Result<tokio::process::Child> {
        let mut wrapped = tokio::process::Command::from(self.wrap(command));
        let (handle, hostname) = (self.runtime().clone(), self.name().to_owned());
        let child = self.0.lab.run(move || {
            // Its pipes are polled by the host's runtime, though the lab thread starts it.
            let _context = handle.enter();
            lab::take_hostname(&hostname)?;
            anyhow::Ok(wrapped.kill_on_drop(true).spawn()?)
        })?;
        child.with_context(|| format!("start {command:?} on {}", self.name()))
    }

    /// `ip netns exec` gives the child the host's namespace and a /sys that tells of it, `unshare`
    /// a clock of its own. Each becomes the program in the end.
    fn wrap(&self, command: &Command) -> Command {
        let mut wrapped = Command::new("ip");
        wrapped.args(["netns", "exec", self.name()]);
        let ahead = self.clock_ahead().as_secs();
        if ahead > 0 {
            let ahead = ahead.to_string();
            wrapped.args(["unshare", "--time", "--monotonic", &ahead, "--boottime", &ahead]);
        }
        wrapped.arg(command.get_program());
        wrapped.args(command.get_args()).current_dir(self.dir()).env_clear();
        for name in ENVIRONMENT_KEPT {
            wrapped.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        wrapped.env("LANG", "C.UTF-8");
        for (name, dir) in [("HOME", "home"), ("TMPDIR", "tmp"), ("XDG_RUNTIME_DIR", "run")] {
            wrapped.env(name, self.dir().join(dir));
        }
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => wrapped.env(name, value),
                None => wrapped.env_remove(name),
            };
        }
        if let Some(dir) = command.get_current_dir() {
            wrapped.current_dir(dir);
        }
        wrapped.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Ctrl-C on a terminal is for the test, which then ends its children in order.
        wrapped.process_group(0);
        wrapped
    }

    fn all_processes(&self) -> MutexGuard<'_, Vec<Process>> {
        self.0.processes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change_faults(&self, change: impl FnOnce(&mut Faults)) -> Result<()> {
        let mut faults = self.0.faults.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut faults);
        let ends = [
            (self.name(), faults.rules()?),
            (network::SWITCH, faults.rules_of_switch(self.name())?),
        ];
        for (end, rules) in ends {
            let mut command = Command::new("ip");
            command.args(["netns", "exec", end, "nft", "-f", "-"]);
            self.0.lab.command(command, &rules)?;
        }
        Ok(())
    }
}
