//! The one task that hears machines and keeps the roll.
//!
//! All that must last is in the database; what the actor itself holds is who is connected at this
//! moment, which a restarted box learns again within seconds.

use std::{collections::BTreeMap, time::Duration};

use alfarid_protocol::{
    id::{BootId, ClassId, LessonId, MachineId, SpanId, StudentId, TeacherId},
    span::{Mark, Moment},
    time::Timestamp,
};
use rusqlite::{Connection, Transaction};
use tokio::{
    sync::{mpsc, oneshot},
    time::MissedTickBehavior,
};
use tokio_util::sync::CancellationToken;

use super::{
    Error, Handle, Meeting, Move, PersonView, Record, Sheet, Status, Summary, Thresholds, access,
    ledger::{self, Said},
    marks::{self, Batch},
    roll::{self, Connected},
    seat,
    state::{Exchange, integer},
    store::{heard, meeting, record},
};
use crate::{
    clock::{Clock, Follower},
    db::{Db, DbError},
    events::{Event, Events},
    floor::Floor,
    http::problem::chain,
    identity::Person,
    machines::PresenceMessage,
    roster::Class,
    settings,
};

/// Requests that may wait. They come from people's clicks and from the lesson; a full mailbox
/// makes the next one wait.
const REQUESTS: usize = 64;

/// How often it is written down that pages are open.
const TOUCH_EVERY: Duration = Duration::from_mins(1);

pub(super) type Reply<T> = oneshot::Sender<Result<T, Error>>;

#[derive(Debug)]
pub(super) enum Request {
    // From the lesson.
    Open {
        meeting: Meeting,
        reply: Reply<()>,
    },
    Close {
        lesson: LessonId,
        ended_at: Timestamp,
        reply: Reply<()>,
    },
    HandOver {
        lesson: LessonId,
        teacher: TeacherId,
        reply: Reply<()>,
    },
    Plan {
        lesson: LessonId,
        planned_end_at: Timestamp,
        reply: Reply<()>,
    },
    FollowClock {
        reply: Reply<()>,
    },
    Running {
        reply: Reply<Vec<LessonId>>,
    },
    Present {
        lesson: LessonId,
        reply: Reply<Vec<StudentId>>,
    },
    WereThere {
        lesson: LessonId,
        reply: Reply<u32>,
    },
    // From students' pages.
    PageOpened {
        lesson: LessonId,
        student: StudentId,
        reply: Reply<SpanId>,
    },
    PageClosed {
        page: SpanId,
        reply: Reply<()>,
    },
    // From people.
    Sheet {
        lesson: LessonId,
        by: Person,
        reply: Reply<Sheet>,
    },
    People {
        lesson: LessonId,
        by: Person,
        reply: Reply<Vec<PersonView>>,
    },
    Correct {
        lesson: LessonId,
        student: StudentId,
        status: Status,
        why: String,
        by: Person,
        reply: Reply<Record>,
    },
    MoveSeat {
        lesson: LessonId,
        seat: Move,
        by: Person,
        reply: Reply<()>,
    },
    Summary {
        class: ClassId,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
        by: Person,
        reply: Reply<(Class, Vec<Summary>)>,
    },
}

