//! Any descriptor is read or refused, what is read survives being written, and any payloads are put
//! together or refused.
#![no_main]

use alfarid_stream::vp8::{Descriptor, depacketise, size};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|payloads: Vec<&[u8]>| {
    for payload in &payloads {
        let _ = size(payload);
        let Ok((descriptor, rest)) = Descriptor::parse(payload) else { continue };
        let mut out = Vec::new();
        descriptor.write(&mut out);
        assert!(out.len() <= Descriptor::MAX);
        out.extend_from_slice(rest);
        assert_eq!(Descriptor::parse(&out), Ok((descriptor, rest)));
    }
    if let Ok(frame) = depacketise(payloads.iter().copied()) {
        assert!(frame.data.len() < payloads.iter().map(|payload| payload.len()).sum());
    }
});
