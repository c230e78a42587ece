//! The box as a service: what systemd gives it, what it says, how it takes up new settings, and
//! what it hears by a microphone of its own.
//!
//! Needs root, and `systemd` for its programs: no systemd has to run.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod installed;
mod journal;
mod microphone;
mod settings;

use std::time::Duration;

/// For what takes a moment: a limit that only a failure reaches.
const SOON: Duration = Duration::from_secs(20);
