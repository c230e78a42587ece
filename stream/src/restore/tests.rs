//! What a machine lets in, asks for and keeps, at its limits.

use aws_lc_rs::signature::Ed25519KeyPair;

use super::*;
use crate::{
    block::{Commitment, Entries, Entry, Manifest, Parity, SigningKey, Stream, digest_of},
    protect::Protect,
    rtp::{Header, Packet},
    transmit::Lane,
};

const SSRC: u32 = 1;
const FIRST: u64 = 1_000;
const PACKETS: u64 = 10;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn signing(seed: u8) -> SigningKey {
    SigningKey::new(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
}

/// The box's key.
fn key() -> SigningKey {
    signing(7)
}

/// A key that everybody has: not the box's.
fn other_key() -> SigningKey {
    signing(8)
}

fn machine() -> Restore {
    let config = Config {
        key: VerifyingKey::new(&key().public().unwrap()).unwrap(),
        streams: vec![Next { ssrc: SSRC, index: FIRST }],
        playout: ms(250),
        round_trip: ms(5),
    };
    Restore::new(Duration::ZERO, config)
}

/// A packet of about a thousand bytes; what is in it is named.
fn source(ssrc: u32, index: u64, name: u64) -> Bytes {
    let sequence = u16::try_from(index & 0xffff).unwrap();
    let header = Header { sequence, ssrc, ..Header::default() };
    let mut datagram = Vec::new();
    Packet { header, payload: Bytes::from(name.to_be_bytes().repeat(125)) }.write(&mut datagram);
    datagram.into()
}

/// A box.
struct Air {
    protect: Protect,
    index: u64,
}

impl Air {
    fn new() -> Self {
        let tickets = crate::block::Tickets::new(&[9; 32]);
        Self { protect: Protect::new(Duration::ZERO, key(), tickets), index: FIRST }
    }

    /// A block: its sources, and what follows them, the manifest first.
    fn block(&mut self, now: Duration) -> (Vec<Bytes>, Vec<Bytes>) {
        for index in self.index..self.index + PACKETS {
            self.protect.push(now, Lane::Video, index, source(SSRC, index, 0)).unwrap();
        }
        self.index += PACKETS;
        let mut sent = Vec::new();
        for at in [now, now + ms(40)] {
            sent.extend(std::iter::from_fn(|| self.protect.poll(at)).map(|sent| sent.datagram));
        }
        let (sources, others): (Vec<_>, Vec<_>) =
            sent.into_iter().partition(|datagram| Kind::of(datagram).is_none());
        // A first heartbeat before the manifest would say that the block does not matter.
        let (manifests, heartbeats): (Vec<_>, Vec<_>) =
            others.into_iter().partition(|datagram| Kind::of(datagram) == Some(Kind::Manifest));
        (sources, [manifests, heartbeats].concat())
    }
}

fn push_all(restore: &mut Restore, now: Duration, datagrams: &[Bytes]) {
    for datagram in datagrams {
        restore.push(now, datagram.clone());
    }
}

fn left(restore: &mut Restore) -> Vec<Bytes> {
    std::iter::from_fn(|| restore.poll()).map(|verified| verified.datagram).collect()
}

/// When something is asked for, of each millisecond from and to, and for how many shards.
fn asked(restore: &mut Restore, from: u64, to: u64) -> Vec<(u64, u8)> {
    let mut asked = Vec::new();
    for at in from..to {
        while let Some(feedback) = restore.feedback(ms(at)) {
            asked.extend(feedback.requests.iter().map(|request| (at, request.deficit)));
        }
    }
    asked
}

/// Each is said twice: see [`Asks`].
#[test]
fn a_block_that_is_short_is_asked_for_5_ms_after_it_closed_three_times_and_then_seldom() {
    let (mut restore, mut air) = (machine(), Air::new());
    let (sources, follow) = air.block(ms(0));
    push_all(&mut restore, ms(1), &sources[..1]);
    push_all(&mut restore, ms(1), &sources[3..]);
    push_all(&mut restore, ms(10), &follow);
    let asks = asked(&mut restore, 10, 1_000);
    let at = [15, 25, 45, 55, 75, 85, 175, 185, 275, 285, 375, 385, 475, 485];
    assert_eq!(asks, at.map(|at| (at, 2)));
}

#[test]
fn what_is_said_once_more_is_the_same_round() {
    let (mut restore, mut air) = (machine(), Air::new());
    let (sources, follow) = air.block(ms(0));
    push_all(&mut restore, ms(1), &sources[..9]);
    push_all(&mut restore, ms(10), &follow);
    let rounds = [15, 25, 45, 55].map(|at| restore.feedback(ms(at)).unwrap().requests[0].round);
    assert_eq!(rounds, [0, 0, 1, 1]);
}

#[test]
fn what_came_after_all_is_not_asked_for() {
    let (mut restore, mut air) = (machine(), Air::new());
    let (sources, follow) = air.block(ms(0));
    push_all(&mut restore, ms(1), &sources[..9]);
    push_all(&mut restore, ms(10), &follow);
    assert_eq!(asked(&mut restore, 10, 16), [(15, 1)]);
    push_all(&mut restore, ms(16), &sources[9..]);
    assert_eq!(asked(&mut restore, 16, 400), []);
}

/// It is, up to 411 ms.
#[test]
fn what_nobody_waits_for_any_more_is_not_asked_for() {
    let (mut restore, mut air) = (machine(), Air::new());
    restore.set_playout(ms(60));
    let (sources, follow) = air.block(ms(0));
    push_all(&mut restore, ms(1), &sources[..9]);
    push_all(&mut restore, ms(350), &follow);
    assert_eq!(asked(&mut restore, 350, 1_000), [355, 365, 385, 395].map(|at| (at, 1)));
}

/// The pictures behind it need what it brings.
#[test]
fn what_comes_too_late_to_be_shown_in_time_counts_as_lost_and_leaves_all_the_same_for_a_while() {
    for (late, leaves, lost) in [(340, 1, 0), (360, 1, 1), (690, 1, 1), (710, 0, 1)] {
        let (mut restore, mut air) = (machine(), Air::new());
        let (sources, follow) = air.block(ms(0));
        push_all(&mut restore, ms(1), &sources[..9]);
        push_all(&mut restore, ms(10), &follow);
        left(&mut restore);
        push_all(&mut restore, ms(late), &sources[9..]);
        restore.feedback(ms(900));
        assert_eq!((left(&mut restore).len(), restore.stats().lost), (leaves, lost), "{late} ms");
    }
}

/// Whoever joins would make the box repair for all otherwise.
#[test]
fn what_was_on_air_before_it_listened_is_neither_asked_for_nor_lost() {
    let (mut restore, mut air) = (machine(), Air::new());
    let (sources, follow) = air.block(ms(0));
    push_all(&mut restore, ms(1), &sources[6..]);
    push_all(&mut restore, ms(10), &follow);
    assert_eq!(left(&mut restore), &sources[6..]);
    let (mut asked, mut lost) = (0, Vec::new());
    for at in 10..3_000 {
        while let Some(feedback) = restore.feedback(ms(at)) {
            asked += feedback.requests.len();
            lost.extend(feedback.losses);
        }
    }
    assert_eq!((asked, lost, restore.stats().lost), (0, vec![], 0));
    // Of the next block all counts.
    let (sources, follow) = air.block(ms(3_000));
    push_all(&mut restore, ms(3_001), &sources[6..]);
    push_all(&mut restore, ms(3_010), &follow);
    let asked = self::asked(&mut restore, 3_010, 3_020);
    assert_eq!(asked.first().map(|(_, deficit)| *deficit), Some(6));
}

/// On a still screen nothing but heartbeats comes for a while.
#[test]
fn what_is_lost_of_a_block_that_began_after_it_listened_is_asked_for() {
    let (mut restore, mut air) = (machine(), Air::new());
    let heartbeat = air.protect.sign_of_life(ms(0));
    restore.push(ms(0), heartbeat);
    let (sources, follow) = air.block(ms(3_000));
    push_all(&mut restore, ms(3_001), &sources[2..]);
    push_all(&mut restore, ms(3_010), &follow);
    let asked = asked(&mut restore, 3_010, 3_020);
    assert_eq!(asked.first().map(|(_, deficit)| *deficit), Some(2));
}

/// A jammed radio takes pictures with their manifests, long after the one before them is whole. What
/// is behind says how much lacks, and each of them may be all of it.
#[test]
fn who_knows_nothing_of_two_blocks_asks_for_what_lacks_between_those_it_knows() {
    let (mut restore, mut air) = (machine(), Air::new());
    for (n, heard, manifests) in [(0, 10, 1), (1, 3, 0), (2, 0, 0), (3, 10, 1)] {
        let (sources, follow) = air.block(ms(100 * n));
        push_all(&mut restore, ms(100 * n + 1), &sources[..heard]);
        push_all(&mut restore, ms(100 * n + 2), &follow[..manifests]);
    }
    let asked = asked(&mut restore, 300, 310);
    assert_eq!(asked, [(307, 18), (307, 18)], "7 of the one, 10 of the other, and a manifest");
}

/// What comes next is sound alone, and says nothing of where the picture ends.
#[test]
fn who_knows_nothing_of_a_picture_asks_for_one_as_large_as_the_last() {
    const SOUND: u32 = 2;
    let (mut restore, mut air) = (machine(), Air::new());
    restore.expect(Next { ssrc: SOUND, index: 0 });
    let (sources, follow) = air.block(ms(0));
    push_all(&mut restore, ms(1), &sources);
    push_all(&mut restore, ms(2), &follow[..1]);
    let (sources, _) = air.block(ms(100));
    push_all(&mut restore, ms(101), &sources[..4]);
    air.protect.push(ms(150), Lane::Sound, 0, source(SOUND, 0, 0)).unwrap();
    while let Some(sent) = air.protect.poll(ms(200)) {
        let is_manifest = Kind::of(&sent.datagram) == Some(Kind::Manifest);
        if sent.lane == Lane::Sound || is_manifest {
            restore.push(ms(200), sent.datagram);
        }
    }
    let asked = asked(&mut restore, 200, 210);
    assert_eq!(asked, [(205, 7)], "6 of its 10, and a manifest");
}

/// Its own timers would find nothing to do, over and over.
#[test]
fn a_machine_that_slept_over_its_requests_is_not_woken_for_them() {
    for slept in [610, 650, 690] {
        let (mut restore, mut air) = (machine(), Air::new());
        let (sources, manifests) = air.block(ms(0));
        push_all(&mut restore, ms(40), &sources[3..]);
        push_all(&mut restore, ms(40), &manifests);
        while restore.feedback(ms(slept)).is_some() {}
        assert!(restore.next_timeout().unwrap() > ms(slept), "slept for {slept} ms");
    }
}

/// Forged packets before the true ones and after, and a manifest that lists them.
#[test]
fn nothing_leaves_that_the_box_did_not_sign() {
    let (mut restore, mut air) = (machine(), Air::new());
    let (sources, follow) = air.block(ms(0));
    let forged: Vec<_> = (FIRST..FIRST + PACKETS).map(|index| source(SSRC, index, 666)).collect();
    push_all(&mut restore, ms(1), &forged);
    push_all(&mut restore, ms(1), &sources);
    let entries = vec![Entry { ssrc: SSRC, first: FIRST, count: u8::try_from(PACKETS).unwrap() }];
    let manifest = Manifest {
        block: 0,
        ticket: [0; 8],
        commitments: [Commitment::default(); 2],
        entries: Entries::new(entries).unwrap(),
        digests: forged.iter().map(|datagram| digest_of(datagram)).collect(),
    };
    restore.push(ms(1), manifest.sign(&other_key()));
    assert_eq!(left(&mut restore), [] as [Bytes; 0], "nothing signed came yet");
    assert_eq!(restore.stats().bad_signature, 1);
    push_all(&mut restore, ms(2), &follow);
    push_all(&mut restore, ms(3), &forged);
    assert_eq!(left(&mut restore), sources);
    assert_eq!(restore.stats().forged, 2 * PACKETS);
    push_all(&mut restore, ms(4), &sources);
    assert_eq!(left(&mut restore), [] as [Bytes; 0], "each leaves once");
}

/// Twenty thousand at indices that are not on air yet.
#[test]
fn candidates_are_bounded_and_a_flood_of_them_costs_no_true_packet() {
    let (mut restore, mut air) = (machine(), Air::new());
    for name in 0..20_000 {
        restore.push(ms(1), source(SSRC, FIRST + 100 + name % 1_500, 1 + name));
        assert!(restore.held() <= candidates::MAX_BYTES);
    }
    assert!(restore.stats().over_limits > 0);
    let held = restore.held();
    restore.push(ms(1), source(SSRC, FIRST + AHEAD, 1));
    restore.push(ms(1), source(SSRC + 1, FIRST, 1));
    assert_eq!((restore.held(), restore.stats().foreign), (held, 1), "too far, or of nobody");
    let (sources, follow) = air.block(ms(2));
    push_all(&mut restore, ms(2), &sources);
    push_all(&mut restore, ms(2), &follow);
    assert_eq!(left(&mut restore), sources);
}

/// One forged datagram of each signed kind every tenth of a millisecond. What the box committed to
/// is checked all the same.
#[test]
fn no_flood_makes_more_than_two_thousand_signature_checks_a_second() {
    let (mut restore, mut air) = (machine(), Air::new());
    let (sources, follow) = air.block(ms(0));
    push_all(&mut restore, ms(0), &[sources, follow].concat());
    left(&mut restore);
    let entries = Entries::new(vec![Entry { ssrc: SSRC, first: 5_000, count: 3 }]).unwrap();
    let parity = |length| {
        let (entries, shard) = (entries.clone(), Bytes::from(vec![5; length]));
        Parity { block: 900, entries, number: 1, shard }.sign(&other_key())
    };
    let manifest = Manifest {
        block: 900,
        ticket: [0; 8],
        commitments: [Commitment::default(); 2],
        entries: entries.clone(),
        digests: vec![[0; 16]; 3],
    };
    let streams = vec![Stream { ssrc: SSRC, next: 1 << 40, timestamp: 0 }];
    let (commitment, box_ms, playout_ms) = ([0; 8], 1 << 40, 250);
    let heartbeat = Heartbeat { block: 900, commitment, box_ms, playout_ms, streams };
    let flood =
        [manifest.sign(&other_key()), heartbeat.sign(&other_key()), parity(1_200), parity(20)];
    for second in 1..3 {
        let before = restore.stats().checked;
        for tick in 0..10_000 {
            push_all(&mut restore, ms(1_000 * second) + Duration::from_micros(100 * tick), &flood);
        }
        let checked = restore.stats().checked - before;
        assert!((1_000..=2_000).contains(&checked), "{checked}");
    }
    let (sources, follow) = air.block(ms(3_000));
    push_all(&mut restore, ms(3_000), &sources);
    restore.push(ms(3_000), follow[0].clone());
    assert_eq!(left(&mut restore), sources);
}

/// A heartbeat after a long sleep, and then a lesson that nobody polls.
#[test]
fn whatever_comes_memory_and_feedback_are_bounded() {
    let (mut restore, mut air) = (machine(), Air::new());
    let streams = vec![Stream { ssrc: SSRC, next: FIRST, timestamp: 0 }];
    let heartbeat = Heartbeat { block: 0, commitment: [0; 8], box_ms: 1, playout_ms: 250, streams };
    restore.push(ms(0), heartbeat.sign(&key()));
    let later = Heartbeat { block: 1_000_000, box_ms: 2, ..heartbeat };
    restore.push(ms(1), later.sign(&key()));
    assert_eq!(restore.blocks.open().count(), blocks::MAX_BLOCKS);
    for at in 1..1_000 {
        while let Some(feedback) = restore.feedback(ms(at)) {
            assert!(feedback.requests.len() <= MAX_ENTRIES);
            assert!(feedback.losses.len() <= MAX_ENTRIES);
        }
    }
    assert_eq!(restore.blocks.open().count(), 0, "given up");

    let mut restore = machine();
    for block in 0..450 {
        let now = ms(50 * block);
        let (sources, follow) = air.block(now);
        push_all(&mut restore, now, &sources);
        push_all(&mut restore, now, &follow);
    }
    let stats = restore.stats();
    assert_eq!(stats.received, 450 * PACKETS);
    assert_eq!(stats.overflow, 450 * PACKETS - MAX_VERIFIED as u64);
    assert_eq!(left(&mut restore).len(), MAX_VERIFIED);
    assert!(restore.losses.len() <= MAX_ENTRIES && restore.held() == 0);
}

/// A machine whose group and flow both carry: the newest heartbeat counts for either way, once it
/// is known to be true.
#[test]
fn a_way_is_heard_by_what_is_needed_and_by_the_newest_heartbeat_once_more() {
    let (mut restore, mut air) = (machine(), Air::new());
    let (sources, follow) = air.block(ms(0));
    assert!(!restore.push(ms(1), sources[0].clone()), "anybody could have made it");
    assert!(restore.push(ms(1), follow[0].clone()), "the box signed it");
    assert!(restore.push(ms(2), sources[1].clone()));
    assert!(!restore.push(ms(2), sources[1].clone()));
    let beat = air.protect.sign_of_life(ms(50));
    assert!(restore.push(ms(50), beat.clone()));
    assert!(restore.push(ms(51), beat.clone()), "by another way");
    let newer = air.protect.sign_of_life(ms(60));
    assert!(restore.push(ms(60), newer));
    assert!(!restore.push(ms(61), beat), "a replayed one says nothing");
}

#[test]
fn an_answer_says_that_the_flow_carries_and_nothing_of_what_is_missing() {
    let (mut restore, mut air) = (machine(), Air::new());
    let (sources, follow) = air.block(ms(0));
    push_all(&mut restore, ms(1), &sources);
    push_all(&mut restore, ms(1), &follow);
    let from = restore.lacks_from();
    air.block(ms(100));
    let answer = air.protect.sign_of_life(ms(200));
    assert!(restore.answered(ms(200), &answer));
    assert!(!restore.answered(ms(200), &answer), "it is heard once");
    assert!(!restore.answered(ms(200), &sources[0]));
    let mut forged = air.protect.sign_of_life(ms(300)).to_vec();
    *forged.last_mut().unwrap() ^= 1;
    assert!(!restore.answered(ms(300), &forged.into()));
    assert_eq!(restore.lacks_from(), from);
    assert_eq!(asked(&mut restore, 200, 300), [], "nothing is asked for");
}

/// While the tunnel carries it, what goes by UDP is not lost.
#[test]
fn a_machine_that_rests_lacks_nothing_and_begins_anew() {
    let (mut restore, mut air) = (machine(), Air::new());
    let (sources, replayed) = air.block(ms(0));
    push_all(&mut restore, ms(1), &sources);
    push_all(&mut restore, ms(1), &replayed);
    assert_eq!(left(&mut restore).len(), sources.len());
    restore.rest();
    push_all(&mut restore, ms(2), &replayed);
    assert_eq!(restore.lacks_from(), None, "what was is not begun again");
    assert_eq!(restore.stats().replayed, replayed.len() as u64);
    for second in 1..20 {
        air.block(ms(second * 1_000));
    }
    let (sources, follow) = air.block(ms(20_000));
    push_all(&mut restore, ms(20_000), &sources);
    push_all(&mut restore, ms(20_000), &follow);
    assert_eq!(left(&mut restore), sources);
    restore.feedback(ms(21_000));
    assert_eq!(restore.stats().lost, 0);
}

/// A slow machine whose other programs had the processor: all of a second comes at one go.
#[test]
fn a_machine_that_was_held_up_takes_all_that_waited() {
    const SLICES: u64 = 100;
    let (mut restore, mut air) = (machine(), Air::new());
    let mut waited = Vec::new();
    for slice in 0..SLICES {
        let (sources, follow) = air.block(ms(10 * slice));
        waited.extend([sources, follow].concat());
    }
    push_all(&mut restore, ms(1_100), &waited);
    assert_eq!(restore.stats().over_limits, 0);
    assert_eq!(left(&mut restore).len() as u64, SLICES * PACKETS);
}
