//! The one task that owns every lesson on air: who publishes, which machine is told what.
//!
//! It hears four things: orders from people and from lessons, messages of machines, what relays say
//! is on air, and ends of sessions. Beside that it changes the keys of lessons in their time. It
//! waits for relays and the WHIP engine only, which wait for nobody.

mod audience;
mod keys;
mod publications;
mod viewers;

use std::{collections::HashMap, time::Duration};

use alfarid_protocol::{
    control::FromBox,
    id::{LessonId, MachineId, PublicationId, TeacherId},
};
use alfarid_stream::{Codec, transmit::ReceiverId};
use bytes::Bytes;
use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
};
use tokio_stream::{StreamMap, wrappers::WatchStream};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};

use super::{
    Airing, Error, Limits, OnStage, PublicationKind,
    keys::Keys,
    multicast::Group,
    pipeline::{Input, PipelineError},
    preview,
    relay::{self, Job, OnAir, Programme},
    snooping::Carried,
    stage::{Place, Stage},
    state::Publisher,
    tap::{self, Tap},
    track::Random,
    view::{Showing, View},
    viewers::{self as browsers, OFFERS, Watcher},
    whip::{self, Agreed},
};
use crate::{
    bucket::Buckets,
    events::Event,
    floor::Floor,
    logging,
    machines::{self, Link, MediaMessage},
};

/// How often pages may be told that a stream changed.
const NEWS: Duration = Duration::from_millis(500);

/// How often the figures of the relays are looked at: as often as they change.
const SECOND: Duration = Duration::from_secs(1);

type Reply<T> = oneshot::Sender<T>;

pub(super) enum Order {
    Open(Box<Airing>, Reply<Result<(), Error>>),
    Close(LessonId, Reply<Result<(), Error>>),
    Change(LessonId, Box<dyn FnOnce(&mut Airing) + Send>, Reply<Result<(), Error>>),
    Tap(LessonId, Reply<Result<Tap, Error>>),
    LessonOf(TeacherId, Reply<Option<LessonId>>),
    OnStage(Reply<Vec<OnStage>>),
    Admit(LessonId, PublicationKind, Publisher, Reply<Result<Limits, Error>>),
    Publish {
        lesson: LessonId,
        kind: PublicationKind,
        who: Publisher,
        agreed: Box<Agreed>,
        reply: Reply<Result<PublicationId, Error>>,
    },
    Unpublish(PublicationId, Publisher, Reply<Result<(), Error>>),
    /// Puts a source of the box's own on air.
    Play {
        lesson: LessonId,
        who: Publisher,
        input: Input,
        reply: Reply<Result<Started, Error>>,
    },
    StopPlaying(LessonId, Publisher, Reply<Result<(), Error>>),
    /// `None`: the box itself looks.
    View(LessonId, Option<Publisher>, Reply<Result<View, Error>>),
    /// Somebody is to watch, by this person's right or by the word of who orders it. Answered by
    /// the codec on air.
    Watch {
        lesson: LessonId,
        who: Watcher,
        by: Option<Publisher>,
        reply: Reply<Result<Option<Codec>, Error>>,
    },
    /// What the class is shown, in the same way.
    Showing(LessonId, Option<Publisher>, Reply<Result<Showing, Error>>),
    /// The newest small picture.
    Preview(LessonId, Publisher, Reply<Result<Option<Bytes>, Error>>),
}

impl Order {
    /// The span of the lesson that it names.
    fn span(&self) -> Span {
        logging::of(match self {
            Self::Open(airing, ..) => Some(airing.lesson),
            Self::Close(lesson, ..)
            | Self::Change(lesson, ..)
            | Self::Tap(lesson, ..)
            | Self::Admit(lesson, ..)
            | Self::Publish { lesson, .. }
            | Self::Play { lesson, .. }
            | Self::StopPlaying(lesson, ..)
            | Self::View(lesson, ..)
            | Self::Watch { lesson, .. }
            | Self::Showing(lesson, ..)
            | Self::Preview(lesson, ..) => Some(*lesson),
            Self::LessonOf(..) | Self::OnStage(..) | Self::Unpublish(..) => None,
        })
    }
}

/// A source of the box's own that was started.
pub(super) struct Started {
    pub(super) publication: PublicationId,
    /// Whether it has begun to send; ends without a word when it was stopped before.
    pub(super) begun: oneshot::Receiver<Result<(), PipelineError>>,
}

