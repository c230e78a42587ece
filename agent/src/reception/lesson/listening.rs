//! What a lesson hears by UDP, and what it says to the box.

use std::{net::Ipv4Addr, time::Duration};

use alfarid_stream::block::Kind;
use futures_util::FutureExt as _;

use super::{Heard, Lesson};
use crate::{
    clock,
    reception::{
        ears::{By, Ears},
        group::GroupError,
    },
};

/// Of all sockets together, of several dozen datagrams each, before others get their turn: over a
/// second of a rich stream.
const READS: usize = 16;

impl Lesson {
    /// Listens at the address `on`, if that is not done yet.
    pub(in crate::reception) fn listen(&mut self, on: Ipv4Addr) -> Result<(), GroupError> {
        if self.ears.as_ref().is_none_or(|ears| ears.on != on) {
            self.ears = Some(Ears::open(&self.grant, on)?);
            self.playout.disturbed(clock::monotonic());
        }
        Ok(())
    }

    /// Is in the group from now on, or is not.
    pub(in crate::reception) fn be_member(&mut self, is_member: bool) -> Result<(), GroupError> {
        let Some(ears) = self.ears.as_mut().filter(|ears| ears.is_member() != is_member) else {
            return Ok(());
        };
        if is_member {
            return ears.join(&self.grant);
        }
        ears.leave();
        Ok(())
    }

    /// Says the membership anew, if there is one.
    pub(in crate::reception) fn rejoin(&mut self) -> Result<(), GroupError> {
        self.ears.as_mut().map_or(Ok(()), Ears::rejoin)
    }

    /// Where this machine listens.
    pub(in crate::reception) fn on(&self) -> Option<Ipv4Addr> {
        self.ears.as_ref().map(|ears| ears.on)
    }

    /// Takes in what is there, without waiting for more: a machine that was held up has not heard a
    /// silence, it has not listened.
    pub(in crate::reception) fn take_in_what_is_there(&mut self) {
        for _ in 0..READS {
            if self.take_in().now_or_never().is_none() {
                break;
            }
        }
    }

    /// Waits until something arrives, and takes it in. For ever, while nobody listens. Cancelling
    /// it loses nothing.
    pub(in crate::reception) async fn take_in(&mut self) {
        let Some(ears) = &mut self.ears else { return std::future::pending().await };
        let (by, datagrams) = ears.receive().await;
        let now = clock::monotonic();
        for datagram in datagrams {
            let counts = matches!(Kind::of(&datagram), None | Some(Kind::Heartbeat));
            self.heard.by_group += u64::from(by == By::Group && counts);
            let is_answer = by == By::Flow
                && !self.is_flow_wanted
                && Kind::of(&datagram) == Some(Kind::Heartbeat);
            if is_answer {
                self.heard.answer |= self.broadcast.answered(now, &datagram);
                continue;
            }
            let is_heard = self.broadcast.push(now, datagram);
            match by {
                By::Group => self.heard.group |= is_heard,
                By::Flow => self.heard.flow |= is_heard,
            }
        }
        self.playout.restored(now, self.broadcast.stats().restored);
        if let Some(heartbeat) = self.broadcast.heartbeat() {
            self.playout.heard(heartbeat);
            if let Some(audio) = &mut self.audio {
                audio.set_wait(self.playout.delay());
            }
        }
        while let Some((index, packet)) = self.broadcast.poll() {
            let ssrc = packet.header.ssrc;
            self.playout.arrived(now, ssrc, packet.header.timestamp);
            let mut tracks = self.video.iter_mut().chain(&mut self.audio);
            if let Some(track) = tracks.find(|track| track.ssrc() == ssrc) {
                track.live(now, index, packet);
            }
        }
    }

    /// Says to the box what is lacking.
    pub(in crate::reception) fn speak(&mut self, now: Duration) {
        while let Some(feedback) = self.broadcast.feedback(now) {
            // While nobody listens nothing can be said, nor does it help.
            let Some(ears) = &self.ears else { continue };
            if let Err(error) = ears.say(&feedback, &self.grant) {
                tracing::debug!(%error, "what is lacking could not be said: {error}");
            }
        }
    }

    /// Asks the box whether a flow would carry, or for the lesson on it; see
    /// [`Broadcast::keep_alive`].
    pub(in crate::reception) fn keep_alive(&mut self, is_wanted: bool, goes_on: bool) {
        self.is_flow_wanted = is_wanted;
        let Some(ears) = &self.ears else { return };
        let Some(sealed) = self.broadcast.keep_alive(is_wanted, goes_on) else { return };
        if let Err(error) = ears.say(&sealed, &self.grant) {
            tracing::debug!(%error, "the flow could not be kept alive: {error}");
        }
    }

    /// What was heard since the last call.
    pub(in crate::reception) fn take_heard(&mut self) -> Heard {
        std::mem::take(&mut self.heard)
    }
}