/// Hears machines on `presence`. The handle works while [`Actor::run`] does.
pub fn new(
    floor: &Floor,
    settings: settings::Handle,
    presence: mpsc::Receiver<PresenceMessage>,
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
        links: BTreeMap::new(),
        refused: BTreeMap::new(),
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
    links: BTreeMap<MachineId, Link>,
    /// First number of a batch that was refused because marks before it are missing.
    refused: BTreeMap<MachineId, u64>,
    follower: Follower,
    /// Box time of this run's beginning: what is older was not measured by this clock.
    since: Timestamp,
    /// How far the last correction moved box time.
    last_moved_ms: i64,
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
        if let Err(error) = self.write(heard::close_pages).await {
            fail("pages were not closed", &error);
        }
        let mut touch = tokio::time::interval(TOUCH_EVERY);
        touch.set_missed_tick_behavior(MissedTickBehavior::Delay);
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
                _ = touch.tick() => self.touch_pages().await,
            }
        }
    }

    async fn touch_pages(&mut self) {
        let now = self.clock.now();
        if let Err(error) = self.write(move |tx| heard::touch_pages(tx, now)).await {
            fail("open pages were not noted", &error);
        }
    }

    async fn hear(&mut self, message: PresenceMessage) {
        if let Err(error) = self.take(message).await {
            fail("presence was not written", &error);
        }
    }

    async fn take(&mut self, message: PresenceMessage) -> Result<(), Error> {
        self.follow_clock().await?;
        match message {
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
        }
    }

    async fn connected(
        &mut self,
        machine: MachineId,
        now: Moment,
        box_time: Timestamp,
    ) -> Result<(), Error> {
        let stored = self.read(move |c| Ok(heard::last_exchange(c, machine, now.boot)?)).await?;
        let last = self.exchange(now, box_time);
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
        let exchange = self.exchange(moment, box_time);
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

    /// The box's part of an exchange may have been read before the last correction of its clock
    /// and be heard of after it.
    fn exchange(&self, moment: Moment, box_time: Timestamp) -> Exchange {
        let now = self.clock.now();
        let corrected = box_time.plus_millis(self.last_moved_ms);
        let off = |read: Timestamp| now.millis_since(read).saturating_abs();
        let box_time = if off(corrected) < off(box_time) { corrected } else { box_time };
        Exchange { monotonic_ms: integer(moment.monotonic_ms), box_time }
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
        if taken.news { self.people_changed(machine).await } else { Ok(()) }
    }

    async fn people_changed(&self, machine: MachineId) -> Result<(), Error> {
        for lesson_id in self.read(move |c| Ok(meeting::running_at(c, machine)?)).await? {
            self.events.tell(Event::PeopleChanged { lesson_id });
        }
        Ok(())
    }

    fn connected_now(&self) -> Connected {
        self.links.iter().map(|(machine, link)| (*machine, link.boot)).collect()
    }

    /// Box time was corrected: what was measured by it since this run began, or since the oldest
    /// running lesson did, moves along.
    async fn follow_clock(&mut self) -> Result<(), Error> {
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

    /// Whoever asked and went away needs no answer.
    async fn answer(&mut self, request: Request) {
        if let Err(error) = self.follow_clock().await {
            fail("a correction of the clock was not followed", &error);
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
            Request::PageOpened { lesson, student, reply } => {
                drop(reply.send(self.open_page(lesson, student).await));
            }
            Request::PageClosed { page, reply } => drop(reply.send(self.close_page(page).await)),
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

    async fn open(&self, meeting: Meeting) -> Result<(), Error> {
        let clock = self.clock.clone();
        let lesson_id = meeting.lesson;
        self.write(move |tx| meeting::open(tx, &meeting, &clock)).await?;
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
        self.events.tell(Event::AttendanceChanged { lesson_id: lesson });
        Ok(())
    }

    /// That every connected machine was there at `at`, as an exchange: the records of a lesson
    /// must come out the same when the box has forgotten who was connected.
    fn heard_at(&self, at: Timestamp) -> Vec<(MachineId, BootId, Exchange)> {
        let at_end = |link: &Link| link.last.later(at.millis_since(link.last.box_time).max(0));
        self.links.iter().map(|(machine, link)| (*machine, link.boot, at_end(link))).collect()
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

    async fn open_page(&self, lesson: LessonId, student: StudentId) -> Result<SpanId, Error> {
        let (page, now) = (self.clock.id(), self.clock.now());
        self.change(move |tx| {
            let kept = ledger::meeting(tx, lesson)?;
            if kept.window.end_at.is_some() {
                return Err(Error::NotRunning(lesson));
            }
            if !meeting::students(tx, &kept)?.iter().any(|known| known.id == student) {
                return Err(Error::NoSuchStudent(student));
            }
            Ok(heard::open_page(tx, page, lesson, student, now)?)
        })
        .await?;
        self.events.tell(Event::PeopleChanged { lesson_id: lesson });
        Ok(page)
    }

    async fn close_page(&self, page: SpanId) -> Result<(), Error> {
        let now = self.clock.now();
        if let Some(lesson_id) = self.write(move |tx| heard::close_page(tx, page, now)).await? {
            self.events.tell(Event::PeopleChanged { lesson_id });
        }
        Ok(())
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

    async fn move_seat(&self, lesson_id: LessonId, seat: Move, by: Person) -> Result<(), Error> {
        let (clock, connected) = (self.clock.clone(), self.connected_now());
        let rewritten = self
            .change(move |tx| {
                let kept = ledger::meeting(tx, lesson_id)?;
                access::may_change(&kept, &by)?;
                if ledger::is_forgotten(&kept, clock.now()) {
                    return Err(Error::TooLongAgo(lesson_id));
                }
                let changed = seat::change(tx, &clock, &kept, seat, &by)?;
                Ok(changed && ledger::rewrite(tx, &clock, &kept, &connected)?)
            })
            .await?;
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
