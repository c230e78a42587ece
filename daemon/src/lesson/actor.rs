//! The one task that owns the lessons: looks up what a rule needs, commits what it decides, then
//! asks the others to act.
//!
//! What nobody waits for (time has passed, a page was closed) and the disk refuses is not lost: it
//! is looked at anew every [`TRY_AGAIN`] until the disk takes it, and the health page says so
//! meanwhile.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use alfarid_protocol::id::{LessonId, TeacherId};
use futures_util::FutureExt;
use rusqlite::Transaction;
use serde_json::json;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{
    Colleague, Error, Handle, Lesson, Plan, Status,
    bandwidth::Allowance,
    command::{Command, Effect},
    effects::Others,
    event::{Entry, EventKind},
    plan::Facts,
    state::State,
    store,
};
use crate::{
    clock::{Clock, Reading},
    db::{Db, DbError},
    events::{Event, Listener},
    floor::Floor,
    health::{FaultCode, Health, Severity},
    identity::Person,
    logging::{self, chain},
    roster, settings,
};

/// Requests that may wait: they come from people's clicks. A full mailbox makes the next wait.
const REQUESTS: usize = 64;

/// How long a disk that has refused is left alone: it may be full for hours.
const TRY_AGAIN: Duration = Duration::from_secs(1);

type Reply<T> = oneshot::Sender<Result<T, Error>>;

#[derive(Debug)]
pub(super) enum Request {
    Command { command: Command, reply: Reply<Lesson> },
    // What must be looked up before it is a command.
    Schedule { plan: Plan, by: Person, reply: Reply<Lesson> },
    Start { plan: Plan, by: Person, replace: Option<LessonId>, reply: Reply<Lesson> },
    StartScheduled { lesson: LessonId, by: Person, replace: Option<LessonId>, reply: Reply<Lesson> },
    TakeOver { lesson: LessonId, by: Person, reply: Reply<Lesson> },
}

/// How many live pages each teacher has open, as whoever holds the connections last said.
type Pages = watch::Receiver<HashMap<TeacherId, usize>>;

/// `pages` are the live pages that teachers have open: a lesson whose teacher has none, and
/// publishes nothing, ends by itself. The handle works while [`Actor::run`] does.
pub fn new(
    floor: &Floor,
    settings: settings::Handle,
    others: Others,
    pages: Pages,
) -> (Handle, Actor) {
    let (requests, mailbox) = mpsc::channel(REQUESTS);
    let end_after = watch::Sender::new(minutes(floor.config.lesson.end_after_minutes));
    let actor = Actor {
        clock: floor.clock.clone(),
        db: floor.db.clone(),
        health: floor.health.clone(),
        settings,
        changes: floor.events.listen(),
        others: others.clone(),
        mailbox,
        pages,
        end_after: end_after.subscribe(),
        state: State::new(floor.clock.read()),
        refused_at: None,
    };
    let media = &floor.config.media;
    let allowance = Allowance {
        budget_bps: u64::from(media.unicast_mbps) * 1_000_000,
        wifi_multicast: media.wifi_multicast,
    };
    (Handle { requests, end_after, others, db: floor.db.clone(), allowance }, actor)
}

#[derive(Debug)]
pub struct Actor {
    clock: Clock,
    db: Db,
    health: Health,
    settings: settings::Handle,
    changes: Listener,
    others: Others,
    mailbox: mpsc::Receiver<Request>,
    pages: Pages,
    /// A setting: the newest is read whenever something is decided.
    end_after: watch::Receiver<Duration>,
    state: State,
    /// When the disk last refused what nobody waits for, by the monotonic clock; `None` once it has
    /// taken it.
    refused_at: Option<Duration>,
}

impl Actor {
    /// Takes up the lessons that were running, and runs until `stopping` or until every handle
    /// is gone. A stopping box ends no lesson: it takes them up again.
    pub async fn run(mut self, stopping: CancellationToken) {
        if stopping.run_until_cancelled(self.take_up()).await.is_none() {
            return;
        }
        loop {
            let idle_for = self.idle_for();
            tokio::select! {
                // Everything stops at once: that a recording closes now says nothing of lessons.
                biased;
                () = stopping.cancelled() => return,
                request = self.mailbox.recv() => match request {
                    Some(request) => self.answer(request).await,
                    None => return,
                },
                here = changed(&mut self.pages) => self.notice_pages(here).await,
                Some(event) = self.changes.next() => self.hear_all(event).await,
                () = tokio::time::sleep(idle_for) => {}
            }
            // However busy it is, what is due is done.
            if self.may_write() {
                self.look_after().await;
                if !stopping.is_cancelled() {
                    self.notice_recordings().await;
                }
            }
        }
    }

