//! Frames in, pictures out, by `GStreamer`: one small pipeline per codec.
//!
//! ```text
//!   appsrc ─▶ avdec_h264 ───────────────────▶ appsink ─▶ Picture
//!   appsrc ─▶ h264parse ─▶ the hardware's ──▶ appsink
//!   appsrc ─▶ vp8dec ───────────────────────▶ appsink
//!
//!   no pipeline ── keyframe ──▶ running ── another codec: drained ──▶ no pipeline
//!        ▲                         │
//!        └──────── error ──────────┘
//! ```
//!
//! A decoder that fails is thrown away and the next keyframe starts another one; if it was the
//! hardware's, a software one. A change of size is the decoder's own business: each picture says
//! how large it is. Pictures come out in the thread of the decoder, in the order of decoding,
//! without delay: nothing here reorders, and slices rather than frames are decoded in parallel.
//!
//! **Catching up** ends with the next keyframe that is handed in, unless it is nearly done: whatever
//! still waits before it is not decoded, live or not, for that could keep it waiting for up to half
//! a second (four seconds of a large screen).

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use alfarid_agent::feed::Frame;
use alfarid_protocol::grant::Codec;
use gstreamer::{self as gst, prelude::*};
use gstreamer_app::{AppSink, AppSinkCallbacks, AppSrc};
use gstreamer_video::{VideoInfo, VideoMeta};
use thiserror::Error;

/// Encoded frames inside the pipeline. When full, the feed waits, and then the agent's outbox
/// drops up to the next keyframe.
const QUEUED_BYTES: u64 = 2 * 1024 * 1024;

/// So few frames are caught up with sooner than a keyframe that has just come is due.
const NEARLY_DONE: usize = 8;

/// How long the frames of one codec get to come out before another codec begins.
const DRAIN_WITHIN: gst::ClockTime = gst::ClockTime::from_seconds(1);

/// Decoders, the best first. The hardware's are there where their driver is.
const H264_HARDWARE: [&str; 2] = ["vah264dec", "v4l2h264dec"];
const H264_SOFTWARE: [&str; 2] = ["avdec_h264", "openh264dec"];
const VP8: [&str; 1] = ["vp8dec"];

/// Between the times that two frames get. Elements move a time that they find odd by a fraction of
/// a second; it must still be told from the next one.
const APART: gst::ClockTime = gst::ClockTime::from_seconds(1);

