//! The keys of lessons, as time passes and machines lose trust.

use std::time::Duration;

use alfarid_protocol::{
    control::FromBox,
    id::{LessonId, MachineId},
};
use tracing::Instrument;

use super::Actor;
use crate::{
    broadcast::{keys::Turn, relay, stage::Stage},
    logging::{self, chain},
    machines,
};

impl Actor {
    /// How long until the keys of some lesson are to be looked at.
    pub(super) fn until_keys(&self) -> Duration {
        let now = self.floor.clock.monotonic();
        let due = self.stages.values().map(|stage| stage.keys.next_timeout()).min();
        due.map_or(Duration::ZERO, |at| at.saturating_sub(now))
    }

    /// Moves the keys of every lesson on as far as they are due.
    pub(super) async fn turn_keys(&mut self) {
        let now = self.floor.clock.monotonic();
        for (lesson, stage) in &mut self.stages {
            let turning = turn(now, *lesson, stage, &self.machines);
            turning.instrument(logging::lesson(*lesson)).await;
        }
    }

    /// A machine lost trust: no lesson may go on with a key that it has.
    pub(super) async fn distrust(&mut self, machine: MachineId) {
        for stage in self.stages.values_mut() {
            stage.keys.distrusted(machine);
        }
        self.turn_keys().await;
    }

    /// A machine has a key of its lesson.
    pub(super) async fn acknowledge(&mut self, machine: MachineId, lesson: LessonId, number: u32) {
        if let Some(stage) = self.stages.get_mut(&lesson) {
            stage.keys.acknowledged(machine, number);
            let now = self.floor.clock.monotonic();
            turn(now, lesson, stage, &self.machines).instrument(logging::lesson(lesson)).await;
        }
    }
}

async fn turn(now: Duration, lesson: LessonId, stage: &mut Stage, machines: &machines::Handle) {
    loop {
        match stage.keys.poll(now) {
            Ok(Some(Turn::Granted(epoch))) => {
                for machine in stage.machines(true) {
                    machines.say(machine, FromBox::Epoch { lesson, epoch: epoch.clone() });
                }
            }
            Ok(Some(Turn::Switched { epoch, late })) => {
                let number = epoch.number;
                if late.is_empty() {
                    tracing::info!(epoch = number, "lesson {lesson} has its key {number}");
                } else {
                    tracing::warn!(
                        epoch = number, machines = ?late,
                        "lesson {lesson} has its key {number}, and {} machines have not",
                        late.len(),
                    );
                }
                let _ = stage.screen_relay.orders.send(relay::Order::Switch(epoch)).await;
            }
            Ok(None) => return,
            Err(error) => {
                let error = chain(&error);
                tracing::error!(error, "a lesson's key cannot be changed, and serves on");
                return;
            }
        }
    }
}
