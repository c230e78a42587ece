//! Reads fields one by one off a datagram.

use bytes::Bytes;

use super::{Error, Kind, SIGNATURE};

/// What is left to read of a signed datagram, its signature aside.
#[derive(Debug)]
pub(super) struct Reader {
    rest: Bytes,
    /// Bytes of the whole datagram, for the error.
    length: usize,
}

impl Reader {
    /// A datagram of this kind, behind its first byte.
    pub(super) fn new(datagram: &Bytes, kind: Kind) -> Result<Self, Error> {
        let length = datagram.len();
        if Kind::of(datagram) != Some(kind) {
            return Err(Error::Kind(kind));
        }
        let body = length.checked_sub(SIGNATURE).filter(|&body| body > 0);
        let body = body.ok_or(Error::Truncated(length))?;
        Ok(Self { rest: datagram.slice(1..body), length })
    }

    pub(super) fn take<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let bytes = *self.rest.first_chunk::<N>().ok_or(Error::Truncated(self.length))?;
        self.rest = self.rest.slice(N..);
        Ok(bytes)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Error> {
        self.take().map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Error> {
        self.take().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Error> {
        self.take().map(u32::from_be_bytes)
    }

    pub(super) fn u48(&mut self) -> Result<u64, Error> {
        let mut whole = [0; 8];
        whole[2..].copy_from_slice(&self.take::<6>()?);
        Ok(u64::from_be_bytes(whole))
    }

    pub(super) fn u64(&mut self) -> Result<u64, Error> {
        self.take().map(u64::from_be_bytes)
    }

    /// Bytes that are left.
    pub(super) fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// All that is left, shared with the datagram.
    pub(super) fn rest(self) -> Bytes {
        self.rest
    }

    /// Nothing may be left.
    pub(super) fn end(self) -> Result<(), Error> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(Error::Trailing(left)),
        }
    }
}
