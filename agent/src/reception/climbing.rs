//! Falling and climbing: what the ladder says is done, and what it is to know is told to it.
//!
//! ```text
//!   ears ── heard, counted ──▶ ladder ── be in the group, say it anew ──▶ ears
//!   tunnel ──── opened ──────▶   │   └── keep the flow alive ───────────▶ box
//!     ▲                          ├────── another rung ──────────────────▶ box, by the link
//!     └────── wanted or not ─────┘
//! ```

use std::time::Duration;

use alfarid_protocol::{control::FromMachine, kept::Kept};
use alfarid_stream::rung::{Action, Change, Rung};

use super::{
    Reception,
    rungs::{Rungs, because, said},
    tunnel::{Event, Tunnel},
};
use crate::{clock, interface};

/// A tunnel that failed, or a group that could not be joined, is tried again no sooner.
const AGAIN: Duration = Duration::from_secs(1);

impl Reception {
    /// Takes the lesson's ears, and a ladder for them, if they are not there yet.
    pub(super) fn listen_if_needed(&mut self) {
        let Some(lesson) = &mut self.lesson else { return };
        let local = self.local.map(|local| local.ip());
        let source = lesson.grant.source;
        let Some(on) = interface::to_join_on(self.interface.as_deref(), local, source) else {
            tracing::warn!(%source, "no interface of this machine is on the sender's network");
            return;
        };
        if let Err(error) = lesson.listen(on) {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "the lesson cannot be listened to; it is tried again");
            return;
        }
        let place = (lesson.grant.lesson, on);
        if self.rungs.as_ref().is_none_or(|rungs| (rungs.lesson, rungs.on) != place) {
            let (link, wifi) = (interface::link_of(on), lesson.grant.wifi_multicast);
            let rungs = Rungs::new(clock::monotonic(), place, link, wifi);
            tracing::debug!(
                "the lesson is received on a {link:?} link, from {:?} on",
                rungs.ladder.rung()
            );
            self.rungs = Some(rungs);
            self.tunnel = None;
            self.say_rung();
        }
    }

    /// A grant came of the lesson whose ladder there is: the box knows nothing of it by the new
    /// one.
    pub(super) fn stand_again(&mut self) {
        let (Some(lesson), Some(rungs)) = (&mut self.lesson, &mut self.rungs) else { return };
        if rungs.lesson != lesson.grant.lesson {
            return;
        }
        rungs.granted_again(clock::monotonic(), lesson.grant.wifi_multicast);
        if rungs.ladder.wants().flow {
            lesson.keep_alive(true, true);
        }
        self.say_rung();
    }

    /// Does what the ladder says.
    pub(super) fn climb(&mut self, now: Duration) {
        let (Some(lesson), Some(rungs)) = (&mut self.lesson, &mut self.rungs) else { return };
        if lesson.on() != Some(rungs.on) {
            return;
        }
        rungs.heard(now, lesson.take_heard());
        rungs.count(now, lesson.counts());
        let mut changed = None;
        while let Some(action) = rungs.ladder.poll(now) {
            match action {
                Action::KeepAlive => {
                    lesson.keep_alive(rungs.ladder.wants().flow, rungs.goes_on(now));
                }
                Action::Rejoin => {
                    if let Err(error) = lesson.rejoin() {
                        tracing::debug!(%error, "the group could not be joined anew");
                    }
                }
                Action::Changed(change) => {
                    rungs.cause = Some(change.cause);
                    lesson.disturbed(now);
                    if change.to == Rung::Tunnel {
                        lesson.rest(now);
                    }
                    changed = Some(change);
                }
            }
        }
        if now >= self.join_again
            && let Err(error) = lesson.be_member(rungs.ladder.wants().group)
        {
            self.join_again = now + AGAIN;
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "the lesson's group could not be joined; it is tried again");
        }
        if let Some(Change { from, to, cause }) = changed {
            tracing::info!("the lesson comes by {to:?} now, no more by {from:?}: {cause:?}");
            self.say_rung();
        }
        self.open_tunnel_if_wanted(now);
    }

    fn open_tunnel_if_wanted(&mut self, now: Duration) {
        let (Some(lesson), Some(rungs)) = (&self.lesson, &self.rungs) else {
            self.tunnel = None;
            return;
        };
        let (is_wanted, serial) = (rungs.ladder.wants().tunnel, lesson.grant.serial);
        self.tunnel.take_if(|tunnel| !is_wanted || tunnel.serial != serial);
        if is_wanted && self.tunnel.is_none() && now >= self.tunnel_again {
            let Some(dial) = self.dial.clone() else { return };
            self.tunnel_again = now + AGAIN;
            self.tunnel = Some(Tunnel::open(dial, serial, lesson.goes_on_at()));
        }
    }

    /// Takes in what came of the tunnel.
    pub(super) fn take_tunnelled(&mut self, event: Event) {
        let now = clock::monotonic();
        match (event, &mut self.lesson, &mut self.rungs) {
            (Event::Over, ..) => self.tunnel = None,
            (Event::Opened, _, Some(rungs)) => rungs.ladder.tunnel_opened(now),
            (Event::Message(message), Some(lesson), _) => match Kept::parse(&message) {
                Ok(message) => lesson.take_tunnelled(now, &message),
                Err(error) => tracing::warn!(%error, "a message of the tunnel was dropped"),
            },
            (Event::Opened | Event::Message(_), ..) => {}
        }
    }

    /// Tells the box by which way the lesson comes. When the link has no room, the next report says
    /// as much.
    fn say_rung(&self) {
        let (Some(lesson), Some(rungs)) = (&self.lesson, &self.rungs) else { return };
        let (serial, rung) = (lesson.grant.serial, said(rungs.ladder.rung()));
        let cause = rungs.cause.map(because);
        let _ = self.outgoing.try_send(FromMachine::Rung { serial, rung, cause });
    }
}
