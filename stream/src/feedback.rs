//! What a machine tells the box about the broadcast: what it lacks, how much it lost, and whether
//! it wants the stream for itself alone.
//!
//! One datagram is request and report in one, because what a machine asks for is what it lost. It
//! is sealed with a key that only the box and this machine have, so nobody can ask, or complain, in
//! another's name; and its counter grows, so nothing is heard twice.
//!
//! ```text
//!   │ 4 │ receiver u32 │ counter u64 │ the following, sealed with AES-128-GCM │ tag 16 │
//!   └───────── authentic ────────────┘
//!   │ newest block heard u32
//!   │ n u8 │ n × ( block u32, deficit u8, round u8 )    what it asks for
//!   │ n u8 │ n × ( block u32, missing u8 )              what it lost, whether it was repaired or not
//!   │ packets received u32 │ packets lost for good u32
//! ```
//! A [`KeepAlive`] has the same header, seal and counter, another kind and a body of its own.
//!
//! - The nonce is four zeros and the counter. A machine's key is made anew for **every grant**,
//!   with the counter back at its start, and a [`Sealer`] is made once for a key: so no nonce comes
//!   twice.
//! - [`Opener`] takes only what is above the newest counter it saw. A datagram that was overtaken
//!   is dropped: what it asked for is asked again in the next one, if it is still lacking.
//! - No list is longer than [`MAX_ENTRIES`] and no entry asks for more shards than a block has, so
//!   reading one datagram costs at most 366 bytes and a thousand steps. A machine may lie about
//!   itself within that; what it gets by it is bounded where requests are answered.

mod body;
mod keep_alive;

use aws_lc_rs::error::Unspecified;
use bytes::Bytes;
use thiserror::Error;

pub use self::body::{Feedback, Loss, Request};
pub use self::keep_alive::KeepAlive;
use self::{
    body::{MAX_BODY, MIN_BODY},
    keep_alive::BODY as KEEP_ALIVE_BODY,
};
use crate::gcm::{self, Gcm, NONCE, TAG};

/// The first byte: below 0x40, where neither RTP nor RTCP begins (RFC 7983 §7).
pub const KIND: u8 = 0x04;
/// That of a keep-alive.
pub const KEEP_ALIVE: u8 = 0x05;
/// Most blocks that one datagram asks for, and most whose losses it tells.
pub const MAX_ENTRIES: usize = 32;
/// Most shards that a block has before parity: 64 source packets and the manifest.
pub const MAX_SHARDS: u8 = 65;
/// Bytes of a machine's key.
pub const KEY: usize = gcm::KEY;

/// Kind, receiver, counter.
const HEADER: usize = 1 + 4 + 8;
const MIN_DATAGRAM: usize = HEADER + MIN_BODY + TAG;
/// The longest datagram, in bytes: any network takes it in one piece.
pub const MAX_DATAGRAM: usize = HEADER + MAX_BODY + TAG;
/// Bytes of every keep-alive.
const KEEP_ALIVE_DATAGRAM: usize = HEADER + KEEP_ALIVE_BODY + TAG;

/// Why feedback is not sealed, or not heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Error {
    #[error("feedback of {0} bytes is shorter or longer than any")]
    Length(usize),
    #[error("datagram of kind {0} is no feedback")]
    Kind(u8),
    #[error("feedback of receiver {0}, which is another")]
    Receiver(u32),
    #[error("feedback {counter} is not above {newest}, the newest")]
    Replayed { counter: u64, newest: u64 },
    #[error("feedback was not sealed with this machine's key")]
    Forged,
    #[error("feedback ends after {0} bytes inside its body")]
    Truncated(usize),
    #[error("feedback goes on for {0} bytes after its end")]
    Trailing(usize),
    #[error("list of {0} blocks instead of at most {MAX_ENTRIES}")]
    Entries(usize),
    #[error("block {0} is twice in one list")]
    Twice(u32),
    #[error("keep-alive with unknown flags {0:#04x}")]
    Flags(u8),
    #[error("{0} shards of one block instead of at most {MAX_SHARDS}")]
    Shards(u8),
    /// Sealing: the counter is at its end.
    #[error("all counters of this key are used up")]
    Exhausted,
    #[error("AES failed, for want of memory")]
    Aes,
}

/// What one datagram says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    Feedback(Feedback),
    KeepAlive(KeepAlive),
}

/// Seals one machine's feedback.
#[derive(Debug)]
pub struct Sealer {
    receiver: u32,
    gcm: Gcm,
    /// Of the last datagram; 0 before the first.
    counter: u64,
}

impl Sealer {
    /// The machine is `receiver` by its grant, and this is the key in it. Once for each key.
    ///
    /// # Errors
    /// [`Error::Aes`] alone.
    pub fn new(receiver: u32, key: &[u8; KEY]) -> Result<Self, Error> {
        let gcm = Gcm::new(key).map_err(|Unspecified| Error::Aes)?;
        Ok(Self { receiver, gcm, counter: 0 })
    }

