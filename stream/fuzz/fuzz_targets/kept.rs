//! Any binary message is read or refused, and its pictures survive being cut up again.
#![no_main]

use alfarid_protocol::kept::{Kept, encode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|message: &[u8]| {
    let Ok(kept) = Kept::parse(message) else { return };
    let messages = encode(kept.serial, kept.packets.iter().copied());
    let mut packets = Vec::new();
    for (n, message) in messages.iter().enumerate() {
        let again = Kept::parse(message).expect("it was made here");
        assert_eq!(again.serial, kept.serial);
        assert_eq!(again.last, n + 1 == messages.len());
        packets.extend(again.packets);
    }
    assert_eq!(packets, kept.packets);
});
