//! Keys that change without a lost frame, and go to nobody who has lost trust.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{
    lab::Random,
    rtp::{Header, Packet},
    srtp::{Keyring, Sealer},
};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn first() -> Epoch {
    Epoch { number: 7, key: [1; KEY], salt: [2; SALT] }
}

/// A schedule that began at 0, with these machines.
fn schedule(machines: &[u8]) -> Schedule<u8> {
    let mut schedule = Schedule::new(ms(0), first());
    for machine in machines {
        schedule.joined(*machine);
    }
    schedule
}

fn switched(late: &[u8]) -> Step<u8> {
    Step::Switched { late: late.to_vec() }
}

fn grant(schedule: &mut Schedule<u8>, now: Duration) -> u32 {
    schedule.grant(now, &[3; KEY], &[4; SALT]).unwrap().number
}

#[test]
fn a_key_lives_an_hour_and_the_next_is_granted_half_a_minute_ahead() {
    let mut schedule = schedule(&[1, 2]);
    assert_eq!(schedule.next_timeout(), RENEWAL);
    assert_eq!(schedule.poll(RENEWAL.saturating_sub(ms(1))), None);
    assert_eq!(schedule.poll(RENEWAL), Some(Step::Wanted));
    assert_eq!(schedule.poll(RENEWAL), Some(Step::Wanted), "until it is there");
    assert_eq!(grant(&mut schedule, RENEWAL), 8);
    assert_eq!(schedule.next().unwrap().number, 8);
    for machine in [1, 2] {
        schedule.acknowledged(&machine, 8);
    }
    assert_eq!(
        schedule.poll(LIFE.saturating_sub(ms(1))),
        None,
        "all have it, but there is no hurry"
    );
    assert_eq!(schedule.current().number, 7);
    assert_eq!(schedule.next_timeout(), LIFE);
    assert_eq!(schedule.poll(LIFE), Some(switched(&[])));
    assert_eq!(schedule.current().number, 8);
    assert_eq!(schedule.current().key, [3; KEY]);
    assert!(schedule.next().is_none());
    assert_eq!(schedule.next_timeout(), LIFE + RENEWAL);
}

#[test]
fn a_key_that_comes_late_is_still_granted_half_a_minute_ahead() {
    let mut schedule = schedule(&[1]);
    grant(&mut schedule, LIFE + ms(5));
    assert_eq!(schedule.next_timeout(), LIFE + AHEAD + ms(5));
}

#[test]
fn who_did_not_acknowledge_is_named() {
    let mut schedule = schedule(&[3, 1, 2]);
    grant(&mut schedule, RENEWAL);
    schedule.acknowledged(&2, 8);
    schedule.acknowledged(&3, 7);
    assert_eq!(schedule.poll(LIFE), Some(switched(&[1, 3])), "an older number says nothing");
}

#[test]
fn when_trust_is_lost_the_key_changes_once_all_others_have_the_next() {
    let mut schedule = schedule(&[1, 2, 3]);
    schedule.distrusted(&2);
    assert_eq!(schedule.poll(ms(50)), Some(Step::Wanted));
    assert_eq!(grant(&mut schedule, ms(50)), 8);
    schedule.acknowledged(&1, 8);
    schedule.acknowledged(&2, 8);
    assert_eq!(schedule.poll(ms(70)), None);
    schedule.acknowledged(&3, 8);
    assert_eq!(schedule.poll(ms(80)), Some(switched(&[])));
    assert_eq!(schedule.poll(ms(80)), None);
}

#[test]
fn when_trust_is_lost_nobody_is_waited_for_longer_than_two_seconds() {
    let mut schedule = schedule(&[1, 2, 3]);
    schedule.distrusted(&2);
    grant(&mut schedule, ms(50));
    schedule.acknowledged(&1, 8);
    assert_eq!(schedule.next_timeout(), ms(2_050));
    assert_eq!(schedule.poll(ms(2_049)), None);
    assert_eq!(schedule.poll(ms(2_050)), Some(switched(&[3])));
}

#[test]
fn machines_that_lose_trust_together_share_one_new_key() {
    let mut schedule = schedule(&[1, 2, 3]);
    schedule.distrusted(&1);
    schedule.distrusted(&2);
    grant(&mut schedule, ms(0));
    schedule.acknowledged(&3, 8);
    assert_eq!(schedule.poll(ms(9)), Some(switched(&[])));
    assert_eq!(schedule.poll(ms(9)), None);
}

