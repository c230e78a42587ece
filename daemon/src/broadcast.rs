//! What the teacher puts on air, and how it reaches every machine.
//!
//! ```text
//!   whip ─┐                          ┌─▶ protected ─▶ multicast, unicast ─▶ machines  (the screen)
//!   file ─┼─▶ relay, one per slot ───┤       └────◀── what they lack and want ◀─┘
//!   box's │   (screen, person)       ├─▶ tunnels ─▶ machines without UDP
//!         │                          ├─▶ taps ─▶ recorder, viewers
//!   own  ─┘                          └─▶ preview ─▶ pages
//! ```
//!
//! A lesson has two slots: `screen`, the programme that machines show, and `person`, the teacher's
//! voice, which machines do not play (thirty loudspeakers in the teacher's own room are an echo).
//! A slot has one publication on air; the same teacher's next one takes its place at its first
//! keyframe. One [`actor`] owns who may do what and which machine is told what; one task per slot
//! moves packets ([`relay`]), seals and repairs them ([`protected`]); one task owns all WHIP
//! sessions ([`whip`]), another those of all browsers that watch ([`viewers`]). Packets never pass
//! the actor.
//!
//! The broadcast knows lessons only as an [`Airing`]: what there is to put on air for whom. It
//! forgets everything at a restart, and is told again.

mod actor;
mod feed;
mod keys;
pub(crate) mod multicast;
mod own;
mod pace;
mod pipeline;
mod preview;
mod protected;
mod receivers;
mod relay;
pub mod routes;
mod rtc;
mod rungs;
mod snooping;
mod stage;
mod state;
pub mod tap;
mod taps;
mod track;
mod tunnels;
mod videos;
mod view;
mod viewers;
mod whip;

use std::{io, net::IpAddr, time::Duration};

