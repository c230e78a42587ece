//! What the targets for signed datagrams share: the box's key, with which the seeds are signed.

use alfarid_stream::block::{SigningKey, VerifyingKey};
use aws_lc_rs::signature::Ed25519KeyPair;

pub fn key() -> SigningKey {
    SigningKey::new(Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("32 bytes"))
}

pub fn public() -> VerifyingKey {
    VerifyingKey::new(&key().public().expect("32 bytes")).expect("it was made here")
}
