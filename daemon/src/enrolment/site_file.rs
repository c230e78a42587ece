//! The site root as a file: how a second box joins the same site.
//!
//! ```text
//!   "ALFARID-SITE" │ version │ argon2id: m, t, p │ salt │ nonce │ sealed JSON, tag
//!        12 bytes  │ 1 byte  │ 3 × u32, big end  │  16  │  12   │ rest
//! ```
//!
//! The passphrase goes through argon2id, the JSON through ChaCha20-Poly1305 with all that stands
//! before it as associated data. How hard the hashing is stands in the file, so that it can become
//! harder; within bounds, so that a file cannot eat the box's memory.

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit, Nonce,
    aead::{Aead, Payload},
};
use rcgen::KeyPair;
use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use alfarid_protocol::id::SiteId;

use super::{authority::Certified, site};
use crate::{
    field::{FieldCode, Invalid},
    identity::Secret,
};

const MAGIC: &[u8; 12] = b"ALFARID-SITE";
const VERSION: u8 = 1;
const SALT: usize = 16;
const NONCE: usize = 12;
const HEADER: usize = MAGIC.len() + 1 + 3 * 4 + SALT + NONCE;

/// A larger file is no site file.
pub(super) const MAX_LENGTH: usize = 64 * 1024;

/// 64 MiB three times over: about a second on a Raspberry Pi, once in a box's life.
const COST: Cost = Cost { memory_kib: 64 * 1024, passes: 3, lanes: 1 };
const MOST: Cost = Cost { memory_kib: 256 * 1024, passes: 16, lanes: 4 };

#[derive(Debug, Error)]
pub enum SiteFileError {
    #[error("cannot seal the site file: {0}")]
    Seal(&'static str),
    #[error("this is not a site file")]
    NotASiteFile,
    #[error("the site file was written by a newer version: update this box")]
    Newer,
    #[error("the passphrase is wrong, or the file is damaged")]
    WrongPassphrase,
    #[error("the system gives no random bytes: {0}")]
    NoRandomness(getrandom::Error),
}

/// What protects a site file from whoever finds it.
#[derive(Debug)]
pub struct Passphrase(Secret);

impl Passphrase {
    /// For a file that is to be made: guessing at it goes on at home, without a box to slow it.
    pub fn new(text: Secret) -> Result<Self, Invalid> {
        const MIN_CHARS: usize = 12;
        if text.chars().count() < MIN_CHARS {
            let detail = "must have at least 12 characters";
            return Err(Invalid {
                field: "passphrase",
                code: FieldCode::PassphraseTooShort,
                detail,
            });
        }
        Ok(Self(text))
    }

    /// For a file that is there.
    pub fn given(text: Secret) -> Self {
        Self(text)
    }
}

/// All there is of a site beside its boxes.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub(super) struct SiteFile {
    #[zeroize(skip)]
    pub(super) site_id: SiteId,
    pub(super) site_name: String,
    root_pem: String,
    root_key_pem: String,
}

impl SiteFile {
    pub(super) fn new(site_id: SiteId, site_name: &str, root: &Certified) -> Self {
        Self {
            site_id,
            site_name: site_name.to_owned(),
            root_pem: site::certificate_pem(&root.certificate),
            root_key_pem: root.key.serialize_pem(),
        }
    }

    /// The root, if key and certificate belong together.
    pub(super) fn root(&self) -> Result<Certified, SiteFileError> {
        let certificate = CertificateDer::from_pem_slice(self.root_pem.as_bytes())
            .map_err(|_| SiteFileError::NotASiteFile)?;
        let key = KeyPair::from_pem(&self.root_key_pem).map_err(|_| SiteFileError::NotASiteFile)?;
        if site::spki_sha256(&certificate) != Some(site::key_sha256(&key)) {
            return Err(SiteFileError::NotASiteFile);
        }
        Ok(Certified { key, certificate })
    }

    /// Blocking, and long by intent.
    pub(super) fn seal(&self, passphrase: &Passphrase) -> Result<Vec<u8>, SiteFileError> {
        let mut random = [0; SALT + NONCE];
        getrandom::fill(&mut random).map_err(SiteFileError::NoRandomness)?;
        let mut file = MAGIC.to_vec();
        file.push(VERSION);
        for number in [COST.memory_kib, COST.passes, COST.lanes] {
            file.extend(number.to_be_bytes());
        }
        file.extend(random);
        let (salt, nonce) = random.split_at(SALT);
        let json = serde_json::to_vec(self).map_err(|_| SiteFileError::Seal("no JSON"))?;
        let json = Zeroizing::new(json);
        let sealed = cipher(passphrase, salt, COST)?
            .encrypt(Nonce::from_slice(nonce), Payload { msg: &json, aad: &file })
            .map_err(|_| SiteFileError::Seal("no cipher"))?;
        file.extend(sealed);
        Ok(file)
    }

