//! Whether the box must ask for the members of multicast groups.
//!
//! A switch with IGMP snooping sends a group only to the ports behind which a host said that it is
//! in it, and forgets a port after some 260 s. Hosts say it again only when asked. Where a router
//! asks, all is well; in many classrooms none does, and four minutes into the lesson the picture
//! stops. So the box asks, on each interface where nobody else is heard to.
//!
//! ```text
//!             nobody heard for two intervals
//!   HUSHED ────────────────────────────────────▶ ASKING ── general query every interval
//!     ▲  ◀──────────────────────────────────────    │
//!     │     a query from a lower address            └─ a higher address: it yields, by the RFC
//!     └── any query: the time begins anew
//! ```
//!
//! Rules, and where they leave
//! [RFC 3376 §6.6.2](https://www.rfc-editor.org/rfc/rfc3376#section-6.6.2):
//! - A router begins by asking and yields afterwards. The box is a guest in the school's network:
//!   with a lower address it would take the switch's role away, and be switched off at night. It
//!   begins by listening, which takes 255 s, and asks in time before members age out at 260 s.
//! - While hushed, every other querier counts, whatever its address. Once asking, the lowest
//!   address is elected, as for everybody.
//! - Queries from 0.0.0.0 are a switch's own, made for somebody's convenience, and take part in no
//!   election ([RFC 4541 §2.1.1](https://www.rfc-editor.org/rfc/rfc4541#section-2.1.1)): other
//!   switches do not take their port for a router's.
//! - It asks in version 2. Hosts of version 3 then answer in version 2 (RFC 3376 §7.2.1), which
//!   every snooping switch understands; one that only knows version 2 would miss a report of
//!   version 3, and the group with it.
//!
//! How it fails: a student who forges queries from a low address hushes the box for as long as it
//! goes on. Then members age out, and those machines notice the silence and fall to unicast, each
//! alone (see [`rung`](crate::rung)).

mod message;
mod packet;

use std::{net::Ipv4Addr, time::Duration};

pub use self::{
    message::{Error, Form, Message, Query, Record, RecordKind},
    packet::{Error as PacketError, Packet},
};

/// Where general queries go: all hosts. With TTL 1 (RFC 3376 §4).
pub const ALL_HOSTS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);

/// The IP option that every IGMP packet carries (RFC 2113), without which some switches do not look
/// into it.
pub const ROUTER_ALERT: [u8; 4] = [0x94, 0x04, 0x00, 0x00];

/// How often is asked, unless somebody wants it otherwise (RFC 3376 §8.2).
pub const INTERVAL: Duration = Duration::from_secs(125);

/// Hosts spread their answers over this time (RFC 3376 §8.3), or over half of a shorter interval:
/// they must have answered when they are asked again.
const RESPONSE: Duration = Duration::from_secs(10);

/// The first queries are closer, in case one is lost (RFC 3376 §8.6, §8.7).
const STARTUP_COUNT: u8 = 2;

/// The very first wants its answers at once: members that said so when the box began to listen age
/// out 5 s later.
const FIRST_RESPONSE: Duration = Duration::from_secs(1);

/// What follows from how often is asked.
#[derive(Clone, Copy, Debug)]
struct Times {
    interval: Duration,
    startup: Duration,
    response: Duration,
    /// Another querier is gone when nothing is heard of it for two intervals and half a response
    /// (RFC 3376 §8.5).
    other_present: Duration,
}

impl Times {
    fn of(interval: Duration) -> Self {
        let response = RESPONSE.min(interval / 2);
        let other_present = 2 * interval + response / 2;
        Self { interval, startup: interval / 4, response, other_present }
    }
}

/// Who asks on this interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Nobody was heard yet, and it is too early to say that nobody is there.
    Listening,
    /// This one does.
    Other(Ipv4Addr),
    /// The box does.
    Asking,
}

/// The box's part on one interface.
#[derive(Clone, Debug)]
pub struct Querier {
    own: Ipv4Addr,
    times: Times,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Hushed { by: Option<Ipv4Addr>, until: Duration },
    Asking { next: Duration, asked: u8 },
}

impl Querier {
    /// Begins to listen on an interface with the address `own`, to ask so often should nobody else.
    /// A new address or a link that came back is a new beginning too: other switches may be behind
    /// it.
    pub fn new(now: Duration, own: Ipv4Addr, interval: Duration) -> Self {
        let times = Times::of(interval);
        Self { own, times, state: State::Hushed { by: None, until: now + times.other_present } }
    }

    /// A message came from `from`, who may be the box itself.
    pub fn heard(&mut self, now: Duration, from: Ipv4Addr, message: &Message) {
        let is_host = !(from.is_unspecified() || from.is_multicast() || from.is_broadcast());
        if !matches!(message, Message::Query(_)) || !is_host || from == self.own {
            return;
        }
        let yields = match self.state {
            State::Hushed { .. } => true,
            State::Asking { .. } => from < self.own,
        };
        if yields {
            self.state = State::Hushed { by: Some(from), until: now + self.times.other_present };
        }
    }

