//! The one task that owns the lessons: looks up what a rule needs, commits what it decides, then
//! asks the others to act.

use alfarid_protocol::id::LessonId;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{
    Error, Handle, Lesson, Plan,
    effects::{self, Others},
    plan::Facts,
    state::{Command, Effect, State},
    store,
};
use crate::{
    attendance,
    clock::Clock,
    db::{Db, DbError},
    floor::Floor,
    identity::Person,
    roster,
};

/// Requests that may wait: they come from people's clicks. A full mailbox makes the next wait.
const REQUESTS: usize = 64;

type Reply<T> = oneshot::Sender<Result<T, Error>>;

#[derive(Debug)]
pub(super) enum Request {
    Start { plan: Plan, by: Person, replace: Option<LessonId>, reply: Reply<Lesson> },
    End { lesson: LessonId, by: Person, reply: Reply<Lesson> },
}

/// The handle works while [`Actor::run`] does.
pub fn new(floor: &Floor, attendance: attendance::Handle) -> (Handle, Actor) {
    let (requests, mailbox) = mpsc::channel(REQUESTS);
    let actor = Actor {
        clock: floor.clock.clone(),
        db: floor.db.clone(),
        others: Others { attendance, events: floor.events.clone() },
        mailbox,
        state: State::default(),
    };
    (Handle { requests, db: floor.db.clone() }, actor)
}

#[derive(Debug)]
pub struct Actor {
    clock: Clock,
    db: Db,
    others: Others,
    mailbox: mpsc::Receiver<Request>,
    state: State,
}

impl Actor {
    /// Takes up the lessons that were running, and runs until `stopping` or until every handle
    /// is gone. A stopping box ends no lesson: it takes them up again.
    pub async fn run(mut self, stopping: CancellationToken) {
        let Ok(unfinished) = self.db.read(store::unfinished).await else {
            tracing::error!("cannot read the lessons that were running");
            return;
        };
        self.state = State::new(unfinished);
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                request = self.mailbox.recv() => match request {
                    Some(request) => self.answer(request).await,
                    None => return,
                },
            }
        }
    }

    async fn answer(&mut self, request: Request) {
        match request {
            Request::Start { plan, by, replace, reply } => {
                drop(reply.send(self.start(plan, by, replace).await));
            }
            Request::End { lesson, by, reply } => {
                let done = self.carry_out(Command::End { lesson, by }).await;
                drop(reply.send(done.and_then(|done| effects::saved(&done, Some(lesson)))));
            }
        }
    }

    async fn start(
        &mut self,
        plan: Plan,
        by: Person,
        replace: Option<LessonId>,
    ) -> Result<Lesson, Error> {
        let facts = self.facts(&plan, by.clone()).await?;
        let lesson = plan.draft(facts)?;
        let id = lesson.id;
        let done = self.carry_out(Command::Start { lesson: Box::new(lesson), by, replace }).await?;
        effects::saved(&done, Some(id))
    }

    async fn facts(&self, plan: &Plan, by: Person) -> Result<Facts, Error> {
        let (class, room) = (plan.class, plan.room);
        let (id, now, clock_is_sure) = (self.clock.id(), self.clock.now(), self.clock.is_sure());
        let looked_up = self.db.read(move |c| {
            Ok::<_, Error>(Facts {
                id,
                now,
                clock_is_sure,
                by,
                class: roster::store::class(c, class)?.ok_or(Error::NoSuchClass(class))?,
                room: roster::store::room(c, room)?.ok_or(Error::NoSuchRoom(room))?,
                machines_of_room: store::machines_of_room(c, room)?,
                default_minutes: 45,
                records_by_default: true,
            })
        });
        looked_up.await
    }

    /// Decides, commits, acts. What the disk refuses has not happened.
    async fn carry_out(&mut self, command: Command) -> Result<Vec<Effect>, Error> {
        let now = self.clock.read();
        let mut next = self.state.clone();
        let effects = next.handle(now, command)?;
        let (written, clock) = (effects.clone(), self.clock.clone());
        self.db
            .write(move |tx| {
                for effect in &written {
                    match effect {
                        Effect::Save(lesson) => store::save(tx, lesson, now.at)?,
                        Effect::Log(entry) => store::log(tx, &clock, entry)?,
                        Effect::Open(_) | Effect::Close(_) | Effect::Tell(_) => {}
                    }
                }
                Ok::<_, DbError>(())
            })
            .await?;
        self.state = next;
        self.others.perform(effects.clone()).await;
        Ok(effects)
    }
}
