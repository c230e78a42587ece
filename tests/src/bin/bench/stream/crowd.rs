//! Fifty machines in two threads. What the box sends to the group arrives once in each thread and
//! is carried to each machine through its own network; what it sends to one machine has a socket of
//! its own.
//!
//! ```text
//!   group ─ 3 sockets ─┬─▶ witness: what went on air
//!                      └─▶ × machines: downlink ─▶ agenda ─▶ machine ─▶ uplink ─▶ own socket ─▶ box
//!   own socket ────────────▶ downlink of that machine
//! ```
//!
//! The control connections are tasks beside it (see [`line`]).
//!
//! In a classroom each machine has processors of its own, and here fifty share two: each goes by
//! the time when a datagram comes to it and not by when its thread gets to that. So what a machine
//! itself takes counts as nothing, and what the box signed is checked once for all of a thread.
//! What machines say leaves by the true time: as long as a thread is behind by less than the way to
//! the box takes, the box hears every machine in time. How far behind it was [`Run::tell`] tells.
//!
//! [`Run::tell`]: super::run::Run::tell

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use alfarid_protocol::{control::FromMachine, grant::Grant};
use alfarid_stream::block::VerifyingKey;
use anyhow::{Context, Result, anyhow, ensure};
use bytes::Bytes;
use classroom::{
    ears::{Ears, Heard, To},
    line::{self, Told},
    until::eventually,
};
use nix::time::{ClockId, clock_gettime};
use tokio::{sync::mpsc, time::timeout};

use super::{
    class::Class,
    machine::{By, Machine, Seen},
    weather::Place,
    witness::Witness,
};

/// What the box says to all machines at once, a few times over. Full: the run fails, for a machine
/// would miss what it was told.
const HEARS: usize = 1_024;
/// What one machine says waits here for its connection. Full: dropped, as its agent does; the next
/// report says the same.
const SAYS: usize = 64;
/// Bringing back what fifty machines lost takes most of a core: one thread would be behind after
/// each block, and all of its machines with it.
const THREADS: usize = 2;
/// What comes to a machine within so long it takes in at once; its timers are no finer.
const STEP: Duration = Duration::from_micros(500);
/// Grants are waited for at least so often.
const LONGEST_WAIT: Duration = Duration::from_millis(5);
const LIMIT: Duration = Duration::from_secs(30);

/// A crowd that receives a lesson.
#[derive(Debug)]
pub(super) struct Crowd {
    threads: Vec<JoinHandle<Result<Outcome>>>,
    stop: Stop,
    lines: Vec<tokio::task::JoinHandle<Result<()>>>,
}

/// Lets the threads go, however it ends: what is measured next needs the cores.
#[derive(Debug, Default)]
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What a crowd saw.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) witness: Witness,
    pub(super) machines: Vec<Seen>,
    /// Processor time of the crowd's threads.
    pub(super) cpu: Duration,
    /// When each word of a machine was due at the box, and how late it left for it because its
    /// thread was behind.
    pub(super) behind: Vec<(Duration, Duration)>,
}

impl Crowd {
    /// Lets as many machines of the class join the lesson that is on air. Returns when each has its
    /// first picture.
    pub(super) async fn gather(class: &Class, places: &[Place]) -> Result<Self> {
        let watching = Arc::new(AtomicUsize::new(0));
        let mut crowd = Self { threads: Vec::new(), stop: Stop::default(), lines: Vec::new() };
        let each = places.len().div_ceil(THREADS).max(1);
        for (hall, places) in places.chunks(each).enumerate() {
            crowd.seat(class, hall * each, places, &watching).await?;
        }
        eventually("each machine has a picture", LIMIT, async || {
            let (watching, count) = (watching.load(Ordering::Relaxed), places.len());
            ensure!(watching == count, "{watching} of {count} have one");
            Ok(())
        })
        .await?;
        Ok(crowd)
    }