    /// The general query to send now, to [`ALL_HOSTS`] with [`ROUTER_ALERT`].
    pub fn poll(&mut self, now: Duration) -> Option<Query> {
        if now < self.next_timeout() {
            return None;
        }
        let asked = match self.state {
            State::Hushed { .. } => 0,
            State::Asking { asked, .. } => asked,
        };
        let asked_now = asked.saturating_add(1).min(STARTUP_COUNT);
        let pause =
            if asked_now < STARTUP_COUNT { self.times.startup } else { self.times.interval };
        self.state = State::Asking { next: now + pause, asked: asked_now };
        let response = self.times.response;
        let max_response = if asked == 0 { FIRST_RESPONSE.min(response) } else { response };
        Some(Query { group: None, max_response, form: Form::V2 })
    }

    /// When to poll again if nothing is heard before.
    pub fn next_timeout(&self) -> Duration {
        match self.state {
            State::Hushed { until, .. } => until,
            State::Asking { next, .. } => next,
        }
    }

    pub fn role(&self) -> Role {
        match self.state {
            State::Hushed { by: None, .. } => Role::Listening,
            State::Hushed { by: Some(other), .. } => Role::Other(other),
            State::Asking { .. } => Role::Asking,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOX: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 20);
    const LOWER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    const HIGHER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 254);
    const OTHER_PRESENT: Duration = Duration::from_secs(255);

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn query() -> Message {
        Message::Query(Query { group: None, max_response: RESPONSE, form: Form::V2 })
    }

    /// Polls as told and gives the times of the queries sent up to `end`, in milliseconds.
    fn asked(querier: &mut Querier, end: Duration) -> Vec<u128> {
        let mut times = Vec::new();
        while querier.next_timeout() <= end {
            let now = querier.next_timeout();
            times.extend(querier.poll(now).map(|_| now.as_millis()));
        }
        times
    }

    #[test]
    fn where_nobody_asks_the_box_does() {
        let mut querier = Querier::new(secs(0), BOX, INTERVAL);
        assert_eq!(querier.role(), Role::Listening);
        assert_eq!(querier.poll(secs(254)), None);
        let times = asked(&mut querier, secs(600));
        assert_eq!(times, [255_000, 286_250, 411_250, 536_250]);
        assert_eq!(querier.role(), Role::Asking);
    }

    #[test]
    fn the_first_answers_come_before_members_age_out() {
        let mut querier = Querier::new(secs(0), BOX, INTERVAL);
        let first = querier.poll(OTHER_PRESENT).unwrap();
        // 260 s: RFC 3376 §8.4, and what switches have for it.
        assert!(OTHER_PRESENT + first.max_response < secs(260));
        let second = querier.poll(querier.next_timeout()).unwrap();
        assert_eq!(second.max_response, RESPONSE);
    }

    #[test]
    fn who_asks_more_often_leaves_hosts_less_time() {
        let mut querier = Querier::new(secs(0), BOX, secs(4));
        assert_eq!(asked(&mut querier, secs(19)), [9_000, 10_000, 14_000, 18_000]);
        let next = querier.poll(querier.next_timeout()).unwrap();
        assert_eq!(next.max_response, secs(2));
    }

    #[test]
    fn where_somebody_asks_the_box_never_does() {
        for other in [LOWER, HIGHER] {
            let mut querier = Querier::new(secs(0), BOX, INTERVAL);
            for n in 0..10 {
                assert!(asked(&mut querier, secs(125 * n)).is_empty());
                querier.heard(secs(125 * n), other, &query());
                assert_eq!(querier.role(), Role::Other(other));
            }
        }
    }

    #[test]
    fn the_box_takes_over_when_the_other_is_gone() {
        let mut querier = Querier::new(secs(0), BOX, INTERVAL);
        querier.heard(secs(100), HIGHER, &query());
        assert_eq!(asked(&mut querier, secs(360)), [355_000]);
    }

    #[test]
    fn two_queriers_are_settled_by_the_lower_address() {
        let mut querier = Querier::new(secs(0), BOX, INTERVAL);
        asked(&mut querier, secs(300));
        querier.heard(secs(300), HIGHER, &query());
        assert_eq!(querier.role(), Role::Asking, "the higher one will yield");
        querier.heard(secs(301), LOWER, &query());
        assert_eq!(querier.role(), Role::Other(LOWER));
        assert_eq!(querier.next_timeout(), secs(301) + OTHER_PRESENT);
    }

    #[test]
    fn only_queries_of_real_hosts_hush_the_box() {
        let mut querier = Querier::new(secs(0), BOX, INTERVAL);
        let report = Message::ReportV2(Ipv4Addr::new(239, 255, 0, 1));
        querier.heard(secs(1), LOWER, &report);
        querier.heard(secs(1), BOX, &query());
        querier.heard(secs(1), Ipv4Addr::UNSPECIFIED, &query());
        querier.heard(secs(1), Ipv4Addr::BROADCAST, &query());
        querier.heard(secs(1), ALL_HOSTS, &query());
        assert_eq!(querier.role(), Role::Listening);
        assert_eq!(querier.next_timeout(), OTHER_PRESENT);
    }
}
