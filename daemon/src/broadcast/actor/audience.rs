//! The machines of lessons: what they are told, and what they say.

use std::time::Duration;

use alfarid_protocol::{
    control::FromBox,
    id::{LessonId, MachineId},
    rung::Rung,
};
use alfarid_stream::transmit::ReceiverId;
use tokio::sync::oneshot;

use super::Actor;
use crate::{
    broadcast::{
        multicast::Interfaces,
        relay::{self, OnAir},
        rungs::Standing,
        stage::Stage,
        track::{Joiner, Live},
    },
    logging::chain,
    machines::{Link, MediaMessage},
};

impl Actor {
    pub(super) async fn tell_machines(&mut self, lesson: LessonId, on_air: OnAir) {
        let Some(stage) = self.stages.get_mut(&lesson) else { return };
        let ssrc = |stream: Option<Live>| stream.map(|live| live.ssrc);
        let streams = |on_air: OnAir| (ssrc(on_air.video), ssrc(on_air.audio));
        let told = std::mem::replace(&mut stage.told, on_air);
        if told.is_seen() != on_air.is_seen() {
            self.say_scene(lesson);
        }
        if streams(told) != streams(on_air) {
            self.grant_all(lesson).await;
        }
    }

    pub(super) async fn hear(&mut self, message: MediaMessage) {
        let now = self.floor.clock.monotonic();
        match message {
            MediaMessage::Ready(link) => {
                self.leave(link.machine).await;
                self.links.insert(link.machine, link.clone());
                if let Some(lesson) = self.stage_for(&link) {
                    self.enter(lesson, link).await;
                }
            }
            MediaMessage::Gone(machine) => {
                self.links.remove(&machine);
                self.leave(machine).await;
            }
            MediaMessage::Distrusted(machine) => {
                self.links.remove(&machine);
                self.leave(machine).await;
                self.distrust(machine).await;
            }
            MediaMessage::HasEpoch { machine, lesson, number } => {
                self.acknowledge(machine, lesson, number).await;
            }
            MediaMessage::WantKept { machine, serial, video_from, audio_from: _ } => {
                let Some(stage) = self.stage_with(machine) else { return };
                if stage.may_have_kept(now, machine, serial) {
                    let order = relay::Order::Kept { machine, serial, from: video_from };
                    let _ = stage.screen_relay.orders.send(order).await;
                }
            }
            MediaMessage::Rung { machine, serial, rung, cause } => {
                let Some(stage) = self.stage_with(machine) else { return };
                stage.stands(now, machine, serial, Standing { rung, cause });
            }
            MediaMessage::Tunnel { machine, serial, from, lane } => {
                let Some(stage) = self.stage_with(machine) else { return };
                // Without its lane the tunnel ends.
                if stage.serial_of(machine) == Some(serial) {
                    let tunnel = relay::Order::Tunnel { receiver: ReceiverId(serial), lane, from };
                    let _ = stage.screen_relay.orders.send(tunnel).await;
                }
            }
            MediaMessage::Report { machine, report } => {
                let Some(stage) = self.stage_with(machine) else { return };
                let receiver = ReceiverId(report.serial);
                if let Some(late_ms) = report.late_ms
                    && stage.serial_of(machine) == Some(report.serial)
                    && report.rung != Some(Rung::Tunnel)
                {
                    let late = Duration::from_millis(late_ms.into());
                    let needs = relay::Order::Needs { receiver, late };
                    let _ = stage.screen_relay.orders.send(needs).await;
                }
                if stage.note(now, machine, report) {
                    let _ = stage
                        .screen_relay
                        .orders
                        .send(relay::Order::Joins(Joiner::Machine(machine)))
                        .await;
                }
            }
        }
    }

    /// The lesson that a machine belongs to: one that names it before one that has its whole room.
    pub(super) fn stage_for(&self, link: &Link) -> Option<LessonId> {
        let wanting = self
            .stages
            .values()
            .filter_map(|stage| stage.wants(link).map(|is_named| (is_named, stage.airing.lesson)));
        wanting.max().map(|(_, lesson)| lesson)
    }

