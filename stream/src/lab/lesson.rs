//! Publisher to relay to receiver over bad networks, in virtual time.
//!
//! ```text
//!   publishers ─ uplink ─▶ Reorder ─▶ Relay ─┬─ downlink ─▶ Assembler   (there from the start)
//!                                            ├─ downlink ─▶ Assembler   (joins late)
//!                                            └─▶ Gop ─── by TLS ──────────▶ ▲
//! ```
//!
//! Whatever the networks do: nothing is given out that was not made, everything at most once and in
//! order, and no picture without those it refers to.

use std::{collections::BTreeMap, time::Duration};

use proptest::prelude::*;

use super::{Made, Network, Publisher, Random, Style, Weather, essence};
use crate::{
    assemble::{Assembler, Config, Frame, KEPT_WAIT, Origin, REORDER_WAIT},
    gop::Gop,
    relay::{Outgoing, Relay, Sent, SourceId},
    reorder::{Reorder, WAIT},
    rtp::Packet,
};

/// How long the packets of a lesson are made; what is on its way still arrives after it.
const LENGTH: Duration = Duration::from_secs(4);
/// How long the kept pictures take over TLS.
const TLS: Duration = Duration::from_millis(30);

#[derive(Clone, Debug)]
struct Plan {
    styles: Vec<Style>,
    uplink: Weather,
    downlink: Weather,
    /// When the second machine joins.
    joins: Duration,
    seed: u64,
}

enum Event {
    /// A publisher makes its next frame.
    Make(usize),
    /// A publisher is announced to the relay.
    Announce(usize),
    ToBox(usize, Packet),
    ToMachine(usize, Sent),
    Join,
    Kept(Vec<Sent>),
    /// Time went by.
    Tick,
}

/// Everything that happens, by time; at the same time in the order of planning.
#[derive(Default)]
struct Agenda {
    events: BTreeMap<(Duration, u64), Event>,
    planned: u64,
}

impl Agenda {
    fn plan(&mut self, at: Duration, event: Event) {
        self.planned += 1;
        self.events.insert((at, self.planned), event);
    }
}

struct Machine {
    assembler: Assembler,
    downlink: Network,
    frames: Vec<Frame>,
    first_live: Option<u64>,
}

struct Lesson {
    agenda: Agenda,
    publishers: Vec<(Publisher, Reorder, Network)>,
    relay: Relay,
    gop: Gop,
    machines: Vec<Machine>,
    random: Random,
    plan: Plan,
    made: Vec<Made>,
    sent: Vec<Sent>,
}

impl Lesson {
    fn hold(plan: Plan) -> Self {
        let mut random = Random::new(plan.seed);
        let codec = plan.styles[0].codec();
        let publishers = plan.styles.iter().zip(1..).map(|(style, name)| {
            let uplink = Network::new(plan.uplink, random.next());
            (Publisher::new(*style, name), Reorder::new(), uplink)
        });
        let mut lesson = Self {
            agenda: Agenda::default(),
            publishers: publishers.collect(),
            relay: Relay::new(Outgoing {
                codec,
                ssrc: 1,
                payload_type: 96,
                first_index: 65_000,
                first_timestamp: 0,
            }),
            gop: Gop::new(),
            machines: Vec::new(),
            random,
            made: Vec::new(),
            sent: Vec::new(),
            plan,
        };
        lesson.join(Duration::ZERO, None);
        lesson.agenda.plan(lesson.plan.joins, Event::Join);
        for number in 0..lesson.publishers.len() {
            // They follow each other, each a second and a half after the one before.
            let at = Duration::from_millis(1_500 * number as u64);
            lesson.agenda.plan(at, Event::Announce(number));
        }
        while let Some(((now, _), event)) = lesson.agenda.events.pop_first() {
            lesson.happen(now, event);
        }
        lesson
    }

