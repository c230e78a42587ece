//! One lesson's output: packets of its tap, sent on in the clear; and what is sent, announced.
//!
//! ```text
//!   tap ─▶ hidden? ─▶ line learnt from the packet ─▶ RTP
//!                          └─ is new ─▶ SDP, SAP
//! ```
//!
//! It is a reader of the tap like any other: where it is slow, it alone loses packets. It ends when
//! the lesson is over or when it is told to, and says then on the network that it has.

use std::{collections::HashMap, time::Duration};

use alfarid_protocol::time::Timestamp;
use alfarid_stream::{rtcp::SenderReport, rtp};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::session::{ANNOUNCED_AT, ANNOUNCED_PORT, Line, Session, offset};
use crate::{
    broadcast::{
        self, CNAME, box_ntp,
        multicast::{Group, Interfaces, Sender},
        tap::{Tap, Tapped, TappedPacket, TappedTrack, TrackId, TrackKind},
    },
    clock::Clock,
    floor::Floor,
};

/// How often it is announced. RFC 2974 §3.1 asks for 300 s where sessions share a large network;
/// here there is one in a room, and whoever starts a player waits for it.
const ANNOUNCE: Duration = Duration::from_secs(5);

/// How often the streams' clocks are tied together (RFC 3550 §6.2).
const REPORT: Duration = Duration::from_secs(2);

pub(super) struct Output {
    session: Session,
    broadcast: broadcast::Handle,
    /// Whether the class is shown the picture.
    shown: watch::Receiver<bool>,
    /// As this task last heard: no later word lets out what was tapped before it.
    is_shown: bool,
    clock: Clock,
    /// As in the settings; none: all interfaces.
    allowed: Vec<String>,
    media: Sender,
    announcer: Sender,
    /// What the tap has: one of a kind.
    streams: HashMap<TrackId, Stream>,
    /// What takes the newest announcement back.
    deletion: Option<Vec<u8>>,
    /// The description, for whoever asks for it.
    described: watch::Sender<Option<String>>,
}

/// What was sent of one line, as its reports tell of it.
struct Stream {
    line: Line,
    /// The newest packet's, and when it left the relay.
    newest: (u32, Duration),
    packets: u32,
    octets: u32,
}

impl Output {
    pub(super) fn new(
        floor: &Floor,
        session: Session,
        (broadcast, shown): (broadcast::Handle, watch::Receiver<bool>),
        described: watch::Sender<Option<String>>,
    ) -> Self {
        let (group, is_shown) = (session.group, *shown.borrow());
        let announced = Group { address: ANNOUNCED_AT, port: ANNOUNCED_PORT, ..group };
        Self {
            session,
            broadcast,
            is_shown,
            shown,
            clock: floor.clock.clone(),
            allowed: floor.config.media.interfaces.clone(),
            media: Sender::new(group),
            announcer: Sender::new(announced),
            streams: HashMap::new(),
            deletion: None,
            described,
        }
    }

    pub(super) async fn run(mut self, mut tap: Tap, stop: CancellationToken) {
        let mut announce = interval(ANNOUNCE);
        announce.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut report = interval(REPORT);
        report.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                // What ends or hides it goes before what there is to send.
                biased;
                () = stop.cancelled() => break,
                changed = self.shown.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    self.is_shown = *self.shown.borrow_and_update();
                    if self.is_shown {
                        // A tap of its own begins with a keyframe, and has nothing of what was
                        // hidden.
                        let Ok(anew) = self.broadcast.tap(self.session.lesson).await else { break };
                        tap = anew;
                    }
                }
                _ = announce.tick() => {
                    self.follow_networks();
                    self.announce();
                }
                _ = report.tick() => self.report(),
                tapped = tap.recv() => match tapped {
                    Some(tapped) => self.take(tapped),
                    None => break,
                },
            }
        }
        self.session.lines.clear();
        self.announce();
        tracing::info!("the lesson goes out in the clear no more");
    }

    fn take(&mut self, tapped: Tapped) {
        match tapped {
            Tapped::Started(track) => self.start(track),
            Tapped::Packet(packet) => self.send(&packet),
            Tapped::Ended(track) => {
                self.streams.remove(&track);
                if self.session.end(track) {
                    self.announce();
                }
            }
        }
    }

    /// A track that goes on in a new tap is the same.
    fn start(&mut self, track: TappedTrack) {
        if !self.streams.contains_key(&track.id) {
            // One of a kind, even if word of the last one's end was lost.
            self.streams.retain(|_, other| other.line.kind != track.kind);
            let (line, newest) = (Line::of(track), (0, Duration::ZERO));
            self.streams.insert(track.id, Stream { line, newest, packets: 0, octets: 0 });
        }
    }

    fn send(&mut self, tapped: &TappedPacket) {
        let Some(stream) = self.streams.get_mut(&tapped.track) else { return };
        let is_hidden = !self.is_shown || !*self.shown.borrow();
        if stream.line.kind == TrackKind::ScreenVideo && is_hidden {
            return;
        }
        let Ok(packet) = rtp::Packet::parse(&tapped.packet) else { return };
        let is_new = stream.line.learn(&packet.payload) || stream.packets == 0;
        stream.newest = (packet.header.timestamp, tapped.at);
        stream.packets = stream.packets.wrapping_add(1);
        let octets = u32::try_from(packet.payload.len()).unwrap_or_default();
        stream.octets = stream.octets.wrapping_add(octets);
        let kind = stream.line.kind;
        if is_new && stream.line.is_known() {
            self.session.begin(stream.line.clone());
            self.follow_networks();
            self.announce();
        }
        self.media.send_on(offset(kind), &tapped.packet);
    }

    /// Says what is on air, or that nothing is any more.
    fn announce(&mut self) {
        let described = self.session.describe();
        self.described.send_replace(described.clone());
        if let Some(text) = described {
            self.announcer.send_on(0, &self.session.announcement(&text));
            self.deletion = Some(self.session.deletion());
        } else if let Some(deletion) = self.deletion.take() {
            self.announcer.send_on(0, &deletion);
        }
    }

    /// Picture and sound have clocks of their own: a report says what both were at one moment.
    fn report(&mut self) {
        let (now, at) = (self.clock.monotonic(), self.clock.now());
        for (track, stream) in self.streams.iter().filter(|(_, stream)| stream.packets > 0) {
            let (timestamp, left) = stream.newest;
            let ago = i64::try_from(now.saturating_sub(left).as_millis()).unwrap_or(i64::MAX);
            let ntp = box_ntp(Timestamp(at.0.saturating_sub(ago)));
            let (packets, octets) = (stream.packets, stream.octets);
            let report = SenderReport { ssrc: track.0, ntp, timestamp, packets, octets };
            let mut packet = Vec::new();
            report.write(CNAME, &mut packet);
            self.media.send_on(offset(stream.line.kind) + 1, &packet);
        }
    }

    /// Sends on each network that the box is in now.
    fn follow_networks(&mut self) {
        let sources = Interfaces::of_this_box().sources(&self.allowed);
        self.media.set_interfaces(&sources);
        self.announcer.set_interfaces(&sources);
        // Once given, it names the session.
        if let (true, Some(first)) = (self.session.origin.is_unspecified(), sources.first()) {
            self.session.origin = *first;
        }
    }
}
