//! The course of a block: known, listed, whole or given up.

use std::time::Duration;

use bytes::Bytes;

use super::{
    MAX_ENTRIES, MAX_SHARDS, MAX_VERIFIED, Restore, Verified,
    blocks::Place,
    candidates::Candidate,
    checks::Class,
    pieces::{Added, Pieces},
};
use crate::{
    block::{Entries, Manifest},
    feedback::Loss,
};

impl Restore {
    /// This block is closed, as something signed says.
    pub(super) fn know(&mut self, now: Duration, number: u32, entries: Option<&Entries>) {
        self.last_sign = Some(now);
        self.signs += 1;
        let settled = self.blocks.closed(now, number, number.saturating_add(1));
        self.settle(settled);
        let Some(entries) = entries else { return };
        for entry in entries.iter() {
            self.learn(entry.ssrc, entry.end());
        }
        if let Place::Open(pieces) = self.blocks.place(number) {
            pieces.consists_of(entries);
        }
    }

    /// What the block consists of is known.
    pub(super) fn list(&mut self, now: Duration, manifest: Manifest, datagram: Bytes, came: bool) {
        let number = manifest.block;
        self.know(now, number, Some(&manifest.entries));
        self.tickets.learn_from(&manifest);
        let Place::Open(pieces) = self.blocks.place(number) else { return };
        let entries = manifest.entries.clone();
        let in_time = now < pieces.in_time_until(self.playout);
        if !pieces.list(manifest, datagram, came) {
            return;
        }
        for (ssrc, index) in entries.packets() {
            for candidate in self.candidates.take(ssrc, index) {
                let Place::Open(pieces) = self.blocks.place(number) else { return };
                let Candidate { arrived, datagram, .. } = candidate;
                match pieces.add(ssrc, index, candidate.digest, &datagram, Some(arrived)) {
                    Added::New => self.deliver((ssrc, index), datagram, false, in_time),
                    Added::Again => self.stats.duplicate += 1,
                    Added::Wrong => self.stats.forged += 1,
                }
            }
        }
        self.complete(now, number);
    }

    /// Decodes the block if that is possible.
    pub(super) fn complete(&mut self, now: Duration, number: u32) {
        let Place::Open(pieces) = self.blocks.place(number) else { return };
        if !pieces.is_listed() {
            let Some(datagram) = pieces.guess(&mut self.decoder, &self.candidates) else { return };
            let manifest = Manifest::parse(&datagram).ok();
            let manifest = manifest.filter(|claim| claim.unverified().block == number);
            let verified = match manifest {
                Some(claim) if self.may_check(now, Class::Ticketed) => claim.verify(&self.key).ok(),
                _ => None,
            };
            match verified {
                Some(manifest) => self.list(now, manifest, datagram, false),
                None => self.stats.failed_decodes += 1,
            }
            return;
        }
        let in_time = now < pieces.in_time_until(self.playout);
        for (ssrc, index, datagram) in pieces.decode(&mut self.decoder) {
            self.deliver((ssrc, index), datagram, true, in_time);
        }
    }

    pub(super) fn deliver(
        &mut self,
        (ssrc, index): (u32, u64),
        datagram: Bytes,
        restored: bool,
        in_time: bool,
    ) {
        // A box that lists one packet in two blocks would be wrong; still it leaves once.
        if !self.streams.take(ssrc, index) {
            self.stats.duplicate += 1;
            return;
        }
        if !in_time {
            self.stats.lost += 1;
        } else if restored {
            self.stats.restored += 1;
        } else {
            self.stats.received += 1;
        }
        if self.verified.len() == MAX_VERIFIED {
            self.verified.pop_front();
            self.stats.overflow += 1;
        }
        self.verified.push_back(Verified { ssrc, index, datagram, restored });
    }

    /// Settles what is whole, or waited for no longer.
    pub(super) fn expire(&mut self, now: Duration) {
        let playout = self.playout;
        while let Some(number) = self.blocks.due(now, playout) {
            let settled = self.blocks.settle(number);
            self.settle(settled.into_iter().collect());
        }
    }

    /// These blocks are whole, or given up.
    pub(super) fn settle(&mut self, settled: Vec<(u32, Pieces)>) {
        for (block, pieces) in settled {
            let missing = pieces.missing().min(MAX_SHARDS);
            if let Some(missing) = u8::try_from(missing).ok().filter(|&missing| missing > 0) {
                if self.losses.len() == MAX_ENTRIES {
                    self.losses.pop_front();
                }
                self.losses.push_back(Loss { block, missing });
            }
            let candidates = &mut self.candidates;
            let packets = pieces.entries().into_iter().flat_map(Entries::packets);
            let left: usize = packets.map(|(ssrc, index)| candidates.take(ssrc, index).len()).sum();
            // Without the manifest, what the box sent is there as well.
            if pieces.is_listed() {
                self.stats.forged += left as u64;
            } else {
                self.stats.unsure += left as u64;
            }
        }
        for (entries, undelivered) in self.blocks.pass() {
            self.stats.lost += undelivered as u64;
            for entry in entries.iter() {
                self.stats.lost += self.streams.pass(entry);
                self.candidates.drop_below(entry.ssrc, entry.end());
            }
        }
        self.tickets.drop_below(self.blocks.floor());
    }
}
