//! Ed25519 ([RFC 8032](https://www.rfc-editor.org/rfc/rfc8032)): only the box signs.
//!
//! The key is made for one lesson and one start of the box; its public half is in the grant. So
//! nothing signed in another lesson, or before a restart, is ever believed.

use std::{fmt, sync::Arc};

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, ParsedPublicKey};
use bytes::Bytes;

use super::{Error, SIGNATURE};
#[cfg(any(test, feature = "lab"))]
use crate::lab::Signed;

/// The box's key for this lesson. Cheap to clone; never printed.
#[derive(Clone)]
pub struct SigningKey(Arc<Ed25519KeyPair>);

impl SigningKey {
    pub fn new(pair: Ed25519KeyPair) -> Self {
        Self(Arc::new(pair))
    }

    /// The half that the grant carries.
    pub fn public(&self) -> Result<[u8; 32], Error> {
        self.0.public_key().as_ref().try_into().map_err(|_| Error::Key)
    }

    /// The datagram: what was written, and its signature.
    pub(super) fn sign(&self, mut written: Vec<u8>) -> Bytes {
        let signature = self.0.sign(&written);
        written.extend_from_slice(signature.as_ref());
        written.into()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").finish_non_exhaustive()
    }
}

/// The public half, as a machine has it from its grant.
#[derive(Clone)]
pub struct VerifyingKey {
    public: ParsedPublicKey,
    #[cfg(any(test, feature = "lab"))]
    signed: Option<Signed>,
}

impl VerifyingKey {
    pub fn new(public: &[u8; 32]) -> Result<Self, Error> {
        let public = ParsedPublicKey::new(&ED25519, public).map_err(|_| Error::Key)?;
        Ok(Self {
            public,
            #[cfg(any(test, feature = "lab"))]
            signed: None,
        })
    }

    /// For many machines of one process, which are sent the same: what is found to be signed once
    /// is so for all that have a clone of this.
    #[cfg(any(test, feature = "lab"))]
    #[must_use]
    pub fn shared(self) -> Self {
        Self { signed: Some(Signed::default()), ..self }
    }

    fn check(&self, datagram: &Bytes) -> Result<(), Error> {
        #[cfg(any(test, feature = "lab"))]
        if let Some(signed) = &self.signed {
            return signed.check(datagram, || self.verify(datagram));
        }
        self.verify(datagram)
    }

    fn verify(&self, datagram: &[u8]) -> Result<(), Error> {
        let (written, signature) =
            datagram.split_last_chunk::<SIGNATURE>().ok_or(Error::Truncated(datagram.len()))?;
        self.public.verify_sig(written, signature).map_err(|_| Error::Signature)
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey").finish_non_exhaustive()
    }
}

/// What a datagram says, as long as nobody has looked at its signature.
#[derive(Clone, Debug)]
pub struct Claim<T> {
    claimed: T,
    datagram: Bytes,
}

impl<T> Claim<T> {
    pub(super) fn new(claimed: T, datagram: &Bytes) -> Self {
        Self { claimed, datagram: datagram.clone() }
    }

    /// What anybody may have written.
    pub fn unverified(&self) -> &T {
        &self.claimed
    }

    /// What the box wrote, if it did. Costs as much as a signature check does: some 50 µs.
    pub fn verify(self, key: &VerifyingKey) -> Result<T, Error> {
        key.check(&self.datagram)?;
        Ok(self.claimed)
    }
}
