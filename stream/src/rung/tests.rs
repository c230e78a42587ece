//! One machine on networks that break and mend.

use proptest::prelude::*;

use super::*;
use crate::lab::Random;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What passes between box and machine.
#[derive(Clone, Copy, Debug)]
struct Net {
    multicast: bool,
    udp: bool,
    tcp: bool,
    /// Percent of multicast packets that get lost before repair.
    loss: u64,
}

const WHOLE: Net = Net { multicast: true, udp: true, tcp: true, loss: 0 };

/// A machine in steps of 10 ms; heartbeats come every 100 ms, answers after a step, the tunnel
/// opens after 50 ms.
struct World {
    net: Net,
    now: Duration,
    ladder: Ladder,
    random: Random,
    /// When the answer to a keep-alive is due.
    answer: Option<Duration>,
    /// Whether the newest keep-alive that arrived wants the flow.
    streams: bool,
    opening: Option<Duration>,
    changes: Vec<(Duration, Change)>,
    rejoined: Vec<Duration>,
    keep_alives: Vec<Duration>,
    /// When something was last heard on the present rung, and the longest without.
    live: Duration,
    stall: Duration,
}

impl World {
    fn new(link: Link, is_allowed: bool) -> Self {
        Self {
            net: WHOLE,
            now: secs(1),
            ladder: Ladder::new(secs(1), link, is_allowed),
            random: Random::new(7),
            answer: None,
            streams: false,
            opening: None,
            changes: Vec::new(),
            rejoined: Vec::new(),
            keep_alives: Vec::new(),
            live: secs(1),
            stall: Duration::ZERO,
        }
    }

    fn wired() -> Self {
        Self::new(Link::Wired, true)
    }

    fn run(&mut self, length: Duration) {
        let end = self.now + length;
        while self.now < end {
            self.now += ms(10);
            self.hear();
            self.act();
        }
    }

    fn hear(&mut self) {
        let (now, net) = (self.now, self.net);
        let wants = self.ladder.wants();
        if self.answer.take_if(|at| *at <= now).is_some() && net.udp {
            self.ladder.flow_answered(now);
        }
        if now.as_millis().is_multiple_of(100) {
            if wants.group && net.multicast && !self.random.percent(net.loss) {
                self.ladder.group_heard(now);
                self.lives(Rung::Multicast);
            }
            if self.streams && net.udp {
                self.ladder.flow_heard(now);
                self.lives(Rung::Unicast);
            }
            if self.ladder.rung() == Rung::Tunnel && net.tcp {
                self.lives(Rung::Tunnel);
            }
        }
        if now.as_millis().is_multiple_of(1_000) && wants.group && net.multicast {
            self.ladder.group_counted(100 - net.loss, net.loss);
        }
        if !wants.tunnel || !net.tcp {
            self.opening = None;
        } else if self.ladder.rung() != Rung::Tunnel
            && *self.opening.get_or_insert(now + ms(50)) <= now
        {
            self.ladder.tunnel_opened(now);
        }
    }

    fn lives(&mut self, by: Rung) {
        if by == self.ladder.rung() {
            self.stall = self.stall.max(self.now.saturating_sub(self.live));
            self.live = self.now;
        }
    }

    fn act(&mut self) {
        while let Some(action) = self.ladder.poll(self.now) {
            match action {
                Action::KeepAlive => {
                    self.keep_alives.push(self.now);
                    if self.net.udp {
                        self.answer = Some(self.now + ms(10));
                        self.streams = self.ladder.wants().flow;
                    }
                }
                Action::Rejoin => self.rejoined.push(self.now),
                Action::Changed(change) => self.changes.push((self.now, change)),
            }
        }
        assert!(self.ladder.next_timeout() > self.now, "polled, and still due: {:?}", self.ladder);
    }

    /// What changed since the last call: rung and cause.
    fn changed(&mut self) -> Vec<(Rung, Cause)> {
        self.changes.drain(..).map(|(_, change)| (change.to, change.cause)).collect()
    }
}

#[test]
fn on_a_good_wire_nothing_ever_changes() {
    let mut world = World::wired();
    world.run(secs(600));
    assert_eq!(world.ladder.rung(), Rung::Multicast);
    assert_eq!(world.changed(), []);
    assert_eq!(world.ladder.wants(), Wants { group: true, flow: false, tunnel: false });
    assert!(world.keep_alives.len() <= 61, "{} keep-alives", world.keep_alives.len());
    assert_eq!(world.rejoined, []);
}

