//! Pictures and sound that the box makes itself: a file, a camera, a test picture, its microphone.
//!
//! A pipeline ends in one `appsink` for video and one for sound, which hand RTP packets on and
//! never wait, and say of what moment of the pipeline each is. It ends by itself at the end of a
//! file or when a device is pulled out; dropping it ends it too.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use alfarid_stream::{Codec, rtp::Packet};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use gstreamer::{self as gst, prelude::*};
use gstreamer_app::{AppSink, AppSinkCallbacks};

use super::{
    PipelineError, Running,
    encoder::{self, Quality},
    microphone::Microphone,
};
use crate::broadcast::feed::payload_type;

/// What is to be seen or heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::broadcast) enum Input {
    /// A moving picture that needs nothing.
    Test,
    /// A video on the box's disk.
    File(PathBuf),
    /// The first camera or grabber.
    Camera,
    Microphone,
}

/// Takes a packet, and the pipeline's time of what is in it, which is one for picture and sound;
/// must not wait.
pub(in crate::broadcast) type Deliver = Box<dyn Fn(Packet, Option<Duration>) + Send + Sync>;

/// A source that runs.
pub(in crate::broadcast) struct Source {
    running: Running,
    video: Option<AppSink>,
    /// Only held: it feeds the pipeline from a thread of its own.
    _microphone: Option<Microphone>,
}

/// How a source ended.
#[derive(Debug)]
pub(in crate::broadcast) enum End {
    /// A file is over.
    Over,
    /// In GStreamer's words.
    Failed(String),
}

impl Source {
    /// Starts it. Blocking: devices take their time.
    pub(in crate::broadcast) fn start(
        input: &Input,
        quality: Quality,
        deliver: Deliver,
    ) -> Result<Self, PipelineError> {
        gst::init().map_err(PipelineError::Init)?;
        let running = Running::parse(&describe(input, quality)?)?;
        let deliver = std::sync::Arc::new(deliver);
        let mut video = None;
        for name in ["video", "audio"] {
            let Ok(sink) = running.part::<AppSink>(name) else { continue };
            let deliver = std::sync::Arc::clone(&deliver);
            let taken = move |sink: &AppSink| take(sink, &deliver);
            sink.set_callbacks(AppSinkCallbacks::builder().new_sample(taken).build());
            if name == "video" {
                video = Some(sink);
            }
        }
        let microphone = match input {
            Input::Microphone => Some(Microphone::open(&running.part("in")?)?),
            Input::Test | Input::File(_) | Input::Camera => None,
        };
        running.0.set_state(gst::State::Playing)?;
        Ok(Self { running, video, _microphone: microphone })
    }

    pub(in crate::broadcast) fn ask_keyframe(&self) {
        if let Some(video) = &self.video {
            let wish = gst::Structure::builder("GstForceKeyUnit").field("all-headers", true);
            video.send_event(gst::event::CustomUpstream::new(wish.build()));
        }
    }

    /// Resolves when the source ends by itself.
    pub(in crate::broadcast) fn end(&self) -> impl Future<Output = End> + Send + use<> {
        let messages = self.running.0.bus().map(|bus| bus.stream());
        async move {
            match messages {
                Some(messages) => wait_for_end(messages).await,
                None => End::Failed("the pipeline has no bus".into()),
            }
        }
    }
}

async fn wait_for_end(mut messages: impl Stream<Item = gst::Message> + Unpin) -> End {
    while let Some(message) = messages.next().await {
        match message.view() {
            gst::MessageView::Eos(_) => return End::Over,
            gst::MessageView::Error(error) => return End::Failed(error.error().to_string()),
            _ => {}
        }
    }
    End::Over
}

fn take(sink: &AppSink, deliver: &Deliver) -> Result<gst::FlowSuccess, gst::FlowError> {
    let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
    let buffer = sample.buffer().ok_or(gst::FlowError::Error)?;
    let bytes = buffer.map_readable().map_err(|_| gst::FlowError::Error)?;
    if let Ok(packet) = Packet::parse(&Bytes::copy_from_slice(&bytes)) {
        deliver(packet, running_time(&sample));
    }
    Ok(gst::FlowSuccess::Ok)
}

/// The pipeline's time of a sample: encoders count from where they like.
fn running_time(sample: &gst::Sample) -> Option<Duration> {
    let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
    let time = segment.to_running_time(sample.buffer()?.pts()?)?;
    Some(Duration::from_nanos(time.nseconds()))
}

