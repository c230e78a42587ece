//! The group's keys: what one is, and when the box goes on to the next.
//!
//! An [`Epoch`] is the time in which one key seals the broadcast. Streams and their indices go on
//! across epochs; only the key changes, so a machine that holds both keys notices nothing.
//!
//! [`Schedule`] is the box's side. A machine must have a key before the first packet that needs it,
//! so each epoch is granted, over every machine's own TLS connection, before it begins:
//!
//! ```text
//!            RENEWAL is over                             AHEAD is over
//!   STEADY ──────────────────────▶ WANTED ──▶ GRANTED ────────────────────▶ STEADY (with the next)
//!     │                             ▲  ▲  key    │
//!     └─ trust lost ────────────────┘  └─────────┘ trust lost: this one is given up
//!
//!                                           all have it, or AT_ONCE is over
//!   after a loss of trust: WANTED ──▶ GRANTED AT ONCE ──────────────────────▶ STEADY
//!                             ▲                                                 │
//!                             └──────── trust lost once more in between ────────┘
//! ```
//!
//! Rules:
//! - A machine that lost trust takes part in no epoch granted after that. Several that lose it
//!   before the key is handed in share one new epoch.
//! - One that loses it while an epoch is granted at once waits for that switch, and another epoch
//!   follows: two switches one behind the other rather than one for which there was no time. Such a
//!   machine hears the lesson for at most twice [`AT_ONCE`]; any other that lost trust, for once.
//! - Only machines that are there are waited for, and none longer than said: one that is switched
//!   off must not keep the key alive that another should lose. Who had not acknowledged in time is
//!   named at the switch.
//! - Epochs are numbered upwards; a number that was given up is not used again.
//!
//! A machine holds three epochs at most (see [`srtp`](crate::srtp)): the present one, the next, and
//! the one before, for late packets. One that was granted and given up takes a place as well: then
//! a second loss of trust, within 700 ms of the switch for the first, costs machines what
//! is still under way with the key before.

use std::{collections::BTreeSet, fmt, mem, time::Duration};

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::gcm;

/// How long one key is in use. No limit of AES-GCM is near: it bounds what a key is worth that
/// leaked unnoticed.
pub const LIFE: Duration = Duration::from_hours(1);
/// How long before its time a regular epoch is granted: long enough for a machine that is just
/// connecting again.
pub const AHEAD: Duration = Duration::from_secs(30);
/// Age of a key at which the next one is granted.
const RENEWAL: Duration = LIFE.saturating_sub(AHEAD);
/// How long machines have to acknowledge when one of them lost trust: some hundred round trips.
pub const AT_ONCE: Duration = Duration::from_secs(2);

/// Most machines that are waited for: far more than a room holds. Full: a further one is granted
/// epochs like the others, but not waited for.
pub const MAX_MACHINES: usize = 1_024;

/// Bytes of a master key (RFC 7714 §12).
pub const KEY: usize = gcm::KEY;
/// Bytes of a master salt (RFC 7714 §12).
pub const SALT: usize = 12;

/// One key of the group. Both secrets are wiped when it is dropped, and never printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Epoch {
    /// Counts the epochs of one lesson. On the wire are its low 16 bits.
    #[zeroize(skip)]
    pub number: u32,
    /// Random, never used before.
    pub key: [u8; KEY],
    /// Random.
    pub salt: [u8; SALT],
}

