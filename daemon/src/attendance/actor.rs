//! The one task that hears machines and keeps the roll.
//!
//! All that must last is in the database; what the actor itself holds is who is connected at this
//! moment, which a restarted box learns again within seconds.

use std::collections::BTreeMap;

use alfarid_protocol::{
    id::{BootId, LessonId, MachineId, StudentId},
    span::{Mark, Moment},
    time::Timestamp,
};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{
    Error, Handle, Meeting, Sheet, Thresholds,
    marks::{self, Batch},
    roll::{self, Connected},
    state::{Exchange, Presence, integer},
    store::{heard, meeting, record},
};
use crate::{
    clock::Clock,
    db::Db,
    events::{Event, Events},
    floor::Floor,
    http::problem::chain,
    machines::PresenceMessage,
};

/// Requests that may wait. They come from people's clicks and from the lesson; a full mailbox
/// makes the next one wait.
const REQUESTS: usize = 64;

pub(super) type Reply<T> = oneshot::Sender<Result<T, Error>>;

#[derive(Debug)]
pub(super) enum Request {
    Open { meeting: Meeting, reply: Reply<()> },
    Close { lesson: LessonId, ended_at: Timestamp, reply: Reply<usize> },
    Present { lesson: LessonId, reply: Reply<Vec<StudentId>> },
    Sheet { lesson: LessonId, reply: Reply<Sheet> },
}

/// Hears machines on `presence`. The handle works while [`Actor::run`] does.
pub fn new(floor: &Floor, presence: mpsc::Receiver<PresenceMessage>) -> (Handle, Actor) {
    let (requests, mailbox) = mpsc::channel(REQUESTS);
    let actor = Actor {
        clock: floor.clock.clone(),
        db: floor.db.clone(),
        events: floor.events.clone(),
        presence,
        mailbox,
        links: BTreeMap::new(),
        refused: BTreeMap::new(),
    };
    (Handle { requests }, actor)
}

#[derive(Debug)]
pub struct Actor {
    clock: Clock,
    db: Db,
    events: Events,
    presence: mpsc::Receiver<PresenceMessage>,
    mailbox: mpsc::Receiver<Request>,
    links: BTreeMap<MachineId, Link>,
    /// First number of a batch that was refused because marks before it are missing.
    refused: BTreeMap<MachineId, u64>,
}

/// A connected machine.
#[derive(Clone, Copy, Debug)]
struct Link {
    boot: BootId,
    /// The newest clock exchange, stored or not.
    last: Exchange,
    stored: Option<Exchange>,
}

