//! This machine's ladder on one link, and what it goes by: what is heard by which way, and what is
//! lost. Pure: time is handed in.

use std::{net::Ipv4Addr, time::Duration};

use alfarid_protocol::{id::LessonId, rung};
use alfarid_stream::rung::{Cause, Ladder, Link, Rung};

use super::lesson::Heard;

/// How often packets are counted.
const COUNT: Duration = Duration::from_secs(1);

/// A flow that was silent for so long has lost something: the box is asked for it.
const SILENT: Duration = Duration::from_millis(250);

#[derive(Debug)]
pub struct Rungs {
    pub ladder: Ladder,
    /// What it is for: another lesson, or another link, has another.
    pub lesson: LessonId,
    pub(super) on: Ipv4Addr,
    link: Link,
    /// Why it is where it is.
    pub cause: Option<Cause>,
    /// When the stream was last heard by any UDP.
    heard_at: Duration,
    next_count: Duration,
    /// Packets of the present grant that are counted already: that came, and that were lost.
    counted: (u64, u64),
    /// Came by the group, and not counted yet; or more than there should have been in time.
    by_group: u64,
}

impl Rungs {
    pub fn new(
        now: Duration,
        (lesson, on): (LessonId, Ipv4Addr),
        link: Link,
        wifi_multicast: bool,
    ) -> Self {
        Self {
            ladder: Ladder::new(now, link, is_allowed(link, wifi_multicast)),
            lesson,
            on,
            link,
            cause: None,
            heard_at: now,
            next_count: now + COUNT,
            counted: (0, 0),
            by_group: 0,
        }
    }

    /// Another grant of the same lesson.
    pub fn granted_again(&mut self, now: Duration, wifi_multicast: bool) {
        self.ladder.allowed(now, is_allowed(self.link, wifi_multicast));
    }

    pub fn heard(&mut self, now: Duration, heard: Heard) {
        self.by_group += heard.by_group;
        if heard.group {
            self.ladder.group_heard(now);
        }
        if heard.flow {
            self.ladder.flow_heard(now);
        }
        if heard.answer {
            self.ladder.flow_answered(now);
        }
        if heard.group || heard.flow {
            self.heard_at = now;
        }
    }

    /// Takes in how many packets came by UDP in all, and were lost for good, since the grant.
    pub fn count(&mut self, now: Duration, (received, lost): (u64, u64)) {
        if now < self.next_count {
            return;
        }
        self.next_count = now + COUNT;
        // A new grant counts from the start.
        let grown = |now: u64, before: u64| now.checked_sub(before).unwrap_or(now);
        let (came, gone) = (grown(received, self.counted.0), grown(lost, self.counted.1));
        self.counted = (received, lost);
        if self.ladder.rung() == Rung::Multicast {
            self.by_group = 0;
        } else {
            // What came a little before it was counted is there for the next second.
            let due = came + gone;
            let missing = due.saturating_sub(self.by_group);
            self.ladder.group_counted(self.by_group.min(due), missing);
            self.by_group = self.by_group.saturating_sub(due).min(due);
        }
        if self.ladder.rung() != Rung::Tunnel {
            self.ladder.counted(now, came, gone);
        }
    }

    /// Whether the machine goes on with what it has, and wants what it lacks since: after a
    /// silence, and where nothing else brings that.
    pub fn goes_on(&self, now: Duration) -> bool {
        self.ladder.rung() != Rung::Tunnel && now >= self.heard_at + SILENT
    }

    pub fn next_timeout(&self) -> Duration {
        self.ladder.next_timeout().min(self.next_count)
    }
}

fn is_allowed(link: Link, wifi_multicast: bool) -> bool {
    link == Link::Wired || wifi_multicast
}

/// A rung as the box is told.
pub fn said(rung: Rung) -> rung::Rung {
    match rung {
        Rung::Tunnel => rung::Rung::Tunnel,
        Rung::Unicast => rung::Rung::Unicast,
        Rung::Multicast => rung::Rung::Multicast,
    }
}

/// A cause as the box is told.
pub fn because(cause: Cause) -> rung::RungCause {
    match cause {
        Cause::GroupSilent => rung::RungCause::GroupSilent,
        Cause::GroupLossy => rung::RungCause::GroupLossy,
        Cause::AloneShort => rung::RungCause::AloneShort,
        Cause::NotAllowed => rung::RungCause::NotAllowed,
        Cause::UdpSilent => rung::RungCause::UdpSilent,
        Cause::UdpLossy => rung::RungCause::UdpLossy,
        Cause::Carries => rung::RungCause::Carries,
    }
}

#[cfg(test)]
mod tests {
    use alfarid_stream::rung::Action;
    use uuid::Uuid;

    use super::*;

    const BY_GROUP: Heard = Heard { group: true, flow: false, answer: false, by_group: 1 };
    const BY_FLOW: Heard = Heard { group: false, flow: true, answer: true, by_group: 0 };

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn rungs(link: Link, wifi_multicast: bool) -> Rungs {
        let place = (LessonId(Uuid::nil()), Ipv4Addr::LOCALHOST);
        Rungs::new(ms(0), place, link, wifi_multicast)
    }

    /// Lives through these milliseconds in steps of 10, with 100 packets a second, and says which
    /// rungs it came to.
    fn live(rungs: &mut Rungs, span: std::ops::Range<u64>, heard: &[Heard]) -> Vec<Rung> {
        let mut came_to = Vec::new();
        for at in span.step_by(10) {
            for heard in heard {
                rungs.heard(ms(at), *heard);
            }
            rungs.count(ms(at), (at / 10, 0));
            while let Some(action) = rungs.ladder.poll(ms(at)) {
                if let Action::Changed(change) = action {
                    came_to.push(change.to);
                }
            }
        }
        came_to
    }

    #[test]
    fn a_machine_on_wi_fi_begins_alone_and_climbs_only_where_an_admin_says_so() {
        let mut alone = rungs(Link::Wireless, false);
        assert_eq!(live(&mut alone, 0..120_000, &[BY_FLOW, BY_GROUP]), []);
        assert_eq!(alone.ladder.rung(), Rung::Unicast);
        let mut marked = rungs(Link::Wireless, true);
        assert_eq!(live(&mut marked, 0..120_000, &[BY_FLOW, BY_GROUP]), [Rung::Multicast]);
    }

    #[test]
    fn a_group_that_carries_a_part_alone_is_not_climbed_to() {
        let mut rungs = rungs(Link::Wired, false);
        assert_eq!(live(&mut rungs, 0..5_000, &[BY_GROUP]), []);
        assert_eq!(live(&mut rungs, 5_000..6_000, &[BY_FLOW]), [Rung::Unicast]);
        // Heard all the time, but of every five packets two are missing.
        let thin = Heard { by_group: 0, ..BY_GROUP };
        let parts = [BY_FLOW, thin];
        assert_eq!(live(&mut rungs, 6_000..50_000, &parts), []);
        assert_eq!(live(&mut rungs, 50_000..150_000, &[BY_FLOW, BY_GROUP]), [Rung::Multicast]);
    }

    #[test]
    fn what_lacks_is_asked_for_after_a_silence_alone() {
        let mut rungs = rungs(Link::Wired, false);
        live(&mut rungs, 0..1_000, &[BY_GROUP]);
        assert!(!rungs.goes_on(ms(1_100)));
        assert!(rungs.goes_on(ms(1_300)));
    }
}
