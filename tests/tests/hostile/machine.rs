//! A machine in the hands of somebody with root: its agent and its player are ended, and what speaks
//! in their place has the machine's own key and certificate, and with them the group's keys.
//!
//! ```text
//!   control connection ─▶ grant ─▶ Forge ─▶ Wire ─▶ group, in its own name and in the box's
//!        ▲   group ─────────────────▲  └───────────▶ box, in its own name and in the others'
//!        └─ Line, what it says of itself and of others
//! ```
//!
//! It sends twice the bytes that it hears, in bursts.

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use alfarid_agent::identity::StateDir;
use alfarid_protocol::{
    control::{FromMachine, Report},
    grant::Grant,
    rung::Rung,
};
use alfarid_stream::{
    feedback::{Feedback, Loss, Request, Sealer},
    transmit::HEADERS,
};
use anyhow::{Context, Result, anyhow};
use classroom::{
    ears::{Ears, Heard, To},
    host::Host,
    line::{self, Told},
    network::BOX_ADDRESS,
    school::{School, Seat},
};
use nix::time::{ClockId, clock_gettime};
use tokio::{sync::mpsc, time::timeout};

use crate::{SECONDS, forge::Forge, wire::Wire};

/// The daemon's port for agents.
const AGENTS: u16 = 8444;
/// Full: the test fails, for it would no longer know what the box says.
const HEARS: usize = 1_024;
/// Full: what it says is dropped. The connection is no part of what is judged.
const SAYS: usize = 64;
/// Where a machine's words are numbered, behind their kind and whose they are.
const COUNTER: std::ops::Range<usize> = 5..13;
/// Twice what it hears it saves up for so long.
const BURST: Duration = Duration::from_millis(50);
const WAIT: Duration = Duration::from_millis(5);

/// What it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Conduct {
    /// Listens, as the others do.
    Calm,
    /// Sends what only the box and the other machines may.
    Forges,
    /// Beside that it says of itself what is not true, over and over.
    Lies,
    Leaves,
}

impl Conduct {
    fn of(byte: u8) -> Self {
        [Self::Calm, Self::Forges, Self::Lies]
            .into_iter()
            .find(|conduct| *conduct as u8 == byte)
            .unwrap_or(Self::Leaves)
    }
}

/// What went out.
#[derive(Debug, Default)]
struct Sent {
    heard_bytes: AtomicU64,
    bytes: AtomicU64,
    datagrams: AtomicU64,
}

#[derive(Debug)]
pub(crate) struct Hostile {
    conduct: Arc<AtomicU8>,
    sent: Arc<Sent>,
    thread: JoinHandle<Result<()>>,
    line: tokio::task::JoinHandle<Result<()>>,
}

impl Hostile {
    /// Takes over the machine of this seat. Returns when it has the group's key.
    pub(crate) async fn take_over(
        school: &School,
        seat: &Seat,
        picture: Vec<Vec<u8>>,
    ) -> Result<Self> {
        let player = seat.player.iter();
        for process in player.chain([&seat.agent]) {
            process.terminate().await?;
        }
        let identity = Arc::new(StateDir::new(seat.agent_state()).load()?);
        let (hears, mut told) = mpsc::channel(HEARS);
        let (say, said) = mpsc::channel(SAYS);
        let address = format!("{BOX_ADDRESS}:{AGENTS}");
        let line = seat.host.runtime().spawn(line::hold(0, address, identity, hears, said));
        let grant = timeout(SECONDS(20), granted(&mut told)).await.context("a grant")??;
        let addresses = school.seats.iter().map(|other| other.host.address());
        let others = addresses.filter(|address| *address != seat.host.address());
        let (conduct, tally) = (Arc::new(AtomicU8::new(Conduct::Calm as u8)), Arc::default());
        let mut attack = Attack {
            others: others.collect(),
            ..Attack::open(&seat.host, grant, picture, say).await?
        };
        attack.sent = Arc::clone(&tally);
        let does = Arc::clone(&conduct);
        let thread = std::thread::Builder::new()
            .name("hostile".to_owned())
            .spawn(move || attack.run(&does, &mut told))?;
        Ok(Self { conduct, sent: tally, thread, line })
    }

    /// Behaves like this from now on.
    pub(crate) fn behave(&self, conduct: Conduct) {
        self.conduct.store(conduct as u8, Ordering::Relaxed);
    }

