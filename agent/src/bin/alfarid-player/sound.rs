//! Sound: Opus packets in, samples to the machine's sound device.
//!
//! ```text
//!   appsrc ─▶ opusdec ─▶ audioconvert ─▶ audioresample ─▶ appsink ─▶ ring ─▶ Speaker ─▶ cpal
//! ```
//!
//! The decoder's thread writes into a bounded ring and never waits: what finds no room is dropped.
//! The device's thread reads from it and never waits either: what is missing is silence. Without a
//! device the lesson goes on in silence; that is said once in the log and tried again later.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use alfarid_agent::{clock, feed::Frame};
use cpal::{
    BufferSize, FromSample, SampleFormat, SizedSample, StreamConfig, SupportedBufferSize,
    SupportedStreamConfig,
    traits::{DeviceTrait, HostTrait, StreamTrait},
};
use gstreamer::{self as gst, prelude::*};
use gstreamer_app::{AppSink, AppSinkCallbacks, AppSrc};
use rtrb::{Consumer, Producer, RingBuffer};
use thiserror::Error;

/// Samples of one moment: left and right.
const STEREO: usize = 2;

/// Sound begins when this much is there, so that a late packet makes no gap.
const BEGIN_AT: Duration = Duration::from_millis(60);

/// Sound that lies further behind is skipped down to [`BEGIN_AT`].
const BEHIND_AT_MOST: Duration = Duration::from_millis(200);

/// Room in the ring.
const ROOM: Duration = Duration::from_millis(300);

/// Encoded sound inside the pipeline: seconds of it. Decoding takes microseconds, so it is never
/// full; if it were, the newest packet would be dropped.
const QUEUED_BYTES: u64 = 64 * 1024;

/// How much the device takes at one go. Left to themselves, some take a single sample.
const AT_ONE_GO: Duration = Duration::from_millis(20);

/// When a device is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(30);

