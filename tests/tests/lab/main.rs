//! The lab keeps its own promises: wires that carry and lose what they should, processes whose
//! every word and end is known, a browser that shares its screen, and nothing left behind.
//!
//! Needs root.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod browser;
mod client;
mod discovery;
mod leaving;
mod processes;
mod site;
mod wires;

use std::{process::Command, time::Duration};

/// For what takes a moment: a limit that only a failure reaches.
const SOON: Duration = Duration::from_secs(10);

fn shell(script: &str) -> Command {
    let mut command = Command::new("bash");
    command.args(["-c", script]);
    command
}
