//! One machine: the agent's own reception of a lesson, driven by a clock that is wrong, behind a
//! network that loses and delays.
//!
//! ```text
//!   from the air ─▶ downlink ─▶ Broadcast ─▶ TrackReceiver ─▶ whole pictures, and when
//!      to the box ◀─ uplink ◀──────┤ what is lacking
//!                                  └ Rungs: by the group, or by a flow of its own
//! ```
//!
//! Broadcast, track receivers and rungs are those of `alfarid-agent`; here is only what its sockets,
//! its timer and its player would do. There is no tunnel, for TCP has no weather here: a machine that
//! would fall to it stays where it is, and is counted. The round trip to the box is that of its networks: no exchange of
//! clocks goes through them that could measure it.

use std::{
    collections::{HashMap, VecDeque},
    net::Ipv4Addr,
    time::Duration,
};

use alfarid_agent::reception::{
    Heard,
    broadcast::Broadcast,
    rungs::{Rungs, because, said},
    track::TrackReceiver,
};
use alfarid_protocol::{
    control::{FIRST_PACKET_WAIT_MS, FromMachine, Report},
    grant::{Grant, Track},
    kept::Kept,
};
use alfarid_stream::{
    block::VerifyingKey,
    lab::Network,
    rung::{Action, Link},
};
use anyhow::Result;
use bytes::Bytes;
use classroom::line::Told;

use super::weather::{OwnClock, Place, held};

const FIRST_PACKET_WAIT: Duration = Duration::from_millis(FIRST_PACKET_WAIT_MS);
const REPORT_EVERY: Duration = Duration::from_secs(1);
const MAX_LATE_MS: u16 = 250;

/// By which way something came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Group,
    /// To this machine alone.
    Flow,
}

#[derive(Debug)]
pub(super) struct Machine {
    /// Its address.
    on: Ipv4Addr,
    /// Whose signatures it believes: the same for all, so that none checks what another has.
    signer: VerifyingKey,
    /// `None`: it has no rungs.
    link: Option<Link>,
    clock: OwnClock,
    downlink: Network,
    /// What is sent to all is held until the next of these.
    batch: Option<Duration>,
    uplink: Network,
    receiving: Option<Receiving>,
    /// When to look at it even if nothing arrives, by the true clock.
    pub(super) planned: Option<Duration>,
    /// To the box, by the control connection.
    pub(super) says: VecDeque<FromMachine>,
    pub(super) seen: Seen,
}

/// What became of what went on air.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// When each picture was whole, by its RTP time.
    pub(super) pictures: HashMap<u32, Duration>,
    /// By stream and index: when a packet that was lost on the way would have been there.
    lost: HashMap<(u32, u64), Duration>,
    /// Of those that were brought back: how much later than that.
    pub(super) repairs: Vec<(Duration, Duration)>,
    /// Datagrams to the box.
    pub(super) feedback: u64,
    /// How often the box sent it away from the group, obeyed or not.
    pub(super) sent_away: usize,
    /// How often its rung became another one.
    pub(super) changes: usize,
    /// It would have fallen to TLS.
    pub(super) wanted_tunnel: bool,
}

#[derive(Debug)]
struct Receiving {
    grant: Grant,
    broadcast: Broadcast,
    video: TrackReceiver,
    audio: Option<TrackReceiver>,
    /// `None`: it stays in the group.
    rungs: Option<Rungs>,
    /// When to ask for the kept pictures at the latest; `None` once asked.
    ask_at: Option<Duration>,
    next_report: Duration,
    wished: bool,
}

impl Machine {
    pub(super) fn new(place: &Place, on: Ipv4Addr, signer: VerifyingKey) -> Self {
        Self {
            on,
            signer,
            link: place.link,
            clock: place.clock,
            downlink: Network::new(place.downlink, place.seed),
            batch: place.batch,
            uplink: Network::new(place.uplink, place.seed ^ 1),
            receiving: None,
            planned: None,
            says: VecDeque::new(),
            seen: Seen::default(),
        }
    }

    /// When a datagram for all that is on air now arrives: never, or then. `source` names it if it
    /// is one of the streams' own.
    pub(super) fn carry(&mut self, now: Duration, source: Option<(u32, u64)>) -> Vec<Duration> {
        if !self.is_member() {
            return Vec::new();
        }
        let mut arrivals = self.downlink.carry(now);
        for at in &mut arrivals {
            *at = held(*at, self.batch);
        }
        if let Some(source) = source.filter(|_| arrivals.is_empty()) {
            self.seen.lost.insert(source, held(now + self.downlink.least(), self.batch));
        }
        arrivals
    }

    fn is_member(&self) -> bool {
        let rungs = self.receiving.as_ref().and_then(|receiving| receiving.rungs.as_ref());
        rungs.is_none_or(|rungs| rungs.ladder.wants().group)
    }

