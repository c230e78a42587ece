//! Any datagram is read or refused, and what is read survives being written.
#![no_main]

use alfarid_stream::rtp::Packet;
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|datagram: &[u8]| {
    let Ok(packet) = Packet::parse(&Bytes::copy_from_slice(datagram)) else { return };
    let mut out = Vec::new();
    packet.write(&mut out);
    assert_eq!(out.len(), packet.size());
    assert!(out.len() <= datagram.len());
    assert_eq!(Packet::parse(&out.into()), Ok(packet.clone()));

    let mut rewritten = datagram.to_vec();
    packet.header.rewrite(&mut rewritten).expect("it was read once");
    assert_eq!(rewritten, datagram);
});
