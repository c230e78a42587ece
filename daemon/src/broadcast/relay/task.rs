//! The relay at work.

use std::{sync::atomic::Ordering, time::Duration};

use alfarid_protocol::{
    id::{MachineId, PublicationId},
    kept,
    time::Timestamp,
};
use alfarid_stream::{Codec, playout::Medium, relay::Sent, rtp::Packet, transmit::Lane};
use bytes::Bytes;
use tokio::sync::mpsc;

use super::{Figures, Job, OnAir, Order, Picture, Programme, Source, Told};
use crate::{
    broadcast::{
        PublicationKind,
        feed::{self, Arrival, Report, codec},
        pace::Pace,
        tap::{TappedPacket, TappedTrack, TrackId, TrackKind},
        taps::Taps,
        track::{Happened, Joiner, Track},
    },
    machines,
};

/// Packets taken in a row before timers and orders get their turn.
const BATCH: usize = 64;

/// Sender reports and figures.
const SECOND: Duration = Duration::from_secs(1);

/// The same for picture and sound: they belong together (RFC 3550 §6.5.1).
pub(crate) const CNAME: &str = "alfarid";

/// Seconds from 1900 to 1970 (RFC 3550 §4).
const NTP_EPOCH: i64 = 2_208_988_800;

pub(super) struct Task {
    job: Job,
    told: Told,
    video: Track,
    audio: Track,
    sources: Vec<Source>,
    /// Those of them that nothing comes of.
    silent: Vec<PublicationId>,
    taps: Taps,
    pace: Pace,
    /// RTP time and index of the newest keyframe, until its last packet is sent.
    keyframe: Option<(u32, u64)>,
    next_second: Duration,
    /// Empty, but for its memory.
    happened: Vec<Happened>,
}

impl Task {
    pub(super) fn new(job: Job, told: Told) -> Self {
        let now = job.clock.monotonic();
        Self {
            told,
            video: Track::new((job.random)()),
            audio: Track::new((job.random)()),
            sources: Vec::new(),
            silent: Vec::new(),
            taps: Taps::default(),
            pace: Pace::new(now),
            keyframe: None,
            next_second: now + SECOND,
            happened: Vec::new(),
            job,
        }
    }

