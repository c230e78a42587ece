//! Who a person is and what they may do.
//!
//! A person is a teacher or an admin; students have no accounts. A browser proves who it is by a
//! session cookie ([`extract`]), a program by a stream key. Roles are checked here, on the box,
//! per object: what a page hides or shows is courtesy, never protection.
//!
//! Passwords are kept as argon2id ([`password`]), session tokens and stream keys as SHA-256. A
//! session ends when it is not used for twelve hours, counted without a calendar ([`session`]).

pub mod audit;
pub mod extract;
mod password;
mod routes;
mod secret;
mod session;
mod store;

use std::sync::Arc;

use alfarid_protocol::{id::TeacherId, time::Timestamp};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;
use utoipa::ToSchema;
use zeroize::Zeroizing;

pub use self::{
    extract::{Admin, Signed},
    password::NewPassword,
    routes::{routes, session_cookie},
    secret::Secret,
};
use self::{password::Passwords, session::Sessions};
use crate::{
    clock::{Authority, Clock},
    db::{Db, DbError},
    field::{self, Invalid},
};

#[derive(Debug, Error)]
pub enum Error {
    #[error("this box has an admin already")]
    AdminExists,
    #[error("too many people log in at this moment")]
    Busy,
    #[error("cannot read or write people")]
    Db(#[from] DbError),
    #[error("cannot hash a password: {0}")]
    Hash(argon2::password_hash::Error),
    #[error(transparent)]
    Invalid(#[from] Invalid),
    #[error("the system gives no random bytes: {0}")]
    NoRandomness(getrandom::Error),
    #[error("the e-mail address or the password is wrong")]
    WrongCredentials,
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

/// Somebody who is to get an account; every field has been parsed.
#[derive(Debug)]
pub struct NewTeacher {
    pub email: String,
    pub full_name: String,
    pub department: Option<String>,
    pub role: Role,
    pub language: Language,
    pub password: NewPassword,
}

impl NewTeacher {
    /// The longest name that is taken, in characters.
    pub const MAX_NAME: usize = 200;

    pub fn parse(
        email: &str,
        full_name: &str,
        password: Secret,
        role: Role,
        language: Language,
    ) -> Result<Self, Invalid> {
        Ok(Self {
            email: field::email("email", email)?,
            full_name: field::line("full_name", full_name, Self::MAX_NAME)?,
            department: None,
            role,
            language,
            password: NewPassword::parse("password", password)?,
        })
    }
}

/// A fresh session: the token goes into the browser's cookie and is kept nowhere else.
#[derive(Debug)]
pub struct LoggedIn {
    pub person: Person,
    pub token: Secret,
}

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    db: Db,
    clock: Clock,
    passwords: Arc<Passwords>,
    sessions: Arc<Sessions>,
}

impl Handle {
    pub fn new(db: Db, clock: Clock) -> Self {
        let sessions = Arc::new(Sessions::new(&clock));
        Self { db, clock, passwords: Arc::default(), sessions }
    }

    /// Who the session cookie `token` belongs to; `None` if to nobody, to somebody who is not
    /// active any more, or if it was not used for too long. Using it keeps it alive.
    pub async fn person_of_session(&self, token: &str) -> Result<Option<Person>, Error> {
        let hash = sha256(token);
        let found = self.db.read(move |c| store::session(c, &hash)).await?;
        let Some((person, last_seen_at)) = found else { return Ok(None) };
        let now = self.clock.monotonic();
        if !self.sessions.is_fresh(&hash, last_seen_at, now) {
            self.end_session(hash).await?;
            return Ok(None);
        }
        if self.sessions.seen(hash, now) {
            let at = self.clock.now();
            self.db.write(move |tx| store::touch_session(tx, &hash, at)).await?;
        }
        Ok(Some(person))
    }

    /// Whose stream key this is, for OBS and its like.
    pub async fn person_of_stream_key(&self, key: &str) -> Result<Option<Person>, Error> {
        let hash = sha256(key);
        Ok(self.db.read(move |c| store::person_of_stream_key(c, &hash)).await?)
    }

    /// Whether anybody can administer this box. Without an admin it can be claimed.
    pub async fn has_admin(&self) -> Result<bool, Error> {
        Ok(self.db.read(store::has_admin).await?)
    }

    /// Makes the first admin, logged in at once. Fails once there is one: of two claims at the
    /// same moment one wins. An account of that address which outlived all admins is taken over:
    /// whoever claims stands at the box.
    pub async fn first_admin(&self, new: NewTeacher) -> Result<LoggedIn, Error> {
        let hash = self.passwords.hash(new.password).await?;
        let person = Person {
            id: self.clock.id(),
            email: new.email,
            full_name: new.full_name,
            role: Role::Admin,
            language: new.language,
        };
        let (token, token_hash) = secret_token()?;
        let clock = self.clock.clone();
        let person = self
            .db
            .write(move |tx| {
                if store::has_admin(tx)? {
                    return Err(Error::AdminExists);
                }
                let id = store::put_first_admin(tx, &person, &hash, clock.now())?;
                audit::write(tx, &clock, &audit::Entry::new(id, "box_claimed", &id))?;
                store::insert_session(tx, &token_hash, id, clock.now())?;
                Ok(Person { id, ..person })
            })
            .await?;
        self.sessions.seen(token_hash, self.clock.monotonic());
        Ok(LoggedIn { person, token })
    }

    /// Opens a session for whoever knows the password. An unknown address takes as long as a
    /// wrong password.
    pub async fn log_in(
        &self,
        email: &str,
        password: Secret,
        browser_time: Timestamp,
    ) -> Result<LoggedIn, Error> {
        let email = email.trim().to_lowercase();
        let known = self.db.read(move |c| store::credentials(c, &email)).await?;
        let (person, hash) = known.unzip();
        let is_right = self.passwords.verify(password, hash).await?;
        let person = person.filter(|_| is_right).ok_or(Error::WrongCredentials)?;
        self.take_time(browser_time);
        let (token, token_hash) = secret_token()?;
        let (id, at) = (person.id, self.clock.now());
        self.db.write(move |tx| store::insert_session(tx, &token_hash, id, at)).await?;
        self.sessions.seen(token_hash, self.clock.monotonic());
        Ok(LoggedIn { person, token })
    }

    /// Ends the session of this cookie, if it is one.
    pub async fn log_out(&self, token: &str) -> Result<(), Error> {
        self.end_session(sha256(token)).await
    }

    async fn end_session(&self, hash: [u8; 32]) -> Result<(), Error> {
        self.sessions.forget(&hash);
        Ok(self.db.write(move |tx| store::delete_session(tx, &hash)).await?)
    }

    /// Puts an unsure clock right by the browser of somebody who has just proved who they are.
    pub fn take_time(&self, browser_time: Timestamp) {
        /// 2100-01-01: a browser that is further off is wrong, and box time never goes back.
        const BELIEVABLE_UNTIL: Timestamp = Timestamp(4_102_444_800_000);
        if browser_time > BELIEVABLE_UNTIL {
            return;
        }
        if let Some(moved_ms) = self.clock.correct(browser_time, Authority::Browser) {
            tracing::info!(
                clock.moved_ms = moved_ms,
                "box time moved by {moved_ms} ms by a browser"
            );
        }
    }
}

/// 256 random bits as text, and their hash. Secrets are kept as their hash only: so many random
/// bits need no salt and no slow hash.
fn secret_token() -> Result<(Secret, [u8; 32]), Error> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(bytes.as_mut()).map_err(Error::NoRandomness)?;
    let token = Secret::from(URL_SAFE_NO_PAD.encode(*bytes));
    let hash = sha256(&token);
    Ok((token, hash))
}

fn sha256(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}