#[test]
fn without_multicast_it_is_on_unicast_after_half_a_second() {
    let mut world = World::wired();
    world.run(secs(20));
    world.net.multicast = false;
    world.run(secs(1));
    assert_eq!(world.changed(), [(Rung::Unicast, Cause::GroupSilent)]);
    assert!(world.stall <= ms(700), "{:?} without a picture", world.stall);
    assert_eq!(world.rejoined.len(), 1, "before it fell it said its membership again");
    let wants = Wants { group: true, flow: true, tunnel: false };
    assert_eq!(world.ladder.wants(), wants, "the group stays joined");
}

#[test]
fn without_udp_it_is_in_the_tunnel_as_soon() {
    let mut world = World::wired();
    world.run(secs(20));
    world.net = Net { multicast: false, udp: false, ..WHOLE };
    world.run(secs(1));
    assert_eq!(world.changed(), [(Rung::Tunnel, Cause::UdpSilent)]);
    assert!(world.stall <= ms(700), "{:?} without a picture", world.stall);
}

#[test]
fn one_machine_goes_through_all_rungs_and_back() {
    let mut world = World::wired();
    world.run(secs(20));
    world.net.multicast = false;
    world.run(secs(20));
    assert_eq!(world.changed(), [(Rung::Unicast, Cause::GroupSilent)]);
    world.net.udp = false;
    world.run(secs(10));
    assert_eq!(world.changed(), [(Rung::Tunnel, Cause::UdpSilent)]);
    let wants = world.ladder.wants();
    assert!(wants.tunnel && !wants.flow);
    world.net = WHOLE;
    world.stall = Duration::ZERO;
    world.run(secs(60));
    let back = [(Rung::Unicast, Cause::Carries), (Rung::Multicast, Cause::Carries)];
    assert_eq!(world.changed(), back);
    assert!(world.stall <= ms(100), "climbing costs nothing: {:?}", world.stall);
}

#[test]
fn a_switch_that_starts_over_makes_nobody_fall() {
    for away in [1, 5, 60] {
        for phase in 0..10 {
            let mut world = World::wired();
            world.run(secs(20) + ms(10 * phase));
            world.net = Net { multicast: false, udp: false, tcp: false, loss: 0 };
            world.run(secs(away));
            assert!(world.ladder.wants().tunnel, "everything is tried");
            world.net = WHOLE;
            // TCP tries again later than that.
            world.opening = None;
            world.run(secs(5));
            assert_eq!(world.changed(), [], "away for {away} s");
            assert!(!world.streams, "nothing came twice");
            assert!(!world.ladder.wants().tunnel);
        }
    }
}

#[test]
fn when_only_unicast_comes_back_it_is_taken() {
    let mut world = World::wired();
    world.run(secs(20));
    world.net = Net { multicast: false, udp: false, tcp: false, loss: 0 };
    world.run(secs(10));
    world.net.udp = true;
    world.run(secs(2));
    assert_eq!(world.changed(), [(Rung::Unicast, Cause::GroupSilent)]);
}

#[test]
fn wireless_machines_climb_only_where_it_is_allowed() {
    let mut world = World::new(Link::Wireless, false);
    world.run(secs(1_300));
    assert_eq!((world.ladder.rung(), world.changed()), (Rung::Unicast, vec![]));
    assert!(!world.ladder.wants().group && world.rejoined.is_empty());
    world.ladder.allowed(world.now, true);
    world.run(secs(10));
    assert_eq!(world.changed(), [(Rung::Multicast, Cause::Carries)]);
    world.ladder.allowed(world.now, false);
    world.run(secs(1));
    assert_eq!(world.changed(), [(Rung::Unicast, Cause::NotAllowed)]);
    assert!(!world.ladder.wants().group);

    let mut world = World::new(Link::Wireless, true);
    world.run(secs(29));
    assert_eq!(world.ladder.rung(), Rung::Unicast);
    world.run(secs(10));
    assert_eq!(world.changed(), [(Rung::Multicast, Cause::Carries)]);
}

#[test]
fn a_wireless_machine_without_udp_is_soon_in_the_tunnel() {
    let mut world = World::new(Link::Wireless, false);
    world.net = Net { multicast: false, udp: false, ..WHOLE };
    world.run(secs(1));
    assert_eq!(world.changed(), [(Rung::Tunnel, Cause::UdpSilent)]);
}