impl Actor {
    /// Runs until `stopping`, or until every handle is gone.
    pub async fn run(mut self, stopping: CancellationToken) {
        let mut machines_speak = true;
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                message = self.presence.recv(), if machines_speak => match message {
                    Some(message) => self.hear(message).await,
                    None => machines_speak = false,
                },
                request = self.mailbox.recv() => match request {
                    Some(request) => self.answer(request).await,
                    None => return,
                },
            }
        }
    }

    async fn hear(&mut self, message: PresenceMessage) {
        let heard = match message {
            PresenceMessage::Connected { machine, now, box_time } => {
                self.connected(machine, now, box_time).await
            }
            PresenceMessage::Clock { machine, moment, box_time } => {
                self.exchanged(machine, moment, box_time).await
            }
            PresenceMessage::Marks { machine, marks, applied } => {
                self.take_marks(machine, marks, applied).await
            }
            PresenceMessage::Gone { machine, box_time: _ } => self.gone(machine).await,
        };
        if let Err(error) = heard {
            tracing::error!(error = %chain(&error), "presence was not written: {}", chain(&error));
        }
    }

    async fn connected(
        &mut self,
        machine: MachineId,
        now: Moment,
        box_time: Timestamp,
    ) -> Result<(), Error> {
        let last = Exchange { monotonic_ms: integer(now.monotonic_ms), box_time };
        let stored = self.db.read(move |c| heard::last_exchange(c, machine, now.boot)).await?;
        self.links.insert(machine, Link { boot: now.boot, last, stored });
        self.refused.remove(&machine);
        self.exchanged(machine, now, box_time).await?;
        self.people_changed(machine).await
    }

    async fn exchanged(
        &mut self,
        machine: MachineId,
        moment: Moment,
        box_time: Timestamp,
    ) -> Result<(), Error> {
        let exchange = Exchange { monotonic_ms: integer(moment.monotonic_ms), box_time };
        let Some(link) = self.links.get_mut(&machine).filter(|link| link.boot == moment.boot)
        else {
            return Ok(());
        };
        link.last = exchange;
        if exchange.is_news(link.stored) {
            link.stored = Some(exchange);
            self.keep(machine, moment.boot, exchange).await?;
        }
        Ok(())
    }

    /// What a machine did up to here is known; what it does from now on it will tell.
    async fn gone(&mut self, machine: MachineId) -> Result<(), Error> {
        if let Some(link) = self.links.remove(&machine) {
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
        Ok(self.db.write(move |tx| heard::keep_exchange(tx, machine, boot, exchange)).await?)
    }

    /// Acknowledged only when on disk: a machine that gets no answer sends again.
    async fn take_marks(
        &mut self,
        machine: MachineId,
        marks: Vec<Mark>,
        applied: oneshot::Sender<u64>,
    ) -> Result<(), Error> {
        let batch = Batch {
            machine,
            marks,
            refused: self.refused.get(&machine).copied(),
            heard_at: self.clock.now(),
        };
        let (clock, connected) = (self.clock.clone(), self.connected_now());
        let taken = self.db.write(move |tx| marks::take(tx, &clock, &batch, &connected)).await?;
        match taken.refused {
            Some(first) => self.refused.insert(machine, first),
            None => self.refused.remove(&machine),
        };
        // The connection is gone: the machine hears the number when it comes back.
        let _ = applied.send(taken.through);
        for lesson_id in taken.rewritten {
            self.events.tell(Event::AttendanceChanged { lesson_id });
        }
        if taken.news { self.people_changed(machine).await } else { Ok(()) }
    }

    async fn people_changed(&self, machine: MachineId) -> Result<(), Error> {
        for lesson_id in self.db.read(move |c| meeting::running_at(c, machine)).await? {
            self.events.tell(Event::PeopleChanged { lesson_id });
        }
        Ok(())
    }

    fn connected_now(&self) -> Connected {
        self.links.iter().map(|(machine, link)| (*machine, link.boot)).collect()
    }

    /// Whoever asked and went away needs no answer.
    async fn answer(&mut self, request: Request) {
        match request {
            Request::Open { meeting, reply } => drop(reply.send(self.open(meeting).await)),
            Request::Close { lesson, ended_at, reply } => {
                drop(reply.send(self.close(lesson, ended_at).await));
            }
            Request::Present { lesson, reply } => drop(reply.send(self.present(lesson).await)),
            Request::Sheet { lesson, reply } => drop(reply.send(self.sheet(lesson).await)),
        }
    }

    async fn open(&self, meeting: Meeting) -> Result<(), Error> {
        let clock = self.clock.clone();
        let lesson_id = meeting.lesson;
        self.db.write(move |tx| meeting::open(tx, &meeting, &clock)).await?;
        self.events.tell(Event::PeopleChanged { lesson_id });
        Ok(())
    }

    async fn close(&mut self, lesson: LessonId, ended_at: Timestamp) -> Result<usize, Error> {
        let heard = self.heard_at(ended_at);
        let (clock, connected) = (self.clock.clone(), self.connected_now());
        let thresholds = Thresholds::default();
        let there = self
            .db
            .write(move |tx| {
                let mut kept = meeting::meeting(tx, lesson)?.ok_or(Error::NoSuchLesson(lesson))?;
                for (machine, boot, exchange) in heard {
                    heard::keep_exchange(tx, machine, boot, exchange)?;
                }
                if kept.window.end_at.is_none() {
                    kept.window.end_at = Some(ended_at);
                    let lines = roll::call(tx, &kept, &connected)?;
                    meeting::close(tx, lesson, ended_at, thresholds)?;
                    roll::write(tx, &clock, &kept, &lines, thresholds, ended_at)?;
                }
                let records = record::records(tx, lesson)?;
                Ok::<_, Error>(records.iter().filter(|record| record.joined_at.is_some()).count())
            })
            .await?;
        self.events.tell(Event::AttendanceChanged { lesson_id: lesson });
        Ok(there)
    }

    /// That every connected machine was there at `at`, as an exchange: the records of a lesson
    /// must come out the same when the box has forgotten who was connected.
    fn heard_at(&self, at: Timestamp) -> Vec<(MachineId, BootId, Exchange)> {
        let at_end = |link: &Link| Exchange {
            monotonic_ms: link.last.monotonic_ms + at.millis_since(link.last.box_time).max(0),
            box_time: at.max(link.last.box_time),
        };
        self.links.iter().map(|(machine, link)| (*machine, link.boot, at_end(link))).collect()
    }

    async fn present(&self, lesson: LessonId) -> Result<Vec<StudentId>, Error> {
        let connected = self.connected_now();
        let read = self.db.read(move |c| {
            let kept = meeting::meeting(c, lesson)?.ok_or(Error::NoSuchLesson(lesson))?;
            let lines = roll::call(c, &kept, &connected)?;
            let here = lines.into_iter().filter(|line| Presence::is_here(&line.presence));
            Ok(here.map(|line| line.student.id).collect())
        });
        read.await
    }

    async fn sheet(&self, lesson: LessonId) -> Result<Sheet, Error> {
        let connected = self.connected_now();
        let (now, current) = (self.clock.now(), Thresholds::default());
        let read = self.db.read(move |c| {
            let kept = meeting::meeting(c, lesson)?.ok_or(Error::NoSuchLesson(lesson))?;
            if kept.window.end_at.is_some() {
                let thresholds = kept.thresholds.unwrap_or(current);
                return Ok(Sheet { thresholds, items: record::records(c, lesson)? });
            }
            let lines = roll::call(c, &kept, &connected)?;
            let items = lines.iter().map(|line| line.record(&kept, current, now)).collect();
            Ok(Sheet { thresholds: current, items })
        });
        read.await
    }
}
