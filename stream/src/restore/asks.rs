//! When a block is asked for.

use std::time::Duration;

use super::{ASKS, SETTLING};

/// The requests of one block. Each is said twice, [`SETTLING`] apart: where answers are lost,
/// requests are too, and the box hears the second only if it did not hear the first.
#[derive(Debug)]
pub(super) struct Asks {
    next: Duration,
    left: u8,
    /// The last one is to be said once more, and when the one after it is due.
    again: Option<Duration>,
}

impl Asks {
    /// The first one is due so long after `known`, when nothing more can be on its way.
    pub(super) fn new(known: Duration) -> Self {
        Self { next: known + SETTLING, left: ASKS, again: None }
    }

    /// When to ask, if the block is still short then.
    pub(super) fn next(&self) -> Option<Duration> {
        (self.left > 0).then_some(self.next)
    }

    /// How often it may still be asked for.
    pub(super) fn left(&self) -> u8 {
        self.left
    }

    /// It was asked for now; the answer is there by `answered`.
    pub(super) fn asked(&mut self, now: Duration, answered: Duration) {
        match self.again.take() {
            None => {
                self.again = Some(answered);
                self.next = now + SETTLING;
            }
            Some(answered) => {
                self.left -= 1;
                self.next = answered.max(now + SETTLING);
            }
        }
    }

    /// No answer would be there in time any more.
    pub(super) fn stop(&mut self) {
        self.left = 0;
    }

    /// Something came; more of it may be behind.
    pub(super) fn came(&mut self, now: Duration) {
        self.next = self.next.max(now + SETTLING);
    }
}
