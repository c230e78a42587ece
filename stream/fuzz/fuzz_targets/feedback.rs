//! Any body is read or refused, and has one reading; any datagram is refused that the machine did
//! not seal, and one that it did is heard once.
#![no_main]

use alfarid_stream::feedback::{
    Feedback, KeepAlive, MAX_DATAGRAM, MAX_ENTRIES, Opener, Said, Sealer, receiver,
};
use libfuzzer_sys::fuzz_target;

const KEY: [u8; 16] = [7; 16];

fuzz_target!(|bytes: &[u8]| {
    let of = receiver(bytes);
    let mut opener = Opener::new(of.unwrap_or(1), &KEY).expect("memory");
    assert!(opener.open(bytes).is_err(), "nobody guesses a tag");

    let mut sealer = Sealer::new(of.unwrap_or(1), &KEY).expect("memory");
    if let Ok(keep_alive) = KeepAlive::parse(bytes) {
        let sealed = sealer.seal_keep_alive(keep_alive).expect("counters are left");
        assert_eq!(opener.open(&sealed), Ok(Said::KeepAlive(keep_alive)));
    }

    let Ok(feedback) = Feedback::parse(bytes) else { return };
    assert!(feedback.requests.len() <= MAX_ENTRIES && feedback.losses.len() <= MAX_ENTRIES);
    let mut body = Vec::new();
    feedback.write(&mut body).expect("it was read once");
    assert_eq!(body, bytes);

    let sealed = sealer.seal(&feedback).expect("it was read once");
    assert!(sealed.len() <= MAX_DATAGRAM);
    assert_eq!(opener.open(&sealed), Ok(Said::Feedback(feedback)));
    assert!(opener.open(&sealed).is_err(), "heard twice");
});
