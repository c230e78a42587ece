//! Tickets: what lets a machine tell a forged manifest from the true one without a signature check.
//!
//! Checking a signature costs fifty times what sending a forged one does. A hostile machine with
//! the group's key could send thousands a second, and whatever the limit of checks is, the true
//! manifest would have to share it with them. So each manifest carries a secret that nobody knew
//! before, and a commitment to the secrets of the next [`AHEAD`] ones:
//!
//! ```text
//!   manifest n       ticket n │ commitment of n + 1 │ commitment of n + 2
//!                                     ▲                      ▲
//!   manifest n + 1   ticket n + 1 ────┘                      │
//!   manifest n + 2   ticket n + 2 ───────────────────────────┘
//! ```
//!
//! Before manifest n + 1 is on air only the box knows its ticket: what was forged ahead is dropped
//! for the price of a hash. Afterwards everybody knows it, but then everybody has the manifest. For
//! those that lost it, and for those that do not know the commitment (they joined, slept, or lost
//! all of [`AHEAD`]), the limits of `restore` hold.
//!
//! Eight bytes: a forger would have to invert a hash within the tenth of a second before the ticket
//! is worthless. Tickets decide nothing but what is worth checking.

use std::fmt;

use aws_lc_rs::{
    digest::{Context, SHA256},
    hmac,
};

/// How many blocks ahead a manifest commits: so that the loss of one block's leaves no gap.
pub const AHEAD: u32 = 2;

const BYTES: usize = 8;

/// The secret of one block, until its manifest is on air.
pub type Ticket = [u8; BYTES];

/// What can be said of a ticket before its time.
pub type Commitment = [u8; BYTES];

/// The box's source of tickets. Never printed.
#[derive(Clone)]
pub struct Tickets(hmac::Key);

impl Tickets {
    /// `secret` is random, and made anew for each lesson and start of the box.
    pub fn new(secret: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    pub fn ticket(&self, block: u32) -> Ticket {
        first(hmac::sign(&self.0, &block.to_be_bytes()).as_ref())
    }

    pub fn commitment(&self, block: u32) -> Commitment {
        commitment(block, self.ticket(block))
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tickets").finish_non_exhaustive()
    }
}

/// The commitment that this block's ticket must have.
pub(crate) fn commitment(block: u32, ticket: Ticket) -> Commitment {
    let mut context = Context::new(&SHA256);
    context.update(&block.to_be_bytes());
    context.update(&ticket);
    first(context.finish().as_ref())
}

fn first(bytes: &[u8]) -> [u8; BYTES] {
    bytes.first_chunk().copied().unwrap_or_default()
}
