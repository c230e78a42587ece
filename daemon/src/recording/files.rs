//! The files of one recording, and the only place that writes them.
//!
//! Everything here blocks, on an SD card for seconds: it runs on a blocking thread, one batch of
//! jobs after the other. A batch is on disk (`fdatasync`) when it returns, all of it or nothing:
//! where one job fails, every file is cut back to what was whole before, so that nothing torn
//! stays and nothing is told of that is not there.

use std::{
    collections::{BTreeSet, HashMap},
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use alfarid_protocol::id::{LessonId, TeacherId};
use nix::errno::Errno;
use thiserror::Error;

use super::{Fault, SegmentId, folder};
use crate::{config::Storage, files};

#[derive(Debug, Error)]
pub(super) enum FilesError {
    #[error("only {free_mb} MiB are free where recordings go")]
    Full { free_mb: u64 },
    #[error("cannot {doing} {path}")]
    Failed {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl FilesError {
    fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Failed { doing, path: path.to_owned(), source }
    }

    /// What it means for the recording.
    pub(super) fn fault(&self) -> Fault {
        match self {
            Self::Full { .. } => Fault::DiskFull,
            Self::Failed { source, .. } => match source.raw_os_error().map(Errno::from_raw) {
                Some(Errno::ENOSPC | Errno::EDQUOT) => Fault::DiskFull,
                _ => Fault::DiskFailed,
            },
        }
    }
}

#[derive(Debug)]
pub(super) enum Job {
    /// The text of `metadata.json`.
    Describe(Vec<u8>),
    /// A line of `events.jsonl`, with its end.
    Event(Vec<u8>),
    Open {
        segment: SegmentId,
        path: String,
        head: Vec<u8>,
    },
    Append {
        segment: SegmentId,
        bytes: Vec<u8>,
    },
    Close {
        segment: SegmentId,
    },
}

impl Job {
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Describe(bytes)
            | Self::Event(bytes)
            | Self::Open { head: bytes, .. }
            | Self::Append { bytes, .. } => bytes.len(),
            Self::Close { .. } => 0,
        }
    }
}

/// The open files of one recording. Dropping them closes them.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    min_free_bytes: u64,
    open: HashMap<Which, Growing>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Which {
    Segment(SegmentId),
    Events,
}

#[derive(Debug)]
struct Growing {
    path: PathBuf,
    file: File,
    written: u64,
    /// Up to where it is on disk.
    safe: u64,
}

impl Files {
    /// Makes the folder of a new stretch, if there is room. Returns its path too, relative to the
    /// recordings directory.
    pub(super) fn create(
        storage: &Storage,
        teacher: TeacherId,
        lesson: LessonId,
    ) -> Result<(Self, String), FilesError> {
        let recordings = &storage.recordings_dir;
        let min_free_bytes = storage.min_free_mb << 20;
        let made = fs::create_dir_all(recordings);
        made.map_err(FilesError::failed("make the directory", recordings))?;
        check_room(recordings, min_free_bytes)?;
        let storage_path = folder::create(recordings, teacher, lesson)
            .map_err(FilesError::failed("make a folder in", recordings))?;
        let folder = recordings.join(&storage_path);
        Ok((Self { folder, min_free_bytes, open: HashMap::new() }, storage_path))
    }

    /// Does the jobs in order. All of it is on disk, or none of it.
    pub(super) fn run(&mut self, jobs: &[Job]) -> Result<(), FilesError> {
        check_room(&self.folder, self.min_free_bytes)?;
        let mut touched = BTreeSet::new();
        let done = jobs
            .iter()
            .try_for_each(|job| self.write(job, &mut touched))
            .and_then(|()| touched.iter().try_for_each(|which| self.sync(*which)));
        if done.is_err() {
            for which in touched {
                self.cut_back(which);
            }
            return done;
        }
        for job in jobs {
            if let Job::Close { segment } = job {
                self.open.remove(&Which::Segment(*segment));
            }
        }
        Ok(())
    }

    fn write(&mut self, job: &Job, touched: &mut BTreeSet<Which>) -> Result<(), FilesError> {
        match job {
            Job::Describe(text) => {
                let path = self.folder.join(folder::METADATA);
                files::replace(&path, text).map_err(FilesError::failed("replace", &path))
            }
            Job::Event(line) => {
                touched.insert(Which::Events);
                self.events()?.append(line)
            }
            Job::Open { segment, path, head } => {
                let path = self.folder.join(path);
                touched.insert(Which::Segment(*segment));
                let growing = Growing::create(path)?;
                self.open
                    .entry(Which::Segment(*segment))
                    .insert_entry(growing)
                    .get_mut()
                    .append(head)
            }
            Job::Append { segment, bytes } => {
                touched.insert(Which::Segment(*segment));
                match self.open.get_mut(&Which::Segment(*segment)) {
                    Some(growing) => growing.append(bytes),
                    None => Ok(()),
                }
            }
            Job::Close { .. } => Ok(()),
        }
    }

    fn events(&mut self) -> Result<&mut Growing, FilesError> {
        let path = self.folder.join(folder::EVENTS);
        match self.open.entry(Which::Events) {
            std::collections::hash_map::Entry::Occupied(events) => Ok(events.into_mut()),
            std::collections::hash_map::Entry::Vacant(place) => {
                Ok(place.insert(Growing::create(path)?))
            }
        }
    }

    fn sync(&mut self, which: Which) -> Result<(), FilesError> {
        self.open.get_mut(&which).map_or(Ok(()), Growing::sync)
    }

    /// What cannot even be cut back is for the next start's salvage.
    fn cut_back(&mut self, which: Which) {
        let Some(growing) = self.open.get_mut(&which) else { return };
        let path = growing.path.display();
        let cut = match growing.safe {
            0 => fs::remove_file(&growing.path),
            safe => growing.file.set_len(safe),
        };
        if let Err(error) = cut {
            tracing::warn!(error = %error, "cannot cut {path} back: {error}");
        }
    }
}

fn check_room(path: &Path, min_free_bytes: u64) -> Result<(), FilesError> {
    let free =
        folder::free_bytes(path).map_err(FilesError::failed("ask for the room left in", path))?;
    if free < min_free_bytes {
        return Err(FilesError::Full { free_mb: free >> 20 });
    }
    Ok(())
}

impl Growing {
    fn create(path: PathBuf) -> Result<Self, FilesError> {
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(&path)
            .map_err(FilesError::failed("create", &path))?;
        let parent = path.parent().unwrap_or(Path::new("."));
        files::sync_dir(parent).map_err(FilesError::failed("sync", parent))?;
        Ok(Self { path, file, written: 0, safe: 0 })
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), FilesError> {
        self.file.write_all(bytes).map_err(FilesError::failed("write to", &self.path))?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    fn sync(&mut self) -> Result<(), FilesError> {
        self.file.sync_data().map_err(FilesError::failed("sync", &self.path))?;
        self.safe = self.written;
        Ok(())
    }
}
