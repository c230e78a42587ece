//! What goes on air, when, and how much of it unasked.

use aws_lc_rs::signature::Ed25519KeyPair;

use super::*;
use crate::{
    block::{Kind, Manifest, Stream},
    feedback::Loss,
    rtp::{Header, Packet},
};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn protect() -> Protect {
    let key = SigningKey::new(Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap());
    Protect::new(Duration::ZERO, key, Tickets::new(&[9; 32]))
}

fn packet(ssrc: u32, index: u64, marker: bool) -> Bytes {
    let sequence = u16::try_from(index & 0xffff).unwrap();
    let header = Header { marker, sequence, ssrc, ..Header::default() };
    let mut datagram = Vec::new();
    Packet { header, payload: Bytes::from(vec![5; 100]) }.write(&mut datagram);
    datagram.into()
}

/// All that is to be sent now, but heartbeats.
fn polled(protect: &mut Protect, now: Duration) -> Vec<Transmit> {
    let all = std::iter::from_fn(|| protect.poll(now));
    all.filter(|sent| Kind::of(&sent.datagram) != Some(Kind::Heartbeat)).collect()
}

fn count(sent: &[Transmit], kind: Kind) -> usize {
    sent.iter().filter(|sent| Kind::of(&sent.datagram) == Some(kind)).count()
}

fn lost(block: u32, missing: u8) -> Feedback {
    Feedback { losses: vec![Loss { block, missing }], ..Feedback::default() }
}

/// A picture of so many packets every 50 ms; after each, every machine tells what it lacked of it.
/// Gives what the last one was sent with.
fn pictures(protect: &mut Protect, from: u64, count: u64, told: &[(u32, u8)]) -> Vec<Transmit> {
    const PACKETS: u64 = 10;
    let mut last = Vec::new();
    for n in from..from + count {
        let now = ms(50 * n);
        for at in 0..PACKETS {
            let index = PACKETS * n + at;
            let datagram = packet(1, index, at + 1 == PACKETS);
            protect.push(now, Lane::Video, index, datagram).unwrap();
        }
        last = polled(protect, now);
        while let Some(closed) = protect.take_closed() {
            for &(receiver, missing) in told {
                protect.hear(now, ReceiverId(receiver), &lost(closed.number(), missing));
            }
        }
    }
    last
}

#[test]
fn a_block_ends_with_its_picture_and_its_manifest_follows() {
    let mut protect = protect();
    protect.push(ms(0), Lane::Sound, 7, packet(2, 7, true)).unwrap();
    protect.push(ms(1), Lane::Video, 1, packet(1, 1, false)).unwrap();
    assert_eq!(polled(&mut protect, ms(1)).len(), 2, "nothing waits");
    protect.push(ms(2), Lane::Video, 2, packet(1, 2, true)).unwrap();
    let sent = polled(&mut protect, ms(2));
    let manifest = Manifest::parse(&sent[1].datagram).unwrap();
    let entries = &manifest.unverified().entries;
    assert_eq!(entries.packets().collect::<Vec<_>>(), [(2, 7), (1, 1), (1, 2)]);
    assert_eq!(sent.len(), 2, "nobody lost anything: no parity, one manifest");
}

#[test]
fn sound_alone_is_closed_by_the_clock_and_too_many_packets_by_their_number() {
    let mut protect = protect();
    protect.push(ms(0), Lane::Sound, 7, packet(2, 7, true)).unwrap();
    assert_eq!(protect.next_timeout(), ms(0), "a heartbeat");
    assert_eq!(count(&polled(&mut protect, ms(39)), Kind::Manifest), 0);
    assert_eq!(protect.next_timeout(), SOUND_ALONE);
    assert_eq!(count(&polled(&mut protect, SOUND_ALONE), Kind::Manifest), 1);
    for index in 0..64 {
        protect.push(ms(50), Lane::Video, index, packet(1, index, false)).unwrap();
    }
    assert_eq!(count(&polled(&mut protect, ms(50)), Kind::Manifest), 1);
}

#[test]
fn what_is_not_as_it_is_said_to_be_is_not_sent() {
    let mut protect = protect();
    let mut push = |index, datagram| protect.push(ms(0), Lane::Video, index, datagram);
    assert!(matches!(push(5, Bytes::from_static(b"x")), Err(Error::Rtp(_))));
    assert_eq!(push(6, packet(1, 5, false)), Err(Error::Sequence { sequence: 5, index: 6 }));
    assert_eq!(push(5, packet(1, 5, false)), Ok(()));
    let again = Error::Index { ssrc: 1, index: 5, next: 6 };
    assert_eq!(push(5, packet(1, 5, false)), Err(again));
    let long = Bytes::from([&packet(1, 6, false)[..], &[0; 1_400]].concat());
    assert_eq!(push(6, long), Err(Error::Length(1_512)));
    assert_eq!(protect.stats().sources, 1);
}

