//! What the box committed to.

use std::collections::BTreeMap;

use crate::block::{Commitment, Manifest, Ticket, commitment};

/// Most commitments remembered: those of all blocks that can be open, and the next. Full: the
/// oldest goes.
const MAX: usize = 256;

/// By block.
#[derive(Debug, Default)]
pub(super) struct Tickets(BTreeMap<u32, Commitment>);

impl Tickets {
    pub(super) fn learn_from(&mut self, manifest: &Manifest) {
        for (ahead, commitment) in (1..).zip(manifest.commitments) {
            self.learn(manifest.block.wrapping_add(ahead), commitment);
        }
    }

    pub(super) fn learn(&mut self, block: u32, commitment: Commitment) {
        self.0.insert(block, commitment);
        if self.0.len() > MAX {
            self.0.pop_first();
        }
    }

    /// Whether the ticket is the block's; `None` if nothing is known about it.
    pub(super) fn check(&self, block: u32, ticket: Ticket) -> Option<bool> {
        self.0.get(&block).map(|known| *known == commitment(block, ticket))
    }

    pub(super) fn drop_below(&mut self, block: u32) {
        self.0 = self.0.split_off(&block);
    }
}