#[derive(Debug, Error)]
pub(crate) enum DecodeError {
    #[error("no decoder for {0:?} is installed")]
    NoDecoder(Codec),
    #[error("{0:?} is not a codec of pictures")]
    NotVideo(Codec),
    #[error("build the decoder {decoder}")]
    Build { decoder: &'static str, source: gst::glib::BoolError },
    #[error("start the decoder {decoder}")]
    Start { decoder: &'static str, source: gst::StateChangeError },
    #[error("hand a frame to the decoder")]
    Push(#[source] gst::FlowError),
    #[error("decode: {0}")]
    Stream(gst::glib::Error),
}

/// One decoded picture. Cheap to clone: the pixels are shared.
#[derive(Clone, Debug)]
pub(crate) struct Picture {
    pub(crate) buffer: gst::Buffer,
    pub(crate) info: VideoInfo,
    /// RTP time, unwrapped.
    pub(crate) timestamp: u64,
    /// When to show it, in `CLOCK_MONOTONIC`.
    pub(crate) show_at: Duration,
}

impl Picture {
    pub(crate) fn size(&self) -> (u32, u32) {
        (self.info.width(), self.info.height())
    }
}

/// Who takes the pictures. Called in the decoder's thread: must not wait.
type Output = Arc<dyn Fn(Picture) + Send + Sync>;

pub(crate) struct Decoder {
    output: Output,
    running: Option<Pipeline>,
    /// A hardware decoder has failed; it is not tried again.
    software: bool,
}

impl Decoder {
    pub(crate) fn new(output: impl Fn(Picture) + Send + Sync + 'static) -> Self {
        Self { output: Arc::new(output), running: None, software: false }
    }

    /// Decodes one frame. Waits while the decoder is behind. What fails is logged; the picture
    /// goes on with the next keyframe.
    pub(crate) fn push(&mut self, frame: Frame) {
        if let Err(error) = self.try_push(frame) {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "decoding goes on with the next keyframe"
            );
            if let Some(failed) = self.running.take() {
                self.software |= failed.is_hardware();
            }
        }
    }

    /// Forgets everything: no picture comes out after this.
    pub(crate) fn stop(&mut self) {
        self.running = None;
    }

    fn try_push(&mut self, frame: Frame) -> Result<(), DecodeError> {
        if let Some(running) = &self.running {
            running.check()?;
            if running.codec != frame.codec {
                running.drain();
                self.running = None;
            }
        }
        let running = match &mut self.running {
            Some(running) => running,
            None if frame.keyframe => {
                let started = Pipeline::start(frame.codec, self.software, &self.output)?;
                self.running.insert(started)
            }
            None => return Ok(()),
        };
        running.push(frame)
    }
}

/// What a frame carries beside its data, until its picture comes out.
#[derive(Clone, Copy, Debug)]
struct Tag {
    timestamp: u64,
    show_at: Duration,
    catch_up: bool,
}

/// The tags of frames inside the decoder, by presentation time. Bounded by what [`QUEUED_BYTES`]
/// and the decoder hold; a frame that never comes out is forgotten when a later one does. A frame
/// without one is not decoded, nor shown.
type Tags = Arc<Mutex<BTreeMap<gst::ClockTime, Tag>>>;

struct Pipeline {
    codec: Codec,
    decoder: &'static str,
    elements: gst::Pipeline,
    source: AppSrc,
    tags: Tags,
    pushed: u64,
}

impl Pipeline {
    fn start(codec: Codec, software: bool, output: &Output) -> Result<Self, DecodeError> {
        let decoder = best_decoder(codec, software)?;
        let tags = Tags::default();
        let (elements, source) = build(codec, decoder, Arc::clone(&tags), Arc::clone(output))
            .map_err(|source| DecodeError::Build { decoder, source })?;
        let started = Self { codec, decoder, elements, source, tags, pushed: 0 };
        started
            .elements
            .set_state(gst::State::Playing)
            .map_err(|source| DecodeError::Start { decoder, source })?;
        tracing::info!(decoder, "decoding");
        Ok(started)
    }

    fn push(&mut self, frame: Frame) -> Result<(), DecodeError> {
        // A time of our own that only grows: decoders distrust times that jump, and RTP's do at
        // each new source.
        let time = APART * self.pushed;
        self.pushed += 1;
        let tag = Tag {
            timestamp: frame.timestamp,
            show_at: Duration::from_nanos(frame.show_at),
            catch_up: frame.catch_up,
        };
        {
            let mut tags = lock(&self.tags);
            if frame.keyframe && tags.values().filter(|tag| tag.catch_up).count() > NEARLY_DONE {
                tags.clear();
            }
            tags.insert(time, tag);
        }
        let mut buffer = gst::Buffer::from_slice(frame.data);
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(time);
            buffer.set_dts(time);
            if !frame.keyframe {
                buffer.set_flags(gst::BufferFlags::DELTA_UNIT);
            }
        }
        self.source.push_buffer(buffer).map(|_| ()).map_err(DecodeError::Push)
    }

    /// Whether an element has failed since the last look.
    fn check(&self) -> Result<(), DecodeError> {
        let bus = self.elements.bus();
        while let Some(message) = bus.as_ref().and_then(gst::Bus::pop) {
            if let gst::MessageView::Error(error) = message.view() {
                return Err(DecodeError::Stream(error.error()));
            }
        }
        Ok(())
    }

    /// Waits until every frame that was handed in has come out.
    fn drain(&self) {
        if self.source.end_of_stream().is_ok()
            && let Some(bus) = self.elements.bus()
        {
            let ends = [gst::MessageType::Eos, gst::MessageType::Error];
            bus.timed_pop_filtered(DRAIN_WITHIN, &ends);
        }
    }

    fn is_hardware(&self) -> bool {
        H264_HARDWARE.contains(&self.decoder)
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        // Stopping cannot fail in a way that anything could be done about.
        let _ = self.elements.set_state(gst::State::Null);
    }
}

fn best_decoder(codec: Codec, software: bool) -> Result<&'static str, DecodeError> {
    let (hardware, others): (&[&str], &[&str]) = match codec {
        Codec::H264 => (&H264_HARDWARE, &H264_SOFTWARE),
        Codec::Vp8 => (&[], &VP8),
        Codec::Opus => return Err(DecodeError::NotVideo(codec)),
    };
    let hardware = hardware.iter().filter(|_| !software);
    hardware
        .chain(others)
        .find(|name| gst::ElementFactory::find(name).is_some())
        .copied()
        .ok_or(DecodeError::NoDecoder(codec))
}

