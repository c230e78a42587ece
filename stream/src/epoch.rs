//! The group's keys.
//!
//! An [`Epoch`] is the time in which one key seals the broadcast. Streams and their indices go on
//! across epochs; only the key changes, so a machine that holds both keys notices nothing.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::gcm;

/// Bytes of a master key (RFC 7714 §12).
pub const KEY: usize = gcm::KEY;
/// Bytes of a master salt (RFC 7714 §12).
pub const SALT: usize = 12;

/// One key of the group. Both secrets are wiped when it is dropped, and never printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Epoch {
    /// Counts the epochs of one lesson. On the wire are its low 16 bits.
    #[zeroize(skip)]
    pub number: u32,
    /// Random, never used before.
    pub key: [u8; KEY],
    /// Random.
    pub salt: [u8; SALT],
}

impl Epoch {
    /// What names this epoch in a packet: the master key identifier of RFC 3711 §3.1.
    pub fn mki(&self) -> u16 {
        (self.number & 0xffff) as u16
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Epoch").field("number", &self.number).finish_non_exhaustive()
    }
}
