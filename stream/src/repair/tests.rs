//! What machines ask for and get, and what one of them may cause.

use aws_lc_rs::signature::Ed25519KeyPair;

use super::*;
use crate::{
    block::{Kind, Parity, Tickets},
    feedback::Loss,
    protect::{Protect, SLICE},
    rtp::{Header, Packet},
    transmit::To,
};

const PACKETS: u64 = 10;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn key() -> SigningKey {
    SigningKey::new(Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap())
}

/// A box whose blocks are on air.
struct Air {
    protect: Protect,
    repair: Repair,
    index: u64,
    /// By machine and block, how often was asked.
    rounds: HashMap<(u32, u32), u8>,
}

impl Air {
    fn new() -> Self {
        let protect = Protect::new(Duration::ZERO, key(), Tickets::new(&[9; 32]));
        Self { protect, repair: Repair::new(key()), index: 0, rounds: HashMap::new() }
    }

    /// Sends a block of ten packets of 1,000 bytes.
    fn block(&mut self, now: Duration) {
        let last = self.index + PACKETS - 1;
        for index in self.index..=last {
            let sequence = u16::try_from(index & 0xffff).unwrap();
            let header = Header { marker: index == last, sequence, ssrc: 1, ..Header::default() };
            let mut datagram = Vec::new();
            Packet { header, payload: Bytes::from(vec![5; 988]) }.write(&mut datagram);
            self.protect.push(now, Lane::Video, index, datagram.into()).unwrap();
        }
        self.index = last + 1;
        self.keep_closed(now);
    }

    /// Keeps the blocks that are closed by now; gives the number of the newest.
    fn keep_closed(&mut self, now: Duration) -> Option<u32> {
        while self.protect.poll(now).is_some() {}
        let mut newest = None;
        while let Some(closed) = self.protect.take_closed() {
            newest = Some(closed.number());
            self.repair.keep(now, closed);
        }
        newest
    }

    /// Sends blocks of which machines lose so much that they become slices of time; gives the
    /// number of one that is, closed at `now`.
    fn slice(&mut self, now: Duration) -> u32 {
        let before = now.saturating_sub(ms(500));
        for n in 0..12 {
            self.block(before + ms(n));
        }
        for block in 0..12 {
            let losses = vec![Loss { block, missing: 1 }];
            let feedback = Feedback { losses, ..Feedback::default() };
            for receiver in 7..=9 {
                self.protect.hear(before + ms(20), ReceiverId(receiver), &feedback);
            }
        }
        self.block(before + ms(30));
        assert!(self.protect.is_slicing());
        self.block(now.saturating_sub(SLICE));
        self.keep_closed(now).unwrap()
    }

    fn ask(&mut self, now: Duration, receiver: u32, block: u32, deficit: u8) {
        self.ask_by(now, receiver, Reach::Multicast, block, deficit);
    }

    fn ask_by(&mut self, now: Duration, receiver: u32, reach: Reach, block: u32, deficit: u8) {
        let next = self.rounds.entry((receiver, block)).or_default();
        let round = *next;
        *next = next.saturating_add(1);
        self.say(now, receiver, reach, Request { block, deficit, round });
    }

    fn say(&mut self, now: Duration, receiver: u32, reach: Reach, request: Request) {
        let feedback = Feedback { requests: vec![request], ..Feedback::default() };
        self.repair.hear(now, ReceiverId(receiver), reach, &feedback);
    }

    /// To whom, and which shard; `None` is the manifest.
    fn sent(&mut self, now: Duration) -> Vec<(To, Option<u8>)> {
        let sent = std::iter::from_fn(|| self.repair.poll(now)).map(|transmit| {
            let number = match Kind::of(&transmit.datagram) {
                Some(Kind::Parity) => {
                    Some(Parity::parse(&transmit.datagram).unwrap().unverified().number)
                }
                _ => None,
            };
            (transmit.to, number)
        });
        sent.collect()
    }
}

fn to_group(shards: std::ops::Range<u8>) -> Vec<(To, Option<u8>)> {
    shards.map(|number| (To::Group, Some(number))).collect()
}

