//! One lesson while it is on: its slots, its machines, and what is said to them.

use std::{
    collections::{HashMap, VecDeque},
    net::Ipv4Addr,
    sync::atomic::Ordering,
    time::Duration,
};

use alfarid_protocol::{
    control::{FromBox, Report},
    grant::{self, Grant, Picture},
    id::{LessonId, MachineId, PublicationId},
};
use alfarid_stream::egress::Egress;
use bytes::Bytes;
use tokio::sync::watch;

use super::{
    Airing, KeysError, PublicationKind,
    keys::{Keys, PLAYOUT_MS},
    multicast::{Group, Interfaces, Ports},
    receivers::{Cause, Reception, Reports, Verdict},
    relay,
    rungs::{Standing, profile},
    state::{Publication, Slot},
    track::Live,
};
use crate::machines::Link;

/// Datagrams that one report of a machine's may say it refused: twice the richest flood in a second.
const MAX_REFUSED: u64 = 10_000;

/// How often one machine gets the kept pictures of one grant.
const KEPT_APART: Duration = Duration::from_secs(2);

/// Seconds of figures that are remembered for judging machines.
const FIGURES: usize = 4;

pub(super) struct Stage {
    pub(super) airing: Airing,
    pub(super) group: Group,
    pub(super) keys: Keys,
    /// The addresses that the screen can be sent from, with the ports that are listened on there.
    pub(super) ports: Ports,
    pub(super) screen: Slot,
    pub(super) person: Slot,
    pub(super) screen_relay: relay::Handle,
    pub(super) person_relay: relay::Handle,
    /// The newest small picture, as JPEG.
    pub(super) preview: watch::Receiver<Option<Bytes>>,
    pub(super) receivers: HashMap<MachineId, Receiver>,
    /// What is on air, as machines were told.
    pub(super) told: relay::OnAir,
    /// What machines that receive alone may cost.
    pub(super) egress: Egress,
    /// Frames per second over the last seconds.
    fps: VecDeque<f32>,
    /// Since when the class is shown everything; `None` while it is not.
    shown_since: Option<Duration>,
    /// Whether it is, for who sends it elsewhere.
    pub(super) shown: watch::Sender<bool>,
    /// Datagrams in the box's name that machines refused, as they say.
    pub(super) refused: u64,
    /// The same as each said last; it outlives the connection. One for each machine that was here.
    refused_of: HashMap<MachineId, u64>,
    /// Whether viewers' packets are tapped.
    pub(super) is_watched: bool,
    /// Something changed that pages show and have not been told.
    pub(super) is_news: bool,
}

/// Where a publication is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) lesson: LessonId,
    pub(super) kind: PublicationKind,
    pub(super) publication: PublicationId,
}

/// A machine of the lesson that is connected.
pub(super) struct Receiver {
    pub(super) link: Link,
    /// The address its packets come from; `None` where the box may not send.
    pub(super) source: Option<Ipv4Addr>,
    /// The grant that it has.
    pub(super) serial: Option<u32>,
    pub(super) reports: Reports,
    pub(super) standing: Standing,
    /// How many of its changes were said in the log, since when.
    pub(super) logged: (Duration, u8),
    /// It was said in the log that its UDP comes from elsewhere.
    pub(super) is_warned_of: bool,
    /// When it last had the kept pictures of that grant.
    kept_at: Option<Duration>,
    /// What pages were told of it.
    shown: Option<(Reception, Option<Cause>)>,
}

impl Stage {
    pub(super) fn new(
        airing: Airing,
        (group, keys): (Group, Keys),
        screen_relay: relay::Handle,
        person_relay: relay::Handle,
        preview: watch::Receiver<Option<Bytes>>,
        budget_bps: u64,
    ) -> Self {
        Self {
            egress: Egress::new(budget_bps, profile(airing.limits)),
            airing,
            group,
            keys,
            ports: Ports::new(),
            screen: Slot::default(),
            person: Slot::default(),
            screen_relay,
            person_relay,
            preview,
            receivers: HashMap::new(),
            told: relay::OnAir::default(),
            fps: VecDeque::with_capacity(FIGURES),
            shown_since: None,
            shown: watch::Sender::new(false),
            refused: 0,
            refused_of: HashMap::new(),
            is_watched: false,
            is_news: true,
        }
    }

    pub(super) fn slot(&mut self, kind: PublicationKind) -> &mut Slot {
        match kind {
            PublicationKind::Screen => &mut self.screen,
            PublicationKind::Person => &mut self.person,
        }
    }

    pub(super) fn relay(&self, kind: PublicationKind) -> &relay::Handle {
        match kind {
            PublicationKind::Screen => &self.screen_relay,
            PublicationKind::Person => &self.person_relay,
        }
    }

