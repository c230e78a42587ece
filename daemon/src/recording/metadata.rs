//! `metadata.json`: what the folder is, for whoever finds it without the database.
//!
//! Rewritten whole when something begins or ends, never for each fragment. It is also how a
//! recording gets back into a database that lost it.

use alfarid_protocol::{id::BoxId, time::Timestamp};
use alfarid_stream::Size;
use serde::{Deserialize, Serialize};

use super::{About, Fault, SegmentFile, SegmentId, Status, TrackKind, folder};

/// Grows when a reader of an older version would misunderstand the file.
const VERSION: u32 = 1;

const HOW_TO_PLAY: &str = "Every file in screen/ and audio/ plays by itself. A file begins \
    offset_ms after the recording did; played together with these offsets they are the lesson. \
    events/events.jsonl says what happened in it, a JSON object a line.";

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Metadata {
    pub version: u32,
    pub how_to_play: String,
    pub box_id: BoxId,
    #[serde(flatten)]
    pub about: About,
    pub status: Status,
    pub fault: Option<Fault>,
    /// Unix milliseconds by the box's clock; absent while it is being recorded.
    pub ended_at: Option<Timestamp>,
    pub events: String,
    pub segments: Vec<Segment>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Segment {
    pub id: SegmentId,
    pub track: TrackKind,
    /// Relative to this file.
    pub path: String,
    pub mime: String,
    pub width: Option<u32>,
    pub height: Option<u32>,
    pub offset_ms: i64,
    pub duration_ms: i64,
    pub size_bytes: u64,
    pub frame_count: u64,
}

/// How a recording stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    pub status: Status,
    pub fault: Option<Fault>,
    pub ended_at: Option<Timestamp>,
}

impl Metadata {
    pub(super) fn new(
        box_id: BoxId,
        about: &About,
        standing: Standing,
        segments: &[SegmentFile],
    ) -> Self {
        Self {
            version: VERSION,
            how_to_play: HOW_TO_PLAY.to_owned(),
            box_id,
            about: about.clone(),
            status: standing.status,
            fault: standing.fault,
            ended_at: standing.ended_at,
            events: folder::EVENTS.to_owned(),
            segments: segments.iter().map(Segment::of).collect(),
        }
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        // Strings and numbers alone cannot fail.
        serde_json::to_vec_pretty(self).unwrap_or_default()
    }
}

impl Segment {
    fn of(file: &SegmentFile) -> Self {
        Self {
            id: file.id,
            track: file.kind,
            path: file.path.clone(),
            mime: file.mime.clone(),
            width: file.size.map(|size| size.width),
            height: file.size.map(|size| size.height),
            offset_ms: file.offset_ms,
            duration_ms: file.duration_ms,
            size_bytes: file.size_bytes,
            frame_count: file.frame_count,
        }
    }

    /// The segment as it is known here; what the file really holds is for a scan to say.
    pub(super) fn into_file(self) -> SegmentFile {
        let sides = self.width.zip(self.height);
        SegmentFile {
            id: self.id,
            kind: self.track,
            path: self.path,
            mime: self.mime,
            size: sides.map(|(width, height)| Size { width, height }),
            offset_ms: self.offset_ms,
            duration_ms: self.duration_ms,
            size_bytes: self.size_bytes,
            init_bytes: 0,
            frame_count: self.frame_count,
            is_closed: false,
            fragments: Vec::new(),
        }
    }
}
