//! The lesson as it arrives: groups joined, frames made whole, handed to the player, reported.
//!
//! ```text
//!   no lesson ── Stage ──▶ calm ── Grant ──▶ joined ── first packet, or 150 ms ──▶ WantKept
//!       ▲                    ▲                  │                                      │
//!       │                    │     new Grant ───┘            kept pictures, then live ◀┘
//!       │ Withdraw, or the box came back without the lesson, or was away for long
//!       └──────────────────────────────────────────────────────────────────────────────
//! ```
//!
//! A lost control connection changes nothing at first: the group may well go on. When the box is
//! back and does not grant the lesson again, it is over.

mod group;
mod track;

use std::{
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    time::Duration,
};

use alfarid_protocol::{
    control::{FIRST_PACKET_WAIT_MS, FromMachine, Report},
    grant::{Grant, Stage},
    id::LessonId,
    kept::Kept,
};
use bytes::Bytes;
use tokio::{
    sync::{mpsc, watch},
    time::{MissedTickBehavior, interval, sleep},
};

use crate::{
    clock,
    feed::{Idle, ToPlayer},
    interface,
    players::{Attached, Players},
};
use group::{GroupError, GroupSocket};
use track::TrackReceiver;

const FIRST_PACKET_WAIT: Duration = Duration::from_millis(FIRST_PACKET_WAIT_MS);
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// How long the last picture stays when the box is not in reach.
const AWAY_FOR_LONG: Duration = Duration::from_secs(10);

/// How long a box that came back gets to grant the lesson again.
const GRANTED_AGAIN_WITHIN: Duration = Duration::from_secs(3);

/// Sound has the second pair of the grant's ports.
const AUDIO_PORT: u16 = 2;

/// What the box wants of reception, as the link hands it on.
#[derive(Debug)]
pub enum Order {
    /// A box serves this machine; this is the machine's end of the connection.
    BoxReached {
        local: SocketAddr,
    },
    BoxLost,
    Stage(Stage),
    Grant(Grant),
    Withdraw(LessonId),
    /// One message of `alfarid_protocol::kept`.
    Kept(Bytes),
}

/// The task that receives lessons.
#[derive(Debug)]
pub struct Reception {
    players: Players,
    attached: watch::Receiver<Attached>,
    /// Whether the last report said that a player is attached.
    reported_player: bool,
    /// To the box by the link. When it is full, reports are dropped: the next says the same.
    outgoing: mpsc::Sender<FromMachine>,
    /// The interface an admin chose, if any.
    interface: Option<String>,
    local: Option<SocketAddr>,
    stage: Option<Stage>,
    lesson: Option<Lesson>,
    /// When to give up on the lesson if nothing changes until then, and what to show instead.
    deadline: Option<(Duration, Idle)>,
}

/// A granted lesson.
#[derive(Debug)]
struct Lesson {
    grant: Grant,
    video: Option<TrackReceiver>,
    audio: Option<TrackReceiver>,
    video_socket: Option<GroupSocket>,
    audio_socket: Option<GroupSocket>,
    /// The address joined on, once all sockets of the grant are.
    joined_on: Option<Ipv4Addr>,
    /// When to ask for the kept pictures at the latest; `None` once asked.
    ask_at: Option<Duration>,
    /// The kept pictures have all come.
    caught_up: bool,
    /// What the players had shown before this grant.
    shown_before: u64,
}

/// What woke the task.
enum Wake {
    Order(Option<Order>),
    Video(Vec<Bytes>),
    Audio(Vec<Bytes>),
    Report,
    Time,
}

impl Reception {
    pub fn new(
        players: Players,
        outgoing: mpsc::Sender<FromMachine>,
        interface: Option<String>,
    ) -> Self {
        let attached = players.attached();
        Self {
            players,
            attached,
            reported_player: false,
            outgoing,
            interface,
            local: None,
            stage: None,
            lesson: None,
            deadline: None,
        }
    }

