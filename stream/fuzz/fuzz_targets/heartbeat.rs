//! Any datagram is read or refused, and has one reading; it is believed only as the box signs it.
#![no_main]

mod signed;

use alfarid_stream::{
    block::{Heartbeat, MAX_ENTRIES, SIGNATURE},
    playout::{MAX_DELAY, MIN_DELAY},
};
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let datagram = Bytes::copy_from_slice(bytes);
    let Ok(claim) = Heartbeat::parse(&datagram) else { return };
    let read = claim.unverified().clone();
    assert!(read.streams.len() <= MAX_ENTRIES);
    assert!(read.streams.iter().all(|stream| read.pair(stream.ssrc).is_some()));
    assert!((MIN_DELAY..=MAX_DELAY).contains(&read.playout()));
    let signed = read.sign(&signed::key());
    assert_eq!(signed.len(), datagram.len());
    assert_eq!(signed[..signed.len() - SIGNATURE], datagram[..datagram.len() - SIGNATURE]);
    assert_eq!(claim.verify(&signed::public()).is_ok(), signed == datagram);
    let again = Heartbeat::parse(&signed).expect("it was read once");
    assert_eq!(again.verify(&signed::public()), Ok(read));
});
