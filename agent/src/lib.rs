//! The student machine: everything of `alfarid-agent` but its command line, and what it shares
//! with `alfarid-player`.
//!
//! ```text
//!   box ◀──── link ────▶ reception ───▶ players ═══ socket ═══▶ alfarid-player
//!    ║                      ▲              │
//!    ║ multicast ═══════════╝              ▼
//!    ╚ TLS            link ◀─────────── presence ◀── logind
//! ```
//!
//! The agent does everything up to whole frames; the player only decodes and shows them. Keys and
//! certificates never leave the agent. No module here knows `GStreamer`: the service stays small,
//! and `alfarid-player` alone links it.
//!
//! Reading order: [`feed`] (what agent and player say to each other), [`trust`], [`identity`],
//! [`enrol`], [`channel`], [`service`].

mod backoff;
pub mod channel;
pub mod clock;
pub mod enrol;
pub mod exchange;
pub mod feed;
mod files;
mod find;
pub mod identity;
mod interface;
pub mod link;
pub mod players;
pub mod presence;
pub mod reception;
pub mod service;
pub mod token_source;
pub mod trust;

/// What this build calls itself towards a box.
pub const AGENT_VERSION: &str = env!("CARGO_PKG_VERSION");

/// The host's own name: for people to read, never an identity.
pub(crate) fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map(|name| name.trim().to_owned())
        .unwrap_or_default()
}