    /// Receives until the link is gone.
    pub async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        let mut report = interval(REPORT_EVERY);
        report.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut attached = self.attached.clone();
        loop {
            let until_timeout = self.until_timeout();
            let attached_before = self.reported_player;
            let (video, audio) = self.sockets();
            let wake = tokio::select! {
                order = orders.recv() => Wake::Order(order),
                datagrams = receive(video) => Wake::Video(datagrams),
                datagrams = receive(audio) => Wake::Audio(datagrams),
                _ = report.tick() => Wake::Report,
                Ok(_) = attached.wait_for(|now| now.user.is_some() != attached_before) => {
                    Wake::Report
                }
                () = sleep(until_timeout) => Wake::Time,
            };
            match wake {
                Wake::Order(None) => return,
                Wake::Order(Some(order)) => self.obey(order).await,
                Wake::Video(datagrams) => self.take(&datagrams, |lesson| &mut lesson.video),
                Wake::Audio(datagrams) => self.take(&datagrams, |lesson| &mut lesson.audio),
                Wake::Report => {
                    self.join_if_needed();
                    self.report();
                }
                Wake::Time => {}
            }
            self.turn().await;
        }
    }

    /// What follows from the passing of time and from what has arrived.
    async fn turn(&mut self) {
        let now = clock::monotonic();
        if let Some((_, idle)) = self.deadline.take_if(|(at, _)| *at <= now) {
            self.end(idle).await;
        }
        let Some(lesson) = &mut self.lesson else { return };
        if let Some(wanted) = lesson.want_kept(now) {
            // When the link has no room the connection is about to be lost; the next one grants
            // anew.
            let _ = self.outgoing.try_send(wanted);
        }
        while let Some(frame) = lesson.video.as_mut().and_then(|track| track.poll(now)) {
            self.players.send(ToPlayer::Video(frame)).await;
        }
        while let Some(frame) = lesson.audio.as_mut().and_then(|track| track.poll(now)) {
            self.players.send(ToPlayer::Audio(frame)).await;
        }
    }

    async fn obey(&mut self, order: Order) {
        match order {
            Order::BoxReached { local } => {
                self.local = Some(local);
                let again = clock::monotonic() + GRANTED_AGAIN_WITHIN;
                self.deadline = Some((again, Idle::NoLesson));
            }
            Order::BoxLost => {
                let long = clock::monotonic() + AWAY_FOR_LONG;
                self.deadline = Some((long, Idle::NoBox));
            }
            Order::Stage(stage) => {
                self.deadline = None;
                self.stage = Some(stage.clone());
                self.players.send(ToPlayer::Stage(stage)).await;
            }
            Order::Grant(grant) => {
                self.deadline = None;
                self.admit(grant);
            }
            Order::Withdraw(lesson) => {
                if self.lesson_id() == Some(lesson) {
                    self.end(Idle::NoLesson).await;
                }
            }
            Order::Kept(message) => self.take_kept(&message),
        }
    }

    /// Starts to receive what `grant` says. The same grant, said again on a new connection,
    /// changes nothing but that the kept pictures are asked for if they never came.
    fn admit(&mut self, grant: Grant) {
        let now = clock::monotonic();
        match self.lesson.as_mut().filter(|lesson| lesson.is(&grant)) {
            Some(lesson) if lesson.caught_up => {}
            Some(lesson) => lesson.ask_at = Some(now),
            None => {
                let shown_before = self.attached.borrow().shown;
                self.lesson = Some(Lesson::new(grant, now, shown_before));
            }
        }
        self.join_if_needed();
    }

    fn join_if_needed(&mut self) {
        let Some(lesson) = &mut self.lesson else { return };
        let local = self.local.map(|local| local.ip());
        let source = lesson.grant.source;
        let Some(on) = interface::to_join_on(self.interface.as_deref(), local, source) else {
            tracing::warn!(%source, "no interface of this machine is on the sender's network");
            return;
        };
        if let Err(error) = lesson.join(on) {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "the lesson's group could not be joined; it is tried again");
        }
    }

    fn take(
        &mut self,
        datagrams: &[Bytes],
        track: impl Fn(&mut Lesson) -> &mut Option<TrackReceiver>,
    ) {
        let now = clock::monotonic();
        if let Some(track) = self.lesson.as_mut().and_then(|lesson| track(lesson).as_mut()) {
            for datagram in datagrams {
                track.live(now, datagram);
            }
        }
    }

    fn take_kept(&mut self, message: &[u8]) {
        let kept = match Kept::parse(message) {
            Ok(kept) => kept,
            Err(error) => {
                tracing::warn!(%error, "kept pictures were dropped");
                return;
            }
        };
        let now = clock::monotonic();
        let Some(lesson) = &mut self.lesson else { return };
        if kept.serial != lesson.grant.serial {
            return;
        }
        let Some(video) = &mut lesson.video else { return };
        for (index, packet) in kept.packets {
            video.kept(now, index, packet);
        }
        if kept.last {
            video.kept_ended();
            lesson.caught_up = true;
        }
    }

    fn report(&mut self) {
        let attached = *self.attached.borrow();
        self.reported_player = attached.user.is_some();
        let Some(lesson) = &self.lesson else { return };
        let report = lesson.report(attached);
        let _ = self.outgoing.try_send(FromMachine::Report(report));
    }

    /// The lesson is over for this machine: the groups are left, the calm line comes back.
    async fn end(&mut self, idle: Idle) {
        self.lesson = None;
        self.stage = None;
        self.players.send(ToPlayer::Idle(idle)).await;
    }

    fn lesson_id(&self) -> Option<LessonId> {
        let granted = self.lesson.as_ref().map(|lesson| lesson.grant.lesson);
        granted.or_else(|| self.stage.as_ref().map(|stage| stage.lesson))
    }

    fn sockets(&mut self) -> (Option<&mut GroupSocket>, Option<&mut GroupSocket>) {
        match &mut self.lesson {
            Some(lesson) => (lesson.video_socket.as_mut(), lesson.audio_socket.as_mut()),
            None => (None, None),
        }
    }

    fn until_timeout(&self) -> Duration {
        let lesson = self.lesson.as_ref();
        let tracks = lesson.iter().flat_map(|lesson| [&lesson.video, &lesson.audio]).flatten();
        tracks
            .filter_map(TrackReceiver::next_timeout)
            .chain(lesson.filter(|lesson| lesson.joined_on.is_some()).and_then(|l| l.ask_at))
            .chain(self.deadline.map(|(at, _)| at))
            .min()
            // Without anything to wait for, waking up each report is often enough.
            .map_or(REPORT_EVERY, |at| at.saturating_sub(clock::monotonic()))
    }
}