#[test]
fn what_repair_cannot_mend_makes_it_fall_without_a_gap() {
    let mut world = World::wired();
    let count = |world: &mut World, seconds: u64, lost: u64| {
        for _ in 0..seconds {
            world.ladder.counted(world.now, 400, lost);
            world.run(secs(1));
        }
    };
    count(&mut world, 10, 0);
    count(&mut world, 2, 16);
    assert_eq!(world.changed(), []);
    count(&mut world, 3, 16);
    assert_eq!(world.changed(), [(Rung::Unicast, Cause::GroupLossy)]);
    assert!(world.stall <= ms(100));
    assert!(!world.ladder.wants().group, "what it loses there only disturbs");
    count(&mut world, 4, 16);
    assert_eq!(world.changed(), []);
    count(&mut world, 3, 16);
    assert_eq!(world.changed(), [(Rung::Tunnel, Cause::UdpLossy)]);
}

#[test]
fn who_makes_the_group_pay_alone_falls_by_the_boxs_word() {
    let mut world = World::wired();
    world.run(secs(10));
    world.ladder.ordered();
    world.run(ms(50));
    assert_eq!(world.changed(), [(Rung::Unicast, Cause::AloneShort)]);
    world.ladder.ordered();
    world.run(secs(1));
    assert_eq!(world.changed(), [], "an order that came twice");
}

#[test]
fn an_order_while_nothing_carries_waits() {
    let mut world = World::wired();
    world.run(secs(10));
    world.net = Net { multicast: false, udp: false, tcp: false, loss: 0 };
    world.run(secs(1));
    world.ladder.ordered();
    world.run(secs(1));
    world.net = WHOLE;
    world.run(secs(2));
    assert_eq!(world.changed(), [(Rung::Unicast, Cause::AloneShort)]);
}

#[test]
fn tries_become_rarer_while_multicast_stays_away() {
    let mut world = World::wired();
    world.run(secs(10));
    world.net.multicast = false;
    world.run(secs(1));
    world.changed();
    let fell = world.now;
    world.rejoined.clear();
    world.run(secs(2_400));
    let tries = world.rejoined.iter().map(|at| at.saturating_sub(fell).as_secs());
    let tries: Vec<_> = tries.collect();
    let spans: Vec<_> = tries.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(tries[0], 29);
    assert_eq!(spans, [61, 121, 241, 481, 601, 601], "a second for each try");
    assert_eq!(world.changed(), []);
}

#[test]
fn a_group_that_loses_much_is_not_climbed_to() {
    let mut world = World::wired();
    world.run(secs(10));
    world.net.multicast = false;
    world.run(secs(1));
    world.changed();
    world.net = Net { loss: 15, ..WHOLE };
    world.run(secs(300));
    assert_eq!(world.changed(), []);
    world.net.loss = 5;
    world.run(secs(600));
    assert_eq!(world.changed(), [(Rung::Multicast, Cause::Carries)]);
}

#[test]
fn a_way_that_comes_and_goes_is_tried_ever_less() {
    let mut world = World::wired();
    let mut falls = 0;
    for _ in 0..60 {
        world.net.multicast = true;
        world.run(secs(50));
        world.net.multicast = false;
        world.run(secs(10));
        falls += world.changed().iter().filter(|(rung, _)| *rung == Rung::Unicast).count();
    }
    assert!(falls <= 8, "{falls} falls in an hour");
}

#[test]
fn a_pause_shorter_than_half_a_second_changes_nothing() {
    let mut world = World::wired();
    for _ in 0..100 {
        world.net.multicast = false;
        world.run(ms(380));
        world.net.multicast = true;
        world.run(ms(620));
    }
    assert_eq!(world.changed(), []);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Whatever the network does, the machine does not spin, hears what it is on, and is well again
    /// when the network is.
    #[test]
    fn whatever_breaks_it_finds_its_way(
        wireless: bool, is_allowed: bool,
        weather in proptest::collection::vec(
            (any::<(bool, bool, bool)>(), 0..30_u64, 0..8_000_u64, any::<(bool, bool)>()), 1..12,
        ),
    ) {
        let link = if wireless { Link::Wireless } else { Link::Wired };
        let mut world = World::new(link, is_allowed);
        for ((multicast, udp, tcp), loss, millis, (orders, counts)) in weather {
            world.net = Net { multicast, udp, tcp, loss };
            if orders {
                world.ladder.ordered();
            }
            if counts {
                world.ladder.counted(world.now, 100, loss);
            }
            world.run(ms(millis));
            let wants = world.ladder.wants();
            let has_what_it_is_on = match world.ladder.rung() {
                Rung::Multicast => wants.group && is_allowed,
                Rung::Unicast => wants.flow,
                Rung::Tunnel => wants.tunnel,
            };
            prop_assert!(has_what_it_is_on);
        }
        world.net = WHOLE;
        // No wait is longer than some minutes after so little.
        world.run(secs(1_000));
        let best = if is_allowed { Rung::Multicast } else { Rung::Unicast };
        prop_assert_eq!(world.ladder.rung(), best);
    }
}
