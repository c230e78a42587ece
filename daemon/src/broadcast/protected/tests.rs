//! What the relay protects, opened as a machine opens it.

use std::net::{Ipv4Addr, SocketAddrV4};

use alfarid_protocol::{grant::Protection, id::MachineId};
use alfarid_stream::{
    block::{Kind, Manifest, Next, VerifyingKey},
    feedback::{Feedback, KeepAlive, Loss, Request},
    restore::{Config, Restore},
    rtp::{Header, Packet},
    srtp::Keyring,
};
use uuid::Uuid;

use super::*;
use crate::broadcast::keys::{Keys, Turn};

const SSRC: u32 = 0xa1fa;
const FIRST: u64 = 700;
const MACHINE: MachineId = MachineId(Uuid::from_u128(1));
/// Where machines are.
const HOME: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 21);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn way(last: u8) -> Way {
    let local = Ipv4Addr::new(10, 0, 0, 1);
    Way { local, peer: SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, last), 40_000) }
}

fn lesson() -> (Keys, Protected) {
    Keys::new(ms(0), getrandom::fill).unwrap()
}

/// One packet, which is a whole picture.
fn picture(index: u64) -> Sent {
    let header = Header {
        marker: true,
        payload_type: 96,
        sequence: u16::try_from(index & 0xffff).unwrap(),
        timestamp: u32::try_from(index).unwrap(),
        ssrc: SSRC,
    };
    let payload = Bytes::from(index.to_be_bytes().repeat(20));
    Sent { index, packet: Packet { header, payload }, keyframe: None }
}

/// Puts so many pictures on air, 30 ms apart from `FIRST` on, and gives all that goes out.
fn air(protected: &mut Protected, pictures: u64) -> Vec<Outgoing> {
    let mut out = Vec::new();
    for n in 0..pictures {
        let now = ms(n * 30);
        protected.send(now, Lane::Video, &picture(FIRST + n)).unwrap();
        out.extend(std::iter::from_fn(|| protected.poll(now)));
    }
    out
}

fn feedback(protection: &Protection, serial: u32, block: u32) -> Bytes {
    let request = Request { block, deficit: 1, round: 0 };
    let feedback = Feedback { newest_block: block, requests: vec![request], ..Feedback::default() };
    let key = protection.feedback_key.bytes();
    feedback::Sealer::new(serial, key).unwrap().seal(&feedback).unwrap()
}

fn opened(protection: &Protection) -> Keyring {
    let mut keyring = Keyring::new();
    for epoch in &protection.epochs {
        let (key, salt) = (*epoch.key.bytes(), *epoch.salt.bytes());
        keyring.add(&Epoch { number: epoch.number, key, salt }).unwrap();
    }
    keyring
}

#[test]
fn what_is_sent_opens_with_what_a_machine_is_granted() {
    let (mut keys, mut protected) = lesson();
    let protection = keys.grant(MACHINE, 40_001).unwrap();
    let config = Config {
        key: VerifyingKey::new(&protection.signer).unwrap(),
        streams: vec![Next { ssrc: SSRC, index: FIRST }],
        playout: ms(250),
        round_trip: ms(5),
    };
    let (mut restore, keyring) = (Restore::new(ms(0), config), opened(&protection));
    for outgoing in air(&mut protected, 5) {
        assert_eq!(outgoing.to, Destination::Group);
        restore.push(ms(150), outgoing.datagram);
    }
    let verified = std::iter::from_fn(|| restore.poll());
    let packets = verified.map(|verified| {
        assert_eq!(verified.ssrc, SSRC);
        keyring.open(&verified.datagram, verified.index).unwrap()
    });
    let sent = (FIRST..FIRST + 5).map(|index| picture(index).packet);
    assert_eq!(packets.collect::<Vec<_>>(), sent.collect::<Vec<_>>());
}

