//! One keyframe in, one JPEG out.

use alfarid_stream::Codec;
use bytes::Bytes;
use gstreamer::{self as gst, prelude::*};
use gstreamer_app::{AppSink, AppSrc};

use super::{PipelineError, Running, first_installed};

/// As wide and as high as a page shows it on an ordinary screen, in pixels: the letters of a shared
/// screen can be read. What is smaller stays as it is.
const SIDE: u32 = 960;

/// Of JPEG, out of 100. Below 80 the edges of letters fray; above 90 it only grows.
const QUALITY: u32 = 85;

/// What JPEG is read as (JFIF): the whole range, by the matrix of BT.601. Videos keep to a part of
/// the range, and shown as they are, white is a light grey.
const COLOUR: &str = "format=I420,colorimetry=1:4:0:0";

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
    // On one thread it takes as long as it costs, which is what its caller counts.
    let threads = if decoder.starts_with("avdec_") { "max-threads=1" } else { "" };
    let pipeline = Running::parse(&format!(
        "appsrc name=in format=time caps={caps} ! {parse} {decoder} {threads} \
         ! videoscale add-borders=false \
         ! video/x-raw,width=[1,{SIDE}],height=[1,{SIDE}],pixel-aspect-ratio=1/1 \
         ! videoconvert ! video/x-raw,{COLOUR} ! jpegenc quality={QUALITY} \
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The first frame of a white screen of this size.
    fn keyframe(width: u32, height: u32) -> Bytes {
        gst::init().unwrap();
        let pipeline = Running::parse(&format!(
            "videotestsrc num-buffers=1 pattern=white \
             ! video/x-raw,format=I420,width={width},height={height},colorimetry=bt709 \
             ! x264enc tune=zerolatency ! video/x-h264,stream-format=byte-stream,alignment=au \
             ! appsink name=out sync=false"
        ))
        .unwrap();
        first_of(&pipeline)
    }

    fn first_of(pipeline: &Running) -> Bytes {
        let output: AppSink = pipeline.part("out").unwrap();
        pipeline.0.set_state(gst::State::Playing).unwrap();
        let sample = output.try_pull_sample(PATIENCE).unwrap();
        Bytes::copy_from_slice(&sample.buffer().unwrap().map_readable().unwrap())
    }

    /// Red, green and blue of every pixel.
    fn colours(jpeg: Bytes) -> Bytes {
        let pipeline = Running::parse(
            "appsrc name=in caps=image/jpeg ! jpegdec ! videoconvert ! video/x-raw,format=RGB \
             ! appsink name=out sync=false",
        )
        .unwrap();
        let input: AppSrc = pipeline.part("in").unwrap();
        input.push_buffer(gst::Buffer::from_slice(jpeg)).unwrap();
        input.end_of_stream().unwrap();
        first_of(&pipeline)
    }

    /// Width and height, from the head of a frame: ITU T.81, B.2.2.
    fn size(jpeg: &[u8]) -> (u16, u16) {
        let start = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
        let word = |at: usize| u16::from_be_bytes([jpeg[start + at], jpeg[start + at + 1]]);
        (word(7), word(5))
    }

    #[test]
    fn a_large_screen_becomes_as_large_as_a_page_shows_it() {
        for ((width, height), shown) in
            [((1920, 1080), (960, 540)), ((1280, 1024), (960, 768)), ((1080, 1920), (540, 960))]
        {
            assert_eq!(size(&jpeg(Codec::H264, keyframe(width, height)).unwrap()), shown);
        }
    }

    #[test]
    fn white_is_white() {
        let colours = colours(jpeg(Codec::H264, keyframe(320, 240)).unwrap());
        assert!(colours.iter().all(|&value| value > 250), "as dark as {:?}", colours.iter().min());
    }

    #[test]
    fn a_small_one_stays_as_it_is() {
        assert_eq!(size(&jpeg(Codec::H264, keyframe(640, 360)).unwrap()), (640, 360));
    }
}
