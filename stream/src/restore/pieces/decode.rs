//! Brings back what is missing, with the manifest or without.

use bytes::Bytes;

use super::{Added, Pieces};
use crate::{
    block::{Decoder, Entries, digest_of},
    restore::candidates::Candidates,
};

/// How often a block is decoded without its manifest: each wrong guess costs as much as checking
/// five signatures.
const MAX_GUESSES: u8 = 4;

impl Pieces {
    /// Decodes what is missing, if there is enough, and gives it. The manifest must be there.
    pub(in crate::restore) fn decode(&mut self, decoder: &mut Decoder) -> Vec<(u32, u64, Bytes)> {
        let (Some(entries), Some(list)) = (&self.entries, &self.list) else { return Vec::new() };
        let shards = entries.shards();
        let present = self.present().chain([(shards - 1, &list.datagram)]);
        let lacking = shards - present.clone().count();
        if lacking == 0 || self.parity.len() < lacking {
            return Vec::new();
        }
        let parity = self.parity.iter().take(lacking).map(|(number, shard)| (*number, shard));
        let restored = decoder.restore(shards, present, parity).unwrap_or_default();
        let packets: Vec<(u32, u64)> = entries.packets().collect();
        let mut given = Vec::with_capacity(lacking);
        for (place, datagram) in restored {
            let Some(&(ssrc, index)) = packets.get(place) else { continue };
            if self.add(ssrc, index, digest_of(&datagram), &datagram, None) == Added::New {
                given.push((ssrc, index, datagram));
            }
        }
        if given.len() < lacking {
            // The box signed parity that is none of this. It will not become better.
            self.parity.clear();
        }
        given
    }

    /// Decodes the block from parity and candidates that nothing contradicts, and gives what should
    /// be its manifest. `None` if there is not enough, or nothing new since the last guess.
    pub(in crate::restore) fn guess(
        &mut self,
        decoder: &mut Decoder,
        candidates: &Candidates,
    ) -> Option<Bytes> {
        let entries = self.entries.as_ref()?;
        let shards = entries.shards();
        let singles: Vec<(usize, &Bytes)> = singles(entries, candidates).collect();
        let have = (singles.len(), self.parity.len());
        let lacking = shards.saturating_sub(self.parity.len());
        if singles.len() < lacking
            || self.parity.is_empty()
            || have == self.guessed
            || self.guesses == MAX_GUESSES
        {
            return None;
        }
        // As few unverified ones as possible, others each time.
        let skip = usize::from(self.guesses) * lacking;
        self.guesses += 1;
        self.guessed = have;
        let present = singles.iter().copied().cycle().skip(skip).take(lacking);
        let parity = self.parity.iter().take(shards).map(|(number, shard)| (*number, shard));
        let restored = decoder.restore(shards, present, parity).ok()?;
        restored.into_iter().find(|(place, _)| *place == shards - 1).map(|(_, datagram)| datagram)
    }
}

/// The candidates that nothing contradicts, by place.
pub(super) fn singles<'a>(
    entries: &'a Entries,
    candidates: &'a Candidates,
) -> impl Iterator<Item = (usize, &'a Bytes)> {
    let packets = entries.packets().enumerate();
    packets.filter_map(|(place, (ssrc, index))| Some((place, candidates.single(ssrc, index)?)))
}