fn to(receiver: u32, shards: std::ops::Range<u8>) -> Vec<(To, Option<u8>)> {
    shards.map(|number| (To::Receiver(ReceiverId(receiver)), Some(number))).collect()
}

#[test]
fn many_are_answered_once_for_all_10_ms_after_the_first() {
    let mut air = Air::new();
    air.block(ms(0));
    air.ask(ms(20), 1, 0, 1);
    air.ask(ms(25), 2, 0, 3);
    air.ask(ms(29), 3, 0, 2);
    assert_eq!(air.sent(ms(29)), []);
    assert_eq!(air.repair.next_timeout(ms(29)), Some(ms(30)));
    assert_eq!(air.sent(ms(30)), to_group(0..4), "the largest and one more");
    assert_eq!(air.repair.next_timeout(ms(30)), None);
}

#[test]
fn one_or_two_are_answered_alone() {
    let mut air = Air::new();
    air.block(ms(0));
    air.ask(ms(20), 1, 0, 2);
    assert_eq!(air.sent(ms(30)), to(1, 0..3));
    air.block(ms(50));
    air.ask(ms(70), 1, 1, 1);
    air.ask(ms(71), 2, 1, 2);
    assert_eq!(air.sent(ms(80)), [to(1, 0..2), to(2, 0..3)].concat());
}

/// What it lacks others will.
#[test]
fn one_is_answered_for_all_to_hear_while_much_is_lost_and_pays_for_all_of_it() {
    let mut air = Air::new();
    let block = air.slice(ms(1_000));
    let shards = |sent: Vec<(To, Option<u8>)>| {
        assert!(sent.iter().all(|(to, _)| *to == To::Group), "{sent:?}");
        sent.len()
    };
    air.ask(ms(1_010), 1, block, 2);
    assert_eq!(shards(air.sent(ms(1_020))), 2, "so small an answer has nothing to spare");
    air.ask(ms(1_070), 2, block, 3);
    assert_eq!(shards(air.sent(ms(1_080))), 4);
    air.ask(ms(1_120), 2, block, 1);
    assert_eq!(shards(air.sent(ms(1_122))), 2, "who asks again waits for nobody");
    // A quarter of what the sources take for one machine: over 24 shards of a thousand bytes, and
    // less than 37.
    air.ask(ms(1_200), 3, block, 11);
    assert_eq!(shards(air.sent(ms(1_210))), 12);
    air.ask(ms(1_240), 3, block, 11);
    assert_eq!(shards(air.sent(ms(1_242))), 12);
    air.ask(ms(1_280), 3, block, 11);
    assert_eq!(air.sent(ms(1_282)), []);
    assert_eq!(air.repair.stats().limited, 1);
}

#[test]
fn what_one_on_unicast_asks_for_does_not_part_those_on_multicast() {
    let mut air = Air::new();
    air.block(ms(0));
    air.ask(ms(20), 1, 0, 1);
    air.ask_by(ms(21), 4, Reach::Unicast, 0, 1);
    air.ask(ms(22), 2, 0, 1);
    assert_eq!(air.sent(ms(23)), to(4, 0..2));
    air.ask(ms(28), 3, 0, 1);
    assert_eq!(air.sent(ms(30)), to_group(2..4));
}

#[test]
fn machines_on_unicast_are_answered_alone_beside_the_group() {
    let mut air = Air::new();
    air.block(ms(0));
    for receiver in 1..=3 {
        air.ask(ms(20), receiver, 0, 1);
    }
    air.ask_by(ms(20), 4, Reach::Unicast, 0, 2);
    let sent = air.sent(ms(30));
    assert_eq!(sent.iter().filter(|(to, _)| *to == To::Receiver(ReceiverId(4))).count(), 3);
    assert_eq!(sent.iter().filter(|(to, _)| *to == To::Group).count(), 2);
    assert_eq!(sent.len(), 5);
}

