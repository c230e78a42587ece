//! One keyframe in, one JPEG out.

use alfarid_stream::Codec;
use bytes::Bytes;
use gstreamer::{self as gst, prelude::*};
use gstreamer_app::{AppSink, AppSrc};

use super::{PipelineError, Running, first_installed};

/// As wide as a page shows it, in pixels.
const WIDTH: u32 = 480;

/// A large screen takes a tenth of this on the slowest box.
const PATIENCE: gst::ClockTime = gst::ClockTime::from_seconds(3);

/// Decodes a keyframe (see [`Frame::data`](alfarid_stream::assemble::Frame)) and makes it small.
/// Blocking, for as long as a decoder takes. A pipeline lives for one picture: nothing that one
/// bad picture does to it can spoil the next.
pub(in crate::broadcast) fn jpeg(codec: Codec, keyframe: Bytes) -> Result<Bytes, PipelineError> {
    gst::init().map_err(PipelineError::Init)?;
    let (caps, parse, decoders, all): (_, _, &'static [&'static str], _) = match codec {
        Codec::H264 => (
            "video/x-h264,stream-format=byte-stream,alignment=au",
            "h264parse !",
            &["avdec_h264", "openh264dec", "v4l2h264dec"],
            "avdec_h264, openh264dec, v4l2h264dec",
        ),
        Codec::Vp8 => ("video/x-vp8", "", &["vp8dec", "avdec_vp8"], "vp8dec, avdec_vp8"),
        Codec::Opus => return Err(PipelineError::Undecodable),
    };
    let decoder = first_installed(decoders, all)?;
    let pipeline = Running::parse(&format!(
        "appsrc name=in format=time caps={caps} ! {parse} {decoder} ! videoscale add-borders=false \
         ! video/x-raw,width={WIDTH},pixel-aspect-ratio=1/1 ! videoconvert ! jpegenc quality=75 \
         ! appsink name=out sync=false max-buffers=1"
    ))?;
    let (input, output): (AppSrc, AppSink) = (pipeline.part("in")?, pipeline.part("out")?);
    pipeline.0.set_state(gst::State::Playing)?;
    let mut buffer = gst::Buffer::from_slice(keyframe);
    if let Some(buffer) = buffer.get_mut() {
        buffer.set_pts(gst::ClockTime::ZERO);
    }
    let pushed = input.push_buffer(buffer).and_then(|_| input.end_of_stream());
    pushed.map_err(|_| PipelineError::Undecodable)?;
    let sample = output.try_pull_sample(PATIENCE).ok_or(PipelineError::Undecodable)?;
    let buffer = sample.buffer().ok_or(PipelineError::Undecodable)?;
    let picture = buffer.map_readable().map_err(|_| PipelineError::Undecodable)?;
    Ok(Bytes::copy_from_slice(&picture))
}
