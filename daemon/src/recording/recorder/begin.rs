//! How a recording gets its folder and its row, however long the disk takes.

use rusqlite::ErrorCode;
use thiserror::Error;

use crate::{
    db::DbError,
    floor::Floor,
    recording::{
        About, Fault, Status,
        board::Board,
        files::{Files, FilesError},
        store,
    },
};

#[derive(Debug, Error)]
pub(super) enum BeginError {
    #[error("cannot make a folder for a recording")]
    Folder(#[from] FilesError),
    #[error("cannot write down that a recording begins")]
    Row(#[from] DbError),
    #[error("the thread that makes a folder for a recording has died")]
    Died,
}

impl BeginError {
    /// What it means for the recording.
    pub(super) fn fault(&self) -> Fault {
        match self {
            Self::Folder(error) => error.fault(),
            Self::Row(DbError::Statement(error))
                if error.sqlite_error_code() == Some(ErrorCode::DiskFull) =>
            {
                Fault::DiskFull
            }
            Self::Row(_) | Self::Died => Fault::DiskFailed,
        }
    }
}

/// Where a recording is written to.
#[derive(Debug)]
pub(super) struct Place {
    pub files: Files,
    pub storage_path: String,
}

/// The row is written after the folder is there and before anything is in it: a folder with a
/// description in it always has a row, unless the database lost it.
pub(super) async fn begin(floor: Floor, board: Board, about: About) -> Result<Place, BeginError> {
    let storage = floor.config.storage.clone();
    let (teacher, lesson) = (about.teacher_id, about.lesson_id);
    let made = tokio::task::spawn_blocking(move || Files::create(&storage, teacher, lesson));
    let (files, storage_path) = made.await.map_err(|_| BeginError::Died)??;
    let path = storage_path.clone();
    let insert = move |tx: &rusqlite::Transaction<'_>| {
        // Somebody may have taken the lesson over meanwhile.
        let about = board.about(about.recording_id).unwrap_or(about);
        store::insert(tx, &about, &path, Status::Recording)
    };
    floor.db.write(insert).await?;
    Ok(Place { files, storage_path })
}
