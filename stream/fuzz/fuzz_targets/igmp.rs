//! Any IP packet is read or refused, and what is read survives being written.
#![no_main]

use alfarid_stream::querier::{Message, Packet};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let bare = Message::parse(bytes).ok();
    let packed = Packet::parse(bytes).ok().map(|packet| packet.message);
    for message in bare.into_iter().chain(packed) {
        let written = message.encode();
        // A record's group may be any address, and is only read; all else comes back.
        assert_eq!(Message::parse(&written), Ok(message));
    }
});
