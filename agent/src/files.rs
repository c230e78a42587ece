//! Files that must be whole or absent, whatever happens to the power.
//!
//! A file or a folder is written under another name, flushed to the disk, and then takes its
//! place in one step; the folder around it is flushed too, or the step itself could be lost.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

const PRIVATE_FILE: u32 = 0o600;
const PRIVATE_DIR: u32 = 0o700;

/// Writes a new file that only its owner reads, and flushes it.
pub(crate) fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(PRIVATE_FILE).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Puts `content` in the place of `path`: a reader sees the old file or the new one.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension("new");
    remove_if_there(&fresh)?;
    write_new(&fresh, content)?;
    fs::rename(&fresh, path)?;
    sync_around(path)
}

/// Makes a folder that only its owner enters, with all above it.
pub(crate) fn private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(PRIVATE_DIR).create(path)
}

/// Puts the folder `fresh` in the place of `dir`, in one step. What was there before is removed.
pub(crate) fn replace_dir(fresh: &Path, dir: &Path) -> io::Result<()> {
    sync(fresh)?;
    if dir.exists() {
        renameat2(AT_FDCWD, fresh, AT_FDCWD, dir, RenameFlags::RENAME_EXCHANGE)?;
        sync_around(dir)?;
        return fs::remove_dir_all(fresh);
    }
    fs::rename(fresh, dir)?;
    sync_around(dir)
}

pub(crate) fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Flushes the folder that `path` stands in, and with it the name `path`.
pub(crate) fn sync_around(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync(parent),
        _ => sync(Path::new(".")),
    }
}

fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_takes_the_place_of_another_whole() {
        let dir = tempfile::tempdir().unwrap();
        let (place, fresh) = (dir.path().join("identity"), dir.path().join("fresh"));
        for (old, new) in [(None, "1"), (Some("1"), "2")] {
            assert_eq!(fs::read_to_string(place.join("n")).ok().as_deref(), old);
            private_dir(&fresh).unwrap();
            write_new(&fresh.join("n"), new.as_bytes()).unwrap();
            replace_dir(&fresh, &place).unwrap();
            assert_eq!(fs::read_to_string(place.join("n")).unwrap(), new);
            assert!(!fresh.exists());
        }
    }

    #[test]
    fn a_file_is_replaced_even_after_a_half_written_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("address");
        fs::write(path.with_extension("new"), "half").unwrap();
        replace(&path, b"whole").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
    }
}
