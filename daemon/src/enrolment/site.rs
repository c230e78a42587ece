//! The site's trust as it lies on this box's disk.
//!
//! ```text
//! STATE/trust/       0700, appears whole or not at all
//!   site.json        the site's id and name, and which names the box's CA may vouch for
//!   root.pem         the site root's certificate: what machines pin, what people may install
//!   root.key         its key, until it is exported; never on a box that joined
//!   box-ca.pem       this box's CA: certificate, then key
//!   leaf.pem         what the box shows to pages and machines: certificate, then key
//! ```
//!
//! Files and not the database, so that a damaged database costs people's data at most since the
//! last copy, and no trust: no machine has to enrol again.
//!
//! Only `leaf.pem` is ever made again. A `leaf.pem` that cannot be read is as good as none; any
//! other file that cannot be read is [`SiteError::Damaged`], for making it again would cut off
//! every machine.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use alfarid_protocol::{
    id::{BoxId, SiteId},
    time::Timestamp,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use rcgen::{KeyPair, PublicKeyData};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;
use x509_parser::{certificate::X509Certificate, prelude::FromDer};
use zeroize::Zeroizing;

use super::authority::{self, AuthorityError, Certified, Names};
use crate::files;

#[derive(Debug, Error)]
pub enum SiteError {
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    #[error("{path} is damaged: {why}. Put back the folder it lies in from a backup")]
    Damaged { path: PathBuf, why: String },
    #[error("cannot read {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot write {path}")]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// What people know of a site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    pub site_id: SiteId,
    pub site_name: String,
    /// Names beside the local domains that this box's CA may vouch for.
    pub ca_names: Vec<String>,
}

/// A claimed box's trust, in memory.
#[derive(Debug)]
pub struct Site {
    dir: PathBuf,
    pub description: Description,
    pub root: CertificateDer<'static>,
    pub root_spki_sha256: [u8; 32],
    ca: Certified,
}

impl Site {
    fn dir(state_dir: &Path) -> PathBuf {
        state_dir.join("trust")
    }

    /// What is on the disk; `None` on a box that belongs to no site yet. Blocking.
    pub(super) fn load(state_dir: &Path) -> Result<Option<Self>, SiteError> {
        let dir = Self::dir(state_dir);
        if !dir.exists() {
            return Ok(None);
        }
        let path = dir.join("site.json");
        let description = serde_json::from_slice(&read(&path)?)
            .map_err(|error| SiteError::Damaged { path, why: error.to_string() })?;
        let root = certificate(&dir.join("root.pem"))?;
        let root_spki_sha256 = spki_sha256(&root).ok_or_else(|| SiteError::Damaged {
            path: dir.join("root.pem"),
            why: "it has no readable key".to_owned(),
        })?;
        let ca = certified(&dir.join("box-ca.pem"))?;
        Ok(Some(Self { dir, description, root, root_spki_sha256, ca }))
    }

    /// Writes a new site's trust, or this box's part in another box's site, and loads it.
    /// Blocking. `keep_root_key`: this is the site's first box.
    pub(super) fn found(
        state_dir: &Path,
        box_id: BoxId,
        description: &Description,
        root: &Certified,
        keep_root_key: bool,
    ) -> Result<Self, SiteError> {
        let dir = Self::dir(state_dir);
        let fresh = dir.with_extension("new");
        let ca = authority::make_box_ca(root, box_id, &description.ca_names)?;
        let json = serde_json::to_vec_pretty(description)
            .map_err(|error| SiteError::Write { path: fresh.clone(), source: error.into() })?;

        let write = |name: &str, content: &[u8]| {
            let path = fresh.join(name);
            files::replace(&path, content).map_err(|source| SiteError::Write { path, source })
        };
        let failed = |source| SiteError::Write { path: fresh.clone(), source };
        // Left by a power cut in the middle of a claim: nobody has seen any of it.
        if fresh.exists() {
            fs::remove_dir_all(&fresh).map_err(failed)?;
        }
        files::private_dir(&fresh).map_err(failed)?;
        write("site.json", &json)?;
        write("root.pem", certificate_pem(&root.certificate).as_bytes())?;
        write("box-ca.pem", certified_pem(&ca).as_bytes())?;
        if keep_root_key {
            let key = Zeroizing::new(root.key.serialize_pem());
            write("root.key", key.as_bytes())?;
        }
        files::place_dir(&fresh, &dir).map_err(failed)?;
        Self::load(state_dir)?.ok_or(SiteError::Damaged { path: dir, why: "it is gone".to_owned() })
    }