/// Of seven blocks in ten the worst machine lacks 4 shards of 20, of the others 9; the other machine
/// lacks 2 of each.
#[test]
fn first_parity_is_what_the_worst_machine_lacks_of_two_blocks_in_three() {
    let key = ReceiverId;
    let mut rule = FirstParity::new();
    for block in 0..100_u32 {
        let now = ms(50 * u64::from(block));
        rule.closed(now, block, 20);
        rule.hear(key(1), block, if block % 10 < 7 { 4 } else { 9 });
        rule.hear(key(2), block, 2);
    }
    let now = ms(5_000);
    assert_eq!(rule.count(now, 20), 4, "whatever the largest are");
    assert_eq!(rule.count(now, 40), 8, "as a share");
    rule.forget(key(1));
    assert_eq!(rule.count(now, 20), 2);
    assert_eq!(rule.count(ms(11_000), 20), 0, "what is older than 5 s does not count");
}

#[test]
fn first_parity_is_none_when_nobody_loses_and_never_more_than_half() {
    let mut rule = FirstParity::new();
    for block in 0..100_u32 {
        rule.closed(ms(50 * u64::from(block)), block, 20);
    }
    assert_eq!(rule.count(ms(5_000), 20), 0);
    for block in 0..100 {
        assert_eq!(rule.hear(ReceiverId(1), block, 255), Some(20), "a lie about all of it");
    }
    assert_eq!(rule.count(ms(5_000), 20), 10);
    assert_eq!(rule.hear(ReceiverId(1), 100, 3), None, "no such block");
}

#[test]
fn one_machine_whose_losses_all_get_parity_for_is_named() {
    let mut rule = FirstParity::new();
    for block in 0..110_u32 {
        rule.closed(ms(50 * u64::from(block)), block, 20);
        if block * 47 % 100 < 43 {
            rule.hear(ReceiverId(1), block, 20);
        }
    }
    assert_eq!(rule.count(ms(5_450), 20), 10, "44 of 92 blocks that count are his");
    assert_eq!(rule.outlier(ms(5_450)), Some(ReceiverId(1)));
}

#[test]
fn one_machine_that_makes_all_others_pay_is_named() {
    let mut rule = FirstParity::new();
    for block in 0..110_u32 {
        let now = ms(50 * u64::from(block));
        rule.closed(now, block, 20);
        rule.hear(ReceiverId(1), block, 1);
        rule.hear(ReceiverId(2), block, 6);
        assert_eq!(rule.outlier(now).is_some(), now >= ms(4_500), "{now:?}");
    }
    assert_eq!(rule.outlier(ms(5_450)), Some(ReceiverId(2)));
    for block in 0..110 {
        rule.hear(ReceiverId(3), block, 6);
    }
    assert_eq!(rule.outlier(ms(5_450)), None, "it is not alone");
}

#[test]
fn parity_and_a_second_manifest_go_out_when_machines_lose() {
    let mut protect = protect();
    let calm = pictures(&mut protect, 0, 100, &[(1, 0)]);
    assert_eq!((count(&calm, Kind::Parity), count(&calm, Kind::Manifest)), (0, 1));
    // One of 550 shards: nobody is over 1 %.
    pictures(&mut protect, 100, 1, &[(1, 1)]);
    let lossy = pictures(&mut protect, 101, 50, &[(1, 0)]);
    assert!(!protect.is_slicing());
    assert_eq!((count(&lossy, Kind::Parity), count(&lossy, Kind::Manifest)), (0, 2));
}

#[test]
fn blocks_are_slices_while_three_machines_lose_over_one_percent_and_for_30_s_after() {
    let mut protect = protect();
    pictures(&mut protect, 0, 100, &[(1, 0)]);
    pictures(&mut protect, 100, 1, &[(1, 5)]);
    pictures(&mut protect, 101, 20, &[(1, 1), (2, 1)]);
    assert!(!protect.is_slicing(), "two are answered alone");
    pictures(&mut protect, 121, 1, &[(3, 5)]);
    pictures(&mut protect, 122, 1, &[]);
    assert!(!protect.is_slicing(), "5 of some 1,000 are not over 1 %");
    pictures(&mut protect, 123, 20, &[(1, 1), (2, 1), (3, 1)]);
    assert!(protect.is_slicing());
    let before = protect.stats().blocks;
    pictures(&mut protect, 143, 20, &[]);
    let blocks = protect.stats().blocks - before;
    assert!((8..=10).contains(&blocks), "100 ms each, not a picture each: {blocks}");
    // The last loss leaves the window of 5 s at picture 243 or so; 30 s later it is picture 843.
    pictures(&mut protect, 163, 640, &[]);
    assert!(protect.is_slicing());
    pictures(&mut protect, 803, 80, &[]);
    assert!(!protect.is_slicing());
}

#[test]
fn a_machine_that_left_keeps_no_slices() {
    let mut slicing = Slicing::new();
    assert!(!slicing.closed(ms(0), 200));
    for receiver in 1..=3 {
        slicing.hear(ms(10), ReceiverId(receiver), 10);
    }
    assert!(slicing.closed(ms(20), 10) && slicing.is_slicing());
    slicing.forget(ReceiverId(1));
    // Two are over the limit still; with the one that left it would be three.
    assert!(!slicing.closed(ms(4_000), 10));
    assert!(!slicing.closed(ms(29_990), 10));
    assert!(slicing.closed(ms(30_100), 10) && !slicing.is_slicing());
}

