//! Real pictures and sounds, encoded and cut into RTP by GStreamer, as fast as it can.

use std::time::Duration;

use alfarid_daemon::broadcast::tap::TrackKind;
use alfarid_stream::Codec;
use bytes::Bytes;
use gstreamer::{self as gst, prelude::*};
use gstreamer_app::AppSink;

/// What a track is made of.
#[derive(Clone, Debug)]
pub(crate) struct Footage {
    pub(crate) kind: TrackKind,
    pub(crate) codec: Codec,
    pub(crate) packets: Vec<Packet>,
    /// Pictures, or packets of sound.
    pub(crate) frames: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Packet {
    /// From the footage's start, when it was taken.
    pub(crate) taken: Duration,
    pub(crate) bytes: Bytes,
}

impl Footage {
    /// From the footage's start to its last frame.
    pub(crate) fn last(&self) -> Duration {
        self.packets.last().map_or(Duration::ZERO, |packet| packet.taken)
    }

    /// The same packets, with so many bytes more in each. Nothing plays them any more.
    pub(crate) fn padded(mut self, bytes: usize) -> Self {
        for packet in &mut self.packets {
            packet.bytes = [packet.bytes.to_vec(), vec![0; bytes]].concat().into();
        }
        self
    }

    /// The same track goes on with `next`, `gap` after its last frame.
    pub(crate) fn followed_by(mut self, gap: Duration, next: &Self) -> Self {
        let shift = self.last() + gap;
        let ticks = shift.as_micros() * u128::from(self.codec.clock_rate()) / 1_000_000;
        let first = timestamp(&self.packets[0].bytes);
        let ticks = u32::try_from(ticks & 0xffff_ffff).unwrap();
        let next_first = timestamp(&next.packets[0].bytes);
        for packet in &next.packets {
            let mut bytes = packet.bytes.to_vec();
            let since = timestamp(&packet.bytes).wrapping_sub(next_first);
            let timestamp = first.wrapping_add(ticks).wrapping_add(since);
            bytes[4..8].copy_from_slice(&timestamp.to_be_bytes());
            self.packets.push(Packet { taken: packet.taken + shift, bytes: bytes.into() });
        }
        self.frames += next.frames;
        self
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Picture {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) fps: u32,
    pub(crate) frames: u32,
    /// A keyframe every so many frames.
    pub(crate) keyframe_every: u32,
}

impl Default for Picture {
    fn default() -> Self {
        Self { width: 320, height: 240, fps: 30, frames: 180, keyframe_every: 120 }
    }
}

pub(crate) fn h264(picture: Picture) -> Footage {
    let every = picture.keyframe_every;
    let encoder = format!(
        "x264enc tune=zerolatency speed-preset=ultrafast bitrate=600 key-int-max={every} \
         ! video/x-h264,profile=constrained-baseline \
         ! rtph264pay config-interval=-1 aggregate-mode=zero-latency mtu=1200"
    );
    video(picture, Codec::H264, &encoder)
}

pub(crate) fn vp8(picture: Picture) -> Footage {
    let every = picture.keyframe_every;
    let encoder = format!(
        "vp8enc deadline=1 cpu-used=8 target-bitrate=600000 keyframe-max-dist={every} \
         ! rtpvp8pay picture-id-mode=15-bit mtu=1200"
    );
    video(picture, Codec::Vp8, &encoder)
}

/// A tone, in packets of 20 ms.
pub(crate) fn sound(kind: TrackKind, seconds: u32) -> Footage {
    let pipeline = format!(
        "audiotestsrc samplesperbuffer=960 num-buffers={} ! audio/x-raw,rate=48000,channels=2 \
         ! opusenc ! rtpopuspay timestamp-offset=77 seqnum-offset=9",
        seconds * 50
    );
    film(kind, Codec::Opus, &pipeline)
}

fn video(picture: Picture, codec: Codec, encoder: &str) -> Footage {
    let Picture { width, height, fps, frames, .. } = picture;
    let pipeline = format!(
        "videotestsrc pattern=ball num-buffers={frames} \
         ! video/x-raw,format=I420,width={width},height={height},framerate={fps}/1 ! timeoverlay \
         ! {encoder} timestamp-offset=4294000000 seqnum-offset=65000"
    );
    film(TrackKind::ScreenVideo, codec, &pipeline)
}

fn film(kind: TrackKind, codec: Codec, pipeline: &str) -> Footage {
    gst::init().unwrap();
    let text = format!("{pipeline} ! appsink name=sink sync=false");
    let pipeline = gst::parse::launch(&text).unwrap().downcast::<gst::Pipeline>().unwrap();
    let sink = pipeline.by_name("sink").unwrap().downcast::<AppSink>().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let mut packets: Vec<Packet> = Vec::new();
    let mut first = None;
    let mut frames = 0;
    let mut last = None;
    while let Ok(sample) = sink.pull_sample() {
        let bytes = Bytes::copy_from_slice(&sample.buffer().unwrap().map_readable().unwrap());
        let timestamp = timestamp(&bytes);
        let ticks = timestamp.wrapping_sub(*first.get_or_insert(timestamp));
        let micros = u64::from(ticks) * 1_000_000 / u64::from(codec.clock_rate());
        frames += u64::from(last.replace(timestamp) != Some(timestamp));
        packets.push(Packet { taken: Duration::from_micros(micros), bytes });
    }
    pipeline.set_state(gst::State::Null).unwrap();
    assert!(frames > 0, "nothing came out of {text}");
    Footage { kind, codec, packets, frames }
}

fn timestamp(packet: &[u8]) -> u32 {
    u32::from_be_bytes(packet[4..8].try_into().unwrap())
}
