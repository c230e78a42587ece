//! Getting in and out: the first admin, log in, log out.

use std::{net::IpAddr, sync::PoisonError, time::Duration};

use alfarid_protocol::time::Timestamp;
use rusqlite::Transaction;

use super::{
    Error, Handle, NewTeacher, Person, Role, Secret, audit, secret_token, sha256,
    slowdown::{Attempt, Guest},
    store,
};
use crate::{clock::Authority, db::DbError};

/// What somebody typed who wants in, and where.
#[derive(Debug)]
pub struct Credentials {
    pub email: String,
    pub password: Secret,
    /// What the browser thinks the time is.
    pub browser_time: Timestamp,
    pub from: IpAddr,
    /// The browser's device cookie, if it has one.
    pub device: Option<Secret>,
    /// The session that this browser has had so far.
    pub former: Option<Secret>,
}

/// A fresh session: the tokens go into the browser's cookies and are kept nowhere else.
#[derive(Debug)]
pub struct LoggedIn {
    pub person: Person,
    pub session: Secret,
    /// By this the browser is known again when somebody guesses at the account.
    pub device: Secret,
}

impl Handle {
    /// Makes the first admin, logged in at once: both or neither. Fails once there is one: of two
    /// claims at the same moment one wins. An account of that address which outlived all admins is
    /// taken over: whoever claims stands at the box.
    pub async fn first_admin(&self, new: NewTeacher) -> Result<LoggedIn, Error> {
        let hash = self.passwords.hash(new.password).await?;
        let tokens = Tokens::new(None)?;
        let person = Person {
            id: self.clock.id(),
            email: new.email,
            full_name: new.full_name,
            role: Role::Admin,
            language: new.language,
        };
        let clock = self.clock.clone();
        let opened = self
            .db
            .write(move |tx| {
                if store::has_admin(tx)? {
                    return Err(Error::AdminExists);
                }
                let id = store::put_first_admin(tx, &person, &hash, clock.now())?;
                audit::write(tx, &clock, &audit::Entry::new(id, "box_claimed", &id))?;
                Ok(tokens.open(tx, Person { id, ..person }, clock.now())?)
            })
            .await?;
        Ok(self.begin(opened))
    }

    /// Opens a session for whoever knows the password. An unknown address takes as long as a
    /// wrong password. What this browser was signed in as before is over: a browser is one person's
    /// at a time.
    pub async fn log_in(&self, credentials: Credentials) -> Result<LoggedIn, Error> {
        let Credentials { email, password, browser_time, from, device, former } = credentials;
        let email = email.trim().to_lowercase();
        let accounts = self.accounts_of_device(device.as_ref()).await?;
        // Only what we gave out ourselves is taken up again.
        let device = device.filter(|_| !accounts.is_empty());
        let own = device.as_ref().filter(|_| accounts.contains(&email));
        let attempt =
            Attempt { account: email.clone(), from, known_device: own.map(|own| sha256(own)) };
        self.admit(&attempt)?;
        let known = self.db.read(move |c| store::credentials(c, &email)).await?;
        let (person, hash) = known.unzip();
        let is_right = self.passwords.verify(password, hash).await?;
        let person = person.filter(|_| is_right).ok_or(Error::WrongCredentials)?;
        self.forgive(&attempt);
        self.take_time(browser_time);
        let logged_in = self.open_session(person, device).await?;
        self.leave(former).await?;
        Ok(logged_in)
    }

    /// Ends the session of this cookie, if it is one, whether a person's or a student's.
    pub async fn log_out(&self, token: &str) -> Result<(), Error> {
        self.end_session(sha256(token)).await
    }

    /// Puts an unsure clock right by the browser of somebody who has just proved who they are.
    pub fn take_time(&self, browser_time: Timestamp) {
        if let Some(moved_ms) = self.clock.correct(browser_time, Authority::Browser) {
            tracing::info!(clock.moved_ms = moved_ms, "a browser moved box time by {moved_ms} ms");
        }
    }

    pub(super) fn admit(&self, attempt: &Attempt) -> Result<(), Error> {
        let now = self.clock.monotonic();
        let mut slowdown = self.slowdown.lock().unwrap_or_else(PoisonError::into_inner);
        slowdown.admit(attempt, now).map_err(|wait| Error::SlowDown { wait: round_up(wait) })
    }

    pub(super) fn forgive(&self, attempt: &Attempt) {
        let now = self.clock.monotonic();
        self.slowdown.lock().unwrap_or_else(PoisonError::into_inner).forgive(attempt, now);
    }

    pub(super) fn admit_code(&self, guest: Guest) -> Result<(), Error> {
        let now = self.clock.monotonic();
        let mut slowdown = self.slowdown.lock().unwrap_or_else(PoisonError::into_inner);
        slowdown.admit_code(guest, now).map_err(|wait| Error::SlowDown { wait: round_up(wait) })
    }

    pub(super) fn forgive_code(&self, guest: Guest) {
        let now = self.clock.monotonic();
        self.slowdown.lock().unwrap_or_else(PoisonError::into_inner).forgive_code(guest, now);
    }

    /// The session that a browser had before it got another one.
    pub(super) async fn leave(&self, former: Option<Secret>) -> Result<(), Error> {
        match former {
            Some(former) => self.log_out(&former).await,
            None => Ok(()),
        }
    }

    async fn accounts_of_device(&self, device: Option<&Secret>) -> Result<Vec<String>, Error> {
        let Some(hash) = device.map(|device| sha256(device)) else { return Ok(Vec::new()) };
        Ok(self.db.read(move |c| store::accounts_of_device(c, &hash)).await?)
    }

    async fn open_session(
        &self,
        person: Person,
        device: Option<Secret>,
    ) -> Result<LoggedIn, Error> {
        let (tokens, at) = (Tokens::new(device)?, self.clock.now());
        let opened = self.db.write(move |tx| tokens.open(tx, person, at)).await?;
        Ok(self.begin(opened))
    }

    fn begin(&self, Opened { logged_in, displaced }: Opened) -> LoggedIn {
        self.sessions.over(&displaced);
        self.sessions.seen(sha256(&logged_in.session), self.clock.monotonic());
        logged_in
    }
}

/// What a browser is to be known by.
struct Tokens {
    session: Secret,
    device: Secret,
}

/// A session that is on disk.
struct Opened {
    logged_in: LoggedIn,
    /// The sessions that it was one too many for.
    displaced: Vec<[u8; 32]>,
}

impl Tokens {
    /// `device` is the browser's own, if it has one already.
    fn new(device: Option<Secret>) -> Result<Self, Error> {
        Ok(Self { session: secret_token()?, device: device.map_or_else(secret_token, Ok)? })
    }

    fn open(self, tx: &Transaction<'_>, person: Person, at: Timestamp) -> Result<Opened, DbError> {
        store::keep_device(tx, &sha256(&self.device), person.id, at)?;
        let displaced = store::insert_session(tx, &sha256(&self.session), person.id, at)?;
        let Self { session, device } = self;
        Ok(Opened { logged_in: LoggedIn { person, session, device }, displaced })
    }
}

/// Whoever waits as many whole seconds as they were told has waited long enough.
fn round_up(wait: Duration) -> Duration {
    Duration::from_secs(wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
}
