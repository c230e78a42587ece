//! RFC 7714's vectors, and what must never come true: a packet opened that was not sealed, or
//! sealed twice alike.

use std::collections::HashSet;

use proptest::{collection::vec, prelude::*};

use super::{
    session::{Keys, Session, derive},
    *,
};
use crate::{
    epoch::Epoch,
    index::MAX_INDEX,
    rtp::{Header, Packet},
};

/// The salt of RFC 7714 §16: "Quid pro quo". Its key, and libsrtp's, counts from 0.
const SALT: [u8; 12] = *b"Quid pro quo";
const KEY: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<_> = digits.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] << 4 | pair[1]).unwrap()).collect()
}

fn packet(datagram: &[u8]) -> Packet {
    Packet::parse(&datagram.to_vec().into()).unwrap()
}

fn epoch(number: u32) -> Epoch {
    Epoch { number, key: [number.to_le_bytes()[0] ^ 0x5a; 16], salt: [7; 12] }
}

fn made(ssrc: u32, index: u64, payload: &[u8]) -> Packet {
    let header = Header {
        marker: true,
        payload_type: 96,
        sequence: (index & 0xffff) as u16,
        timestamp: 90_000,
        ssrc,
    };
    Packet { header, payload: payload.to_vec().into() }
}

/// A sealer and a keyring with the session keys of RFC 7714 §16, which has no master key.
fn of_the_rfc() -> (Sealer, Keyring) {
    let session = || Session {
        mki: 0xabcd,
        packets: Keys::new(&KEY, SALT).unwrap(),
        reports: Keys::new(&KEY, SALT).unwrap(),
    };
    let mut sealer = Sealer::new(&epoch(0)).unwrap();
    sealer.session = session();
    (sealer, Keyring { sessions: vec![session()] })
}

fn granted(numbers: impl IntoIterator<Item = u32>) -> Keyring {
    let mut keyring = Keyring::new();
    for number in numbers {
        keyring.add(&epoch(number)).unwrap();
    }
    keyring
}

/// Bytes of the shortest protected packet.
const SHORTEST: usize = crate::rtp::HEADER + OVERHEAD;

const RTP: &str = "8040f17b 8041f8d3 5501a0b2
    47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 696e2070 61727465 73207472 6573";
const SRTP: &str = "8040f17b 8041f8d3 5501a0b2
    f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a 51c7d19b 36de3adf 8833
    899d7f27 beb16a91 52cf765e e4390cce";
const RTCP: &str = "81c8000d 4d617273
    4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef deadbeef deadbeef deadbeef
    deadbeef";
const SRTCP: &str = "81c8000d 4d617273
    63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 730d6fda 4ce09b46 86303ded
    0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4";

/// RFC 7714 §16.1.1 and §16.1.2.
#[test]
fn the_packet_of_rfc_7714_is_sealed_and_opened() {
    let (mut sealer, keyring) = of_the_rfc();
    let datagram = sealer.seal(0xf17b, &packet(&hex(RTP))).unwrap();
    assert_eq!(datagram, [hex(SRTP), vec![0xab, 0xcd]].concat());
    assert_eq!(keyring.open(&datagram, 0xf17b), Ok(packet(&hex(RTP))));
}

/// RFC 7714 §17.1.
#[test]
fn the_report_of_rfc_7714_is_sealed_and_opened() {
    let (mut sealer, keyring) = of_the_rfc();
    sealer.sealed.entry(0x4d61_7273).or_default().report = 0x5d3;
    let datagram = sealer.seal_report(&hex(RTCP)).unwrap();
    assert_eq!(datagram, [hex(SRTCP), vec![0xab, 0xcd]].concat());
    assert_eq!(Reports::new(0x4d61_7273).open(&keyring, &datagram).unwrap(), hex(RTCP));
}

/// RFC 3711 §B.3: the labels of packets. Those of reports have no vector there.
#[test]
fn session_keys_are_those_of_rfc_3711() {
    let key: [u8; 16] = hex("e1f97a0d3e018be0d64fa32c06de4139").try_into().unwrap();
    let salt: [u8; 14] = hex("0ec675ad498afeebb6960b3aabe6").try_into().unwrap();
    let cipher_key = derive::<16>(&key, &salt, 0).unwrap();
    assert_eq!(cipher_key[..], hex("c61e7a93744f39ee10734afe3ff7a087"));
    let cipher_salt = derive::<14>(&key, &salt, 2).unwrap();
    assert_eq!(cipher_salt[..], hex("30cbbc08863d8c85d49db34a9ae1"));
}

