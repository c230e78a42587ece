//! A protected lesson: one box, many machines behind bad networks, perhaps a hostile one among
//! them; in virtual time.
//!
//! ```text
//!   pictures, sound ─▶ Protect ─▶ Repair ─┬─ downlink ─▶ Restore ─┐  × receivers
//!                        ▲          ▲     ├─ downlink ─▶ ...      │
//!                        └──────────┴─────┴────── uplink ◀────────┘
//! ```
//!
//! Whatever happens, [`Lesson::hold`] checks that nothing leaves a machine that the box did not
//! send, and nothing twice.

mod figures;
mod hostile;
mod media;
mod plan;
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use aws_lc_rs::signature::Ed25519KeyPair;
use bytes::Bytes;

use self::{
    hostile::{Attack, Hostile},
    plan::Plan,
};
use super::{Network, Random, Weather};
use crate::{
    block::{Next, SigningKey, Tickets, VerifyingKey},
    feedback::Feedback,
    protect::Protect,
    repair::{Reach, Repair},
    restore::{Config, Restore, Verified},
    rtp::Header,
    transmit::{HEADERS, Lane, ReceiverId, To, Transmit},
};

pub(super) const VIDEO: u32 = 0x0051_dead;
pub(super) const SOUND: u32 = 0x0050_bead;

enum Event {
    Picture,
    Sound,
    Packet(Lane, usize, Header),
    Box,
    Machine(usize),
    Attack,
    ToMachine(usize, Bytes),
    ToBox(usize, Feedback),
}

/// A source packet as it was sent.
pub(super) struct Sent {
    pub at: Duration,
    pub picture: Option<usize>,
    pub datagram: Bytes,
}

pub(super) struct Machine {
    pub restore: Restore,
    downlink: Network,
    uplink: Network,
    planned: Option<Duration>,
    /// Bytes of candidates at the worst moment.
    pub most_held: usize,
    /// When each of the sent packets left, and whether it was brought back.
    pub left: Vec<Option<(Duration, bool)>>,
}

/// What went on air, by time.
#[derive(Clone, Copy)]
pub(super) struct OnAir {
    pub at: Duration,
    pub bytes: usize,
    pub plain: usize,
}

pub(crate) struct Lesson {
    pub(super) plan: Plan,
    random: Random,
    events: BTreeMap<(Duration, u64), Event>,
    planned: u64,
    pub(super) protect: Protect,
    pub(super) repair: Repair,
    box_planned: Option<Duration>,
    pub(super) machines: Vec<Machine>,
    hostile: Option<(Hostile, Vec<Network>)>,
    next: [u64; 2],
    timestamp: u32,
    pictures: usize,
    pub(super) sent: Vec<Sent>,
    numbers: HashMap<(u32, u64), usize>,
    pub(super) on_air: Vec<OnAir>,
    pub(super) feedback: usize,
}

impl Lesson {
    pub(crate) fn hold(plan: Plan) -> Self {
        let mut lesson = Self::new(plan);
        lesson.plan_at(Duration::ZERO, Event::Picture);
        if lesson.plan.sound > 0 {
            lesson.plan_at(Duration::from_millis(7), Event::Sound);
        }
        lesson.plan_at(Duration::ZERO, Event::Box);
        if lesson.hostile.is_some() {
            lesson.plan_at(Duration::from_millis(1), Event::Attack);
        }
        while let Some(((now, _), event)) = lesson.events.pop_first() {
            if now > lesson.plan.length + Duration::from_secs(1) {
                break;
            }
            lesson.happen(now, event);
        }
        lesson
    }

    fn new(plan: Plan) -> Self {
        let mut random = Random::new(plan.seed);
        let key = SigningKey::new(Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap());
        let public = VerifyingKey::new(&key.public().unwrap()).unwrap();
        // One wraps soon.
        let next = [65_000, 3 << 16];
        let streams = [Next { ssrc: VIDEO, index: next[0] }, Next { ssrc: SOUND, index: next[1] }];
        let (least, most) = plan.delay;
        let mut machine = || {
            let mut delay = || least + random.duration(most.saturating_sub(least));
            let (down, up) = (delay(), delay());
            let downlink = Weather { delay: plan.downlink.delay + down, ..plan.downlink };
            let uplink = Weather { delay: plan.uplink.delay + up, ..plan.uplink };
            let config = Config {
                key: public.clone(),
                streams: streams.to_vec(),
                playout: plan.playout,
                round_trip: down + up + Duration::from_millis(1),
            };
            Machine {
                restore: Restore::new(Duration::ZERO, config),
                downlink: Network::new(downlink, random.next()),
                uplink: Network::new(uplink, random.next()),
                planned: None,
                most_held: 0,
                left: Vec::new(),
            }
        };
        let machines: Vec<Machine> = (0..plan.receivers).map(|_| machine()).collect();
        let attack = plan.attack.map(|attack| {
            let wire = Weather { delay: Duration::from_micros(200), ..plan.downlink };
            let networks = machines.iter().map(|_| Network::new(wire, random.next())).collect();
            (Hostile::new(attack, random.next()), networks)
        });
        let mut protect = Protect::new(Duration::ZERO, key.clone(), Tickets::new(&[9; 32]));
        protect.set_playout(plan.playout);
        Self {
            events: BTreeMap::new(),
            planned: 0,
            protect,
            repair: Repair::new(key),
            box_planned: None,
            machines,
            hostile: attack,
            next,
            timestamp: 0,
            pictures: 0,
            sent: Vec::new(),
            numbers: HashMap::new(),
            on_air: Vec::new(),
            feedback: 0,
            random,
            plan,
        }
    }