#[test]
fn each_round_sends_other_shards_from_the_third_on_one_more_and_there_is_no_eighth() {
    let mut air = Air::new();
    air.block(ms(0));
    let mut round = |at, deficit| {
        for receiver in 1..=3 {
            air.ask(ms(at), receiver, 0, deficit);
        }
        air.sent(ms(at + 10))
    };
    assert_eq!(round(20, 2), to_group(0..3));
    assert_eq!(round(80, 1), to_group(3..5));
    assert_eq!(round(140, 1), to_group(5..8));
    for (at, first) in [(240, 8), (340, 11), (440, 14), (540, 17)] {
        assert_eq!(round(at, 1), to_group(first..first + 3));
    }
    assert_eq!(round(640, 1), []);
    assert_eq!(air.repair.stats().rounds, 7);
}

#[test]
fn what_is_said_twice_is_answered_once() {
    let mut air = Air::new();
    air.block(ms(0));
    let first = Request { block: 0, deficit: 2, round: 0 };
    air.say(ms(20), 1, Reach::Multicast, first);
    assert_eq!(air.sent(ms(30)).len(), 3);
    air.say(ms(35), 1, Reach::Multicast, first);
    assert_eq!(air.sent(ms(45)), []);
    air.say(ms(70), 1, Reach::Multicast, Request { round: 1, ..first });
    air.say(ms(71), 1, Reach::Multicast, first);
    assert_eq!(air.sent(ms(72)).len(), 3, "the first answer was lost");
    assert_eq!(air.repair.stats().repeated, 2);
    assert_eq!(air.sent(ms(100)), []);
}

#[test]
fn a_later_round_ends_the_ones_before() {
    let mut air = Air::new();
    air.block(ms(0));
    let last = Request { block: 0, deficit: 1, round: ROUNDS - 1 };
    air.say(ms(20), 1, Reach::Multicast, last);
    assert_eq!(air.sent(ms(30)).len(), 3);
    air.say(ms(60), 1, Reach::Multicast, Request { round: 0, ..last });
    air.say(ms(60), 1, Reach::Multicast, Request { round: ROUNDS, ..last });
    assert_eq!(air.sent(ms(100)), []);
}

#[test]
fn a_request_that_crossed_the_answer_is_answered_by_it() {
    let mut air = Air::new();
    air.block(ms(0));
    for receiver in 1..=3 {
        air.ask(ms(20), receiver, 0, 3);
    }
    assert_eq!(air.sent(ms(30)), to_group(0..4));
    air.ask(ms(40), 4, 0, 3);
    assert_eq!(air.sent(ms(50)), []);
    air.ask(ms(41), 5, 0, 5);
    assert_eq!(air.sent(ms(51)), to(5, 4..7), "the two that it still lacks, and one");
    assert_eq!(air.repair.stats().crossed, 1);
    let said_again = Request { block: 0, deficit: 3, round: 0 };
    air.say(ms(75), 4, Reach::Multicast, said_again);
    assert_eq!(air.sent(ms(85)), []);
}

#[test]
fn who_cannot_tell_gets_the_manifest_and_not_the_whole_block() {
    let mut air = Air::new();
    air.block(ms(0));
    air.ask(ms(20), 1, 0, 0);
    let manifest = (To::Receiver(ReceiverId(1)), None);
    assert_eq!(air.sent(ms(30)), [vec![manifest], to(1, 0..2)].concat());
}

/// The flood names every block ten times a millisecond and wants all of each.
#[test]
fn a_flood_of_requests_is_limited_and_others_are_served() {
    let mut air = Air::new();
    let (mut flooded, mut served, mut sources) = (0, 0, 0);
    for block in 0..60_u32 {
        let now = ms(50 * u64::from(block));
        air.block(now);
        sources += 10 * 1_028;
        for at in 0..50 {
            for old in block.saturating_sub(9)..=block {
                air.ask(now + ms(at), 666, old, 65);
            }
            if at == 20 {
                air.ask(now + ms(at), 1, block, 1);
            }
            for (to, _) in air.sent(now + ms(at)) {
                match to {
                    To::Receiver(ReceiverId(666)) => flooded += 1_100,
                    To::Receiver(ReceiverId(1)) => served += 1,
                    _ => {}
                }
            }
        }
    }
    assert_eq!(served, 60 * 2, "each of the other's requests");
    assert!(flooded <= sources / 4 + 32_000, "{flooded} of {sources}");
    assert!(air.repair.limited(ReceiverId(666)) > 1_000);
    assert_eq!(air.repair.limited(ReceiverId(1)), 0);
    assert_eq!(air.repair.stats().dropped, 0);
}

