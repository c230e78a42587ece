//! Real media, made and judged by `GStreamer`.
//!
//! Each picture carries its number: a white bar on black, further to the right with each picture.
//! It survives any codec and any scaling, and says which picture is looked at.

use std::{io::Read, path::Path};

use alfarid_agent::feed::Frame;
use alfarid_protocol::grant::Codec;
use gstreamer::{self as gst, prelude::*};
use gstreamer_app::{AppSink, AppSrc};

/// Places that the bar can have; picture `n` has it at `n % PLACES`.
pub(crate) const PLACES: usize = 16;

pub(crate) const HD: (u32, u32) = (1280, 720);

/// Ticks of the RTP clock between two pictures, at 30 a second.
pub(crate) const TICKS: u64 = 3000;

/// `count` pictures of `size` as an encoder for browsers makes them, a keyframe every ten.
pub(crate) fn video(codec: Codec, size: (u32, u32), count: usize) -> Vec<Frame> {
    frames(codec, encode(&pictures(codec, size, count, "identity")))
}

fn pictures(codec: Codec, size: (u32, u32), count: usize, then: &str) -> Source {
    let encoder = match codec {
        Codec::H264 => {
            "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10 ! \
             video/x-h264,profile=constrained-baseline,stream-format=byte-stream,alignment=au"
        }
        Codec::Vp8 => "vp8enc deadline=1 cpu-used=8 keyframe-max-dist=10",
        Codec::Opus => panic!("not a codec of pictures"),
    };
    let (width, height) = size;
    Source {
        pipeline: format!(
            "appsrc name=source format=time caps=video/x-raw,format=GRAY8,width={width},\
             height={height},framerate=30/1 ! videoconvert ! video/x-raw,format=I420 ! \
             {encoder} ! {then}"
        ),
        raw: (0..count).map(|n| bar(size, n % PLACES)).collect(),
        step_ns: 33_333_333,
    }
}

/// The RTP packets of `count` pictures, for each picture its own, as a relay sends them: `ssrc`,
/// payload type 96, sequence numbers from `first`.
pub(crate) fn rtp(codec: Codec, count: usize, ssrc: u32, first: u16) -> Vec<Vec<Vec<u8>>> {
    let payloader = match codec {
        Codec::H264 => "rtph264pay aggregate-mode=zero-latency",
        Codec::Vp8 => "rtpvp8pay picture-id-mode=15-bit",
        Codec::Opus => panic!("not a codec of pictures"),
    };
    let payloader =
        format!("{payloader} pt=96 mtu=600 ssrc={ssrc} seqnum-offset={first} timestamp-offset=0");
    let mut frames: Vec<Vec<Vec<u8>>> = Vec::new();
    for packet in encode(&pictures(codec, HD, count, &payloader)) {
        let timestamp = |packet: &Vec<u8>| packet[4..8].to_vec();
        match frames.last_mut() {
            Some(frame) if timestamp(&frame[0]) == timestamp(&packet.data) => {
                frame.push(packet.data);
            }
            _ => frames.push(vec![packet.data]),
        }
    }
    frames
}

/// `count` packets of 20 ms of a tone of 440 Hz.
pub(crate) fn tone(count: usize) -> Vec<Frame> {
    let blocks = (0..count)
        .map(|block| {
            (0..960)
                .flat_map(|n| {
                    let time = f64::from(u32::try_from(block * 960 + n).unwrap()) / 48_000.0;
                    let level = (time * 440.0 * std::f64::consts::TAU).sin() * 10_000.0;
                    #[expect(clippy::cast_possible_truncation, reason = "within 10000")]
                    let sample = (level as i16).to_le_bytes();
                    [sample, sample].concat()
                })
                .collect()
        })
        .collect();
    let pipeline = "appsrc name=source format=time \
                    caps=audio/x-raw,format=S16LE,rate=48000,channels=2,layout=interleaved ! \
                    opusenc"
        .to_owned();
    let packets = encode(&Source { pipeline, raw: blocks, step_ns: 20_000_000 });
    frames(Codec::Opus, packets)
}