    fn idle_for(&self) -> Duration {
        let now = self.clock.read();
        self.refused_at.map_or_else(
            || self.state.idle_for(now),
            |at| (at + TRY_AGAIN).saturating_sub(now.monotonic),
        )
    }

    /// Whether the disk may be asked by nobody's wish.
    fn may_write(&self) -> bool {
        self.refused_at.is_none_or(|at| self.clock.monotonic() >= at + TRY_AGAIN)
    }

    async fn look_after(&mut self) {
        if self.refused_at.is_some() {
            self.try_again().await;
        } else if self.state.is_due(self.clock.read()) {
            self.notice(Command::Tick).await;
        }
    }

    /// What was refused has not happened: everything is looked at anew.
    async fn try_again(&mut self) {
        let refused_at = self.refused_at;
        self.hear(Event::Resync).await;
        let here = who_is_here(&mut self.pages);
        self.notice_pages(here).await;
        if self.refused_at == refused_at {
            self.refused_at = None;
            self.health.clear(FaultCode::LessonsNotWritten);
        }
    }

    /// Until it is known what runs, nothing can be decided: whoever asks waits.
    async fn take_up(&mut self) {
        let unfinished = loop {
            match self.db.read(store::unfinished).await {
                Ok(unfinished) => break unfinished,
                Err(error) => self.refused(&error),
            }
            tokio::time::sleep(TRY_AGAIN).await;
        };
        self.state.set_end_after(*self.end_after.borrow());
        let effects = self.state.take_up(self.clock.read(), unfinished);
        self.others.perform(effects).await;
        let here = who_is_here(&mut self.pages);
        self.notice(Command::Here(here)).await;
        self.close_what_is_over().await;
    }

    /// A lesson that ended in the moment the power went may still be open in the attendance.
    async fn close_what_is_over(&self) {
        let Ok(open) = self.others.attendance.running().await else { return };
        for lesson in open.into_iter().filter(|id| self.state.lesson(*id).is_none()) {
            let Ok(over) = self.db.read(move |c| store::lesson(c, lesson)).await else { continue };
            if let Some(over) = over.filter(|lesson| lesson.status == Status::Completed) {
                self.others.perform(vec![Effect::Close(Box::new(over))]).await;
            }
        }
    }

    /// Whoever asked and went away needs no answer.
    async fn answer(&mut self, request: Request) {
        let (done, reply) = match request {
            Request::Command { command, reply } => (self.carry_out(command).await, reply),
            Request::Schedule { plan, by, reply } => (self.schedule(plan, by).await, reply),
            Request::Start { plan, by, replace, reply } => {
                (self.start(plan, by, replace).await, reply)
            }
            Request::StartScheduled { lesson, by, replace, reply } => {
                (self.start_scheduled(lesson, by, replace).await, reply)
            }
            Request::TakeOver { lesson, by, reply } => (self.take_over(lesson, by).await, reply),
        };
        let _ = reply.send(done);
    }

    async fn schedule(&mut self, plan: Plan, by: Person) -> Result<Lesson, Error> {
        let lesson = Box::new(plan.clone().schedule(self.facts(&plan, &by).await?)?);
        self.carry_out(Command::Schedule { lesson, by }).await
    }

    async fn start(
        &mut self,
        plan: Plan,
        by: Person,
        replace: Option<LessonId>,
    ) -> Result<Lesson, Error> {
        let lesson = Box::new(plan.clone().begin(self.facts(&plan, &by).await?)?);
        self.carry_out(Command::Start { lesson, by, replace }).await
    }

    async fn start_scheduled(
        &mut self,
        lesson: LessonId,
        by: Person,
        replace: Option<LessonId>,
    ) -> Result<Lesson, Error> {
        let own = self.own_teacher(lesson).await?;
        let clock_is_sure = self.clock.is_sure();
        self.carry_out(Command::StartScheduled { lesson, by, own, clock_is_sure, replace }).await
    }

