//! Private files that must be whole after a power cut: written beside, synced, renamed. What a
//! function here has done is on disk when it returns.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

/// Writes a file that only the box's own user can read. Replaces an older one in one step.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    write_new(&beside, content)?;
    rename(&beside, path)
}

/// Moves a file within its file system, into the place of one that may be there.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    sync_parent(to)
}

/// Copies a file over what `to` holds. Not in one step: a power cut leaves half of it.
pub fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::copy(from, to)?;
    File::open(to)?.sync_all()?;
    sync_parent(to)
}

/// A directory that only the box's own user can enter. It may exist already.
pub fn private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Puts the directory `fresh` in the place of `path`, where nothing is.
pub fn place_dir(fresh: &Path, path: &Path) -> io::Result<()> {
    sync_dir(fresh)?;
    rename(fresh, path)
}

/// Removes a file, for good as far as the file system goes. It may be gone already.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => sync_parent(path),
    }
}

/// The names in a directory are on disk when it is synced itself.
pub fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), sync_dir)
}
