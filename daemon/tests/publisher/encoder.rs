//! Moving pictures and a tone, encoded by GStreamer.

use gstreamer::{self as gst, prelude::*};
use gstreamer_app::{AppSink, AppSinkCallbacks};
use str0m::format::Codec;
use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};
use tokio::sync::mpsc;

use super::cut;

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
    /// It runs when nothing else wants to: on the teacher's own computer it would take no time from
    /// the box.
    pub(crate) gives_way: bool,
}

impl Spec {
    pub(crate) const H264: Self =
        Self { codec: Codec::H264, width: 320, height: 240, fps: 30, kbps: 400, gives_way: false };
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
        let Spec { codec, width, height, fps, kbps, gives_way } = spec;
        // Its corner of noise fills any bit rate that is asked for; a plain picture would not.
        let source = format!(
            "videotestsrc is-live=true pattern=smpte \
             ! video/x-raw,width={width},height={height},framerate={fps}/1 ! timeoverlay"
        );
        let encode = match codec {
            // As browsers make it: one slice for each picture, where threads would make one each,
            // and no delimiters.
            Codec::H264 => format!(
                "x264enc tune=zerolatency speed-preset=ultrafast threads=1 aud=false \
                 bitrate={kbps} key-int-max=100000 \
                 ! video/x-h264,profile=constrained-baseline,stream-format=byte-stream"
            ),
            Codec::Vp8 => format!(
                "vp8enc deadline=1 cpu-used=8 target-bitrate={} keyframe-max-dist=100000 \
                 keyframe-mode=disabled ! rtpvp8pay picture-id-mode=15-bit mtu=1200",
                kbps * 1000
            ),
            other => panic!("no encoder for {other:?}"),
        };
        Self::run(&format!("{source} ! {encode}"), gives_way, packets, move |buffer| match codec {
            Codec::H264 => picture(buffer),
            _ => packet(codec, buffer),
        })
    }

    pub(crate) fn sound(packets: mpsc::Sender<Encoded>) -> Self {
        let source = "audiotestsrc is-live=true samplesperbuffer=960 \
                      ! audio/x-raw,rate=48000,channels=2 ! opusenc ! rtpopuspay";
        Self::run(source, false, packets, |buffer| packet(Codec::Opus, buffer))
    }

    fn run(
        source: &str,
        gives_way: bool,
        packets: mpsc::Sender<Encoded>,
        read: impl Fn(&gst::BufferRef) -> Option<Vec<Encoded>> + Send + 'static,
    ) -> Self {
        gst::init().unwrap();
        let text = format!("{source} ! appsink name=sink sync=false");
        let pipeline = gst::parse::launch(&text).unwrap().downcast::<gst::Pipeline>().unwrap();
        let sink = pipeline.by_name("sink").unwrap().downcast::<AppSink>().unwrap();
        let taken = move |sink: &AppSink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            let encoded = sample.buffer().and_then(&read).ok_or(gst::FlowError::Error)?;
            for packet in encoded {
                // A browser that cannot send drops, too.
                let _ = packets.try_send(packet);
            }
            Ok(gst::FlowSuccess::Ok)
        };
        sink.set_callbacks(AppSinkCallbacks::builder().new_sample(taken).build());
        pipeline.bus().unwrap().set_sync_handler(move |_, message| {
            if gives_way && is_begun(message) {
                give_way();
            }
            gst::BusSyncReply::Drop
        });
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

/// Said by a thread of a pipeline, of itself.
fn is_begun(message: &gst::Message) -> bool {
    use gst::{MessageView::StreamStatus, StreamStatusType::Enter};
    matches!(message.view(), StreamStatus(status) if status.get().0 == Enter)
}

fn give_way() {
    let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy).unwrap();
}

/// All packets of an access unit at once, as a browser has them.
fn picture(buffer: &gst::BufferRef) -> Option<Vec<Encoded>> {
    let payloads = cut::h264(&buffer.map_readable().ok()?);
    let ticks = buffer.pts()?.useconds() * 90 / 1_000;
    let timestamp = u32::try_from(ticks & u64::from(u32::MAX)).ok()?;
    let count = payloads.len();
    let encoded = |(n, payload)| {
        let marker = n + 1 == count;
        Encoded { codec: Codec::H264, marker, timestamp, payload }
    };
    Some(payloads.into_iter().enumerate().map(encoded).collect())
}

/// A packet of a payloader of `GStreamer`'s, which write neither extensions nor padding.
fn packet(codec: Codec, buffer: &gst::BufferRef) -> Option<Vec<Encoded>> {
    let packet = buffer.map_readable().ok()?;
    let timestamp = u32::from_be_bytes(packet[4..8].try_into().ok()?);
    let (marker, payload) = (packet[1] & 0x80 != 0, packet[12..].to_vec());
    Some(vec![Encoded { codec, marker, timestamp, payload }])
}