    fn plan_at(&mut self, at: Duration, event: Event) {
        self.planned += 1;
        self.events.insert((at, self.planned), event);
    }

    fn happen(&mut self, now: Duration, event: Event) {
        match event {
            Event::Picture => self.picture(now),
            Event::Sound => {
                self.timestamp += 960;
                let header = Header { ssrc: SOUND, timestamp: self.timestamp, ..Header::default() };
                self.packet(now, Lane::Sound, self.plan.sound, header);
                if now < self.plan.length {
                    self.plan_at(now + Duration::from_millis(20), Event::Sound);
                }
            }
            Event::Packet(lane, size, header) => self.packet(now, lane, size, header),
            Event::Box => {
                self.box_planned.take_if(|at| *at <= now);
                self.run_box(now);
            }
            Event::Machine(number) => {
                self.machines[number].planned.take_if(|at| *at <= now);
                self.run_machine(now, number);
            }
            Event::ToMachine(number, datagram) => {
                let machine = &mut self.machines[number];
                machine.restore.push(now, datagram);
                machine.most_held = machine.most_held.max(machine.restore.held());
                self.run_machine(now, number);
            }
            Event::ToBox(number, feedback) => {
                let receiver = ReceiverId(u32::try_from(number).unwrap());
                self.feedback += 1;
                self.protect.hear(now, receiver, &feedback);
                self.repair.hear(now, receiver, Reach::Multicast, &feedback);
                self.run_box(now);
            }
            Event::Attack => self.attack(now),
        }
    }

    fn run_box(&mut self, now: Duration) {
        while let Some(transmit) = self.protect.poll(now) {
            self.send(now, &transmit);
        }
        while let Some(closed) = self.protect.take_closed() {
            self.repair.keep(now, closed);
        }
        while let Some(transmit) = self.repair.poll(now) {
            self.send(now, &transmit);
        }
        let timeouts = [Some(self.protect.next_timeout()), self.repair.next_timeout(now)];
        let at = timeouts.into_iter().flatten().min().unwrap();
        assert!(at > now, "polled, and still due");
        if self.box_planned.is_none_or(|planned| at < planned) {
            self.box_planned = Some(at);
            self.plan_at(at, Event::Box);
        }
    }

    fn send(&mut self, now: Duration, transmit: &Transmit) {
        let bytes = transmit.datagram.len() + HEADERS;
        self.on_air.push(OnAir { at: now, bytes, plain: 0 });
        if let (Some((hostile, _)), To::Group) = (&mut self.hostile, transmit.to) {
            hostile.hear(&transmit.datagram);
        }
        for number in 0..self.machines.len() {
            let id = ReceiverId(u32::try_from(number).unwrap());
            if transmit.to == To::Group || transmit.to == To::Receiver(id) {
                for at in self.machines[number].downlink.carry(now) {
                    self.plan_at(at, Event::ToMachine(number, transmit.datagram.clone()));
                }
            }
        }
    }

    fn attack(&mut self, now: Duration) {
        let Some((mut hostile, mut networks)) = self.hostile.take() else { return };
        while let Some(datagram) = hostile.forge(now) {
            for (number, network) in networks.iter_mut().enumerate() {
                for at in network.carry(now) {
                    self.plan_at(at, Event::ToMachine(number, datagram.clone()));
                }
            }
        }
        self.hostile = Some((hostile, networks));
        if now < self.plan.length {
            self.plan_at(now + Duration::from_micros(500), Event::Attack);
        }
    }

    fn run_machine(&mut self, now: Duration, number: usize) {
        while let Some(feedback) = self.machines[number].restore.feedback(now) {
            for at in self.machines[number].uplink.carry(now) {
                self.plan_at(at, Event::ToBox(number, feedback.clone()));
            }
        }
        while let Some(verified) = self.machines[number].restore.poll() {
            self.check(now, number, &verified);
        }
        let machine = &mut self.machines[number];
        let Some(at) = machine.restore.next_timeout() else { return };
        assert!(at > now, "polled, and still due");
        if machine.planned.is_none_or(|planned| at < planned) {
            machine.planned = Some(at);
            self.plan_at(at, Event::Machine(number));
        }
    }

    fn check(&mut self, now: Duration, number: usize, verified: &Verified) {
        let sent = self.numbers.get(&(verified.ssrc, verified.index)).copied();
        let sent = sent.expect("nothing leaves that was not sent");
        assert_eq!(verified.datagram, self.sent[sent].datagram, "it is what was sent");
        let left = &mut self.machines[number].left;
        if left.len() <= sent {
            left.resize(sent + 1, None);
        }
        let before = left[sent].replace((now, verified.restored));
        assert_eq!(before, None, "it leaves once");
    }
}