#[test]
fn a_machine_that_lacks_something_gets_parity_where_it_spoke_from() {
    let (mut keys, mut protected) = lesson();
    let protection = keys.grant(MACHINE, 40_001).unwrap();
    protected.admit(ReceiverId(7), HOME, protection.feedback_key.bytes()).unwrap();
    air(&mut protected, 3);
    protected.hear(ms(80), way(21), &feedback(&protection, 7, 1)).unwrap();
    let due = protected.next_timeout(ms(80));
    assert!(due <= ms(100), "{due:?}");
    let answer: Vec<_> = std::iter::from_fn(|| protected.poll(due)).collect();
    let parity = answer.iter().filter(|out| Kind::of(&out.datagram) == Some(Kind::Parity));
    assert_eq!(parity.count(), 2, "what it lacks, and one more");
    let alone = |out: &&Outgoing| out.to == Destination::Machine(way(21));
    assert_eq!(answer.iter().filter(alone).count(), 2);
}

#[test]
fn nobody_is_answered_who_was_not_admitted_or_is_no_more() {
    let (mut keys, mut protected) = lesson();
    let protection = keys.grant(MACHINE, 40_001).unwrap();
    let other = keys.grant(MACHINE, 40_001).unwrap();
    air(&mut protected, 3);
    let request = feedback(&protection, 7, 1);
    let stranger = protected.hear(ms(80), way(22), &request);
    assert!(matches!(stranger, Err(ProtectError::NotAdmitted(ReceiverId(7)))), "{stranger:?}");
    protected.admit(ReceiverId(7), HOME, protection.feedback_key.bytes()).unwrap();
    let forged = protected.hear(ms(80), way(22), &feedback(&other, 7, 1));
    assert!(matches!(forged, Err(ProtectError::Feedback(feedback::Error::Forged))), "{forged:?}");
    protected.hear(ms(80), way(21), &request).unwrap();
    let again = protected.hear(ms(81), way(22), &request);
    let replayed = feedback::Error::Replayed { counter: 1, newest: 1 };
    assert!(matches!(again, Err(ProtectError::Feedback(error)) if error == replayed));
    assert!(protected.hear(ms(82), way(22), &[0x80; 1_200]).is_err());
    let unheard = Unheard { forged: 1, replayed: 1, strangers: 1, malformed: 1 };
    assert_eq!(protected.unheard(), unheard, "each is counted once");
    protected.dismiss(ReceiverId(7));
    let answer = std::iter::from_fn(|| protected.poll(ms(200)));
    let alone: Vec<_> = answer.filter(|out| out.to != Destination::Group).collect();
    assert!(alone.is_empty(), "{alone:?}");
    assert!(protected.hear(ms(201), way(21), &request).is_err());
}

#[test]
fn after_a_loss_of_trust_what_follows_is_sealed_with_a_key_that_only_the_others_have() {
    let (mut keys, mut protected) = lesson();
    let robber = MachineId(Uuid::from_u128(2));
    let (old, _) = (keys.grant(robber, 1).unwrap(), keys.grant(MACHINE, 1).unwrap());
    keys.left(robber);
    keys.distrusted(robber);
    let Ok(Some(Turn::Granted(epoch))) = keys.poll(ms(10)) else { panic!("no new epoch") };
    assert!(keys.poll(ms(10)).unwrap().is_none(), "the machine that is there may have it first");
    keys.acknowledged(MACHINE, epoch.number);
    let Ok(Some(Turn::Switched { epoch, late })) = keys.poll(ms(11)) else { panic!("no switch") };
    assert!(late.is_empty());
    protected.switch(&epoch).unwrap();
    let present = keys.grant(MACHINE, 1).unwrap();
    let sent = air(&mut protected, 1).remove(0);
    assert!(opened(&old).open(&sent.datagram, FIRST).is_err());
    assert!(opened(&present).open(&sent.datagram, FIRST).is_ok());
}

#[test]
fn no_more_are_heard_than_there_is_room_for_and_reports_are_sealed() {
    let (mut keys, mut protected) = lesson();
    let protection = keys.grant(MACHINE, 1).unwrap();
    let key = protection.feedback_key.bytes();
    for number in 0..u32::try_from(MAX_SPEAKERS).unwrap() {
        protected.admit(ReceiverId(number), HOME, key).unwrap();
    }
    let further = protected.admit(ReceiverId(u32::MAX), HOME, key);
    assert!(matches!(further, Err(ProtectError::TooMany(_))), "{further:?}");
    protected.dismiss(ReceiverId(3));
    assert!(protected.admit(ReceiverId(u32::MAX), HOME, key).is_ok());

    let report = [&[0x80, 200, 0, 6][..], &SSRC.to_be_bytes(), &[9; 20]].concat();
    let sealed = protected.report(&report).unwrap();
    let mut reports = srtp::Reports::new(SSRC);
    assert_eq!(reports.open(&opened(&protection), &sealed).unwrap(), report);
}

