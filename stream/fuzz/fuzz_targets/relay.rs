//! Whatever a publisher sends, and whatever is lost: the numbers on air have no gap, a video track
//! starts at a keyframe, and nothing panics.
#![no_main]

use std::time::Duration;

use alfarid_stream::{
    Codec,
    relay::{Outgoing, Relay, SourceId},
    reorder::Reorder,
    rtp::{Header, Packet},
};
use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    codec: u8,
    steps: Vec<Step<'a>>,
}

#[derive(Arbitrary, Debug)]
struct Step<'a> {
    source: bool,
    announce: bool,
    marker: bool,
    sequence_step: i8,
    timestamp_step: u8,
    millis: u8,
    payload: &'a [u8],
}

fuzz_target!(|input: Input| {
    let codec = [Codec::H264, Codec::Vp8, Codec::Opus][usize::from(input.codec % 3)];
    let mut index = 65_000;
    let mut relay = Relay::new(Outgoing {
        codec,
        ssrc: 1,
        payload_type: 96,
        first_index: index,
        first_timestamp: u32::MAX,
    });
    let mut reorders = [Reorder::new(), Reorder::new()];
    let mut header = Header { sequence: 65_000, timestamp: u32::MAX - 300, ..Header::default() };
    let mut now = Duration::ZERO;
    for step in input.steps {
        now += Duration::from_millis(u64::from(step.millis));
        let number = u64::from(step.source);
        let source = SourceId(number);
        if step.announce && relay.source() != Some(source) {
            relay.announce(source);
        }
        header.marker = step.marker;
        header.sequence = header.sequence.wrapping_add_signed(i16::from(step.sequence_step));
        header.timestamp = header.timestamp.wrapping_add(u32::from(step.timestamp_step));
        let reorder = &mut reorders[usize::from(step.source)];
        reorder.push(now, Packet { header, payload: step.payload.to_vec().into() });
        while let Some(ordered) = reorder.poll(now) {
            for sent in relay.push(now, source, ordered) {
                assert_eq!(sent.index, index);
                assert!(index > 65_000 || sent.keyframe.is_some() || codec == Codec::Opus);
                assert!(!sent.packet.payload.is_empty());
                index += 1;
            }
        }
    }
    assert_eq!(relay.next_index(), index);
});
