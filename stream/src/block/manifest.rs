//! What a block consists of, signed.

use bytes::{BufMut, Bytes};

use super::{
    AHEAD, Claim, Commitment, Digest, Entries, Error, Kind, SigningKey, Ticket, reader::Reader,
};

/// The signed list of a block's source packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    pub block: u32,
    /// See [`ticket`](Ticket): this block's own...
    pub ticket: Ticket,
    /// ... and what those of the next blocks will have to match.
    pub commitments: [Commitment; AHEAD as usize],
    pub entries: Entries,
    /// As many as there are source packets, in the order of the shards.
    pub digests: Vec<Digest>,
}

impl Manifest {
    /// Reads a datagram.
    ///
    /// # Errors
    /// Not of this kind, cut off, too long, or [`Entries`] that no block has.
    pub fn parse(datagram: &Bytes) -> Result<Claim<Self>, Error> {
        let mut reader = Reader::new(datagram, Kind::Manifest)?;
        let block = reader.u32()?;
        let ticket = reader.take()?;
        let commitments = [reader.take()?, reader.take()?];
        let entries = Entries::read(&mut reader)?;
        let digests = (0..entries.sources()).map(|_| reader.take()).collect::<Result<_, _>>()?;
        reader.end()?;
        Ok(Claim::new(Self { block, ticket, commitments, entries, digests }, datagram))
    }

    /// The datagram.
    pub fn sign(&self, key: &SigningKey) -> Bytes {
        let mut out = vec![Kind::Manifest.byte()];
        out.put_u32(self.block);
        out.put_slice(&self.ticket);
        self.commitments.iter().for_each(|commitment| out.put_slice(commitment));
        self.entries.write(&mut out);
        self.digests.iter().for_each(|digest| out.put_slice(digest));
        key.sign(out)
    }
}
