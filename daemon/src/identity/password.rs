//! Passwords: argon2id, a few at a time; and the same for students' codes ([`super::students`]).
//!
//! Hashing is meant to be slow and large. So it runs off the async threads, at most [`AT_ONCE`]
//! at a time, with at most [`WAITING`] more in the queue: a storm of log-ins, meant or not, slows
//! log-ins down and nothing else on the box. Codes have a queue of their own: a school that signs
//! in at eight keeps no teacher out.

use argon2::{
    Argon2, PasswordHash, PasswordHasher, PasswordVerifier,
    password_hash::{self, SaltString},
};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{Error, Secret};
use crate::field::{FieldCode, Invalid};

/// Each takes a core and 19 MiB for some ten milliseconds; a box has two to four cores and a
/// lesson to carry.
const AT_ONCE: usize = 2;

/// Log-ins in the queue. Whoever comes when it is full is told to try again: a whole staff fits.
const WAITING: usize = 64;

/// Each takes 8 MiB for some milliseconds; the other core is the teachers' and the lesson's.
const CODES_AT_ONCE: usize = 1;

/// Students in the queue: as many as a box hashes the codes of in a few seconds.
const CODES_WAITING: usize = 256;

/// Stands in for the hash of an account that does not exist, so that asking for one takes as long
/// as a wrong password. It is of no password: nothing was hashed to make it.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA\
                      $AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A password that somebody chose.
#[derive(Debug)]
pub struct NewPassword(Secret);

impl NewPassword {
    /// NIST SP 800-63B §5.1.1.2: length counts, rules of composition do not.
    const MIN_CHARS: usize = 8;
    /// Longer ones are refused, never cut.
    const MAX_BYTES: usize = 256;

    pub fn parse(field: &'static str, password: Secret) -> Result<Self, Invalid> {
        if password.chars().count() < Self::MIN_CHARS {
            let detail = "must have at least 8 characters";
            return Err(Invalid { field, code: FieldCode::PasswordTooShort, detail });
        }
        if password.len() > Self::MAX_BYTES {
            return Err(Invalid { field, code: FieldCode::TooLong, detail: "is too long" });
        }
        Ok(Self(password))
    }
}

/// What may be hashed at once, and how many may wait for it.
#[derive(Debug)]
pub(super) struct Queue {
    running: Semaphore,
    admitted: Semaphore,
}

/// Somebody's place in a [`Queue`], for as much as they have to hash.
#[derive(Debug)]
pub(super) struct Place<'a> {
    queue: &'a Queue,
    _admitted: SemaphorePermit<'a>,
}

impl Queue {
    /// Of codes.
    pub(super) fn of_codes() -> Self {
        Self::new(CODES_AT_ONCE, CODES_WAITING)
    }

    fn new(at_once: usize, waiting: usize) -> Self {
        Self { running: Semaphore::new(at_once), admitted: Semaphore::new(at_once + waiting) }
    }

    /// Fails when the queue is full.
    pub(super) fn enter(&self) -> Result<Place<'_>, Error> {
        let admitted = self.admitted.try_acquire().map_err(|_| Error::Busy)?;
        Ok(Place { queue: self, _admitted: admitted })
    }
}

impl Place<'_> {
    /// In turn: whoever has much to hash lets the others go between.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, password_hash::Error> + Send + 'static,
    ) -> Result<T, Error> {
        let _running = self.queue.running.acquire().await.map_err(|_| Error::Busy)?;
        let done = tokio::task::spawn_blocking(work).await.map_err(|_| Error::Busy)?;
        done.map_err(Error::Hash)
    }
}

#[derive(Debug)]
pub(super) struct Passwords(Queue);

impl Default for Passwords {
    fn default() -> Self {
        Self(Queue::new(AT_ONCE, WAITING))
    }
}