#[test]
fn a_granted_key_that_an_untrusted_machine_has_is_never_used() {
    let mut schedule = schedule(&[1, 2]);
    let now = RENEWAL;
    assert_eq!(grant(&mut schedule, now), 8);
    schedule.acknowledged(&1, 8);
    schedule.distrusted(&2);
    assert!(schedule.next().is_none());
    assert_eq!(schedule.poll(now), Some(Step::Wanted));
    assert_eq!(grant(&mut schedule, now), 9, "no number means two keys");
    schedule.acknowledged(&1, 8);
    assert_eq!(schedule.poll(now), None, "it has the one that was given up");
    schedule.acknowledged(&1, 9);
    assert_eq!(schedule.poll(now), Some(switched(&[])));
}

#[test]
fn trust_lost_while_a_key_is_granted_at_once_costs_another_right_after() {
    let mut schedule = schedule(&[1, 2, 3]);
    schedule.distrusted(&1);
    grant(&mut schedule, ms(0));
    schedule.distrusted(&2);
    assert_eq!(schedule.poll(ms(10)), None, "the first has its time");
    assert!(schedule.grant(ms(10), &[5; KEY], &[6; SALT]).is_none());
    schedule.acknowledged(&3, 8);
    assert_eq!(schedule.poll(ms(20)), Some(switched(&[])));
    assert_eq!(schedule.poll(ms(20)), Some(Step::Wanted));
    assert_eq!(grant(&mut schedule, ms(20)), 9);
}

#[test]
fn a_machine_that_leaves_is_not_waited_for_and_one_that_comes_is() {
    let mut schedule = schedule(&[1, 2, 3]);
    schedule.distrusted(&1);
    grant(&mut schedule, ms(0));
    schedule.acknowledged(&2, 8);
    schedule.left(&3);
    schedule.joined(4);
    assert_eq!(schedule.poll(ms(10)), None);
    schedule.joined(2);
    schedule.acknowledged(&4, 8);
    assert_eq!(schedule.poll(ms(20)), None, "it came again, perhaps without its memory");
    schedule.acknowledged(&2, 8);
    assert_eq!(schedule.poll(ms(30)), Some(switched(&[])));
}

#[test]
fn an_empty_room_waits_for_nobody() {
    let mut schedule = schedule(&[1]);
    schedule.distrusted(&1);
    grant(&mut schedule, ms(5));
    assert_eq!(schedule.poll(ms(5)), Some(switched(&[])));
}

#[test]
fn machines_beyond_the_most_are_not_waited_for() {
    let mut schedule = Schedule::new(ms(0), first());
    for machine in 0..=MAX_MACHINES {
        schedule.joined(machine);
    }
    schedule.joined(0);
    schedule.distrusted(&0);
    schedule.grant(ms(0), &[0; KEY], &[0; SALT]);
    let Some(Step::Switched { late }) = schedule.poll(AT_ONCE) else { panic!("not switched") };
    assert_eq!(late.len(), MAX_MACHINES - 1);
    assert_eq!(late.last(), Some(&(MAX_MACHINES - 1)));
}

#[test]
fn the_key_identifier_is_the_lower_half_of_the_number() {
    let epoch = Epoch { number: 0x0003_fffe, ..first() };
    assert_eq!(epoch.mki(), 0xfffe);
}

/// A stream of three hours with machines that lose trust now and then; grants and packets take
/// their time, packets up to a quarter of a second. Nobody who is trusted misses one, and nobody
/// hears more than two switches' worth after losing trust.
#[test]
fn no_packet_is_lost_to_a_new_key() {
    let mut random = Random::new(42);
    let mut schedule = schedule(&[]);
    let mut sealer = Sealer::new(schedule.current()).unwrap();
    let mut machines: BTreeMap<u8, Keyring> = BTreeMap::new();
    for machine in 0..5 {
        let mut keyring = Keyring::new();
        keyring.add(schedule.current()).unwrap();
        machines.insert(machine, keyring);
        schedule.joined(machine);
    }
    // Grants and packets under way, each by when it is there.
    let mut grants: Vec<(Duration, u8, Epoch)> = Vec::new();
    let mut packets = Vec::new();
    let mut untrusted: Vec<(Duration, Keyring)> = Vec::new();
    let mut now = ms(0);
    let mut switches = 0;
    for index in 0_u64..54_000 {
        now += ms(200);
        // While the second key is granted; amid a key's life; and just after that.
        if [17_949, 25_000, 25_002].contains(&index) {
            let (machine, keyring) = machines.pop_first().unwrap();
            schedule.distrusted(&machine);
            untrusted.push((now, keyring));
        }
        while let Some(step) = schedule.poll(now) {
            match step {
                Step::Wanted => {
                    let key = [random.next().to_le_bytes()[0]; KEY];
                    let epoch = schedule.grant(now, &key, &[9; SALT]).unwrap();
                    for machine in machines.keys() {
                        let there = now + ms(random.below(1_500));
                        grants.push((there, *machine, epoch.clone()));
                    }
                }
                Step::Switched { late } => {
                    assert_eq!(late, []);
                    sealer.switch(schedule.current()).unwrap();
                    switches += 1;
                }
            }
        }
        let header = Header { sequence: (index & 0xffff) as u16, ssrc: 1, ..Header::default() };
        let packet = Packet { header, payload: index.to_be_bytes().to_vec().into() };
        let datagram = sealer.seal(index, &packet).unwrap();
        packets.push((now + ms(random.below(250)), index, datagram.clone()));
        for (lost_trust, keyring) in &untrusted {
            let can_hear = keyring.open(&datagram, index).is_ok();
            assert!(!can_hear || now <= *lost_trust + 2 * AT_ONCE);
        }
        for (_, machine, epoch) in grants.extract_if(.., |(there, ..)| *there <= now) {
            if let Some(keyring) = machines.get_mut(&machine) {
                keyring.add(&epoch).unwrap();
                schedule.acknowledged(&machine, epoch.number);
            }
        }
        for (_, index, datagram) in packets.extract_if(.., |(there, ..)| *there <= now) {
            for keyring in machines.values() {
                assert!(keyring.open(&datagram, index).is_ok(), "packet {index}");
            }
        }
    }
    assert_eq!(switches, 4, "three for trust, and a regular one");
}

