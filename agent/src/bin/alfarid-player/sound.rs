//! Sound: Opus packets in, samples to the machine's sound device.
//!
//! ```text
//!   appsrc ─▶ opusdec ─▶ audioconvert ─▶ appsink ─▶ Writer ─▶ Speaker ─▶ cpal
//! ```
//!
//! Each packet says when it is to be heard, and the [`speaker`] sees to that. Without a device the
//! lesson goes on in silence; that is said once in the log and tried again later.

mod speaker;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
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
use thiserror::Error;

use self::speaker::{RATE, Speaker, Writer};

/// Sound that is to be heard at once is heard after so long, so that a late packet makes no gap.
const GATHERS: Duration = Duration::from_millis(60);

/// Times that wait for what the decoder makes of their frames: over a second of sound.
const MOST_DUES: usize = 64;

/// It may come to lie so far behind before it begins anew.
const BEHIND_AT_MOST: Duration = Duration::from_millis(200);

/// Encoded sound inside the pipeline: seconds of it. Decoding takes microseconds, so it is never
/// full; if it were, the newest packet would be dropped.
const QUEUED_BYTES: u64 = 64 * 1024;

/// Between the times that two packets get inside the pipeline: they are told apart by them.
const APART: gst::ClockTime = gst::ClockTime::from_seconds(1);

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
    /// RTP time of the last packet that was to be heard at once, and when it is due.
    at_once: Option<(u64, Duration)>,
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
        let due = self.due(now, &frame);
        if let Some(output) = &mut self.output {
            output.push(frame, due);
        }
    }

    /// When a packet is to be heard. What is to be heard at once comes evenly all the same.
    fn due(&mut self, now: Duration, frame: &Frame) -> Duration {
        if frame.show_at > 0 {
            self.at_once = None;
            return Duration::from_nanos(frame.show_at);
        }
        let goes_on = self.at_once.and_then(|(timestamp, due)| {
            let since = frame.timestamp.checked_sub(timestamp)?;
            let due = due + Duration::from_secs(since.min(RATE.into())) / RATE;
            (now..now + BEHIND_AT_MOST).contains(&due).then_some(due)
        });
        let due = goes_on.unwrap_or(now + GATHERS);
        self.at_once = Some((frame.timestamp, due));
        due
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

/// When the packets inside the decoder are due, by their time there. One that never comes out is
/// forgotten when a later one does.
type Dues = Arc<Mutex<BTreeMap<gst::ClockTime, Duration>>>;

/// A running decoder and the device that it feeds.
struct Output {
    source: AppSrc,
    pipeline: gst::Pipeline,
    dues: Dues,
    pushed: u64,
    failed: Arc<AtomicBool>,
    /// Plays until it is dropped.
    _stream: cpal::Stream,
}

impl Output {
    fn open() -> Result<Self, SoundError> {
        let device = cpal::default_host().default_output_device().ok_or(SoundError::NoDevice)?;
        let config = device.default_output_config().map_err(SoundError::Config)?;
        let rate = config.sample_rate();
        let (writer, speaker) = speaker::speaker(rate);
        let failed = Arc::new(AtomicBool::new(false));
        let stream = match config.sample_format() {
            SampleFormat::F32 => play::<f32>(&device, &config, speaker, Arc::clone(&failed)),
            SampleFormat::I16 => play::<i16>(&device, &config, speaker, Arc::clone(&failed)),
            SampleFormat::I32 => play::<i32>(&device, &config, speaker, Arc::clone(&failed)),
            other => return Err(SoundError::Format(other)),
        }
        .map_err(SoundError::Open)?;
        let dues = Dues::default();
        let (pipeline, source) = build(writer, Arc::clone(&dues)).map_err(SoundError::Build)?;
        let output = Self { source, pipeline, dues, pushed: 0, failed, _stream: stream };
        output.pipeline.set_state(gst::State::Playing).map_err(SoundError::Start)?;
        tracing::info!(rate, format = %config.sample_format(), "sound is on");
        Ok(output)
    }

    fn push(&mut self, frame: Frame, due: Duration) {
        let time = APART * self.pushed;
        self.pushed += 1;
        let mut dues = lock(&self.dues);
        dues.insert(time, due);
        // A decoder that gives nothing back leaves them there.
        while dues.len() > MOST_DUES {
            dues.pop_first();
        }
        drop(dues);
        let mut buffer = gst::Buffer::from_slice(frame.data);
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(time);
        }
        // A decoder that stops is noticed by its silence alone; nothing else depends on it.
        let _ = self.source.push_buffer(buffer);
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
        move |samples: &mut [T], info| {
            let timestamp = info.timestamp();
            let delay = timestamp.playback.duration_since(timestamp.callback);
            speaker.fill(samples, channels, clock::monotonic() + delay);
        },
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

/// How many moments of sound `time` has.
fn length(time: Duration, rate: u32) -> usize {
    usize::try_from(time.as_millis() * u128::from(rate) / 1000).unwrap_or(usize::MAX)
}

fn build(writer: Writer, dues: Dues) -> Result<(gst::Pipeline, AppSrc), gst::glib::BoolError> {
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
        .field("rate", RATE.cast_signed())
        .build();
    let sink = AppSink::builder().caps(&plain).sync(false).build();
    sink.set_enable_last_sample(false);
    sink.set_callbacks(callbacks(writer, dues));
    let decoder = gst::ElementFactory::make("opusdec").build()?;
    let convert = gst::ElementFactory::make("audioconvert").build()?;
    let pipeline = gst::Pipeline::new();
    let elements = [source.upcast_ref(), &decoder, &convert, sink.upcast_ref()];
    pipeline.add_many(elements)?;
    gst::Element::link_many(elements)?;
    Ok((pipeline, source))
}

fn callbacks(mut writer: Writer, dues: Dues) -> AppSinkCallbacks {
    AppSinkCallbacks::builder()
        .new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            if let Some(buffer) = sample.buffer()
                && let Some(due) = due_of(&dues, buffer)
                && let Ok(bytes) = buffer.map_readable()
            {
                let samples = bytes.as_chunks::<4>().0;
                writer.write(samples.iter().map(|bytes| f32::from_ne_bytes(*bytes)), due);
            }
            Ok(gst::FlowSuccess::Ok)
        })
        .build()
}

