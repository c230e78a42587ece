//! What a power cut left, put in order at the next start.
//!
//! ```text
//!   row says recording or processing ─┐
//!                                     ├─▶ read its files, cut torn tails ─▶ ready, interrupted
//!   folder that no row knows ─────────┘                                 └─▶ failed: nothing plays
//!   folder in the trash ──▶ deleted for good, its row with it
//! ```
//!
//! All of it runs beside the day's work, one recording after the other on one thread: looking
//! through a big or slow disk takes a while, and a lesson that begins meanwhile is recorded. What
//! is on the board is being recorded by this very process, and is none of it; an earlier stretch of
//! the same lesson, which the power cut ended, is.
//!
//! Nothing that plays is ever deleted: a tail behind the last whole fragment is cut off, a file
//! without a single fragment is removed, and each is logged with its size. A file that neither a
//! row nor `metadata.json` knows stays where it is and is logged.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    path::{Component, Path},
};

use tracing::{Instrument, Span};

use super::{
    About, Fault, SegmentFile, Status,
    board::Board,
    container::{Container, Torn, whole_ms},
    export::Exporter,
    folder,
    metadata::{Metadata, Standing},
    store::{self, Kept},
};
use crate::{
    db::DbError,
    events::Event,
    files,
    floor::Floor,
    logging::{self, chain},
};

/// What is to be put in order.
#[derive(Debug, Default)]
struct Survey {
    unfinished: Vec<Kept>,
    /// Folders without a row.
    unknown: Vec<String>,
}

/// A recording to be read back.
#[derive(Debug)]
struct Wreck {
    about: About,
    storage_path: String,
    known: Vec<SegmentFile>,
    fault: Option<Fault>,
}

impl Wreck {
    fn span(&self) -> Span {
        logging::recording(self.about.recording_id, self.about.lesson_id)
    }
}

/// Puts everything in order.
pub(super) async fn run(floor: Floor, board: Board, exporter: Exporter) {
    let survey = survey(&floor, board).await;
    empty_trash(&floor).await;
    exporter.clear().await;
    for kept in survey.unfinished {
        let Kept { about, storage_path, segments: known, .. } = kept;
        let wreck = Wreck { about, storage_path, known, fault: Some(Fault::Interrupted) };
        let span = wreck.span();
        restore(&floor, wreck).instrument(span).await;
    }
    for storage_path in survey.unknown {
        if let Some(wreck) = adopt(&floor, storage_path).await {
            let span = wreck.span();
            restore(&floor, wreck).instrument(span).await;
        }
    }
}

/// Opens no media file.
async fn survey(floor: &Floor, board: Board) -> Survey {
    let recordings = floor.config.storage.recordings_dir.clone();
    // Folders before rows: one that begins between the two has a row then.
    let found = tokio::task::spawn_blocking(move || folder::find(&recordings)).await;
    let rows = floor.db.write(move |tx| {
        let running = board.ids();
        let mut torn = store::unfinished(tx)?;
        torn.retain(|kept| !running.contains(&kept.id()));
        torn.iter().try_for_each(|kept| store::mark_processing(tx, kept.id()))?;
        Ok::<_, DbError>((torn, store::storage_paths(tx)?))
    });
    match rows.await {
        Ok((unfinished, known)) => {
            let found = found.unwrap_or_default().into_iter();
            Survey { unfinished, unknown: found.filter(|path| !known.contains(path)).collect() }
        }
        Err(error) => {
            let cause = chain(&error);
            tracing::error!(error = %cause, "cannot look for torn recordings: {cause}");
            Survey::default()
        }
    }
}

