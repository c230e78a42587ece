//! The one task that owns every lesson on air: who publishes, which machine is told what.
//!
//! It hears four things: orders from people and from lessons, messages of machines, what relays say
//! is on air, and ends of sessions. It waits for relays and the WHIP engine only, which wait for
//! nobody.

use std::{collections::HashMap, convert::Infallible, time::Duration};

use alfarid_protocol::{
    control::FromBox,
    id::{LessonId, MachineId, PublicationId, TeacherId},
};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
};
use tokio_stream::{StreamMap, wrappers::WatchStream};
use tokio_util::sync::CancellationToken;

use super::{
    Airing, Error, Limits, PublicationKind, SourceKind,
    feed::Asker,
    multicast::{Group, Interfaces},
    own,
    pipeline::{Input, PipelineError, Quality},
    preview,
    relay::{self, OnAir, Programme},
    stage::{Place, Stage},
    state::{Denied, Publication, Publisher},
    tap::{self, Tap},
    track::Random,
    view::View,
    whip::{self, Agreed},
};
use crate::{
    events::Event,
    floor::Floor,
    machines::{self, Link, MediaMessage},
};

/// How often pages may be told that a stream changed.
const NEWS: Duration = Duration::from_millis(500);

/// How often the figures of the relays are looked at: as often as they change.
const SECOND: Duration = Duration::from_secs(1);

type Reply<T> = oneshot::Sender<T>;

pub(super) enum Order {
    Open(Box<Airing>, Reply<()>),
    Close(LessonId, Reply<Result<(), Error>>),
    Change(LessonId, Box<dyn FnOnce(&mut Airing) + Send>, Reply<Result<(), Error>>),
    Tap(LessonId, Reply<Result<Tap, Error>>),
    LessonOf(TeacherId, Reply<Option<LessonId>>),
    Admit(LessonId, PublicationKind, Publisher, Reply<Result<(), Error>>),
    Publish {
        lesson: LessonId,
        kind: PublicationKind,
        who: Publisher,
        agreed: Box<Agreed>,
        reply: Reply<Result<PublicationId, Error>>,
    },
    Unpublish(PublicationId, Publisher, Reply<Result<(), Error>>),
    /// Puts a source of the box's own on air; answered by whether it has begun.
    Play {
        lesson: LessonId,
        who: Publisher,
        input: Input,
        reply: Reply<Result<Begun, Error>>,
    },
    StopPlaying(LessonId, Publisher, Reply<Result<(), Error>>),
    View(LessonId, Reply<Result<View, Error>>),
    /// The newest small picture.
    Preview(LessonId, Reply<Result<Option<Bytes>, Error>>),
}

/// Tells whether a source has begun to send.
pub(super) type Begun = oneshot::Receiver<Result<(), PipelineError>>;

pub(super) struct Actor {
    floor: Floor,
    machines: machines::Handle,
    whip: whip::Handle,
    orders: mpsc::Receiver<Order>,
    media: mpsc::Receiver<MediaMessage>,
    stages: HashMap<LessonId, Stage>,
    /// Every connected machine, in a lesson or not.
    links: HashMap<MachineId, Link>,
    on_air: StreamMap<(LessonId, PublicationKind), WatchStream<OnAir>>,
    /// Sessions that are open; each ends once.
    sessions: FuturesUnordered<BoxFuture<'static, Place>>,
    /// What ends the publications that the box makes itself.
    own: HashMap<PublicationId, CancellationToken>,
    relays: JoinSet<()>,
    previews: JoinSet<()>,
    last_serial: u32,
}

impl Actor {
    pub(super) fn new(
        floor: &Floor,
        machines: machines::Handle,
        whip: whip::Handle,
        orders: mpsc::Receiver<Order>,
        media: mpsc::Receiver<MediaMessage>,
    ) -> Self {
        Self {
            floor: floor.clone(),
            machines,
            whip,
            orders,
            media,
            stages: HashMap::new(),
            links: HashMap::new(),
            on_air: StreamMap::new(),
            sessions: FuturesUnordered::new(),
            own: HashMap::new(),
            relays: JoinSet::new(),
            previews: JoinSet::new(),
            last_serial: 0,
        }
    }

