//! Reads a recorded file as a player would, picture by picture.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, bail};
use gstreamer::{self as gst, prelude::*};
use gstreamer_app::AppSink;

use crate::{marker, trace};

/// A file that is broken in its head gives neither a picture nor an end.
const PATIENCE: gst::ClockTime = gst::ClockTime::from_seconds(10);

/// A picture of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Played {
    pub at: Duration,
    /// The counter of the shared screen, where it could be read.
    pub counter: Option<u32>,
}

/// Decodes the video of `path` to its end. Blocking; a torn tail ends it like an end.
pub fn play(path: &Path) -> Result<Vec<Played>> {
    let launch = format!(
        "filesrc name=file ! decodebin ! videoconvert ! videoscale ! \
         video/x-raw,format=GRAY8,width={},height={},pixel-aspect-ratio=1/1 ! \
         appsink name=pictures sync=false max-buffers=8",
        trace::WIDTH,
        trace::HEIGHT
    );
    let (pipeline, pictures) = open(path, &launch, "pictures")?;
    pipeline.set_state(gst::State::Playing)?;
    let played = pull(&pictures);
    pipeline.set_state(gst::State::Null)?;
    if played.is_empty() {
        bail!("{} does not play", path.display());
    }
    Ok(played)
}

/// Samples a second of what [`listen`] gives.
pub const SAMPLE_RATE: usize = 48_000;

/// Decodes the sound of `path` to its end, as one channel. Blocking.
pub fn listen(path: &Path) -> Result<Vec<f32>> {
    let launch = format!(
        "filesrc name=file ! decodebin ! audioconvert ! audioresample ! \
         audio/x-raw,format=F32LE,rate={SAMPLE_RATE},channels=1 ! \
         appsink name=samples sync=false max-buffers=8"
    );
    let (pipeline, samples) = open(path, &launch, "samples")?;
    pipeline.set_state(gst::State::Playing)?;
    let mut heard = Vec::new();
    while let Some(sample) = samples.try_pull_sample(PATIENCE) {
        let Some(buffer) = sample.buffer() else { continue };
        let Ok(bytes) = buffer.map_readable() else { continue };
        let four = |bytes: &[u8]| bytes.try_into().map(f32::from_le_bytes);
        heard.extend(bytes.chunks_exact(4).map_while(|bytes| four(bytes).ok()));
    }
    pipeline.set_state(gst::State::Null)?;
    if heard.is_empty() {
        bail!("{} does not sound", path.display());
    }
    Ok(heard)
}

/// A pipeline that reads `path` into the sink of this name.
fn open(path: &Path, launch: &str, sink: &str) -> Result<(gst::Pipeline, AppSink)> {
    gst::init()?;
    let pipeline = gst::parse::launch(launch)?;
    let pipeline =
        pipeline.downcast::<gst::Pipeline>().map_err(|_| anyhow::anyhow!("no pipeline"))?;
    let file = pipeline.by_name("file").context("the file source")?;
    file.set_property("location", path.to_str().context("a path in UTF-8")?);
    let sink = pipeline.by_name(sink).context("the sink")?;
    let sink = sink.downcast::<AppSink>().map_err(|_| anyhow::anyhow!("no sink"))?;
    Ok((pipeline, sink))
}

fn pull(pictures: &AppSink) -> Vec<Played> {
    let mut played = Vec::new();
    while let Some(sample) = pictures.try_pull_sample(PATIENCE) {
        let Some(buffer) = sample.buffer() else { continue };
        let Ok(picture) = buffer.map_readable() else { continue };
        let at = buffer.pts().map_or(Duration::ZERO, |pts| Duration::from_nanos(pts.nseconds()));
        played.push(Played { at, counter: marker::read(&picture, trace::WIDTH, trace::HEIGHT) });
    }
    played
}
