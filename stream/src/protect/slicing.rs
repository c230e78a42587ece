//! Whether blocks are single pictures or slices of time.
//!
//! ```text
//!              three machines lose over 1 % over 5 s
//!   PICTURES ─────────────────────────────────────────▶ SLICES
//!       ◀──────────────────────────────────────────────
//!              no three did so for 30 s
//! ```
//!
//! A picture's block closes with the picture, and costs no delay; a slice makes the first packet
//! wait for up to a tenth of a second, and takes half the parity. What one or two machines lack of
//! a picture is answered to them alone, so they make no slices: for one bad cable, or one liar,
//! nobody else's packets wait.

use std::{collections::HashMap, time::Duration};

use crate::{transmit::ReceiverId, window::Window};

/// How far back loss is counted.
const SPAN: Duration = Duration::from_secs(5);
/// How long no three must be over the limit.
const CALM: Duration = Duration::from_secs(30);
/// The limit: one shard in so many.
const ONE_IN: u64 = 100;
/// Of fewer shards no share is taken: it would be that of one packet.
const ENOUGH: u64 = 100;

/// Most machines that are answered alone; so few that lose make no slices.
pub(crate) const MOST_ALONE: usize = 2;

/// Most machines that count: far more than a room holds. Full: a further one's loss does not.
const MAX_MACHINES: usize = 1_024;

/// The mode, and what it follows from.
#[derive(Debug)]
pub struct Slicing {
    /// Shards sent.
    sent: Window<10>,
    /// Of these, what each machine lacked before parity.
    missing: HashMap<ReceiverId, Window<10>>,
    /// When more than [`MOST_ALONE`] machines were last over the limit, while slicing.
    over: Option<Duration>,
}

impl Default for Slicing {
    fn default() -> Self {
        Self::new()
    }
}

impl Slicing {
    pub fn new() -> Self {
        Self { sent: Window::new(SPAN), missing: HashMap::new(), over: None }
    }

    pub fn is_slicing(&self) -> bool {
        self.over.is_some()
    }

    /// A machine lacked so many shards of a block.
    pub fn hear(&mut self, now: Duration, receiver: ReceiverId, missing: u8) {
        if self.missing.len() < MAX_MACHINES || self.missing.contains_key(&receiver) {
            let window = self.missing.entry(receiver).or_insert_with(|| Window::new(SPAN));
            window.add(now, u64::from(missing));
        }
    }

    /// The machine no longer counts.
    pub fn forget(&mut self, receiver: ReceiverId) {
        self.missing.remove(&receiver);
    }

    /// A block of so many shards is on air. Gives whether the mode changes for the next.
    pub fn closed(&mut self, now: Duration, shards: usize) -> bool {
        self.sent.add(now, shards as u64);
        let was_slicing = self.is_slicing();
        if self.is_over(now) {
            self.over = Some(now);
        } else if self.over.is_some_and(|over| over + CALM <= now) {
            self.over = None;
        }
        was_slicing != self.is_slicing()
    }

    fn is_over(&self, now: Duration) -> bool {
        let sent = self.sent.sum(now);
        let is_over = |window: &&Window<10>| window.sum(now) * ONE_IN > sent;
        sent >= ENOUGH && self.missing.values().filter(is_over).count() > MOST_ALONE
    }
}