/// The pipeline in GStreamer's language, but for the camera's.
fn describe(input: &Input, quality: Quality) -> Result<String, PipelineError> {
    let fps = quality.fps;
    Ok(match input {
        Input::Test => format!(
            "videotestsrc is-live=true pattern=ball \
             ! video/x-raw,width=1280,height=720,framerate={fps}/1 \
             ! timeoverlay font-desc=\"Sans 48\" ! {} \
             audiotestsrc is-live=true wave=ticks volume=0.1 ! {}",
            video_out(quality, false)?,
            audio_out(quality, false),
        ),
        Input::File(path) => format!(
            "filesrc location={} ! decodebin name=file file. ! queue ! {} file. ! queue ! {}",
            quoted(path),
            fitted(quality, true)?,
            audio_out(quality, true),
        ),
        Input::Camera => describe_camera(&camera()?, quality)?,
        Input::Microphone => format!(
            "appsrc name=in is-live=true do-timestamp=true format=time max-bytes=192000 \
             leaky-type=downstream ! {}",
            audio_out(quality, false),
        ),
    })
}

fn describe_camera(device: &Path, quality: Quality) -> Result<String, PipelineError> {
    let video = fitted(quality, false)?;
    Ok(format!("v4l2src device={} ! decodebin ! {video}", quoted(device)))
}

/// What encoders take at least, each way.
const LEAST_SIDE: u32 = 16;

/// Whatever comes, no larger and no faster than a lesson's picture.
fn fitted(quality: Quality, sync: bool) -> Result<String, PipelineError> {
    let (fps, out) = (quality.fps, video_out(quality, sync)?);
    let height = quality.height.max(LEAST_SIDE);
    let width = (height * 16 / 9).next_multiple_of(2);
    Ok(format!(
        "videoconvert ! videorate drop-only=true max-rate={fps} ! videoscale \
         ! video/x-raw,width=[{LEAST_SIDE},{width}],\
         height=[{LEAST_SIDE},{height}],pixel-aspect-ratio=1/1 ! {out}"
    ))
}

/// `sync` paces a file by its own clock; live sources have their pace already. Without
/// `async=false` a file that has no sound would wait for it for ever.
fn video_out(quality: Quality, sync: bool) -> Result<String, PipelineError> {
    let encode = encoder::video(quality, payload_type(Codec::H264))?;
    Ok(format!("{encode} ! appsink name=video sync={sync} async=false max-buffers=512 drop=true"))
}

fn audio_out(quality: Quality, sync: bool) -> String {
    let encode = encoder::sound(quality, payload_type(Codec::Opus));
    format!("{encode} ! appsink name=audio sync={sync} async=false max-buffers=512 drop=true")
}

/// A path as GStreamer's language for pipelines writes it.
fn quoted(path: &Path) -> String {
    let path = path.to_string_lossy().replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{path}\"")
}

/// Where the first camera or grabber is.
fn camera() -> Result<PathBuf, PipelineError> {
    let monitor = gst::DeviceMonitor::new();
    monitor.add_filter(Some("Video/Source"), None);
    let path = |device: gst::Device| {
        let properties = device.properties()?;
        ["device.path", "api.v4l2.path"]
            .into_iter()
            .find_map(|key| properties.get::<String>(key).ok())
    };
    monitor.devices().into_iter().find_map(path).map(PathBuf::from).ok_or(PipelineError::NoDevice)
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUALITY: Quality =
        Quality { fps: 30, height: 1080, bitrate_bps: 4_000_000, sound_bps: 96_000 };

    #[test]
    fn gstreamer_takes_every_pipeline() {
        gst::init().unwrap();
        let film = Input::File("/videos/a \"film\".mp4".into());
        let described = [
            describe(&Input::Test, QUALITY).unwrap(),
            describe(&film, QUALITY).unwrap(),
            describe(&Input::Microphone, QUALITY).unwrap(),
            describe_camera(Path::new("/dev/video0"), QUALITY).unwrap(),
        ];
        for pipeline in described {
            Running::parse(&pipeline).unwrap();
        }
    }

    #[test]
    fn sound_is_encoded_to_its_limit_wherever_it_comes_from() {
        gst::init().unwrap();
        for (limit, bitrate) in [(64_000, 64_000), (128_000, 128_000), (0, 6_000)] {
            let quality = Quality { sound_bps: limit, ..QUALITY };
            for input in [Input::Test, Input::File("/film.mp4".into()), Input::Microphone] {
                let pipeline = Running::parse(&describe(&input, quality).unwrap()).unwrap();
                let is_encoder = |element: &gst::Element| {
                    element.factory().is_some_and(|factory| factory.name() == "opusenc")
                };
                let mut elements = pipeline.0.iterate_recurse().into_iter().flatten();
                let encoder = elements.find(is_encoder).unwrap();
                assert_eq!(encoder.property::<i32>("bitrate"), bitrate, "{input:?}");
            }
        }
    }

    #[test]
    fn a_film_is_no_larger_than_the_lesson_allows() {
        gst::init().unwrap();
        let quality = Quality { height: 720, ..QUALITY };
        let film = describe(&Input::File("/film.mp4".into()), quality).unwrap();
        assert!(film.contains("width=[16,1280],height=[16,720]"), "{film}");
    }

    #[test]
    fn a_path_cannot_end_its_quotes() {
        assert_eq!(quoted(Path::new("/a b\"c\\d.mp4")), "\"/a b\\\"c\\\\d.mp4\"");
    }
}