    /// Datagrams, and for each byte that it heard while it sent, how many.
    pub(crate) fn sent(&self) -> (u64, f64) {
        let read = |of: &AtomicU64| of.load(Ordering::Relaxed);
        let [datagrams, bytes, heard] =
            [&self.sent.datagrams, &self.sent.bytes, &self.sent.heard_bytes].map(read);
        #[expect(clippy::cast_precision_loss, reason = "megabytes")]
        let share = bytes as f64 / heard.max(1) as f64;
        (datagrams, share)
    }

    pub(crate) async fn leave(self) -> Result<()> {
        self.behave(Conduct::Leaves);
        let thread = self.thread;
        let ended = tokio::task::spawn_blocking(move || thread.join()).await?;
        ended.map_err(|_| anyhow!("the hostile machine's thread panicked"))??;
        match self.line.await? {
            Ok(()) => println!("the box kept the hostile machine's connection to the end"),
            Err(error) => println!("the box ended the hostile machine's connection: {error:#}"),
        }
        Ok(())
    }
}

async fn granted(told: &mut mpsc::Receiver<(usize, Told)>) -> Result<Grant> {
    loop {
        match told.recv().await.context("the box ended the connection")?.1 {
            Told::Grant(grant) if grant.video.is_some() && grant.audio.is_some() => {
                return Ok(grant);
            }
            _ => {}
        }
    }
}

struct Attack {
    forge: Forge,
    ears: Ears,
    wire: Wire,
    /// Seals what is said in this machine's own name.
    sealer: Sealer,
    say: mpsc::Sender<FromMachine>,
    others: Vec<Ipv4Addr>,
    sent: Arc<Sent>,
    credit: usize,
    turn: usize,
    /// What it once said itself.
    own: Vec<bytes::Bytes>,
}

impl Attack {
    async fn open(
        host: &Host,
        grant: Grant,
        picture: Vec<Vec<u8>>,
        say: mpsc::Sender<FromMachine>,
    ) -> Result<Self> {
        let (on, of) = (host.address(), grant.clone());
        let opened = host.enter(async move {
            let ears = Ears::open(&of, on, 1)?;
            anyhow::Ok((ears, Wire::open(on)?))
        });
        let (ears, wire) = opened.await??;
        let sealer = Sealer::new(grant.serial, grant.protection.feedback_key.bytes())?;
        let forge = Forge::new(grant, picture)?;
        Ok(Self {
            forge,
            ears,
            wire,
            sealer,
            say,
            others: Vec::new(),
            sent: Arc::default(),
            credit: 0,
            turn: 0,
            own: Vec::new(),
        })
    }

    fn run(mut self, conduct: &AtomicU8, told: &mut mpsc::Receiver<(usize, Told)>) -> Result<()> {
        let mut heard = Vec::new();
        let mut next_burst = now();
        loop {
            let conduct = Conduct::of(conduct.load(Ordering::Relaxed));
            if conduct == Conduct::Leaves {
                return Ok(());
            }
            // What the box says further is of no use to it: it has the key.
            while told.try_recv().is_ok() {}
            self.ears.wait(WAIT)?;
            self.ears.hear(&mut heard)?;
            for heard in heard.drain(..) {
                let Heard { to: To::All(lane), datagram, .. } = heard else { continue };
                self.forge.hear(lane, &datagram);
                if conduct != Conduct::Calm {
                    let bytes = datagram.len() + HEADERS;
                    self.credit += 2 * bytes;
                    self.sent.heard_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
                }
            }
            if conduct != Conduct::Calm && now() >= next_burst {
                next_burst = now() + BURST;
                self.burst(conduct)?;
            }
        }
    }

    /// Spends what it has. What the kernel does not take is gone.
    fn burst(&mut self, conduct: Conduct) -> Result<()> {
        while self.credit > 2 * 4_096 {
            self.turn += 1;
            if self.turn.is_multiple_of(4) {
                self.speak_to_the_box(conduct)?;
                continue;
            }
            for (lane, datagram) in self.forge.next() {
                let grant = &self.forge.grant;
                let to = SocketAddrV4::new(grant.group, grant.port + lane.offset());
                let in_the_box_s_name = self.turn % 4 != 1;
                let from = SocketAddrV4::new(grant.source, grant.protection.repair_port);
                self.spend(datagram.len());
                let _ = if in_the_box_s_name {
                    self.wire.spoof(from, to, &datagram)
                } else {
                    self.wire.send(to, &datagram)
                };
            }
        }
        if conduct == Conduct::Lies {
            for said in self.lies() {
                let _ = self.say.try_send(said);
            }
        }
        Ok(())
    }

