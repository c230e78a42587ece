//! The task of one slot: packets of its publications in, everything that goes on air out.
//!
//! ```text
//!   Feed ──▶ Track (video) ─┬─▶ multicast, once per interface   (the screen only)
//!            Track (sound) ─┼─▶ taps: recorder, ...
//!   Order ──▶               └─▶ kept pictures, to one machine   (the screen only)
//! ```
//!
//! It waits for nobody: not for sockets, not for taps, not for machines. What it knows is told by
//! [`watch`] channels, so that the newest state is never lost and old ones cost nothing.
//!
//! A screen's sound goes on air only while its picture does: a new publication takes both over at
//! its first keyframe.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use alfarid_protocol::{
    id::{LessonId, MachineId, PublicationId},
    kept,
    time::Timestamp,
};
use alfarid_stream::{Codec, Size, relay::Sent};
use bytes::{Bytes, BytesMut};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
};

use super::{
    PublicationKind,
    feed::{Arrival, Asker, Feed, codec, feed},
    multicast::{Group, Lane, Sender},
    pace::Pace,
    tap::{Tapped, TappedPacket, TappedTrack, TrackId, TrackKind},
    taps::Taps,
    track::{Happened, Live, Random, Track},
};
use crate::{clock::Clock, machines};

/// Orders that may wait: a room of machines that joins at once. Full: the lesson's owner waits.
const ORDERS_WAITING: usize = 128;

/// Packets taken in a row before timers and orders get their turn.
const BATCH: usize = 64;

/// Sender reports and figures.
const SECOND: Duration = Duration::from_secs(1);

/// The same for picture and sound: they belong together (RFC 3550 §6.5.1).
const CNAME: &str = "alfarid";

/// Seconds from 1900 to 1970 (RFC 3550 §4).
const NTP_EPOCH: i64 = 2_208_988_800;

/// What the relay is told.
pub(super) enum Order {
    /// A publication begins to send.
    Announce(Source),
    Withdraw(PublicationId),
    /// Send on these interfaces and on no others.
    Interfaces(Vec<Ipv4Addr>),
    /// A machine has joined the group and wants the pictures before `from`.
    Kept {
        machine: MachineId,
        serial: u32,
        from: Option<u64>,
    },
    /// A machine has lost frames.
    Lost(MachineId),
    Tap(mpsc::Sender<Tapped>),
    /// The newest keyframe, to be looked at.
    Picture(oneshot::Sender<Option<Picture>>),
}

/// A publication as its relay knows it.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) publication: PublicationId,
    pub(super) asker: Asker,
    pub(super) has_sound: bool,
}

/// The packets of one keyframe.
pub(super) struct Picture {
    pub(super) codec: Codec,
    pub(super) packets: Vec<Sent>,
}

/// What is on air. Changes seldom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct OnAir {
    pub(super) publication: Option<PublicationId>,
    pub(super) video: Option<Stream>,
    pub(super) audio: Option<Stream>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stream {
    pub(super) codec: Codec,
    pub(super) ssrc: u32,
    pub(super) payload_type: u8,
    pub(super) size: Option<Size>,
}

/// How it goes. Changes once a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Figures {
    pub(super) fps: f32,
    pub(super) bitrate_bps: u64,
    pub(super) packets_lost: u64,
    /// Frames sent since the slot is there.
    pub(super) frames: u64,
}

/// Which packets go on air next: what a grant says.
#[derive(Debug, Default)]
pub(super) struct Next {
    pub(super) video: AtomicU64,
    pub(super) audio: AtomicU64,
}

/// What others hold of a relay. The task ends when the last is dropped.
#[derive(Clone)]
pub(super) struct Handle {
    pub(super) orders: mpsc::Sender<Order>,
    pub(super) feed: Feed,
    pub(super) on_air: watch::Receiver<OnAir>,
    pub(super) figures: watch::Receiver<Figures>,
    /// Index of the newest keyframe that is whole.
    pub(super) keyframe: watch::Receiver<Option<u64>>,
    pub(super) next: Arc<Next>,
}

