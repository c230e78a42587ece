//! Whether a switch sends other rooms' streams to the box. Pure: seconds and what was overheard in
//! them come in.
//!
//! ```text
//!            other groups for LOUD seconds
//!   QUIET ───────────────────────────────────▶ FLOODED
//!     ▲         nothing for CALM seconds          │
//!     └───────────────────────────────────────────┘
//! ```
//!
//! A switch that snoops sends all groups to where a querier is, for a router may be there
//! ([RFC 4541 §2.1.2](https://www.rfc-editor.org/rfc/rfc4541#section-2.1.2)): while the box asks, and
//! until switches have forgotten that it did, what it hears says nothing, and the verdict stays.

use std::{net::Ipv4Addr, time::Duration};

/// Half of what a lesson sends on a still screen: ten heartbeats a second.
const STREAM: usize = 5;

/// A switch that has just begun to snoop, or a group that is about to be left, floods for a moment.
const LOUD: u32 = 10;

const CALM: u32 = 30;

/// A port is taken for a router's for so long after a query (RFC 4541 leaves it to the switch; Linux
/// and most others have 260 to 300 s).
const ROUTER_PORT: Duration = Duration::from_mins(5);

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flood {
    /// Seconds in a row that speak against the verdict.
    against: u32,
    /// One of the groups, while it is flooded.
    group: Option<Ipv4Addr>,
    /// Nothing is known before.
    blind_until: Duration,
}

impl Flood {
    /// Begins to look, where the box asked last at this moment.
    pub(super) fn after(asked: Option<Duration>) -> Self {
        let blind_until = asked.map_or(Duration::ZERO, |asked| asked + ROUTER_PORT);
        Self { blind_until, ..Self::default() }
    }

    /// A second has passed in which so many datagrams for groups of others came, one of them for
    /// this one.
    pub(super) fn second(
        &mut self,
        now: Duration,
        is_asking: bool,
        (count, of): (usize, Option<Ipv4Addr>),
    ) {
        if is_asking {
            self.blind_until = now + ROUTER_PORT;
        }
        let is_loud = count >= STREAM;
        if now < self.blind_until || is_loud == self.group.is_some() {
            self.against = 0;
            return;
        }
        self.against += 1;
        let needed = if is_loud { LOUD } else { CALM };
        if self.against >= needed {
            self.against = 0;
            self.group = of.filter(|_| is_loud);
        }
    }

    /// A group that reaches the box unasked.
    pub(super) fn group(&self) -> Option<Ipv4Addr> {
        self.group
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHER: Ipv4Addr = Ipv4Addr::new(239, 255, 7, 7);
    const STREAMING: (usize, Option<Ipv4Addr>) = (10, Some(OTHER));

    fn live(
        flood: &mut Flood,
        seconds: std::ops::Range<u64>,
        is_asking: bool,
        heard: (usize, Option<Ipv4Addr>),
    ) -> Option<Ipv4Addr> {
        for second in seconds {
            flood.second(Duration::from_secs(second), is_asking, heard);
        }
        flood.group()
    }

    #[test]
    fn another_room_s_stream_is_noticed_and_so_is_its_end() {
        let mut flood = Flood::default();
        assert_eq!(live(&mut flood, 0..9, false, STREAMING), None);
        assert_eq!(live(&mut flood, 9..10, false, STREAMING), Some(OTHER));
        assert_eq!(live(&mut flood, 10..39, false, (0, None)), Some(OTHER));
        assert_eq!(live(&mut flood, 39..41, false, (0, None)), None);
    }

    #[test]
    fn a_moment_and_a_few_stray_datagrams_are_no_flood() {
        let mut flood = Flood::default();
        for start in [0, 10, 20] {
            assert_eq!(live(&mut flood, start..start + 9, false, STREAMING), None);
            assert_eq!(live(&mut flood, start + 9..start + 10, false, (4, Some(OTHER))), None);
        }
    }

    #[test]
    fn a_querier_is_sent_all_groups_by_good_switches_too() {
        let mut flood = Flood::default();
        assert_eq!(live(&mut flood, 0..100, true, STREAMING), None);
        assert_eq!(live(&mut flood, 100..399, false, STREAMING), None);
        assert_eq!(live(&mut flood, 399..420, false, STREAMING), Some(OTHER));
        assert_eq!(live(&mut flood, 420..600, true, (0, None)), Some(OTHER), "it stays");
    }
}
