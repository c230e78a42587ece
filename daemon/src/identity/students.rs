//! Students at pages of their own: the code that lets one in, and the session that it opens.
//!
//! ```text
//!   a teacher has codes made ──▶ printed, given out ──▶ typed ──▶ session ──▶ signed out, or the
//!        │                                                           │        school day is over
//!        ├── a new code replaces the old one ───────────────────────▶├──▶ over at once
//!        └── the student leaves the school: so does the code ───────▶┘
//! ```
//!
//! A code says who a student is in class, and opens nothing but that: a session of a student lets
//! its browser be counted as present, and do nothing that is a teacher's ([`super::extract`]).
//! Eight characters are 40 bits; wrong ones slow down where they come from ([`super::slowdown`]).
//! A code is found by its hash, so all of them have one salt, and so few bits want a slow hash.

use std::{net::IpAddr, sync::Arc, time::Duration};

use alfarid_protocol::id::{StudentId, TeacherId};
use argon2::{Algorithm, Argon2, Params, Version};
use rusqlite::Transaction;
use serde::Serialize;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::{Error, Handle, Secret, audit, secret_token, sha256, slowdown::Guest, store};
use crate::{
    clock::Clock,
    code::{fresh, grouped, is_code, normalized},
    db::DbError,
};

const LENGTH: usize = 8;

/// One code's hash takes some milliseconds: a whole class has its codes within a second on a small
/// box, and whoever has taken its disk works for decades on all of them.
const MEMORY_KIB: u32 = 8 * 1024;
const PASSES: u32 = 1;

/// A student who is signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct SignedStudent {
    pub id: StudentId,
    pub full_name: String,
}

/// A code that is nobody's yet: to be given by [`give_code`].
#[derive(Debug)]
pub struct NewCode {
    /// As people read it. Kept nowhere.
    pub code: Secret,
    hash: [u8; 32],
}

/// What somebody typed who wants in as a student, and where.
#[derive(Debug)]
pub struct CodeTyped {
    pub code: Secret,
    pub from: IpAddr,
    /// The browser's cookie of [`SignedIn::device`], if it has one.
    pub device: Option<Secret>,
    /// The session that this browser has had so far.
    pub former: Option<Secret>,
}

/// A fresh session: the tokens go into the browser's cookies and are kept nowhere else.
#[derive(Debug)]
pub struct SignedIn {
    pub student: SignedStudent,
    pub session: Secret,
    /// By this the browser is known again when somebody guesses at codes behind the same address.
    pub device: Secret,
}

/// Sessions that are in the database no more. Whoever ended them says so by [`Handle::ended`] once
/// that is on disk.
#[derive(Debug, Default)]
#[must_use = "the pages that are open by them do not hear of it otherwise"]
pub struct Ended(Vec<[u8; 32]>);

impl Ended {
    pub fn and(&mut self, others: Self) {
        self.0.extend(others.0);
    }
}

/// Gives `student` a code in the place of an older one, which opens nothing from now on, and ends
/// what it had opened. The browsers that it had let in are known no more: one may be a finder's.
pub fn give_code(
    tx: &Transaction<'_>,
    clock: &Clock,
    student: StudentId,
    code: &NewCode,
    by: TeacherId,
) -> Result<Ended, DbError> {
    store::students::put_code(tx, student, &code.hash, by, clock.now())?;
    store::students::forget_devices(tx, student)?;
    audit::write(tx, clock, &audit::Entry::new(by, "student_code_made", &student))?;
    Ok(Ended(store::students::end_sessions(tx, student)?))
}

/// Nobody is signed in as `student` any more, and nobody will be by the code that there was.
pub fn shut_out(tx: &Transaction<'_>, student: StudentId) -> Result<Ended, DbError> {
    store::students::delete_code(tx, student)?;
    store::students::forget_devices(tx, student)?;
    Ok(Ended(store::students::end_sessions(tx, student)?))
}

impl Handle {
    /// So many codes, for students who are to get one.
    pub async fn new_codes(&self, count: usize) -> Result<Vec<NewCode>, Error> {
        let mut codes = Vec::with_capacity(count);
        for _ in 0..count {
            codes.push(Zeroizing::new(fresh(LENGTH).map_err(Error::NoRandomness)?));
        }
        let shown: Vec<_> = codes.iter().map(|code| Secret::from(grouped(code))).collect();
        let hashes = self.hashes(codes).await?;
        let codes = shown.into_iter().zip(hashes);
        Ok(codes.map(|(code, hash)| NewCode { code, hash }).collect())
    }

