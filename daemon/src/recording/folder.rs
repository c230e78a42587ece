//! A recording's folder:
//!
//! ```text
//!   <recordings>/<teacher>/<lesson>/
//!     metadata.json          everything needed to understand the rest without the database
//!     screen/0001.mp4 ...    the picture, a file for each change of its format
//!     audio/screen-0001.m4a  the screen's own sound
//!     audio/person-0001.m4a  the teacher's voice
//!     events/events.jsonl    what happened in the lesson, a line each
//! ```
//!
//! A second stretch of the same lesson gets `<lesson>-2`, and so on. A name is in its directory on
//! disk (`fsync`) before anything is written behind it.

use std::{
    fs, io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use alfarid_protocol::id::{LessonId, RecordingId, TeacherId};

use super::TrackKind;
use crate::files;

pub(super) const METADATA: &str = "metadata.json";
pub(super) const EVENTS: &str = "events/events.jsonl";

/// Recordings that were deleted go here first, so that a power cut in the middle brings none back.
/// A teacher's folder never begins with a dot.
const TRASH: &str = ".trash";

/// Files that are made for a download, and live for minutes.
pub(super) const SCRATCH: &str = ".scratch";

/// Stretches of one lesson: nobody presses the switch more often.
const MAX_STRETCHES: u32 = 1_000;

/// Reads a stretch of a file that may be growing.
pub(super) fn read_piece(path: &Path, offset: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    fs::File::open(path)?.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}

/// Makes the folder of a new stretch. Returns its path relative to `recordings`.
pub(super) fn create(
    recordings: &Path,
    teacher: TeacherId,
    lesson: LessonId,
) -> io::Result<String> {
    let of_teacher = recordings.join(teacher.to_string());
    if !of_teacher.is_dir() {
        fs::create_dir_all(&of_teacher)?;
        files::sync_dir(recordings)?;
    }
    for stretch in 1..=MAX_STRETCHES {
        let name = if stretch == 1 { lesson.to_string() } else { format!("{lesson}-{stretch}") };
        let folder = of_teacher.join(&name);
        match fs::create_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            made => made?,
        }
        for part in ["screen", "audio", "events"] {
            fs::create_dir(folder.join(part))?;
        }
        files::sync_dir(&folder)?;
        files::sync_dir(&of_teacher)?;
        return Ok(format!("{teacher}/{name}"));
    }
    Err(io::Error::from(io::ErrorKind::QuotaExceeded))
}

/// The folders below `recordings` that have a [`METADATA`], relative to it.
pub(super) fn find(recordings: &Path) -> Vec<String> {
    let mut found: Vec<_> = subdirectories(recordings)
        .filter(|(name, _)| !name.starts_with('.'))
        .flat_map(|(teacher, path)| {
            subdirectories(&path).map(move |(lesson, path)| (format!("{teacher}/{lesson}"), path))
        })
        .filter(|(_, path)| path.join(METADATA).is_file())
        .map(|(relative, _)| relative)
        .collect();
    found.sort_unstable();
    found
}

/// The `number`th segment of a track, relative to the recording's folder.
pub(super) fn segment_path(kind: TrackKind, number: usize, extension: &str) -> String {
    match kind {
        TrackKind::ScreenVideo => format!("screen/{number:04}.{extension}"),
        TrackKind::ScreenAudio => format!("audio/screen-{number:04}.{extension}"),
        TrackKind::PersonAudio => format!("audio/person-{number:04}.{extension}"),
    }
}

/// Bytes that may still be written where `path` lies.
pub(super) fn free_bytes(path: &Path) -> io::Result<u64> {
    let stat = nix::sys::statvfs::statvfs(path)?;
    Ok(stat.blocks_available() * stat.fragment_size())
}

/// Takes a recording's folder away in one step; what is left is to remove the returned path.
pub(super) fn throw_away(
    recordings: &Path,
    storage_path: &str,
    id: RecordingId,
) -> io::Result<PathBuf> {
    let trash = recordings.join(TRASH);
    let away = trash.join(id.to_string());
    let folder = recordings.join(storage_path);
    fs::create_dir_all(&trash)?;
    match fs::rename(&folder, &away) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => fs::create_dir_all(&away)?,
        renamed => renamed?,
    }
    files::sync_dir(&trash)?;
    Ok(away)
}

/// Recordings in the trash, with their folders there.
pub(super) fn trashed(recordings: &Path) -> Vec<(RecordingId, PathBuf)> {
    let entries = subdirectories(&recordings.join(TRASH));
    entries.filter_map(|(name, path)| Some((name.parse().ok()?, path))).collect()
}

/// Removes a folder and all that is in it. It may be gone already.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn subdirectories(path: &Path) -> impl Iterator<Item = (String, PathBuf)> + use<> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stretch_of_a_lesson_has_a_folder_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let (teacher, lesson) = (TeacherId(uuid::Uuid::nil()), LessonId(uuid::Uuid::max()));
        let first = create(dir.path(), teacher, lesson).unwrap();
        let second = create(dir.path(), teacher, lesson).unwrap();
        assert_eq!(first, format!("{teacher}/{lesson}"));
        assert_eq!(second, format!("{teacher}/{lesson}-2"));
        assert!(dir.path().join(&second).join("screen").is_dir());
        assert!(find(dir.path()).is_empty(), "not described yet");
        files::replace(&dir.path().join(&first).join(METADATA), b"{}").unwrap();
        assert_eq!(find(dir.path()), [first]);
    }
}