    pub(super) async fn run(mut self, stopping: CancellationToken) {
        let mut news = tokio::time::interval(NEWS);
        news.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut second = tokio::time::interval(SECOND);
        second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stopping.cancelled() => break,
                order = self.orders.recv() => match order {
                    Some(order) => self.obey(order).await,
                    None => break,
                },
                Some(message) = self.media.recv() => self.hear(message).await,
                Some(((lesson, kind), on_air)) = self.on_air.next() => {
                    self.notice(lesson, kind, on_air).await;
                }
                Some(place) = self.sessions.next() => self.ended(place).await,
                Some(ended) = self.relays.join_next() => if let Err(error) = ended {
                    // A lesson without its relay would look alive and be dead.
                    tracing::error!(error = %error, "a relay died");
                    break;
                },
                // A preview that died is missed by nobody but the page.
                Some(_) = self.previews.join_next() => {}
                _ = news.tick() => self.tell_news(),
                _ = second.tick() => self.count(),
            }
        }
    }

    async fn obey(&mut self, order: Order) {
        // A reply that nobody waits for any more changes nothing.
        match order {
            Order::Open(airing, reply) => {
                self.open(*airing).await;
                let _ = reply.send(());
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
            Order::LessonOf(teacher, reply) => {
                let theirs = |stage: &&Stage| stage.airing.owner == teacher;
                let lesson = self.stages.values().filter(theirs).map(|s| s.airing.lesson).max();
                let _ = reply.send(lesson);
            }
            Order::Admit(lesson, kind, who, reply) => {
                let _ = reply.send(self.admit(lesson, kind, who).map(|_| ()));
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
            Order::View(lesson, reply) => {
                let now = self.floor.clock.monotonic();
                let view = self.stages.get(&lesson).map(|stage| View::of(stage, now));
                let _ = reply.send(view.ok_or(Error::NotActive(lesson)));
            }
            Order::Preview(lesson, reply) => {
                let preview = self.stages.get(&lesson).map(|stage| stage.preview.borrow().clone());
                let _ = reply.send(preview.ok_or(Error::NotActive(lesson)));
            }
        }
    }

    async fn open(&mut self, airing: Airing) {
        let lesson = airing.lesson;
        if self.stages.contains_key(&lesson) {
            return;
        }
        let group = self.free_group(lesson);
        let clock = &self.floor.clock;
        let programme = Programme { group, machines: self.machines.clone() };
        let mut relay = |kind, programme| {
            let relays = &mut self.relays;
            let relay = relay::spawn(lesson, kind, clock.clone(), random, programme, relays);
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
        let events = self.floor.events.clone();
        self.previews.spawn(preview::run(lesson, source, newest, events));
        self.stages.insert(lesson, Stage::new(airing, group, screen, person, preview));
        let links: Vec<_> = self.links.values().cloned().collect();
        for link in links {
            if self.stage_for(&link) == Some(lesson) {
                self.enter(lesson, link).await;
            }
        }
    }

    async fn close(&mut self, lesson: LessonId) -> Result<(), Error> {
        let stage = self.stages.remove(&lesson).ok_or(Error::NotActive(lesson))?;
        for kind in [PublicationKind::Screen, PublicationKind::Person] {
            self.on_air.remove(&(lesson, kind));
        }
        for (place, _) in stage.publications() {
            self.end(place).await;
        }
        for machine in stage.receivers.keys() {
            self.machines.say(*machine, FromBox::Withdraw { lesson });
        }
        self.floor.events.tell(Event::StreamChanged { lesson_id: lesson });
        Ok(())
    }

    async fn change(
        &mut self,
        lesson: LessonId,
        change: Box<dyn FnOnce(&mut Airing) + Send>,
    ) -> Result<(), Error> {
        let stage = self.stages.get_mut(&lesson).ok_or(Error::NotActive(lesson))?;
        let before = stage.airing.limits;
        change(&mut stage.airing);
        stage.is_news = true;
        let limits = stage.airing.limits;
        if limits != before {
            for publication in stage.screen.publications() {
                self.whip.limit(publication.id, limits.max_bitrate_bps.into()).await;
            }
        }
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

    fn admit(
        &mut self,
        lesson: LessonId,
        kind: PublicationKind,
        who: Publisher,
    ) -> Result<&mut Stage, Error> {
        let stage = self.stages.get_mut(&lesson).ok_or(Error::NotActive(lesson))?;
        let owner = stage.airing.owner;
        match stage.slot(kind).admit(owner, who) {
            Ok(()) => Ok(stage),
            Err(Denied::Taken) => Err(Error::Taken(lesson)),
            Err(Denied::NotTheirs) => Err(Error::NotTheirs(lesson)),
        }
    }

    async fn publish(
        &mut self,
        lesson: LessonId,
        kind: PublicationKind,
        who: Publisher,
        agreed: Agreed,
    ) -> Result<PublicationId, Error> {
        let id = self.floor.clock.id();
        let place = Place { lesson, kind, publication: id };
        let stage = self.admit(lesson, kind, who)?;
        let feed = stage.relay(kind).feed.clone();
        let limit = stage.airing.limits.max_bitrate_bps;
        let whip = self.whip.clone();
        let asker = Asker::Whip(whip.clone());
        self.introduce(place, who, SourceKind::Whip, asker, agreed.has_sound()).await;
        let gone = whip.open(id, agreed, feed).await;
        whip.limit(id, limit.into()).await;
        self.watch_session(place, gone);
        Ok(id)
    }

    async fn play(
        &mut self,
        lesson: LessonId,
        who: Publisher,
        input: Input,
    ) -> Result<Begun, Error> {
        let (kind, source, has_sound) = match input {
            Input::Test | Input::File(_) => (PublicationKind::Screen, SourceKind::File, true),
            Input::Camera => (PublicationKind::Screen, SourceKind::Capture, false),
            Input::Microphone => (PublicationKind::Person, SourceKind::Capture, true),
        };
        let place = Place { lesson, kind, publication: self.floor.clock.id() };
        let stage = self.admit(lesson, kind, who)?;
        let feed = stage.relay(kind).feed.clone();
        let Limits { max_fps, max_bitrate_bps } = stage.airing.limits;
        let quality = Quality { fps: max_fps.max(1), bitrate_bps: max_bitrate_bps };
        let own = own::spawn(place.publication, input, quality, feed);
        self.introduce(place, who, source, Asker::Own(own.asker), has_sound).await;
        self.own.insert(place.publication, own.stop);
        self.watch_session(place, own.gone);
        Ok(own.begun)
    }

    /// Takes a publication into its slot; one that was to take over there before it is ended.
    async fn introduce(
        &mut self,
        place: Place,
        who: Publisher,
        source: SourceKind,
        asker: Asker,
        has_sound: bool,
    ) {
        let Place { lesson, kind, publication: id } = place;
        let since = self.floor.clock.now();
        let Some(stage) = self.stages.get_mut(&lesson) else { return };
        let publication = Publication { id, teacher: who.teacher, source, since };
        let earlier = stage.slot(kind).announce(publication);
        stage.is_news = true;
        let source = relay::Source { publication: id, asker, has_sound };
        let _ = stage.relay(kind).orders.send(relay::Order::Announce(source)).await;
        tracing::info!(lesson.id = %lesson, publication.id = %id, "{kind:?} is being published");
        if let Some(publication) = earlier {
            self.end(Place { lesson, kind, publication }).await;
        }
    }

    fn watch_session(&mut self, place: Place, gone: oneshot::Receiver<Infallible>) {
        self.sessions.push(gone.map(move |_| place).boxed());
    }

    async fn unpublish(&mut self, id: PublicationId, who: Publisher) -> Result<(), Error> {
        let place = self.stages.values().flat_map(Stage::publications).find_map(|(place, of)| {
            let is_theirs = who.is_admin || of.teacher == who.teacher;
            (of.id == id && is_theirs).then_some(place)
        });
        self.end(place.ok_or(Error::NoSuchPublication(id))?).await;
        Ok(())
    }

    async fn stop_playing(&mut self, lesson: LessonId, who: Publisher) -> Result<(), Error> {
        let stage = self.stages.get(&lesson).ok_or(Error::NotActive(lesson))?;
        if stage.airing.owner != who.teacher && !who.is_admin {
            return Err(Error::NotTheirs(lesson));
        }
        let places: Vec<_> = stage
            .publications()
            .filter_map(|(place, of)| self.own.contains_key(&of.id).then_some(place))
            .collect();
        for place in places {
            self.end(place).await;
        }
        Ok(())
    }

    /// Ends a publication that is open.
    async fn end(&mut self, place: Place) {
        match self.own.remove(&place.publication) {
            Some(stop) => stop.cancel(),
            None => self.whip.close(place.publication).await,
        }
        self.ended(place).await;
    }

    /// A publication is over.
    async fn ended(&mut self, place: Place) {
        self.own.remove(&place.publication);
        let Some(stage) = self.stages.get_mut(&place.lesson) else { return };
        stage.is_news |= stage.slot(place.kind).ended(place.publication);
        let withdraw = relay::Order::Withdraw(place.publication);
        let _ = stage.relay(place.kind).orders.send(withdraw).await;
    }

    /// What is on air in a slot is something else now.
    async fn notice(&mut self, lesson: LessonId, kind: PublicationKind, on_air: OnAir) {
        let Some(stage) = self.stages.get_mut(&lesson) else { return };
        stage.is_news = true;
        if let Some(publication) = on_air.publication
            && let Some(old) = stage.slot(kind).took_over(publication)
        {
            tracing::info!(lesson.id = %lesson, publication.id = %publication, "took over");
            self.end(Place { lesson, kind, publication: old }).await;
        }
        if kind == PublicationKind::Screen {
            self.tell_machines(lesson, on_air);
        }
    }

    fn tell_machines(&mut self, lesson: LessonId, on_air: OnAir) {
        let Some(stage) = self.stages.get_mut(&lesson) else { return };
        let ssrc = |stream: Option<relay::Stream>| stream.map(|stream| stream.ssrc);
        let streams = |on_air: OnAir| (ssrc(on_air.video), ssrc(on_air.audio));
        let told = std::mem::replace(&mut stage.told, on_air);
        if told.publication.is_some() != on_air.publication.is_some() {
            self.say_scene(lesson);
        }
        if streams(told) != streams(on_air) {
            self.grant_all(lesson);
        }
    }

    async fn hear(&mut self, message: MediaMessage) {
        let now = self.floor.clock.monotonic();
        match message {
            MediaMessage::Ready(link) => {
                self.leave(link.machine).await;
                self.links.insert(link.machine, link.clone());
                if let Some(lesson) = self.stage_for(&link) {
                    self.enter(lesson, link).await;
                }
            }
            MediaMessage::Gone(machine) => {
                self.links.remove(&machine);
                self.leave(machine).await;
            }
            MediaMessage::WantKept { machine, serial, video_from, audio_from: _ } => {
                let Some(stage) = self.stage_with(machine) else { return };
                if stage.receivers.get(&machine).and_then(|r| r.serial) == Some(serial) {
                    let order = relay::Order::Kept { machine, serial, from: video_from };
                    let _ = stage.screen_relay.orders.send(order).await;
                }
            }
            MediaMessage::Report { machine, report } => {
                let Some(stage) = self.stage_with(machine) else { return };
                if stage.note(now, machine, report) {
                    let _ = stage.screen_relay.orders.send(relay::Order::Lost(machine)).await;
                }
            }
        }
    }

    /// The lesson that a machine belongs to: one that names it before one that has its whole room.
    fn stage_for(&self, link: &Link) -> Option<LessonId> {
        let wanting = self
            .stages
            .values()
            .filter_map(|stage| stage.wants(link).map(|is_named| (is_named, stage.airing.lesson)));
        wanting.max().map(|(_, lesson)| lesson)
    }

    fn stage_with(&mut self, machine: MachineId) -> Option<&mut Stage> {
        self.stages.values_mut().find(|stage| stage.receivers.contains_key(&machine))
    }

    async fn enter(&mut self, lesson: LessonId, link: Link) {
        let machine = link.machine;
        let now = self.floor.clock.monotonic();
        let allowed = &self.floor.config.media.interfaces;
        let Some(stage) = self.stages.get_mut(&lesson) else { return };
        let scene = stage.enter(now, link, &Interfaces::of_this_box(), allowed);
        self.machines.say(machine, scene);
        set_interfaces(stage).await;
        self.grant(lesson, machine);
    }

    async fn leave(&mut self, machine: MachineId) {
        if let Some(stage) = self.stage_with(machine) {
            stage.receivers.remove(&machine);
            stage.is_news = true;
            set_interfaces(stage).await;
        }
    }

    fn grant(&mut self, lesson: LessonId, machine: MachineId) {
        let now = self.floor.clock.monotonic();
        let serial = self.last_serial.wrapping_add(1);
        let Some(stage) = self.stages.get_mut(&lesson) else { return };
        if let Some(grant) = stage.grant(now, machine, serial) {
            self.last_serial = serial;
            self.machines.say(machine, grant);
        }
    }

    fn grant_all(&mut self, lesson: LessonId) {
        let Some(stage) = self.stages.get(&lesson) else { return };
        let machines: Vec<_> = stage.receivers.keys().copied().collect();
        for machine in machines {
            self.grant(lesson, machine);
        }
    }

    fn say_scene(&self, lesson: LessonId) {
        let Some(stage) = self.stages.get(&lesson) else { return };
        for machine in stage.receivers.keys() {
            self.machines.say(*machine, stage.scene());
        }
    }

    fn count(&mut self) {
        for stage in self.stages.values_mut() {
            stage.count();
        }
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

async fn set_interfaces(stage: &Stage) {
    let order = relay::Order::Interfaces(stage.sources());
    let _ = stage.screen_relay.orders.send(order).await;
}

/// Numbers that nobody can foretell, for SSRCs and first sequence numbers (RFC 3550 §5.1).
fn random() -> Random {
    Box::new(|| {
        let mut bytes = [0; 4];
        // Without randomness DTLS has failed long before.
        let _ = getrandom::fill(&mut bytes);
        u32::from_ne_bytes(bytes)
    })
}
