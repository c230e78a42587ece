//! Any text on the control connection is a message or is refused, and a message survives being
//! written: what the box and a machine agree on has one reading.
#![no_main]

use alfarid_protocol::control::{FromBox, FromMachine};
use libfuzzer_sys::fuzz_target;
use serde::{Serialize, de::DeserializeOwned};

fuzz_target!(|text: &str| {
    read_twice::<FromMachine>(text);
    read_twice::<FromBox>(text);
});

fn read_twice<T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug>(text: &str) {
    let Ok(message) = serde_json::from_str::<T>(text) else { return };
    let written = serde_json::to_string(&message).expect("it was read once");
    let again = serde_json::from_str::<T>(&written).expect("it was written here");
    assert_eq!(again, message);
}
