//! VP8 made into H.264, for a lesson whose teacher changed from one browser to another: no file
//! that plays everywhere holds both.
//!
//! The only place where a recording is encoded again, and only in the copy that is taken away.

use std::thread;

use bytes::Bytes;
use gstreamer::{self as gst, prelude::*};
use gstreamer_app::{AppSink, AppSrc};
use tokio_util::sync::CancellationToken;

use super::{
    JoinError,
    feed::{self, Timed},
    launch, named,
};
use crate::recording::{export::Part, media};

/// Slides must stay readable, and the box has lessons to serve meanwhile.
const CONVERSION: &str = "appsrc name=in format=time block=true max-bytes=4194304 ! vp8dec \
    ! videoconvert ! x264enc pass=quant quantizer=23 speed-preset=superfast bframes=0 threads=1 \
    ! video/x-h264,stream-format=byte-stream,alignment=au \
    ! appsink name=out sync=false max-buffers=8";

/// Gives the part's frames as H.264, with their parameter sets in the stream, until `take` wants
/// no more.
pub(super) fn frames(
    part: &Part,
    stop: &CancellationToken,
    take: impl FnMut(Timed) -> bool,
) -> Result<(), JoinError> {
    let pipeline = launch(CONVERSION)?;
    let (into, out) = (named::<AppSrc>(&pipeline, "in")?, named::<AppSink>(&pipeline, "out")?);
    into.set_caps(Some(&feed::picture("video/x-vp8", part)));
    let started = pipeline.set_state(gst::State::Playing);
    started.map_err(|error| JoinError::Failed(error.to_string()))?;
    thread::scope(|threads| {
        let reading = threads.spawn(move || {
            let read = feed::frames(part, stop, |frame| into.push_buffer(frame.into()).is_ok());
            // Refused where the pipeline has ended already.
            let _ = into.end_of_stream();
            read
        });
        let converted = pull(&out, take);
        // Ends the reading, if nobody took all of it.
        let _ = pipeline.set_state(gst::State::Null);
        let read = reading.join().unwrap_or(Err(JoinError::Died));
        read.and(converted)
    })
}

fn pull(out: &AppSink, mut take: impl FnMut(Timed) -> bool) -> Result<(), JoinError> {
    while let Ok(sample) = out.pull_sample() {
        let unreadable = || JoinError::Failed("a converted frame cannot be read".to_owned());
        let buffer = sample.buffer().ok_or_else(unreadable)?;
        // Encoders count from anywhere; their segment says what it means.
        let segment = sample.segment().and_then(|segment| segment.downcast_ref::<gst::ClockTime>());
        let at = segment.and_then(|segment| segment.to_running_time(buffer.pts()));
        let bytes = buffer.map_readable().map_err(|_| unreadable())?;
        let bytes = Bytes::copy_from_slice(&bytes);
        let frame = Timed {
            at_us: at.map_or(0, gst::ClockTime::useconds),
            duration_us: buffer.duration().map_or(0, gst::ClockTime::useconds),
            keyframe: !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT),
            data: media::stored_with_sets(&bytes),
        };
        if !take(frame) {
            return Ok(());
        }
    }
    if out.is_eos() {
        Ok(())
    } else {
        Err(JoinError::Failed("the conversion broke off".to_owned()))
    }
}