/// The capabilities and tasks that it orders about.
pub(super) struct Others {
    pub(super) machines: machines::Handle,
    pub(super) whip: whip::Handle,
    pub(super) viewers: browsers::Handle,
}

pub(super) struct Actor {
    floor: Floor,
    machines: machines::Handle,
    whip: whip::Handle,
    viewers: browsers::Handle,
    orders: mpsc::Receiver<Order>,
    media: mpsc::Receiver<MediaMessage>,
    stages: HashMap<LessonId, Stage>,
    /// Every connected machine, in a lesson or not.
    links: HashMap<MachineId, Link>,
    on_air: StreamMap<(LessonId, PublicationKind), WatchStream<OnAir>>,
    /// Machines that are to leave the group of a lesson.
    outcasts: StreamMap<LessonId, WatchStream<Option<ReceiverId>>>,
    /// How often each person may ask to watch.
    offers: Buckets<Watcher>,
    /// Sessions that are open; each ends once.
    sessions: FuturesUnordered<BoxFuture<'static, Place>>,
    /// What ends the publications that the box makes itself.
    own: HashMap<PublicationId, CancellationToken>,
    relays: JoinSet<()>,
    previews: JoinSet<()>,
    last_serial: u32,
    /// For whoever keeps switches informed.
    carries: watch::Sender<Carried>,
}

impl Actor {
    pub(super) fn new(
        floor: &Floor,
        others: Others,
        orders: mpsc::Receiver<Order>,
        media: mpsc::Receiver<MediaMessage>,
        carries: watch::Sender<Carried>,
    ) -> Self {
        let Others { machines, whip, viewers } = others;
        Self {
            floor: floor.clone(),
            machines,
            whip,
            viewers,
            orders,
            media,
            stages: HashMap::new(),
            links: HashMap::new(),
            on_air: StreamMap::new(),
            outcasts: StreamMap::new(),
            offers: Buckets::new(OFFERS),
            sessions: FuturesUnordered::new(),
            own: HashMap::new(),
            relays: JoinSet::new(),
            previews: JoinSet::new(),
            last_serial: 0,
            carries,
        }
    }

