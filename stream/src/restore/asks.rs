//! When a block is asked for.

use std::time::Duration;

use super::{ASKS, LATE_APART, ROUNDS, SETTLING};

/// The requests of one block. Each is said twice, [`SETTLING`] apart: where answers are lost,
/// requests are too, and the box hears the second only if it did not hear the first.
#[derive(Debug)]
pub(super) struct Asks {
    next: Duration,
    /// So many are over.
    rounds: u8,
    /// The last one is to be said once more, and when the one after it is due.
    again: Option<Duration>,
}

impl Asks {
    /// The first one is due so long after `known`, when nothing more can be on its way.
    pub(super) fn new(known: Duration) -> Self {
        Self { next: known + SETTLING, rounds: 0, again: None }
    }

    /// When to ask, if the block is still short then.
    pub(super) fn next(&self) -> Option<Duration> {
        (self.rounds < ROUNDS).then_some(self.next)
    }

    /// How often it was asked for.
    pub(super) fn rounds(&self) -> u8 {
        self.rounds
    }

    /// It was asked for now; the answer is there after `answering`.
    pub(super) fn asked(&mut self, now: Duration, answering: Duration) {
        match self.again.take() {
            None => {
                let is_late = self.rounds + 1 >= ASKS;
                let apart = if is_late { answering.max(LATE_APART) } else { answering };
                self.again = Some(now + apart);
                self.next = now + SETTLING;
            }
            Some(answered) => {
                self.rounds += 1;
                self.next = answered.max(now + SETTLING);
            }
        }
    }

    /// No answer would be waited for any more.
    pub(super) fn stop(&mut self) {
        self.rounds = ROUNDS;
    }

    /// Something came; more of it may be behind.
    pub(super) fn came(&mut self, now: Duration) {
        self.next = self.next.max(now + SETTLING);
    }
}
