//! All SQL about recordings.

use std::collections::HashSet;

use alfarid_protocol::{
    id::{LessonId, RecordingId, TeacherId},
    time::Timestamp,
};
use alfarid_stream::Size;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::{About, Fault, Segment, SegmentFile, Status, Track, TrackKind, metadata::Standing};
use crate::{
    db::{DbError, column},
    events::Fragment,
    identity::Person,
};

const COLUMNS: &str = "id, lesson_id, teacher_id, title, class_name, teacher_name, storage_path,
    started_at, clock_was_sure, status, fault, is_public";

const SEGMENT_COLUMNS: &str = "id, track, path, mime, width, height, offset_ms, duration_ms,
    size_bytes, init_bytes, frame_count, is_closed";

/// A recording as it is kept.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub about: About,
    /// Relative to the recordings directory; empty while it is starting.
    pub storage_path: String,
    pub status: Status,
    pub fault: Option<Fault>,
    pub is_public: bool,
    pub segments: Vec<SegmentFile>,
}

pub(super) fn insert(
    tx: &Transaction<'_>,
    about: &About,
    storage_path: &str,
    status: Status,
) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO lesson_recordings
             (id, lesson_id, teacher_id, title, class_name, teacher_name, storage_path,
              started_at, clock_was_sure, status, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?8)",
        params![
            about.recording_id.to_string(),
            about.lesson_id.to_string(),
            about.teacher_id.to_string(),
            about.title,
            about.class_name,
            about.teacher_name,
            storage_path,
            about.started_at.0,
            about.clock_was_sure,
            column::Word::word(status),
        ],
    )?;
    Ok(())
}

/// Writes how `segments` stand, and what the recording has altogether.
pub(super) fn save_segments(
    tx: &Transaction<'_>,
    id: RecordingId,
    segments: &[SegmentFile],
) -> Result<(), DbError> {
    let mut statement = tx.prepare_cached(
        "INSERT INTO recording_segments
             (id, recording_id, track, path, mime, width, height, offset_ms, duration_ms,
              size_bytes, init_bytes, frame_count, is_closed, fragments)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
         ON CONFLICT (id) DO UPDATE
         SET duration_ms = excluded.duration_ms, size_bytes = excluded.size_bytes,
             init_bytes = excluded.init_bytes, frame_count = excluded.frame_count,
             is_closed = excluded.is_closed, fragments = excluded.fragments",
    )?;
    for segment in segments {
        statement.execute(params![
            segment.id.to_string(),
            id.to_string(),
            column::Word::word(segment.kind),
            segment.path,
            segment.mime,
            segment.size.map(|size| size.width),
            segment.size.map(|size| size.height),
            segment.offset_ms,
            segment.duration_ms,
            integer(segment.size_bytes),
            integer(segment.init_bytes),
            integer(segment.frame_count),
            segment.is_closed,
            segment.is_closed.then(|| fragments_to_text(&segment.fragments)),
        ])?;
    }
    tx.execute(
        "UPDATE lesson_recordings
         SET duration_seconds = s.duration_seconds, file_size_mb = s.size_mb,
             frame_count = s.frames
         FROM (SELECT coalesce(max(offset_ms + duration_ms) / 1000, 0) AS duration_seconds,
                      coalesce(sum(size_bytes) / 1048576.0, 0) AS size_mb,
                      coalesce(sum(iif(track = 'screen_video', frame_count, 0)), 0) AS frames
               FROM recording_segments
               WHERE recording_id = ?1) AS s
         WHERE id = ?1",
        [id.to_string()],
    )?;
    Ok(())
}

/// Takes a segment out that turned out to hold nothing.
pub(super) fn remove_segment(tx: &Transaction<'_>, segment: &SegmentFile) -> Result<(), DbError> {
    tx.execute("DELETE FROM recording_segments WHERE id = ?1", [segment.id.to_string()])?;
    Ok(())
}

pub(super) fn set_standing(
    tx: &Transaction<'_>,
    id: RecordingId,
    standing: Standing,
) -> Result<(), DbError> {
    tx.execute(
        "UPDATE lesson_recordings
         SET status = ?2, fault = ?3, processed_at = ?4
         WHERE id = ?1",
        params![
            id.to_string(),
            column::Word::word(standing.status),
            standing.fault.map(column::Word::word),
            standing.ended_at.map(Timestamp::as_millis),
        ],
    )?;
    Ok(())
}

pub(super) fn hand_over(
    tx: &Transaction<'_>,
    lesson: LessonId,
    teacher: TeacherId,
) -> Result<(), DbError> {
    tx.execute(
        "UPDATE lesson_recordings SET teacher_id = ?2 WHERE lesson_id = ?1",
        [lesson.to_string(), teacher.to_string()],
    )?;
    Ok(())
}

