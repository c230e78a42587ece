//! The one task that hears machines and keeps the roll.
//!
//! All that must last is in the database; what the actor itself holds is who is connected at this
//! moment and who has a page open, which a restarted box learns again within seconds.

mod hearing;
mod pages;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use alfarid_protocol::{
    id::{LessonId, MachineId, StudentId},
    time::Timestamp,
};
use rusqlite::{Connection, Transaction};
use tokio::{
    sync::{mpsc, watch},
    time::MissedTickBehavior,
};
use tokio_util::sync::CancellationToken;

use self::{
    hearing::Link,
    pages::{CountedBy, Leaves},
};
use super::{
    Error, Handle, Meeting, Move, Pages, PersonView, Record, Sheet, Thresholds, access,
    ledger::{self, Said},
    pages::Here,
    request::Request,
    roll, seat,
    store::{heard, meeting, record, trail},
};
use crate::{
    clock::{Clock, Follower},
    db::{Db, DbError},
    events::{Event, Events},
    floor::Floor,
    identity::Person,
    logging::chain,
    machines::PresenceMessage,
    settings,
};

/// Requests that may wait. They come from people's clicks and from the lesson; a full mailbox
/// makes the next one wait.
const REQUESTS: usize = 64;

/// How often it is written down that pages are open.
const TOUCH_EVERY: Duration = Duration::from_mins(1);

/// How often the records of one stale lesson are worked out again: between them everybody else has
/// their turn.
const LOOK_AGAIN_EVERY: Duration = Duration::from_secs(1);

/// Hears machines on `presence`, and of students' own pages by `pages`. The handle works while
/// [`Actor::run`] does.
pub fn new(
    floor: &Floor,
    settings: settings::Handle,
    presence: mpsc::Receiver<PresenceMessage>,
    pages: Pages,
) -> (Handle, Actor) {
    let (requests, mailbox) = mpsc::channel(REQUESTS);
    let now = floor.clock.read();
    let actor = Actor {
        clock: floor.clock.clone(),
        db: floor.db.clone(),
        events: floor.events.clone(),
        settings,
        presence,
        mailbox,
        here: pages.here(),
        pages,
        counted: CountedBy::new(),
        followed: BTreeSet::new(),
        leaves: BTreeMap::new(),
        links: BTreeMap::new(),
        refused: BTreeMap::new(),
        kept_at: BTreeMap::new(),
        stale: BTreeSet::new(),
        follower: Follower::new(now),
        since: now.at,
        last_moved_ms: 0,
    };
    (Handle { requests }, actor)
}

#[derive(Debug)]
pub struct Actor {
    clock: Clock,
    db: Db,
    events: Events,
    settings: settings::Handle,
    presence: mpsc::Receiver<PresenceMessage>,
    mailbox: mpsc::Receiver<Request>,
    pages: Pages,
    here: watch::Receiver<Here>,
    /// Whose pages have a span that is open on disk.
    counted: CountedBy,
    /// Whose pages were open when they were last followed, or are taken to be.
    followed: BTreeSet<StudentId>,
    /// Of everybody whose pages have closed since the box started: as many as a school has
    /// students.
    leaves: BTreeMap<StudentId, Leaves>,
    links: BTreeMap<MachineId, Link>,
    /// First number of a batch that was refused because marks before it are missing.
    refused: BTreeMap<MachineId, u64>,
    /// When the last clock exchanges of each machine were put on disk.
    kept_at: BTreeMap<MachineId, VecDeque<Duration>>,
    /// Ended lessons that marks have reached into and whose records were not worked out again yet.
    /// A box that stops before it is done looks at all lessons when it starts.
    stale: BTreeSet<LessonId>,
    follower: Follower,
    /// Box time of this run's beginning: what is older was not measured by this clock.
    since: Timestamp,
    /// How far the last correction moved box time.
    last_moved_ms: i64,
}

