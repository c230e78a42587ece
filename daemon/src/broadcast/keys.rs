//! The secrets of one lesson: who signs, what the group seals with, and which machine has what.
//!
//! The actor's side of the protection: the relay has the private halves in its
//! [`Protected`], and is told when to go on to the next epoch. All of it is made anew when a
//! lesson is opened, and nothing is kept on disk: a box that starts over cannot use a key twice.

use std::{collections::HashSet, time::Duration};

use alfarid_protocol::{
    grant::{EpochKey, Protection},
    id::MachineId,
    secret::Secret,
};
use alfarid_stream::{
    block::{self, SigningKey, Tickets},
    epoch::{Epoch, Schedule, Step},
};
use aws_lc_rs::{error::KeyRejected, signature::Ed25519KeyPair};
use thiserror::Error;
use zeroize::Zeroizing;

use super::protected::{ProtectError, Protected};

/// How long a packet may take to be repaired and shown in time, from its arrival: three rounds of
/// repair fit into it on any network of a school.
pub(super) const PLAYOUT_MS: u16 = 250;

/// How long to wait before asking for random numbers again that the system did not give.
const REST: Duration = Duration::from_secs(1);

/// Fills a slice with numbers that nobody can foretell, from outside.
pub(super) type Random = fn(&mut [u8]) -> Result<(), getrandom::Error>;

