//! A recording as one file, to take away.
//!
//! Made when somebody asks for it, in a scratch directory beside the recordings (they are on the
//! biggest disk), and gone when it was sent or nobody wants it any more. One at a time: it reads
//! and writes as much as the disk gives, while lessons are being recorded to the same disk.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use alfarid_stream::Size;
use tokio::{fs::File, sync::Semaphore};
use tokio_util::sync::CancellationToken;

use super::{
    About, Error, SegmentFile, TrackKind,
    container::Container,
    folder,
    pipeline::{self, JoinError},
    store::Kept,
};
use crate::{clock::Clock, config::Storage, events::Fragment};

/// One file of a track, and where it stands.
#[derive(Debug)]
pub(super) struct Part {
    pub path: PathBuf,
    pub container: Container,
    /// From the recording's start.
    pub start_us: u64,
    /// Of pictures.
    pub size: Option<Size>,
    pub head_bytes: u64,
    pub fragments: Vec<Fragment>,
}

/// What goes into the file.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub video: Vec<Part>,
    /// Each sort of sound.
    pub sounds: Vec<Vec<Part>>,
}

/// A recording in one file.
#[derive(Debug)]
pub struct Export {
    pub file_name: String,
    pub mime: &'static str,
    pub size_bytes: u64,
    /// Has no name any more: it is gone when this is closed.
    pub file: File,
}

/// Makes exports, one at a time.
#[derive(Clone, Debug)]
pub(super) struct Exporter {
    turn: Arc<Semaphore>,
    storage: Storage,
    clock: Clock,
}

impl Exporter {
    pub(super) fn new(storage: Storage, clock: Clock) -> Self {
        Self { turn: Arc::new(Semaphore::new(1)), storage, clock }
    }

    /// `kept` with its fragments, and not running. Dropping the future stops the work.
    pub(super) async fn export(&self, kept: Kept) -> Result<Export, Error> {
        let recording = kept.about.recording_id;
        let turn = Arc::clone(&self.turn).try_acquire_owned().map_err(|_| Error::ExportBusy)?;
        let size_bytes: u64 = kept.segments.iter().map(|segment| segment.size_bytes).sum();
        self.check_room(size_bytes)?;
        let plan = Plan::of(&self.storage.recordings_dir.join(&kept.storage_path), kept.segments);
        let (extension, mime) =
            if plan.is_webm() { ("webm", "video/webm") } else { ("mp4", "video/mp4") };
        let file_name = file_name(&kept.about, extension);
        let name = format!("{}.{extension}", self.clock.id::<uuid::Uuid>());
        let target = self.storage.recordings_dir.join(folder::SCRATCH).join(name);
        let stop = CancellationToken::new();
        let _wanted = stop.clone().drop_guard();
        let made = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            make(&plan, &target, &stop)
        });
        let made = made.await.map_err(|_| Error::Stopped)?;
        let file = made.map_err(|source| Error::Export { recording, source })?;
        let size_bytes = file.metadata().map_or(0, |metadata| metadata.len());
        Ok(Export { file_name, mime, size_bytes, file: File::from_std(file) })
    }

    /// Removes what an earlier process left half made.
    pub(super) async fn clear(&self) {
        // None is being made meanwhile: what lies there is nobody's.
        let Ok(turn) = Arc::clone(&self.turn).acquire_owned().await else { return };
        let scratch = self.storage.recordings_dir.join(folder::SCRATCH);
        let cleared = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            folder::remove(&scratch)
        });
        if let Ok(Err(error)) = cleared.await {
            tracing::warn!(error = %error, "cannot clear the scratch directory: {error}");
        }
    }

    fn check_room(&self, size_bytes: u64) -> Result<(), Error> {
        // Where the disk does not say, writing will.
        let free = folder::free_bytes(&self.storage.recordings_dir).unwrap_or(u64::MAX);
        let needed = size_bytes + size_bytes / 8 + (self.storage.min_free_mb << 20);
        if free < needed { Err(Error::DiskFull { free_mb: free >> 20 }) } else { Ok(()) }
    }
}

/// Joins, opens, and takes the name away.
fn make(plan: &Plan, target: &Path, stop: &CancellationToken) -> Result<fs::File, JoinError> {
    let failed = |error: io::Error| JoinError::Failed(error.to_string());
    target.parent().map_or(Ok(()), fs::create_dir_all).map_err(failed)?;
    let joined =
        pipeline::join(plan, target, stop).and_then(|()| fs::File::open(target).map_err(failed));
    // Not there where nothing was written.
    let _ = fs::remove_file(target);
    joined
}

impl Plan {
    fn of(folder: &Path, mut segments: Vec<SegmentFile>) -> Self {
        segments.retain(|segment| !segment.fragments.is_empty());
        segments.sort_by_key(|segment| segment.offset_ms);
        let mut tracks = [const { Vec::new() }; 3];
        let [video, programme, voice] = &mut tracks;
        for segment in segments {
            let part = Part::of(folder, &segment);
            match segment.kind {
                TrackKind::ScreenVideo => video.push(part),
                TrackKind::ScreenAudio => programme.push(part),
                TrackKind::PersonAudio => voice.push(part),
            }
        }
        let [video, programme, voice] = tracks;
        let sounds = [programme, voice].into_iter().filter(|parts| !parts.is_empty());
        Self { sounds: sounds.collect(), video }
    }

    /// Nothing but VP8 goes into WebM, everything else into MP4.
    pub(super) fn is_webm(&self) -> bool {
        !self.video.is_empty() && self.video.iter().all(Part::is_vp8)
    }

    /// Every track with a name for it.
    pub(super) fn inputs(&self) -> impl Iterator<Item = (String, &[Part])> {
        let video = Some(&self.video).filter(|parts| !parts.is_empty());
        let sounds = self.sounds.iter().enumerate();
        let sounds = sounds.map(|(n, parts)| (format!("sound{n}"), &parts[..]));
        video.map(|parts| ("video".to_owned(), &parts[..])).into_iter().chain(sounds)
    }
}

impl Part {
    pub(super) fn is_vp8(&self) -> bool {
        self.container == Container::WebM
    }

    fn of(folder: &Path, segment: &SegmentFile) -> Self {
        Self {
            path: folder.join(&segment.path),
            container: Container::of_mime(&segment.mime),
            start_us: u64::try_from(segment.offset_ms).unwrap_or(0) * 1_000,
            size: segment.size,
            head_bytes: segment.init_bytes,
            fragments: segment.fragments.clone(),
        }
    }
}

/// What it is and when it was, without what file systems do not take.
fn file_name(about: &About, extension: &str) -> String {
    let date = jiff::Timestamp::from_millisecond(about.started_at.0).unwrap_or_default();
    let title: String = about
        .title
        .chars()
        .map(|c| if c.is_control() || r#"/\:*?"<>|"#.contains(c) { ' ' } else { c })
        .collect();
    format!("{} {}.{extension}", date.strftime("%Y-%m-%d"), title.trim())
}