    /// Blocking, and long by intent.
    pub(super) fn open(file: &[u8], passphrase: &Passphrase) -> Result<Self, SiteFileError> {
        if file.len() <= HEADER || file.len() > MAX_LENGTH || !file.starts_with(MAGIC) {
            return Err(SiteFileError::NotASiteFile);
        }
        let (header, sealed) = file.split_at(HEADER);
        let rest = &header[MAGIC.len()..];
        if rest[0] != VERSION {
            return Err(SiteFileError::Newer);
        }
        let number = |at: usize| {
            rest[at..].first_chunk().map_or(u32::MAX, |bytes| u32::from_be_bytes(*bytes))
        };
        let cost = Cost { memory_kib: number(1), passes: number(5), lanes: number(9) };
        if !cost.is_within(MOST) {
            return Err(SiteFileError::NotASiteFile);
        }
        let (salt, nonce) = rest[13..].split_at(SALT);
        let json = cipher(passphrase, salt, cost)?
            .decrypt(Nonce::from_slice(nonce), Payload { msg: sealed, aad: header })
            .map_err(|_| SiteFileError::WrongPassphrase)?;
        let json = Zeroizing::new(json);
        serde_json::from_slice(&json).map_err(|_| SiteFileError::NotASiteFile)
    }
}

impl std::fmt::Debug for SiteFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SiteFile").field("site_id", &self.site_id).finish_non_exhaustive()
    }
}

/// How much work guessing a passphrase is.
#[derive(Clone, Copy)]
struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Cost {
    fn is_within(self, most: Self) -> bool {
        self.memory_kib <= most.memory_kib && self.passes <= most.passes && self.lanes <= most.lanes
    }
}

fn cipher(
    passphrase: &Passphrase,
    salt: &[u8],
    cost: Cost,
) -> Result<ChaCha20Poly1305, SiteFileError> {
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32))
        .map_err(|_| SiteFileError::NotASiteFile)?;
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.0.as_bytes(), salt, key.as_mut())
        .map_err(|_| SiteFileError::NotASiteFile)?;
    Ok(ChaCha20Poly1305::new(key.as_ref().into()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::enrolment::authority;

    fn passphrase(text: &str) -> Passphrase {
        Passphrase::given(text.to_owned().into())
    }

    fn file() -> (SiteFile, Vec<u8>) {
        let root = authority::make_root("School 7").unwrap();
        let file = SiteFile::new(SiteId(uuid::Uuid::max()), "School 7", &root);
        let sealed = file.seal(&passphrase("correct horse battery")).unwrap();
        (file, sealed)
    }

    #[test]
    fn a_site_goes_into_a_file_and_comes_out_whole() {
        let (file, sealed) = file();
        let opened = SiteFile::open(&sealed, &passphrase("correct horse battery")).unwrap();
        assert_eq!(opened.site_id, file.site_id);
        assert_eq!(opened.site_name, "School 7");
        assert_eq!(opened.root_key_pem, file.root_key_pem);
        opened.root().unwrap();
        let key = file.root_key_pem.as_bytes();
        assert!(!sealed.windows(key.len()).any(|window| window == key));
    }

    #[test]
    fn a_wrong_passphrase_and_a_changed_byte_open_nothing() {
        let (_, mut sealed) = file();
        let wrong = SiteFile::open(&sealed, &passphrase("correct horse batterz"));
        assert!(matches!(wrong, Err(SiteFileError::WrongPassphrase)));
        let last = sealed.len() - 1;
        sealed[last] ^= 1;
        let damaged = SiteFile::open(&sealed, &passphrase("correct horse battery"));
        assert!(matches!(damaged, Err(SiteFileError::WrongPassphrase)));
    }

    #[test]
    fn a_file_of_another_kind_or_version_is_named_as_such() {
        let (_, mut sealed) = file();
        sealed[MAGIC.len()] = VERSION + 1;
        let opened = SiteFile::open(&sealed, &passphrase("x"));
        assert!(matches!(opened, Err(SiteFileError::Newer)));
        let opened = SiteFile::open(b"not a site file at all", &passphrase("x"));
        assert!(matches!(opened, Err(SiteFileError::NotASiteFile)));
    }

    #[test]
    fn a_root_whose_key_is_another_is_no_site() {
        let (one, other) = (authority::make_root("A").unwrap(), authority::make_root("A").unwrap());
        let mixed = Certified { key: one.key, certificate: other.certificate };
        let file = SiteFile::new(SiteId(uuid::Uuid::max()), "A", &mixed);
        assert!(matches!(file.root(), Err(SiteFileError::NotASiteFile)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        /// Fails when a made-up file makes the box hash with more than [`MOST`], or panic.
        #[test]
        fn bytes_from_anywhere_are_refused_cheaply(
            version in 0..3_u8, cost in any::<[u8; 12]>(), rest in any::<[u8; 40]>(),
        ) {
            let within = |at: usize, most: u32| {
                u32::from_be_bytes(*cost[at..].first_chunk().unwrap()) <= most
            };
            let is_cheap = !(within(0, MOST.memory_kib) && within(4, MOST.passes));
            prop_assume!(is_cheap);
            let file = [&MAGIC[..], &[version], &cost, &rest].concat();
            prop_assert!(SiteFile::open(&file, &passphrase("x")).is_err());
        }
    }
}