/// `false`: it has no row.
pub(super) fn set_public(
    tx: &Transaction<'_>,
    id: RecordingId,
    is_public: bool,
) -> Result<bool, DbError> {
    let mut update =
        tx.prepare_cached("UPDATE lesson_recordings SET is_public = ?2 WHERE id = ?1")?;
    Ok(update.execute(params![id.to_string(), is_public])? > 0)
}

/// Its segments go with it.
pub(super) fn delete(tx: &Transaction<'_>, id: RecordingId) -> Result<(), DbError> {
    tx.execute("DELETE FROM lesson_recordings WHERE id = ?1", [id.to_string()])?;
    Ok(())
}

/// What `viewer` may see, newest first, without fragments.
pub(super) fn list(
    c: &Connection,
    viewer: &Person,
    lesson: Option<LessonId>,
) -> Result<Vec<Kept>, DbError> {
    let sql = format!(
        "SELECT {COLUMNS}
         FROM lesson_recordings
         WHERE (?1 OR is_public = 1 OR teacher_id = ?2)
           AND (?3 IS NULL OR lesson_id = ?3)
         ORDER BY started_at DESC, id DESC"
    );
    let mut statement = c.prepare_cached(&sql)?;
    let seen_by =
        params![viewer.is_admin(), viewer.id.to_string(), lesson.map(|lesson| lesson.to_string()),];
    let mut kept = statement.query_map(seen_by, read)?.collect::<Result<Vec<_>, _>>()?;
    for recording in &mut kept {
        recording.segments = segments(c, recording.about.recording_id)?;
    }
    Ok(kept)
}

/// Without fragments.
pub(super) fn one(c: &Connection, id: RecordingId) -> Result<Option<Kept>, DbError> {
    let sql = format!("SELECT {COLUMNS} FROM lesson_recordings WHERE id = ?1");
    let kept = c.prepare_cached(&sql)?.query_row([id.to_string()], read).optional()?;
    let Some(mut kept) = kept else { return Ok(None) };
    kept.segments = segments(c, id)?;
    Ok(Some(kept))
}

/// Puts the fragments in.
pub(super) fn load_fragments(
    c: &Connection,
    mut segments: Vec<SegmentFile>,
) -> Result<Vec<SegmentFile>, DbError> {
    let mut statement =
        c.prepare_cached("SELECT fragments FROM recording_segments WHERE id = ?1")?;
    for segment in &mut segments {
        let text: Option<Option<String>> =
            statement.query_row([segment.id.to_string()], |row| row.get(0)).optional()?;
        let text = text.flatten().unwrap_or_default();
        segment.fragments = fragments_of_text(&text, segment.init_bytes);
    }
    Ok(segments)
}

/// It is being read back.
pub(super) fn mark_processing(tx: &Transaction<'_>, id: RecordingId) -> Result<(), DbError> {
    tx.execute(
        "UPDATE lesson_recordings SET status = 'processing' WHERE id = ?1",
        [id.to_string()],
    )?;
    Ok(())
}

/// Recordings that nobody has written the end of.
pub(super) fn unfinished(c: &Connection) -> Result<Vec<Kept>, DbError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM lesson_recordings WHERE status IN ('recording', 'processing')"
    );
    let mut statement = c.prepare_cached(&sql)?;
    let mut kept = statement.query_map([], read)?.collect::<Result<Vec<_>, _>>()?;
    for recording in &mut kept {
        recording.segments = segments(c, recording.about.recording_id)?;
    }
    Ok(kept)
}

/// The folders that are known.
pub(super) fn storage_paths(c: &Connection) -> Result<HashSet<String>, DbError> {
    let mut statement = c.prepare_cached("SELECT storage_path FROM lesson_recordings")?;
    let paths = statement.query_map([], |row| row.get(0))?;
    Ok(paths.collect::<Result<_, _>>()?)
}

