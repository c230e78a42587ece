//! Moving pictures and a tone, encoded and cut into RTP by GStreamer.

use gstreamer::{self as gst, prelude::*};
use gstreamer_app::{AppSink, AppSinkCallbacks};
use str0m::format::Codec;
use tokio::sync::mpsc;

/// One RTP packet of an encoder.
#[derive(Clone, Debug)]
pub(crate) struct Encoded {
    pub(crate) codec: Codec,
    pub(crate) marker: bool,
    pub(crate) timestamp: u32,
    pub(crate) payload: Vec<u8>,
}

/// What the picture is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spec {
    pub(crate) codec: Codec,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) fps: u32,
    pub(crate) kbps: u32,
}

impl Spec {
    pub(crate) const H264: Self =
        Self { codec: Codec::H264, width: 320, height: 240, fps: 30, kbps: 400 };
    pub(crate) const VP8: Self = Self { codec: Codec::Vp8, ..Self::H264 };
}

/// Runs until dropped.
pub(crate) struct Encoder {
    pipeline: gst::Pipeline,
    sink: AppSink,
}

impl Encoder {
    /// Keyframes come when they are asked for, as a browser's do.
    pub(crate) fn video(spec: Spec, packets: mpsc::Sender<Encoded>) -> Self {
        let Spec { codec, width, height, fps, kbps } = spec;
        let encode = match codec {
            // One slice for each picture, as browsers make; with threads it would be one for each.
            Codec::H264 => format!(
                "x264enc tune=zerolatency speed-preset=ultrafast threads=1 bitrate={kbps} \
                 key-int-max=100000 ! video/x-h264,profile=constrained-baseline \
                 ! rtph264pay aggregate-mode=zero-latency mtu=1200"
            ),
            Codec::Vp8 => format!(
                "vp8enc deadline=1 cpu-used=8 target-bitrate={} keyframe-max-dist=100000 \
                 keyframe-mode=disabled ! rtpvp8pay picture-id-mode=15-bit mtu=1200",
                kbps * 1000
            ),
            other => panic!("no encoder for {other:?}"),
        };
        // Its corner of noise fills any bit rate that is asked for; a plain picture would not.
        let source = format!(
            "videotestsrc is-live=true pattern=smpte \
             ! video/x-raw,width={width},height={height},framerate={fps}/1 ! timeoverlay ! {encode}"
        );
        Self::run(&source, codec, packets)
    }

    pub(crate) fn sound(packets: mpsc::Sender<Encoded>) -> Self {
        let source = "audiotestsrc is-live=true samplesperbuffer=960 \
                      ! audio/x-raw,rate=48000,channels=2 ! opusenc ! rtpopuspay";
        Self::run(source, Codec::Opus, packets)
    }

    fn run(source: &str, codec: Codec, packets: mpsc::Sender<Encoded>) -> Self {
        gst::init().unwrap();
        let text = format!("{source} ! appsink name=sink sync=false");
        let pipeline = gst::parse::launch(&text).unwrap().downcast::<gst::Pipeline>().unwrap();
        let sink = pipeline.by_name("sink").unwrap().downcast::<AppSink>().unwrap();
        let taken = move |sink: &AppSink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            let buffer = sample.buffer().ok_or(gst::FlowError::Error)?;
            let bytes = buffer.map_readable().map_err(|_| gst::FlowError::Error)?;
            // A browser that cannot send drops, too.
            let _ = packets.try_send(read(codec, &bytes));
            Ok(gst::FlowSuccess::Ok)
        };
        sink.set_callbacks(AppSinkCallbacks::builder().new_sample(taken).build());
        pipeline.set_state(gst::State::Playing).unwrap();
        Self { pipeline, sink }
    }

    pub(crate) fn make_keyframe(&self) {
        let wish = gst::Structure::builder("GstForceKeyUnit").field("all-headers", true).build();
        self.sink.send_event(gst::event::CustomUpstream::new(wish));
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

/// The payloaders write neither extensions nor padding.
fn read(codec: Codec, packet: &[u8]) -> Encoded {
    let timestamp = u32::from_be_bytes(packet[4..8].try_into().unwrap());
    Encoded { codec, marker: packet[1] & 0x80 != 0, timestamp, payload: packet[12..].to_vec() }
}