    /// The same of one for this machine alone: that is held for nobody who is awake.
    pub(super) fn carry_alone(&mut self, now: Duration) -> Vec<Duration> {
        self.downlink.carry(now)
    }

    /// When what is said now is at the box.
    pub(super) fn utter(&mut self, now: Duration) -> Vec<Duration> {
        self.seen.feedback += 1;
        self.uplink.carry(now)
    }

    pub(super) fn hear(&mut self, now: Duration, told: Told) -> Result<()> {
        let own = self.clock.shows(now);
        match told {
            Told::Grant(grant) => self.admit(own, grant)?,
            Told::Epoch(lesson, epoch) => {
                let receiving = self.receiving.as_mut();
                if let Some(receiving) = receiving.filter(|own| own.grant.lesson == lesson) {
                    receiving.broadcast.take_epoch(&epoch)?;
                    self.says.push_back(FromMachine::HasEpoch { lesson, number: epoch.number });
                }
            }
            Told::Kept(message) => {
                let kept = Kept::parse(&message)?;
                if let Some(receiving) = &mut self.receiving {
                    receiving.take_kept(own, &kept);
                }
            }
            Told::LeaveGroup(serial) => {
                let receiving = self.receiving.as_mut();
                if let Some(receiving) = receiving.filter(|own| own.grant.serial == serial) {
                    self.seen.sent_away += 1;
                    if let Some(rungs) = &mut receiving.rungs {
                        rungs.ladder.ordered();
                    }
                }
            }
        }
        Ok(())
    }

    fn admit(&mut self, own: Duration, grant: Grant) -> Result<()> {
        let ssrcs = |grant: &Grant| {
            let ssrc = |track: &Option<Track>| track.as_ref().map(|track| track.ssrc);
            (grant.lesson, ssrc(&grant.video), ssrc(&grant.audio))
        };
        let epochs: Vec<_> = grant.protection.epochs.iter().map(|epoch| epoch.number).collect();
        let lesson = grant.lesson;
        match &mut self.receiving {
            Some(receiving) if ssrcs(&receiving.grant) == ssrcs(&grant) => {
                receiving.broadcast.granted_again(&grant)?;
                receiving.grant = grant;
            }
            receiving => {
                let rungs = receiving.take().and_then(|receiving| receiving.rungs);
                let rungs = rungs.filter(|rungs| rungs.lesson == lesson);
                let (on, wifi) = (self.on, grant.wifi_multicast);
                let new = self.link.map(|link| Rungs::new(own, (lesson, on), link, wifi));
                *receiving = Receiving::new(own, &self.signer, grant, rungs.or(new))?;
            }
        }
        let standing = self.receiving.as_mut().and_then(|receiving| receiving.stand_again(own));
        self.says.extend(standing);
        let has = |number| FromMachine::HasEpoch { lesson, number };
        self.says.extend(epochs.into_iter().map(has));
        Ok(())
    }

    /// Takes in what arrived.
    pub(super) fn push(&mut self, now: Duration, by: By, datagram: Bytes) {
        let own = self.clock.shows(now);
        let Some(receiving) = &mut self.receiving else { return };
        let is_heard = receiving.broadcast.push(own, datagram);
        if let Some(rungs) = &mut receiving.rungs {
            let (group, flow) = (is_heard && by == By::Group, is_heard && by == By::Flow);
            rungs.heard(own, Heard { group, flow, by_group: group.into(), ..Heard::default() });
        }
    }

    /// Does what is due; gives what is to be said to the box.
    pub(super) fn run(&mut self, now: Duration) -> Vec<Bytes> {
        let own = self.clock.shows(now);
        let Some(receiving) = &mut self.receiving else { return Vec::new() };
        receiving.broadcast.set_round_trip(self.downlink.least() + self.uplink.least());
        while let Some((index, packet)) = receiving.broadcast.poll() {
            let ssrc = packet.header.ssrc;
            if let Some(would_be) = self.seen.lost.remove(&(ssrc, index)) {
                self.seen.repairs.push((now, now.saturating_sub(would_be)));
            }
            let mut tracks = [&mut receiving.video].into_iter().chain(&mut receiving.audio);
            if let Some(track) = tracks.find(|track| track.ssrc() == ssrc) {
                track.live(own, index, packet);
            }
        }
        while let Some(picture) = receiving.video.poll(own) {
            let rtp_time = (picture.timestamp & 0xffff_ffff) as u32;
            self.seen.pictures.entry(rtp_time).or_insert(now);
        }
        while receiving.audio.as_mut().and_then(|audio| audio.poll(own)).is_some() {}
        self.says.extend(receiving.want_kept(own));
        self.says.extend(receiving.report(own, self.seen.pictures.len()));
        let mut words = receiving.climb(own, &mut self.says, &mut self.seen);
        words.extend(std::iter::from_fn(|| receiving.broadcast.feedback(own)));
        words
    }