    pub(super) async fn run(
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
                () = listen(&mut self.job.programme) => self.hear(),
                () = sleep => {}
            }
            self.run_timers();
        }
        let Job { lesson, kind, .. } = self.job;
        tracing::debug!("the {kind:?} of lesson {lesson} is over");
    }

    fn until_timeout(&self) -> Duration {
        let now = self.job.clock.monotonic();
        let programme = self.job.programme.as_ref();
        let transmitter = programme.map(|programme| programme.transmitter.next_timeout(now));
        let tracks = [self.video.next_timeout(), self.audio.next_timeout()];
        [transmitter, Some(self.next_second)]
            .into_iter()
            .chain(tracks)
            .flatten()
            .min()
            .map_or(SECOND, |at| at.saturating_sub(now))
    }

    fn obey(&mut self, order: Order) {
        let now = self.job.clock.monotonic();
        match order {
            Order::Announce(source) => {
                match self.job.kind {
                    PublicationKind::Screen => self.video.announce(source.publication),
                    PublicationKind::Person => self.audio.announce(source.publication),
                }
                self.sources.push(source);
            }
            Order::Withdraw(publication) => {
                self.sources.retain(|source| source.publication != publication);
                self.silent.retain(|silent| *silent != publication);
                self.video.withdraw(publication);
                self.audio.withdraw(publication);
            }
            Order::Interfaces(wanted, reply) => {
                if let Some(programme) = &mut self.job.programme {
                    let _ = reply.send(programme.transmitter.set_interfaces(&wanted));
                }
            }
            Order::Admit { receiver, address, key } => {
                if let Some(programme) = &mut self.job.programme {
                    programme.transmitter.admit(receiver, address, &key);
                }
            }
            Order::Dismiss(receiver) => {
                if let Some(programme) = &mut self.job.programme {
                    programme.transmitter.dismiss(receiver);
                    programme.tunnels.end(receiver);
                }
            }
            Order::Needs { receiver, late } => {
                if let Some(programme) = &mut self.job.programme {
                    programme.transmitter.needs(now, receiver, late);
                }
            }
            Order::Switch(epoch) => {
                if let Some(programme) = &mut self.job.programme {
                    programme.transmitter.switch(&epoch);
                }
            }
            Order::Kept { machine, serial, from } => {
                self.send_kept(machine, serial, from);
                self.video.joined(now, Joiner::Machine(machine));
            }
            Order::Tunnel { receiver, lane, from } => {
                if let Some(programme) = &mut self.job.programme {
                    let kept = match from {
                        Some(from) => self.video.kept_since(from),
                        None => self.video.kept(None),
                    };
                    programme.tunnels.add(receiver, lane, from, kept);
                }
            }
            Order::Joins(joiner) => self.video.joined(now, joiner),
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
        match arrival {
            Arrival::Packet { publication, packet } => self.take(publication, packet),
            Arrival::Report { publication, report } => {
                let Report { medium, ntp, timestamp } = report;
                self.note_report(publication, medium, ntp, timestamp);
            }
            Arrival::Silence { publication, is_silent } => {
                let word = if is_silent { "is silent" } else { "is heard again" };
                tracing::info!(publication.id = %publication, "the publisher {word}");
                self.silent.retain(|silent| *silent != publication);
                if is_silent && self.source(publication).is_some() {
                    self.silent.push(publication);
                }
                self.tell();
            }
        }
    }

    fn take(&mut self, publication: PublicationId, packet: Packet) {
        let now = self.job.clock.monotonic();
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

    /// The publisher says where its stream is: that ties sound to picture.
    fn note_report(
        &mut self,
        publication: PublicationId,
        medium: Medium,
        ntp: u64,
        timestamp: u32,
    ) {
        let track = match medium {
            Medium::Picture => &self.video,
            Medium::Sound => &self.audio,
        };
        let outgoing = track.outgoing(publication, timestamp);
        if let (Some(programme), Some(timestamp)) = (&mut self.job.programme, outgoing) {
            programme.transmitter.reported(medium, ntp, timestamp);
        }
    }

    /// A screen's sound goes with its picture.
    fn may_be_heard(&mut self, publication: PublicationId) -> bool {
        match self.job.kind {
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
                    let slot = self.job.kind;
                    tracing::info!(
                        publication.id = %publication, stream.ssrc = ssrc,
                        "{codec:?} of the {slot:?} is on air",
                    );
                    let id = TrackId(ssrc);
                    let kind = self.track_kind(is_video);
                    self.taps.start(TappedTrack { id, kind, codec, publication });
                    self.note_next(is_video);
                }
                Happened::Ended { ssrc } => self.taps.end(TrackId(ssrc)),
                Happened::TookOver { ssrc, publication } => {
                    self.taps.taken_over(TrackId(ssrc), publication);
                    if let Some(programme) = &mut self.job.programme {
                        programme.transmitter.taken_over();
                    }
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

    /// Where the stream that has just begun will go on, for those who are granted it before its
    /// first packet is sent.
    fn note_next(&self, is_video: bool) {
        let (track, next) = if is_video {
            (&self.video, &self.told.next.video)
        } else {
            (&self.audio, &self.told.next.audio)
        };
        if let Some(index) = track.next_index() {
            next.store(index, Ordering::Relaxed);
        }
    }

    /// Sends one packet to everybody.
    fn send(&mut self, now: Duration, sent: &Sent, is_video: bool) {
        if let Some(programme) = &mut self.job.programme {
            let lane = if is_video { Lane::Video } else { Lane::Sound };
            programme.transmitter.send(now, lane, sent);
            programme.tunnels.send(sent, is_video, self.video.kept(None));
        }
        let bytes = sent.packet.to_bytes();
        let header = sent.packet.header;
        self.pace.count(bytes.len(), is_video && header.marker);
        let begins = !is_video || sent.keyframe.is_some();
        let (track, index) = (TrackId(header.ssrc), sent.index);
        let playout = self.playout();
        self.taps.send(&TappedPacket { track, index, begins, at: now, playout, packet: bytes });
        let next = if is_video { &self.told.next.video } else { &self.told.next.audio };
        next.store(sent.index + 1, Ordering::Relaxed);
        if is_video {
            self.watch_keyframe(sent);
        }
    }

    /// How long after it is due machines show it; `None` in a person's slot.
    fn playout(&self) -> Option<Duration> {
        self.job.programme.as_ref().map(|programme| programme.transmitter.playout())
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
            self.told.keyframe.send_replace(Some(index));
        }
    }

    fn run_timers(&mut self) {
        let now = self.job.clock.monotonic();
        let mut happened = std::mem::take(&mut self.happened);
        self.video.poll(now, &mut happened);
        self.air(now, &mut happened, true);
        self.audio.poll(now, &mut happened);
        self.air(now, &mut happened, false);
        self.happened = happened;
        if let Some(programme) = &mut self.job.programme {
            programme.transmitter.run_timers(now);
        }
        if now >= self.next_second {
            self.next_second = now + SECOND;
            self.report(now);
            self.count(now);
            if let Some(programme) = &mut self.job.programme {
                programme.transmitter.tell_unheard(now);
            }
        }
    }

    /// Hears what machines lack.
    fn hear(&mut self) {
        let now = self.job.clock.monotonic();
        let Some(programme) = &mut self.job.programme else { return };
        programme.transmitter.hear(now);
        if let Some(outcast) = programme.transmitter.take_outcast() {
            self.told.outcast.send_replace(Some(outcast));
        }
        let elsewhere = programme.transmitter.elsewhere();
        if *self.told.elsewhere.borrow() != *elsewhere {
            self.told.elsewhere.send_replace(elsewhere.clone());
        }
    }

    /// Sends the sender reports that tie picture and sound together.
    fn report(&mut self, now: Duration) {
        let Some(programme) = &mut self.job.programme else { return };
        let ntp = box_ntp(self.job.clock.now());
        let reports = [
            (Lane::VideoControl, self.video.report(now, ntp)),
            (Lane::SoundControl, self.audio.report(now, ntp)),
        ];
        for (lane, report) in reports {
            if let Some(report) = report {
                let mut packet = Vec::new();
                report.write(CNAME, &mut packet);
                programme.transmitter.report(lane, &packet);
            }
        }
    }

    fn count(&mut self, now: Duration) {
        let (fps, bitrate_bps) = self.pace.per_second(now);
        let programme = self.job.programme.as_ref();
        let alone = programme.map(|to| to.transmitter.flows() + to.tunnels.count());
        self.told.figures.send_replace(Figures {
            fps,
            bitrate_bps,
            packets_lost: self.video.lost() + self.audio.lost(),
            served_alone: u32::try_from(alone.unwrap_or_default()).unwrap_or(u32::MAX),
            playout: self.playout(),
            unheard: programme.map(|to| to.transmitter.unheard()).unwrap_or_default(),
        });
    }

    /// Sends a machine the pictures before its first live one. The relay only shares its packets
    /// for it; writing them out is a task of its own.
    fn send_kept(&self, machine: MachineId, serial: u32, from: Option<u64>) {
        let Some(programme) = &self.job.programme else { return };
        let (kept, machines) = (self.video.kept(from).to_vec(), programme.machines.clone());
        tokio::spawn(async move { send_kept(&kept, machine, serial, &machines) });
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
        let publication = match self.job.kind {
            PublicationKind::Screen => self.video.on_air(),
            PublicationKind::Person => self.audio.on_air(),
        };
        let is_silent = publication.is_some_and(|on_air| self.silent.contains(&on_air));
        self.told.on_air.send_if_modified(|told| {
            let new = OnAir { publication, video, audio, is_silent };
            let changed = *told != new;
            *told = new;
            changed
        });
    }

    fn track_kind(&self, is_video: bool) -> TrackKind {
        match (self.job.kind, is_video) {
            (PublicationKind::Screen, true) => TrackKind::ScreenVideo,
            (PublicationKind::Screen, false) => TrackKind::ScreenAudio,
            (PublicationKind::Person, _) => TrackKind::PersonAudio,
        }
    }
}

/// Waits until machines were heard; for ever in a person's slot.
async fn listen(programme: &mut Option<Programme>) {
    match programme {
        Some(programme) => programme.transmitter.listen().await,
        None => std::future::pending().await,
    }
}

/// What a machine has no room for is no use without the rest: it waits for the next keyframe then.
fn send_kept(kept: &[Sent], machine: MachineId, serial: u32, machines: &machines::Handle) {
    let written: Vec<_> = kept.iter().map(|sent| (sent.index, sent.packet.to_bytes())).collect();
    let packets = written.iter().map(|(index, packet)| (*index, &packet[..]));
    for message in kept::encode(serial, packets) {
        if !machines.send(machine, Bytes::from(message)) {
            break;
        }
    }
}

/// Box time as NTP writes it, which counts from 1900.
pub(crate) fn box_ntp(now: Timestamp) -> u64 {
    let millis = now.0.saturating_add(NTP_EPOCH * 1_000).max(0);
    feed::ntp(Duration::from_millis(millis.cast_unsigned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_second_is_half_of_the_fraction() {
        assert_eq!(box_ntp(Timestamp(1_500)), ((2_208_988_801 << 32) | (1 << 31)));
    }
}