    fn happen(&mut self, now: Duration, event: Event) {
        match event {
            Event::Announce(number) => {
                self.relay.announce(SourceId(number as u64));
                self.agenda.plan(now, Event::Make(number));
            }
            Event::Make(number) => self.make(now, number),
            Event::ToBox(number, packet) => {
                let (_, reorder, _) = &mut self.publishers[number];
                reorder.push(now, packet);
                self.agenda.plan(now + WAIT, Event::Tick);
            }
            Event::ToMachine(number, sent) => {
                let machine = &mut self.machines[number];
                if machine.first_live.is_none() {
                    machine.first_live = Some(sent.index);
                    if machine.assembler.next_timeout().is_some() {
                        let kept = self.gop.before(sent.index).to_vec();
                        self.agenda.plan(now + TLS, Event::Kept(kept));
                    }
                }
                let assembler = &mut machine.assembler;
                assembler.push(now, sent.index, sent.packet, Origin::Live);
                self.agenda.plan(now + REORDER_WAIT, Event::Tick);
            }
            Event::Join => self.join(now, Some(KEPT_WAIT)),
            Event::Kept(kept) => {
                let assembler = &mut self.machines[1].assembler;
                for sent in kept {
                    assembler.push(now, sent.index, sent.packet, Origin::Kept);
                }
                assembler.kept_ended();
            }
            Event::Tick => {}
        }
        self.relay(now);
        for machine in &mut self.machines {
            while let Some(frame) = machine.assembler.poll(now) {
                machine.frames.push(frame);
            }
        }
    }

    fn make(&mut self, now: Duration, number: usize) {
        let (publisher, _, uplink) = &mut self.publishers[number];
        let is_keyframe =
            self.relay.wants_keyframe(SourceId(number as u64)) || self.random.percent(5);
        publisher.is_small = self.random.percent(20);
        let made =
            publisher.frame(is_keyframe, 20 + usize::try_from(self.random.below(600)).unwrap());
        let probe = self.random.percent(10).then(|| publisher.probe());
        for packet in made.packets.iter().cloned().chain(probe) {
            for at in uplink.carry(now) {
                self.agenda.plan(at, Event::ToBox(number, packet.clone()));
            }
        }
        self.made.push(made);
        if now < LENGTH {
            self.agenda.plan(now + Duration::from_millis(20), Event::Make(number));
        }
    }

    fn join(&mut self, now: Duration, kept_wait: Option<Duration>) {
        let config = Config { reorder_wait: REORDER_WAIT, kept_wait };
        let codec = self.plan.styles[0].codec();
        self.machines.push(Machine {
            assembler: Assembler::new(codec, config, now),
            downlink: Network::new(self.plan.downlink, self.random.next()),
            frames: Vec::new(),
            first_live: None,
        });
        self.agenda.plan(now + KEPT_WAIT, Event::Tick);
    }

    fn relay(&mut self, now: Duration) {
        for (number, (_, reorder, _)) in self.publishers.iter_mut().enumerate() {
            while let Some(ordered) = reorder.poll(now) {
                for sent in self.relay.push(now, SourceId(number as u64), ordered) {
                    self.gop.push(&sent);
                    for (number, machine) in self.machines.iter_mut().enumerate() {
                        for at in machine.downlink.carry(now) {
                            self.agenda.plan(at, Event::ToMachine(number, sent.clone()));
                        }
                    }
                    self.sent.push(sent);
                }
            }
        }
    }

    /// The place of each frame among those made.
    fn numbers(&self, frames: &[Frame]) -> Result<Vec<usize>, TestCaseError> {
        let number = |frame: &Frame| {
            let essence = essence(frame);
            self.made.iter().position(|made| made.essence == essence).ok_or_else(|| {
                TestCaseError::fail(format!("frame at {} was never made", frame.first_index))
            })
        };
        frames.iter().map(number).collect()
    }

    /// Frames that left the relay whole, by their last index.
    fn whole_sent(&self) -> usize {
        self.sent.iter().filter(|sent| sent.packet.header.marker).count()
    }
}

fn any_weather() -> impl Strategy<Value = Weather> {
    (0..8_u64, 0..6_u64, 0..10_u64, 0..60_u64).prop_map(|(loss, burst, repeat, jitter)| Weather {
        loss,
        burst,
        repeat,
        jitter: Duration::from_millis(jitter),
        ..Weather::default()
    })
}

