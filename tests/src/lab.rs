//! The one thread that every command is run from and every child is started from, and the reason
//! why nothing outlives a classroom.
//!
//! Namespaces belong to threads. This thread leaves the machine's own behind:
//!
//! ```text
//!   the test's process             the lab thread
//!   ──────────────────   ───────────────────────────────────────
//!   network namespace    an empty one, from which hosts are wired
//!   mounts               private; own /run (and in it /run/netns), /dev/shm, /tmp/.X11-unix, /proc
//!   process ids          children live in a namespace of their own; its init holds a pipe to us
//! ```
//!
//! - However the test ends, SIGKILL included, the pipe closes, init ends, and the kernel kills
//!   every process in the namespace: Chromium's grandchildren too. With the last of them go the
//!   network namespaces, whose names exist in the lab's `/run` alone.
//! - Under that `/run` there is no system bus, no logind and no journal of this machine, so
//!   nothing in the lab can talk to them.
//! - A thread whose children live in another process-id namespace can start no threads (`clone(2)`
//!   answers EINVAL), so host runtimes are threads of their own which are handed an open
//!   namespace.
//!
//! A job blocks its caller until it is done; jobs are short (a command, a spawn).
//!
//! One lab is open at a time in a process: whoever opens another waits until it is closed, so
//! classrooms do not take each other's processor, however many threads the tests have.

use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
    sync::{
        Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
};

use anyhow::{Context, Result, anyhow, bail};
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};

/// Callers wait for their own job anyway, so a full queue only makes them wait a little earlier.
const QUEUE: usize = 16;

/// Own, empty trees in place of this machine's. X servers meet their clients in /tmp/.X11-unix.
const OWN_TREES: [&str; 3] = ["/run", "/dev/shm", "/tmp/.X11-unix"];

/// Process 1 of the lab. A shell, since it takes in orphans and lets them go; it says that its
/// /proc is there, then waits until our end of its standard input is closed.
const INIT: &str = "mount -n -t proc proc /proc && echo ready && read -r _";

/// Held by the thread of the lab that is open.
static OPEN: Mutex<()> = Mutex::new(());

type Job = Box<dyn FnOnce() + Send>;

#[derive(Debug)]
pub struct Lab {
    thread: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    jobs: SyncSender<Job>,
    thread: JoinHandle<()>,
}

impl Lab {
    /// Waits until no other lab is open here. Needs root: fails where the namespaces cannot be
    /// made.
    pub fn open() -> Result<Self> {
        let (jobs, queue) = sync_channel(QUEUE);
        let (opened, is_open) = sync_channel(1);
        let thread = thread::Builder::new()
            .name("lab".to_owned())
            .spawn(move || live(&opened, &queue))
            .context("start the lab thread")?;
        is_open.recv().context("the lab thread ended before it began")??;
        Ok(Self { thread: Mutex::new(Some(Running { jobs, thread })) })
    }

    /// Runs `job` on the lab thread and waits for it. Fails once the lab is closed.
    pub fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let (done, result) = sync_channel(1);
        let job: Job = Box::new(move || {
            // The caller waits; only a panic of its own keeps it from taking the result.
            let _ = done.send(job());
        });
        self.jobs()?.send(job).map_err(|_| closed())?;
        result.recv().map_err(|_| closed())
    }

    /// Runs a command to its end with `input` on its standard input (small: it is written before
    /// anything is read); returns what it printed, or fails with what it complained of.
    pub fn command(&self, mut command: Command, input: &str) -> Result<Vec<u8>> {
        let input = input.to_owned();
        self.run(move || {
            let name = format!("{command:?}");
            run_to_end(&mut command, &input).with_context(|| format!("run {name}"))
        })?
    }

    /// Opens a network namespace by its name, which only the lab thread sees.
    pub fn open_namespace(&self, name: &str) -> Result<File> {
        let path = format!("/run/netns/{name}");
        let shown = path.clone();
        self.run(move || File::open(path))?.with_context(|| format!("open {shown}"))
    }

    /// Ends init and all that still runs. The caller has ended its own children: the kernel does
    /// not let init go before those are reaped.
    pub fn close(&self) {
        let Ok(mut running) = self.thread.lock() else { return };
        if let Some(Running { jobs, thread }) = running.take() {
            drop(jobs);
            let _ = thread.join();
        }
    }

    fn jobs(&self) -> Result<SyncSender<Job>> {
        let running = self.thread.lock().map_err(|_| closed())?;
        Ok(running.as_ref().ok_or_else(closed)?.jobs.clone())
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.close();
    }
}

fn closed() -> anyhow::Error {
    anyhow!("the lab is closed")
}

/// The thread's whole life.
fn live(opened: &SyncSender<Result<()>>, queue: &Receiver<Job>) {
    let _alone = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut init = match leave_the_machine() {
        Ok(init) => init,
        Err(error) => {
            let _ = opened.send(Err(error));
            return;
        }
    };
    let _ = opened.send(Ok(()));
    for job in queue {
        job();
    }
    drop(init.stdin.take());
    let _ = init.wait();
}

/// Gives the calling thread the namespaces drawn above, and returns init.
fn leave_the_machine() -> Result<Child> {
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID)
        .context("make the lab's namespaces (is this root?)")?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_PRIVATE | MsFlags::MS_REC, None::<&str>)
        .context("make the lab's mounts private")?;
    for tree in OWN_TREES {
        std::fs::create_dir_all(tree)?;
        mount(Some("lab"), tree, Some("tmpfs"), MsFlags::empty(), Some("mode=1777"))
            .with_context(|| format!("mount an own {tree}"))?;
    }
    std::fs::create_dir("/run/netns")?;
    start_init()
}

fn start_init() -> Result<Child> {
    let mut init = Command::new("bash")
        .args(["-c", INIT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("start the lab's init")?;
    let mut ready = String::new();
    if let Some(stdout) = init.stdout.take() {
        BufReader::new(stdout).read_line(&mut ready)?;
    }
    if ready.trim_end() != "ready" {
        bail!("the lab's init did not come up");
    }
    Ok(init)
}

/// Names this thread's next children's host, in a UTS namespace that they alone are in.
///
/// Runs on the lab thread.
pub(crate) fn take_hostname(name: &str) -> Result<()> {
    unshare(CloneFlags::CLONE_NEWUTS).context("make a UTS namespace")?;
    std::fs::write("/proc/sys/kernel/hostname", name).context("name the host")
}

fn run_to_end(command: &mut Command, input: &str) -> Result<Vec<u8>> {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim_end());
    }
    Ok(output.stdout)
}
