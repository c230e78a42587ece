//! Presence as a machine writes it down: numbered marks in its own monotonic time.
//!
//! ```text
//!          Opened                    Until (each minute)              Closed
//!   nobody ──────▶ session is in use ───────────────────▶ in use ──────────▶ nobody
//! ```
//!
//! A machine does not trust its calendar and does not know who sits at it: it says "the session
//! was in use from here to there" by (boot, monotonic milliseconds), the box turns that into box
//! time by the nearest clock exchange and into a student by the seating. Every mark is on the
//! machine's disk before it is sent, carries a number that only grows, and is sent until the box
//! acknowledges it; the box applies each number once.

use serde::{Deserialize, Serialize};

use crate::id::{BootId, SpanId};

/// A moment by a machine's own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    pub boot: BootId,
    /// `CLOCK_BOOTTIME` in milliseconds: goes on through suspend, starts anew with each boot.
    pub monotonic_ms: u64,
}

/// One numbered line of a machine's presence journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Grows by one with each mark of this machine, over restarts too.
    pub seq: u64,
    pub span: SpanId,
    pub at: Moment,
    pub kind: MarkKind,
}

/// What a [`Mark`] says of its span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MarkKind {
    /// The session came into use.
    Opened,
    /// Still in use. What a power cut leaves counts up to the last of these.
    Until,
    /// Locked, idle, logged out or shut down.
    Closed,
}

/// How many marks one message carries at most; the rest follows after the acknowledgement.
pub const MARKS_PER_MESSAGE: usize = 256;
