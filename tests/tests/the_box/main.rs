//! The box as a service: what systemd gives it, what its journal tells, and what it hears by a
//! microphone of its own. (What a process alone can show is in the daemon's own tests.)
//!
//! Needs root, and `systemd` for its programs: no systemd has to run.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod installed;
mod journal;
mod microphone;

use std::time::Duration;

/// For what takes a moment: a limit that only a failure reaches.
const SOON: Duration = Duration::from_secs(20);
