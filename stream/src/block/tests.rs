//! Blocks written and read, signed, forged and cut short.

use aws_lc_rs::signature::Ed25519KeyPair;
use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::{
    index::MAX_INDEX,
    playout::{MAX_DELAY, MIN_DELAY, Pair},
};

fn keys() -> (SigningKey, VerifyingKey) {
    let key = SigningKey::new(Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap());
    let public = VerifyingKey::new(&key.public().unwrap()).unwrap();
    (key, public)
}

fn entries() -> Entries {
    Entries::new(vec![
        Entry { ssrc: 1, first: 65_530, count: 3 },
        Entry { ssrc: 2, first: MAX_INDEX, count: 1 },
    ])
    .unwrap()
}

fn manifest() -> Manifest {
    let tickets = Tickets::new(&[3; 32]);
    Manifest {
        block: 8,
        ticket: tickets.ticket(8),
        commitments: [tickets.commitment(9), tickets.commitment(10)],
        entries: entries(),
        digests: (0..4).map(|n| [n; 16]).collect(),
    }
}

fn parity() -> Parity {
    Parity { block: 8, entries: entries(), number: 20, shard: Bytes::from(vec![5; 1_220]) }
}

fn heartbeat() -> Heartbeat {
    let streams = vec![
        Stream { ssrc: 1, next: 65_533, timestamp: 0x0102_0304 },
        Stream { ssrc: 2, next: MAX_INDEX, timestamp: u32::MAX },
    ];
    Heartbeat { block: 9, commitment: [1; 8], box_ms: 1 << 40, playout_ms: 250, streams }
}

#[test]
fn what_the_box_signs_is_read_and_verified() {
    let (key, public) = keys();
    let read = Manifest::parse(&manifest().sign(&key)).unwrap();
    assert_eq!(read.unverified(), &manifest());
    assert_eq!(read.verify(&public), Ok(manifest()));
    let read = Parity::parse(&parity().sign(&key)).unwrap();
    assert_eq!(read.verify(&public), Ok(parity()));
    let read = Heartbeat::parse(&heartbeat().sign(&key)).unwrap();
    assert_eq!(read.verify(&public), Ok(heartbeat()));
}