    /// When to look again, by the true clock.
    pub(super) fn next_timeout(&self) -> Option<Duration> {
        Some(self.clock.when(self.receiving.as_ref()?.next_timeout()))
    }
}

impl Receiving {
    /// `None` before a picture is on air.
    fn new(
        own: Duration,
        signer: &VerifyingKey,
        grant: Grant,
        rungs: Option<Rungs>,
    ) -> Result<Option<Self>> {
        let Some(video) = grant.video.clone() else { return Ok(None) };
        let playout = Duration::from_millis(grant.protection.playout_ms.into());
        let track = |track| TrackReceiver::new(track, playout, own);
        Ok(Some(Self {
            broadcast: Broadcast::signed_by(signer.clone(), &grant, own)?,
            video: track(video),
            audio: grant.audio.clone().map(track),
            rungs,
            grant,
            ask_at: Some(own + FIRST_PACKET_WAIT),
            next_report: own + REPORT_EVERY,
            wished: false,
        }))
    }

    /// What the box is told of the rung by a new grant.
    fn stand_again(&mut self, own: Duration) -> Option<FromMachine> {
        let rungs = self.rungs.as_mut()?;
        rungs.granted_again(own, self.grant.wifi_multicast);
        Some(standing(&self.grant, rungs))
    }

    /// Does what the ladder says; gives what is to be said to the box.
    fn climb(
        &mut self,
        own: Duration,
        says: &mut VecDeque<FromMachine>,
        seen: &mut Seen,
    ) -> Vec<Bytes> {
        let Some(rungs) = &mut self.rungs else { return Vec::new() };
        let stats = self.broadcast.stats();
        rungs.count(own, (stats.received + stats.restored, stats.lost));
        let mut words = Vec::new();
        while let Some(action) = rungs.ladder.poll(own) {
            match action {
                Action::KeepAlive => {
                    let (is_wanted, goes_on) = (rungs.ladder.wants().flow, rungs.goes_on(own));
                    words.extend(self.broadcast.keep_alive(is_wanted, goes_on));
                }
                // No switch of the harness forgets a member.
                Action::Rejoin => {}
                Action::Changed(change) => {
                    rungs.cause = Some(change.cause);
                    seen.changes += 1;
                    says.push_back(standing(&self.grant, rungs));
                }
            }
        }
        seen.wanted_tunnel |= rungs.ladder.wants().tunnel;
        words
    }

    fn take_kept(&mut self, own: Duration, kept: &Kept<'_>) {
        if kept.serial != self.grant.serial {
            return;
        }
        for (index, packet) in &kept.packets {
            self.video.kept(own, *index, packet);
        }
        if kept.last {
            self.video.kept_ended();
        }
    }

    fn want_kept(&mut self, own: Duration) -> Option<FromMachine> {
        let video_from = self.video.first_live();
        self.ask_at.take_if(|at| *at <= own || video_from.is_some())?;
        let audio_from = self.audio.as_ref().and_then(TrackReceiver::first_live);
        Some(FromMachine::WantKept { serial: self.grant.serial, video_from, audio_from })
    }

    /// Each second, and at once when a keyframe is wanted.
    fn report(&mut self, own: Duration, shown: usize) -> Option<FromMachine> {
        let wishes = self.video.wants_keyframe();
        if own < self.next_report && (self.wished || !wishes) {
            return None;
        }
        self.next_report = own + REPORT_EVERY;
        self.wished = wishes;
        let (stats, video) = (self.broadcast.stats(), self.video.stats());
        Some(FromMachine::Report(Report {
            serial: self.grant.serial,
            packets_received: stats.received + stats.restored,
            packets_lost: stats.lost,
            frames_whole: video.frames,
            frames_dropped: video.dropped,
            frames_shown: shown as u64,
            player: true,
            wants_keyframe: wishes,
            // As much as a class may wait for its slowest machine: how D comes about is judged by
            // `playout`, what it is enough for is judged here.
            late_ms: Some(MAX_LATE_MS),
            rung: self.rungs.as_ref().map(|rungs| said(rungs.ladder.rung())),
            refused: stats.forged + stats.failed_decodes + stats.bad_signature,
        }))
    }

    fn next_timeout(&self) -> Duration {
        let tracks = [&self.video].into_iter().chain(&self.audio);
        tracks
            .filter_map(TrackReceiver::next_timeout)
            .chain(self.broadcast.next_timeout())
            .chain(self.ask_at)
            .chain(self.rungs.as_ref().map(Rungs::next_timeout))
            .fold(self.next_report, Duration::min)
    }
}

fn standing(grant: &Grant, rungs: &Rungs) -> FromMachine {
    let (rung, cause) = (said(rungs.ladder.rung()), rungs.cause.map(because));
    FromMachine::Rung { serial: grant.serial, rung, cause }
}