fn bar((width, height): (u32, u32), place: usize) -> Vec<u8> {
    let row: Vec<u8> = (0..width as usize)
        .map(|x| if x * PLACES / width as usize == place { 235 } else { 16 })
        .collect();
    row.repeat(height as usize)
}

/// Where the bar stands in a grey picture.
pub(crate) fn place_of_bar(pixels: &[u8], width: usize) -> usize {
    let middle = &pixels[pixels.len() / 2 / width * width..][..width];
    let brightness = |place: usize| -> u32 {
        let part = &middle[place * width / PLACES..(place + 1) * width / PLACES];
        part.iter().map(|&pixel| u32::from(pixel)).sum()
    };
    (0..PLACES).max_by_key(|&place| brightness(place)).unwrap()
}

/// What is to be encoded, and how.
struct Source {
    pipeline: String,
    raw: Vec<Vec<u8>>,
    step_ns: u64,
}

struct Encoded {
    keyframe: bool,
    data: Vec<u8>,
}

fn frames(codec: Codec, encoded: Vec<Encoded>) -> Vec<Frame> {
    // A packet of sound is 20 ms at 48 kHz.
    let step = if codec == Codec::Opus { 960 } else { TICKS };
    (0..)
        .step_by(usize::try_from(step).unwrap())
        .zip(encoded)
        .map(|(timestamp, Encoded { keyframe, data })| Frame {
            codec,
            keyframe,
            catch_up: false,
            timestamp,
            show_at: 0,
            data: data.into(),
        })
        .collect()
}

fn encode(source: &Source) -> Vec<Encoded> {
    gst::init().unwrap();
    let pipeline = format!("{} ! appsink name=sink sync=false", source.pipeline);
    let pipeline = gst::parse::launch(&pipeline).unwrap().downcast::<gst::Pipeline>().unwrap();
    let appsrc = pipeline.by_name("source").unwrap().downcast::<AppSrc>().unwrap();
    let sink = pipeline.by_name("sink").unwrap().downcast::<AppSink>().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    for (n, data) in (0..).zip(&source.raw) {
        let mut buffer = gst::Buffer::from_slice(data.clone());
        buffer.get_mut().unwrap().set_pts(gst::ClockTime::from_nseconds(n * source.step_ns));
        appsrc.push_buffer(buffer).unwrap();
    }
    appsrc.end_of_stream().unwrap();
    let mut encoded = Vec::new();
    while let Ok(sample) = sink.pull_sample() {
        let buffer = sample.buffer().unwrap();
        let (flags, data) = (buffer.flags(), buffer.map_readable().unwrap().to_vec());
        // Opus begins with two headers that no RTP packet carries.
        if !data.starts_with(b"Opus") {
            let keyframe = !flags.contains(gst::BufferFlags::DELTA_UNIT);
            encoded.push(Encoded { keyframe, data });
        }
    }
    pipeline.set_state(gst::State::Null).unwrap();
    encoded
}

/// One record of a player's trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) at_ns: u64,
    pub(crate) timestamp: u64,
    pub(crate) size: (u32, u32),
    /// Where the bar stood.
    pub(crate) place: usize,
}

impl Shown {
    /// The number of the picture, of a stream that began at time 0 and never wrapped.
    pub(crate) fn picture(&self) -> usize {
        let on_the_wire = self.timestamp & u64::from(u32::MAX);
        usize::try_from((on_the_wire + TICKS / 2) / TICKS).unwrap()
    }
}

pub(crate) fn read_trace(path: &Path) -> Vec<Shown> {
    const SMALL: (usize, usize) = (160, 90);
    let mut content = Vec::new();
    std::fs::File::open(path).unwrap().read_to_end(&mut content).unwrap();
    let records = content.chunks_exact(20 + SMALL.0 * SMALL.1);
    assert!(records.remainder().is_empty(), "records are whole");
    records
        .map(|record| {
            let number = |at: usize, length: usize| {
                record[at..at + length].iter().rev().fold(0, |n, &byte| n << 8 | u64::from(byte))
            };
            let length = |at: usize| u32::try_from(number(at, 2)).unwrap();
            Shown {
                at_ns: number(0, 8),
                timestamp: number(8, 8),
                size: (length(16), length(18)),
                place: place_of_bar(&record[20..], SMALL.0),
            }
        })
        .collect()
}