async fn restore(floor: &Floor, wreck: Wreck) {
    let Wreck { about, storage_path, known, fault } = wreck;
    let path = floor.config.storage.recordings_dir.join(&storage_path);
    let (recording_id, lesson_id) = (about.recording_id, about.lesson_id);
    let box_id = floor.box_id;
    let ended_at = Some(floor.clock.now());
    let read_back = logging::spawn_blocking(move || {
        let (alive, dead) = read_back(&path, known);
        let standing = if alive.is_empty() {
            Standing { status: Status::Failed, fault: Some(Fault::NothingRecorded), ended_at }
        } else {
            Standing { status: Status::Ready, fault, ended_at }
        };
        let text = Metadata::new(box_id, &about, standing, &alive).to_bytes();
        if let Err(error) = files::replace(&path.join(folder::METADATA), &text) {
            tracing::warn!(error = %error, "cannot describe {storage_path}: {error}");
        }
        (alive, dead, standing)
    });
    let Ok((alive, dead, standing)) = read_back.await else { return };
    let seconds = alive.iter().map(|s| s.offset_ms + s.duration_ms).max().unwrap_or(0) / 1_000;
    let written = floor.db.write(move |tx| {
        dead.iter().try_for_each(|segment| store::remove_segment(tx, segment))?;
        store::save_segments(tx, recording_id, &alive)?;
        store::set_standing(tx, recording_id, standing)
    });
    match written.await {
        Ok(()) => tracing::info!(
            seconds,
            "recording {recording_id} was read back: {seconds} s, {:?}",
            standing.status,
        ),
        Err(error) => {
            let error: DbError = error;
            tracing::error!(error = %chain(&error), "cannot write down what was salvaged: {}", chain(&error));
        }
    }
    floor.events.tell(Event::RecordingChanged { recording_id, lesson_id });
}

/// Makes a row for a folder that no row knows.
async fn adopt(floor: &Floor, storage_path: String) -> Option<Wreck> {
    let path = floor.config.storage.recordings_dir.join(&storage_path).join(folder::METADATA);
    let text = tokio::fs::read(&path).await.ok()?;
    let metadata: Metadata = match serde_json::from_slice(&text) {
        Ok(metadata) => metadata,
        Err(error) => {
            tracing::warn!("{storage_path} is not understood and left alone: {error}");
            return None;
        }
    };
    let about = metadata.about;
    let (row, path) = (about.clone(), storage_path.clone());
    let insert =
        move |tx: &rusqlite::Transaction<'_>| store::insert(tx, &row, &path, Status::Processing);
    if let Err(error) = floor.db.write(insert).await {
        let error: DbError = error;
        tracing::warn!(
            lesson.id = %about.lesson_id, error = %chain(&error),
            "{storage_path} cannot be adopted: {}", chain(&error),
        );
        return None;
    }
    tracing::info!(
        lesson.id = %about.lesson_id,
        "recording {storage_path} was not in the database and is adopted",
    );
    let known = metadata.segments.into_iter().map(super::metadata::Segment::into_file).collect();
    let fault = match metadata.status {
        Status::Ready | Status::Failed => metadata.fault,
        Status::Starting | Status::Recording | Status::Processing => Some(Fault::Interrupted),
    };
    Some(Wreck { about, storage_path, known, fault })
}

/// Reads every file of a recording. Returns the segments that play and those that do not.
fn read_back(path: &Path, mut known: Vec<SegmentFile>) -> (Vec<SegmentFile>, Vec<SegmentFile>) {
    for segment in described(path) {
        if known.iter().all(|other| other.path != segment.path) {
            known.push(segment);
        }
    }
    report_strangers(path, &known);
    if let Err(error) = cut_last_line(&path.join(folder::EVENTS)) {
        tracing::warn!(error = %error, "cannot read the events in {}: {error}", path.display());
    }
    let (mut alive, mut dead) = (Vec::new(), Vec::new());
    for mut segment in known {
        match cut_tail(path, &mut segment) {
            Ok(()) => alive.push(segment),
            Err(error) => {
                let file = path.join(&segment.path);
                tracing::warn!(error = %chain(&error), "{}: {}", file.display(), chain(&error));
                dead.push(segment);
            }
        }
    }
    (alive, dead)
}

