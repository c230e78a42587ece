//! What machines say: what they lack, what they lost, and whether they want a flow of their own.

use std::time::Duration;

use alfarid_stream::{
    feedback::{self, KeepAlive, Said},
    repair::Reach,
    transmit::ReceiverId,
};

use super::{ProtectError, Protected, Unheard, flows::CATCH_UP};
use crate::broadcast::multicast::Way;

/// How long a machine is set apart: as long as a machine on unicast waits before it tries multicast
/// again.
const APART: Duration = Duration::from_secs(30);
/// How often it is looked for.
const LOOK: Duration = Duration::from_secs(1);
/// Of fewer machines the loss of one costs no more than a flow of its own would.
const CROWD: usize = 3;

impl Protected {
    /// Hears what a machine says, if that is what this is. What is not heard is counted.
    pub(in crate::broadcast) fn hear(
        &mut self,
        now: Duration,
        from: Way,
        datagram: &[u8],
    ) -> Result<(), ProtectError> {
        let heard = self.take_in(now, from, datagram);
        if let Err(error) = &heard {
            self.unheard.count(error);
        }
        heard
    }

    /// What was not heard so far.
    pub(in crate::broadcast) fn unheard(&self) -> Unheard {
        self.unheard
    }

    fn take_in(&mut self, now: Duration, from: Way, datagram: &[u8]) -> Result<(), ProtectError> {
        let receiver = ReceiverId(feedback::receiver(datagram)?);
        let speaker =
            self.speakers.get_mut(&receiver).ok_or(ProtectError::NotAdmitted(receiver))?;
        let feedback = match speaker.opener.open(datagram)? {
            Said::Feedback(feedback) => feedback,
            Said::KeepAlive(keep_alive) => {
                let is_own = *from.peer.ip() == speaker.address;
                speaker.way = Some(from);
                if !is_own {
                    self.elsewhere.insert(receiver);
                    return Err(ProtectError::Elsewhere(receiver));
                }
                self.elsewhere.remove(&receiver);
                self.keep_alive(now, receiver, from, keep_alive);
                return Ok(());
            }
        };
        speaker.way = Some(from);
        let is_apart = speaker.apart_until.is_some_and(|until| now < until);
        if is_apart || self.flows.has(receiver) {
            if !feedback.requests.is_empty() {
                self.flows.loses(now, receiver);
            }
            self.repair.hear(now, receiver, Reach::Unicast, &feedback);
        } else {
            self.protect.hear(now, receiver, &feedback);
            self.repair.hear(now, receiver, Reach::Multicast, &feedback);
            self.set_apart(now);
        }
        Ok(())
    }

    /// Answers a machine, and sends it the stream or not, as it wants.
    fn keep_alive(&mut self, now: Duration, receiver: ReceiverId, way: Way, said: KeepAlive) {
        if said.is_wanted {
            if !self.flows.has(receiver) {
                self.protect.forget(receiver);
            }
            let may_catch_up = self.flows.wanted(now, receiver, way);
            if let Some(block) = said.from.filter(|_| may_catch_up) {
                let kept = self.repair.from(block, now.saturating_sub(CATCH_UP));
                self.flows.catch_up(now, receiver, kept.chain(self.protect.open()));
            }
        } else {
            self.flows.end(receiver);
        }
        // Behind what the machine lacks: by the answer it knows what it should have.
        let protect = &mut self.protect;
        self.flows.answer(now, receiver, way, || protect.sign_of_life(now));
    }

    /// Sets a machine apart that all others pay for, if there is one.
    fn set_apart(&mut self, now: Duration) {
        if now < self.next_look || self.speakers.len() < CROWD {
            return;
        }
        self.next_look = now + LOOK;
        let Some(receiver) = self.protect.outlier(now) else { return };
        let Some(speaker) = self.speakers.get_mut(&receiver) else { return };
        speaker.apart_until = Some(now + APART);
        self.outcast = Some(receiver);
        self.protect.forget(receiver);
        let seconds = APART.as_secs();
        tracing::info!(
            receiver = receiver.0,
            "receiver {} alone loses so much that all others pay for it: it is answered alone for \
             {seconds} s",
            receiver.0,
        );
    }
}