    /// The hash of the root's key as people compare it: hexadecimal.
    pub fn root_fingerprint(&self) -> String {
        let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or_default();
        self.root_spki_sha256.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
    }

    pub(super) fn ca(&self) -> &Certified {
        &self.ca
    }

    /// What this box shows, then its CA, then the root, by whose hash machines know the site.
    pub(super) fn chain_of(&self, leaf: &Certified) -> Vec<CertificateDer<'static>> {
        vec![leaf.certificate.clone(), self.ca.certificate.clone(), self.root.clone()]
    }

    /// The root with its key, on a box that has not given it away yet. Blocking.
    pub(super) fn root_with_key(&self) -> Result<Option<Certified>, SiteError> {
        let path = self.dir.join("root.key");
        if !path.exists() {
            return Ok(None);
        }
        let text = Zeroizing::new(read(&path)?);
        let damaged = |why: String| SiteError::Damaged { path: path.clone(), why };
        let text = std::str::from_utf8(&text).map_err(|error| damaged(error.to_string()))?;
        let key = KeyPair::from_pem(text).map_err(|error| damaged(error.to_string()))?;
        if key_sha256(&key) != self.root_spki_sha256 {
            return Err(damaged("it is not the key of root.pem".to_owned()));
        }
        Ok(Some(Certified { key, certificate: self.root.clone() }))
    }

    /// From now on nobody can make a box of this site out of this one. Blocking.
    pub(super) fn forget_root_key(&self) -> Result<(), SiteError> {
        let path = self.dir.join("root.key");
        files::remove(&path).map_err(|source| SiteError::Write { path, source })
    }

    /// The leaf on disk, if there is a readable one. Blocking.
    pub(super) fn leaf(&self) -> Option<Certified> {
        certified(&self.dir.join("leaf.pem")).ok()
    }

    /// Issues a leaf for `names`, which nobody has seen and no disk has yet.
    pub(super) fn new_leaf(
        &self,
        box_id: BoxId,
        names: &Names,
        now: Timestamp,
    ) -> Result<Certified, AuthorityError> {
        authority::make_box_leaf(&self.ca, box_id, names, now)
    }

    /// Writes a leaf in the place of the one on disk. Blocking.
    pub(super) fn keep_leaf(&self, leaf: &Certified) -> Result<(), SiteError> {
        let path = self.dir.join("leaf.pem");
        files::replace(&path, certified_pem(leaf).as_bytes())
            .map_err(|source| SiteError::Write { path, source })
    }
}

/// SHA-256 of a certificate's `SubjectPublicKeyInfo` in DER, `None` if it is no certificate.
pub fn spki_sha256(certificate: &CertificateDer<'_>) -> Option<[u8; 32]> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some(Sha256::digest(parsed.tbs_certificate.subject_pki.raw).into())
}

/// The same of a key that is in our own hands.
pub(super) fn key_sha256(key: &KeyPair) -> [u8; 32] {
    Sha256::digest(key.subject_public_key_info()).into()
}

/// RFC 7468 §2: base64 in lines of 64.
pub(super) fn certificate_pem(certificate: &CertificateDer<'_>) -> String {
    let mut pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
    for line in STANDARD.encode(certificate).as_bytes().chunks(64) {
        pem.extend(line.iter().map(|byte| char::from(*byte)));
        pem.push('\n');
    }
    pem + "-----END CERTIFICATE-----\n"
}

fn certified_pem(certified: &Certified) -> Zeroizing<String> {
    let key = Zeroizing::new(certified.key.serialize_pem());
    Zeroizing::new(certificate_pem(&certified.certificate) + &key)
}

fn certified(path: &Path) -> Result<Certified, SiteError> {
    let text = Zeroizing::new(read(path)?);
    let damaged = |why: String| SiteError::Damaged { path: path.to_owned(), why };
    let certificate =
        CertificateDer::from_pem_slice(&text).map_err(|error| damaged(error.to_string()))?;
    let key = rustls_pki_types::PrivatePkcs8KeyDer::from_pem_slice(&text)
        .map_err(|error| damaged(error.to_string()))?;
    let key = KeyPair::try_from(&key).map_err(|error| damaged(error.to_string()))?;
    Ok(Certified { key, certificate })
}

fn certificate(path: &Path) -> Result<CertificateDer<'static>, SiteError> {
    CertificateDer::from_pem_slice(&read(path)?)
        .map_err(|error| SiteError::Damaged { path: path.to_owned(), why: error.to_string() })
}

fn read(path: &Path) -> Result<Vec<u8>, SiteError> {
    fs::read(path).map_err(|source| SiteError::Read { path: path.to_owned(), source })
}