impl Passwords {
    /// The PHC string of `password` under a fresh salt.
    pub(super) async fn hash(&self, password: NewPassword) -> Result<String, Error> {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(Error::NoRandomness)?;
        self.0
            .enter()?
            .run(move || {
                let salt = SaltString::encode_b64(&salt)?;
                let hash = Argon2::default().hash_password(password.0.as_bytes(), &salt)?;
                Ok(hash.to_string())
            })
            .await
    }

    /// Whether `password` is the one behind `hash`; without a hash it is wrong, and that takes as
    /// long to find out.
    pub(super) async fn verify(
        &self,
        password: Secret,
        hash: Option<String>,
    ) -> Result<bool, Error> {
        self.0
            .enter()?
            .run(move || {
                let hash = PasswordHash::new(hash.as_deref().unwrap_or(NOBODY))?;
                match Argon2::default().verify_password(password.as_bytes(), &hash) {
                    Ok(()) => Ok(true),
                    Err(password_hash::Error::Password) => Ok(false),
                    Err(error) => Err(error),
                }
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    fn secret(text: &str) -> Secret {
        text.to_owned().into()
    }

    #[tokio::test]
    async fn the_right_password_opens_and_no_other() {
        let passwords = Passwords::default();
        let new = NewPassword::parse("password", secret("правильный")).unwrap();
        let hash = passwords.hash(new).await.unwrap();
        assert!(passwords.verify(secret("правильный"), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify(secret("правильныи"), Some(hash)).await.unwrap());
    }

    /// Fails when the stand-in is cheaper to check than a real hash: then the time that a log-in
    /// takes tells which accounts exist.
    #[tokio::test]
    async fn the_stand_in_costs_what_a_real_hash_costs_and_opens_to_nothing() {
        let passwords = Passwords::default();
        let new = NewPassword::parse("password", secret("12345678")).unwrap();
        let real = passwords.hash(new).await.unwrap();
        let parameters = |phc: &str| {
            let hash = PasswordHash::new(phc).unwrap();
            let (name, output) = (hash.algorithm.to_string(), hash.hash.unwrap());
            (name, hash.version, hash.params.to_string(), output.len())
        };
        assert_eq!(parameters(NOBODY), parameters(&real));
        assert!(!passwords.verify(secret(""), None).await.unwrap());
    }

    /// Fails when log-ins pile up without end, or when the first has to wait for the last.
    #[tokio::test]
    async fn a_storm_of_log_ins_is_told_to_come_back() {
        let passwords = Passwords(Queue::new(0, 1));
        let first = passwords.verify(secret("12345678"), None);
        let second = passwords.verify(secret("12345678"), None);
        let (first, second) = tokio::join!(first, async {
            let result = second.await;
            passwords.0.running.add_permits(1);
            result
        });
        assert!(matches!(first, Ok(false)));
        assert!(matches!(second, Err(Error::Busy)));
    }

    /// Fails when a class that gets its codes keeps students who sign in waiting until it has all.
    #[tokio::test]
    async fn whoever_has_much_to_hash_lets_the_others_go_between() {
        let queue = Queue::of_codes();
        let order = Mutex::new(Vec::new());
        let hash = async |place: &Place<'_>, who: &'static str| {
            place.run(|| Ok(())).await.unwrap();
            order.lock().unwrap().push(who);
        };
        let many = async {
            let place = queue.enter().unwrap();
            for _ in 0..10 {
                hash(&place, "class").await;
            }
        };
        let one = async { hash(&queue.enter().unwrap(), "student").await };
        tokio::join!(many, one);
        let order = order.into_inner().unwrap();
        assert_eq!(order.iter().position(|who| *who == "student"), Some(1), "{order:?}");
    }

    #[test]
    fn a_password_is_long_enough_and_not_endless() {
        let code = |text: &str| NewPassword::parse("password", secret(text)).unwrap_err().code;
        assert_eq!(code("1234567"), FieldCode::PasswordTooShort);
        assert_eq!(code(&"x".repeat(257)), FieldCode::TooLong);
    }
}