use alfarid_protocol::{
    grant::Picture,
    id::{LessonId, MachineId, PublicationId, RoomId, StudentId, TeacherId},
    time::Timestamp,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use self::{
    actor::{Order, Started},
    pipeline::Input,
    snooping::{Carried, Snooping},
    state::Publisher,
    tap::Tap,
    videos::Videos,
    viewers::Seat,
    whip::Wanted,
};
use crate::{
    clock::Clock,
    floor::Floor,
    identity::Person,
    machines::{self, MediaMessage},
};

pub(crate) use self::{
    feed::payload_type,
    relay::task::{CNAME, box_ntp},
};
pub use self::{
    keys::KeysError,
    pipeline::PipelineError,
    protected::ProtectError,
    videos::{Shelf, Video},
    view::{
        EgressState, MachineReception, MulticastAddress, PublicationState, RefusedState, Showing,
        StreamState,
    },
    viewers::{Coming, Gone, ViewerId, WatchError, Watcher},
    whip::OfferError,
};

/// Orders that may wait for the actor. Full: whoever gives one waits.
const ORDERS_WAITING: usize = 64;

/// How long a source of the box may take to its first packet: cameras warm up, and the first source
/// of all waits while GStreamer looks through its plug-ins, on a small board from a slow card.
/// Beyond it the source is ended.
const BEGIN: Duration = Duration::from_secs(15);

#[derive(Debug, Error)]
pub enum Error {
    #[error("lesson {0} is not on")]
    NotActive(LessonId),
    #[error("lesson {0} is another person's")]
    NotTheirs(LessonId),
    #[error("another person's publication is on air in lesson {0}")]
    Taken(LessonId),
    #[error("teacher {0} has no lesson on")]
    NoActiveLesson(TeacherId),
    #[error("publication {0} does not exist")]
    NoSuchPublication(PublicationId),
    #[error("an offer was not taken")]
    Offer(#[from] OfferError),
    #[error("somebody cannot watch")]
    Watch(#[from] WatchError),
    #[error("viewer {0} does not exist")]
    NoSuchViewer(ViewerId),
    #[error("there is no video {0:?} on this box")]
    NoSuchVideo(String),
    #[error("cannot read the folder of videos")]
    ReadVideos(#[source] io::Error),
    #[error("a source of the box does not begin")]
    Source(#[from] PipelineError),
    #[error("cannot make the keys of lesson {0}")]
    Keys(LessonId, #[source] KeysError),
    #[error("cannot read the machines of a lesson")]
    Machines(#[from] machines::Error),
    #[error("the broadcast has stopped")]
    Stopped,
}

/// What there is to put on air, and for whom.
#[derive(Clone, Debug)]
pub struct Airing {
    pub lesson: LessonId,
    pub title: String,
    /// Who may publish.
    pub owner: TeacherId,
    pub room: RoomId,
    /// `None`: every machine of the room.
    pub machines: Option<Vec<MachineId>>,
    pub limits: Limits,
    pub picture: Picture,
    /// Whether it is recorded: a mark stands on every screen.
    pub recording: bool,
    /// When it ends by itself, for want of a teacher: every screen says so.
    pub ends_by_itself_at: Option<Timestamp>,
}

/// A lesson that is on, whether or not anything is on air in it.
#[derive(Clone, Debug)]
pub struct OnStage {
    pub lesson: LessonId,
    pub room: RoomId,
    /// Whether the class is shown what is on air; not while the teacher has it blank or frozen.
    /// Ends with the lesson.
    pub shown: watch::Receiver<bool>,
}

/// What a publisher is asked to keep to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = StreamLimits)]
pub struct Limits {
    pub max_fps: u32,
    /// Lines of the picture; it may be 16/9 as wide.
    pub max_height: u32,
    /// Of the picture.
    pub max_bitrate_bps: u32,
    /// Of each sound.
    pub max_audio_bitrate_bps: u32,
}

/// What one person puts on air.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PublicationKind {
    /// Picture and its sound: the programme.
    Screen,
    /// Voice.
    Person,
}

/// Where a publication comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// A browser, OBS, GStreamer.
    Whip,
    /// A camera, a grabber or a microphone on the box.
    Capture,
    /// A video on the box's disk, or the test picture.
    File,
}

/// What the box is to put on air itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnSource {
    /// A moving picture with ticks.
    Test,
    /// A video in the box's folder of videos, by its name there.
    Video(String),
    /// The camera or grabber as the screen, the microphone as the person: what there is of them.
    Capture,
}

/// A publication that was taken.
#[derive(Clone, Debug)]
pub struct Published {
    pub id: PublicationId,
    /// SDP.
    pub answer: String,
}

/// A browser that watches.
#[derive(Debug)]
pub struct Watching {
    pub id: ViewerId,
    /// SDP.
    pub answer: String,
    pub gone: Gone,
}

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    clock: Clock,
    orders: mpsc::Sender<Order>,
    whip: whip::Handle,
    viewers: viewers::Handle,
    machines: machines::Handle,
    videos: Videos,
}

/// The capability's tasks, to be run for the life of the process.
pub struct Broadcast {
    actor: actor::Actor,
    engine: whip::Engine,
    hall: viewers::Engine,
    snooping: Snooping,
}

/// Builds the capability; nothing runs before [`Broadcast::run`].
pub fn new(
    floor: &Floor,
    machines: machines::Handle,
    media: mpsc::Receiver<MediaMessage>,
) -> (Handle, Broadcast) {
    let config = &floor.config.media;
    let (door, keeper, strays) = rtc::door(floor.clock.clone());
    let (whip, engine) =
        whip::Engine::new(config.whip_listen, door.clone(), keeper, floor.health.clone());
    let most = config.max_viewers.into();
    let (viewers, hall) = viewers::Engine::new(door, strays, most, actor::random());
    let (orders, waiting) = mpsc::channel(ORDERS_WAITING);
    let (tell_carried, carried) = watch::channel(Carried::default());
    let snooping = Snooping::new(floor, carried);
    let (machines_too, whip_too, viewers_too) = (machines.clone(), whip.clone(), viewers.clone());
    let others = actor::Others { machines: machines_too, whip: whip_too, viewers: viewers_too };
    let actor = actor::Actor::new(floor, others, waiting, media, tell_carried);
    let videos = Videos::new(floor.state_dir().join("videos"));
    let clock = floor.clock.clone();
    let handle = Handle { clock, orders, whip, viewers, machines, videos };
    (handle, Broadcast { actor, engine, hall, snooping })
}

impl Broadcast {
    pub async fn run(self, stopping: CancellationToken) {
        // One without the other would look alive and be dead: the end of one is the end of both.
        let ending = stopping.child_token();
        tokio::join!(
            async {
                self.actor.run(ending.clone()).await;
                ending.cancel();
            },
            async {
                self.engine.run(ending.clone()).await;
                ending.cancel();
            },
            async {
                self.hall.run(ending.clone()).await;
                ending.cancel();
            },
            // It ends with the others, whose lessons it is for.
            self.snooping.run(ending.clone()),
        );
    }
}

impl Handle {
    /// Opens a lesson's slots. Opening it again changes nothing.
    pub async fn open(&self, airing: Airing) -> Result<(), Error> {
        self.ask(|reply| Order::Open(Box::new(airing), reply)).await?
    }

    /// Ends everything that the lesson has on air. Its taps end.
    pub async fn close(&self, lesson: LessonId) -> Result<(), Error> {
        self.ask(|reply| Order::Close(lesson, reply)).await?
    }

    pub async fn set_picture(&self, lesson: LessonId, picture: Picture) -> Result<(), Error> {
        self.change(lesson, move |airing| airing.picture = picture).await
    }

    pub async fn set_recording(&self, lesson: LessonId, recording: bool) -> Result<(), Error> {
        self.change(lesson, move |airing| airing.recording = recording).await
    }

    pub async fn set_ends_by_itself_at(
        &self,
        lesson: LessonId,
        at: Option<Timestamp>,
    ) -> Result<(), Error> {
        self.change(lesson, move |airing| airing.ends_by_itself_at = at).await
    }

    pub async fn set_limits(&self, lesson: LessonId, limits: Limits) -> Result<(), Error> {
        self.change(lesson, move |airing| airing.limits = limits).await
    }

    pub async fn set_title(&self, lesson: LessonId, title: String) -> Result<(), Error> {
        self.change(lesson, move |airing| airing.title = title).await
    }

    /// Another person holds the lesson now: they may publish, and take over what is on air.
    pub async fn hand_over(&self, lesson: LessonId, owner: TeacherId) -> Result<(), Error> {
        self.change(lesson, move |airing| airing.owner = owner).await
    }

    /// The lessons that are on.
    pub async fn on_stage(&self) -> Result<Vec<OnStage>, Error> {
        self.ask(Order::OnStage).await
    }

    /// Everything that the lesson puts on air from now on.
    pub async fn tap(&self, lesson: LessonId) -> Result<Tap, Error> {
        self.ask(|reply| Order::Tap(lesson, reply)).await?
    }

    /// The lesson that a teacher holds now; one of them if there are several.
    async fn lesson_of(&self, teacher: TeacherId) -> Result<LessonId, Error> {
        let lesson = self.ask(|reply| Order::LessonOf(teacher, reply)).await?;
        lesson.ok_or(Error::NoActiveLesson(teacher))
    }

    /// Takes a WHIP publication. `came_to`: the box's address that the request came to.
    pub async fn publish(
        &self,
        lesson: LessonId,
        kind: PublicationKind,
        person: &Person,
        offer: &str,
        came_to: IpAddr,
    ) -> Result<Published, Error> {
        self.take(lesson, kind, Publisher::from(person), offer, came_to).await
    }

    /// Takes a screen from a program that has the stream key of `person`, into the lesson that they
    /// hold.
    pub async fn publish_by_key(
        &self,
        person: &Person,
        offer: &str,
        came_to: IpAddr,
    ) -> Result<Published, Error> {
        let lesson = self.lesson_of(person.id).await?;
        let who = Publisher { by_stream_key: true, ..Publisher::from(person) };
        self.take(lesson, PublicationKind::Screen, who, offer, came_to).await
    }

    async fn take(
        &self,
        lesson: LessonId,
        kind: PublicationKind,
        who: Publisher,
        offer: &str,
        came_to: IpAddr,
    ) -> Result<Published, Error> {
        // Whoever may not publish learns nothing of why their offer would not have worked.
        let limits = self.ask(|reply| Order::Admit(lesson, kind, who, reply)).await??;
        let wanted = match kind {
            PublicationKind::Screen => Wanted::Screen,
            PublicationKind::Person => Wanted::Person,
        };
        let agreed =
            Box::new(self.whip.agree(offer, wanted, limits.max_audio_bitrate_bps, came_to)?);
        let answer = agreed.answer.clone();
        let order = |reply| Order::Publish { lesson, kind, who, agreed, reply };
        let id = self.ask(order).await??;
        Ok(Published { id, answer })
    }

    /// Puts something on air that the box makes itself.
    pub async fn play(
        &self,
        lesson: LessonId,
        person: &Person,
        source: OwnSource,
    ) -> Result<(), Error> {
        let who = Publisher::from(person);
        match source {
            OwnSource::Test => self.begin(lesson, who, Input::Test).await,
            OwnSource::Video(name) => {
                let path = self.videos.file(&name).await.ok_or(Error::NoSuchVideo(name))?;
                self.begin(lesson, who, Input::File(path)).await
            }
            OwnSource::Capture => {
                let camera = self.begin(lesson, who, Input::Camera).await;
                let microphone = self.begin(lesson, who, Input::Microphone).await;
                either(camera, microphone)
            }
        }
    }

    /// The videos that can be put on air.
    pub async fn videos(&self) -> Result<Shelf, Error> {
        self.videos.list().await.map_err(Error::ReadVideos)
    }

    /// Ends what the box has put on air itself.
    pub async fn stop_playing(&self, lesson: LessonId, person: &Person) -> Result<(), Error> {
        let who = Publisher::from(person);
        self.ask(|reply| Order::StopPlaying(lesson, who, reply)).await?
    }

    async fn begin(&self, lesson: LessonId, who: Publisher, input: Input) -> Result<(), Error> {
        let order = |reply| Order::Play { lesson, who, input, reply };
        let Started { publication, begun } = self.ask(order).await??;
        match tokio::time::timeout(BEGIN, begun).await {
            Ok(Ok(begun)) => Ok(begun?),
            // Somebody has ended it meanwhile, or put something else in its place.
            Ok(Err(_)) => Ok(()),
            Err(_) => {
                // It must not take over later, when nobody waits for it any more.
                match self.ask(|reply| Order::Unpublish(publication, who, reply)).await? {
                    Ok(()) | Err(Error::NoSuchPublication(_)) => Err(PipelineError::Silent.into()),
                    Err(error) => Err(error),
                }
            }
        }
    }

    /// Ends a publication, by who made it or an admin.
    pub async fn unpublish(&self, id: PublicationId, person: &Person) -> Result<(), Error> {
        let who = Publisher::from(person);
        self.ask(|reply| Order::Unpublish(id, who, reply)).await?
    }

    /// Lets a browser watch what a lesson has on air: `person` if it is theirs to see.
    pub async fn watch(
        &self,
        lesson: LessonId,
        person: &Person,
        offer: &str,
        coming: Coming,
    ) -> Result<Watching, Error> {
        let who = Watcher::Person(person.id);
        self.admit(lesson, who, Some(person.into()), offer, coming).await
    }

    /// The same for a student. Whoever asks knows that it is their lesson.
    pub async fn watch_as_student(
        &self,
        lesson: LessonId,
        student: StudentId,
        offer: &str,
        coming: Coming,
    ) -> Result<Watching, Error> {
        self.admit(lesson, Watcher::Student(student), None, offer, coming).await
    }

    async fn admit(
        &self,
        lesson: LessonId,
        who: Watcher,
        by: Option<Publisher>,
        offer: &str,
        Coming { address, came_to, former }: Coming,
    ) -> Result<Watching, Error> {
        if !self.viewers.is_open() {
            return Err(WatchError::NoPort.into());
        }
        let on_air = self.ask(|reply| Order::Watch { lesson, who, by, reply }).await??;
        let agreed = self.viewers.agree(offer, on_air, came_to)?;
        let answer = agreed.answer.clone();
        let id = self.clock.id();
        let gone = self.viewers.open(Seat { id, lesson, who, address, former }, agreed).await?;
        Ok(Watching { id, answer, gone })
    }

    /// Ends watching, by whoever does it.
    pub async fn unwatch(&self, id: ViewerId, who: Watcher) -> Result<(), Error> {
        let was_theirs = self.viewers.close(id, Some(who)).await;
        was_theirs.then_some(()).ok_or(Error::NoSuchViewer(id))
    }

    /// Ends somebody's watching, whoever they are.
    pub async fn shut_out(&self, id: ViewerId) {
        self.viewers.close(id, None).await;
    }

    /// What the class is shown, to a person if it is theirs to see.
    pub async fn showing(&self, lesson: LessonId, person: &Person) -> Result<Showing, Error> {
        let who = Some(person.into());
        self.ask(|reply| Order::Showing(lesson, who, reply)).await?
    }

    /// The same to a student. Whoever asks knows that it is their lesson.
    pub async fn showing_to_student(&self, lesson: LessonId) -> Result<Showing, Error> {
        self.ask(|reply| Order::Showing(lesson, None, reply)).await?
    }

    /// What is on air, and how each machine of the lesson receives it; for the box's own rules.
    pub async fn stream(&self, lesson: LessonId) -> Result<StreamState, Error> {
        self.view(lesson, None).await
    }

    /// The same for a person, if it is theirs to see.
    pub async fn stream_for(
        &self,
        person: &Person,
        lesson: LessonId,
    ) -> Result<StreamState, Error> {
        self.view(lesson, Some(Publisher::from(person))).await
    }

    /// The newest small picture of what is on air, as JPEG.
    pub async fn preview(&self, person: &Person, lesson: LessonId) -> Result<Option<Bytes>, Error> {
        let who = person.into();
        self.ask(|reply| Order::Preview(lesson, who, reply)).await?
    }

    async fn view(&self, lesson: LessonId, who: Option<Publisher>) -> Result<StreamState, Error> {
        let mut view = self.ask(|reply| Order::View(lesson, who, reply)).await??;
        let all = self.machines.list(Some(view.room)).await?;
        view.add_absent(all);
        Ok(view.state)
    }

    async fn change(
        &self,
        lesson: LessonId,
        change: impl FnOnce(&mut Airing) + Send + 'static,
    ) -> Result<(), Error> {
        self.ask(|reply| Order::Change(lesson, Box::new(change), reply)).await?
    }

    async fn ask<T>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.orders.send(order(reply)).await.map_err(|_| Error::Stopped)?;
        answer.await.map_err(|_| Error::Stopped)
    }
}

/// Either is worth having; without both, the camera says why.
fn either<E>(camera: Result<(), E>, microphone: Result<(), E>) -> Result<(), E> {
    microphone.or(camera)
}

impl From<&Person> for Publisher {
    fn from(person: &Person) -> Self {
        Self { teacher: person.id, is_admin: person.is_admin(), by_stream_key: false }
    }
}

impl std::fmt::Debug for Broadcast {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Broadcast")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_camera_and_microphone_one_is_enough_and_without_both_the_camera_says_why() {
        assert_eq!(either(Ok(()), Err("microphone")), Ok(()));
        assert_eq!(either(Err("camera"), Ok(())), Ok(()));
        assert_eq!(either(Err("camera"), Err("microphone")), Err("camera"));
    }
}