    fn stage_with(&mut self, machine: MachineId) -> Option<&mut Stage> {
        self.stages.values_mut().find(|stage| stage.receivers.contains_key(&machine))
    }

    pub(super) async fn enter(&mut self, lesson: LessonId, link: Link) {
        let machine = link.machine;
        let now = self.floor.clock.monotonic();
        let allowed = &self.floor.config.media.interfaces;
        let Some(stage) = self.stages.get_mut(&lesson) else { return };
        let scene = stage.enter(now, link, &Interfaces::of_this_box(), allowed);
        self.machines.say(machine, scene);
        set_interfaces(stage).await;
        self.note_carried();
        let Some(stage) = self.stages.get_mut(&lesson) else { return };
        // Asked for now, a fresh keyframe is there by the time the machine has joined the group.
        let _ = stage.screen_relay.orders.send(relay::Order::Joins(Joiner::Machine(machine))).await;
        // Others too, that an interface was missing for.
        let waiting = stage.machines(false);
        for machine in waiting {
            self.grant(lesson, machine).await;
        }
    }

    async fn leave(&mut self, machine: MachineId) {
        if let Some(stage) = self.stage_with(machine) {
            let receiver = stage.receivers.remove(&machine);
            stage.is_news = true;
            stage.keys.left(machine);
            if let Some(serial) = receiver.and_then(|receiver| receiver.serial) {
                let dismiss = relay::Order::Dismiss(ReceiverId(serial));
                let _ = stage.screen_relay.orders.send(dismiss).await;
            }
            set_interfaces(stage).await;
        }
        self.note_carried();
    }

    /// Grants a machine what is on air. The relay knows its new key before the machine does.
    async fn grant(&mut self, lesson: LessonId, machine: MachineId) {
        let now = self.floor.clock.monotonic();
        let serial = self.last_serial.wrapping_add(1);
        let Some(stage) = self.stages.get_mut(&lesson) else { return };
        let earlier = stage.serial_of(machine);
        let wifi_multicast = self.floor.config.media.wifi_multicast;
        let grant = match stage.grant(now, machine, serial, wifi_multicast) {
            Ok(Some(grant)) => grant,
            Ok(None) => return,
            Err(error) => {
                let error = chain(&error);
                tracing::error!(machine.id = %machine, error, "a machine is not granted the lesson");
                return;
            }
        };
        self.last_serial = serial;
        let key = grant.protection.feedback_key.clone();
        let Some(address) = stage.receivers.get(&machine).map(|receiver| receiver.link.peer) else {
            return;
        };
        let admit = relay::Order::Admit { receiver: ReceiverId(serial), address, key };
        let dismiss = earlier.map(|earlier| relay::Order::Dismiss(ReceiverId(earlier)));
        for order in dismiss.into_iter().chain([admit]) {
            let _ = stage.screen_relay.orders.send(order).await;
        }
        self.machines.say(machine, FromBox::Grant(grant));
    }

    /// Tells a machine that all others pay for to receive alone for a while.
    pub(super) fn cast_out(&self, lesson: LessonId, receiver: ReceiverId) {
        let ReceiverId(serial) = receiver;
        let Some(machine) = self.stages.get(&lesson).and_then(|stage| stage.holder(serial)) else {
            return;
        };
        self.machines.say(machine, FromBox::LeaveGroup { serial });
    }

    async fn grant_all(&mut self, lesson: LessonId) {
        let Some(stage) = self.stages.get(&lesson) else { return };
        let machines: Vec<_> = stage.receivers.keys().copied().collect();
        for machine in machines {
            self.grant(lesson, machine).await;
        }
    }

    pub(super) fn say_scene(&self, lesson: LessonId) {
        let Some(stage) = self.stages.get(&lesson) else { return };
        for machine in stage.receivers.keys() {
            self.machines.say(*machine, stage.scene());
        }
    }
}

async fn set_interfaces(stage: &mut Stage) {
    let (reply, ports) = oneshot::channel();
    let order = relay::Order::Interfaces(stage.sources(), reply);
    let _ = stage.screen_relay.orders.send(order).await;
    // A relay that is gone sends nowhere.
    stage.ports = ports.await.unwrap_or_default();
}