    /// Gives these machines, of which the first is the class's machine `first`, a thread.
    async fn seat(
        &mut self,
        class: &Class,
        first: usize,
        places: &[Place],
        watching: &Arc<AtomicUsize>,
    ) -> Result<()> {
        let count = places.len();
        let (hears, mut told) = mpsc::channel(HEARS);
        let mut says = Vec::new();
        for (number, identity) in class.identities.iter().enumerate().skip(first).take(count) {
            let (say, said) = mpsc::channel(SAYS);
            let (address, identity) = (class.address.clone(), Arc::clone(identity));
            let line = line::hold(number, address, identity, hears.clone(), said);
            self.lines.push(class.host.runtime().spawn(line));
            says.push(say);
        }
        let mut early = Vec::new();
        let grant =
            timeout(LIMIT, first_grant(&mut told, &mut early)).await.context("a grant")??;
        let (on, of, begins) = (class.host.address(), grant.clone(), now());
        let ears = class.host.enter(async move { Ears::open(&of, on, count) }).await??;
        let signer = VerifyingKey::new(&grant.protection.signer)?.shared();
        let mut hall = Hall {
            first,
            machines: places.iter().map(|place| Machine::new(place, on, signer.clone())).collect(),
            witness: Witness::new(&grant)?,
            ears,
            told,
            says,
            agenda: BTreeMap::new(),
            planned: 0,
            words: BTreeMap::new(),
            behind: Vec::new(),
            watching: Arc::clone(watching),
        };
        for (number, told) in early {
            hall.tell(begins, number, told)?;
        }
        let stopped = Arc::clone(&self.stop.0);
        let thread = std::thread::Builder::new()
            .name("crowd".to_owned())
            .spawn(move || hall.receive(&stopped))?;
        self.threads.push(thread);
        Ok(())
    }

    /// Ends it, and tells what was seen.
    pub(super) async fn leave(self) -> Result<Outcome> {
        drop(self.stop);
        let threads = self.threads.into_iter();
        let join = move || threads.map(JoinHandle::join).collect::<Vec<_>>();
        let mut outcome: Option<Outcome> = None;
        for joined in tokio::task::spawn_blocking(join).await? {
            let joined = joined.map_err(|_| anyhow!("a thread of the crowd panicked"))??;
            match &mut outcome {
                Some(outcome) => outcome.add(joined),
                None => outcome = Some(joined),
            }
        }
        for line in self.lines {
            line.await??;
        }
        outcome.context("a crowd")
    }
}

impl Outcome {
    /// What went on air was the same.
    fn add(&mut self, other: Self) {
        self.machines.extend(other.machines);
        self.cpu += other.cpu;
        self.behind.extend(other.behind);
    }
}

/// Waits for the first grant with a picture; what is told meanwhile goes to `early`.
async fn first_grant(
    told: &mut mpsc::Receiver<(usize, Told)>,
    early: &mut Vec<(usize, Told)>,
) -> Result<Grant> {
    loop {
        let (number, first) = told.recv().await.context("the machines' connections ended")?;
        let grant = match &first {
            Told::Grant(grant) if grant.video.is_some() => Some(grant.clone()),
            _ => None,
        };
        early.push((number, first));
        if let Some(grant) = grant {
            return Ok(grant);
        }
    }
}

#[derive(Debug)]
enum Event {
    Arrive(usize, By, Bytes),
    Look(usize),
}

struct Hall {
    /// The number of the first machine within the class.
    first: usize,
    machines: Vec<Machine>,
    witness: Witness,
    ears: Ears,
    told: mpsc::Receiver<(usize, Told)>,
    says: Vec<mpsc::Sender<FromMachine>>,
    /// By time; at the same time in the order of planning.
    agenda: BTreeMap<(Duration, u64), Event>,
    planned: u64,
    /// What machines said and when it is at the box; at the same time in the order of planning.
    words: BTreeMap<(Duration, u64), (usize, Bytes)>,
    behind: Vec<(Duration, Duration)>,
    /// Machines that have had a picture.
    watching: Arc<AtomicUsize>,
}

