//! Pictures with the counter of [`marker`], encoded: a video for the box to put on air, of which each
//! frame that a machine shows can be told, and single pictures.

use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use gstreamer::{self as gst, prelude::*};
use gstreamer_app::{AppSink, AppSrc};

use crate::marker;

/// Small, so that several players and encoders fit into two cores.
pub const WIDTH: usize = 640;
pub const HEIGHT: usize = 360;
pub const FPS: u32 = 30;

/// The rows that the counter's squares take.
const SQUARES: usize = HEIGHT * 2 / 15;
/// Side of the noise's squares: finer ones cost bits that no lesson has.
const GRAIN: usize = 8;
const PATIENCE: gst::ClockTime = gst::ClockTime::from_seconds(10);

/// Writes a video of so many seconds, its pictures counted from 0, with ticks for sound. Below the
/// counter each picture is another noise: an almost still one would be an almost empty stream.
/// Blocking.
pub fn write(path: &Path, seconds: u32) -> Result<()> {
    let launch = format!(
        "{} ! x264enc tune=zerolatency speed-preset=ultrafast bitrate=6000 key-int-max={FPS} \
         ! h264parse ! mux. \
         audiotestsrc wave=ticks volume=0.1 samplesperbuffer=960 num-buffers={} \
         ! audio/x-raw,rate=48000 ! audioconvert ! opusenc ! mux. \
         matroskamux name=mux ! filesink name=file",
        pictures(),
        seconds * 50,
    );
    let pipeline = parse(&launch)?;
    let file = pipeline.by_name("file").context("the file's sink")?;
    file.set_property("location", path.to_str().context("a path in UTF-8")?);
    let source = source(&pipeline)?;
    pipeline.set_state(gst::State::Playing)?;
    let noise = noise();
    for counter in 0..seconds * FPS {
        push(&source, counter, picture(counter, &noise))?;
    }
    source.end_of_stream()?;
    let bus = pipeline.bus().context("a bus")?;
    let kinds = [gst::MessageType::Eos, gst::MessageType::Error];
    let end = bus.timed_pop_filtered(PATIENCE * 6, &kinds).context("the video has no end")?;
    pipeline.set_state(gst::State::Null)?;
    ensure!(end.type_() == gst::MessageType::Eos, "cannot write the video: {end:?}");
    Ok(())
}

/// One picture that shows this counter and nothing else, as the NAL units of a keyframe: each fits a
/// packet.
pub fn keyframe(counter: u32) -> Result<Vec<Vec<u8>>> {
    let launch = format!(
        "{} ! x264enc tune=zerolatency threads=1 pass=quant quantizer=38 \
         ! video/x-h264,profile=constrained-baseline,stream-format=byte-stream \
         ! appsink name=out sync=false",
        pictures(),
    );
    let pipeline = parse(&launch)?;
    let out = pipeline.by_name("out").context("the sink")?;
    let out = out.downcast::<AppSink>().map_err(|_| anyhow!("no sink"))?;
    let source = source(&pipeline)?;
    pipeline.set_state(gst::State::Playing)?;
    push(&source, 0, marker::draw(counter, WIDTH, HEIGHT))?;
    source.end_of_stream()?;
    let sample = out.try_pull_sample(PATIENCE).context("an encoded picture")?;
    let buffer = sample.buffer().context("its bytes")?.map_readable()?.to_vec();
    pipeline.set_state(gst::State::Null)?;
    let units = units(&buffer);
    let longest = units.iter().map(Vec::len).max().unwrap_or_default();
    ensure!((1..=1_300).contains(&longest), "a NAL unit of {longest} bytes");
    Ok(units)
}

fn pictures() -> String {
    format!(
        "appsrc name=pictures format=time block=true max-bytes=4000000 \
         caps=video/x-raw,format=GRAY8,width={WIDTH},height={HEIGHT},framerate={FPS}/1 \
         ! videoconvert ! video/x-raw,format=I420"
    )
}

fn parse(launch: &str) -> Result<gst::Pipeline> {
    gst::init()?;
    let pipeline = gst::parse::launch(launch)?;
    pipeline.downcast::<gst::Pipeline>().map_err(|_| anyhow!("no pipeline"))
}

fn source(pipeline: &gst::Pipeline) -> Result<AppSrc> {
    let source = pipeline.by_name("pictures").context("the source")?;
    source.downcast::<AppSrc>().map_err(|_| anyhow!("no source"))
}

fn push(source: &AppSrc, number: u32, grey: Vec<u8>) -> Result<()> {
    let mut buffer = gst::Buffer::from_mut_slice(grey);
    let at = |number: u32| gst::ClockTime::SECOND * u64::from(number) / u64::from(FPS);
    let fresh = buffer.get_mut().context("a buffer of our own")?;
    fresh.set_pts(at(number));
    fresh.set_duration(at(number + 1) - at(number));
    source.push_buffer(buffer)?;
    Ok(())
}

fn picture(counter: u32, noise: &[u8]) -> Vec<u8> {
    let mut grey = marker::draw(counter, WIDTH, HEIGHT);
    let below = &mut grey[SQUARES * WIDTH..];
    let spare = (noise.len() - below.len()) / (GRAIN * WIDTH);
    // Neighbours have little in common.
    let from = (usize::try_from(counter).unwrap_or(0) * 37 % spare) * GRAIN * WIDTH;
    below.copy_from_slice(&noise[from..from + below.len()]);
    grey
}

/// Four pictures high.
fn noise() -> Vec<u8> {
    let mut seed = 9_u32;
    let mut square = || {
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        64 + seed.to_le_bytes()[1] / 2
    };
    let mut noise = Vec::with_capacity(4 * WIDTH * HEIGHT);
    for _ in 0..4 * HEIGHT / GRAIN {
        let row: Vec<u8> =
            (0..WIDTH / GRAIN).flat_map(|_| std::iter::repeat_n(square(), GRAIN)).collect();
        (0..GRAIN).for_each(|_| noise.extend_from_slice(&row));
    }
    noise
}

/// The NAL units between start codes (H.264 annex B).
fn units(stream: &[u8]) -> Vec<Vec<u8>> {
    let starts: Vec<usize> =
        (0..stream.len()).filter(|at| stream[*at..].starts_with(&[0, 0, 1])).collect();
    let ends = starts.iter().skip(1).copied().chain([stream.len()]);
    let unit = |(start, end): (&usize, usize)| {
        let unit = &stream[start + 3..end];
        // A start code of four bytes leaves a zero, which no NAL unit ends with.
        let length = unit.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        unit[..length].to_vec()
    };
    starts.iter().zip(ends).map(unit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::playback;

    #[test]
    fn a_video_shows_its_counter_in_every_picture() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("film.mkv");
        write(&path, 1).unwrap();

        let played = playback::play(&path).unwrap();

        let counters: Vec<_> = played.iter().map(|picture| picture.counter).collect();
        assert_eq!(counters, (0..FPS).map(Some).collect::<Vec<_>>());
    }

    #[test]
    fn a_keyframe_has_its_parameter_sets_with_it() {
        let units = keyframe(0x80_0000).unwrap();
        let kinds: Vec<_> = units.iter().map(|unit| unit[0] & 0x1f).collect();
        assert!(kinds.contains(&7) && kinds.contains(&8) && kinds.contains(&5), "{kinds:?}");
    }
}
