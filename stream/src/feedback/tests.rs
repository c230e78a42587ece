//! What one machine says in its own name, and what nobody else can say in it.

use proptest::{collection::vec, prelude::*};

use super::*;

const RECEIVER: u32 = 0x0a0b_0c0d;
const KEY_OF_ONE: [u8; KEY] = [0x11; KEY];

fn feedback() -> Feedback {
    Feedback {
        newest_block: 0x0102_0304,
        requests: vec![
            Request { block: 0x0102_0303, deficit: 2, round: 0 },
            Request { block: 0x0102_0301, deficit: 0, round: 3 },
        ],
        losses: vec![Loss { block: 0x0102_0303, missing: 65 }],
        received: 1_000,
        lost: 3,
    }
}

fn body(feedback: &Feedback) -> Vec<u8> {
    let mut out = Vec::new();
    feedback.write(&mut out).unwrap();
    out
}

fn pair() -> (Sealer, Opener) {
    let sealer = Sealer::new(RECEIVER, &KEY_OF_ONE).unwrap();
    (sealer, Opener::new(RECEIVER, &KEY_OF_ONE).unwrap())
}

#[test]
fn the_body_is_the_one_of_the_drawing() {
    let expected = [
        1, 2, 3, 4, // newest
        2, 1, 2, 3, 3, 2, 0, 1, 2, 3, 1, 0, 3, // requests
        1, 1, 2, 3, 3, 65, // losses
        0, 0, 3, 0xe8, 0, 0, 0, 3, // received, lost
    ];
    assert_eq!(body(&feedback()), expected);
    assert_eq!(Feedback::parse(&expected), Ok(feedback()));
}

#[test]
fn the_header_is_readable_and_the_body_is_not() {
    let (mut sealer, mut opener) = pair();
    let datagram = sealer.seal(&feedback()).unwrap();
    assert_eq!(datagram[..13], [4, 0x0a, 0x0b, 0x0c, 0x0d, 0, 0, 0, 0, 0, 0, 0, 1]);
    assert_eq!(datagram.len(), 13 + body(&feedback()).len() + 16);
    assert_ne!(datagram[13..17], [1, 2, 3, 4]);
    assert_eq!(receiver(&datagram), Ok(RECEIVER));
    assert_eq!(opener.open(&datagram), Ok(Said::Feedback(feedback())));
}

#[test]
fn nothing_is_heard_twice_nor_out_of_order() {
    let (mut sealer, mut opener) = pair();
    let datagrams: Vec<_> = (0..3).map(|_| sealer.seal(&feedback()).unwrap()).collect();
    assert!(opener.open(&datagrams[1]).is_ok());
    let replayed = |counter| Err(Error::Replayed { counter, newest: 2 });
    assert_eq!(opener.open(&datagrams[1]), replayed(2));
    assert_eq!(opener.open(&datagrams[0]), replayed(1));
    assert!(opener.open(&datagrams[2]).is_ok());
}

#[test]
fn any_flipped_bit_is_refused_and_does_no_harm() {
    let (mut sealer, mut opener) = pair();
    let datagram = sealer.seal(&feedback()).unwrap();
    for bit in 0..datagram.len() * 8 {
        let mut flipped = datagram.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let refused = opener.open(&flipped);
        assert!(refused.is_err(), "bit {bit}: {refused:?}");
    }
    assert_eq!(opener.open(&datagram), Ok(Said::Feedback(feedback())));
}

#[test]
fn nobody_speaks_in_anothers_name() {
    let (_, mut opener) = pair();
    let mut other = Sealer::new(1, &[0x22; KEY]).unwrap();
    assert_eq!(opener.open(&other.seal(&feedback()).unwrap()), Err(Error::Receiver(1)));
    let mut liar = Sealer::new(RECEIVER, &[0x22; KEY]).unwrap();
    assert_eq!(opener.open(&liar.seal(&feedback()).unwrap()), Err(Error::Forged));
}

#[test]
fn the_longest_feedback_fits_and_no_longer_one_is_sent() {
    let (mut sealer, mut opener) = pair();
    let mut longest = Feedback {
        requests: (0..32).map(|block| Request { block, deficit: MAX_SHARDS, round: 255 }).collect(),
        losses: (0..32).map(|block| Loss { block, missing: MAX_SHARDS }).collect(),
        ..feedback()
    };
    let datagram = sealer.seal(&longest).unwrap();
    assert_eq!(datagram.len(), MAX_DATAGRAM);
    assert_eq!(opener.open(&datagram), Ok(Said::Feedback(longest.clone())));
    longest.requests.push(Request { block: 32, deficit: 1, round: 0 });
    assert_eq!(sealer.seal(&longest), Err(Error::Entries(33)));
}

#[test]
fn what_is_no_feedback_is_refused_by_its_length_or_kind() {
    let (_, mut opener) = pair();
    for length in [0, 12, 13, 42, MAX_DATAGRAM + 1, 9_000] {
        let mut datagram = vec![0; length];
        if let Some(kind) = datagram.first_mut() {
            *kind = KIND;
        }
        assert_eq!(opener.open(&datagram), Err(Error::Length(length)));
    }
    assert_eq!(receiver(&[0x80; 60]), Err(Error::Kind(0x80)));
}