    /// Everything that is on air or is to be.
    pub(super) fn publications(&self) -> impl Iterator<Item = (Place, Publication)> + '_ {
        let lesson = self.airing.lesson;
        let slots =
            [(PublicationKind::Screen, &self.screen), (PublicationKind::Person, &self.person)];
        slots.into_iter().flat_map(move |(kind, slot)| {
            slot.publications().map(move |publication| {
                (Place { lesson, kind, publication: publication.id }, publication)
            })
        })
    }

    /// Whether a machine belongs to this lesson: `Some(true)` where it is named, `Some(false)`
    /// where the whole room is.
    pub(super) fn wants(&self, link: &Link) -> Option<bool> {
        if link.room != self.airing.room {
            return None;
        }
        match &self.airing.machines {
            Some(named) => named.contains(&link.machine).then_some(true),
            None => Some(false),
        }
    }

    /// Takes a machine in. Returns what it is told first.
    pub(super) fn enter(
        &mut self,
        now: Duration,
        link: Link,
        interfaces: &Interfaces,
        allowed: &[String],
    ) -> FromBox {
        let receiver = Receiver {
            source: interfaces.source(link.local, allowed),
            serial: None,
            reports: Reports::new(now),
            standing: Standing::FIRST,
            logged: (now, 0),
            is_warned_of: false,
            kept_at: None,
            shown: None,
            link,
        };
        self.receivers.insert(receiver.link.machine, receiver);
        self.is_news = true;
        self.scene()
    }

    /// The addresses that packets leave from: one for each interface that has a machine.
    pub(super) fn sources(&self) -> Vec<Ipv4Addr> {
        let mut sources: Vec<_> = self.receivers.values().filter_map(|r| r.source).collect();
        sources.sort_unstable();
        sources.dedup();
        sources
    }

    /// Changes what there is to put on air.
    pub(super) fn change(&mut self, now: Duration, change: impl FnOnce(&mut Airing)) {
        let before = self.airing.picture;
        change(&mut self.airing);
        self.egress.profile(now, profile(self.airing.limits));
        if before != Picture::Live && self.airing.picture == Picture::Live {
            for receiver in self.receivers.values_mut() {
                receiver.reports.begin_anew();
            }
        }
        self.is_news = true;
    }

    /// Notes whether the class is shown everything. To be called when that may have changed.
    pub(super) fn note_shown(&mut self, now: Duration) {
        let is_shown = self.airing.picture == Picture::Live;
        self.shown_since = is_shown.then(|| self.shown_since.unwrap_or(now));
        self.shown.send_if_modified(|told| std::mem::replace(told, is_shown) != is_shown);
    }

    /// How long the class has been shown everything.
    pub(super) fn shown_for(&self, now: Duration) -> Duration {
        self.shown_since.map_or(Duration::ZERO, |since| now.saturating_sub(since))
    }

    /// Whether a screen is on air, and its publisher can be heard.
    pub(super) fn is_on_air(&self) -> bool {
        self.told.is_seen()
    }

    /// What every screen shows beside the stream.
    pub(super) fn scene(&self) -> FromBox {
        FromBox::Stage(grant::Stage {
            lesson: self.airing.lesson,
            title: self.airing.title.clone(),
            picture: self.airing.picture,
            recording: self.airing.recording,
            on_air: self.is_on_air(),
            ends_by_itself_at: self.airing.ends_by_itself_at,
        })
    }

    /// How a machine is to receive what is on air. `None`: there is nothing, or no way.
    pub(super) fn grant(
        &mut self,
        now: Duration,
        machine: MachineId,
        serial: u32,
        wifi_multicast: bool,
    ) -> Result<Option<Grant>, KeysError> {
        let next = &self.screen_relay.next;
        let video = self.told.video.map(|stream| track(stream, next.video.load(Ordering::Relaxed)));
        let audio = self.told.audio.map(|stream| track(stream, next.audio.load(Ordering::Relaxed)));
        let Some(receiver) = self.receivers.get_mut(&machine) else { return Ok(None) };
        let Some(source) = receiver.source else { return Ok(None) };
        let Some(repair_port) = self.ports.get(&source).copied() else { return Ok(None) };
        if video.is_none() && audio.is_none() {
            return Ok(None);
        }
        let protection = self.keys.grant(machine, repair_port)?;
        receiver.serial = Some(serial);
        receiver.kept_at = None;
        receiver.reports = Reports::new(now);
        Ok(Some(Grant {
            serial,
            lesson: self.airing.lesson,
            group: self.group.address,
            port: self.group.port,
            source,
            video,
            audio,
            protection,
            wifi_multicast,
        }))
    }

    /// The grant that a machine has.
    pub(super) fn serial_of(&self, machine: MachineId) -> Option<u32> {
        self.receivers.get(&machine)?.serial
    }

    /// Every machine that has a grant, or that has none.
    pub(super) fn machines(&self, is_granted: bool) -> Vec<MachineId> {
        let of = |receiver: &&Receiver| receiver.serial.is_some() == is_granted;
        self.receivers.values().filter(of).map(|receiver| receiver.link.machine).collect()
    }

    /// Whether a machine may have the kept pictures: of the grant that it has, and not over and
    /// over, for they are large.
    pub(super) fn may_have_kept(&mut self, now: Duration, machine: MachineId, serial: u32) -> bool {
        let Some(receiver) = self.receivers.get_mut(&machine) else { return false };
        let is_patient = receiver.kept_at.is_none_or(|at| now >= at + KEPT_APART);
        let may = receiver.serial == Some(serial) && is_patient;
        if may {
            receiver.kept_at = Some(now);
        }
        may
    }

    /// Notes a report. `true`: the machine would be helped by a keyframe.
    pub(super) fn note(&mut self, now: Duration, machine: MachineId, report: Report) -> bool {
        let Some(receiver) = self.receivers.get(&machine) else { return false };
        if receiver.serial != Some(report.serial) {
            return false;
        }
        let wants_keyframe = report.wants_keyframe;
        if let Some(rung) = report.rung {
            self.stands(now, machine, report.serial, Standing { rung, cause: None });
        }
        if let Some(receiver) = self.receivers.get_mut(&machine) {
            // An agent that began anew counts from nothing. Its own word may be any number.
            let before = self.refused_of.insert(machine, report.refused).unwrap_or_default();
            let grown = report.refused.checked_sub(before).unwrap_or(report.refused);
            let grown = grown.min(MAX_REFUSED);
            self.refused = self.refused.saturating_add(grown);
            receiver.reports.note(now, report);
        }
        wants_keyframe
    }

    /// Takes the figures of the last second.
    pub(super) fn count(&mut self) {
        if self.fps.len() == FIGURES {
            self.fps.pop_front();
        }
        let fps = self.screen_relay.figures.borrow().fps;
        self.fps.push_back(fps);
        self.is_news |= self.is_on_air();
        self.warn_of_elsewhere();
    }

    /// How long after it is due everybody shows a picture: as the grants have it, before the first
    /// one is on air.
    pub(super) fn playout_ms(&self) -> u16 {
        let playout = self.screen_relay.figures.borrow().playout;
        let millis =
            playout.filter(|playout| !playout.is_zero()).map(|playout| playout.as_millis());
        millis.and_then(|millis| u16::try_from(millis).ok()).unwrap_or(PLAYOUT_MS)
    }

    pub(super) fn judge(&self, now: Duration, receiver: &Receiver) -> Verdict {
        if receiver.source.is_none_or(|source| !self.ports.contains_key(&source)) {
            let (state, cause) = (Reception::Stalled, Some(Cause::NoInterface));
            return Verdict { state, cause, fps: 0.0, lost_ratio: 0.0 };
        }
        // The least of the last seconds: what has only just begun to move cannot be missed yet.
        let least = self.fps.iter().copied().fold(f32::INFINITY, f32::min);
        let sent = self.is_on_air().then_some(if least.is_finite() { least } else { 0.0 });
        receiver.reports.judge(now, sent, self.airing.picture)
    }

    /// Notices machines that are other than they were shown.
    pub(super) fn look(&mut self, now: Duration) {
        let verdicts: Vec<_> = self
            .receivers
            .iter()
            .map(|(machine, receiver)| (*machine, self.judge(now, receiver)))
            .collect();
        for (machine, verdict) in verdicts {
            let shown = Some((verdict.state, verdict.cause));
            if let Some(receiver) = self.receivers.get_mut(&machine)
                && receiver.shown != shown
            {
                receiver.shown = shown;
                self.is_news = true;
            }
        }
    }
}

fn track(stream: Live, next_index: u64) -> grant::Track {
    grant::Track {
        codec: codec(stream.codec),
        ssrc: stream.ssrc,
        payload_type: stream.payload_type,
        clock_rate: stream.codec.clock_rate(),
        next_index,
    }
}

/// The codec as machines and pages know it.
pub(super) fn codec(codec: alfarid_stream::Codec) -> grant::Codec {
    match codec {
        alfarid_stream::Codec::H264 => grant::Codec::H264,
        alfarid_stream::Codec::Vp8 => grant::Codec::Vp8,
        alfarid_stream::Codec::Opus => grant::Codec::Opus,
    }
}
