//! What machines say, and by which clock.

use std::time::Duration;

use alfarid_protocol::{
    id::{BootId, MachineId},
    span::{Mark, Moment},
    time::Timestamp,
};
use tokio::sync::oneshot;

use super::{Actor, fail};
use crate::{
    attendance::{
        Error, ledger,
        marks::{self, Batch},
        roll::Connected,
        state::{Exchange, integer},
        store::{heard, meeting},
    },
    events::Event,
    machines::PresenceMessage,
};

/// So many exchanges of one machine are put on disk in so long a time: an honest machine has one a
/// minute, and a few more when it is started again and its network flaps.
const MOST_KEPT: usize = 8;
const KEPT_IN: Duration = Duration::from_secs(160);

/// A connected machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    boot: BootId,
    /// The newest clock exchange, stored or not.
    last: Exchange,
    stored: Option<Exchange>,
}

impl Actor {
    pub(super) async fn hear(&mut self, message: PresenceMessage) {
        if let Err(error) = self.take(message).await {
            fail("presence was not written", &error);
        }
    }

    async fn take(&mut self, message: PresenceMessage) -> Result<(), Error> {
        self.follow_clock().await?;
        match message {
            PresenceMessage::Connected { machine, now, box_time } => {
                self.refused.remove(&machine);
                self.exchanged(machine, now, box_time).await
            }
            PresenceMessage::Clock { machine, moment, box_time } => {
                self.exchanged(machine, moment, box_time).await
            }
            PresenceMessage::Marks { machine, marks, applied } => {
                self.take_marks(machine, marks, applied).await
            }
            PresenceMessage::Gone { machine, box_time: _ } => self.gone(machine).await,
        }
    }

    /// Whoever exchanges clocks is connected, even if its older connection's end is heard of after
    /// the newer one's beginning.
    async fn exchanged(
        &mut self,
        machine: MachineId,
        moment: Moment,
        box_time: Timestamp,
    ) -> Result<(), Error> {
        let boot = moment.boot;
        let last = self.exchange(moment, box_time);
        let known = self.links.get(&machine).filter(|link| link.boot == boot).copied();
        let stored = match known {
            Some(link) => link.stored,
            None => self.read(move |c| Ok(heard::last_exchange(c, machine, boot)?)).await?,
        };
        self.links.insert(machine, Link { boot, last, stored });
        if last.is_news(stored) && self.may_keep(machine) {
            self.keep(machine, boot, last).await?;
            self.links.insert(machine, Link { boot, last, stored: Some(last) });
        }
        if known.is_none() { self.people_changed(machine).await } else { Ok(()) }
    }

    /// The box's part of an exchange may have been read before the last correction of its clock
    /// and be heard of after it.
    fn exchange(&self, moment: Moment, box_time: Timestamp) -> Exchange {
        let now = self.clock.now();
        let corrected = box_time.plus_millis(self.last_moved_ms);
        let off = |read: Timestamp| now.millis_since(read).saturating_abs();
        let box_time = if off(corrected) < off(box_time) { corrected } else { box_time };
        Exchange { monotonic_ms: integer(moment.monotonic_ms), box_time }
    }

    /// Whether one more exchange of a machine is put on disk: one that says something else each
    /// time, or that it has started again, has its share and no more.
    fn may_keep(&mut self, machine: MachineId) -> bool {
        let now = self.clock.monotonic();
        let kept_at = self.kept_at.entry(machine).or_default();
        if kept_at.len() == MOST_KEPT {
            if kept_at.front().is_some_and(|oldest| now < *oldest + KEPT_IN) {
                return false;
            }
            kept_at.pop_front();
        }
        kept_at.push_back(now);
        true
    }

    /// What a machine did up to here is known; what it does from now on it will tell. What is on
    /// disk already takes no share of what may be kept.
    async fn gone(&mut self, machine: MachineId) -> Result<(), Error> {
        let link = self.links.remove(&machine);
        let is_news = |link: &Link| link.stored != Some(link.last);
        if let Some(link) = link.filter(|link| is_news(link) && self.may_keep(machine)) {
            self.keep(machine, link.boot, link.last).await?;
        }
        self.people_changed(machine).await
    }

    async fn keep(
        &self,
        machine: MachineId,
        boot: BootId,
        exchange: Exchange,
    ) -> Result<(), Error> {
        self.write(move |tx| heard::keep_exchange(tx, machine, boot, exchange)).await
    }

    /// Acknowledged only when on disk: a machine that gets no answer sends again.
    async fn take_marks(
        &mut self,
        machine: MachineId,
        marks: Vec<Mark>,
        applied: oneshot::Sender<u64>,
    ) -> Result<(), Error> {
        let refused = self.refused.get(&machine).copied();
        let batch = Batch { machine, marks, refused, heard_at: self.clock.now() };
        let (clock, connected) = (self.clock.clone(), self.connected_now());
        let taken = self.write(move |tx| marks::take(tx, &clock, &batch, &connected)).await?;
        match taken.refused {
            Some(first) => self.refused.insert(machine, first),
            None => self.refused.remove(&machine),
        };
        // The connection is gone: the machine hears the number when it comes back.
        let _ = applied.send(taken.through);
        for lesson_id in taken.rewritten {
            self.events.tell(Event::AttendanceChanged { lesson_id });
        }
        self.stale.extend(taken.stale);
        if taken.news { self.people_changed(machine).await } else { Ok(()) }
    }

    async fn people_changed(&self, machine: MachineId) -> Result<(), Error> {
        for lesson_id in self.read(move |c| Ok(meeting::running_at(c, machine)?)).await? {
            self.events.tell(Event::PeopleChanged { lesson_id });
        }
        Ok(())
    }

    pub(super) fn connected_now(&self) -> Connected {
        self.links.iter().map(|(machine, link)| (*machine, link.boot)).collect()
    }

    /// That every connected machine was there at `at`, as an exchange: the records of a lesson
    /// must come out the same when the box has forgotten who was connected.
    pub(super) fn heard_at(&self, at: Timestamp) -> Vec<(MachineId, BootId, Exchange)> {
        let at_end = |link: &Link| link.last.later(at.millis_since(link.last.box_time).max(0));
        self.links.iter().map(|(machine, link)| (*machine, link.boot, at_end(link))).collect()
    }

    /// Box time was corrected: what was measured by it since this run began, or since the oldest
    /// running lesson did, moves along.
    pub(super) async fn follow_clock(&mut self) -> Result<(), Error> {
        let mut follower = self.follower;
        let Some(moved_ms) = follower.moved(self.clock.read()) else { return Ok(()) };
        let since = self.since;
        self.write(move |tx| {
            let running = meeting::running(tx)?;
            let starts = running.iter().map(|kept| kept.window.start_at);
            ledger::shift(tx, starts.fold(since, Timestamp::min), moved_ms)
        })
        .await?;
        self.follower = follower;
        self.since = since.plus_millis(moved_ms);
        self.last_moved_ms = moved_ms;
        for link in self.links.values_mut() {
            link.last = link.last.moved(moved_ms);
            link.stored = link.stored.map(|stored| stored.moved(moved_ms));
        }
        Ok(())
    }
}