    pub(super) async fn run(mut self, stopping: CancellationToken) {
        let mut news = tokio::time::interval(NEWS);
        news.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut second = tokio::time::interval(SECOND);
        second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let keys_due = tokio::time::sleep(self.until_keys());
            tokio::select! {
                () = stopping.cancelled() => break,
                order = self.orders.recv() => match order {
                    Some(order) => {
                        let span = order.span();
                        self.obey(order).instrument(span).await;
                    }
                    None => break,
                },
                Some(message) = self.media.recv() => self.hear(message).await,
                Some(((lesson, kind), on_air)) = self.on_air.next() => {
                    self.notice(lesson, kind, on_air).instrument(logging::lesson(lesson)).await;
                }
                Some((lesson, Some(receiver))) = self.outcasts.next() => {
                    self.cast_out(lesson, receiver);
                }
                Some(place) = self.sessions.next() => {
                    self.ended(place).instrument(logging::lesson(place.lesson)).await;
                }
                Some(ended) = self.relays.join_next() => if let Err(error) = ended {
                    // A lesson without its relay would look alive and be dead.
                    tracing::error!(error = %error, "a relay died");
                    break;
                },
                // A preview that died is missed by nobody but the page.
                Some(_) = self.previews.join_next() => {}
                () = keys_due, if !self.stages.is_empty() => self.turn_keys().await,
                _ = news.tick() => self.tell_news(),
                _ = second.tick() => self.count().await,
            }
        }
    }

    async fn obey(&mut self, order: Order) {
        // A reply that nobody waits for any more changes nothing.
        match order {
            Order::Open(airing, reply) => {
                let _ = reply.send(self.open(*airing).await);
            }
            Order::Close(lesson, reply) => {
                let _ = reply.send(self.close(lesson).await);
            }
            Order::Change(lesson, change, reply) => {
                let _ = reply.send(self.change(lesson, change).await);
            }
            Order::Tap(lesson, reply) => {
                let _ = reply.send(self.tap(lesson).await);
            }
            Order::OnStage(reply) => {
                let of = |stage: &Stage| OnStage {
                    lesson: stage.airing.lesson,
                    room: stage.airing.room,
                    shown: stage.shown.subscribe(),
                };
                let _ = reply.send(self.stages.values().map(of).collect());
            }
            Order::LessonOf(teacher, reply) => {
                let theirs = |stage: &&Stage| stage.airing.owner == teacher;
                let lesson = self.stages.values().filter(theirs).map(|s| s.airing.lesson).max();
                let _ = reply.send(lesson);
            }
            Order::Admit(lesson, kind, who, reply) => {
                let _ = reply.send(self.admit(lesson, kind, who).map(|stage| stage.limits()));
            }
            Order::Publish { lesson, kind, who, agreed, reply } => {
                let _ = reply.send(self.publish(lesson, kind, who, *agreed).await);
            }
            Order::Unpublish(publication, who, reply) => {
                let _ = reply.send(self.unpublish(publication, who).await);
            }
            Order::Play { lesson, who, input, reply } => {
                let _ = reply.send(self.play(lesson, who, input).await);
            }
            Order::StopPlaying(lesson, who, reply) => {
                let _ = reply.send(self.stop_playing(lesson, who).await);
            }
            Order::View(lesson, who, reply) => {
                let now = self.floor.clock.monotonic();
                let _ = reply.send(self.show(lesson, who).map(|stage| View::of(stage, now)));
            }
            Order::Watch { lesson, who, by, reply } => {
                let _ = reply.send(self.watch(lesson, who, by).await);
            }
            Order::Showing(lesson, who, reply) => {
                let _ = reply.send(self.showing(lesson, who));
            }
            Order::Preview(lesson, who, reply) => {
                let shown = self.show(lesson, Some(who));
                let _ = reply.send(shown.map(|stage| stage.preview.borrow().clone()));
            }
        }
    }

    /// A lesson's stage, to somebody who may look at it.
    fn show(&self, lesson: LessonId, who: Option<Publisher>) -> Result<&Stage, Error> {
        let stage = self.stages.get(&lesson).ok_or(Error::NotActive(lesson))?;
        if who.is_none_or(|who| who.may_look(stage.airing.owner)) {
            Ok(stage)
        } else {
            Err(Error::NotTheirs(lesson))
        }
    }

    async fn open(&mut self, airing: Airing) -> Result<(), Error> {
        let lesson = airing.lesson;
        if self.stages.contains_key(&lesson) {
            return Ok(());
        }
        let group = self.free_group(lesson);
        let clock = &self.floor.clock;
        let made = Keys::new(clock.monotonic(), getrandom::fill);
        let (keys, protected) = made.map_err(|error| Error::Keys(lesson, error))?;
        let (machines, is_paced) = (self.machines.clone(), self.floor.config.media.pacing);
        let programme = Programme::new(clock.monotonic(), group, protected, machines, is_paced);
        let mut relay = |kind, programme| {
            let job = Job { lesson, kind, clock: clock.clone(), random, programme };
            let relay = relay::spawn(job, &mut self.relays);
            self.on_air.insert((lesson, kind), WatchStream::new(relay.on_air.clone()));
            relay
        };
        let screen = relay(PublicationKind::Screen, Some(programme));
        let person = relay(PublicationKind::Person, None);
        let (newest, preview) = watch::channel(None);
        let source = preview::Source {
            orders: screen.orders.downgrade(),
            keyframe: screen.keyframe.clone(),
            on_air: screen.on_air.clone(),
        };
        let (events, clock) = (self.floor.events.clone(), clock.clone());
        let preview_task = preview::run(lesson, source, newest, events, clock);
        self.previews.spawn(preview_task.in_current_span());
        let (made, budget) = ((group, keys), self.budget_bps());
        let mut stage = Stage::new(airing, made, screen, person, preview, budget);
        stage.note_shown(self.floor.clock.monotonic());
        self.outcasts.insert(lesson, WatchStream::from_changes(stage.screen_relay.outcast.clone()));
        self.stages.insert(lesson, stage);
        let links: Vec<_> = self.links.values().cloned().collect();
        for link in links {
            if self.stage_for(&link) == Some(lesson) {
                self.enter(lesson, link).await;
            }
        }
        Ok(())
    }

    async fn close(&mut self, lesson: LessonId) -> Result<(), Error> {
        let stage = self.stages.remove(&lesson).ok_or(Error::NotActive(lesson))?;
        for kind in [PublicationKind::Screen, PublicationKind::Person] {
            self.on_air.remove(&(lesson, kind));
        }
        self.outcasts.remove(&lesson);
        for (place, _) in stage.publications() {
            self.end(place).await;
        }
        if stage.is_watched {
            self.viewers.leave(lesson).await;
        }
        for machine in stage.receivers.keys() {
            self.machines.say(*machine, FromBox::Withdraw { lesson });
        }
        self.floor.events.tell(Event::StreamChanged { lesson_id: lesson });
        self.note_carried();
        Ok(())
    }

    /// Notes what is on air where. To be called when a lesson or a machine has come or gone.
    fn note_carried(&self) {
        let stages = || self.stages.values();
        let now = Carried {
            interfaces: stages().flat_map(Stage::sources).collect(),
            groups: stages().map(|stage| stage.group.address).collect(),
        };
        self.carries.send_if_modified(|carried| {
            let is_new = *carried != now;
            *carried = now;
            is_new
        });
    }

    async fn change(
        &mut self,
        lesson: LessonId,
        change: Box<dyn FnOnce(&mut Airing) + Send>,
    ) -> Result<(), Error> {
        let now = self.floor.clock.monotonic();
        let stage = self.stages.get_mut(&lesson).ok_or(Error::NotActive(lesson))?;
        let picture = stage.airing.picture;
        stage.change(now, change);
        stage.note_shown(now);
        if stage.airing.picture != picture && stage.is_watched {
            self.viewers.set_picture(lesson, stage.airing.picture).await;
        }
        self.weigh(lesson).await;
        self.say_scene(lesson);
        Ok(())
    }

    async fn tap(&mut self, lesson: LessonId) -> Result<Tap, Error> {
        let stage = self.stages.get(&lesson).ok_or(Error::NotActive(lesson))?;
        let (sender, tap) = mpsc::channel(tap::WAITING);
        for relay in [&stage.screen_relay, &stage.person_relay] {
            let _ = relay.orders.send(relay::Order::Tap(sender.clone())).await;
        }
        Ok(tap)
    }

    async fn count(&mut self) {
        for stage in self.stages.values_mut() {
            stage.count();
        }
        let lessons: Vec<_> = self.stages.keys().copied().collect();
        for lesson in lessons {
            self.weigh(lesson).instrument(logging::lesson(lesson)).await;
        }
    }

    /// Asks a lesson's publishers for what the egress budget bears, if that is something else now.
    async fn weigh(&mut self, lesson: LessonId) {
        let (now, budget) = (self.floor.clock.monotonic(), self.budget_bps());
        let Some(stage) = self.stages.get_mut(&lesson) else { return };
        if stage.weigh(now, budget) {
            let bitrate = stage.limits().max_bitrate_bps;
            for publication in stage.screen.publications() {
                self.whip.limit(publication.id, bitrate.into()).await;
            }
        }
    }

    /// One lesson's share of what machines may cost that receive alone.
    fn budget_bps(&self) -> u64 {
        let lessons = self.stages.len().max(1);
        let whole = u64::from(self.floor.config.media.unicast_mbps) * 1_000_000;
        whole / u64::try_from(lessons).unwrap_or(u64::MAX)
    }

    fn tell_news(&mut self) {
        let now = self.floor.clock.monotonic();
        for (lesson, stage) in &mut self.stages {
            stage.look(now);
            if std::mem::take(&mut stage.is_news) {
                self.floor.events.tell(Event::StreamChanged { lesson_id: *lesson });
            }
        }
    }

    /// A group that no other lesson of this box has.
    fn free_group(&self, lesson: LessonId) -> Group {
        let media = &self.floor.config.media;
        let of = |salt| {
            let (port, ttl) = (media.multicast_port, media.multicast_ttl);
            Group::of(self.floor.box_id, lesson, salt, port, ttl)
        };
        let is_free =
            |group: &Group| self.stages.values().all(|s| s.group.address != group.address);
        (0..16).map(of).find(is_free).unwrap_or_else(|| of(0))
    }
}

/// Numbers that nobody can foretell, for SSRCs and first sequence numbers (RFC 3550 §5.1).
pub(super) fn random() -> Random {
    Box::new(|| {
        let mut bytes = [0; 4];
        // Without randomness DTLS has failed long before.
        let _ = getrandom::fill(&mut bytes);
        u32::from_ne_bytes(bytes)
    })
}
