//! The box's folder of videos: what lies there, and the file behind a name.
//!
//! People put videos there by any means but these pages; the folder is read anew each time. A name
//! never leads out of it, whatever it says, and no symbolic link does either.

use std::{io, path::PathBuf};

use serde::Serialize;
use utoipa::ToSchema;

/// So many are listed at most, for a list in a menu: the first by name.
const MOST: usize = 500;

/// Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Videos {
    folder: PathBuf,
}

/// What lies in the folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Shelf {
    /// Where to put more.
    pub folder: String,
    pub items: Vec<Video>,
}

/// A file that may be put on air. Whether it is a video shows when it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
pub struct Video {
    /// What a source takes as its `path`.
    pub name: String,
    pub size_bytes: u64,
}

impl Videos {
    /// The folder need not be there.
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// By name. Hidden files and folders below are left out.
    pub(super) async fn list(&self) -> Result<Shelf, io::Error> {
        let mut items = Vec::new();
        let mut entries = match tokio::fs::read_dir(&self.folder).await {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(self.shelf(items)),
            Err(error) => return Err(error),
        };
        while let Some(entry) = entries.next_entry().await? {
            // One that is being moved away, or whose name no page could say.
            let (Ok(about), Ok(name)) = (entry.metadata().await, entry.file_name().into_string())
            else {
                continue;
            };
            if about.is_file() && !name.starts_with('.') {
                items.push(Video { name, size_bytes: about.len() });
            }
        }
        items.sort();
        items.truncate(MOST);
        Ok(self.shelf(items))
    }

    /// The file of this name, if it lies in the folder.
    pub(super) async fn file(&self, name: &str) -> Option<PathBuf> {
        let folder = tokio::fs::canonicalize(&self.folder).await.ok()?;
        let path = tokio::fs::canonicalize(folder.join(name)).await.ok()?;
        let is_file = tokio::fs::metadata(&path).await.is_ok_and(|found| found.is_file());
        (is_file && path.starts_with(&folder)).then_some(path)
    }

    fn shelf(&self, items: Vec<Video>) -> Shelf {
        Shelf { folder: self.folder.display().to_string(), items }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(shelf: Shelf) -> Vec<String> {
        shelf.items.into_iter().map(|video| video.name).collect()
    }

    #[tokio::test]
    async fn a_folder_that_is_not_there_is_empty() {
        let scratch = tempfile::tempdir().unwrap();
        let shelf = Videos::new(scratch.path().join("videos")).list().await.unwrap();
        assert!(shelf.items.is_empty());
        assert!(shelf.folder.ends_with("/videos"));
    }

    #[tokio::test]
    async fn it_lists_files_by_name_and_nothing_hidden() {
        let scratch = tempfile::tempdir().unwrap();
        std::fs::create_dir(scratch.path().join("older")).unwrap();
        for name in ["b.mp4", "a.mkv", ".b.mp4.part"] {
            std::fs::write(scratch.path().join(name), "film").unwrap();
        }
        let shelf = Videos::new(scratch.path().to_owned()).list().await.unwrap();
        assert_eq!(shelf.items[0], Video { name: "a.mkv".into(), size_bytes: 4 });
        assert_eq!(names(shelf), ["a.mkv", "b.mp4"]);
    }

    #[tokio::test]
    async fn no_name_leads_out_of_it() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("videos");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(scratch.path().join("secret"), "").unwrap();
        std::fs::write(folder.join("film.mp4"), "").unwrap();
        std::os::unix::fs::symlink("../secret", folder.join("link.mp4")).unwrap();
        let videos = Videos::new(folder);
        assert!(videos.file("film.mp4").await.is_some());
        for name in ["../secret", "/etc/passwd", "link.mp4", ".", "none.mp4"] {
            assert_eq!(videos.file(name).await, None, "{name}");
        }
        assert_eq!(names(videos.list().await.unwrap()), ["film.mp4"]);
    }
}
