//! The box's microphone, by `cpal`, into a pipeline.
//!
//! A stream of `cpal` belongs to the thread that made it. That thread does nothing but hold it;
//! samples come on one of `cpal`'s own, which must never wait: what the pipeline has no room for
//! is dropped there (`leaky-type`). A microphone that was pulled out is the end of the stream.

use std::{sync::mpsc, thread};

use cpal::{
    ErrorKind, SampleFormat, SupportedStreamConfig,
    traits::{DeviceTrait, HostTrait, StreamTrait},
};
use gstreamer as gst;
use gstreamer_app::AppSrc;
use tracing::Span;

use super::PipelineError;

/// Runs until dropped.
pub(super) struct Microphone {
    /// Its end ends the thread.
    _held: mpsc::SyncSender<()>,
}

impl Microphone {
    /// Opens the default microphone. Blocking.
    pub(super) fn open(into: &AppSrc) -> Result<Self, PipelineError> {
        let (held, release) = mpsc::sync_channel(1);
        let (opened, is_open) = mpsc::sync_channel(1);
        let into = into.clone();
        let span = Span::current();
        thread::spawn(move || match listen(&into, span) {
            Ok(stream) => {
                let _ = opened.send(Ok(()));
                // Nothing is ever sent: this is the wait for the other end to be dropped.
                let _ = release.recv();
                drop(stream);
            }
            Err(error) => {
                let _ = opened.send(Err(error));
            }
        });
        is_open.recv().map_err(|_| PipelineError::Broken)??;
        Ok(Self { _held: held })
    }
}

/// `span` is what trouble is logged in, on a thread that belongs to `cpal`.
fn listen(into: &AppSrc, span: Span) -> Result<cpal::Stream, PipelineError> {
    let device = cpal::default_host().default_input_device().ok_or(PipelineError::NoDevice)?;
    let config = device.default_input_config().map_err(PipelineError::Microphone)?;
    into.set_caps(Some(&caps(&config)?));
    let pipeline = into.clone();
    let samples = move |data: &cpal::Data, _: &cpal::InputCallbackInfo| {
        // Refused while the pipeline starts or stops: nobody listens then.
        let _ = pipeline.push_buffer(gst::Buffer::from_slice(data.bytes().to_vec()));
    };
    let (pipeline, mut is_over) = (into.clone(), false);
    let failed = move |error: cpal::Error| {
        let _in = span.enter();
        match error.kind() {
            // Sound was lost, or another device took over: it goes on.
            ErrorKind::Xrun | ErrorKind::DeviceChanged | ErrorKind::RealtimeDenied => {
                tracing::debug!(error = %error, "the microphone has trouble: {error}");
            }
            // `cpal` tries on for ever, as fast as it can, and says so each time.
            _ if is_over => {}
            _ => {
                is_over = true;
                tracing::warn!(error = %error, "the microphone is gone: {error}");
                // The pipeline may have ended by itself.
                let _ = pipeline.end_of_stream();
            }
        }
    };
    let format = config.sample_format();
    let stream = device
        .build_input_stream_raw(config.into(), format, samples, failed, None)
        .map_err(PipelineError::Microphone)?;
    stream.play().map_err(PipelineError::Microphone)?;
    Ok(stream)
}

fn caps(config: &SupportedStreamConfig) -> Result<gst::Caps, PipelineError> {
    let format = match config.sample_format() {
        SampleFormat::I16 => "S16LE",
        SampleFormat::I32 => "S32LE",
        SampleFormat::F32 => "F32LE",
        SampleFormat::U8 => "U8",
        _ => return Err(PipelineError::NoDevice),
    };
    let rate = i32::try_from(config.sample_rate()).map_err(|_| PipelineError::NoDevice)?;
    let caps = gst::Caps::builder("audio/x-raw")
        .field("format", format)
        .field("layout", "interleaved")
        .field("rate", rate)
        .field("channels", i32::from(config.channels()));
    Ok(caps.build())
}
