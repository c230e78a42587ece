//! AES-128-GCM, the one cipher of the broadcast, as the rest of this crate wants it.
//!
//! `aws-lc-rs` is in the tree by `rustls` anyway. It looks at run time for what the processor has:
//! AES and carry-less multiplication as instructions on nearly any x86 and ARM of the last ten
//! years; on a Raspberry Pi 4, whose processor lacks both, it does the same by vector permutation
//! in NEON, some ten times slower and still far faster than the network. Either way it takes the
//! same time whatever the key, and wipes its keys when they are dropped.

use aws_lc_rs::{
    aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    error::Unspecified,
};

pub(crate) const KEY: usize = 16;
pub(crate) const NONCE: usize = 12;
pub(crate) const TAG: usize = 16;

/// One key. That no nonce comes twice is its owner's business.
#[derive(Debug)]
pub(crate) struct Gcm(LessSafeKey);

impl Gcm {
    /// Fails only where memory does.
    pub(crate) fn new(key: &[u8; KEY]) -> Result<Self, Unspecified> {
        Ok(Self(LessSafeKey::new(UnboundKey::new(&AES_128_GCM, key)?)))
    }

    /// Seals in place what `out` has from `start` on, and appends the tag.
    pub(crate) fn seal(
        &self,
        nonce: [u8; NONCE],
        aad: &[u8],
        start: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Unspecified> {
        let text = out.get_mut(start..).ok_or(Unspecified)?;
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self.0.seal_in_place_separate_tag(nonce, Aad::from(aad), text)?;
        out.extend_from_slice(tag.as_ref());
        Ok(())
    }

    /// The text of `sealed`, which ends with the tag, behind a copy of `head`.
    pub(crate) fn open(
        &self,
        nonce: [u8; NONCE],
        aad: &[u8],
        head: &[u8],
        sealed: &[u8],
    ) -> Result<Vec<u8>, Unspecified> {
        let (text, tag) = sealed.split_last_chunk::<TAG>().ok_or(Unspecified)?;
        let mut out = Vec::with_capacity(head.len() + text.len());
        out.extend_from_slice(head);
        out.resize(head.len() + text.len(), 0);
        let space = out.get_mut(head.len()..).ok_or(Unspecified)?;
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.0.open_separate_gather(nonce, Aad::from(aad), text, tag, space)?;
        Ok(out)
    }
}