#[derive(Debug, Error)]
enum SoundError {
    #[error("this machine has no sound device")]
    NoDevice,
    #[error("ask the sound device what it can")]
    Config(#[source] cpal::Error),
    #[error("the sound device takes samples as {0} only")]
    Format(SampleFormat),
    #[error("open the sound device")]
    Open(#[source] cpal::Error),
    #[error("build the sound decoder")]
    Build(#[source] gst::glib::BoolError),
    #[error("start the sound decoder")]
    Start(#[source] gst::StateChangeError),
}

/// The loudspeaker's end of the player.
#[derive(Default)]
pub(crate) struct Sound {
    output: Option<Output>,
    try_at: Duration,
    complained: bool,
}

impl Sound {
    /// Plays one Opus packet, if there is a device.
    pub(crate) fn push(&mut self, frame: Frame) {
        if self.output.as_ref().is_some_and(Output::has_failed) {
            tracing::warn!("the sound device is gone");
            self.output = None;
        }
        let now = clock::monotonic();
        if self.output.is_none() && now >= self.try_at {
            self.try_at = now + TRY_AGAIN;
            self.open();
        }
        if let Some(output) = &self.output {
            // A decoder that stops is noticed by its silence alone; nothing else depends on it.
            let _ = output.source.push_buffer(gst::Buffer::from_slice(frame.data));
        }
    }

    fn open(&mut self) {
        match Output::open() {
            Ok(output) => {
                self.complained = false;
                self.output = Some(output);
            }
            Err(error) if !self.complained => {
                self.complained = true;
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "the lesson goes on without sound");
            }
            Err(_) => {}
        }
    }
}

/// A running decoder and the device that it feeds.
struct Output {
    source: AppSrc,
    pipeline: gst::Pipeline,
    failed: Arc<AtomicBool>,
    /// Plays until it is dropped.
    _stream: cpal::Stream,
}

impl Output {
    fn open() -> Result<Self, SoundError> {
        let device = cpal::default_host().default_output_device().ok_or(SoundError::NoDevice)?;
        let config = device.default_output_config().map_err(SoundError::Config)?;
        let rate = config.sample_rate();
        let (samples, ring) = RingBuffer::new(length(ROOM, rate) * STEREO);
        let speaker = Speaker::new(ring, rate);
        let failed = Arc::new(AtomicBool::new(false));
        let stream = match config.sample_format() {
            SampleFormat::F32 => play::<f32>(&device, &config, speaker, Arc::clone(&failed)),
            SampleFormat::I16 => play::<i16>(&device, &config, speaker, Arc::clone(&failed)),
            SampleFormat::I32 => play::<i32>(&device, &config, speaker, Arc::clone(&failed)),
            other => return Err(SoundError::Format(other)),
        }
        .map_err(SoundError::Open)?;
        let (pipeline, source) = build(rate, samples).map_err(SoundError::Build)?;
        let output = Self { source, pipeline, failed, _stream: stream };
        output.pipeline.set_state(gst::State::Playing).map_err(SoundError::Start)?;
        tracing::info!(rate, format = %config.sample_format(), "sound is on");
        Ok(output)
    }

    fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

fn play<T: SizedSample + FromSample<f32>>(
    device: &cpal::Device,
    config: &SupportedStreamConfig,
    mut speaker: Speaker,
    failed: Arc<AtomicBool>,
) -> Result<cpal::Stream, cpal::Error> {
    let channels = usize::from(config.channels()).max(1);
    let stream = device.build_output_stream(
        StreamConfig { buffer_size: at_one_go(config), ..config.config() },
        move |samples: &mut [T], _| speaker.fill(samples, channels),
        move |error| {
            // A gap is heard by the student and heals by itself; everything else is the end.
            if error.kind() != cpal::ErrorKind::Xrun {
                failed.store(true, Ordering::Relaxed);
            }
        },
        None,
    )?;
    stream.play()?;
    Ok(stream)
}

fn at_one_go(config: &SupportedStreamConfig) -> BufferSize {
    let wanted = u32::try_from(length(AT_ONE_GO, config.sample_rate())).unwrap_or(u32::MAX);
    match config.buffer_size() {
        SupportedBufferSize::Range { min, max } if min <= max => {
            BufferSize::Fixed(wanted.clamp(*min, *max))
        }
        _ => BufferSize::Default,
    }
}

/// The device's end of the ring.
struct Speaker {
    ring: Consumer<f32>,
    begin_at: usize,
    behind_at_most: usize,
    playing: bool,
}

impl Speaker {
    fn new(ring: Consumer<f32>, rate: u32) -> Self {
        Self {
            ring,
            begin_at: length(BEGIN_AT, rate) * STEREO,
            behind_at_most: length(BEHIND_AT_MOST, rate) * STEREO,
            playing: false,
        }
    }

    /// Fills what the device asks for. Stereo goes to the first two channels, or mixed to the only
    /// one; others stay silent.
    fn fill<T: SizedSample + FromSample<f32>>(&mut self, samples: &mut [T], channels: usize) {
        let there = self.ring.slots();
        if there > self.behind_at_most {
            self.skip(there - self.begin_at);
        }
        self.playing |= there >= self.begin_at;
        for moment in samples.chunks_mut(channels) {
            let (left, right) = self.next();
            match moment {
                [only] => *only = T::from_sample(f32::midpoint(left, right)),
                [first, second, others @ ..] => {
                    *first = T::from_sample(left);
                    *second = T::from_sample(right);
                    others.fill(T::EQUILIBRIUM);
                }
                [] => {}
            }
        }
    }

    fn next(&mut self) -> (f32, f32) {
        if self.playing
            && let (Ok(left), Ok(right)) = (self.ring.pop(), self.ring.pop())
        {
            return (left, right);
        }
        self.playing = false;
        (0.0, 0.0)
    }

    fn skip(&mut self, samples: usize) {
        // Pairs stay pairs.
        if let Ok(skipped) = self.ring.read_chunk(samples & !1) {
            skipped.commit_all();
        }
    }
}

/// How many moments of sound `time` has.
fn length(time: Duration, rate: u32) -> usize {
    usize::try_from(time.as_millis() * u128::from(rate) / 1000).unwrap_or(usize::MAX)
}

fn build(
    rate: u32,
    samples: Producer<f32>,
) -> Result<(gst::Pipeline, AppSrc), gst::glib::BoolError> {
    let opus = gst::Caps::builder("audio/x-opus")
        .field("channel-mapping-family", 0)
        .field("channels", 2)
        .field("rate", 48_000)
        .build();
    let source = AppSrc::builder()
        .caps(&opus)
        .format(gst::Format::Time)
        .max_bytes(QUEUED_BYTES)
        .property_from_str("leaky-type", "upstream")
        .build();
    let plain = gst::Caps::builder("audio/x-raw")
        .field("format", if cfg!(target_endian = "big") { "F32BE" } else { "F32LE" })
        .field("layout", "interleaved")
        .field("channels", 2)
        .field("rate", rate.cast_signed())
        .build();
    let sink = AppSink::builder().caps(&plain).sync(false).build();
    sink.set_enable_last_sample(false);
    sink.set_callbacks(callbacks(samples));
    let decoder = gst::ElementFactory::make("opusdec").build()?;
    let convert = gst::ElementFactory::make("audioconvert").build()?;
    let resample = gst::ElementFactory::make("audioresample").build()?;
    let pipeline = gst::Pipeline::new();
    let elements = [source.upcast_ref(), &decoder, &convert, &resample, sink.upcast_ref()];
    pipeline.add_many(elements)?;
    gst::Element::link_many(elements)?;
    Ok((pipeline, source))
}

fn callbacks(mut ring: Producer<f32>) -> AppSinkCallbacks {
    AppSinkCallbacks::builder()
        .new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            if let Some(Ok(bytes)) = sample.buffer().map(gst::BufferRef::map_readable) {
                write(&mut ring, &bytes);
            }
            Ok(gst::FlowSuccess::Ok)
        })
        .build()
}

fn write(ring: &mut Producer<f32>, bytes: &[u8]) {
    let samples = bytes.as_chunks::<4>().0;
    let room = ring.slots().min(samples.len()) & !1;
    if let Ok(chunk) = ring.write_chunk_uninit(room) {
        chunk.fill_from_iter(samples.iter().map(|bytes| f32::from_ne_bytes(*bytes)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 1000;

    fn speaker(samples: &[f32]) -> (Producer<f32>, Speaker) {
        let (mut producer, ring) = RingBuffer::new(length(ROOM, RATE) * STEREO);
        for sample in samples {
            producer.push(*sample).unwrap();
        }
        (producer, Speaker::new(ring, RATE))
    }

    fn heard(speaker: &mut Speaker, moments: usize) -> Vec<f32> {
        let mut samples = vec![9.0_f32; moments * STEREO];
        speaker.fill(&mut samples, STEREO);
        samples
    }

    #[test]
    fn sound_begins_when_enough_is_there_and_again_after_a_gap() {
        let (mut ring, mut speaker) = speaker(&[1.0; 118]);
        assert_eq!(heard(&mut speaker, 4), [0.0; 8]);
        ring.push(1.0).unwrap();
        ring.push(1.0).unwrap();
        assert_eq!(heard(&mut speaker, 59), [1.0; 118]);
        assert_eq!(heard(&mut speaker, 2), [1.0, 1.0, 0.0, 0.0]);
        ring.push(1.0).unwrap();
        ring.push(1.0).unwrap();
        assert_eq!(heard(&mut speaker, 1), [0.0, 0.0], "it gathers first");
    }

    #[test]
    fn what_lies_too_far_behind_is_skipped() {
        let late: Vec<f32> = (0..500_u16).map(f32::from).collect();
        let (_ring, mut speaker) = speaker(&late);
        assert_eq!(heard(&mut speaker, 1), [380.0, 381.0]);
    }

    #[test]
    fn one_loudspeaker_gets_both_sides_and_six_stay_apart() {
        let (_ring, mut one) = speaker(&[0.5, 0.0].repeat(60));
        let mut samples = vec![9.0_f32; 2];
        one.fill(&mut samples, 1);
        assert_eq!(samples, [0.25, 0.25]);
        let mut samples = vec![9.0_f32; 6];
        one.fill(&mut samples, 6);
        assert_eq!(samples, [0.5, 0.0, 0.0, 0.0, 0.0, 0.0]);
    }
}
