//! What people see of a lesson's stream.

use std::{net::Ipv4Addr, time::Duration};

use alfarid_protocol::{
    grant::{Codec, Picture},
    id::{MachineId, PublicationId, RoomId, TeacherId},
    rung::{Rung, RungCause},
    time::Timestamp,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Limits, PublicationKind, SourceKind,
    protected::Unheard,
    receivers::{Cause, Reception, Verdict},
    relay,
    stage::{Stage, codec},
    state::Publication,
};
use crate::machines::Machine;

#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct StreamState {
    /// Whether a screen is on air, and its publisher can be heard.
    pub on_air: bool,
    /// What whoever publishes is to keep to.
    #[schema(required = false)]
    pub limits: Limits,
    pub publications: Vec<PublicationState>,
    pub machines: Vec<MachineReception>,
    pub multicast: Option<MulticastAddress>,
    #[schema(required = false)]
    pub egress: EgressState,
    #[schema(required = false)]
    pub refused: RefusedState,
}

/// What came in the lesson and was not taken. The first two: somebody forges. All of it was dropped:
/// nothing of it was shown or heard.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct RefusedState {
    /// In the box's name, by what machines say that receive it: each counts what reached it.
    pub by_machines: u64,
    /// To the box, in a machine's name without that machine's key.
    pub forged: u64,
    /// To the box, once more, or overtaken on the way: that happens on any Wi-Fi.
    pub replayed: u64,
    /// To the box, by nobody that is in the lesson (any more), from another address than the
    /// machine's, or without sense.
    pub strange: u64,
}

/// What machines cost that receive alone, by unicast or through TLS: each of them the stream once
/// more.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct EgressState {
    pub machines: u32,
    /// The picture is smaller than the lesson's quality wants it, so that all of them get it.
    pub is_lowered: bool,
    /// What is published is still too much for them all: whoever publishes does not follow.
    pub is_over: bool,
}

/// What the class is shown of a lesson.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Showing {
    /// A screen is on air, and its publisher can be heard.
    pub on_air: bool,
    /// A screen is on air, though it may be silent just now.
    pub has_screen: bool,
    pub picture: Picture,
    /// How long the class has been shown everything; nothing while it is not.
    pub shown_for: Duration,
    pub codec_video: Option<Codec>,
    pub has_sound: bool,
    pub has_voice: bool,
    pub is_recorded: bool,
    /// How long after it is on air everybody shows it.
    pub playout_ms: u16,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PublicationState {
    pub id: PublicationId,
    pub kind: PublicationKind,
    pub source: SourceKind,
    /// By a program like OBS: it may show a whole screen, and no browser knows of it.
    pub by_stream_key: bool,
    pub teacher_id: TeacherId,
    /// `null` until it has taken over.
    pub codec_video: Option<Codec>,
    pub codec_audio: Option<Codec>,
    pub width: Option<u32>,
    pub height: Option<u32>,
    pub fps: f32,
    pub bitrate_bps: u64,
    /// On the way to the box.
    pub packets_lost: u64,
    pub since_at: Timestamp,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct MachineReception {
    pub machine_id: MachineId,
    pub name: String,
    /// By which way it gets the stream; `null` while it gets none.
    pub rung: Option<Rung>,
    /// Why it went there; `null` where it began there.
    pub rung_cause: Option<RungCause>,
    pub state: Reception,
    /// Frames shown per second.
    pub fps: f32,
    /// Share of the packets that were lost over the last seconds, 0 to 1.
    pub lost_ratio: f32,
    pub cause: Option<Cause>,
}

#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct MulticastAddress {
    #[schema(value_type = String)]
    pub group: Ipv4Addr,
    pub port: u16,
}

/// A view that still lacks the machines that are not connected.
pub(super) struct View {
    pub(super) state: StreamState,
    pub(super) room: RoomId,
    named: Option<Vec<MachineId>>,
}

impl View {
    pub(super) fn of(stage: &Stage, now: Duration) -> Self {
        let relay = |kind| stage.relay(kind);
        let publications =
            stage.publications().map(|(place, of)| describe(place.kind, of, relay(place.kind)));
        let receptions = stage.receivers.values().map(|receiver| {
            let Verdict { state, cause, fps, lost_ratio } = stage.judge(now, receiver);
            MachineReception {
                machine_id: receiver.link.machine,
                name: receiver.link.name.clone(),
                rung: receiver.serial.map(|_| receiver.standing.rung),
                rung_cause: stage.rung_cause(receiver),
                state,
                fps,
                lost_ratio,
                cause,
            }
        });
        let address = MulticastAddress { group: stage.group.address, port: stage.group.port };
        Self {
            state: StreamState {
                on_air: stage.is_on_air(),
                limits: stage.limits(),
                publications: publications.collect(),
                machines: receptions.collect(),
                multicast: stage.is_on_air().then_some(address),
                egress: egress(stage),
                refused: refused(stage),
            },
            room: stage.airing.room,
            named: stage.airing.machines.clone(),
        }
    }

    /// Adds the machines of the lesson that are off, and puts all in order.
    pub(super) fn add_absent(&mut self, all: Vec<Machine>) {
        let named =
            |machine: &Machine| self.named.as_ref().is_none_or(|named| named.contains(&machine.id));
        for machine in all.into_iter().filter(|machine| machine.is_approved && named(machine)) {
            let present = &mut self.state.machines;
            match present.iter_mut().find(|present| present.machine_id == machine.id) {
                // It may have been renamed since it connected.
                Some(present) => present.name = machine.name,
                None => present.push(MachineReception {
                    machine_id: machine.id,
                    name: machine.name,
                    rung: None,
                    rung_cause: None,
                    state: Reception::Off,
                    fps: 0.0,
                    lost_ratio: 0.0,
                    cause: None,
                }),
            }
        }
        self.state.machines.sort_by(|a, b| (&a.name, a.machine_id).cmp(&(&b.name, b.machine_id)));
    }
}

fn egress(stage: &Stage) -> EgressState {
    let figures = *stage.screen_relay.figures.borrow();
    EgressState {
        machines: figures.served_alone,
        is_lowered: stage.egress.is_lowered(),
        is_over: !stage.egress.bears(figures.bitrate_bps),
    }
}

fn refused(stage: &Stage) -> RefusedState {
    let Unheard { forged, replayed, strangers, malformed } =
        stage.screen_relay.figures.borrow().unheard;
    let strange = strangers + malformed;
    RefusedState { by_machines: stage.refused, forged, replayed, strange }
}

fn describe(
    kind: PublicationKind,
    publication: Publication,
    relay: &relay::Handle,
) -> PublicationState {
    let on_air = *relay.on_air.borrow();
    let is_on_air = on_air.publication == Some(publication.id);
    let on_air = if is_on_air { on_air } else { relay::OnAir::default() };
    let figures = if is_on_air { *relay.figures.borrow() } else { relay::Figures::default() };
    let size = on_air.video.and_then(|video| video.size);
    PublicationState {
        id: publication.id,
        kind,
        source: publication.source,
        by_stream_key: publication.by_stream_key,
        teacher_id: publication.teacher,
        codec_video: on_air.video.map(|video| codec(video.codec)),
        codec_audio: on_air.audio.map(|audio| codec(audio.codec)),
        width: size.map(|size| size.width),
        height: size.map(|size| size.height),
        fps: figures.fps,
        bitrate_bps: figures.bitrate_bps,
        packets_lost: figures.packets_lost,
        since_at: publication.since,
    }
}