impl Epoch {
    /// What names this epoch in a packet: the master key identifier of RFC 3711 §3.1.
    pub fn mki(&self) -> u16 {
        (self.number & 0xffff) as u16
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Epoch").field("number", &self.number).finish_non_exhaustive()
    }
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<M> {
    /// A new epoch is needed: hand its secrets to [`Schedule::grant`]. Said until that is done.
    Wanted,
    /// The granted epoch is now the present one: seal with it.
    Switched {
        /// Machines that were granted it and have not said that they have it, in order. They show
        /// nothing new until they do.
        late: Vec<M>,
    },
}

/// The life of one lesson's keys. `M` names a machine.
#[derive(Debug)]
pub struct Schedule<M> {
    current: Epoch,
    /// When the current epoch began.
    since: Duration,
    next: Option<Next<M>>,
    /// A machine lost trust that may hold every key granted so far.
    distrust: bool,
    /// The highest number that was given to an epoch.
    newest: u32,
    /// Who is granted epochs and waited for. At most [`MAX_MACHINES`].
    machines: BTreeSet<M>,
}

#[derive(Debug)]
struct Next<M> {
    epoch: Epoch,
    /// Granted because trust was lost: not kept waiting once all have it.
    at_once: bool,
    due: Duration,
    /// Who has not said that it has this epoch, of those in `machines`.
    unacknowledged: BTreeSet<M>,
}

impl<M> Next<M> {
    /// When the switch is due, as things stand.
    fn due(&self) -> Duration {
        if self.at_once && self.unacknowledged.is_empty() { Duration::ZERO } else { self.due }
    }
}

impl<M: Ord + Clone> Schedule<M> {
    /// Begins with this epoch, and no machine.
    pub fn new(now: Duration, first: Epoch) -> Self {
        let newest = first.number;
        let machines = BTreeSet::new();
        Self { current: first, since: now, next: None, distrust: false, newest, machines }
    }

    /// The epoch to seal with.
    pub fn current(&self) -> &Epoch {
        &self.current
    }

    /// The epoch that comes next, if one is granted. A grant for a joining machine names both.
    pub fn next(&self) -> Option<&Epoch> {
        self.next.as_ref().map(|next| &next.epoch)
    }

    /// A machine is granted what is there now. One that comes again must acknowledge again.
    pub fn joined(&mut self, machine: M) {
        if self.machines.len() == MAX_MACHINES && !self.machines.contains(&machine) {
            return;
        }
        if let Some(next) = &mut self.next {
            next.unacknowledged.insert(machine.clone());
        }
        self.machines.insert(machine);
    }

    /// A machine is gone and not waited for. The keys that it has are good for it still.
    pub fn left(&mut self, machine: &M) {
        self.machines.remove(machine);
        if let Some(next) = &mut self.next {
            next.unacknowledged.remove(machine);
        }
    }

    /// A machine lost trust: it is gone, and what it was granted must not serve it any longer.
    pub fn distrusted(&mut self, machine: &M) {
        self.left(machine);
        self.distrust = true;
        // It has that one too. Nothing was sealed with it, so nobody misses it.
        self.next.take_if(|next| !next.at_once);
    }

    /// A machine says that it has the epoch of this number.
    pub fn acknowledged(&mut self, machine: &M, number: u32) {
        if let Some(next) = self.next.as_mut().filter(|next| next.epoch.number == number) {
            next.unacknowledged.remove(machine);
        }
    }

    /// What is to be done now. To be called until it gives `None`, after each of the above and at
    /// each timeout.
    pub fn poll(&mut self, now: Duration) -> Option<Step<M>> {
        if now < self.next_timeout() {
            return None;
        }
        let Some(next) = self.next.take() else { return Some(Step::Wanted) };
        self.current = next.epoch;
        self.since = now;
        Some(Step::Switched { late: next.unacknowledged.into_iter().collect() })
    }

    /// Makes an epoch of these secrets, and gives it back to be sent to every machine. `None` when
    /// one is granted already, which must begin first.
    ///
    /// Without [`Step::Wanted`] it makes a regular epoch before its time.
    pub fn grant(&mut self, now: Duration, key: &[u8; KEY], salt: &[u8; SALT]) -> Option<&Epoch> {
        if self.next.is_some() {
            return None;
        }
        // One an hour: 2^32 of them outlast the building.
        self.newest = self.newest.wrapping_add(1);
        let at_once = mem::take(&mut self.distrust);
        let next = self.next.insert(Next {
            epoch: Epoch { number: self.newest, key: *key, salt: *salt },
            at_once,
            due: now + if at_once { AT_ONCE } else { AHEAD },
            unacknowledged: self.machines.clone(),
        });
        Some(&next.epoch)
    }

    /// When to poll again if nothing changes before. May lie in the past: poll then.
    pub fn next_timeout(&self) -> Duration {
        match &self.next {
            Some(next) => next.due(),
            None if self.distrust => Duration::ZERO,
            None => self.since + RENEWAL,
        }
    }
}

#[cfg(test)]
mod tests;