fn any_plan(
    uplink: impl Strategy<Value = Weather>,
    downlink: impl Strategy<Value = Weather>,
) -> impl Strategy<Value = Plan> {
    let style = |all: &'static [Style]| proptest::sample::select(all);
    let styles = prop_oneof![
        proptest::collection::vec(style(&Style::H264), 1..3),
        proptest::collection::vec(style(&Style::VP8), 1..3),
        proptest::collection::vec(style(&[Style::Opus]), 1..3),
    ];
    (styles, uplink, downlink, 0..3_500_u64, any::<u64>()).prop_map(
        |(styles, uplink, downlink, joins, seed)| Plan {
            styles,
            uplink,
            downlink,
            joins: Duration::from_millis(joins),
            seed,
        },
    )
}

fn check_what_is_sent(lesson: &Lesson) -> Result<(), TestCaseError> {
    let mut index = 65_000;
    for sent in &lesson.sent {
        prop_assert_eq!(sent.index, index);
        prop_assert_eq!(u64::from(sent.packet.header.sequence), index & 0xffff);
        index += 1;
    }
    prop_assert_eq!(lesson.relay.next_index(), index);
    Ok(())
}

fn check_what_is_received(lesson: &Lesson, machine: &Machine) -> Result<(), TestCaseError> {
    let frames = &machine.frames;
    let numbers = lesson.numbers(frames)?;
    let codec = lesson.plan.styles[0].codec();
    for (frame, number) in frames.iter().zip(&numbers) {
        prop_assert_eq!(frame.is_keyframe, lesson.made[*number].is_keyframe);
    }
    for (pair, numbers) in frames.windows(2).zip(numbers.windows(2)) {
        prop_assert!(pair[0].last_index < pair[1].first_index);
        prop_assert!(pair[0].timestamp < pair[1].timestamp);
        prop_assert!(numbers[0] != numbers[1]);
        prop_assert!(pair[1].is_keyframe || pair[0].last_index + 1 == pair[1].first_index);
        prop_assert!(pair[0].catch_up || !pair[1].catch_up, "back to catching up");
    }
    if codec.is_video() {
        // What a picture refers to is the one made just before by the same publisher.
        let mut last: Option<&[u8]> = None;
        for number in numbers {
            let made = &lesson.made[number];
            if !made.is_keyframe {
                let same =
                    |other: &&Made| other.packets[0].header.ssrc == made.packets[0].header.ssrc;
                let reference = lesson.made[..number].iter().rev().find(same);
                prop_assert_eq!(reference.map(|made| &made.essence[..]), last);
            }
            last = Some(&made.essence);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_the_networks_do_only_whole_decodable_frames_come_out(
        plan in any_plan(any_weather(), any_weather()),
    ) {
        let lesson = Lesson::hold(plan);
        check_what_is_sent(&lesson)?;
        for machine in &lesson.machines {
            check_what_is_received(&lesson, machine)?;
        }
    }

    /// Sound stays out: after a change of source the old one's last packets are still on their way.
    #[test]
    fn on_a_good_wire_every_whole_frame_that_was_sent_comes_out(
        plan in any_plan(any_weather(), Just(Weather::default())),
    ) {
        let lesson = Lesson::hold(plan);
        let [first, joined] = &lesson.machines[..] else { unreachable!() };
        check_what_is_received(&lesson, first)?;
        check_what_is_received(&lesson, joined)?;
        if lesson.plan.styles[0].codec().is_video() {
            prop_assert_eq!(first.frames.len(), lesson.whole_sent());
            prop_assert_eq!(first.assembler.stats().lost, 0);
            // The one that joined has the same frames, from a keyframe on.
            let missed = first.frames.len() - joined.frames.len();
            let same = first.frames[missed..].iter().zip(&joined.frames);
            for (frame, other) in same {
                prop_assert_eq!(&frame.data, &other.data);
            }
        }
    }
}