/// Why a lesson has no keys.
#[derive(Debug, Error)]
pub enum KeysError {
    #[error("the system gives no random numbers")]
    NoRandomness(#[source] getrandom::Error),
    #[error("cannot make a key for signatures")]
    Signer(#[source] KeyRejected),
    #[error("cannot write the public half of the key for signatures")]
    Public(#[source] block::Error),
    #[error("cannot begin to protect")]
    Protect(#[from] ProtectError),
}

/// A step that the keys took.
#[derive(Debug)]
pub(super) enum Turn {
    /// To be told to every machine that has a grant.
    Granted(EpochKey),
    /// To be sealed with from now on.
    Switched {
        epoch: Epoch,
        /// These have not said that they have it.
        late: Vec<MachineId>,
    },
}

pub(super) struct Keys {
    random: Random,
    signer: [u8; 32],
    schedule: Schedule<MachineId>,
    /// Every machine that was granted an epoch of this lesson, here or gone. There are no more of
    /// them than the box has let in.
    holders: HashSet<MachineId>,
    /// Nothing is tried before.
    rest_until: Duration,
}

impl Keys {
    /// The keys of a lesson that begins, and what its relay seals with.
    pub(super) fn new(now: Duration, random: Random) -> Result<(Self, Protected), KeysError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&*secret::<32>(random)?);
        let key = SigningKey::new(pair.map_err(KeysError::Signer)?);
        let signer = key.public().map_err(KeysError::Public)?;
        let tickets = Tickets::new(&*secret(random)?);
        let epoch = Epoch { number: 0, key: *secret(random)?, salt: *secret(random)? };
        let mut protected = Protected::new(now, &epoch, key, tickets)?;
        protected.set_playout(Duration::from_millis(PLAYOUT_MS.into()));
        let schedule = Schedule::new(now, epoch);
        let keys =
            Self { random, signer, schedule, holders: HashSet::new(), rest_until: Duration::ZERO };
        Ok((keys, protected))
    }

    /// What a machine is granted, which sends what it lacks to `repair_port`.
    pub(super) fn grant(
        &mut self,
        machine: MachineId,
        repair_port: u16,
    ) -> Result<Protection, KeysError> {
        let feedback_key = Secret::new(*secret(self.random)?);
        self.schedule.joined(machine);
        self.holders.insert(machine);
        let epochs = [Some(self.schedule.current()), self.schedule.next()];
        Ok(Protection {
            feedback_key,
            signer: self.signer,
            epochs: epochs.into_iter().flatten().map(written).collect(),
            repair_port,
            playout_ms: PLAYOUT_MS,
        })
    }

    /// A machine is gone. The keys that it has are good for it still.
    pub(super) fn left(&mut self, machine: MachineId) {
        self.schedule.left(&machine);
    }

    /// A machine lost trust, whether it is here or not: the keys that it has must not serve it any
    /// longer.
    pub(super) fn distrusted(&mut self, machine: MachineId) {
        if self.holders.remove(&machine) {
            self.schedule.distrusted(&machine);
        }
    }

    /// A machine says that it has this epoch.
    pub(super) fn acknowledged(&mut self, machine: MachineId, number: u32) {
        self.schedule.acknowledged(&machine, number);
    }

    /// What is to be done now. To be called until it gives `None` or fails, after each of the above
    /// and at each timeout.
    pub(super) fn poll(&mut self, now: Duration) -> Result<Option<Turn>, KeysError> {
        if now < self.rest_until {
            return Ok(None);
        }
        match self.schedule.poll(now) {
            None => Ok(None),
            Some(Step::Wanted) => match self.next_epoch(now) {
                Ok(epoch) => Ok(epoch.map(Turn::Granted)),
                Err(error) => {
                    self.rest_until = now + REST;
                    Err(error)
                }
            },
            Some(Step::Switched { late }) => {
                Ok(Some(Turn::Switched { epoch: self.schedule.current().clone(), late }))
            }
        }
    }

    /// When to poll again if nothing changes before. May lie in the past: poll then.
    pub(super) fn next_timeout(&self) -> Duration {
        self.schedule.next_timeout().max(self.rest_until)
    }

    fn next_epoch(&mut self, now: Duration) -> Result<Option<EpochKey>, KeysError> {
        let (key, salt) = (secret(self.random)?, secret(self.random)?);
        Ok(self.schedule.grant(now, &key, &salt).map(written))
    }
}

fn secret<const N: usize>(random: Random) -> Result<Zeroizing<[u8; N]>, KeysError> {
    let mut bytes = Zeroizing::new([0; N]);
    random(&mut *bytes).map_err(KeysError::NoRandomness)?;
    Ok(bytes)
}

/// As machines are told.
fn written(epoch: &Epoch) -> EpochKey {
    EpochKey { number: epoch.number, key: Secret::new(epoch.key), salt: Secret::new(epoch.salt) }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const FIRST: MachineId = MachineId(Uuid::from_u128(1));
    const SECOND: MachineId = MachineId(Uuid::from_u128(2));

    fn keys() -> Keys {
        Keys::new(Duration::ZERO, getrandom::fill).unwrap().0
    }

    #[test]
    fn every_grant_has_a_key_of_its_own_and_the_groups_present_and_next_one() {
        let mut keys = keys();
        let first = keys.grant(FIRST, 7).unwrap();
        assert_eq!(first.repair_port, 7);
        assert_eq!(first.epochs.len(), 1);
        let hour = keys.next_timeout();
        let Ok(Some(Turn::Granted(next))) = keys.poll(hour) else { panic!("no new epoch") };
        let again = keys.grant(FIRST, 7).unwrap();
        assert_ne!(first.feedback_key, again.feedback_key);
        assert_eq!(again.epochs, [first.epochs[0].clone(), next]);
    }

    #[test]
    fn a_machine_that_never_had_a_key_or_only_left_changes_none() {
        let mut keys = keys();
        keys.grant(FIRST, 7).unwrap();
        keys.left(FIRST);
        keys.distrusted(SECOND);
        assert!(keys.poll(Duration::from_secs(1)).unwrap().is_none());
        keys.distrusted(FIRST);
        assert!(matches!(keys.poll(Duration::from_secs(1)), Ok(Some(Turn::Granted(_)))));
    }

    #[test]
    fn without_randomness_there_is_no_key_and_no_hurry() {
        let none: Random = |_| Err(getrandom::Error::UNEXPECTED);
        assert!(matches!(Keys::new(Duration::ZERO, none), Err(KeysError::NoRandomness(_))));
        let mut keys = keys();
        keys.grant(FIRST, 7).unwrap();
        keys.distrusted(FIRST);
        keys.random = none;
        let now = Duration::from_secs(5);
        assert!(keys.poll(now).is_err());
        assert!(keys.poll(now).unwrap().is_none());
        assert_eq!(keys.next_timeout(), now + REST);
    }
}
