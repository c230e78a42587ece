//! The broadcast as the box protects it: datagrams in, the box's own packets out, and what is
//! lacking said. Pure: time is handed in.
//!
//! ```text
//!   datagrams ─▶ Restore ─ the box sent it ─▶ Keyring ─ opened ─▶ packets, each once
//!                   └─ short ─▶ sealed feedback
//! ```
//!
//! Packets do not leave in their order: what was lost and brought back comes later. How long that
//! is waited for the grant says: as long as D may become, and
//! [`LATE_WAIT`](alfarid_stream::restore::LATE_WAIT) more. A frame that comes after D is late, which
//! the box is told, and D rises; one that was given up would be missing up to the next keyframe.
//!
//! Invariant: one [`Sealer`] for one feedback key, whatever is granted how often: its nonces are
//! counted from the start.

use std::time::Duration;

use alfarid_protocol::{
    grant::{EpochKey, Grant, Track},
    secret::Secret,
};
use alfarid_stream::{
    block::{self, Heartbeat, Next, VerifyingKey},
    epoch::Epoch,
    feedback::{self, KeepAlive, Sealer},
    restore::{Config, Restore, Stats},
    rtp::Packet,
    srtp::{self, Keyring},
};
use bytes::Bytes;
use thiserror::Error;

/// To the box and back, on the worst of a school's wires: until it is measured.
const ROUND_TRIP: Duration = Duration::from_millis(10);

/// How often it may be said that somebody else sent something.
const WORD: Duration = Duration::from_mins(1);