#[test]
fn a_heartbeat_every_100_ms_says_where_the_streams_are() {
    let mut protect = protect();
    protect.push(ms(0), Lane::Video, 9, packet(1, 9, true)).unwrap();
    let mut heard = Vec::new();
    for at in (0..1_000).step_by(10) {
        while let Some(sent) = protect.poll(ms(at)) {
            heard.extend(Heartbeat::parse(&sent.datagram).ok());
        }
    }
    assert_eq!(heard.len(), 10);
    let last = heard[9].unverified();
    assert_eq!((last.block, last.box_ms, last.playout_ms), (1, 900, 250));
    assert_eq!(last.streams, [Stream { ssrc: 1, next: 10, timestamp: 900 * 90 }]);
}

/// The newest heartbeat within 100 ms of `now`.
fn said(protect: &mut Protect, now: Duration) -> Heartbeat {
    let mut newest = None;
    for at in [now, now + HEARTBEAT] {
        while let Some(sent) = protect.poll(at) {
            newest = Heartbeat::parse(&sent.datagram).ok().or(newest);
        }
    }
    newest.unwrap().unverified().clone()
}

/// A packet of the stream that has this RTP time.
fn timed(ssrc: u32, index: u64, timestamp: u32) -> Bytes {
    let sequence = u16::try_from(index & 0xffff).unwrap();
    let header = Header { marker: true, sequence, timestamp, ssrc, ..Header::default() };
    let mut datagram = Vec::new();
    Packet { header, payload: Bytes::from(vec![5; 100]) }.write(&mut datagram);
    datagram.into()
}

/// The picture is late by 30 ms, each second packet by 20 more, and the sound by 10.
#[test]
fn a_heartbeat_says_what_is_due_in_each_stream_at_its_moment() {
    let mut protect = protect();
    protect.set_playout(ms(120));
    for n in 0..50_u32 {
        let (made, index) = (40 * u64::from(n), u64::from(n));
        let sound = timed(2, index, 77 + n * 40 * 48);
        protect.push(ms(made + 10), Lane::Sound, index, sound).unwrap();
        let late = 30 + 20 * u64::from(n % 2);
        let picture = timed(1, index, 9_000 + n * 40 * 90);
        protect.push(ms(made + late), Lane::Video, index, picture).unwrap();
    }
    let heard = said(&mut protect, ms(2_100));
    assert_eq!((heard.box_ms, heard.playout_ms), (2_200, 120));
    let due = |ssrc| heard.pair(ssrc).unwrap().timestamp;
    assert_eq!((due(1), due(2)), (9_000 + 2_170 * 90, 77 + 2_190 * 48));
}

/// A change of codec: another stream, whose numbers have nothing to do with those of the last.
#[test]
fn a_stream_that_ended_goes_on_in_time_and_the_new_one_begins_at_its_own() {
    let mut protect = protect();
    for n in 0..10 {
        let packet = timed(1, u64::from(n), n * 40 * 90);
        protect.push(ms(40 * u64::from(n)), Lane::Video, n.into(), packet).unwrap();
    }
    let before = said(&mut protect, ms(400)).pair(1).unwrap().timestamp;
    assert_eq!(before, 500 * 90);
    protect.push(ms(600), Lane::Video, 7, timed(3, 7, 4_000_000_000)).unwrap();
    let heard = said(&mut protect, ms(600));
    assert_eq!(heard.pair(1).unwrap().timestamp, 700 * 90);
    assert_eq!(heard.pair(3).unwrap().timestamp, 4_000_000_000 + 100 * 90);
}

#[test]
fn a_pictures_last_packet_leaves_before_its_block_is_made() {
    let mut protect = protect();
    while protect.poll(ms(0)).is_some() {}
    protect.push(ms(1), Lane::Video, 0, packet(1, 0, true)).unwrap();
    assert_eq!(protect.next_timeout(), ms(1), "the rest follows at once");
    assert_eq!(protect.poll(ms(1)).map(|sent| sent.lane), Some(Lane::Video));
    assert!(protect.take_closed().is_none());
    assert_eq!(protect.poll(ms(1)).map(|sent| sent.lane), Some(Lane::Repair));
    assert!(protect.take_closed().is_some());
}

#[test]
fn what_nobody_polls_or_takes_is_bounded() {
    let mut protect = protect();
    for index in 0..2_000 {
        protect.push(ms(index), Lane::Video, index, packet(1, index, true)).unwrap();
    }
    assert_eq!(std::iter::from_fn(|| protect.take_closed()).count(), MAX_CLOSED);
    // And the last block's manifest, and a heartbeat.
    assert!(std::iter::from_fn(|| protect.poll(ms(2_000))).count() <= MAX_QUEUED + 2);
    assert!(protect.stats().overflow > 3_000);
}