/// What `metadata.json` knows: a segment may be younger than the newest rows.
fn described(path: &Path) -> Vec<SegmentFile> {
    let text = fs::read(path.join(folder::METADATA)).unwrap_or_default();
    let Ok(metadata) = serde_json::from_slice::<Metadata>(&text) else { return Vec::new() };
    metadata.segments.into_iter().map(super::metadata::Segment::into_file).collect()
}

/// Cuts the file back to its last whole fragment, and says in `segment` what it holds.
fn cut_tail(folder: &Path, segment: &mut SegmentFile) -> Result<(), Torn> {
    let is_inside =
        Path::new(&segment.path).components().all(|c| matches!(c, Component::Normal(_)));
    if !is_inside {
        return Err(Torn::Unexpected("its path leads out of the recording"));
    }
    let path = folder.join(&segment.path);
    let mut file = OpenOptions::new().read(true).write(true).open(&path)?;
    let file_bytes = file.metadata()?.len();
    let contents = match Container::of_mime(&segment.mime).contents(&mut file) {
        Ok(contents) if !contents.fragments.is_empty() => contents,
        Ok(_) | Err(Torn::End) => {
            tracing::warn!("{} held no fragment in {file_bytes} bytes: removed", path.display());
            fs::remove_file(&path)?;
            return Err(Torn::End);
        }
        Err(error) => return Err(error),
    };
    if contents.whole_bytes < file_bytes {
        let cut = file_bytes - contents.whole_bytes;
        tracing::warn!(cut_bytes = cut, "{} had a torn tail of {cut} bytes: cut", path.display());
        file.set_len(contents.whole_bytes)?;
        file.sync_all()?;
    }
    segment.size_bytes = contents.whole_bytes;
    segment.init_bytes = contents.head_bytes;
    segment.frame_count = contents.frames;
    segment.duration_ms = whole_ms(contents.duration_us);
    segment.fragments = contents.fragments;
    segment.is_closed = true;
    Ok(())
}

/// A last line without its end was being written.
fn cut_last_line(path: &Path) -> io::Result<()> {
    let mut file = match OpenOptions::new().read(true).write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    let whole = whole_lines(&mut file)?;
    if whole < file.seek(SeekFrom::End(0))? {
        file.set_len(whole)?;
        file.sync_all()?;
    }
    Ok(())
}

fn whole_lines(file: &mut File) -> io::Result<u64> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let last_end = bytes.iter().rposition(|&byte| byte == b'\n');
    Ok(last_end.map_or(0, |at| at as u64 + 1))
}

fn report_strangers(path: &Path, known: &[SegmentFile]) {
    for part in ["screen", "audio"] {
        for entry in fs::read_dir(path.join(part)).into_iter().flatten().flatten() {
            let name = format!("{part}/{}", entry.file_name().to_string_lossy());
            if known.iter().all(|segment| segment.path != name) {
                tracing::warn!(
                    "{} is not described anywhere and left alone",
                    path.join(name).display()
                );
            }
        }
    }
}

/// Ends what a deletion began.
async fn empty_trash(floor: &Floor) {
    let recordings = floor.config.storage.recordings_dir.clone();
    let listed = tokio::task::spawn_blocking(move || folder::trashed(&recordings)).await;
    for (recording, path) in listed.unwrap_or_default() {
        let deleted = floor.db.write(move |tx| store::delete(tx, recording)).await;
        if let Err(error) = deleted {
            let error: DbError = error;
            tracing::warn!(error = %chain(&error), "a deleted recording is still known: {}", chain(&error));
            continue;
        }
        let remove = move || {
            if let Err(error) = folder::remove(&path) {
                tracing::warn!(error = %error, "cannot remove {}: {error}", path.display());
            }
        };
        // A thread that died has said so.
        let _ = tokio::task::spawn_blocking(remove).await;
    }
}