impl Lesson {
    fn new(grant: Grant, now: Duration, shown_before: u64) -> Self {
        let receiver =
            |track: &Option<_>| track.clone().map(|track| TrackReceiver::new(track, now));
        Self {
            video: receiver(&grant.video),
            audio: receiver(&grant.audio),
            grant,
            video_socket: None,
            audio_socket: None,
            joined_on: None,
            ask_at: Some(now + FIRST_PACKET_WAIT),
            caught_up: false,
            shown_before,
        }
    }

    /// Whether `grant` is the one that is received already, perhaps said later.
    fn is(&self, grant: &Grant) -> bool {
        let next_index = |track: &Option<alfarid_protocol::grant::Track>| {
            track.as_ref().map(|track| track.next_index)
        };
        let mut earlier = grant.clone();
        for (track, own) in
            [(&mut earlier.video, &self.grant.video), (&mut earlier.audio, &self.grant.audio)]
        {
            if let (Some(track), Some(next_index)) = (track, next_index(own)) {
                track.next_index = next_index;
            }
        }
        earlier == self.grant
    }

    /// Joins on the address `on` what is not joined there yet.
    fn join(&mut self, on: Ipv4Addr) -> Result<(), GroupError> {
        if self.joined_on == Some(on) {
            return Ok(());
        }
        let Grant { group, port, source, .. } = self.grant;
        let join = |port| GroupSocket::join(SocketAddrV4::new(group, port), source, on);
        self.video_socket = self.video.is_some().then(|| join(port)).transpose()?;
        let audio_port = port.wrapping_add(AUDIO_PORT);
        self.audio_socket = self.audio.is_some().then(|| join(audio_port)).transpose()?;
        self.joined_on = Some(on);
        Ok(())
    }

    /// Asks for the kept pictures, once, when the first packet is here or the wait is over. After
    /// joining and not before: a packet that comes between must not fall into a gap.
    fn want_kept(&mut self, now: Duration) -> Option<FromMachine> {
        self.joined_on?;
        let first_live =
            |track: &Option<TrackReceiver>| track.as_ref().and_then(TrackReceiver::first_live);
        let (video_from, audio_from) = (first_live(&self.video), first_live(&self.audio));
        self.ask_at.take_if(|at| *at <= now || video_from.is_some())?;
        Some(FromMachine::WantKept { serial: self.grant.serial, video_from, audio_from })
    }

    fn report(&self, attached: Attached) -> Report {
        let stats = |track: &Option<TrackReceiver>| {
            track.as_ref().map(TrackReceiver::stats).unwrap_or_default()
        };
        let (video, audio) = (stats(&self.video), stats(&self.audio));
        Report {
            serial: self.grant.serial,
            packets_received: video.received + audio.received,
            packets_lost: video.lost + audio.lost,
            frames_whole: video.frames,
            frames_dropped: video.dropped,
            frames_shown: attached.shown.saturating_sub(self.shown_before),
            player: attached.user.is_some(),
            wants_keyframe: self.video.as_ref().is_some_and(TrackReceiver::wants_keyframe),
        }
    }
}

/// What arrives on a socket; for ever nothing without one.
async fn receive(socket: Option<&mut GroupSocket>) -> Vec<Bytes> {
    match socket {
        Some(socket) => socket.receive().await,
        None => std::future::pending().await,
    }
}
