//! One shard of parity, signed.

use bytes::{BufMut, Bytes};

use super::{Claim, Entries, Error, Kind, MAX_DATAGRAM, SigningKey, parity_of, reader::Reader};

/// Longest shard: a length of two bytes before the longest source.
pub(super) const MAX_SHARD: usize = 2 + MAX_DATAGRAM;

/// One shard of a block's parity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parity {
    pub block: u32,
    pub entries: Entries,
    /// Below [`parity_of`] the block's shards.
    pub number: u8,
    /// As long as each shard of the block; even.
    pub shard: Bytes,
}

impl Parity {
    /// Reads a datagram.
    ///
    /// # Errors
    /// Not of this kind, cut off, [`Entries`] that no block has, a number that no shard of it has,
    /// or a shard that is odd, too short to hold a length, or too long.
    pub fn parse(datagram: &Bytes) -> Result<Claim<Self>, Error> {
        let mut reader = Reader::new(datagram, Kind::Parity)?;
        let block = reader.u32()?;
        let entries = Entries::read(&mut reader)?;
        let number = reader.u8()?;
        let shards = entries.shards();
        if usize::from(number) >= parity_of(shards) {
            return Err(Error::Number { number, shards });
        }
        let length = reader.remaining();
        if !(2..=MAX_SHARD).contains(&length) || !length.is_multiple_of(2) {
            return Err(Error::ShardLength(length));
        }
        let shard = reader.rest();
        Ok(Claim::new(Self { block, entries, number, shard }, datagram))
    }

    /// The datagram.
    pub fn sign(&self, key: &SigningKey) -> Bytes {
        let mut out = Vec::with_capacity(self.shard.len() + 128);
        out.put_u8(Kind::Parity.byte());
        out.put_u32(self.block);
        self.entries.write(&mut out);
        out.put_u8(self.number);
        out.put_slice(&self.shard);
        key.sign(out)
    }
}