impl Hall {
    fn receive(mut self, stop: &AtomicBool) -> Result<Outcome> {
        let mut heard = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            // A whole step gathers first.
            let event = self.next_event().map(|at| at + STEP);
            let word = self.words.first_key_value().map(|((at, _), _)| *at);
            let due = event.into_iter().chain(word).min().map(|at| at.saturating_sub(now()));
            self.ears.wait(due.unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT))?;
            // What is not heard below comes after this, and the wire takes longer than the kernel.
            let until = now();
            self.ears.hear(&mut heard)?;
            for heard in heard.drain(..) {
                self.on_air(heard)?;
            }
            self.keep_agenda(until)?;
            // Last: a machine that was told something now must not receive what came before.
            while let Ok((number, told)) = self.told.try_recv() {
                self.tell(until, number, told)?;
            }
        }
        Ok(Outcome {
            witness: self.witness,
            machines: self.machines.into_iter().map(|machine| machine.seen).collect(),
            cpu: clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into(),
            behind: self.behind,
        })
    }

    /// `number`: within the class.
    fn tell(&mut self, now: Duration, number: usize, told: Told) -> Result<()> {
        let number = number.checked_sub(self.first).context("a machine of this thread")?;
        self.witness.hear(&told)?;
        self.machine(number)?.hear(now, told)?;
        self.run(now, number)
    }

    fn on_air(&mut self, heard: Heard) -> Result<()> {
        let Heard { at, to, datagram } = heard;
        match to {
            To::All(lane) => {
                let source = self.witness.see(at, lane, &datagram)?;
                for number in 0..self.machines.len() {
                    for there in self.machine(number)?.carry(at, source) {
                        self.plan(there, Event::Arrive(number, By::Group, datagram.clone()));
                    }
                }
            }
            To::One(number) => {
                for there in self.machine(number)?.carry_alone(at) {
                    self.plan(there, Event::Arrive(number, By::Flow, datagram.clone()));
                }
            }
        }
        Ok(())
    }

    fn plan(&mut self, at: Duration, event: Event) {
        let place = self.place(at);
        self.agenda.insert(place, event);
    }

    /// Behind what was planned for the same time.
    fn place(&mut self, at: Duration) -> (Duration, u64) {
        self.planned += 1;
        (at, self.planned)
    }

    fn next_event(&self) -> Option<Duration> {
        self.agenda.first_key_value().map(|((at, _), _)| *at)
    }

    /// Does everything that is due by `until`, each at its own time.
    fn keep_agenda(&mut self, until: Duration) -> Result<()> {
        self.speak()?;
        while let Some(first) = self.next_event().filter(|at| *at <= until) {
            for (number, at) in self.step(until.min(first + STEP))? {
                self.run(at, number)?;
            }
            self.speak()?;
        }
        Ok(())
    }

    /// Each machine takes in what arrives in one step. Gives those that something came to, and when
    /// the last of it did.
    fn step(&mut self, until: Duration) -> Result<BTreeMap<usize, Duration>> {
        let mut awake = BTreeMap::new();
        while let Some(entry) = self.agenda.first_entry() {
            let (at, _) = *entry.key();
            if at > until {
                break;
            }
            let number = match entry.remove() {
                Event::Arrive(number, by, datagram) => {
                    self.machine(number)?.push(at, by, datagram);
                    number
                }
                Event::Look(number) => {
                    self.machine(number)?.planned.take_if(|planned| *planned <= at);
                    number
                }
            };
            awake.insert(number, at);
        }
        Ok(awake)
    }

    /// Says to the box what is due there.
    fn speak(&mut self) -> Result<()> {
        let now = now();
        while let Some(entry) = self.words.first_entry().filter(|entry| entry.key().0 <= now) {
            let (at, _) = *entry.key();
            let (number, datagram) = entry.remove();
            self.ears.speak(number, &datagram)?;
            self.behind.push((at, now.saturating_sub(at)));
        }
        Ok(())
    }

    fn run(&mut self, now: Duration, number: usize) -> Result<()> {
        let machine = self.machines.get_mut(number).context("a machine of the crowd")?;
        let had = machine.seen.pictures.is_empty();
        let mut arrivals = Vec::new();
        for word in machine.run(now) {
            arrivals.extend(machine.utter(now).into_iter().map(|at| (at, word.clone())));
        }
        let new = had && !machine.seen.pictures.is_empty();
        self.watching.fetch_add(usize::from(new), Ordering::Relaxed);
        for said in machine.says.drain(..) {
            let _ = self.says.get(number).context("its line")?.try_send(said);
        }
        let at = machine.next_timeout().map(|at| at.max(now + STEP));
        let at = at.filter(|at| machine.planned.is_none_or(|planned| *at < planned));
        if at.is_some() {
            machine.planned = at;
        }
        for (at, word) in arrivals {
            let place = self.place(at);
            self.words.insert(place, (number, word));
        }
        if let Some(at) = at {
            self.plan(at, Event::Look(number));
        }
        Ok(())
    }

    fn machine(&mut self, number: usize) -> Result<&mut Machine> {
        self.machines.get_mut(number).context("a machine of the crowd")
    }
}

/// `CLOCK_BOOTTIME`, as the box's own: what its heartbeats say can be compared.
pub(super) fn now() -> Duration {
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Into::into)
}