fn build(
    codec: Codec,
    decoder: &str,
    tags: Tags,
    output: Output,
) -> Result<(gst::Pipeline, AppSrc), gst::glib::BoolError> {
    let source = AppSrc::builder()
        .caps(&caps(codec))
        .format(gst::Format::Time)
        .max_bytes(QUEUED_BYTES)
        .block(true)
        .build();
    leave_out_untagged(&source, Arc::clone(&tags));
    let mut elements = vec![source.clone().upcast()];
    if decoder != "avdec_h264" && codec == Codec::H264 {
        // Others want to be told size and profile beforehand.
        elements.push(gst::ElementFactory::make("h264parse").build()?);
    }
    let decoder = gst::ElementFactory::make(decoder).build()?;
    tune(&decoder);
    let sink = AppSink::builder()
        // Pictures in plain memory, whatever the decoder would prefer.
        .caps(&gst::Caps::builder("video/x-raw").build())
        .sync(false)
        .build();
    sink.set_enable_last_sample(false);
    sink.set_callbacks(callbacks(tags, output));
    take_pictures_as_they_are(&sink);

    elements.extend([decoder, sink.upcast::<gst::Element>()]);
    let pipeline = gst::Pipeline::new();
    pipeline.add_many(&elements)?;
    gst::Element::link_many(&elements)?;
    Ok((pipeline, source))
}

fn caps(codec: Codec) -> gst::Caps {
    match codec {
        // Each buffer is a whole access unit, so that nothing need wait for the next one.
        Codec::H264 => gst::Caps::builder("video/x-h264")
            .field("stream-format", "byte-stream")
            .field("alignment", "au")
            .build(),
        Codec::Vp8 | Codec::Opus => gst::Caps::builder("video/x-vp8").build(),
    }
}

/// Takes the frames whose tags are gone out of what waits in `source`.
fn leave_out_untagged(source: &AppSrc, tags: Tags) {
    let Some(pad) = source.static_pad("src") else { return };
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let time = info.buffer().and_then(|buffer| buffer.pts());
        if time.is_none_or(|time| lock(&tags).contains_key(&time)) {
            gst::PadProbeReturn::Ok
        } else {
            gst::PadProbeReturn::Drop
        }
    });
}

/// Sets what the decoder at hand knows of these.
fn tune(decoder: &gst::Element) {
    for (property, value) in [
        // Frames in parallel would each be a frame late.
        ("thread-type", "slice"),
        ("output-corrupt", "false"),
        // A damaged frame is not the end: the next keyframe heals.
        ("max-errors", "-1"),
        // Nothing is thrown away for being late; the sink shows what it can.
        ("qos", "false"),
    ] {
        if decoder.has_property(property) {
            decoder.set_property_from_str(property, value);
        }
    }
}

fn callbacks(tags: Tags, output: Output) -> AppSinkCallbacks {
    let mut known: Option<(gst::Caps, VideoInfo)> = None;
    AppSinkCallbacks::builder()
        .new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            if let Some(picture) = picture(&sample, &mut known, &tags) {
                output(picture);
            }
            Ok(gst::FlowSuccess::Ok)
        })
        .build()
}

/// Says that rows may lie apart in memory, as decoders like them. Otherwise they would copy each
/// picture to bring its rows together.
fn take_pictures_as_they_are(sink: &AppSink) {
    let Some(pad) = sink.static_pad("sink") else { return };
    pad.add_probe(gst::PadProbeType::QUERY_DOWNSTREAM, |_, info| {
        if let Some(gst::QueryViewMut::Allocation(allocation)) =
            info.query_mut().map(gst::QueryRef::view_mut)
        {
            allocation.add_allocation_meta::<VideoMeta>(None);
            return gst::PadProbeReturn::Handled;
        }
        gst::PadProbeReturn::Ok
    });
}

