//! Streams of real encoders and payloaders, recorded once, from the publisher's packets to the
//! receiver's frames. What the files in `tests/data` are, and how they were made, is said there.

use std::time::Duration;

use alfarid_stream::{
    Codec, Size,
    assemble::{Assembler, Config, Frame, Origin, REORDER_WAIT},
    relay::{Outgoing, Relay, Sent, SourceId},
    reorder::Reorder,
    rtp::Packet,
};
use bytes::Bytes;

const SOURCE: SourceId = SourceId(1);

/// What became of a recorded stream.
struct Played {
    sent: Vec<Sent>,
    frames: Vec<Frame>,
    relay: Relay,
    assembler: Assembler,
}

fn file(name: &str) -> Bytes {
    let path = format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}")).into()
}

fn packets(name: &str) -> Vec<Packet> {
    let mut rest = file(name);
    let mut packets = Vec::new();
    while !rest.is_empty() {
        let length = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
        let packet = Packet::parse(&rest.slice(2..2 + length));
        packets.push(packet.unwrap_or_else(|error| panic!("{name}: {error}")));
        rest = rest.slice(2 + length..);
    }
    packets
}

/// Plays a recorded stream of which nothing may be missing in the end.
fn play(codec: Codec, name: &str) -> Played {
    let played = play_packets(codec, packets(name));
    let (relay, assembler) = (played.relay.stats(), played.assembler.stats());
    assert_eq!((relay.malformed, relay.held_back), (0, 0), "{name}");
    assert_eq!((assembler.lost, assembler.dropped), (0, 0), "{name}");
    played
}

fn play_packets(codec: Codec, packets: Vec<Packet>) -> Played {
    let mut relay = Relay::new(Outgoing {
        codec,
        ssrc: 7,
        payload_type: 96,
        first_index: 1_000,
        first_timestamp: 0,
    });
    relay.announce(SOURCE);
    let mut reorder = Reorder::new();
    let config = Config { reorder_wait: REORDER_WAIT, kept_wait: None };
    let mut assembler = Assembler::new(codec, config, Duration::ZERO);
    let (mut sent, mut frames) = (Vec::new(), Vec::new());
    for (number, packet) in packets.into_iter().enumerate() {
        let now = Duration::from_millis(number as u64);
        reorder.push(now, packet);
        while let Some(ordered) = reorder.poll(now) {
            for one in relay.push(now, SOURCE, ordered) {
                assembler.push(now, one.index, one.packet.clone(), Origin::Live);
                frames.extend(std::iter::from_fn(|| assembler.poll(now)));
                sent.push(one);
            }
        }
    }
    assert_eq!(reorder.stats().lost, 0);
    Played { sent, frames, relay, assembler }
}

impl Played {
    /// Numbers of the frames that are keyframes.
    fn keyframes(&self) -> Vec<usize> {
        let numbered = self.frames.iter().enumerate();
        numbered.filter(|(_, frame)| frame.is_keyframe).map(|(number, _)| number).collect()
    }

    /// The sizes that the relay announced as new.
    fn sizes(&self) -> Vec<Option<Size>> {
        let keyframes = self.sent.iter().filter_map(|sent| sent.keyframe.as_ref());
        keyframes.filter(|key| key.is_new_format).map(|key| key.format.size).collect()
    }

    fn data(&self) -> Vec<u8> {
        self.frames.iter().flat_map(|frame| frame.data.to_vec()).collect()
    }
}

/// NAL units of a byte stream, without start codes of either length.
fn nals(stream: &[u8]) -> Vec<&[u8]> {
    let starts: Vec<usize> =
        (0..stream.len()).filter(|&at| stream[at..].starts_with(&[0, 0, 1])).collect();
    let ends = starts.iter().skip(1).copied().chain([stream.len()]);
    let trimmed = starts.iter().zip(ends).map(|(start, end)| {
        let nal = &stream[start + 3..end];
        let zeros = nal.iter().rev().take_while(|byte| **byte == 0).count();
        &nal[..nal.len() - zeros]
    });
    trimmed.collect()
}

