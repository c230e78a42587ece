//! Whatever arrives, in whatever order: frames come out in order, each once, video only from a
//! keyframe on, and nothing panics or goes on for ever.
#![no_main]

use std::time::Duration;

use alfarid_stream::{
    Codec,
    assemble::{Assembler, Config, KEPT_WAIT, Origin, REORDER_WAIT},
    rtp::{Header, Packet},
};
use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    codec: u8,
    joins: bool,
    steps: Vec<Step<'a>>,
}

#[derive(Arbitrary, Debug)]
struct Step<'a> {
    index: u8,
    timestamp: u8,
    marker: bool,
    kept: bool,
    kept_ends: bool,
    millis: u8,
    payload: &'a [u8],
}

fuzz_target!(|input: Input| {
    let codec = [Codec::H264, Codec::Vp8, Codec::Opus][usize::from(input.codec % 3)];
    let config = Config { reorder_wait: REORDER_WAIT, kept_wait: input.joins.then_some(KEPT_WAIT) };
    let mut now = Duration::ZERO;
    let mut assembler = Assembler::new(codec, config, now);
    let mut last: Option<u64> = None;
    for step in input.steps {
        now += Duration::from_millis(u64::from(step.millis));
        let header = Header {
            marker: step.marker,
            timestamp: u32::from(step.timestamp),
            ..Header::default()
        };
        let packet = Packet { header, payload: step.payload.to_vec().into() };
        let origin = if step.kept { Origin::Kept } else { Origin::Live };
        assembler.push(now, u64::from(step.index), packet, origin);
        if step.kept_ends {
            assembler.kept_ended();
        }
        while let Some(frame) = assembler.poll(now) {
            assert!(frame.first_index <= frame.last_index);
            match last {
                None => assert!(frame.is_keyframe),
                Some(last) => assert!(last < frame.first_index),
            }
            assert!(
                frame.is_keyframe || last.is_some_and(|last| last + 1 == frame.first_index),
                "a picture whose reference is missing"
            );
            last = Some(frame.last_index);
        }
        if let Some(timeout) = assembler.next_timeout() {
            assert!(timeout > now, "polled, and still due");
        }
    }
});