/// The picture in `sample`, unless it is one that is only decoded for those after it.
fn picture(
    sample: &gst::Sample,
    known: &mut Option<(gst::Caps, VideoInfo)>,
    tags: &Tags,
) -> Option<Picture> {
    let buffer = sample.buffer_owned()?;
    let tag = {
        let time = buffer.pts()?;
        let mut tags = lock(tags);
        let later = tags.split_off(&(time + gst::ClockTime::from_nseconds(1)));
        // The newest at or before this time; older ones never came out.
        std::mem::replace(&mut *tags, later).pop_last()?.1
    };
    let caps = sample.caps()?;
    let info = match known {
        Some((of, info)) if of.as_ref() == caps => info.clone(),
        _ => known.insert((caps.to_owned(), VideoInfo::from_caps(caps).ok()?)).1.clone(),
    };
    let Tag { timestamp, show_at, catch_up } = tag;
    (!catch_up).then_some(Picture { buffer, info, timestamp, show_at })
}

fn lock(tags: &Tags) -> std::sync::MutexGuard<'_, BTreeMap<gst::ClockTime, Tag>> {
    tags.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const FRAMES: usize = 16;
    const WITHIN: Duration = Duration::from_secs(10);

    /// A keyframe and what follows it, encoded.
    fn encoded() -> Vec<Frame> {
        let encoder = format!(
            "videotestsrc num-buffers={FRAMES} pattern=ball ! video/x-raw,width=64,height=64 \
             ! vp8enc deadline=1 ! appsink name=out sync=false"
        );
        let pipeline = gst::parse::launch(&encoder).unwrap().downcast::<gst::Pipeline>().unwrap();
        let out = pipeline.by_name("out").unwrap().downcast::<AppSink>().unwrap();
        pipeline.set_state(gst::State::Playing).unwrap();
        let frame = |n: usize| {
            let sample = out.pull_sample().unwrap();
            let data = sample.buffer().unwrap().map_readable().unwrap().to_vec();
            let timestamp = n as u64;
            Frame {
                codec: Codec::Vp8,
                keyframe: n == 0,
                catch_up: false,
                timestamp,
                show_at: 0,
                data: data.into(),
            }
        };
        let frames = (0..FRAMES).map(frame).collect();
        pipeline.set_state(gst::State::Null).unwrap();
        frames
    }

    /// The times of the pictures that come out when all frames wait behind the first.
    fn shown(mut frames: Vec<Frame>) -> Vec<u64> {
        let last = frames.last().unwrap().timestamp;
        let first = frames.remove(0);
        let (pictures, out) = mpsc::sync_channel(2 * FRAMES);
        let (go_on, gate) = mpsc::sync_channel::<()>(1);
        let gate = Mutex::new(gate);
        let mut decoder = Decoder::new(move |picture: Picture| {
            pictures.send(picture.timestamp).unwrap();
            // The decoder's thread stands still while the rest is handed in.
            let _ = gate.lock().unwrap().recv();
        });
        decoder.push(first);
        let mut shown = vec![out.recv_timeout(WITHIN).unwrap()];
        for frame in frames {
            decoder.push(frame);
        }
        drop(go_on);
        while shown.last() != Some(&last) {
            shown.push(out.recv_timeout(WITHIN).unwrap());
        }
        shown
    }

    #[test]
    fn a_keyframe_ends_catching_up() {
        gst::init().unwrap();
        let mut frames = encoded();
        // Twice more from the keyframe on.
        for timestamp in [16, 17, 18, 19] {
            let frame = frames[timestamp % 2].clone();
            frames.push(Frame { timestamp: timestamp as u64, ..frame });
        }
        let catching_up = |count| {
            let mut frames = frames.clone();
            frames[1..=count].iter_mut().for_each(|frame| frame.catch_up = true);
            frames
        };
        let from = |first| std::iter::once(0).chain(first..20).collect::<Vec<u64>>();
        assert_eq!(shown(catching_up(0)), from(1), "nobody catches up");
        let without_keyframe = catching_up(NEARLY_DONE + 1)[..16].to_vec();
        assert_eq!(shown(without_keyframe), from(10)[..7]);
        assert_eq!(shown(catching_up(NEARLY_DONE)), from(9), "nearly done");
        assert_eq!(shown(catching_up(NEARLY_DONE + 1)), from(16), "the second one drops nothing");
    }
}