#[test]
fn every_nal_unit_of_h264_arrives_as_the_encoder_made_it() {
    for name in ["x264-separate", "x264-aggregated", "openh264"] {
        let played = play(Codec::H264, &format!("{name}.rtp"));
        let made = file(&format!("{name}.h264"));
        assert!(nals(&played.data()) == nals(&made), "{name}");
        assert_eq!(played.frames.len(), 25, "{name}");
        assert_eq!(played.keyframes(), [0, 10, 20], "{name}");
        assert_eq!(played.sizes(), [Some(Size { width: 160, height: 96 })], "{name}");
        assert_eq!(played.relay.stats().parameter_sets_repeated, 0, "{name}");
    }
}

#[test]
fn every_byte_of_vp8_arrives_as_the_encoder_made_it() {
    for name in ["vp8", "vp8-plain"] {
        let played = play(Codec::Vp8, &format!("{name}.rtp"));
        assert!(played.data() == file(&format!("{name}.vp8")), "{name}");
        assert_eq!(played.frames.len(), 25, "{name}");
        assert_eq!(played.keyframes(), [0, 10, 20], "{name}");
        assert_eq!(played.sizes(), [Some(Size { width: 160, height: 96 })], "{name}");
    }
}

#[test]
fn chromium_is_understood_with_its_probes_and_its_change_of_size() {
    for (codec, name) in [(Codec::H264, "chromium-h264.rtp"), (Codec::Vp8, "chromium-vp8.rtp")] {
        let recorded = packets(name);
        let played = play(codec, name);
        let marked = recorded.iter().filter(|packet| packet.header.marker).count();
        assert_eq!(played.frames.len(), marked, "{name}");
        let probes = recorded.iter().filter(|packet| packet.payload.is_empty()).count();
        assert!(probes > 0, "{name}");
        assert_eq!(played.sent.len(), recorded.len() - probes, "{name}");
        assert_eq!(played.keyframes().len(), 2, "{name}");
        let sizes = [(320, 192), (240, 144)].map(|(width, height)| Some(Size { width, height }));
        assert_eq!(played.sizes(), sizes, "{name}");
    }
}

/// When a keyframe is ready, Chromium's pacer throws away what it has not sent yet of the frames
/// before it: the head of one is out, its marker never comes, and the numbers go on without a gap.
/// That frame can be shown by nobody, and it is the only one.
#[test]
fn a_frame_that_chromium_gives_up_for_a_keyframe_costs_itself_alone() {
    for (codec, name) in [(Codec::H264, "chromium-h264.rtp"), (Codec::Vp8, "chromium-vp8.rtp")] {
        let whole = play(codec, name);
        let keyframe = whole.keyframes()[1];
        let mut packets = packets(name);
        packets.retain(|packet| !packet.payload.is_empty());
        let ends = packets.iter().enumerate().filter(|(_, packet)| packet.header.marker);
        let end = ends.map(|(at, _)| at).nth(keyframe - 1).unwrap();
        packets[end].header.marker = false;
        let first = packets[0].header.sequence;
        for (packet, number) in packets.iter_mut().zip(0..) {
            packet.header.sequence = first.wrapping_add(number);
        }

        let played = play_packets(codec, packets);
        let mut shown = whole.frames;
        let given_up = shown.remove(keyframe - 1);
        assert!(!given_up.is_keyframe, "{name}");
        assert_eq!(played.frames, shown, "{name}");
        let (relay, assembler) = (played.relay.stats(), played.assembler.stats());
        assert_eq!((relay.held_back, assembler.lost, assembler.dropped), (0, 0, 1), "{name}");
        assert!(!played.assembler.wants_keyframe());
    }
}

/// The relay's own numbers, on the wire: nothing of the publisher's header is left.
#[test]
fn what_goes_on_air_is_a_bare_header_and_the_payload() {
    for sent in play(Codec::H264, "chromium-h264.rtp").sent {
        let mut wire = Vec::new();
        sent.packet.write(&mut wire);
        assert_eq!(wire[0], 0x80);
        assert_eq!(Packet::parse(&wire.into()), Ok(sent.packet));
    }
}
