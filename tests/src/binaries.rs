//! Finds the product's binaries: in `ALFARID_BIN_DIR`, or beside the test's own executable
//! (`target/debug` for a debug test, `target/release` for a bench).

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

const DIR: &str = "ALFARID_BIN_DIR";

/// `alfarid-daemon`, ready for its arguments.
pub fn daemon() -> Result<Command> {
    find("alfarid-daemon").map(Command::new)
}

/// `alfarid-agent`, ready for its arguments.
pub fn agent() -> Result<Command> {
    find("alfarid-agent").map(Command::new)
}

/// `alfarid-player`, ready for its arguments.
pub fn player() -> Result<Command> {
    find("alfarid-player").map(Command::new)
}

fn find(name: &str) -> Result<PathBuf> {
    let dir = match std::env::var_os(DIR) {
        Some(dir) => PathBuf::from(dir),
        None => beside_the_test()?,
    };
    let path = dir.join(name);
    ensure!(path.is_file(), "{} is not there: build it, or set {DIR}", path.display());
    Ok(path)
}

/// Tests lie in `deps` under the directory of the binaries, benches and tools in it.
fn beside_the_test() -> Result<PathBuf> {
    let test = std::env::current_exe().context("find the test's executable")?;
    let dir = test.parent().context("the test's executable lies nowhere")?;
    let above = dir.parent().filter(|_| dir.ends_with("deps"));
    Ok(above.unwrap_or(dir).to_owned())
}

/// A file of `tests/browser`.
pub(crate) fn browser_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("browser").join(name)
}