/// Where a slot's packets go beside its taps.
pub(super) struct Programme {
    pub(super) group: Group,
    pub(super) machines: machines::Handle,
}

struct Relay {
    lesson: LessonId,
    kind: PublicationKind,
    clock: Clock,
    video: Track,
    audio: Track,
    sources: Vec<Source>,
    taps: Taps,
    /// `None`: a person's slot, which machines never hear.
    programme: Option<(Sender, machines::Handle)>,
    on_air: watch::Sender<OnAir>,
    figures: watch::Sender<Figures>,
    whole_keyframe: watch::Sender<Option<u64>>,
    next: Arc<Next>,
    pace: Pace,
    /// RTP time and index of the newest keyframe, until its last packet is sent.
    keyframe: Option<(u32, u64)>,
    next_second: Duration,
    happened: Vec<Happened>,
}

/// Starts the task among `tasks`.
pub(super) fn spawn(
    lesson: LessonId,
    kind: PublicationKind,
    clock: Clock,
    random: fn() -> Random,
    programme: Option<Programme>,
    tasks: &mut JoinSet<()>,
) -> Handle {
    let (orders, waiting) = mpsc::channel(ORDERS_WAITING);
    let (feed, arrivals) = feed();
    let (on_air, on_air_told) = watch::channel(OnAir::default());
    let (figures, figures_told) = watch::channel(Figures::default());
    let (whole_keyframe, keyframe_told) = watch::channel(None);
    let next = Arc::<Next>::default();
    let now = clock.monotonic();
    let relay = Relay {
        lesson,
        kind,
        clock,
        video: Track::new(random()),
        audio: Track::new(random()),
        sources: Vec::new(),
        taps: Taps::default(),
        programme: programme.map(|p| (Sender::new(p.group), p.machines)),
        on_air,
        figures,
        whole_keyframe,
        next: Arc::clone(&next),
        pace: Pace::new(now),
        keyframe: None,
        next_second: now + SECOND,
        happened: Vec::new(),
    };
    tasks.spawn(relay.run(waiting, arrivals));
    Handle {
        orders,
        feed,
        on_air: on_air_told,
        figures: figures_told,
        keyframe: keyframe_told,
        next,
    }
}

