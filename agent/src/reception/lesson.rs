//! One granted lesson: its groups joined, its packets made sure of, its tracks received, how it
//! goes.
//!
//! ```text
//!   video ───┐
//!   sound ───┼─▶ broadcast ─ the box's own packets ─▶ tracks ─ whole frames ─▶ player
//!   repair ──┤       │                                  ▲
//!   own ─────┘       └─ what is lacking ─▶ box     kept pictures
//! ```
//!
//! The control lanes of the group are not joined.

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    time::Duration,
};

use alfarid_protocol::{
    control::{FIRST_PACKET_WAIT_MS, FromMachine, Report},
    grant::{EpochKey, Grant, Protection, Track},
    kept::Kept,
};
use alfarid_stream::{playout::BoxClock, transmit::Lane};
use bytes::Bytes;
use tokio::sync::watch;

use super::{
    broadcast::{Broadcast, BroadcastError, playout},
    group::{GroupError, LessonSocket},
    playout::Playout,
    track::TrackReceiver,
};
use crate::{
    clock,
    feed::{Frame, ToPlayer},
    players::Attached,
};

const FIRST_PACKET_WAIT: Duration = Duration::from_millis(FIRST_PACKET_WAIT_MS);

#[derive(Debug)]
pub(super) struct Lesson {
    pub(super) grant: Grant,
    broadcast: Broadcast,
    playout: Playout,
    video: Option<TrackReceiver>,
    audio: Option<TrackReceiver>,
    /// `None` until all of them are there.
    sockets: Option<Sockets>,
    /// When to ask for the kept pictures at the latest; `None` once asked.
    ask_at: Option<Duration>,
    /// The kept pictures have all come.
    caught_up: bool,
    /// What the players had shown before this grant.
    shown_before: u64,
}

/// The ears of one lesson.
#[derive(Debug)]
struct Sockets {
    /// The address joined on.
    on: Ipv4Addr,
    video: Option<LessonSocket>,
    audio: Option<LessonSocket>,
    repair: LessonSocket,
    /// Where this machine speaks from, and gets what is for it alone.
    own: LessonSocket,
}

impl Lesson {
    pub(super) fn new(
        grant: Grant,
        now: Duration,
        shown_before: u64,
        box_clock: watch::Receiver<BoxClock>,
    ) -> Result<Self, BroadcastError> {
        let track = |track: &Option<Track>| {
            track.clone().map(|track| TrackReceiver::new(track, playout(&grant), now))
        };
        Ok(Self {
            broadcast: Broadcast::new(&grant, now)?,
            playout: Playout::new(&grant, box_clock, now),
            video: track(&grant.video),
            audio: track(&grant.audio),
            grant,
            sockets: None,
            ask_at: Some(now + FIRST_PACKET_WAIT),
            caught_up: false,
            shown_before,
        })
    }

    /// Whether `grant` is the one that is received already, perhaps said later and by another
    /// connection: with other keys, but for that of the signatures.
    pub(super) fn is(&self, grant: &Grant) -> bool {
        let signer = grant.protection.signer;
        let mut earlier = Grant {
            serial: self.grant.serial,
            protection: Protection { signer, ..self.grant.protection.clone() },
            ..grant.clone()
        };
        for (track, own) in
            [(&mut earlier.video, &self.grant.video), (&mut earlier.audio, &self.grant.audio)]
        {
            if let (Some(track), Some(own)) = (track, own) {
                track.next_index = own.next_index;
            }
        }
        earlier == self.grant
    }

    /// The same grant was said again, as on a new connection: its keys hold and what is said to the
    /// box names the newer one from now on. Kept pictures that have not come yet will not come any
    /// more, so they are asked for anew.
    pub(super) fn granted_again(
        &mut self,
        now: Duration,
        grant: Grant,
    ) -> Result<(), BroadcastError> {
        self.broadcast.granted_again(&grant)?;
        self.grant = grant;
        if !self.caught_up {
            self.ask_at = Some(now);
        }
        Ok(())
    }

    /// Takes the key that the lesson goes on to.
    pub(super) fn take_epoch(&mut self, epoch: &EpochKey) -> Result<(), BroadcastError> {
        self.broadcast.take_epoch(epoch)
    }

    /// Joins on the address `on`, if that is not done yet.
    pub(super) fn join(&mut self, on: Ipv4Addr) -> Result<(), GroupError> {
        if self.sockets.as_ref().is_none_or(|sockets| sockets.on != on) {
            self.sockets = Some(Sockets::join(&self.grant, on)?);
            self.playout.disturbed(clock::monotonic());
        }
        Ok(())
    }

    /// Waits until something arrives, and takes it in. For ever, while nothing is joined.
    /// Cancelling it loses nothing.
    pub(super) async fn take_in(&mut self) {
        let Some(sockets) = &mut self.sockets else { return std::future::pending().await };
        let datagrams = sockets.receive().await;
        let now = clock::monotonic();
        for datagram in datagrams {
            self.broadcast.push(now, datagram);
        }
        self.playout.restored(now, self.broadcast.stats().restored);
        if let Some(heartbeat) = self.broadcast.heartbeat() {
            self.playout.heard(heartbeat);
            if let Some(audio) = &mut self.audio {
                audio.set_wait(self.playout.delay());
            }
        }
        while let Some((index, packet)) = self.broadcast.poll() {
            let ssrc = packet.header.ssrc;
            self.playout.arrived(now, ssrc, packet.header.timestamp);
            let mut tracks = self.video.iter_mut().chain(&mut self.audio);
            if let Some(track) = tracks.find(|track| track.ssrc() == ssrc) {
                track.live(now, index, packet);
            }
        }
    }