proptest! {
    /// Whatever comes in whatever order, while the caller polls when it is due: numbers only grow,
    /// no switch comes too early, and no machine keeps what it lost for longer than said.
    #[test]
    fn who_lost_trust_is_out_in_time(
        steps in vec((0..6_u8, 0..5_u8, 0..1_500_u64), 1..150),
    ) {
        let mut schedule = schedule(&[0, 1, 2]);
        let mut now = ms(0);
        // What each epoch was granted to, and who of them has it.
        let mut granted: BTreeMap<u32, BTreeSet<u8>> = BTreeMap::from([(7, (0..3).collect())]);
        let mut acknowledged: BTreeMap<u32, BTreeSet<u8>> = BTreeMap::new();
        let mut granted_at = now;
        let mut present: BTreeSet<u8> = (0..3).collect();
        let mut lost_trust: BTreeMap<u8, Duration> = BTreeMap::new();
        for (what, machine, millis) in steps {
            // Most steps are short; some pass most of an hour.
            let until = now + if what == 5 { ms(millis * 2_000) } else { ms(millis) };
            loop {
                while let Some(step) = schedule.poll(now) {
                    let number = schedule.current().number;
                    match step {
                        Step::Wanted => {
                            let epoch = schedule.grant(now, &[0; KEY], &[0; SALT]).unwrap();
                            prop_assert!(granted.keys().all(|number| *number < epoch.number));
                            granted.insert(epoch.number, present.clone());
                            granted_at = now;
                        }
                        Step::Switched { late } => {
                            let has: Vec<_> = present.iter().copied().filter(|machine| {
                                let has = acknowledged.get(&number);
                                !has.is_some_and(|has| has.contains(machine))
                            }).collect();
                            prop_assert!(late.is_empty() || now >= granted_at + AT_ONCE);
                            prop_assert_eq!(late, has);
                        }
                    }
                }
                let hears = granted.get(&schedule.current().number).unwrap();
                for (machine, at) in &lost_trust {
                    if !hears.contains(machine) {
                        continue;
                    }
                    prop_assert!(now < *at + 2 * AT_ONCE, "{machine} lost trust at {at:?}");
                }
                let due = schedule.next_timeout();
                prop_assert!(due > now, "polled, and still due");
                if due > until {
                    break;
                }
                now = due;
            }
            now = until;
            let current = schedule.current().number;
            let next = schedule.next().map(|next| next.number);
            match what {
                0 => {
                    schedule.joined(machine);
                    present.insert(machine);
                    lost_trust.remove(&machine);
                    for number in [Some(current), next].into_iter().flatten() {
                        granted.entry(number).or_default().insert(machine);
                        acknowledged.entry(number).or_default().remove(&machine);
                    }
                }
                1 => {
                    schedule.left(&machine);
                    present.remove(&machine);
                }
                2 => {
                    schedule.distrusted(&machine);
                    present.remove(&machine);
                    lost_trust.insert(machine, now);
                }
                3 | 4 => if let Some(next) = next && present.contains(&machine) {
                    schedule.acknowledged(&machine, next);
                    acknowledged.entry(next).or_default().insert(machine);
                },
                _ => {}
            }
        }
    }
}
