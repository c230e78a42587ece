//! From shards to parity and back: systematic Reed-Solomon over GF(2^16) by `reed-solomon-simd`,
//! always at its high rate: then a block has few points (see `engine`).
//!
//! A shard is the length of a datagram (u16), the datagram, and zeros up to the block's longest,
//! made even. Any k of a block's shards and parity together bring back all of it.
//!
//! How many parity shards there could be goes into each of them, so both sides always reckon with
//! [`parity_of`], however few are ever sent: making them all costs some 50 µs.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use reed_solomon_simd::rate::{HighRateDecoder, HighRateEncoder, RateDecoder, RateEncoder};

use super::{Error, engine::SmallBlocks, parity::MAX_SHARD};

/// Parity beyond one for each shard: for a machine that lost the whole block and some of the
/// repair.
const SPARE: usize = 16;

/// Bytes of the length before a datagram.
const LENGTH: usize = 2;

/// Parity shards of a block of so many shards.
pub fn parity_of(shards: usize) -> usize {
    shards + SPARE
}

/// Makes parity. Keeps its working space, which is as large as a block.
pub struct Encoder {
    inner: Option<HighRateEncoder<SmallBlocks>>,
    shard: Vec<u8>,
}

impl Encoder {
    #[expect(clippy::new_without_default, reason = "the first one of a process takes 20 ms")]
    pub fn new() -> Self {
        SmallBlocks::prepare();
        Self { inner: None, shard: Vec::new() }
    }

    /// All parity of a block: the datagrams are its sources and its manifest, in their order.
    ///
    /// # Errors
    /// [`Error::SourceLength`]; [`Error::Shards`] if there are none, or too many.
    pub fn parity(&mut self, datagrams: &[Bytes]) -> Result<Vec<Bytes>, Error> {
        let shards = datagrams.len();
        let longest = datagrams.iter().map(Bytes::len).max().unwrap_or_default();
        let length = (LENGTH + longest).next_multiple_of(2);
        if length > MAX_SHARD {
            return Err(Error::SourceLength(longest));
        }
        let encoder = match &mut self.inner {
            Some(encoder) => {
                encoder.reset(shards, parity_of(shards), length).map_err(|_| Error::Shards)?;
                encoder
            }
            inner @ None => {
                let (parity, engine) = (parity_of(shards), SmallBlocks::default());
                let encoder = HighRateEncoder::new(shards, parity, length, engine, None);
                inner.insert(encoder.map_err(|_| Error::Shards)?)
            }
        };
        for datagram in datagrams {
            fill(&mut self.shard, datagram, length)?;
            encoder.add_original_shard(&self.shard).map_err(|_| Error::Shards)?;
        }
        let result = encoder.encode().map_err(|_| Error::Shards)?;
        let mut all = BytesMut::with_capacity(parity_of(shards) * length);
        result.recovery_iter().for_each(|shard| all.put_slice(shard));
        let all = all.freeze();
        Ok((0..parity_of(shards)).map(|at| all.slice(at * length..(at + 1) * length)).collect())
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder").finish_non_exhaustive()
    }
}

/// Brings datagrams back. Keeps its working space, which is as large as a block.
pub struct Decoder {
    inner: Option<HighRateDecoder<SmallBlocks>>,
    shard: Vec<u8>,
}

impl Decoder {
    #[expect(clippy::new_without_default, reason = "the first one of a process takes 20 ms")]
    pub fn new() -> Self {
        SmallBlocks::prepare();
        Self { inner: None, shard: Vec::new() }
    }

    /// The datagrams that are not in `present`, by their place in the block. `shards` is how many
    /// the block has; `present` and `parity` name theirs, and are together at least as many.
    ///
    /// One wrong shard among those given makes all that comes out wrong: the caller checks it.
    ///
    /// # Errors
    /// [`Error::Shards`] if these cannot be of one block, or are too few.
    pub fn restore<'a>(
        &mut self,
        shards: usize,
        present: impl IntoIterator<Item = (usize, &'a Bytes)>,
        parity: impl IntoIterator<Item = (u8, &'a Bytes)>,
    ) -> Result<Vec<(usize, Bytes)>, Error> {
        let mut parity = parity.into_iter().peekable();
        let length = parity.peek().map(|(_, shard)| shard.len()).ok_or(Error::Shards)?;
        let decoder = match &mut self.inner {
            Some(decoder) => {
                decoder.reset(shards, parity_of(shards), length).map_err(|_| Error::Shards)?;
                decoder
            }
            inner @ None => {
                let (parity, engine) = (parity_of(shards), SmallBlocks::default());
                let decoder = HighRateDecoder::new(shards, parity, length, engine, None);
                inner.insert(decoder.map_err(|_| Error::Shards)?)
            }
        };
        for (place, datagram) in present {
            fill(&mut self.shard, datagram, length)?;
            decoder.add_original_shard(place, &self.shard).map_err(|_| Error::Shards)?;
        }
        for (number, shard) in parity {
            let number = usize::from(number);
            decoder.add_recovery_shard(number, shard).map_err(|_| Error::Shards)?;
        }
        let result = decoder.decode().map_err(|_| Error::Shards)?;
        let restored = result.restored_original_iter();
        restored.map(|(place, shard)| Ok((place, datagram_in(shard)?))).collect()
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").finish_non_exhaustive()
    }
}

fn fill(shard: &mut Vec<u8>, datagram: &Bytes, length: usize) -> Result<(), Error> {
    let size = u16::try_from(datagram.len()).map_err(|_| Error::Shards)?;
    if LENGTH + datagram.len() > length {
        return Err(Error::Shards);
    }
    shard.clear();
    shard.put_u16(size);
    shard.put_slice(datagram);
    shard.resize(length, 0);
    Ok(())
}

fn datagram_in(shard: &[u8]) -> Result<Bytes, Error> {
    let (length, rest) = shard.split_first_chunk::<LENGTH>().ok_or(Error::Shards)?;
    let datagram = rest.get(..usize::from(u16::from_be_bytes(*length))).ok_or(Error::Shards)?;
    Ok(Bytes::copy_from_slice(datagram))
}
