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
    try_play(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(crate) fn try_play(path: &Path) -> Result<Shown, String> {
    gst::init().unwrap();
    let text =
        format!("filesrc location={} ! decodebin ! appsink name=sink sync=false", path.display());
    let pipeline = gst::parse::launch(&text).unwrap().downcast::<gst::Pipeline>().unwrap();
    let sink = pipeline.by_name("sink").unwrap().downcast::<AppSink>().unwrap();
    pipeline.set_state(gst::State::Playing).map_err(|error| error.to_string())?;
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
    let error = pipeline.bus().unwrap().pop_filtered(&[gst::MessageType::Error]);
    pipeline.set_state(gst::State::Null).unwrap();
    match error {
        Some(error) => Err(format!("{error:?}")),
        None => Ok(shown),
    }
}
