//! What is sealed: the body of a feedback datagram.

use bytes::BufMut;

use super::{Error, MAX_ENTRIES, MAX_SHARDS};

/// Bytes of a block's number, a count of shards and a round.
const REQUEST: usize = 4 + 1 + 1;
/// Bytes of a block's number and a count of shards.
const LOSS: usize = 4 + 1;
/// Bytes of the shortest body.
pub(super) const MIN_BODY: usize = 4 + 1 + 1 + 4 + 4;
/// Bytes of the longest.
pub(super) const MAX_BODY: usize = MIN_BODY + MAX_ENTRIES * (REQUEST + LOSS);

/// What a machine says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Feedback {
    /// The newest block of which it heard anything.
    pub newest_block: u32,
    /// What it asks for. At most [`MAX_ENTRIES`], no block twice.
    pub requests: Vec<Request>,
    /// What it lost of blocks that are settled since the last feedback. At most [`MAX_ENTRIES`],
    /// no block twice.
    pub losses: Vec<Loss>,
    /// Packets that came since it joined, modulo 2^32.
    pub received: u32,
    /// Packets that were never there in time, since it joined, modulo 2^32.
    pub lost: u32,
}

/// A block that a machine cannot put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    pub block: u32,
    /// Shards that it lacks, at most [`MAX_SHARDS`]; 0 when it cannot tell without the manifest:
    /// nothing of the block came, or what came is in doubt.
    pub deficit: u8,
    /// How often it asked before. What is said once more, in case it was lost, has the same round:
    /// the box answers each once.
    pub round: u8,
}

/// A block of which a machine lost something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    pub block: u32,
    /// Shards without parity, at most [`MAX_SHARDS`], that it lacked before any parity came; the
    /// manifest counts as one.
    pub missing: u8,
}

impl Feedback {
    /// Appends the body, unsealed.
    ///
    /// # Errors
    /// [`Error::Entries`], [`Error::Twice`] and [`Error::Shards`]; then nothing is written.
    pub fn write(&self, out: &mut impl BufMut) -> Result<(), Error> {
        self.check()?;
        out.put_u32(self.newest_block);
        out.put_uint(self.requests.len() as u64, 1);
        for request in &self.requests {
            out.put_u32(request.block);
            out.put_u8(request.deficit);
            out.put_u8(request.round);
        }
        out.put_uint(self.losses.len() as u64, 1);
        for loss in &self.losses {
            out.put_u32(loss.block);
            out.put_u8(loss.missing);
        }
        out.put_u32(self.received);
        out.put_u32(self.lost);
        Ok(())
    }

    /// Reads a body that was opened.
    ///
    /// # Errors
    /// [`Error::Truncated`], [`Error::Trailing`], [`Error::Entries`], [`Error::Twice`] and
    /// [`Error::Shards`].
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader { body, rest: body };
        let feedback = Self {
            newest_block: reader.word()?,
            requests: reader.list(Reader::request)?,
            losses: reader.list(Reader::loss)?,
            received: reader.word()?,
            lost: reader.word()?,
        };
        if !reader.rest.is_empty() {
            return Err(Error::Trailing(reader.rest.len()));
        }
        feedback.check()?;
        Ok(feedback)
    }

    fn check(&self) -> Result<(), Error> {
        check(&self.requests, |request| (request.block, request.deficit))?;
        check(&self.losses, |loss| (loss.block, loss.missing))
    }
}

/// Whether this list is one that may be sent.
fn check<T>(list: &[T], entry: impl Fn(&T) -> (u32, u8)) -> Result<(), Error> {
    if list.len() > MAX_ENTRIES {
        return Err(Error::Entries(list.len()));
    }
    for (n, (block, shards)) in list.iter().map(&entry).enumerate() {
        if shards > MAX_SHARDS {
            return Err(Error::Shards(shards));
        }
        if list.iter().take(n).any(|earlier| entry(earlier).0 == block) {
            return Err(Error::Twice(block));
        }
    }
    Ok(())
}

struct Reader<'a> {
    body: &'a [u8],
    rest: &'a [u8],
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let truncated = Error::Truncated(self.body.len());
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(truncated)?;
        self.rest = rest;
        Ok(*head)
    }

    fn word(&mut self) -> Result<u32, Error> {
        self.take().map(u32::from_be_bytes)
    }

    fn byte(&mut self) -> Result<u8, Error> {
        self.take().map(u8::from_be_bytes)
    }

    fn request(&mut self) -> Result<Request, Error> {
        Ok(Request { block: self.word()?, deficit: self.byte()?, round: self.byte()? })
    }

    fn loss(&mut self) -> Result<Loss, Error> {
        Ok(Loss { block: self.word()?, missing: self.byte()? })
    }

    fn list<T>(&mut self, entry: fn(&mut Self) -> Result<T, Error>) -> Result<Vec<T>, Error> {
        let count = self.byte()?;
        if usize::from(count) > MAX_ENTRIES {
            return Err(Error::Entries(usize::from(count)));
        }
        (0..count).map(|_| entry(self)).collect()
    }
}
