//! Who a person is and what they may do.
//!
//! A person is a teacher or an admin; students have no accounts. A browser proves who it is by a
//! session cookie ([`extract`]), a program by a stream key. Roles are checked here, on the box,
//! per object: what a page hides or shows is courtesy, never protection.

pub mod extract;
mod store;

use alfarid_protocol::id::TeacherId;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;
use utoipa::ToSchema;

pub use self::extract::{Admin, Signed};
use crate::{clock::Clock, db::{Db, DbError}};

#[derive(Debug, Error)]
pub enum Error {
    #[error("cannot read or write people")]
    Db(#[from] DbError),
}

/// Somebody who is logged in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Person {
    pub id: TeacherId,
    pub email: String,
    pub full_name: String,
    pub role: Role,
    pub language: Language,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Teacher,
    Admin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    Ru,
    En,
}

impl Person {
    pub fn is_admin(&self) -> bool {
        self.role == Role::Admin
    }
}

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    db: Db,
    clock: Clock,
}

impl Handle {
    pub fn new(db: Db, clock: Clock) -> Self {
        Self { db, clock }
    }

    /// Who the session cookie `token` belongs to; `None` if to nobody, or to somebody who is not
    /// active any more.
    pub async fn person_of_session(&self, token: &str) -> Result<Option<Person>, Error> {
        let hash = sha256(token);
        self.db.read(move |c| Ok(store::person_of_session(c, &hash)?)).await
    }

    /// Whose stream key this is, for OBS and GStreamer.
    pub async fn person_of_stream_key(&self, key: &str) -> Result<Option<Person>, Error> {
        let hash = sha256(key);
        self.db.read(move |c| Ok(store::person_of_stream_key(c, &hash)?)).await
    }
}

/// Secrets are kept as their hash only: 256 random bits need no salt and no slow hash.
fn sha256(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}