impl Actor {
    /// Runs until `stopping`, or until every handle is gone.
    pub async fn run(mut self, stopping: CancellationToken) {
        if let Err(error) = self.write(heard::close_pages).await {
            fail("pages were not closed", &error);
        }
        let now = self.clock.now();
        match self.read(move |c| Ok(ledger::remembered(c, now)?)).await {
            Ok(lessons) => self.stale.extend(lessons),
            Err(error) => fail("lessons were not looked at again", &error),
        }
        let mut touch = tokio::time::interval(TOUCH_EVERY);
        touch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut look_again = tokio::time::interval(LOOK_AGAIN_EVERY);
        look_again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut machines_speak = true;
        loop {
            tokio::select! {
                () = stopping.cancelled() => return self.touch_pages().await,
                message = self.presence.recv(), if machines_speak => match message {
                    Some(message) => self.hear(message).await,
                    None => machines_speak = false,
                },
                request = self.mailbox.recv() => match request {
                    Some(request) => self.answer(request).await,
                    None => return,
                },
                Ok(()) = self.here.changed() => self.notice_pages().await,
                _ = touch.tick() => self.touch_pages().await,
                _ = look_again.tick() => {
                    self.look_again().await;
                    self.notice_who_left().await;
                }
            }
        }
    }

    /// Works out the records of one stale lesson again.
    async fn look_again(&mut self) {
        let Some(lesson_id) = self.stale.pop_last() else { return };
        let (clock, connected) = (self.clock.clone(), self.connected_now());
        let rewritten = self.change(move |tx| {
            let kept = ledger::meeting(tx, lesson_id)?;
            Ok(ledger::rewrite(tx, &clock, &kept, &connected)?)
        });
        match rewritten.await {
            Ok(true) => self.events.tell(Event::AttendanceChanged { lesson_id }),
            Ok(false) => {}
            Err(error) => fail("records were not worked out again", &error),
        }
    }

    /// Whoever asked and went away needs no answer.
    async fn answer(&mut self, request: Request) {
        if let Err(error) = self.follow_clock().await {
            fail("a correction of the clock was not followed", &error);
        }
        // Whoever has opened a page and asks is counted by then.
        if self.here.has_changed().unwrap_or(false) {
            self.notice_pages().await;
        }
        match request {
            Request::Open { meeting, reply } => drop(reply.send(self.open(meeting).await)),
            Request::Close { lesson, ended_at, reply } => {
                drop(reply.send(self.close(lesson, ended_at).await));
            }
            Request::HandOver { lesson, teacher, reply } => {
                let done = self.write(move |tx| meeting::hand_over(tx, lesson, teacher)).await;
                drop(reply.send(done));
            }
            Request::Plan { lesson, planned_end_at, reply } => {
                let done = self.write(move |tx| meeting::plan(tx, lesson, planned_end_at)).await;
                drop(reply.send(done));
            }
            Request::FollowClock { reply } => drop(reply.send(Ok(()))),
            Request::Running { reply } => {
                let running = self.read(|c| Ok(meeting::running(c)?)).await;
                let ids = running.map(|running| running.iter().map(|kept| kept.lesson).collect());
                drop(reply.send(ids));
            }
            Request::Present { lesson, reply } => drop(reply.send(self.present(lesson).await)),
            Request::WereThere { lesson, reply } => {
                drop(reply.send(self.read(move |c| Ok(record::were_there(c, lesson)?)).await));
            }
            Request::Changes { lesson, reply } => {
                drop(reply.send(self.read(move |c| Ok(trail::changes(c, lesson)?)).await));
            }
            Request::Own { student, reply } => {
                let connected = self.connected_now();
                let counted = self.counted.get(&student).map(|counted| counted.lesson);
                let own = self.read(move |c| ledger::own(c, student, counted, &connected));
                drop(reply.send(own.await));
            }
            Request::Sheet { lesson, by, reply } => drop(reply.send(self.sheet(lesson, by).await)),
            Request::People { lesson, by, reply } => {
                drop(reply.send(self.people(lesson, by).await));
            }
            Request::Correct { lesson, student, status, why, by, reply } => {
                let said = Said { lesson, student, status, why, by };
                drop(reply.send(self.correct(said).await));
            }
            Request::MoveSeat { lesson, seat, by, reply } => {
                drop(reply.send(self.move_seat(lesson, seat, by).await));
            }
            Request::Summary { class, from, to, by, reply } => {
                let summary = self.read(move |c| {
                    let class = access::class_to_see(c, class, &by)?;
                    let summaries = record::summary(c, class.id, from, to)?;
                    Ok((class, summaries))
                });
                drop(reply.send(summary.await));
            }
        }
    }