/// Golden bytes: what is on the wire changes on purpose only.
#[test]
fn the_wire_is_as_written_down() {
    let (key, _) = keys();
    let bytes = manifest().sign(&key);
    let entries = [
        &[2, 0, 0, 0, 1, 0, 0, 0, 0, 0xff, 0xfa, 3][..],
        &[0, 0, 0, 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
    ]
    .concat();
    assert_eq!(bytes[..5], [1, 0, 0, 0, 8]);
    assert_eq!(bytes[5..13], manifest().ticket);
    assert_eq!(bytes[13..29], manifest().commitments.concat());
    assert_eq!(bytes[29..52], entries);
    assert_eq!(bytes[52..68], [0; 16]);
    assert_eq!(bytes.len(), 52 + 4 * 16 + 64);

    let bytes = parity().sign(&key);
    assert_eq!(bytes[..5], [2, 0, 0, 0, 8]);
    assert_eq!(bytes[5..28], entries);
    assert_eq!(bytes[28..31], [20, 5, 5]);
    assert_eq!(bytes.len(), 29 + 1_220 + 64);

    let bytes = heartbeat().sign(&key);
    assert_eq!(bytes[..13], [3, 0, 0, 0, 9, 1, 1, 1, 1, 1, 1, 1, 1]);
    assert_eq!(bytes[13..24], [0, 0, 1, 0, 0, 0, 0, 0, 0, 250, 2]);
    assert_eq!(bytes[24..38], [0, 0, 0, 1, 0, 0, 0, 0, 0xff, 0xfd, 1, 2, 3, 4]);
    assert_eq!(bytes.len(), 52 + 64);
}

/// Whoever makes parity in another way repairs nothing here.
#[test]
fn parity_keeps_its_bytes() {
    let datagrams: Vec<_> =
        (1..=65).map(|n: u8| Bytes::from(vec![n; usize::from(n) * 16])).collect();
    let parity = [2, 20, 64, 65].map(|shards| {
        let parity = Encoder::new().parity(&datagrams[..shards]).unwrap();
        parity.concat()
    });
    let digest = u128::from_be_bytes(digest_of(&parity.concat()));
    assert_eq!(digest, 0xa2c0_22be_ec0b_0ccf_fbdf_5542_0b25_5fac, "{digest:#x}");
}

#[test]
fn what_many_machines_know_to_be_signed_is_no_other_datagram() {
    let (key, public) = keys();
    let shared = public.shared();
    let right = heartbeat().sign(&key);
    let believed = |datagram: &Bytes| {
        Heartbeat::parse(datagram).is_ok_and(|claim| claim.verify(&shared).is_ok())
    };
    assert!(believed(&right) && believed(&right));
    for at in [5, right.len() - SIGNATURE, right.len() - 1] {
        let mut changed = right.to_vec();
        changed[at] ^= 1;
        assert!(!believed(&Bytes::from(changed)), "byte {at}");
    }
    assert!(believed(&right));
}

#[test]
fn a_single_changed_bit_is_noticed() {
    let (key, public) = keys();
    for datagram in [manifest().sign(&key), parity().sign(&key), heartbeat().sign(&key)] {
        for at in (0..datagram.len()).step_by(7) {
            let mut changed = datagram.to_vec();
            changed[at] ^= 0x10;
            let changed = Bytes::from(changed);
            let believed = [
                Manifest::parse(&changed).is_ok_and(|claim| claim.verify(&public).is_ok()),
                Parity::parse(&changed).is_ok_and(|claim| claim.verify(&public).is_ok()),
                Heartbeat::parse(&changed).is_ok_and(|claim| claim.verify(&public).is_ok()),
            ];
            assert_eq!(believed, [false; 3], "byte {at}");
        }
    }
}

#[test]
fn a_heartbeat_says_the_time_of_each_stream_and_a_delay_within_its_limits() {
    let box_time = std::time::Duration::from_millis(1 << 40);
    let pair = Pair { timestamp: 0x0102_0304, box_time };
    assert_eq!((heartbeat().pair(1), heartbeat().pair(3)), (Some(pair), None));
    assert_eq!(heartbeat().playout(), MAX_DELAY);
    assert_eq!(Heartbeat { playout_ms: 100, ..heartbeat() }.playout().as_millis(), 100);
    assert_eq!(Heartbeat { playout_ms: u16::MAX, ..heartbeat() }.playout(), MAX_DELAY);
    assert_eq!(Heartbeat { playout_ms: 0, ..heartbeat() }.playout(), MIN_DELAY);
}

#[test]
fn another_boxs_signature_is_worth_nothing() {
    let (key, _) = keys();
    let other = SigningKey::new(Ed25519KeyPair::from_seed_unchecked(&[8; 32]).unwrap());
    let public = VerifyingKey::new(&other.public().unwrap()).unwrap();
    let read = Manifest::parse(&manifest().sign(&key)).unwrap();
    assert_eq!(read.verify(&public), Err(Error::Signature));
}

#[test]
fn a_datagram_cut_anywhere_or_too_long_is_refused() {
    let (key, _) = keys();
    let manifest = manifest().sign(&key);
    let heartbeat = heartbeat().sign(&key);
    for cut in 1..manifest.len() {
        let length = Error::Truncated(cut);
        assert_eq!(Manifest::parse(&manifest.slice(..cut)).unwrap_err(), length);
    }
    for cut in 1..heartbeat.len() {
        let length = Error::Truncated(cut);
        assert_eq!(Heartbeat::parse(&heartbeat.slice(..cut)).unwrap_err(), length);
    }
    for datagram in [manifest, heartbeat] {
        let longer = Bytes::from([&datagram[..], &[0]].concat());
        let error = match Kind::of(&longer) {
            Some(Kind::Manifest) => Manifest::parse(&longer).unwrap_err(),
            _ => Heartbeat::parse(&longer).unwrap_err(),
        };
        assert_eq!(error, Error::Trailing(1));
    }
    assert_eq!(Kind::of(&[]), None);
    assert_eq!(Manifest::parse(&Bytes::new()).unwrap_err(), Error::Kind(Kind::Manifest));
}

#[test]
fn shards_that_cannot_be_are_refused() {
    let (key, _) = keys();
    let read = |parity: Parity| Parity::parse(&parity.sign(&key)).map(|_| ());
    assert_eq!(
        read(Parity { number: 21, ..parity() }),
        Err(Error::Number { number: 21, shards: 5 })
    );
    for length in [0, 1, 3, 1_476] {
        let shard = Bytes::from(vec![0; length]);
        assert_eq!(read(Parity { shard, ..parity() }), Err(Error::ShardLength(length)));
    }
}

#[test]
fn entries_that_no_block_has_are_refused() {
    let entry = |ssrc, first, count| Entry { ssrc, first, count };
    let cases = [
        (vec![], Error::Entries(0)),
        ((0..5).map(|ssrc| entry(ssrc, 0, 1)).collect(), Error::Entries(5)),
        (vec![entry(1, 0, 0)], Error::Empty(1)),
        (vec![entry(1, 0, 40), entry(2, 0, 25)], Error::Sources(65)),
        (vec![entry(1, MAX_INDEX, 2)], Error::Index { ssrc: 1, first: MAX_INDEX }),
        (vec![entry(1, u64::MAX, 1)], Error::Index { ssrc: 1, first: u64::MAX }),
        (vec![entry(1, 5, 3), entry(1, 7, 1)], Error::Overlap(1)),
    ];
    for (entries, error) in cases {
        assert_eq!(Entries::new(entries), Err(error));
    }
    assert!(Entries::new(vec![entry(1, 5, 3), entry(1, 8, 1)]).is_ok());
}

#[test]
fn a_block_grows_by_runs_until_it_is_full() {
    let mut entries = Entries::begin(1, 10);
    assert!(entries.push(2, 4) && entries.push(1, 11) && entries.push(1, 20));
    let packets: Vec<_> = entries.packets().collect();
    assert_eq!(packets, [(1, 10), (1, 11), (2, 4), (1, 20)]);
    for (place, (ssrc, index)) in packets.into_iter().enumerate() {
        assert_eq!(entries.position(ssrc, index), Some(place));
    }
    assert_eq!(entries.position(1, 12), None);
    assert_eq!((entries.start_of(1), entries.end_of(1)), (Some(10), Some(21)));
    assert!(entries.push(3, 0) && !entries.push(4, 0), "no fifth run");
    for index in 21..80 {
        assert!(entries.push(1, index));
    }
    assert_eq!(entries.sources(), MAX_SOURCES);
    assert!(!entries.push(1, 80));
}

#[test]
fn a_ticket_fits_its_commitment_and_no_other() {
    let tickets = Tickets::new(&[3; 32]);
    assert_eq!(ticket::commitment(5, tickets.ticket(5)), tickets.commitment(5));
    assert_ne!(ticket::commitment(5, tickets.ticket(6)), tickets.commitment(5));
    assert_ne!(ticket::commitment(6, tickets.ticket(5)), tickets.commitment(5));
    assert_ne!(Tickets::new(&[4; 32]).ticket(5), tickets.ticket(5));
}

fn datagrams() -> impl Strategy<Value = Vec<Bytes>> {
    let datagram = proptest::collection::vec(any::<u8>(), 0..300).prop_map(Bytes::from);
    proptest::collection::vec(datagram, 1..=MAX_SOURCES + 1)
}

#[test]
fn a_source_too_long_for_a_shard_is_refused() {
    let mut encoder = Encoder::new();
    let longest = Bytes::from(vec![1; MAX_DATAGRAM]);
    assert!(encoder.parity(&[longest]).is_ok());
    let longer = Bytes::from(vec![1; MAX_DATAGRAM + 1]);
    assert_eq!(encoder.parity(&[longer]), Err(Error::SourceLength(MAX_DATAGRAM + 1)));
    assert_eq!(encoder.parity(&[]), Err(Error::Shards));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_k_of_n_arrive_the_block_is_the_senders(
        datagrams in datagrams(), seed: u64, surplus in 0..3_usize,
    ) {
        let parity = Encoder::new().parity(&datagrams).unwrap();
        prop_assert_eq!(parity.len(), parity_of(datagrams.len()));
        let mut random = crate::lab::Random::new(seed);
        let mut all: Vec<usize> = (0..datagrams.len() + parity.len()).collect();
        for at in (1..all.len()).rev() {
            all.swap(at, usize::try_from(random.below(at as u64 + 1)).unwrap());
        }
        all.truncate(datagrams.len() + surplus);
        let present = all.iter().filter_map(|&at| Some((at, datagrams.get(at)?)));
        let shards = all.iter().filter_map(|&at| {
            let number = at.checked_sub(datagrams.len())?;
            Some((u8::try_from(number).unwrap(), parity.get(number)?))
        });
        prop_assume!(shards.clone().next().is_some());
        let restored = Decoder::new().restore(datagrams.len(), present.clone(), shards).unwrap();
        for (place, datagram) in &restored {
            prop_assert_eq!(datagram, &datagrams[*place]);
        }
        prop_assert_eq!(restored.len() + present.count(), datagrams.len());
    }

    #[test]
    fn too_few_shards_or_wrong_ones_make_an_error_or_nonsense_but_no_panic(
        shards in 0..70_usize,
        present in proptest::collection::vec((0..80_usize, 0..40_usize), 0..8),
        parity in proptest::collection::vec((any::<u8>(), 0..40_usize), 0..8),
    ) {
        let zeros = Bytes::from_static(&[0; 40]);
        let cut = |length: usize| zeros.slice(..length);
        let present: Vec<_> = present.iter().map(|(at, length)| (*at, cut(*length))).collect();
        let parity: Vec<_> = parity.iter().map(|(at, length)| (*at, cut(*length))).collect();
        let _ = Decoder::new().restore(
            shards,
            present.iter().map(|(at, datagram)| (*at, datagram)),
            parity.iter().map(|(at, shard)| (*at, shard)),
        );
    }

    #[test]
    fn any_bytes_are_read_or_refused(kind in 0..5_u8, bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let datagram = Bytes::from([&[kind], &bytes[..]].concat());
        let _ = Manifest::parse(&datagram);
        let _ = Parity::parse(&datagram);
        let _ = Heartbeat::parse(&datagram);
    }
}
