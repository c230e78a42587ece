//! Who a person is and what they may do.
//!
//! A person is a teacher or an admin. Students have no accounts: a teacher gives each a code, by
//! which they sign in at pages of their own ([`students`]). A browser proves who it is by a session
//! cookie ([`extract`]), a program by a stream key. Roles are checked here, on the box, per object:
//! what a page hides or shows is courtesy, never protection.
//!
//! Passwords and codes are kept as argon2id ([`password`]), session tokens and stream keys as
//! SHA-256. A session ends when it is not used for twelve hours, a student's with the school day,
//! both counted without a calendar ([`session`]). Wrong passwords and codes slow down and never
//! lock out ([`slowdown`]).

pub mod audit;
pub mod extract;
mod login;
mod password;
mod people;
mod routes;
mod secret;
mod session;
mod slowdown;
mod store;
mod students;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use alfarid_protocol::id::TeacherId;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;
use utoipa::ToSchema;
use zeroize::Zeroizing;

pub use self::{
    extract::{Admin, Anybody, Signed, Staying, Student},
    login::{Credentials, LoggedIn},
    password::NewPassword,
    people::{OwnChange, PasswordChange, Teacher, TeacherChange},
    routes::{cookies, routes},
    secret::Secret,
    session::SessionEnd,
    students::{CodeTyped, Ended, NewCode, SignedIn, SignedStudent, give_code, shut_out},
};
use self::{
    password::{Passwords, Queue},
    session::Sessions,
    slowdown::Slowdown,
};
use crate::{
    clock::Clock,
    db::{Db, DbError},
    field::{self, Invalid},
    logging::chain,
};

#[derive(Debug, Error)]
pub enum Error {
    #[error("this box has an admin already")]
    AdminExists,
    #[error("too many people log in at this moment")]
    Busy,
    #[error("cannot read or write people")]
    Db(#[from] DbError),
    #[error("somebody has this e-mail address already")]
    EmailTaken,
    #[error("cannot hash a password: {0}")]
    Hash(argon2::password_hash::Error),
    #[error(transparent)]
    Invalid(#[from] Invalid),
    #[error("a site keeps at least one active admin")]
    LastAdmin,
    #[error("there is no teacher {0}")]
    NoSuchTeacher(TeacherId),
    #[error("the system gives no random bytes: {0}")]
    NoRandomness(getrandom::Error),
    #[error("too many wrong tries; wait {} s", wait.as_secs())]
    SlowDown { wait: Duration },
    #[error("this code is nobody's; a new one may have taken its place")]
    WrongCode,
    #[error("the e-mail address or the password is wrong")]
    WrongCredentials,
    #[error("the old password is wrong")]
    WrongPassword,
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

/// Whom a browser is signed in as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    Person(Person),
    Student(SignedStudent),
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

    pub fn of_department(self, department: Option<&str>) -> Result<Self, Invalid> {
        let department = field::optional_line("department", department, Self::MAX_NAME)?;
        Ok(Self { department, ..self })
    }
}

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    db: Db,
    clock: Clock,
    passwords: Arc<Passwords>,
    codes: Arc<Queue>,
    sessions: Arc<Sessions>,
    slowdown: Arc<Mutex<Slowdown>>,
}

impl Handle {
    pub fn new(db: Db, clock: Clock) -> Self {
        let sessions = Arc::new(Sessions::new(&clock));
        Self {
            db,
            clock,
            passwords: Arc::default(),
            codes: Arc::new(Queue::of_codes()),
            sessions,
            slowdown: Arc::default(),
        }
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
            let written: Result<(), DbError> =
                self.db.write(move |tx| store::touch_session(tx, &hash, at)).await;
            // A full disk shuts nobody out; the session may end a little early after a restart.
            if let Err(error) = written {
                let cause = chain(&error);
                tracing::warn!(error = %cause, "the use of a session was not written down: {cause}");
            }
        }
        Ok(Some(person))
    }

    /// Whom the session cookie `token` belongs to.
    pub async fn who_of_session(&self, token: &str) -> Result<Option<Who>, Error> {
        Ok(self.follow_session(token).await?.map(|(who, _)| who))
    }

    /// The same, with word of when that session is over.
    pub async fn follow_session(&self, token: &str) -> Result<Option<(Who, SessionEnd)>, Error> {
        // From before it is looked up.
        let end = self.sessions.end_of(sha256(token));
        if let Some(person) = self.person_of_session(token).await? {
            return Ok(Some((Who::Person(person), end)));
        }
        let student = self.student_of_session(token).await?;
        Ok(student.map(|(student, at)| (Who::Student(student), end.at_the_latest(at))))
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

    async fn end_session(&self, hash: [u8; 32]) -> Result<(), Error> {
        self.db.write(move |tx| store::delete_session(tx, &hash)).await?;
        self.sessions.over(&[hash]);
        Ok(())
    }
}

/// 256 random bits as text.
fn secret_token() -> Result<Secret, Error> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(bytes.as_mut()).map_err(Error::NoRandomness)?;
    Ok(URL_SAFE_NO_PAD.encode(*bytes).into())
}

/// Secrets are kept as their hash only: so many random bits need no salt and no slow hash.
fn sha256(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}