    /// Says to the box what is lacking.
    pub(super) fn speak(&mut self, now: Duration) {
        while let Some(feedback) = self.broadcast.feedback(now) {
            // While nothing is joined nothing can be said, nor does it help.
            let Some(sockets) = &self.sockets else { continue };
            if let Err(error) = sockets.own.send(&feedback, self.grant.protection.repair_port) {
                tracing::debug!(%error, "what is lacking could not be said: {error}");
            }
        }
    }

    /// Says what came that the box had not sent, now and then.
    pub(super) fn tell_refused(&mut self, now: Duration) {
        self.broadcast.tell_refused(now);
    }

    /// Takes in one message of the kept pictures.
    pub(super) fn take_kept(&mut self, now: Duration, kept: &Kept<'_>) {
        let Some(video) = self.video.as_mut().filter(|_| kept.serial == self.grant.serial) else {
            return;
        };
        for (index, packet) in &kept.packets {
            video.kept(now, *index, packet);
        }
        if kept.last {
            video.kept_ended();
            self.caught_up = true;
        }
    }

    /// The next whole frame for the player, until there is none.
    pub(super) fn poll(&mut self, now: Duration) -> Option<ToPlayer> {
        let Self { video, audio, playout, .. } = self;
        let mut frame = |track: &mut Option<TrackReceiver>| -> Option<Frame> {
            let frame = track.as_mut()?.poll(now)?;
            Some(Frame { show_at: playout.show_at(now, &frame), ..frame })
        };
        frame(video).map(ToPlayer::Video).or_else(|| frame(audio).map(ToPlayer::Audio))
    }

    /// Asks for the kept pictures, once, when the first packet is here or the wait is over. After
    /// joining and not before: a packet that comes between must not fall into a gap.
    pub(super) fn want_kept(&mut self, now: Duration) -> Option<FromMachine> {
        self.sockets.as_ref()?;
        let first_live =
            |track: &Option<TrackReceiver>| track.as_ref().and_then(TrackReceiver::first_live);
        let (video_from, audio_from) = (first_live(&self.video), first_live(&self.audio));
        self.ask_at.take_if(|at| *at <= now || video_from.is_some())?;
        Some(FromMachine::WantKept { serial: self.grant.serial, video_from, audio_from })
    }

    /// When to look again even if nothing arrives.
    pub(super) fn next_timeout(&self) -> Option<Duration> {
        let ask_at = self.ask_at.filter(|_| self.sockets.is_some());
        let tracks = self.video.iter().chain(&self.audio);
        let frames = tracks.filter_map(TrackReceiver::next_timeout);
        frames.chain(self.broadcast.next_timeout()).chain(ask_at).min()
    }

    /// Packets that the box sent, those that were brought back among them.
    pub(super) fn received(&self) -> u64 {
        let stats = self.broadcast.stats();
        stats.received + stats.restored
    }

    pub(super) fn report(&mut self, now: Duration, attached: Attached) -> Report {
        let video = self.video.as_ref().map(TrackReceiver::stats).unwrap_or_default();
        Report {
            serial: self.grant.serial,
            packets_received: self.received(),
            packets_lost: self.broadcast.stats().lost,
            frames_whole: video.frames,
            frames_dropped: video.dropped,
            frames_shown: attached.shown.saturating_sub(self.shown_before),
            player: attached.user.is_some(),
            wants_keyframe: self.wants_keyframe(),
            late_ms: self.playout.late_ms(now),
        }
    }

    pub(super) fn wants_keyframe(&self) -> bool {
        self.video.as_ref().is_some_and(TrackReceiver::wants_keyframe)
    }
}

impl Sockets {
    fn join(grant: &Grant, on: Ipv4Addr) -> Result<Self, GroupError> {
        let Grant { group, port, source, .. } = *grant;
        let lane = |lane: Lane| {
            let port = port.wrapping_add(lane.offset());
            LessonSocket::join(SocketAddrV4::new(group, port), source, on)
        };
        Ok(Self {
            on,
            video: grant.video.as_ref().map(|_| lane(Lane::Video)).transpose()?,
            audio: grant.audio.as_ref().map(|_| lane(Lane::Sound)).transpose()?,
            repair: lane(Lane::Repair)?,
            own: LessonSocket::own(source, on)?,
        })
    }

    /// Waits for datagrams. Cancelling it loses nothing.
    async fn receive(&mut self) -> Vec<Bytes> {
        tokio::select! {
            datagrams = receive(&mut self.video) => datagrams,
            datagrams = receive(&mut self.audio) => datagrams,
            datagrams = self.repair.receive() => datagrams,
            datagrams = self.own.receive() => datagrams,
        }
    }
}

async fn receive(socket: &mut Option<LessonSocket>) -> Vec<Bytes> {
    match socket {
        Some(socket) => socket.receive().await,
        None => std::future::pending().await,
    }
}
