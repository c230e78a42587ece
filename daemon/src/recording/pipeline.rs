//! One file out of many: the only place in recording where GStreamer is used, and its types stay
//! here.
//!
//! ```text
//!   video parts ─▶ appsrc ───────────────────────────────┐
//!                                                        ├─▶ mp4mux or webmmux ─▶ file
//!   sound parts ─▶ appsrc ─▶ (alone)  ───────────────────┤
//!                  appsrc ─▶ decode ─▶ mixer ─▶ opusenc ─┘ (two: most players play one sound)
//! ```
//!
//! Pictures are not encoded again, but for [`convert`]. Where their format changes, the parameter
//! sets travel in the stream (`avc3`; VP8 says its size in every keyframe anyway): Chromium, VLC,
//! `ffmpeg` and GStreamer all play such a file, one after the other in its own size.
//! Each input is fed by a thread of its own, so that the muxer's waiting for one of them holds up
//! nothing but this join; GStreamer's own threads wait for nobody.

mod convert;
mod feed;

use std::{fmt::Write, path::Path, thread, time::Duration};

use gstreamer::{self as gst, prelude::*};
use gstreamer_app::AppSrc;
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use self::feed::feed;
use super::{container::Torn, export::Plan};

/// How often to look whether anybody still wants the file.
const LOOK: Duration = Duration::from_millis(200);

#[derive(Debug, Error)]
pub enum JoinError {
    #[error("GStreamer cannot be used: {0}")]
    Unusable(String),
    #[error("GStreamer cannot join the files: {0}")]
    Failed(String),
    #[error("cannot read {path}")]
    Read {
        path: String,
        #[source]
        source: Torn,
    },
    #[error("a thread of the join died")]
    Died,
    #[error("nobody wants the file any more")]
    Unwanted,
}

/// Writes everything in `plan` into the file at `target`. Blocks until it is done, as long as
/// reading and writing it all takes; ends early when `stop` is cancelled.
pub(super) fn join(plan: &Plan, target: &Path, stop: &CancellationToken) -> Result<(), JoinError> {
    let pipeline = launch(&describe(plan))?;
    named::<gst::Element>(&pipeline, "file")?
        .set_property("location", target.to_string_lossy().as_ref());
    let joined = run(&pipeline, plan, stop);
    // Ends the feeders too, by refusing what they push.
    let _ = pipeline.set_state(gst::State::Null);
    joined
}

fn run(pipeline: &gst::Pipeline, plan: &Plan, stop: &CancellationToken) -> Result<(), JoinError> {
    let failed = |error: gst::StateChangeError| JoinError::Failed(error.to_string());
    thread::scope(|threads| {
        let mut feeders = Vec::new();
        for (name, parts) in plan.inputs() {
            let source = named::<AppSrc>(pipeline, &name)?;
            feed::prepare(&source, parts)?;
            feeders.push(threads.spawn(move || feed(&source, parts, stop)));
        }
        let ended = pipeline
            .set_state(gst::State::Playing)
            .map_err(failed)
            .and_then(|_| wait(pipeline, stop));
        let _ = pipeline.set_state(gst::State::Null);
        let mut fed = feeders.into_iter().map(thread::ScopedJoinHandle::join);
        let fed = fed.try_for_each(|fed| fed.unwrap_or(Err(JoinError::Died)));
        // What a feeder could not read explains whatever the pipeline says of it.
        fed.and(ended)
    })
}

fn wait(pipeline: &gst::Pipeline, stop: &CancellationToken) -> Result<(), JoinError> {
    let bus = pipeline.bus().ok_or_else(|| JoinError::Unusable("no bus".to_owned()))?;
    let look = gst::ClockTime::from_mseconds(u64::try_from(LOOK.as_millis()).unwrap_or(200));
    loop {
        if stop.is_cancelled() {
            return Err(JoinError::Unwanted);
        }
        let wanted = [gst::MessageType::Eos, gst::MessageType::Error];
        let Some(message) = bus.timed_pop_filtered(look, &wanted) else { continue };
        return match message.view() {
            gst::MessageView::Error(error) => Err(JoinError::Failed(error.error().to_string())),
            _ => Ok(()),
        };
    }
}

fn describe(plan: &Plan) -> String {
    const SOURCE: &str = "appsrc format=time block=true max-bytes=4194304";
    let muxer = if plan.is_webm() { "webmmux" } else { "mp4mux" };
    let mut text = format!("{muxer} name=mux ! filesink name=file");
    if plan.sounds.len() > 1 {
        text += " audiomixer name=mix discont-wait=0 ! audio/x-raw,rate=48000,channels=2 \
                 ! audioconvert ! opusenc bitrate=128000 ! mux.audio_0";
    }
    let into = if plan.sounds.len() > 1 {
        "opusdec ! audioconvert ! audioresample ! audio/x-raw,rate=48000,channels=2 ! mix."
    } else {
        "mux.audio_0"
    };
    for (name, parts) in plan.inputs() {
        let is_video = parts.iter().any(|part| part.size.is_some());
        let to = if is_video { "mux.video_0" } else { into };
        // Writing to a String cannot fail.
        let _ = write!(text, " {SOURCE} name={name} ! {to}");
    }
    text
}

fn launch(description: &str) -> Result<gst::Pipeline, JoinError> {
    let unusable = |error: gst::glib::Error| JoinError::Unusable(error.to_string());
    gst::init().map_err(unusable)?;
    let pipeline = gst::parse::launch(description).map_err(unusable)?;
    pipeline.downcast().map_err(|_| JoinError::Unusable("no pipeline".to_owned()))
}

fn named<T: IsA<gst::Object>>(pipeline: &gst::Pipeline, name: &str) -> Result<T, JoinError> {
    pipeline
        .by_name(name)
        .and_then(|element| element.dynamic_cast::<T>().ok())
        .ok_or_else(|| JoinError::Unusable(format!("no element {name}")))
}