    async fn open(&mut self, meeting: Meeting) -> Result<(), Error> {
        let clock = self.clock.clone();
        let lesson_id = meeting.lesson;
        self.write(move |tx| meeting::open(tx, &meeting, &clock)).await?;
        self.notice_lessons().await;
        self.events.tell(Event::PeopleChanged { lesson_id });
        Ok(())
    }

    async fn close(&mut self, lesson: LessonId, ended_at: Timestamp) -> Result<(), Error> {
        let heard = self.heard_at(ended_at);
        let (clock, connected) = (self.clock.clone(), self.connected_now());
        let thresholds: Thresholds = self.settings.attendance_thresholds().into();
        self.change(move |tx| {
            for (machine, boot, exchange) in heard {
                heard::keep_exchange(tx, machine, boot, exchange)?;
            }
            ledger::close(tx, &clock, lesson, ended_at, thresholds, &connected)
        })
        .await?;
        self.notice_lessons().await;
        self.events.tell(Event::AttendanceChanged { lesson_id: lesson });
        Ok(())
    }

    async fn present(&self, lesson: LessonId) -> Result<Vec<StudentId>, Error> {
        let connected = self.connected_now();
        self.read(move |c| {
            let lines = roll::call(c, &ledger::meeting(c, lesson)?, &connected)?;
            let here = lines.into_iter().filter(|line| line.presence.is_here());
            Ok(here.map(|line| line.student.id).collect())
        })
        .await
    }

    async fn sheet(&self, lesson: LessonId, by: Person) -> Result<Sheet, Error> {
        let (now, connected) = (self.clock.now(), self.connected_now());
        let thresholds: Thresholds = self.settings.attendance_thresholds().into();
        self.read(move |c| ledger::sheet(c, lesson, &by, &connected, thresholds, now)).await
    }

    async fn people(&self, lesson: LessonId, by: Person) -> Result<Vec<PersonView>, Error> {
        let connected = self.connected_now();
        self.read(move |c| {
            let kept = ledger::meeting(c, lesson)?;
            access::may_see(c, &kept, &by)?;
            Ok(roll::people(c, &kept, &connected)?)
        })
        .await
    }

    async fn correct(&self, said: Said) -> Result<Record, Error> {
        let lesson_id = said.lesson;
        let (clock, connected) = (self.clock.clone(), self.connected_now());
        let thresholds: Thresholds = self.settings.attendance_thresholds().into();
        let record = self
            .change(move |tx| ledger::correct(tx, &clock, &said, &connected, thresholds))
            .await?;
        self.events.tell(Event::AttendanceChanged { lesson_id });
        Ok(record)
    }

    async fn move_seat(
        &mut self,
        lesson_id: LessonId,
        seat: Move,
        by: Person,
    ) -> Result<(), Error> {
        let (clock, connected) = (self.clock.clone(), self.connected_now());
        let rewritten = self
            .change(move |tx| {
                let kept = ledger::meeting(tx, lesson_id)?;
                access::may_seat(&kept, &by)?;
                if ledger::is_forgotten(&kept, clock.now()) {
                    return Err(Error::TooLongAgo(lesson_id));
                }
                let changed = seat::change(tx, &clock, &kept, seat, &by)?;
                Ok(changed && ledger::rewrite(tx, &clock, &kept, &connected)?)
            })
            .await?;
        self.notice_lessons().await;
        self.events.tell(Event::PeopleChanged { lesson_id });
        if rewritten {
            self.events.tell(Event::AttendanceChanged { lesson_id });
        }
        Ok(())
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.db.read(work).await
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, Error> {
        Ok(self.db.write(work).await?)
    }

    /// A write that a rule may refuse.
    async fn change<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.db.write(work).await
    }
}

fn fail(what: &str, error: &Error) {
    let cause = chain(error);
    tracing::error!(error = %cause, "{what}: {cause}");
}