/// A machine whose group falls silent in the middle of a picture, and one whose flow is not kept
/// alive any longer.
#[test]
fn a_machine_that_falls_gets_all_it_lacks_and_then_each_packet() {
    let (mut keys, mut protected) = lesson();
    let protection = keys.grant(MACHINE, 40_001).unwrap();
    let key = protection.feedback_key.bytes();
    protected.admit(ReceiverId(7), HOME, key).unwrap();
    let mut sealer = feedback::Sealer::new(7, key).unwrap();
    let config = Config {
        key: VerifyingKey::new(&protection.signer).unwrap(),
        streams: vec![Next { ssrc: SSRC, index: FIRST }],
        playout: ms(250),
        round_trip: ms(5),
    };
    let mut restore = Restore::new(ms(0), config);
    for n in 0..2_000 {
        if n % 30 == 0 {
            protected.send(ms(n), Lane::Video, &picture(FIRST + n / 30)).unwrap();
        }
        if n == 900 {
            let from = restore.lacks_from();
            assert!(from.is_some());
            let wish = sealer.seal_keep_alive(KeepAlive { is_wanted: true, from }).unwrap();
            protected.hear(ms(n), way(21), &wish).unwrap();
        }
        while let Some(out) = protected.poll(ms(n)) {
            let reaches = match out.to {
                Destination::Group | Destination::Answer => n < 302,
                Destination::Flow(to) | Destination::Machine(to) => to == way(21),
            };
            if reaches {
                restore.push(ms(n), out.datagram);
            }
        }
    }
    assert_eq!(protected.flows(), 1);
    let left = std::iter::from_fn(|| restore.poll()).map(|verified| verified.index);
    assert_eq!(left.collect::<Vec<_>>(), (FIRST..=FIRST + 2_000 / 30).collect::<Vec<_>>());
    assert_eq!(restore.stats().lost, 0);

    air(&mut protected, 0);
    while protected.poll(ms(30_901)).is_some() {}
    assert_eq!(protected.flows(), 0, "nobody kept it alive");
}

#[test]
fn a_flow_goes_to_the_machine_alone_and_ends_when_it_says_so() {
    let (mut keys, mut protected) = lesson();
    let protection = keys.grant(MACHINE, 40_001).unwrap();
    let key = protection.feedback_key.bytes();
    protected.admit(ReceiverId(7), HOME, key).unwrap();
    let mut sealer = feedback::Sealer::new(7, key).unwrap();
    let mut wish = |is_wanted| sealer.seal_keep_alive(KeepAlive { is_wanted, from: None }).unwrap();
    let elsewhere = protected.hear(ms(1), way(66), &wish(true));
    assert!(matches!(elsewhere, Err(ProtectError::Elsewhere(_))), "{elsewhere:?}");
    assert_eq!(protected.flows(), 0);
    assert!(protected.elsewhere().contains(&ReceiverId(7)), "its teacher is told why");

    let answers = |protected: &mut Protected, at| {
        let out = std::iter::from_fn(|| protected.poll(at));
        out.filter(|out| out.to == Destination::Flow(way(21))).count()
    };
    protected.hear(ms(2), way(21), &wish(false)).unwrap();
    protected.hear(ms(3), way(21), &wish(false)).unwrap();
    assert_eq!(answers(&mut protected, ms(3)), 1, "one who floods is not answered more often");
    assert_eq!(protected.flows(), 0, "it only asks whether it would carry");
    assert!(protected.elsewhere().is_empty(), "it comes from its own address now");
    protected.hear(ms(100), way(21), &wish(true)).unwrap();
    assert_eq!(protected.flows(), 1);
    protected.hear(ms(200), way(21), &wish(false)).unwrap();
    assert_eq!(protected.flows(), 0);
    protected.hear(ms(300), way(21), &wish(true)).unwrap();
    protected.dismiss(ReceiverId(7));
    assert_eq!(protected.flows(), 0);
}