/// Two honest machines lack one shard; a third says each time that it lacks everything.
#[test]
fn one_that_exaggerates_makes_the_group_pay_for_a_while_only() {
    let mut air = Air::new();
    let (mut group, mut sources) = (0, 0);
    for block in 0..60_u32 {
        let now = ms(50 * u64::from(block));
        air.block(now);
        sources += 10 * 1_028;
        air.ask(now + ms(20), 666, block, 65);
        air.ask(now + ms(20), 1, block, 1);
        air.ask(now + ms(20), 2, block, 1);
        let sent = air.sent(now + ms(30));
        assert!(sent.len() >= 2, "the others go without");
        group += 1_100 * (sent.len() - 2);
    }
    assert!(group <= sources / 4 + 32_000, "{group} of {sources}");
    assert!(air.repair.limited(ReceiverId(666)) > 0);
}

/// Fifty machines that lack all of every block.
#[test]
fn repair_takes_no_more_than_half_of_the_stream() {
    let mut air = Air::new();
    let (mut repaired, mut sources) = (0, 0);
    for block in 0..100_u32 {
        let now = ms(50 * u64::from(block));
        air.block(now);
        sources += 10 * 1_028;
        for round in 0..50 {
            for receiver in 0..50 {
                air.ask(now + ms(round), receiver, block, 11);
            }
            repaired += 1_100 * air.sent(now + ms(round)).len();
        }
        assert!(air.repair.waiting.len() <= MAX_WAITING);
    }
    assert!(repaired <= sources / 2 + 64_000, "{repaired} of {sources}");
    assert!(air.repair.stats().dropped > 0, "what waited too long");
}

/// Fifty machines on one access point lack the same third of a block.
#[test]
fn each_machine_on_unicast_is_repaired_whatever_the_others_lack() {
    let mut air = Air::new();
    for block in 0..20_u32 {
        let now = ms(100 * u64::from(block));
        air.block(now);
        for receiver in 0..50 {
            air.ask_by(now + ms(20), receiver, Reach::Unicast, block, 3);
        }
        let sent = air.sent(now + ms(30));
        assert_eq!(sent.len(), 50 * (3 + 1), "block {block}");
    }
    let stats = air.repair.stats();
    assert_eq!((stats.limited, stats.dropped), (0, 0));
}

#[test]
fn nothing_that_a_request_names_is_trusted() {
    let mut air = Air::new();
    air.block(ms(0));
    air.ask(ms(20), 1, 77, 3);
    air.ask(ms(20), 1, u32::MAX, 0);
    assert_eq!(air.repair.stats().unknown, 2);
    air.ask(ms(20), 2, 0, 255);
    assert_eq!(air.sent(ms(30)), to(2, 0..12), "all eleven shards and one");
    let losses = vec![Loss { block: 0, missing: 255 }];
    let feedback = Feedback { losses, ..Feedback::default() };
    air.repair.hear(ms(40), ReceiverId(2), Reach::Multicast, &feedback);
    for receiver in 0..5_000 {
        air.ask(ms(50), receiver, 0, 1);
    }
    assert!(air.repair.accounts.len() <= MAX_MACHINES);
}

#[test]
fn blocks_are_kept_for_3_s_and_one_that_left_gets_nothing() {
    let mut air = Air::new();
    air.block(ms(0));
    air.ask(ms(20), 1, 0, 1);
    air.repair.forget(ReceiverId(1));
    assert_eq!(air.sent(ms(30)), []);
    assert_eq!(air.repair.from(0, ms(0)).count(), 10 + 1, "ten packets and the manifest");
    assert_eq!(air.repair.from(1, ms(0)).count(), 0, "it is of the past");
    assert_eq!(air.repair.from(0, ms(500)).count(), 0, "it is too old");
    air.ask(ms(2_990), 3, 0, 1);
    assert_eq!(air.sent(ms(3_000)).len(), 2);
    air.sent(ms(3_010));
    air.ask(ms(3_020), 2, 0, 1);
    assert_eq!(air.sent(ms(3_100)), []);
    assert_eq!(air.repair.from(0, ms(0)).count(), 0);
}