#[test]
fn a_body_that_makes_no_sense_is_refused_by_name() {
    let whole = body(&feedback());
    for length in 0..whole.len() {
        assert_eq!(Feedback::parse(&whole[..length]), Err(Error::Truncated(length)));
    }
    assert_eq!(Feedback::parse(&[&whole[..], &[0, 0]].concat()), Err(Error::Trailing(2)));

    let altered = |at: usize, byte: u8| {
        let mut bytes = whole.clone();
        bytes[at] = byte;
        Feedback::parse(&bytes)
    };
    assert_eq!(altered(4, 33), Err(Error::Entries(33)));
    assert_eq!(altered(9, 66), Err(Error::Shards(66)));
    assert_eq!(altered(14, 3), Err(Error::Twice(0x0102_0303)));
    assert_eq!(altered(22, 255), Err(Error::Shards(255)));
}

#[test]
fn a_keep_alive_is_opened_as_one_and_shares_the_counter() {
    let (mut sealer, mut opener) = pair();
    for keep_alive in [
        KeepAlive::default(),
        KeepAlive { is_wanted: true, from: None },
        KeepAlive { is_wanted: true, from: Some(0) },
        KeepAlive { is_wanted: true, from: Some(u32::MAX) },
    ] {
        let datagram = sealer.seal_keep_alive(keep_alive).unwrap();
        assert_eq!(datagram.len(), KEEP_ALIVE_DATAGRAM);
        assert_eq!(opener.open(&datagram), Ok(Said::KeepAlive(keep_alive)));
        let mut as_feedback = datagram.to_vec();
        as_feedback[0] = KIND;
        assert!(opener.open(&as_feedback).is_err(), "its kind is under the seal");
        assert!(matches!(opener.open(&datagram), Err(Error::Replayed { .. })));
    }
    let older = sealer.seal_keep_alive(KeepAlive::default()).unwrap();
    opener.open(&sealer.seal(&feedback()).unwrap()).unwrap();
    assert!(matches!(opener.open(&older), Err(Error::Replayed { .. })));
}

#[test]
fn a_keep_alive_that_makes_no_sense_is_refused() {
    assert_eq!(KeepAlive::parse(&[1, 0, 0, 0]), Err(Error::Truncated(4)));
    assert_eq!(KeepAlive::parse(&[1, 0, 0, 0, 0, 0]), Err(Error::Trailing(1)));
    assert_eq!(KeepAlive::parse(&[4, 0, 0, 0, 0]), Err(Error::Flags(4)));
    assert_eq!(KeepAlive::parse(&[1, 0, 0, 0, 9]), Err(Error::Flags(1)));
}

#[test]
fn a_counter_at_its_end_does_not_begin_again() {
    let (mut sealer, mut opener) = pair();
    sealer.counter = u64::MAX - 1;
    assert!(opener.open(&sealer.seal(&feedback()).unwrap()).is_ok());
    assert_eq!(sealer.seal(&feedback()), Err(Error::Exhausted));
}

fn entries() -> impl Strategy<Value = Vec<(u32, u8)>> {
    vec((any::<u32>(), 0..=MAX_SHARDS), 0..=MAX_ENTRIES).prop_map(|mut entries| {
        entries.sort_unstable();
        entries.dedup_by_key(|(block, _)| *block);
        entries
    })
}

proptest! {
    #[test]
    fn what_is_sealed_is_opened(
        newest_block: u32, requests in entries(), losses in entries(), received: u32, lost: u32,
    ) {
        let request = |(block, deficit)| Request { block, deficit, round: deficit % 7 };
        let loss = |(block, missing)| Loss { block, missing };
        let feedback = Feedback {
            newest_block,
            requests: requests.into_iter().map(request).collect(),
            losses: losses.into_iter().map(loss).collect(),
            received,
            lost,
        };
        let (mut sealer, mut opener) = pair();
        let datagram = sealer.seal(&feedback).unwrap();
        prop_assert!(datagram.len() <= MAX_DATAGRAM);
        prop_assert_eq!(opener.open(&datagram), Ok(Said::Feedback(feedback)));
    }

    #[test]
    fn any_body_is_read_or_refused(bytes in vec(0..8_u8, 0..80)) {
        if let Ok(feedback) = Feedback::parse(&bytes) {
            prop_assert_eq!(body(&feedback), bytes);
        }
    }

    #[test]
    fn any_sealed_is_refused(bytes in vec(any::<u8>(), 0..400)) {
        let (_, mut opener) = pair();
        prop_assert!(opener.open(&bytes).is_err());
        let mut bytes = bytes;
        let header = Header { kind: KIND, receiver: RECEIVER, counter: 1 }.to_bytes();
        bytes.splice(..bytes.len().min(HEADER), header);
        prop_assert!(opener.open(&bytes).is_err());
    }
}
