//! What enrolment leaves on the machine's disk, and the last address that worked.
//!
//! ```text
//! STATE/                    0700
//!   identity/               appears whole or not at all
//!     key.pem               0600, never leaves the machine
//!     chain.pem             the machine's certificate, then the box CA's
//!     root.pem              the site root: what the machine pins
//!     box.json              which box, which machine, where
//!   last-address            where the box was last; a hint
//!   presence.journal        see `presence::journal`
//! ```

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
    sync::Arc,
};

use alfarid_protocol::id::{BoxId, MachineId};
use rustls::{
    ClientConfig,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{files, trust};

#[derive(Debug, Error)]
pub enum IdentityError {
    #[error("this machine is not enrolled: {0} is not there")]
    NotEnrolled(PathBuf),
    #[error("read {path}")]
    Read { path: PathBuf, source: io::Error },
    #[error("write {path}")]
    Write { path: PathBuf, source: io::Error },
    #[error("{path} is no PEM file of the kind expected")]
    Pem { path: PathBuf, source: pem::Error },
    #[error("{path} is damaged")]
    Json { path: PathBuf, source: serde_json::Error },
    #[error("the certificates in {dir} cannot be used")]
    Trust { dir: PathBuf, source: trust::TrustError },
}

/// Which box this machine was enrolled at. Other boxes of the same site serve it just as well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolledAt {
    pub box_id: BoxId,
    pub machine: MachineId,
    /// `host:port` of the agent port. Hints, never trust.
    pub addresses: Vec<String>,
}

/// What a new enrolment writes.
#[derive(Debug)]
pub(crate) struct Credentials {
    pub(crate) key_pem: Zeroizing<String>,
    pub(crate) chain_pem: String,
    pub(crate) root_pem: String,
    pub(crate) enrolled_at: EnrolledAt,
}

/// The state folder of one machine.
#[derive(Clone, Debug)]
pub struct StateDir {
    path: PathBuf,
}

impl StateDir {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    pub fn journal_path(&self) -> PathBuf {
        self.path.join("presence.journal")
    }

    pub fn is_enrolled(&self) -> bool {
        self.identity().exists()
    }

    /// Puts `credentials` in place in one step. The files belong to whoever owns the state
    /// folder: root enrols, the service's own user reads.
    pub(crate) fn save(&self, credentials: &Credentials) -> Result<(), IdentityError> {
        let fresh = self.path.join("identity.new");
        let result = self.write_into(&fresh, credentials);
        if result.is_err() {
            // Best effort: what is left of it is private and takes nobody's place.
            let _ = fs::remove_dir_all(&fresh);
        }
        result
    }

    fn write_into(&self, fresh: &Path, credentials: &Credentials) -> Result<(), IdentityError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| IdentityError::Write { path, source }
        };
        files::private_dir(&self.path).map_err(failed(&self.path))?;
        if fresh.exists() {
            fs::remove_dir_all(fresh).map_err(failed(fresh))?;
        }
        files::private_dir(fresh).map_err(failed(fresh))?;
        let box_json = serde_json::to_vec_pretty(&credentials.enrolled_at)
            .map_err(|source| IdentityError::Json { path: fresh.join("box.json"), source })?;
        for (name, content) in [
            ("key.pem", credentials.key_pem.as_bytes()),
            ("chain.pem", credentials.chain_pem.as_bytes()),
            ("root.pem", credentials.root_pem.as_bytes()),
            ("box.json", box_json.as_slice()),
        ] {
            let path = fresh.join(name);
            files::write_new(&path, content).map_err(failed(&path))?;
        }
        self.give_to_owner(fresh).map_err(failed(fresh))?;
        files::replace_dir(fresh, &self.identity()).map_err(failed(&self.identity()))
    }

    fn give_to_owner(&self, dir: &Path) -> io::Result<()> {
        let owner = fs::metadata(&self.path)?;
        if owner.uid() == fs::metadata(dir)?.uid() {
            return Ok(());
        }
        for entry in fs::read_dir(dir)? {
            chown(entry?.path(), Some(owner.uid()), Some(owner.gid()))?;
        }
        chown(dir, Some(owner.uid()), Some(owner.gid()))
    }

    pub fn load(&self) -> Result<Identity, IdentityError> {
        let dir = self.identity();
        if !dir.exists() {
            return Err(IdentityError::NotEnrolled(dir));
        }
        let path = dir.join("box.json");
        let json = read(&path)?;
        let enrolled_at: EnrolledAt =
            serde_json::from_slice(&json).map_err(|source| IdentityError::Json { path, source })?;

        let chain_path = dir.join("chain.pem");
        let chain = CertificateDer::pem_slice_iter(&read(&chain_path)?)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|source| IdentityError::Pem { path: chain_path, source })?;
        let root_path = dir.join("root.pem");
        let root = CertificateDer::from_pem_slice(&read(&root_path)?)
            .map_err(|source| IdentityError::Pem { path: root_path, source })?;
        let key_path = dir.join("key.pem");
        let key = PrivateKeyDer::from_pem_slice(&Zeroizing::new(read(&key_path)?))
            .map_err(|source| IdentityError::Pem { path: key_path, source })?;

        let tls = trust::machine_config(root, chain, key)
            .map_err(|source| IdentityError::Trust { dir, source })?;
        Ok(Identity { enrolled_at, tls })
    }

    /// Where the box was last reached, if anything was noted.
    pub fn last_address(&self) -> Option<String> {
        let text = fs::read_to_string(self.last_address_path()).ok()?;
        let address = text.trim();
        (!address.is_empty()).then(|| address.to_owned())
    }

    /// Notes where the box was reached. A hint: a failure is for the log, not for anybody to act
    /// upon.
    pub fn note_address(&self, address: &str) {
        if self.last_address().as_deref() == Some(address) {
            return;
        }
        if let Err(error) = files::replace(&self.last_address_path(), address.as_bytes()) {
            tracing::warn!(%error, "the box's address could not be noted");
        }
    }

    fn identity(&self) -> PathBuf {
        self.path.join("identity")
    }

    fn last_address_path(&self) -> PathBuf {
        self.path.join("last-address")
    }
}

/// An enrolled machine, ready to connect.
#[derive(Clone, Debug)]
pub struct Identity {
    pub enrolled_at: EnrolledAt,
    /// Mutual TLS with this machine's certificate, pinned to the site root.
    pub tls: Arc<ClientConfig>,
}

fn read(path: &Path) -> Result<Vec<u8>, IdentityError> {
    fs::read(path).map_err(|source| IdentityError::Read { path: path.to_owned(), source })
}
