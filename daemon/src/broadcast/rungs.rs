//! By which way each machine receives, as it says itself, and what those cost that receive alone.
//! Pure, but for the log, which says each change once.

use std::time::Duration;

use alfarid_protocol::{
    id::MachineId,
    rung::{Rung, RungCause},
};
use alfarid_stream::{egress, transmit::ReceiverId};

use super::{
    Limits,
    stage::{Receiver, Stage},
};

/// Where a machine stands on its ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) rung: Rung,
    /// `None`: it began there.
    pub(super) cause: Option<RungCause>,
}

/// Changes of one machine that are said in the log within [`LOG_SPAN`]: an honest one falls at most
/// twice in it and climbs as often.
const LOGGED_MOST: u8 = 6;
const LOG_SPAN: Duration = Duration::from_mins(1);

impl Standing {
    /// Of a machine that has said nothing yet: an older one knows multicast alone.
    pub(super) const FIRST: Self = Self { rung: Rung::Multicast, cause: None };

    /// Takes what a machine says. `true`: that is new.
    pub(super) fn say(&mut self, name: &str, said: Self, may_log: bool) -> bool {
        let before = std::mem::replace(self, said);
        // The same rung, said once more with the next grant or without its cause.
        if said.rung == before.rung {
            self.cause = said.cause.or(before.cause);
            return *self != before;
        }
        let way = way(said.rung);
        match said.cause {
            _ if !may_log => tracing::debug!("{name} receives {way}"),
            Some(RungCause::Carries) => tracing::info!("{name} receives {way} again"),
            Some(cause) => tracing::warn!("{name} receives {way} now: {}", why(cause)),
            None => tracing::info!("{name} receives {way}"),
        }
        true
    }
}

impl Stage {
    /// What publishers are to keep to: the lesson's profile, as far as the egress budget allows.
    pub(super) fn limits(&self) -> Limits {
        let egress::Ask { bitrate_bps, fps } = self.egress.ask();
        Limits { max_fps: fps, max_bitrate_bps: bitrate_bps, ..self.airing.limits }
    }

    /// Weighs what machines that receive alone cost against this budget. `true`: publishers are
    /// asked for something else now.
    pub(super) fn weigh(&mut self, now: Duration, budget_bps: u64) -> bool {
        let machines = self.screen_relay.figures.borrow().served_alone;
        self.egress.set_budget(now, budget_bps);
        self.egress.serves(now, machines);
        let Some(egress::Ask { bitrate_bps, fps }) = self.egress.poll(now) else { return false };
        self.is_news = true;
        if self.egress.is_lowered() {
            tracing::warn!(
                stream.bitrate_bps = bitrate_bps,
                stream.fps = fps,
                "{machines} machines receive the lesson alone: its picture is made smaller for all",
            );
        }
        true
    }

    /// Takes what a machine says of its way to receive.
    pub(super) fn stands(
        &mut self,
        now: Duration,
        machine: MachineId,
        serial: u32,
        said: Standing,
    ) {
        let Some(receiver) = self.receivers.get_mut(&machine) else { return };
        if receiver.serial != Some(serial) {
            return;
        }
        let (since, logged) = &mut receiver.logged;
        if now >= *since + LOG_SPAN {
            (*since, *logged) = (now, 0);
        }
        if receiver.standing.say(&receiver.link.name, said, *logged < LOGGED_MOST) {
            self.is_news = true;
            *logged = logged.saturating_add(1);
        }
    }

    /// The machine's UDP comes from another address than its control connection, so that it is not
    /// sent a flow: said once for each connection, with what to do.
    pub(super) fn warn_of_elsewhere(&mut self) {
        let elsewhere = self.screen_relay.elsewhere.borrow();
        if elsewhere.is_empty() {
            return;
        }
        for receiver in self.receivers.values_mut() {
            let is_elsewhere =
                receiver.serial.is_some_and(|serial| elsewhere.contains(&ReceiverId(serial)));
            if !is_elsewhere || receiver.is_warned_of {
                continue;
            }
            receiver.is_warned_of = true;
            self.is_news = true;
            let name = &receiver.link.name;
            tracing::warn!(
                machine.id = %receiver.link.machine,
                "{name} gets no stream of its own by UDP: that comes from another address than its \
                 connection to the box. Give it one address in the box's network, or take away the \
                 address translation (NAT) or the second way between them",
            );
        }
    }

    /// Why a machine stands where it does: as it says, unless the box knows better.
    pub(super) fn rung_cause(&self, receiver: &Receiver) -> Option<RungCause> {
        let serial = receiver.serial?;
        let Standing { rung, cause } = receiver.standing;
        let is_elsewhere = self.screen_relay.elsewhere.borrow().contains(&ReceiverId(serial));
        let knows_better = is_elsewhere && rung == Rung::Tunnel;
        if knows_better { Some(RungCause::OtherAddress) } else { cause }
    }

    /// The machine that has this grant.
    pub(super) fn holder(&self, serial: u32) -> Option<MachineId> {
        let mut receivers = self.receivers.iter();
        receivers.find(|(_, receiver)| receiver.serial == Some(serial)).map(|(machine, _)| *machine)
    }
}

/// The lesson's own wishes.
pub(super) fn profile(limits: Limits) -> egress::Profile {
    let Limits { max_fps, max_bitrate_bps, max_audio_bitrate_bps, .. } = limits;
    egress::Profile { bitrate_bps: max_bitrate_bps, fps: max_fps, sound_bps: max_audio_bitrate_bps }
}

fn way(rung: Rung) -> &'static str {
    match rung {
        Rung::Multicast => "by multicast",
        Rung::Unicast => "alone, by unicast",
        Rung::Tunnel => "alone, through TLS",
        Rung::Other => "in a way that this box does not know",
    }
}

fn why(cause: RungCause) -> &'static str {
    match cause {
        RungCause::GroupSilent => "nothing by multicast for 0.5 s, the switch may be dropping it",
        RungCause::GroupLossy => "over 2 % of multicast was lost for good",
        RungCause::AloneShort => "it alone lost so much that all others paid for it",
        RungCause::NotAllowed => "it is on a Wi-Fi that is not marked as good for multicast",
        RungCause::UdpSilent => "nothing by UDP for 0.5 s, a firewall may be dropping it",
        RungCause::UdpLossy => "over 2 % of unicast was lost for good",
        RungCause::OtherAddress => "its UDP comes from another address than its connection",
        RungCause::Carries => "it carries again",
        RungCause::Other => "for a reason that this box does not know",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_news_once_and_keeps_its_cause() {
        let mut standing = Standing::FIRST;
        let fall = Standing { rung: Rung::Unicast, cause: Some(RungCause::GroupSilent) };
        assert!(!standing.say("PC 1", Standing::FIRST, true));
        assert!(standing.say("PC 1", fall, true));
        assert!(!standing.say("PC 1", fall, true));
        assert!(
            !standing.say("PC 1", Standing { cause: None, ..fall }, true),
            "a report says no cause"
        );
        assert_eq!(standing, fall);
        let climb = Standing { rung: Rung::Multicast, cause: Some(RungCause::Carries) };
        assert!(standing.say("PC 1", climb, true));
    }
}
