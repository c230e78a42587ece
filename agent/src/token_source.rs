//! Where the token comes from: standard input, or a file that only its owner can read.
//!
//! Never the command line, where every user of the machine sees it. The text is wiped from memory
//! once parsed.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use alfarid_protocol::token::{MAX_LENGTH, SiteToken, TokenError};
use nix::fcntl::OFlag;
use thiserror::Error;
use zeroize::Zeroizing;

#[derive(Debug, Error)]
pub enum TokenSourceError {
    #[error("read the token from standard input")]
    Stdin(#[source] io::Error),
    #[error("read the token from {path}")]
    File { path: PathBuf, source: io::Error },
    #[error("{0} is not a plain file")]
    NotAFile(PathBuf),
    #[error("{path} can be read by others (mode {mode:04o}); run chmod 600 on it first")]
    ReadableByOthers { path: PathBuf, mode: u32 },
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// Reads one line of standard input.
pub fn from_stdin() -> Result<SiteToken, TokenSourceError> {
    first_line(io::stdin().lock()).map_err(TokenSourceError::Stdin)?.parse_token()
}

/// Reads the first line of `path`. The file's mode is looked at on the open file, so that it
/// cannot be exchanged in between.
pub fn from_file(path: &Path) -> Result<SiteToken, TokenSourceError> {
    let failed = |source| TokenSourceError::File { path: path.to_owned(), source };
    let file = OpenOptions::new()
        .read(true)
        .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits())
        .open(path)
        .map_err(failed)?;
    refuse_if_shared(&file, path)?;
    first_line(BufReader::new(file)).map_err(failed)?.parse_token()
}

fn refuse_if_shared(file: &File, path: &Path) -> Result<(), TokenSourceError> {
    let metadata = file
        .metadata()
        .map_err(|source| TokenSourceError::File { path: path.to_owned(), source })?;
    if !metadata.is_file() {
        return Err(TokenSourceError::NotAFile(path.to_owned()));
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(TokenSourceError::ReadableByOthers { path: path.to_owned(), mode });
    }
    Ok(())
}

struct Line(Zeroizing<String>);

impl Line {
    fn parse_token(&self) -> Result<SiteToken, TokenSourceError> {
        Ok(self.0.parse()?)
    }
}

fn first_line(reader: impl BufRead) -> io::Result<Line> {
    let mut line = Zeroizing::new(String::with_capacity(MAX_LENGTH + 2));
    // One byte more than a token may have: a longer line is then refused by its length.
    reader.take(MAX_LENGTH as u64 + 2).read_line(&mut line)?;
    Ok(Line(line))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    fn token() -> SiteToken {
        SiteToken {
            root_spki_sha256: [1; 32],
            secret: [2; 16],
            addresses: vec!["10.0.0.1:8444".into()],
        }
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        fs::write(&path, token().to_string()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = from_file(&path).unwrap_err();
        assert!(error.to_string().contains("chmod 600"), "{error}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(from_file(&path).unwrap(), token());
    }

    #[test]
    fn a_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (path, link) = (dir.path().join("token"), dir.path().join("link"));
        fs::write(&path, token().to_string()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(matches!(from_file(&link), Err(TokenSourceError::File { .. })));
    }
}
