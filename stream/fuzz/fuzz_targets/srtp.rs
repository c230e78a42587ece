//! Any datagram is refused, with however well-formed a header; a packet that was sealed opens as it
//! was, once no byte of it was changed, and not otherwise.
#![no_main]

use alfarid_stream::{
    epoch::Epoch,
    index::MAX_INDEX,
    rtcp::SenderReport,
    rtp::{Header, Packet},
    srtp::{Keyring, OVERHEAD, Reports, Sealer},
};
use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    epoch: u8,
    index: u64,
    ssrc: u32,
    payload: &'a [u8],
    /// Where sealed bytes are changed, and how.
    changes: Vec<(u16, u8)>,
    /// What comes from elsewhere.
    foreign: &'a [u8],
}

fn epoch(number: u8) -> Epoch {
    Epoch { number: number.into(), key: [number; 16], salt: [0x5a; 12] }
}

fuzz_target!(|input: Input| {
    let mut keyring = Keyring::new();
    for number in [0, 1, 0x80] {
        keyring.add(&epoch(number)).expect("memory");
    }
    let mut reports = Reports::new(input.ssrc);
    // The fuzzer sees what a tag is compared with, and learns to write it: what opens then is what
    // somebody with the key would have sealed.
    if let Ok(opened) = keyring.open(input.foreign, input.index) {
        let index = input.index & MAX_INDEX;
        let is_sealed = |number: &u8| {
            let mut sealer = Sealer::new(&epoch(*number)).expect("memory");
            sealer.seal(index, &opened).is_ok_and(|sealed| sealed == input.foreign)
        };
        assert!([0, 1, 0x80].iter().any(is_sealed), "nobody with the key sealed it");
    }
    let _ = reports.open(&keyring, input.foreign);

    let number = [0, 1, 0x80][usize::from(input.epoch % 3)];
    let mut sealer = Sealer::new(&epoch(number)).expect("memory");
    let index = input.index & MAX_INDEX;
    let sequence = (index & 0xffff) as u16;
    let header = Header { sequence, ssrc: input.ssrc, ..Header::default() };
    let packet = Packet { header, payload: input.payload.to_vec().into() };
    let sealed = sealer.seal(index, &packet).expect("the first of its stream");
    assert_eq!(sealed.len(), packet.size() + OVERHEAD);
    let changed = change(&sealed, &input.changes);
    match keyring.open(&changed, index) {
        Ok(opened) => assert!(changed == sealed && opened == packet),
        Err(_) => assert_ne!(changed, sealed),
    }

    let mut reports = Reports::new(input.ssrc);
    let (ntp, timestamp, packets, octets) = (input.index, 1, 2, 3);
    let report = SenderReport { ssrc: input.ssrc, ntp, timestamp, packets, octets };
    let mut plain = Vec::new();
    report.write("box", &mut plain);
    let sealed = sealer.seal_report(&plain).expect("the first of its stream");
    let changed = change(&sealed, &input.changes);
    match reports.open(&keyring, &changed) {
        Ok(opened) => {
            assert!(changed == sealed && opened == plain);
            assert!(reports.open(&keyring, &sealed).is_err(), "taken twice");
        }
        Err(_) => assert_ne!(changed, sealed),
    }
});

fn change(sealed: &[u8], changes: &[(u16, u8)]) -> Vec<u8> {
    let mut changed = sealed.to_vec();
    for (at, bits) in changes {
        let at = usize::from(*at) % changed.len();
        changed[at] ^= bits;
    }
    changed
}
