//! Reads a track's parts and pushes their frames, timed from the recording's start.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
};

use bytes::{BufMut, Bytes, BytesMut};
use gstreamer as gst;
use gstreamer_app::AppSrc;
use tokio_util::sync::CancellationToken;

use super::{JoinError, convert};
use crate::recording::{
    container::{Container, Torn, mp4},
    export::Part,
};

/// A frame in its recording.
pub(super) struct Timed {
    pub(super) at_us: u64,
    pub(super) duration_us: u64,
    pub(super) keyframe: bool,
    pub(super) data: Bytes,
}

/// How all parts of a track are to be decoded.
struct Head {
    caps: gst::Caps,
    /// For each part, what goes before its keyframes.
    before_keyframes: Vec<Bytes>,
}

/// Says what will come.
pub(super) fn prepare(source: &AppSrc, parts: &[Part]) -> Result<(), JoinError> {
    source.set_caps(Some(&head(parts)?.caps));
    Ok(())
}

/// Pushes everything. Returns early, and without an error, when the pipeline does not take it any
/// more: that has its own way of saying why.
pub(super) fn feed(
    source: &AppSrc,
    parts: &[Part],
    stop: &CancellationToken,
) -> Result<(), JoinError> {
    let fed = feed_parts(source, parts, stop);
    if fed.is_err() {
        stop.cancel();
    }
    // Refused where the pipeline has ended already.
    let _ = source.end_of_stream();
    fed
}

fn feed_parts(source: &AppSrc, parts: &[Part], stop: &CancellationToken) -> Result<(), JoinError> {
    let is_webm = parts.iter().all(Part::is_vp8);
    let push = |frame: Timed| source.push_buffer(frame.into()).is_ok();
    for (part, before) in parts.iter().zip(&head(parts)?.before_keyframes) {
        if part.is_vp8() && !is_webm {
            convert::frames(part, stop, push)?;
        } else {
            frames(part, stop, |frame| push(frame.after(before)))?;
        }
    }
    Ok(())
}

/// Gives the part's frames in order, until `take` wants no more.
pub(super) fn frames(
    part: &Part,
    stop: &CancellationToken,
    mut take: impl FnMut(Timed) -> bool,
) -> Result<(), JoinError> {
    let failed = |source| JoinError::Read { path: part.path.display().to_string(), source };
    let mut file = File::open(&part.path).map_err(|error| failed(error.into()))?;
    for fragment in &part.fragments {
        let bytes = read(&mut file, fragment.offset, fragment.length).map_err(failed)?;
        for entry in part.container.entries(&bytes).map_err(failed)? {
            let frame = Timed {
                at_us: part.start_us + entry.time_us,
                duration_us: entry.duration_us,
                keyframe: entry.keyframe,
                data: bytes.slice(entry.range),
            };
            if stop.is_cancelled() || !take(frame) {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Caps of the part's pictures. No fixed rate: frames come when something moves.
pub(super) fn picture(codec: &str, part: &Part) -> gst::Caps {
    let side = |side: Option<u32>| side.and_then(|side| i32::try_from(side).ok()).unwrap_or(0);
    gst::Caps::builder(codec)
        .field("width", side(part.size.map(|size| size.width)))
        .field("height", side(part.size.map(|size| size.height)))
        .field("framerate", gst::Fraction::new(0, 1))
        .build()
}

fn head(parts: &[Part]) -> Result<Head, JoinError> {
    let nothing = vec![Bytes::new(); parts.len()];
    let Some(h264) = parts.iter().find(|part| !part.is_vp8()) else {
        let caps =
            parts.first().map_or_else(gst::Caps::new_empty, |part| picture("video/x-vp8", part));
        return Ok(Head { caps, before_keyframes: nothing });
    };
    if h264.size.is_none() {
        let opus = gst::Caps::builder("audio/x-opus")
            .field("rate", 48_000)
            .field("channels", 2)
            .field("channel-mapping-family", 0);
        return Ok(Head { caps: opus.build(), before_keyframes: nothing });
    }
    let configurations = parts.iter().map(configuration).collect::<Result<Vec<_>, _>>()?;
    let first = configurations.iter().flatten().next().cloned().unwrap_or_default();
    // What changes on the way cannot stand in the file's head.
    let changes = configurations.iter().any(|other| other.as_ref() != Some(&first));
    let in_band = |part: &Option<Bytes>| part.as_ref().map(mp4::in_band).unwrap_or_default();
    let before_keyframes =
        if changes { configurations.iter().map(in_band).collect() } else { nothing };
    let mut caps = picture("video/x-h264", h264);
    if let Some(caps) = caps.get_mut() {
        caps.set("stream-format", if changes { "avc3" } else { "avc" });
        caps.set("alignment", "au");
        caps.set("codec_data", gst::Buffer::from_slice(first));
    }
    Ok(Head { caps, before_keyframes })
}

/// The decoder configuration of an H.264 part.
fn configuration(part: &Part) -> Result<Option<Bytes>, JoinError> {
    if part.container == Container::WebM {
        return Ok(None);
    }
    let failed = |source| JoinError::Read { path: part.path.display().to_string(), source };
    let mut file = File::open(&part.path).map_err(|error| failed(error.into()))?;
    let head = read(&mut file, 0, part.head_bytes).map_err(failed)?;
    mp4::configuration(&head).map(Some).map_err(failed)
}

fn read(file: &mut File, offset: u64, length: u64) -> Result<Bytes, Torn> {
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = vec![0; usize::try_from(length).map_err(|_| Torn::End)?];
    file.read_exact(&mut bytes)?;
    Ok(bytes.into())
}

impl Timed {
    /// With `before` in front, if it is a keyframe.
    fn after(mut self, before: &Bytes) -> Self {
        if self.keyframe && !before.is_empty() {
            let mut whole = BytesMut::with_capacity(before.len() + self.data.len());
            whole.put_slice(before);
            whole.put_slice(&self.data);
            self.data = whole.freeze();
        }
        self
    }
}

impl From<Timed> for gst::Buffer {
    fn from(frame: Timed) -> Self {
        let mut buffer = Self::from_slice(frame.data);
        if let Some(buffer) = buffer.get_mut() {
            let at = gst::ClockTime::from_useconds(frame.at_us);
            buffer.set_pts(at);
            buffer.set_dts(at);
            buffer.set_duration(gst::ClockTime::from_useconds(frame.duration_us));
            if !frame.keyframe {
                buffer.set_flags(gst::BufferFlags::DELTA_UNIT);
            }
        }
        buffer
    }
}
