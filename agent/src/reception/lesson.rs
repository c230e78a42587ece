//! One granted lesson: its groups joined, its tracks received, how it goes.

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    time::Duration,
};

use alfarid_protocol::{
    control::{FIRST_PACKET_WAIT_MS, FromMachine, Report},
    grant::{Grant, Track},
    kept::Kept,
};

use super::{
    group::{GroupError, GroupSocket},
    track::TrackReceiver,
};
use crate::{
    clock,
    feed::{Frame, ToPlayer},
    players::Attached,
};

const FIRST_PACKET_WAIT: Duration = Duration::from_millis(FIRST_PACKET_WAIT_MS);

/// Sound has the second pair of the grant's ports.
const AUDIO_PORT: u16 = 2;

#[derive(Debug)]
pub(super) struct Lesson {
    pub(super) grant: Grant,
    video: Option<Medium>,
    audio: Option<Medium>,
    /// The address joined on, once all sockets of the grant are.
    joined_on: Option<Ipv4Addr>,
    /// When to ask for the kept pictures at the latest; `None` once asked.
    ask_at: Option<Duration>,
    /// The kept pictures have all come.
    caught_up: bool,
    /// What the players had shown before this grant.
    shown_before: u64,
}

/// A track and the port it comes to.
#[derive(Debug)]
struct Medium {
    track: TrackReceiver,
    socket: Option<GroupSocket>,
}

impl Lesson {
    pub(super) fn new(grant: Grant, now: Duration, shown_before: u64) -> Self {
        let medium = |track: &Option<Track>| {
            track
                .clone()
                .map(|track| Medium { track: TrackReceiver::new(track, now), socket: None })
        };
        Self {
            video: medium(&grant.video),
            audio: medium(&grant.audio),
            grant,
            joined_on: None,
            ask_at: Some(now + FIRST_PACKET_WAIT),
            caught_up: false,
            shown_before,
        }
    }

    /// Whether `grant` is the one that is received already, perhaps said later and by another
    /// connection.
    pub(super) fn is(&self, grant: &Grant) -> bool {
        let mut earlier = Grant { serial: self.grant.serial, ..grant.clone() };
        for (track, own) in
            [(&mut earlier.video, &self.grant.video), (&mut earlier.audio, &self.grant.audio)]
        {
            if let (Some(track), Some(own)) = (track, own) {
                track.next_index = own.next_index;
            }
        }
        earlier == self.grant
    }

    /// The same grant was said again, as on a new connection: what is said to the box names the
    /// newer one from now on. Kept pictures that have not come yet will not come any more, so they
    /// are asked for anew.
    pub(super) fn granted_again(&mut self, now: Duration, serial: u32) {
        self.grant.serial = serial;
        if !self.caught_up {
            self.ask_at = Some(now);
        }
    }

    /// Joins on the address `on` what is not joined there yet.
    pub(super) fn join(&mut self, on: Ipv4Addr) -> Result<(), GroupError> {
        if self.joined_on == Some(on) {
            return Ok(());
        }
        let Grant { group, port, source, .. } = self.grant;
        let ports = [(&mut self.video, port), (&mut self.audio, port.wrapping_add(AUDIO_PORT))];
        for (medium, port) in ports {
            if let Some(medium) = medium {
                let socket = GroupSocket::join(SocketAddrV4::new(group, port), source, on)?;
                medium.socket = Some(socket);
            }
        }
        self.joined_on = Some(on);
        Ok(())
    }

    /// Waits until something arrives, and takes it in. For ever, while nothing is joined.
    /// Cancelling it loses nothing.
    pub(super) async fn take_in(&mut self) {
        tokio::select! {
            () = take_in(&mut self.video) => {}
            () = take_in(&mut self.audio) => {}
        }
    }

    /// Takes in one message of the kept pictures.
    pub(super) fn take_kept(&mut self, now: Duration, kept: &Kept<'_>) {
        let Some(video) = self.video.as_mut().filter(|_| kept.serial == self.grant.serial) else {
            return;
        };
        for (index, packet) in &kept.packets {
            video.track.kept(now, *index, packet);
        }
        if kept.last {
            video.track.kept_ended();
            self.caught_up = true;
        }
    }

    /// The next whole frame for the player, until there is none.
    pub(super) fn poll(&mut self, now: Duration) -> Option<ToPlayer> {
        let frame = |medium: &mut Option<Medium>| -> Option<Frame> {
            medium.as_mut().and_then(|medium| medium.track.poll(now))
        };
        frame(&mut self.video)
            .map(ToPlayer::Video)
            .or_else(|| frame(&mut self.audio).map(ToPlayer::Audio))
    }

    /// Asks for the kept pictures, once, when the first packet is here or the wait is over. After
    /// joining and not before: a packet that comes between must not fall into a gap.
    pub(super) fn want_kept(&mut self, now: Duration) -> Option<FromMachine> {
        self.joined_on?;
        let first_live =
            |medium: &Option<Medium>| medium.as_ref().and_then(|m| m.track.first_live());
        let (video_from, audio_from) = (first_live(&self.video), first_live(&self.audio));
        self.ask_at.take_if(|at| *at <= now || video_from.is_some())?;
        Some(FromMachine::WantKept { serial: self.grant.serial, video_from, audio_from })
    }

    /// When to look again even if nothing arrives.
    pub(super) fn next_timeout(&self) -> Option<Duration> {
        let ask_at = self.ask_at.filter(|_| self.joined_on.is_some());
        self.media().filter_map(|medium| medium.track.next_timeout()).chain(ask_at).min()
    }

    /// Packets of all tracks.
    pub(super) fn received(&self) -> u64 {
        self.media().map(|medium| medium.track.stats().received).sum()
    }

    pub(super) fn report(&self, attached: Attached) -> Report {
        let stats = |medium: &Option<Medium>| {
            medium.as_ref().map(|medium| medium.track.stats()).unwrap_or_default()
        };
        let (video, audio) = (stats(&self.video), stats(&self.audio));
        Report {
            serial: self.grant.serial,
            packets_received: self.received(),
            packets_lost: video.lost + audio.lost,
            frames_whole: video.frames,
            frames_dropped: video.dropped,
            frames_shown: attached.shown.saturating_sub(self.shown_before),
            player: attached.user.is_some(),
            wants_keyframe: self.wants_keyframe(),
        }
    }

    pub(super) fn wants_keyframe(&self) -> bool {
        self.video.as_ref().is_some_and(|video| video.track.wants_keyframe())
    }

    fn media(&self) -> impl Iterator<Item = &Medium> {
        self.video.iter().chain(&self.audio)
    }
}

async fn take_in(medium: &mut Option<Medium>) {
    let Some(Medium { track, socket: Some(socket) }) = medium else {
        return std::future::pending().await;
    };
    let datagrams = socket.receive().await;
    let now = clock::monotonic();
    for datagram in &datagrams {
        track.live(now, datagram);
    }
}