    /// The next datagram.
    ///
    /// # Errors
    /// Those of [`Feedback::write`]; [`Error::Exhausted`], [`Error::Aes`].
    pub fn seal(&mut self, feedback: &Feedback) -> Result<Bytes, Error> {
        self.seal_body(KIND, |out| feedback.write(out))
    }

    /// The next datagram, which keeps the flow alive.
    ///
    /// # Errors
    /// [`Error::Exhausted`], [`Error::Aes`].
    pub fn seal_keep_alive(&mut self, keep_alive: KeepAlive) -> Result<Bytes, Error> {
        self.seal_body(KEEP_ALIVE, |out| {
            keep_alive.write(out);
            Ok(())
        })
    }

    fn seal_body(
        &mut self,
        kind: u8,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), Error>,
    ) -> Result<Bytes, Error> {
        let counter = self.counter.checked_add(1).ok_or(Error::Exhausted)?;
        let header = Header { kind, receiver: self.receiver, counter }.to_bytes();
        let mut out = Vec::with_capacity(MAX_DATAGRAM);
        out.extend_from_slice(&header);
        write(&mut out)?;
        // Used from here on, even if sealing fails.
        self.counter = counter;
        let sealed = self.gcm.seal(nonce(counter), &header, header.len(), &mut out);
        sealed.map_err(|Unspecified| Error::Aes)?;
        Ok(out.into())
    }
}

/// Opens one machine's feedback, each datagram once.
#[derive(Debug)]
pub struct Opener {
    receiver: u32,
    gcm: Gcm,
    /// The highest counter heard; 0 before the first.
    newest: u64,
}

impl Opener {
    /// For the machine that was granted this number and key. Once for each key.
    ///
    /// # Errors
    /// [`Error::Aes`] alone.
    pub fn new(receiver: u32, key: &[u8; KEY]) -> Result<Self, Error> {
        let gcm = Gcm::new(key).map_err(|Unspecified| Error::Aes)?;
        Ok(Self { receiver, gcm, newest: 0 })
    }

    /// What this datagram says. Any error leaves everything as it was, save those of
    /// [`Feedback::parse`] and [`KeepAlive::parse`]: then the machine itself sent nonsense, and will
    /// not be heard with the same again.
    ///
    /// # Errors
    /// Those of [`receiver`]; [`Error::Receiver`], [`Error::Replayed`], [`Error::Forged`]; those of
    /// [`Feedback::parse`] and [`KeepAlive::parse`].
    pub fn open(&mut self, datagram: &[u8]) -> Result<Said, Error> {
        let (header, sealed) = split(datagram)?;
        let Header { kind, receiver, counter } = Header::from_bytes(header);
        if receiver != self.receiver {
            return Err(Error::Receiver(receiver));
        }
        if counter <= self.newest {
            return Err(Error::Replayed { counter, newest: self.newest });
        }
        let body = self.gcm.open(nonce(counter), header, &[], sealed);
        let body = body.map_err(|Unspecified| Error::Forged)?;
        self.newest = counter;
        match kind {
            KEEP_ALIVE => KeepAlive::parse(&body).map(Said::KeepAlive),
            _ => Feedback::parse(&body).map(Said::Feedback),
        }
    }
}

/// The machine that a datagram says it is of: which [`Opener`] to ask.
///
/// # Errors
/// [`Error::Length`] and [`Error::Kind`].
pub fn receiver(datagram: &[u8]) -> Result<u32, Error> {
    let (header, _) = split(datagram)?;
    Ok(Header::from_bytes(header).receiver)
}

/// What stays readable.
struct Header {
    kind: u8,
    receiver: u32,
    counter: u64,
}

impl Header {
    fn to_bytes(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[0] = self.kind;
        bytes[1..5].copy_from_slice(&self.receiver.to_be_bytes());
        bytes[5..].copy_from_slice(&self.counter.to_be_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; HEADER]) -> Self {
        let [kind, r0, r1, r2, r3, counter @ ..] = *bytes;
        let receiver = u32::from_be_bytes([r0, r1, r2, r3]);
        Self { kind, receiver, counter: u64::from_be_bytes(counter) }
    }
}

/// Header and sealed body of a datagram of the right kind and of a length that can be.
fn split(datagram: &[u8]) -> Result<(&[u8; HEADER], &[u8]), Error> {
    let length = Error::Length(datagram.len());
    let (header, sealed) = datagram.split_first_chunk::<HEADER>().ok_or(length)?;
    let lengths = match header[0] {
        KIND => MIN_DATAGRAM..=MAX_DATAGRAM,
        KEEP_ALIVE => KEEP_ALIVE_DATAGRAM..=KEEP_ALIVE_DATAGRAM,
        kind => return Err(Error::Kind(kind)),
    };
    if !lengths.contains(&datagram.len()) {
        return Err(length);
    }
    Ok((header, sealed))
}

fn nonce(counter: u64) -> [u8; NONCE] {
    let [_, _, _, _, nonce @ ..] = u128::from(counter).to_be_bytes();
    nonce
}

#[cfg(test)]
mod tests;
