//! Any datagram is read or refused, and what is read survives being written.
#![no_main]

use alfarid_stream::rtcp::SenderReport;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|datagram: &[u8]| {
    let Ok(Some(report)) = SenderReport::parse(datagram) else { return };
    let mut out = Vec::new();
    report.write("box", &mut out);
    assert_eq!(SenderReport::parse(&out), Ok(Some(report)));
});