#[test]
fn a_flow_that_loses_something_gets_manifests_again_and_no_other_does() {
    let (mut keys, mut protected) = lesson();
    let mut admit = |receiver, last| {
        let protection = keys.grant(MACHINE, 40_001).unwrap();
        let address = *way(last).peer.ip();
        let key = protection.feedback_key.bytes();
        protected.admit(ReceiverId(receiver), address, key).unwrap();
        let mut sealer = feedback::Sealer::new(receiver, key).unwrap();
        let wish = KeepAlive { is_wanted: true, from: None };
        protected.hear(ms(0), way(last), &sealer.seal_keep_alive(wish).unwrap()).unwrap();
        sealer
    };
    let (mut lossy, _calm) = (admit(7, 21), admit(8, 22));
    air(&mut protected, 3);
    let requests = vec![Request { block: 1, deficit: 1, round: 0 }];
    let lacking = Feedback { newest_block: 1, requests, ..Feedback::default() };
    protected.hear(ms(62), way(21), &lossy.seal(&lacking).unwrap()).unwrap();
    while protected.poll(ms(80)).is_some() {}

    protected.send(ms(90), Lane::Video, &picture(FIRST + 3)).unwrap();
    let manifests = |protected: &mut Protected, at| {
        let out = std::iter::from_fn(|| protected.poll(at));
        out.filter(|out| Kind::of(&out.datagram) == Some(Kind::Manifest)).collect::<Vec<_>>()
    };
    let first = manifests(&mut protected, ms(90));
    assert_eq!(first.len(), 3, "to the group and both flows");
    assert!(protected.next_timeout(ms(90)) <= ms(90) + ECHO);
    // Another one before the first comes again: both do.
    protected.send(ms(100), Lane::Video, &picture(FIRST + 4)).unwrap();
    let second = manifests(&mut protected, ms(100));
    for (at, before) in [(ms(90), first), (ms(100), second)] {
        let again = manifests(&mut protected, at + ECHO);
        assert_eq!(again.len(), 1);
        assert_eq!(again[0].to, Destination::Machine(way(21)));
        assert_eq!(again[0].datagram, before[0].datagram);
    }
}

/// Three machines; the third lacks a shard of every block and the others none.
#[test]
fn a_machine_that_all_others_pay_for_is_set_apart_for_a_while() {
    let (mut keys, mut protected) = lesson();
    let mut admit = |serial: u32| {
        let protection = keys.grant(MachineId(Uuid::from_u128(serial.into())), 1).unwrap();
        let key = protection.feedback_key.bytes();
        protected.admit(ReceiverId(serial), HOME, key).unwrap();
        feedback::Sealer::new(serial, key).unwrap()
    };
    let mut sealers = [1, 2, 3].map(&mut admit);
    // How much parity went to the group, of each second.
    let mut parity = [0; 25];
    for n in 0..25 * 32 {
        let now = ms(n * 125 / 4);
        protected.send(now, Lane::Video, &picture(FIRST + n)).unwrap();
        while let Some(out) = protected.poll(now) {
            let second = usize::try_from(now.as_secs()).unwrap();
            let is_parity = Kind::of(&out.datagram) == Some(Kind::Parity);
            parity[second] += usize::from(is_parity && out.to == Destination::Group);
            let Ok(manifest) = Manifest::parse(&out.datagram) else { continue };
            let losses = vec![Loss { block: manifest.unverified().block, missing: 1 }];
            let feedback = Feedback { losses, ..Feedback::default() };
            protected.hear(now, way(3), &sealers[2].seal(&feedback).unwrap()).unwrap();
        }
    }
    assert_eq!(protected.take_outcast(), Some(ReceiverId(3)), "it is told to leave the group");
    assert!(parity[3] > 5, "{parity:?}");
    assert!(parity[12..].iter().all(|&sent| sent == 0), "{parity:?}");
}
