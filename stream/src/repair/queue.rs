//! Answers that wait for the budget, the smaller ones first.
//!
//! A machine that was cut off for a moment lacks several blocks whole. Behind the answers to it
//! everybody else's would wait until they are of no use; it has them all the same once there is
//! room, or asks again.

use std::{collections::VecDeque, time::Duration};

use crate::transmit::Transmit;

/// How long an answer waits for the budget.
pub const PATIENCE: Duration = Duration::from_millis(50);
/// Most datagrams that wait. Full: the last of the largest answer is dropped.
pub(super) const MAX_WAITING: usize = 1_024;

#[derive(Debug)]
struct Waiting {
    until: Duration,
    /// Datagrams of the answer that this is one of.
    size: usize,
    transmit: Transmit,
}

/// By the size of the answers; those of one size in order of time.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// At most [`MAX_WAITING`].
    waiting: VecDeque<Waiting>,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Adds an answer. Gives how many datagrams found no room.
    pub(super) fn push(&mut self, now: Duration, answer: Vec<Transmit>) -> u64 {
        let (until, size) = (now + PATIENCE, answer.len());
        let place = self.waiting.partition_point(|before| before.size <= size);
        for (nth, transmit) in answer.into_iter().enumerate() {
            self.waiting.insert(place + nth, Waiting { until, size, transmit });
        }
        let excess = self.waiting.len().saturating_sub(MAX_WAITING);
        self.waiting.truncate(MAX_WAITING);
        excess as u64
    }

    /// The next one, if it `fits`.
    pub(super) fn pop_if(&mut self, fits: impl FnOnce(&Transmit) -> bool) -> Option<Transmit> {
        let next = self.waiting.pop_front_if(|next| fits(&next.transmit))?;
        Some(next.transmit)
    }

    /// Drops what waited too long; gives how much that was.
    pub(super) fn expire(&mut self, now: Duration) -> u64 {
        let before = self.waiting.len();
        self.waiting.retain(|waiting| now < waiting.until);
        (before - self.waiting.len()) as u64
    }
}