    /// Opens a session for whoever has a student's code. What this browser was signed in as before
    /// is over: a browser is one person's at a time.
    pub async fn sign_in(&self, typed: CodeTyped) -> Result<SignedIn, Error> {
        let owner = self.owner_of_device(typed.device.as_ref()).await?;
        let guest = owner.map_or(Guest::Stranger(typed.from), Guest::Known);
        self.admit_code(guest)?;
        let signed_in = self.open_student_session(typed, owner.is_some()).await;
        // A queue that is full or a disk that refuses says nothing about the code.
        if !matches!(signed_in, Err(Error::WrongCode)) {
            self.forgive_code(guest);
        }
        signed_in
    }

    async fn open_student_session(
        &self,
        typed: CodeTyped,
        is_known: bool,
    ) -> Result<SignedIn, Error> {
        let code = Zeroizing::new(normalized(&typed.code));
        if !is_code(&code, LENGTH) {
            return Err(Error::WrongCode);
        }
        let hash = self.hashes(vec![code]).await?.pop().ok_or(Error::WrongCode)?;
        let session = secret_token()?;
        // Only what we gave out ourselves is taken up again.
        let device = typed.device.filter(|_| is_known).map_or_else(secret_token, Ok)?;
        let (token, device_hash, at) = (sha256(&session), sha256(&device), self.clock.now());
        let known = self.db.read(move |c| store::students::student_of_code(c, &hash)).await?;
        known.ok_or(Error::WrongCode)?;
        // Before it is there: whoever gives a new code ends it at once, and what is begun after
        // that would never be over.
        self.sessions.begun(token, self.clock.monotonic());
        let opened = self
            .db
            .write(move |tx| {
                // As it is now: the code may have been replaced meanwhile.
                let known = store::students::student_of_code(tx, &hash)?;
                let student = known.ok_or(Error::WrongCode)?;
                store::students::keep_device(tx, &device_hash, student.id, at)?;
                let displaced = store::students::insert_session(tx, &token, student.id, at)?;
                Ok::<_, Error>((student, displaced))
            })
            .await;
        let (student, displaced) = opened.inspect_err(|_| self.sessions.over(&[token]))?;
        self.sessions.over(&displaced);
        self.leave(typed.former).await?;
        Ok(SignedIn { student, session, device })
    }

    /// Tells the pages that are open by sessions which have ended.
    pub fn ended(&self, ended: &Ended) {
        self.sessions.over(&ended.0);
    }

    /// Which student the session cookie `token` belongs to, and when that ends by the monotonic
    /// clock; `None` if to none, to one who is not active any more, or if their school day is over.
    pub(super) async fn student_of_session(
        &self,
        token: &str,
    ) -> Result<Option<(SignedStudent, Duration)>, Error> {
        let hash = sha256(token);
        let found = self.db.read(move |c| store::students::session(c, &hash)).await?;
        let Some((student, opened_at)) = found else { return Ok(None) };
        let now = self.clock.monotonic();
        let Some(left) = self.sessions.left_of_day(&hash, opened_at, now) else {
            self.end_session(hash).await?;
            return Ok(None);
        };
        Ok(Some((student, now + left)))
    }

    async fn owner_of_device(&self, device: Option<&Secret>) -> Result<Option<StudentId>, Error> {
        let Some(hash) = device.map(|device| sha256(device)) else { return Ok(None) };
        Ok(self.db.read(move |c| store::students::owner_of_device(c, &hash)).await?)
    }

    async fn hashes(&self, codes: Vec<Zeroizing<String>>) -> Result<Vec<[u8; 32]>, Error> {
        let place = self.codes.enter()?;
        let salt: Arc<[u8]> = self.db.read(store::students::salt).await?.into();
        let mut hashes = Vec::with_capacity(codes.len());
        for code in codes {
            let salt = salt.clone();
            let done = place.run(move || {
                let params = Params::new(MEMORY_KIB, PASSES, 1, None)?;
                let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
                let mut hash = [0; 32];
                argon2.hash_password_into(code.as_bytes(), &salt, &mut hash)?;
                Ok(hash)
            });
            hashes.push(done.await?);
        }
        Ok(hashes)
    }
}