/// Why a grant cannot be used.
#[derive(Debug, Error)]
pub enum BroadcastError {
    #[error("read the box's key for signatures")]
    Signer(#[source] block::Error),
    #[error("take the group's key {number}")]
    Epoch { number: u32, source: srtp::Error },
    #[error("take the key for feedback")]
    Feedback(#[source] feedback::Error),
}

#[derive(Debug)]
pub struct Broadcast {
    restore: Restore,
    keyring: Keyring,
    sealer: Sealer,
    /// That of `sealer`.
    feedback_key: Secret<{ feedback::KEY }>,
    /// Said once per trouble, not per packet.
    is_failing: bool,
    /// What was known when it was last said that somebody else sent something, and when it may be
    /// said again.
    told: Stats,
    next_word: Duration,
}

impl Broadcast {
    pub fn new(grant: &Grant, now: Duration) -> Result<Self, BroadcastError> {
        let signer = VerifyingKey::new(&grant.protection.signer);
        Self::signed_by(signer.map_err(BroadcastError::Signer)?, grant, now)
    }

    /// The same, where the key that the grant names has been read already: many machines of one
    /// process share it.
    pub fn signed_by(
        signer: VerifyingKey,
        grant: &Grant,
        now: Duration,
    ) -> Result<Self, BroadcastError> {
        let feedback_key = &grant.protection.feedback_key;
        let config = Config {
            key: signer,
            streams: streams(grant).collect(),
            playout: playout(grant),
            round_trip: ROUND_TRIP,
        };
        let mut broadcast = Self {
            restore: Restore::new(now, config),
            keyring: Keyring::new(),
            sealer: sealer(grant)?,
            feedback_key: feedback_key.clone(),
            is_failing: false,
            told: Stats::default(),
            next_word: now,
        };
        broadcast.take_epochs(grant)?;
        Ok(broadcast)
    }

    /// The same streams were granted once more.
    pub fn granted_again(&mut self, grant: &Grant) -> Result<(), BroadcastError> {
        self.take_epochs(grant)?;
        if self.feedback_key != grant.protection.feedback_key {
            self.sealer = sealer(grant)?;
            self.feedback_key = grant.protection.feedback_key.clone();
        }
        self.restore.set_playout(playout(grant));
        for next in streams(grant) {
            self.restore.expect(next);
        }
        Ok(())
    }

    /// The lesson goes on to this key, sooner or later.
    pub fn take_epoch(&mut self, epoch: &EpochKey) -> Result<(), BroadcastError> {
        let number = epoch.number;
        let (key, salt) = (*epoch.key.bytes(), *epoch.salt.bytes());
        let added = self.keyring.add(&Epoch { number, key, salt });
        added.map_err(|source| BroadcastError::Epoch { number, source })
    }

    /// Takes in a datagram of any lane but the controls', or one for this machine alone. `true`:
    /// the box is heard by the way that it came.
    pub fn push(&mut self, now: Duration, datagram: Bytes) -> bool {
        self.restore.push(now, datagram)
    }

    /// Hears the answer to a keep-alive, where no flow is wanted. `true`: it is the box's.
    pub(super) fn answered(&mut self, now: Duration, datagram: &Bytes) -> bool {
        self.restore.answered(now, datagram)
    }

    /// What keeps the flow alive. `goes_on`: the machine has what came before, and wants what lacks
    /// since.
    pub fn keep_alive(&mut self, is_wanted: bool, goes_on: bool) -> Option<Bytes> {
        let from = self.restore.lacks_from().filter(|_| goes_on);
        match self.sealer.seal_keep_alive(KeepAlive { is_wanted, from }) {
            Ok(sealed) => Some(sealed),
            Err(error) => {
                tracing::warn!(%error, "the box cannot be asked for the lesson: {error}");
                None
            }
        }
    }

    /// The lesson comes by another way, where nothing of it is missed here.
    pub(super) fn rest(&mut self) {
        self.restore.rest();
    }

    /// Follows the round trip to the box: who asks again sooner than an answer can come makes all
    /// others pay for it.
    pub fn set_round_trip(&mut self, round_trip: Duration) {
        self.restore.set_round_trip(round_trip);
    }

    /// The next packet that the box sent, with its index; until there is none.
    pub fn poll(&mut self) -> Option<(u64, Packet)> {
        loop {
            let verified = self.restore.poll()?;
            match self.keyring.open(&verified.datagram, verified.index) {
                Ok(packet) => {
                    self.is_failing = false;
                    return Some((verified.index, packet));
                }
                Err(error) if self.is_failing => {
                    tracing::trace!(%error, "a packet of the lesson cannot be opened");
                }
                Err(error) => {
                    self.is_failing = true;
                    tracing::warn!(%error, "packets of the lesson cannot be opened: {error}");
                }
            }
        }
    }

    /// The newest heartbeat of the box.
    pub(super) fn heartbeat(&self) -> Option<&Heartbeat> {
        self.restore.heartbeat()
    }

    /// What is to be sent to the box now; until there is none.
    pub fn feedback(&mut self, now: Duration) -> Option<Bytes> {
        let feedback = self.restore.feedback(now)?;
        match self.sealer.seal(&feedback) {
            Ok(sealed) => Some(sealed),
            Err(error) => {
                tracing::warn!(%error, "what is lacking cannot be said: {error}");
                None
            }
        }
    }

    /// Datagrams that said that they were the box's, and were not.
    pub(super) fn refused(&self) -> u64 {
        let Stats { forged, failed_decodes, bad_signature, .. } = self.restore.stats();
        forged + failed_decodes + bad_signature
    }

    /// Says what came that the box had not sent, if it is time for that. Whoever sends such a thing
    /// may send very much of it, so nothing is said of a single one.
    pub fn tell_refused(&mut self, now: Duration) {
        let stats = self.restore.stats();
        let grown = |of: fn(&Stats) -> u64| of(&stats) - of(&self.told);
        let forged = grown(|stats| stats.forged + stats.failed_decodes);
        let bad_signature = grown(|stats| stats.bad_signature);
        if now < self.next_word || forged + bad_signature == 0 {
            return;
        }
        tracing::warn!(
            lesson.forged = forged,
            lesson.bad_signature = bad_signature,
            lesson.replayed = grown(|stats| stats.replayed),
            lesson.over_limits = grown(|stats| stats.over_limits),
            lesson.malformed = grown(|stats| stats.malformed),
            lesson.foreign = grown(|stats| stats.foreign),
            "somebody else than the box sends to the lesson: {forged} packets are not as the box \
             signed them, {bad_signature} signatures are not the box's",
        );
        self.told = stats;
        self.next_word = now + WORD;
    }

    /// When to look for feedback again even if nothing arrives.
    pub fn next_timeout(&self) -> Option<Duration> {
        self.restore.next_timeout()
    }

    pub fn stats(&self) -> Stats {
        self.restore.stats()
    }

    fn take_epochs(&mut self, grant: &Grant) -> Result<(), BroadcastError> {
        grant.protection.epochs.iter().try_for_each(|epoch| self.take_epoch(epoch))
    }
}

fn sealer(grant: &Grant) -> Result<Sealer, BroadcastError> {
    let key = grant.protection.feedback_key.bytes();
    Sealer::new(grant.serial, key).map_err(BroadcastError::Feedback)
}

fn streams(grant: &Grant) -> impl Iterator<Item = Next> {
    let next = |track: &Track| Next { ssrc: track.ssrc, index: track.next_index };
    grant.video.iter().chain(&grant.audio).map(next)
}

/// The playout delay of a grant.
pub fn playout(grant: &Grant) -> Duration {
    Duration::from_millis(grant.protection.playout_ms.into())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use alfarid_protocol::{grant::Protection, id::LessonId};
    use alfarid_stream::{
        block::{SigningKey, Tickets},
        feedback::Opener,
    };
    use aws_lc_rs::signature::Ed25519KeyPair;
    use uuid::Uuid;

    use super::*;

    fn signing() -> SigningKey {
        SigningKey::new(Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap())
    }

    fn grant(serial: u32, feedback_key: [u8; 16]) -> Grant {
        let (key, salt) = (Secret::new([1; 16]), Secret::new([2; 12]));
        Grant {
            serial,
            lesson: LessonId(Uuid::nil()),
            group: Ipv4Addr::new(239, 255, 0, 1),
            port: 5004,
            source: Ipv4Addr::LOCALHOST,
            video: None,
            audio: None,
            protection: Protection {
                feedback_key: Secret::new(feedback_key),
                signer: signing().public().unwrap(),
                epochs: vec![EpochKey { number: 0, key, salt }],
                repair_port: 1,
                playout_ms: 250,
            },
            wifi_multicast: false,
        }
    }

    /// What the machine says the next time that it reports, after a heartbeat.
    fn said(broadcast: &mut Broadcast, second: u64) -> Bytes {
        let commitment = Tickets::new(&[9; 32]).commitment(1);
        let heartbeat = Heartbeat {
            block: 1,
            commitment,
            box_ms: second * 1_000,
            playout_ms: 100,
            streams: Vec::new(),
        };
        let now = Duration::from_secs(second);
        broadcast.push(now, heartbeat.sign(&signing()));
        broadcast.feedback(now).expect("feedback is due")
    }

    #[test]
    fn a_grant_that_is_said_again_never_begins_a_key_again() {
        let mut broadcast = Broadcast::new(&grant(1, [3; 16]), Duration::ZERO).unwrap();
        let first = said(&mut broadcast, 5);
        broadcast.granted_again(&grant(1, [3; 16])).unwrap();
        let second = said(&mut broadcast, 10);
        let mut opener = Opener::new(1, &[3; 16]).unwrap();
        assert!(opener.open(&first).is_ok());
        assert!(opener.open(&second).is_ok(), "its counter went on");
        broadcast.granted_again(&grant(2, [4; 16])).unwrap();
        let third = said(&mut broadcast, 15);
        assert!(Opener::new(2, &[4; 16]).unwrap().open(&third).is_ok());
    }
}