    async fn take_over(&mut self, lesson: LessonId, by: Person) -> Result<Lesson, Error> {
        let own = self.own_teacher(lesson).await?;
        self.carry_out(Command::TakeOver { lesson, by, own }).await
    }

    async fn facts(&self, plan: &Plan, by: &Person) -> Result<Facts, Error> {
        let (class, room, by) = (plan.class, plan.room, by.clone());
        let (id, now, clock_is_sure) = (self.clock.id(), self.clock.now(), self.clock.is_sure());
        let settings = self.settings.values();
        let looked_up = self.db.read(move |c| {
            Ok::<_, Error>(Facts {
                id,
                now,
                clock_is_sure,
                by,
                own: store::own_teacher(c, class)?,
                class: roster::store::class(c, class)?.ok_or(Error::NoSuchClass(class))?,
                room: roster::store::room(c, room)?.ok_or(Error::NoSuchRoom(room))?,
                machines_of_room: roster::store::machines_of_room(c, room)?,
                default_length: Duration::from_mins(settings.lesson_default_minutes.into()),
                records_by_default: settings.recording_on_by_default,
            })
        });
        looked_up.await
    }

    /// The own teacher of the class of `lesson`.
    async fn own_teacher(&self, lesson: LessonId) -> Result<Option<Colleague>, Error> {
        let Some(class) = self.state.lesson(lesson).map(|lesson| lesson.class_id) else {
            return Ok(None);
        };
        Ok(self.db.read(move |c| store::own_teacher(c, class)).await?)
    }

    /// Something happened that nobody waits for the answer of.
    async fn notice(&mut self, command: Command) {
        let span = logging::of(command.lesson());
        let noticed = async {
            match self.decide(command).await {
                Ok(_) => {}
                Err(Error::Db(error)) => self.refused(&error),
                Err(error) => {
                    let cause = chain(&error);
                    tracing::error!(error = %cause, "a lesson did not follow: {cause}");
                }
            }
        };
        noticed.instrument(span).await;
    }

    /// Said once, however often the disk refuses.
    fn refused(&mut self, error: &DbError) {
        if self.refused_at.replace(self.clock.monotonic()).is_none() {
            let detail = format!(
                "What happens in lessons cannot be written down: {}. Lessons go on, and it is \
                 tried again until the disk takes it.",
                chain(error)
            );
            self.health.raise(FaultCode::LessonsNotWritten, Severity::Error, detail);
        }
    }

    /// Whether a lesson is published is asked before its teacher's page is missed, so that no end
    /// is announced and called off again.
    async fn notice_pages(&mut self, here: BTreeSet<TeacherId>) {
        for lesson in self.state.without(&here) {
            self.notice_publications(lesson).await;
        }
        self.notice(Command::Here(here)).await;
    }

    async fn notice_publications(&mut self, lesson: LessonId) {
        let publications = self.others.publications(lesson).await;
        if self.state.on_air(lesson) != publications {
            self.notice(Command::OnAir { lesson, publications }).await;
        }
    }

    /// A recording ends by itself when the disk is full, or refuses to begin one.
    async fn notice_recordings(&mut self) {
        let has_stopped =
            |lesson: &&Lesson| lesson.is_recording && !self.others.is_recorded(lesson.id);
        let stopped: Vec<_> =
            self.state.active().filter(has_stopped).map(|lesson| lesson.id).collect();
        for lesson in stopped {
            let fault = self.others.recording_fault(lesson);
            self.notice(Command::RecordingStopped { lesson, fault }).await;
        }
    }

    /// Thirty students come at once when a lesson begins: what is said thirty times is heard once.
    async fn hear_all(&mut self, first: Event) {
        let mut events = vec![first];
        while let Some(Some(event)) = self.changes.next().now_or_never() {
            if !events.contains(&event) {
                events.push(event);
            }
        }
        for event in events {
            self.hear(event).await;
        }
    }

