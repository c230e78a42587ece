//! One granted lesson: its groups joined, its packets made sure of, its tracks received, how it
//! goes.
//!
//! ```text
//!   video ───┐
//!   sound ───┼─▶ broadcast ─ the box's own packets ─▶ tracks ─ whole frames ─▶ player
//!   repair ──┤       │                                  ▲
//!   own ─────┘       └─ what is lacking ─▶ box     kept pictures, tunnel
//! ```

mod listening;

use std::time::Duration;

use alfarid_protocol::{
    control::{FIRST_PACKET_WAIT_MS, FromMachine, Report},
    grant::{EpochKey, Grant, Protection, Track},
    kept::Kept,
};
use alfarid_stream::{playout::BoxClock, rtp::Header, rung::Rung};
use tokio::sync::watch;

use super::{
    broadcast::{Broadcast, BroadcastError, playout},
    ears::Ears,
    playout::Playout,
    rungs::said,
    track::TrackReceiver,
};
use crate::{
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
    /// `None` until there is an interface for them.
    ears: Option<Ears>,
    heard: Heard,
    /// As the box was told last.
    is_flow_wanted: bool,
    /// Packets that came through the tunnel.
    tunnelled: u64,
    /// When to ask for the kept pictures at the latest; `None` once asked.
    ask_at: Option<Duration>,
    /// The kept pictures have all come.
    caught_up: bool,
    /// What the players had shown before this grant.
    shown_before: u64,
}

/// What was heard since it was last asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Heard {
    /// Of the box, by the group.
    pub group: bool,
    /// To this machine alone.
    pub flow: bool,
    /// To a keep-alive that wants nothing more.
    pub answer: bool,
    /// Packets and heartbeats that came by the group, before any repair.
    pub by_group: u64,
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
            ears: None,
            heard: Heard::default(),
            is_flow_wanted: false,
            tunnelled: 0,
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

    /// Packets by UDP so far: that came or were brought back, and that are lost for good.
    pub(super) fn counts(&self) -> (u64, u64) {
        let stats = self.broadcast.stats();
        (stats.received + stats.restored, stats.lost)
    }

    /// The lesson comes through the tunnel from now on, where nothing says when it is due: it is
    /// shown at once.
    pub(super) fn rest(&mut self, now: Duration) {
        self.broadcast.rest();
        self.playout.begin_anew(now, &self.grant);
    }

    /// The way to here is another one.
    pub(super) fn disturbed(&mut self, now: Duration) {
        self.playout.disturbed(now);
    }

    /// Where the tunnel is to go on: the first index of the picture that is lacking.
    pub(super) fn goes_on_at(&self) -> Option<u64> {
        self.video.as_ref().and_then(TrackReceiver::goes_on_at)
    }

    /// Takes in one message of the tunnel.
    pub(super) fn take_tunnelled(&mut self, now: Duration, message: &Kept<'_>) {
        if message.serial != self.grant.serial {
            return;
        }
        self.tunnelled += message.packets.len() as u64;
        for (index, packet) in &message.packets {
            let ssrc = Header::parse(packet).map(|header| header.ssrc).ok();
            let mut tracks = self.video.iter_mut().chain(&mut self.audio);
            if let Some(track) = tracks.find(|track| Some(track.ssrc()) == ssrc) {
                track.tunnelled(now, *index, packet);
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
        self.ears.as_ref()?;
        let first_live =
            |track: &Option<TrackReceiver>| track.as_ref().and_then(TrackReceiver::first_live);
        let (video_from, audio_from) = (first_live(&self.video), first_live(&self.audio));
        self.ask_at.take_if(|at| *at <= now || video_from.is_some())?;
        Some(FromMachine::WantKept { serial: self.grant.serial, video_from, audio_from })
    }

    /// When to look again even if nothing arrives.
    pub(super) fn next_timeout(&self) -> Option<Duration> {
        let ask_at = self.ask_at.filter(|_| self.ears.is_some());
        let tracks = self.video.iter().chain(&self.audio);
        let frames = tracks.filter_map(TrackReceiver::next_timeout);
        frames.chain(self.broadcast.next_timeout()).chain(ask_at).min()
    }

    /// Packets that the box sent, by whichever way, those that were brought back among them.
    pub(super) fn received(&self) -> u64 {
        self.counts().0 + self.tunnelled
    }

    pub(super) fn report(
        &mut self,
        now: Duration,
        attached: Attached,
        rung: Option<Rung>,
    ) -> Report {
        if let Some(round_trip) = self.playout.round_trip() {
            self.broadcast.set_round_trip(round_trip);
        }
        let video = self.video.as_ref().map(TrackReceiver::stats).unwrap_or_default();
        Report {
            serial: self.grant.serial,
            packets_received: self.received(),
            packets_lost: self.counts().1,
            frames_whole: video.frames,
            frames_dropped: video.dropped,
            frames_shown: attached.shown.saturating_sub(self.shown_before),
            player: attached.user.is_some(),
            // Who lags in the tunnel goes on at what is kept.
            wants_keyframe: self.wants_keyframe() && rung != Some(Rung::Tunnel),
            rung: rung.map(said),
            refused: self.broadcast.refused(),
            // How late TCP is says nothing of what the others need.
            late_ms: if rung == Some(Rung::Tunnel) { None } else { self.playout.late_ms(now) },
        }
    }

    pub(super) fn wants_keyframe(&self) -> bool {
        self.video.as_ref().is_some_and(TrackReceiver::wants_keyframe)
    }
}