/// From a master key on, with packets that libsrtp's own tests expect of libsrtp: this is what
/// other players make of the key in a grant, the derivation for reports included.
#[test]
fn libsrtp_seals_the_same_under_the_same_master_key() {
    let salt = hex("a0a1a2a3a4a5a6a7a8a9aaab").try_into().unwrap();
    let mut sealer = Sealer::new(&Epoch { number: 0x1_0102, key: KEY, salt }).unwrap();
    let plain = hex("800f1234 decafbad cafebabe abababab abababab abababab abababab");
    let expected = hex("800f1234 decafbad cafebabe c5002ede 04cfdd2e b91159e0 880aa06e
        d2976826 f796b201 df3131a1 27e8a392 0102");
    assert_eq!(sealer.seal(0x1234, &packet(&plain)).unwrap(), expected);
    let plain = hex("81c8000b cafebabe abababab abababab abababab abababab");
    let expected = hex("81c8000b cafebabe c98b8b5d f0392a55 852b6c21 ac8e7025
        c52c6fbe a2b3b446 ea31123b a88ce61e 80000001 0102");
    assert_eq!(sealer.seal_report(&plain).unwrap(), expected);
}

#[test]
fn any_flipped_bit_of_a_packet_is_refused() {
    let mut sealer = Sealer::new(&epoch(2)).unwrap();
    // With 3 the key identifier of another epoch is one bit away.
    let keyring = granted([2, 3]);
    let datagram = sealer.seal(70_000, &made(1, 70_000, b"a frame")).unwrap();
    assert!(keyring.open(&datagram, 70_000).is_ok());
    for bit in 0..datagram.len() * 8 {
        let mut flipped = datagram.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let refused = keyring.open(&flipped, 70_000);
        assert!(refused.is_err(), "bit {bit}: {refused:?}");
    }
    for index in [70_001, 70_000 + (1 << 16), 70_000 - (1 << 16)] {
        assert_eq!(keyring.open(&datagram, index), Err(Error::Forged));
    }
}

#[test]
fn any_flipped_bit_of_a_report_is_refused() {
    let mut sealer = Sealer::new(&epoch(2)).unwrap();
    let keyring = granted([2, 3]);
    let datagram = sealer.seal_report(&hex(RTCP)).unwrap();
    let mut reports = Reports::new(0x4d61_7273);
    for bit in 0..datagram.len() * 8 {
        let mut flipped = datagram.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let refused = reports.open(&keyring, &flipped);
        assert!(refused.is_err(), "bit {bit}: {refused:?}");
    }
    assert_eq!(reports.open(&keyring, &datagram).unwrap(), hex(RTCP), "and they did no harm");
}

#[test]
fn a_report_is_taken_once_and_never_after_a_newer_one() {
    let mut sealer = Sealer::new(&epoch(1)).unwrap();
    let keyring = granted([1]);
    let datagrams: Vec<_> = (0..3).map(|_| sealer.seal_report(&hex(RTCP)).unwrap()).collect();
    let mut reports = Reports::new(0x4d61_7273);
    assert!(reports.open(&keyring, &datagrams[1]).is_ok());
    let replayed = |index| Err(Error::Replayed { index, newest: 2 });
    assert_eq!(reports.open(&keyring, &datagrams[1]), replayed(2));
    assert_eq!(reports.open(&keyring, &datagrams[0]), replayed(1));
    assert!(reports.open(&keyring, &datagrams[2]).is_ok());
    assert_eq!(
        Reports::new(5).open(&keyring, &datagrams[2]),
        Err(Error::Foreign(0x4d61_7273)),
        "another stream's"
    );
}

/// RFC 7714 §17.3 has such a report.
#[test]
fn a_report_that_anyone_could_read_is_refused() {
    let (_, keyring) = of_the_rfc();
    let tag = hex("841dd968 3dd78ec9 2ae58790 125f62b3");
    let authentic = [hex(RTCP), hex("000005d4")].concat();
    let keys = Keys::new(&KEY, SALT).unwrap();
    assert_eq!(keys.open(0x4d61_7273, 0x5d4, &authentic, &[], &tag), Ok(vec![]), "well tagged");
    let tagged = [hex(RTCP), tag, hex("000005d4 abcd")].concat();
    let mut reports = Reports::new(0x4d61_7273);
    assert_eq!(reports.open(&keyring, &tagged), Err(Error::Unencrypted));
}

#[test]
fn an_index_is_sealed_once_whatever_the_key() {
    let mut sealer = Sealer::new(&epoch(1)).unwrap();
    assert!(sealer.seal(9, &made(1, 9, b"x")).is_ok());
    let again = Err(Error::Reused { ssrc: 1, index: 9, last: 9 });
    assert_eq!(sealer.seal(9, &made(1, 9, b"y")), again);
    assert!(sealer.seal(9, &made(2, 9, b"x")).is_ok(), "another stream's");
    sealer.switch(&epoch(2)).unwrap();
    assert_eq!(sealer.seal(9, &made(1, 9, b"x")), again);
    assert!(sealer.seal(10, &made(1, 10, b"x")).is_ok());
}

#[test]
fn what_no_receiver_could_open_is_not_sealed() {
    let mut sealer = Sealer::new(&epoch(1)).unwrap();
    let wrong = Err(Error::Sequence { index: 0x1_0007, sequence: 8 });
    assert_eq!(sealer.seal(0x1_0007, &made(1, 8, b"x")), wrong);
    let beyond = MAX_INDEX + 1;
    assert_eq!(sealer.seal(beyond, &made(1, beyond, b"x")), Err(Error::Index(beyond)));
    assert!(sealer.seal(MAX_INDEX, &made(1, MAX_INDEX, b"x")).is_ok());
    assert_eq!(sealer.seal_report(&[0x80; 7]), Err(Error::Short(7)));
    assert_eq!(sealer.seal_report(&[0x40; 8]), Err(Error::Format(0x40)));
}

#[test]
fn report_indices_end_where_the_flag_begins() {
    let mut sealer = Sealer::new(&epoch(1)).unwrap();
    let keyring = granted([1]);
    sealer.sealed.entry(0x4d61_7273).or_default().report = MAX_REPORT_INDEX - 1;
    let last = sealer.seal_report(&hex(RTCP)).unwrap();
    assert!(Reports::new(0x4d61_7273).open(&keyring, &last).is_ok());
    assert_eq!(sealer.seal_report(&hex(RTCP)), Err(Error::Exhausted(0x4d61_7273)));
}

#[test]
fn no_stream_is_forgotten_to_make_room() {
    let mut sealer = Sealer::new(&epoch(1)).unwrap();
    let count = u32::try_from(MAX_SSRCS).unwrap();
    for ssrc in 0..count {
        assert!(sealer.seal(0, &made(ssrc, 0, b"x")).is_ok());
    }
    assert_eq!(sealer.seal(0, &made(count, 0, b"x")), Err(Error::TooManySsrcs(count)));
    assert!(sealer.seal(1, &made(0, 1, b"x")).is_ok());
}

#[test]
fn a_sealer_goes_forward_only() {
    let mut sealer = Sealer::new(&epoch(5)).unwrap();
    for number in [4, 5] {
        assert_eq!(sealer.switch(&epoch(number)), Err(Error::Epoch { number, present: 5 }));
    }
    sealer.switch(&epoch(6)).unwrap();
    assert_eq!(sealer.epoch(), 6);
}

#[test]
fn a_keyring_holds_the_three_newest_grants() {
    let mut keyring = granted([1, 2, 3]);
    let sealed_by = |number| {
        let mut sealer = Sealer::new(&epoch(number)).unwrap();
        sealer.seal(1, &made(1, 1, b"x")).unwrap()
    };
    for number in 1..=3 {
        assert!(keyring.open(&sealed_by(number), 1).is_ok());
    }
    assert_eq!(keyring.open(&sealed_by(4), 1), Err(Error::UnknownMki(4)));
    // What is granted again counts as new.
    keyring.add(&epoch(1)).unwrap();
    keyring.add(&epoch(4)).unwrap();
    let opened: Vec<_> =
        (1..=4).filter(|number| keyring.open(&sealed_by(*number), 1).is_ok()).collect();
    assert_eq!(opened, [1, 3, 4]);
}

#[test]
fn what_cannot_be_a_protected_packet_is_refused_by_name() {
    let keyring = granted([1]);
    for length in 0..SHORTEST {
        assert_eq!(keyring.open(&vec![0x80; length], 0), Err(Error::Short(length)));
    }
    let mut datagram = vec![0x90; SHORTEST];
    assert_eq!(keyring.open(&datagram, 0), Err(Error::Format(0x90)), "with an extension");
    datagram[0] = 0x80;
    assert_eq!(keyring.open(&datagram, 0), Err(Error::UnknownMki(0x9090)));
    assert_eq!(keyring.open(&datagram, 1 << 48), Err(Error::Index(1 << 48)));
    for length in 0..REPORT_HEADER + REPORT_OVERHEAD {
        let refused = Reports::new(0).open(&keyring, &vec![0x80; length]);
        assert_eq!(refused, Err(Error::Short(length)));
    }
}

#[test]
fn a_packet_without_payload_is_sealed_too() {
    let mut sealer = Sealer::new(&epoch(1)).unwrap();
    let empty = made(1, 3, b"");
    let datagram = sealer.seal(3, &empty).unwrap();
    assert_eq!(datagram.len(), SHORTEST);
    assert_eq!(granted([1]).open(&datagram, 3), Ok(empty));
}

#[test]
fn nothing_secret_is_printed() {
    let secret = Epoch { number: 1, key: [251; 16], salt: [252; 12] };
    let mut keyring = Keyring::new();
    keyring.add(&secret).unwrap();
    let printed = format!("{secret:?}");
    assert_eq!(printed, "Epoch { number: 1, .. }");
    let session = derive::<12>(&secret.key, &[0; 14], 2).unwrap();
    let printed = format!("{keyring:?} {:?}", Sealer::new(&secret).unwrap());
    assert!(!printed.contains(&format!("{:?}", *session)), "{printed}");
}

proptest! {
    #[test]
    fn what_is_sealed_is_opened(
        number: u32, key: [u8; 16], salt: [u8; 12], marker: bool, payload_type in 0..128_u8,
        index in 0..=MAX_INDEX, timestamp: u32, ssrc: u32, payload in vec(any::<u8>(), 0..1_400),
    ) {
        let epoch = Epoch { number, key, salt };
        let sequence = (index & 0xffff) as u16;
        let header = Header { marker, payload_type, sequence, timestamp, ssrc };
        let packet = Packet { header, payload: payload.into() };
        let mut keyring = Keyring::new();
        keyring.add(&epoch).unwrap();
        let datagram = Sealer::new(&epoch).unwrap().seal(index, &packet).unwrap();
        prop_assert_eq!(datagram.len(), packet.size() + OVERHEAD);
        prop_assert_eq!(keyring.open(&datagram, index), Ok(packet));
    }

    #[test]
    fn any_bytes_are_refused(bytes in vec(any::<u8>(), 0..80), index: u64) {
        let mut bytes = bytes;
        let keyring = granted([0, 1, 2]);
        prop_assert!(keyring.open(&bytes, index).is_err());
        // The same with what lets it come to the tag.
        if let [first, .., high, low] = &mut bytes[..] {
            (*first, *high, *low) = (0x80, 0, *low % 3);
        }
        prop_assert!(keyring.open(&bytes, index).is_err());
        prop_assert!(Reports::new(0).open(&keyring, &bytes).is_err());
    }

    /// Whatever the caller does wrong, in whatever order.
    #[test]
    fn no_key_ssrc_and_index_are_used_twice(
        steps in vec((0..3_u32, 0..40_u64, 0..8_u8), 1..200),
    ) {
        let mut sealer = Sealer::new(&epoch(0)).unwrap();
        let mut used = HashSet::new();
        let mut reported = HashSet::new();
        for (ssrc, index, what) in steps {
            match what {
                0 => drop(sealer.switch(&epoch(u32::try_from(index).unwrap()))),
                1 => {
                    let mut report = hex(RTCP);
                    report[7] = u8::try_from(ssrc).unwrap();
                    let datagram = sealer.seal_report(&report).unwrap();
                    let index = datagram[datagram.len() - 6..datagram.len() - 2].to_vec();
                    prop_assert!(reported.insert((sealer.epoch(), ssrc, index)));
                }
                _ => if sealer.seal(index, &made(ssrc, index, b"x")).is_ok() {
                    prop_assert!(used.insert((sealer.epoch(), ssrc, index)));
                },
            }
        }
    }
}
