//! The open block: when it closes, and what is sent then.

use std::time::Duration;

use super::{Closed, FirstParity, MAX_CLOSED, Protect, SLICE, SOUND_ALONE, Source};
use crate::{block::Entries, transmit::Lane};

/// With so much parity behind it, or more, the manifest is not repeated.
const FEW: usize = 3;

/// The block that is open. `sources` are those of `entries`, in the order of time.
#[derive(Debug)]
pub(super) struct Open {
    pub since: Duration,
    pub is_slice: bool,
    /// Nothing more comes into it: it closes as soon as what is in it has left.
    pub is_ended: bool,
    pub entries: Entries,
    pub sources: Vec<Source>,
}

impl Protect {
    pub(super) fn add(&mut self, now: Duration, source: Source) {
        let (ssrc, index) = (source.ssrc, source.index);
        if self.open.as_mut().is_some_and(|open| !open.entries.push(ssrc, index)) {
            self.close(now);
        }
        let is_slice = self.slicing.is_slicing();
        let entries = Entries::begin(ssrc, index);
        let is_ended = false;
        let begun = || Open { since: now, is_slice, is_ended, entries, sources: Vec::new() };
        self.open.get_or_insert_with(begun).sources.push(source);
    }

    pub(super) fn closes_at(&self) -> Option<Duration> {
        let length = if self.slicing.is_slicing() { SLICE } else { SOUND_ALONE };
        let open = self.open.as_ref()?;
        Some(if open.is_ended { open.since } else { open.since + length })
    }

    pub(super) fn close_if_due(&mut self, now: Duration) {
        if self.closes_at().is_some_and(|at| at <= now) {
            self.close(now);
        }
    }

    pub(super) fn close(&mut self, now: Duration) {
        let Some(open) = self.open.take() else { return };
        let block = self.number;
        self.number = self.number.wrapping_add(1);
        let shards = open.entries.shards();
        let mut closed = Closed::new(now, block, open, &self.key, &self.tickets);
        let manifest = closed.manifest().clone();
        self.send(Lane::Repair, manifest.clone());
        let count = self.first_parity.count(now, shards);
        for datagram in closed.parity(count, &mut self.encoder, &self.key) {
            self.stats.parity += 1;
            self.send(Lane::Repair, datagram);
        }
        if count < FEW && self.first_parity.is_lossy(now) {
            self.send(Lane::Repair, manifest);
        }
        self.stats.blocks += 1;
        self.first_parity.closed(now, block, shards);
        if self.slicing.closed(now, shards) {
            // Counts of pictures say nothing about slices.
            self.first_parity = FirstParity::new();
        }
        if self.closed.len() == MAX_CLOSED {
            self.closed.pop_front();
            self.stats.overflow += 1;
        }
        self.closed.push_back(closed);
    }
}
