//! Any payloads are put together or refused, in no more room than they and their start codes take;
//! any parameter set is read or refused, and the known ones always fit one packet.
#![no_main]

use alfarid_stream::h264::{MAX_BYTES, ParameterSets, depacketise, sps, units};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|payloads: Vec<&[u8]>| {
    if let Ok(unit) = depacketise(payloads.iter().copied()) {
        let input: usize = payloads.iter().map(|payload| payload.len()).sum();
        // An aggregate gives three bytes of its own for each start code of four.
        assert!(unit.data.len() <= input + input / 3 * 4 + 4 * payloads.len());
    }
    let mut sets = ParameterSets::default();
    for payload in payloads {
        let _ = sps::size(payload);
        for unit in units(payload).into_iter().flatten() {
            let _ = unit.starts_idr();
            let _ = sets.insert(&[&[unit.header], unit.body].concat());
        }
    }
    if sets.is_complete() {
        let payload = sets.stap_a();
        let count = units(&payload).expect("it was made here").count();
        assert_eq!(count, sets.sps().len() + sets.pps().len());
        assert!(payload.len() <= 1 + MAX_BYTES + 2 * count);
        let _ = sets.size();
    }
});