    async fn hear(&mut self, event: Event) {
        match event {
            Event::PeopleChanged { lesson_id } => self.count(lesson_id).await,
            Event::AttendanceChanged { lesson_id } => self.recount(lesson_id).await,
            Event::StreamChanged { lesson_id } if self.state.lesson(lesson_id).is_some() => {
                self.notice_publications(lesson_id).await;
            }
            Event::Resync => {
                let running: Vec<_> = self.state.active().map(|lesson| lesson.id).collect();
                for lesson in running {
                    self.count(lesson).await;
                    self.notice_publications(lesson).await;
                }
            }
            // A change of a recording has woken the actor, which looks at all of them.
            _ => {}
        }
    }

    /// How many students are there now.
    async fn count(&mut self, lesson: LessonId) {
        if self.state.lesson(lesson).is_none() {
            return;
        }
        if let Ok(present) = self.others.attendance.present(lesson).await {
            let students = u32::try_from(present.len()).unwrap_or(u32::MAX);
            self.notice(Command::Present { lesson, students }).await;
        }
    }

    /// How many students were there, once the records say so.
    async fn recount(&mut self, lesson_id: LessonId) {
        if self.state.lesson(lesson_id).is_some() {
            return;
        }
        let Ok(students) = self.others.attendance.were_there(lesson_id).await else { return };
        let written =
            self.db.write(move |tx| store::set_student_count(tx, lesson_id, students)).await;
        match written {
            Ok(true) => self.others.perform(vec![Effect::Tell(lesson_id)]).await,
            Ok(false) => {}
            Err(error) => {
                let cause = chain(&error);
                tracing::error!(
                    lesson.id = %lesson_id, error = %cause,
                    "the count of students was not written: {cause}",
                );
            }
        }
    }

    async fn carry_out(&mut self, command: Command) -> Result<Lesson, Error> {
        match self.decide(command).await {
            Ok(lesson) => lesson.ok_or(Error::Stopped),
            // The rules know only what is not over: is it over, or was it never there?
            Err(error @ (Error::NotActive(id) | Error::NotScheduled(id))) => {
                let known = self.db.read(move |c| store::lesson(c, id)).await?;
                Err(known.map_or(Error::NoSuchLesson(id), |_| error))
            }
            Err(error) => Err(error),
        }
    }

    async fn decide(&mut self, command: Command) -> Result<Option<Lesson>, Error> {
        let now = self.clock.read();
        let mut next = self.state.clone();
        next.set_end_after(*self.end_after.borrow());
        let decision = next.handle(now, command)?;
        self.settle(now, next, decision.effects).await?;
        Ok(decision.lesson)
    }

    /// Commits, then acts. What the disk refuses has not happened.
    async fn settle(
        &mut self,
        now: Reading,
        next: State,
        effects: Vec<Effect>,
    ) -> Result<(), Error> {
        let (written, clock) = (effects.clone(), self.clock.clone());
        if effects.iter().any(Effect::is_written) {
            self.db.write(move |tx| commit(tx, &clock, now, &written)).await?;
        }
        self.state = next;
        self.others.perform(effects).await;
        Ok(())
    }
}

pub(super) fn minutes(minutes: u32) -> Duration {
    Duration::from_mins(minutes.into())
}

fn commit(
    tx: &Transaction<'_>,
    clock: &Clock,
    now: Reading,
    effects: &[Effect],
) -> Result<(), DbError> {
    for effect in effects {
        match effect {
            Effect::Save(lesson) => store::save(tx, lesson, now.at)?,
            Effect::Log(entry) => store::log(tx, clock, entry)?,
            Effect::Shift { from, moved_ms } => {
                for lesson in store::shift(tx, *from, *moved_ms)? {
                    let data = Some(json!({ "moved_ms": moved_ms }));
                    let kind = EventKind::ClockCorrected;
                    let entry = Entry { lesson, at: now.at, kind, teacher: None, data };
                    store::log(tx, clock, &entry)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Waits until pages were opened or closed; says who has one open now. Cancel-safe.
async fn changed(pages: &mut Pages) -> BTreeSet<TeacherId> {
    if pages.changed().await.is_err() {
        // Nobody counts pages any more.
        std::future::pending::<()>().await;
    }
    who_is_here(pages)
}

fn who_is_here(pages: &mut Pages) -> BTreeSet<TeacherId> {
    pages.borrow_and_update().keys().copied().collect()
}