/// When what came out is due.
fn due_of(dues: &Dues, buffer: &gst::BufferRef) -> Option<Duration> {
    let time = buffer.pts()?;
    let mut dues = lock(dues);
    let later = dues.split_off(&(time + gst::ClockTime::from_nseconds(1)));
    // The newest at or before this time.
    Some(std::mem::replace(&mut *dues, later).pop_last()?.1)
}

fn lock(dues: &Dues) -> MutexGuard<'_, BTreeMap<gst::ClockTime, Duration>> {
    dues.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn frame(timestamp: u64, show_at: u64) -> Frame {
        let codec = alfarid_protocol::grant::Codec::Opus;
        let data = Bytes::new();
        Frame { codec, keyframe: false, catch_up: false, timestamp, show_at, data }
    }

    #[test]
    fn what_is_to_be_heard_at_once_comes_evenly() {
        let mut sound = Sound::default();
        let ms = Duration::from_millis;
        let mut due = |now, timestamp| sound.due(ms(now), &frame(timestamp, 0)).as_millis();
        assert_eq!(due(1_000, 0), 1_060);
        assert_eq!(due(1_055, 960), 1_080, "a late packet makes no gap");
        assert_eq!(due(1_056, 1_920), 1_100);
        assert_eq!(due(1_200, 2_880), 1_260, "a very late one does");
        assert_eq!(due(1_210, 48_000), 1_270, "so does a packet of much later");
        assert_eq!(due(1_220, 0), 1_280, "and another stream");
        assert_eq!(sound.due(ms(1_230), &frame(960, 5_000_000)), ms(5));
    }
}
