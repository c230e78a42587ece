//! Reads a recorded file as a player would, picture by picture.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, bail};
use gstreamer::{self as gst, prelude::*};
use gstreamer_app::AppSink;

use crate::{marker, trace};

/// A picture of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Played {
    pub at: Duration,
    /// The counter of the shared screen, where it could be read.
    pub counter: Option<u32>,
}

/// Decodes the video of `path` to its end. Blocking; a torn tail ends it like an end.
pub fn play(path: &Path) -> Result<Vec<Played>> {
    gst::init()?;
    let launch = format!(
        "filesrc name=file ! decodebin ! videoconvert ! videoscale ! \
         video/x-raw,format=GRAY8,width={},height={},pixel-aspect-ratio=1/1 ! \
         appsink name=pictures sync=false max-buffers=8",
        trace::WIDTH,
        trace::HEIGHT
    );
    let pipeline = gst::parse::launch(&launch)?;
    let pipeline =
        pipeline.downcast::<gst::Pipeline>().map_err(|_| anyhow::anyhow!("no pipeline"))?;
    let file = pipeline.by_name("file").context("the file source")?;
    file.set_property("location", path.to_str().context("a path in UTF-8")?);
    let pictures = pipeline.by_name("pictures").context("the picture sink")?;
    let pictures = pictures.downcast::<AppSink>().map_err(|_| anyhow::anyhow!("no sink"))?;
    pipeline.set_state(gst::State::Playing)?;
    let played = pull(&pictures);
    pipeline.set_state(gst::State::Null)?;
    if played.is_empty() {
        bail!("{} does not play", path.display());
    }
    Ok(played)
}

fn pull(pictures: &AppSink) -> Vec<Played> {
    let mut played = Vec::new();
    while let Ok(sample) = pictures.pull_sample() {
        let Some(buffer) = sample.buffer() else { continue };
        let Ok(picture) = buffer.map_readable() else { continue };
        let at = buffer.pts().map_or(Duration::ZERO, |pts| Duration::from_nanos(pts.nseconds()));
        played.push(Played { at, counter: marker::read(&picture, trace::WIDTH, trace::HEIGHT) });
    }
    played
}
