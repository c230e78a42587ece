//! What an epoch's master key becomes: session keys, one pair for packets and one for reports.

use aws_lc_rs::{
    cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey},
    error::Unspecified,
    iv::FixedLength,
};
use zeroize::Zeroizing;

use super::Error;
use crate::{
    epoch::{Epoch, KEY, SALT},
    gcm::{Gcm, NONCE},
};

/// Labels of RFC 3711 §4.3.1 and §4.3.2. Those between are of authentication keys, which GCM has
/// none of.
mod label {
    pub(super) const RTP_KEY: u8 = 0;
    pub(super) const RTP_SALT: u8 = 2;
    pub(super) const RTCP_KEY: u8 = 3;
    pub(super) const RTCP_SALT: u8 = 5;
}

/// The session keys of one epoch.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) mki: u16,
    pub(super) packets: Keys,
    pub(super) reports: Keys,
}

impl Session {
    pub(super) fn new(epoch: &Epoch) -> Result<Self, Error> {
        let keys = |key_label, salt_label| {
            Keys::derive(epoch, key_label, salt_label).map_err(|Unspecified| Error::Aes)
        };
        Ok(Self {
            mki: epoch.mki(),
            packets: keys(label::RTP_KEY, label::RTP_SALT)?,
            reports: keys(label::RTCP_KEY, label::RTCP_SALT)?,
        })
    }
}

/// A session key and its salt.
#[derive(Debug)]
pub(super) struct Keys {
    gcm: Gcm,
    salt: Zeroizing<[u8; SALT]>,
}

impl Keys {
    pub(super) fn new(key: &[u8; KEY], salt: [u8; SALT]) -> Result<Self, Unspecified> {
        Ok(Self { gcm: Gcm::new(key)?, salt: Zeroizing::new(salt) })
    }

    fn derive(epoch: &Epoch, key_label: u8, salt_label: u8) -> Result<Self, Unspecified> {
        // RFC 7714 §11: the derivation wants a salt of 112 bits, so 16 zeros follow the 96.
        let mut master_salt = Zeroizing::new([0; 14]);
        let (salt, _) = master_salt.split_at_mut(SALT);
        salt.copy_from_slice(&epoch.salt);
        let key = derive::<KEY>(&epoch.key, &master_salt, key_label)?;
        let salt = derive::<SALT>(&epoch.key, &master_salt, salt_label)?;
        Self::new(&key, *salt)
    }

    /// Seals in place what `out` has from `start` on, and appends the tag.
    pub(super) fn seal(
        &self,
        ssrc: u32,
        index: u64,
        aad: &[u8],
        start: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let sealed = self.gcm.seal(self.nonce(ssrc, index), aad, start, out);
        sealed.map_err(|Unspecified| Error::Aes)
    }

    /// The text of `sealed` behind a copy of `head`.
    pub(super) fn open(
        &self,
        ssrc: u32,
        index: u64,
        aad: &[u8],
        head: &[u8],
        sealed: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let opened = self.gcm.open(self.nonce(ssrc, index), aad, head, sealed);
        opened.map_err(|Unspecified| Error::Forged)
    }

    /// RFC 7714 §8.1: 16 zeros, the SSRC, roll-over count and sequence number, which are the 48
    /// bits of the index; §9.1: the same of a report, whose index has 31 bits. Under the salt.
    pub(super) fn nonce(&self, ssrc: u32, index: u64) -> [u8; NONCE] {
        let bits = u128::from(ssrc) << 48 | u128::from(index);
        let [_, _, _, _, mut nonce @ ..] = bits.to_be_bytes();
        for (byte, salt) in nonce.iter_mut().zip(*self.salt) {
            *byte ^= salt;
        }
        nonce
    }
}

/// The key derivation of RFC 3711 §4.3 at rate 0: `N` bytes, at most 16, of the key stream that
/// starts where the label says.
pub(super) fn derive<const N: usize>(
    master_key: &[u8; KEY],
    master_salt: &[u8; 14],
    label: u8,
) -> Result<Zeroizing<[u8; N]>, Unspecified> {
    // §4.3.1 and §4.3.3: (label, index 0 of 48 bits) over the salt, then a block count of 16 bits.
    let mut counter = [0; 16];
    let (start, _) = counter.split_at_mut(14);
    start.copy_from_slice(master_salt);
    counter[7] ^= label;
    let mut out = Zeroizing::new([0; N]);
    let cipher = EncryptingKey::ctr(UnboundCipherKey::new(&AES_128, master_key)?)?;
    cipher.less_safe_encrypt(&mut *out, EncryptionContext::Iv128(FixedLength::from(counter)))?;
    Ok(out)
}