    fn spend(&mut self, length: usize) {
        self.credit = self.credit.saturating_sub(length + HEADERS);
        self.sent.bytes.fetch_add((length + HEADERS) as u64, Ordering::Relaxed);
        self.sent.datagrams.fetch_add(1, Ordering::Relaxed);
    }

    /// To where machines are heard: in the name of others, once more, and without any sense. Beside
    /// that it asks for everything, and complains of everything, in its own name.
    fn speak_to_the_box(&mut self, conduct: Conduct) -> Result<()> {
        let grant = self.forge.grant.clone();
        let to = SocketAddrV4::new(grant.source, grant.protection.repair_port);
        let (own, others) = (self.wire.address(), self.others.len() as u64);
        let other = usize::try_from(self.forge.below(others.max(1)))?;
        let from = self.others.get(other).copied().unwrap_or(own);
        let block = self.forge.block();
        let wanted = (0..32).map(|n| block.saturating_sub(n));
        let round = u8::try_from(self.turn / 16 % 7)?;
        let feedback = Feedback {
            newest_block: block,
            requests: wanted.clone().map(|block| Request { block, deficit: 65, round }).collect(),
            losses: wanted.map(|block| Loss { block, missing: 65 }).collect(),
            received: 1,
            lost: u32::MAX,
        };
        let datagram = match (self.turn / 4) % 4 {
            // One that the box gives, or gave, or will give to another.
            0 => {
                let serial = u32::try_from(self.forge.below(u64::from(grant.serial) + 4))?;
                let other = if serial == grant.serial { serial + 1 } else { serial };
                let own_key = grant.protection.feedback_key.bytes();
                let mut sealed = Sealer::new(other, own_key)?.seal(&feedback)?.to_vec();
                // Above whatever the other has said so far.
                sealed[COUNTER].copy_from_slice(&(1_u64 << 40).to_be_bytes());
                sealed.into()
            }
            1 if conduct == Conduct::Lies => {
                let sealed = self.sealer.seal(&feedback)?;
                self.own.push(sealed.clone());
                sealed
            }
            1 | 2 if !self.own.is_empty() => {
                let at = usize::try_from(self.forge.below(self.own.len() as u64))?;
                self.own[at].clone()
            }
            1 | 2 => {
                // It must have said something once, to say it again.
                let nothing = Feedback { newest_block: block, ..Feedback::default() };
                let sealed = self.sealer.seal(&nothing)?;
                self.own.push(sealed.clone());
                sealed
            }
            _ => {
                let length = usize::try_from(1 + self.forge.below(400))?;
                let mut noise = self.forge.noise(length);
                noise[0] = 4 + (noise[0] & 1);
                noise.into()
            }
        };
        self.own.truncate(64);
        self.spend(datagram.len());
        let _ = match self.turn / 4 % 2 {
            0 => self.wire.spoof(SocketAddrV4::new(from, 40_000), to, &datagram),
            _ => self.wire.send(to, &datagram),
        };
        Ok(())
    }

    /// By the control connection: of itself what is not true, and of others what is not its own to
    /// say. That it is late it does not say: for that a class waits, up to a quarter of a second.
    fn lies(&mut self) -> Vec<FromMachine> {
        let (serial, lesson) = (self.forge.grant.serial, self.forge.grant.lesson);
        let report = |serial| {
            FromMachine::Report(Report {
                serial,
                packets_received: 1,
                packets_lost: u64::MAX,
                wants_keyframe: true,
                player: true,
                ..Report::default()
            })
        };
        let kept = |serial| FromMachine::WantKept {
            serial,
            video_from: Some(u64::MAX),
            audio_from: Some(0),
        };
        vec![
            report(serial),
            report(serial.wrapping_sub(1)),
            kept(serial),
            kept(serial.wrapping_sub(1)),
            FromMachine::HasEpoch { lesson, number: u32::MAX },
            FromMachine::Rung { serial, rung: Rung::Unicast, cause: None },
            FromMachine::Rung { serial: serial.wrapping_sub(1), rung: Rung::Tunnel, cause: None },
        ]
    }
}

fn now() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Into::into)
}
