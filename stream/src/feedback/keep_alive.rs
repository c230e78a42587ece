//! What keeps a machine's own flow alive, and opens it.
//!
//! ```text
//!   │ flags u8 │ block u32 │     flags: 1 the stream is wanted here · 2 the block says something
//! ```
//!
//! The box answers each with a heartbeat to this machine alone: that it comes says that the flow
//! carries. The flow ends when the last keep-alive is too old, or says that it is not wanted.

use bytes::BufMut;

use super::Error;

/// Bytes of it.
pub(super) const BODY: usize = 1 + 4;

const WANTED: u8 = 1;
const FROM: u8 = 2;

/// What a machine says about its flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeepAlive {
    /// The stream is to come on the flow; otherwise it is only asked whether it would.
    pub is_wanted: bool,
    /// The first block of which it lacks something, where it goes on with what it has: the box
    /// sends what it has kept from there on.
    pub from: Option<u32>,
}

impl KeepAlive {
    pub(super) fn write(self, out: &mut impl BufMut) {
        let flag = |is_set: bool, flag| if is_set { flag } else { 0 };
        out.put_u8(flag(self.is_wanted, WANTED) | flag(self.from.is_some(), FROM));
        out.put_u32(self.from.unwrap_or_default());
    }

    /// Reads a body that was opened.
    ///
    /// # Errors
    /// [`Error::Truncated`], [`Error::Trailing`] and [`Error::Flags`].
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        let Some((&[flags, b0, b1, b2, b3], rest)) = body.split_first_chunk::<BODY>() else {
            return Err(Error::Truncated(body.len()));
        };
        if !rest.is_empty() {
            return Err(Error::Trailing(rest.len()));
        }
        let block = u32::from_be_bytes([b0, b1, b2, b3]);
        let names_block = flags & FROM != 0;
        // One body for one meaning.
        if flags & !(WANTED | FROM) != 0 || (!names_block && block != 0) {
            return Err(Error::Flags(flags));
        }
        Ok(Self { is_wanted: flags & WANTED != 0, from: names_block.then_some(block) })
    }
}
