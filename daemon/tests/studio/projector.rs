//! Plays what was recorded, by GStreamer, as any other player would.

use std::{path::Path, time::Duration};

use gstreamer::{self as gst, prelude::*};
use gstreamer_app::AppSink;

/// What came out of a decoder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    /// Pictures, or blocks of sound.
    pub(crate) count: u64,
    /// When the first and the last of them are to be shown.
    pub(crate) first: Duration,
    pub(crate) last: Duration,
    pub(crate) width: i32,
}

/// Decodes a file to its end. Panics where any part of it cannot be decoded.
pub(crate) fn play(path: &Path) -> Shown {
    let text =
        format!("filesrc location={} ! decodebin ! appsink name=sink sync=false", path.display());
    let pipeline = start(&text);
    let shown = drain(&pipeline, "sink");
    finish(&pipeline, path);
    shown
}

/// Decodes picture and sound of one file to their ends.
pub(crate) fn play_both(path: &Path) -> (Shown, Shown) {
    let text = format!(
        "filesrc location={} ! decodebin name=both both. ! video/x-raw ! appsink name=sink sync=false \
         both. ! audio/x-raw ! appsink name=sound sync=false",
        path.display()
    );
    let pipeline = start(&text);
    let both = (drain(&pipeline, "sink"), drain(&pipeline, "sound"));
    finish(&pipeline, path);
    both
}

fn start(text: &str) -> gst::Pipeline {
    gst::init().unwrap();
    let pipeline = gst::parse::launch(text).unwrap().downcast::<gst::Pipeline>().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    pipeline
}

/// Takes everything until the end, or until the pipeline gives up.
fn drain(pipeline: &gst::Pipeline, sink: &str) -> Shown {
    let sink = pipeline.by_name(sink).unwrap().downcast::<AppSink>().unwrap();
    let mut shown = Shown::default();
    while let Ok(sample) = sink.pull_sample() {
        let at = sample.buffer().and_then(gst::BufferRef::pts).unwrap_or_default();
        shown.last = Duration::from_nanos(at.nseconds());
        if shown.count == 0 {
            shown.first = shown.last;
            let caps = sample.caps().and_then(|caps| caps.structure(0));
            shown.width = caps.and_then(|caps| caps.get("width").ok()).unwrap_or_default();
        }
        shown.count += 1;
    }
    shown
}

fn finish(pipeline: &gst::Pipeline, path: &Path) {
    let error = pipeline.bus().unwrap().pop_filtered(&[gst::MessageType::Error]);
    pipeline.set_state(gst::State::Null).unwrap();
    assert!(error.is_none(), "{}: {error:?}", path.display());
}
