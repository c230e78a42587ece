//! By which way each machine receives, as it says itself; and what it says is put into the log once.
//! Pure, but for the log.

use alfarid_protocol::rung::{Rung, RungCause};

/// Where a machine stands on its ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) rung: Rung,
    /// `None`: it began there.
    pub(super) cause: Option<RungCause>,
}

impl Standing {
    /// Of a machine that has said nothing yet: an older one knows multicast alone.
    pub(super) const FIRST: Self = Self { rung: Rung::Multicast, cause: None };

    /// Takes what a machine says. `true`: that is new.
    pub(super) fn say(&mut self, name: &str, said: Self) -> bool {
        let before = std::mem::replace(self, said);
        // The same rung, said once more with the next grant or without its cause.
        if said.rung == before.rung {
            self.cause = said.cause.or(before.cause);
            return *self != before;
        }
        let way = way(said.rung);
        match said.cause {
            Some(RungCause::Carries) => tracing::info!("{name} receives {way} again"),
            Some(cause) => tracing::warn!("{name} receives {way} now: {}", why(cause)),
            None => tracing::info!("{name} receives {way}"),
        }
        true
    }
}

fn way(rung: Rung) -> &'static str {
    match rung {
        Rung::Multicast => "by multicast",
        Rung::Unicast => "alone, by unicast",
        Rung::Tunnel => "alone, through TLS",
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
        assert!(!standing.say("PC 1", Standing::FIRST));
        assert!(standing.say("PC 1", fall));
        assert!(!standing.say("PC 1", fall));
        assert!(!standing.say("PC 1", Standing { cause: None, ..fall }), "a report says no cause");
        assert_eq!(standing, fall);
        let climb = Standing { rung: Rung::Multicast, cause: Some(RungCause::Carries) };
        assert!(standing.say("PC 1", climb));
    }
}