impl Relay {
    async fn run(
        mut self,
        mut orders: mpsc::Receiver<Order>,
        mut arrivals: mpsc::Receiver<Arrival>,
    ) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let sleep = tokio::time::sleep(self.until_timeout());
            tokio::select! {
                order = orders.recv() => match order {
                    Some(order) => self.obey(order),
                    None => break,
                },
                _ = arrivals.recv_many(&mut batch, BATCH) => {
                    for arrival in batch.drain(..) {
                        self.arrive(arrival);
                    }
                }
                () = sleep => {}
            }
            self.run_timers();
        }
        tracing::debug!(lesson.id = %self.lesson, "the relay of {} is over", self.lesson);
    }

    fn until_timeout(&self) -> Duration {
        let now = self.clock.monotonic();
        [self.video.next_timeout(), self.audio.next_timeout(), Some(self.next_second)]
            .into_iter()
            .flatten()
            .min()
            .map_or(SECOND, |at| at.saturating_sub(now))
    }

    fn obey(&mut self, order: Order) {
        let now = self.clock.monotonic();
        match order {
            Order::Announce(source) => {
                match self.kind {
                    PublicationKind::Screen => self.video.announce(source.publication),
                    PublicationKind::Person => self.audio.announce(source.publication),
                }
                self.sources.push(source);
            }
            Order::Withdraw(publication) => {
                self.sources.retain(|source| source.publication != publication);
                self.video.withdraw(publication);
                self.audio.withdraw(publication);
            }
            Order::Interfaces(wanted) => {
                if let Some((sender, _)) = &mut self.programme {
                    sender.set_interfaces(&wanted);
                }
            }
            Order::Kept { machine, serial, from } => {
                self.send_kept(machine, serial, from);
                self.video.joined(now, machine);
            }
            Order::Lost(machine) => self.video.joined(now, machine),
            Order::Tap(tap) => {
                self.taps.add(tap);
                self.video.needs_keyframe();
            }
            Order::Picture(reply) => {
                // Whoever asked has gone: nothing is lost.
                let _ = reply.send(self.picture());
            }
        }
        self.tell();
    }

    fn arrive(&mut self, arrival: Arrival) {
        let now = self.clock.monotonic();
        let Arrival { publication, packet } = arrival;
        let is_video = codec(packet.header.payload_type).is_some_and(Codec::is_video);
        let mut happened = std::mem::take(&mut self.happened);
        if is_video {
            self.video.push(now, publication, packet, &mut happened);
            self.air(now, &mut happened, true);
        } else if self.may_be_heard(publication) {
            self.audio.push(now, publication, packet, &mut happened);
            self.air(now, &mut happened, false);
        }
        self.happened = happened;
    }

    /// A screen's sound goes with its picture.
    fn may_be_heard(&mut self, publication: PublicationId) -> bool {
        match self.kind {
            PublicationKind::Person => true,
            PublicationKind::Screen => self.video.on_air() == Some(publication),
        }
    }

    /// Puts on air what came out of a track.
    fn air(&mut self, now: Duration, happened: &mut Vec<Happened>, is_video: bool) {
        let mut changed = false;
        for happened in happened.drain(..) {
            match happened {
                Happened::Sent(sent) => {
                    self.send(now, &sent, is_video);
                    continue;
                }
                Happened::Started { ssrc, codec, publication } => {
                    let id = TrackId(ssrc);
                    let kind = self.track_kind(is_video);
                    self.taps.start(TappedTrack { id, kind, codec, publication });
                }
                Happened::Ended { ssrc } => self.taps.end(TrackId(ssrc)),
                Happened::TookOver { ssrc, publication } => {
                    self.taps.taken_over(TrackId(ssrc), publication);
                    if is_video {
                        self.bring_sound(now, publication);
                    }
                }
                Happened::Resized => {}
                Happened::Ask(publication) => {
                    if let Some(source) = self.source(publication) {
                        source.asker.ask(publication);
                    }
                    continue;
                }
            }
            changed = true;
        }
        if changed {
            self.tell();
        }
    }

    /// The sound of the screen that has just come on air.
    fn bring_sound(&mut self, now: Duration, publication: PublicationId) {
        self.audio.announce(publication);
        if self.source(publication).is_some_and(|source| source.has_sound) {
            let mut started = Vec::new();
            self.audio.expect(now, Codec::Opus, publication, &mut started);
            self.air(now, &mut started, false);
        }
    }

    fn source(&self, publication: PublicationId) -> Option<&Source> {
        self.sources.iter().find(|source| source.publication == publication)
    }

    /// Sends one packet to everybody.
    fn send(&mut self, now: Duration, sent: &Sent, is_video: bool) {
        let mut bytes = BytesMut::with_capacity(sent.packet.size());
        sent.packet.write(&mut bytes);
        let bytes = bytes.freeze();
        if let Some((sender, _)) = &mut self.programme {
            sender.send(if is_video { Lane::Video } else { Lane::Audio }, &bytes);
        }
        let header = sent.packet.header;
        self.pace.count(bytes.len(), is_video && header.marker);
        let begins = !is_video || sent.keyframe.is_some();
        let track = TrackId(header.ssrc);
        self.taps.send(&TappedPacket { track, index: sent.index, at: now, packet: bytes }, begins);
        let next = if is_video { &self.next.video } else { &self.next.audio };
        next.store(sent.index + 1, Ordering::Relaxed);
        if is_video {
            self.watch_keyframe(sent);
        }
    }

    /// Tells when a keyframe is whole: its last packet has the marker.
    fn watch_keyframe(&mut self, sent: &Sent) {
        let header = sent.packet.header;
        if sent.keyframe.is_some() {
            self.keyframe = Some((header.timestamp, sent.index));
        }
        if let Some((timestamp, index)) = self.keyframe
            && header.timestamp == timestamp
            && header.marker
        {
            self.keyframe = None;
            self.whole_keyframe.send_replace(Some(index));
        }
    }

    fn run_timers(&mut self) {
        let now = self.clock.monotonic();
        let mut happened = std::mem::take(&mut self.happened);
        self.video.poll(now, &mut happened);
        self.air(now, &mut happened, true);
        self.audio.poll(now, &mut happened);
        self.air(now, &mut happened, false);
        self.happened = happened;
        if now >= self.next_second {
            self.next_second = now + SECOND;
            self.report(now);
            self.count(now);
        }
    }

    /// Sends the sender reports that tie picture and sound together.
    fn report(&mut self, now: Duration) {
        let Some((sender, _)) = &mut self.programme else { return };
        let ntp = ntp(self.clock.now());
        let reports = [
            (Lane::VideoControl, self.video.report(now, ntp)),
            (Lane::AudioControl, self.audio.report(now, ntp)),
        ];
        for (lane, report) in reports {
            if let Some(report) = report {
                let mut packet = Vec::new();
                report.write(CNAME, &mut packet);
                sender.send(lane, &packet);
            }
        }
    }

    fn count(&mut self, now: Duration) {
        let (fps, bitrate_bps) = self.pace.per_second(now);
        self.figures.send_replace(Figures {
            fps,
            bitrate_bps,
            packets_lost: self.video.lost() + self.audio.lost(),
            frames: self.pace.frames(),
        });
    }

    /// Sends a machine the pictures before its first live one. What it has no room for is no use
    /// without the rest: the machine waits for the next keyframe.
    fn send_kept(&self, machine: MachineId, serial: u32, from: Option<u64>) {
        let Some((_, machines)) = &self.programme else { return };
        let written: Vec<_> = self
            .video
            .kept(from)
            .iter()
            .map(|sent| {
                let mut bytes = Vec::with_capacity(sent.packet.size());
                sent.packet.write(&mut bytes);
                (sent.index, bytes)
            })
            .collect();
        let packets = written.iter().map(|(index, packet)| (*index, packet.as_slice()));
        for message in kept::encode(serial, packets) {
            if !machines.send(machine, Bytes::from(message)) {
                break;
            }
        }
    }

    fn picture(&self) -> Option<Picture> {
        let kept = self.video.kept(None);
        let timestamp = kept.first()?.packet.header.timestamp;
        let packets: Vec<_> = kept
            .iter()
            .take_while(|sent| sent.packet.header.timestamp == timestamp)
            .cloned()
            .collect();
        let codec = self.video.live()?.codec;
        packets.last()?.packet.header.marker.then_some(Picture { codec, packets })
    }

    /// Tells what is on air, if it is something else than before.
    fn tell(&self) {
        let (video, audio) = (self.video.live(), self.audio.live());
        let publication = match self.kind {
            PublicationKind::Screen => self.video.on_air(),
            PublicationKind::Person => self.audio.on_air(),
        };
        self.on_air.send_if_modified(|told| {
            let (video, audio) = (video.map(Stream::of), audio.map(Stream::of));
            let new = OnAir { publication, video, audio };
            let changed = *told != new;
            *told = new;
            changed
        });
    }

    fn track_kind(&self, is_video: bool) -> TrackKind {
        match (self.kind, is_video) {
            (PublicationKind::Screen, true) => TrackKind::ScreenVideo,
            (PublicationKind::Screen, false) => TrackKind::ScreenAudio,
            (PublicationKind::Person, _) => TrackKind::PersonAudio,
        }
    }
}

impl Stream {
    fn of(live: Live) -> Self {
        let Live { codec, ssrc, payload_type, size, .. } = live;
        Self { codec, ssrc, payload_type, size }
    }
}

/// Box time as NTP writes it (RFC 3550 §4): seconds since 1900 above, their fraction below.
fn ntp(now: Timestamp) -> u64 {
    let seconds = now.0.div_euclid(1000) + NTP_EPOCH;
    let fraction = (now.0.rem_euclid(1000).cast_unsigned() << 32) / 1000;
    (seconds.cast_unsigned() << 32) | fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_second_is_half_of_the_fraction() {
        assert_eq!(ntp(Timestamp(1_500)), ((2_208_988_801 << 32) | (1 << 31)));
    }
}