fn segments(c: &Connection, id: RecordingId) -> Result<Vec<SegmentFile>, DbError> {
    let sql = format!(
        "SELECT {SEGMENT_COLUMNS}
         FROM recording_segments
         WHERE recording_id = ?1
         ORDER BY track, offset_ms, id"
    );
    let mut statement = c.prepare_cached(&sql)?;
    let segments = statement.query_map([id.to_string()], read_segment)?;
    Ok(segments.collect::<Result<_, _>>()?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Kept> {
    let about = About {
        recording_id: column::id(row, 0)?,
        lesson_id: column::id(row, 1)?,
        teacher_id: column::id(row, 2)?,
        title: row.get(3)?,
        class_name: row.get(4)?,
        teacher_name: row.get(5)?,
        started_at: column::time(row, 7)?,
        clock_was_sure: row.get(8)?,
    };
    let has_fault = row.get_ref(10)? != rusqlite::types::ValueRef::Null;
    Ok(Kept {
        about,
        storage_path: row.get(6)?,
        status: column::word(row, 9)?,
        fault: has_fault.then(|| column::word(row, 10)).transpose()?,
        is_public: row.get(11)?,
        segments: Vec::new(),
    })
}

fn read_segment(row: &Row<'_>) -> rusqlite::Result<SegmentFile> {
    let sides: (Option<u32>, Option<u32>) = (row.get(4)?, row.get(5)?);
    Ok(SegmentFile {
        id: column::id(row, 0)?,
        kind: column::word(row, 1)?,
        path: row.get(2)?,
        mime: row.get(3)?,
        size: sides.0.zip(sides.1).map(|(width, height)| Size { width, height }),
        offset_ms: row.get(6)?,
        duration_ms: row.get(7)?,
        size_bytes: natural(row, 8)?,
        init_bytes: natural(row, 9)?,
        frame_count: natural(row, 10)?,
        is_closed: row.get(11)?,
        fragments: Vec::new(),
    })
}

/// Fragments lie one behind the other, so their offsets need not be kept.
fn fragments_to_text(fragments: &[Fragment]) -> String {
    let rows: Vec<_> = fragments.iter().map(|f| (f.at_ms, f.length, f.keyframe)).collect();
    serde_json::to_string(&rows).unwrap_or_default()
}

/// Text that cannot be read is an index that is not there: the file still plays as a whole.
fn fragments_of_text(text: &str, init_bytes: u64) -> Vec<Fragment> {
    let rows: Vec<(i64, u64, bool)> = serde_json::from_str(text).unwrap_or_default();
    let mut offset = init_bytes;
    let fragment = |(at_ms, length, keyframe)| {
        let fragment = Fragment { at_ms, offset, length, keyframe };
        offset += length;
        fragment
    };
    rows.into_iter().map(fragment).collect()
}

fn natural(row: &Row<'_>, index: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(index)?;
    u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(index, value))
}

fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

impl Kept {
    /// One that the disk has not answered about yet.
    pub(super) fn starting(about: About) -> Self {
        Self {
            about,
            storage_path: String::new(),
            status: Status::Starting,
            fault: None,
            is_public: false,
            segments: Vec::new(),
        }
    }

    pub(super) fn id(&self) -> RecordingId {
        self.about.recording_id
    }

    /// Owner or admin: may do with it what they like.
    pub(super) fn belongs_to(&self, person: &Person) -> bool {
        person.is_admin() || person.id == self.about.teacher_id
    }

    pub(super) fn is_seen_by(&self, person: &Person) -> bool {
        self.is_public || self.belongs_to(person)
    }

    pub(super) fn into_recording(self) -> super::Recording {
        let Self { about, status, fault, is_public, segments, .. } = self;
        let end_ms = segments.iter().map(|segment| segment.offset_ms + segment.duration_ms).max();
        let pictures = segments.iter().filter(|segment| segment.kind == TrackKind::ScreenVideo);
        super::Recording {
            id: about.recording_id,
            lesson_id: about.lesson_id,
            title: about.title,
            class_name: about.class_name,
            teacher_id: about.teacher_id,
            teacher_name: about.teacher_name,
            status,
            fault,
            started_at: about.started_at,
            duration_seconds: end_ms.unwrap_or(0) / 1_000,
            file_size_bytes: segments.iter().map(|segment| segment.size_bytes).sum(),
            frame_count: pictures.map(|segment| segment.frame_count).sum(),
            is_public,
            tracks: tracks(segments),
        }
    }
}

/// `segments` in any order.
pub(super) fn tracks(mut segments: Vec<SegmentFile>) -> Vec<Track> {
    segments.sort_by_key(|segment| (segment.kind, segment.offset_ms));
    let mut tracks: Vec<Track> = Vec::new();
    for file in segments {
        let kind = file.kind;
        let segment = Segment {
            id: file.id,
            mime: file.mime,
            offset_ms: file.offset_ms,
            duration_ms: file.duration_ms,
            size_bytes: file.size_bytes,
            init_bytes: file.init_bytes,
            fragments: file.fragments,
        };
        match tracks.last_mut() {
            Some(track) if track.kind == kind => track.segments.push(segment),
            _ => tracks.push(Track { id: kind, kind, segments: vec![segment] }),
        }
    }
    tracks
}

/// A row is never [`Status::Starting`]: it is written when that is over.
impl column::Word for Status {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("recording", Self::Recording),
        ("processing", Self::Processing),
        ("ready", Self::Ready),
        ("failed", Self::Failed),
    ];
}

impl column::Word for Fault {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("disk_full", Self::DiskFull),
        ("disk_failed", Self::DiskFailed),
        ("disk_too_slow", Self::DiskTooSlow),
        ("interrupted", Self::Interrupted),
        ("nothing_recorded", Self::NothingRecorded),
    ];
}

impl column::Word for TrackKind {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("screen_video", Self::ScreenVideo),
        ("screen_audio", Self::ScreenAudio),
        ("person_audio", Self::PersonAudio),
    ];
}
