//! What went over a host's wire, seen at its own interface with the kernel's timestamps.
//!
//! A packet socket sees what leaves after everything on the host had its say, and what arrives
//! before the host's rules (so before [`crate::faults`]) had theirs.

mod packet;
mod watch;

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    ops::Sub,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Result;
use nix::time::ClockId;
use tokio::runtime::Handle;

pub use self::{
    packet::{Direction, Packet},
    watch::Watch,
};
use crate::calendar;

/// Packets, and their bytes with the IP header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub packets: u64,
    pub bytes: u64,
}

impl Tally {
    fn add(&mut self, bytes: u64) {
        self.packets += 1;
        self.bytes += bytes;
    }
}

impl Sub for Tally {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self { packets: self.packets - earlier.packets, bytes: self.bytes - earlier.bytes }
    }
}

/// What was counted up to a moment. `later - earlier` is what went between two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub sent: Tally,
    pub received: Tally,
    /// UDP to groups of 239.0.0.0/8, by group and port: media, neither mDNS nor IGMP.
    pub sent_to_groups: BTreeMap<SocketAddr, Tally>,
    pub received_for_groups: BTreeMap<SocketAddr, Tally>,
}

impl Counts {
    fn add(&mut self, packet: &Packet<'_>) {
        let (all, groups) = match packet.direction {
            Direction::Received => (&mut self.received, &mut self.received_for_groups),
            Direction::Sent => (&mut self.sent, &mut self.sent_to_groups),
        };
        all.add(packet.ip_bytes);
        let is_group = matches!(packet.destination.ip(), IpAddr::V4(to) if to.octets()[0] == 239);
        // IGMP goes to the group itself, and has no port.
        if is_group && packet.destination.port() != 0 {
            groups.entry(packet.destination).or_default().add(packet.ip_bytes);
        }
    }
}

impl Sub<&Self> for Counts {
    type Output = Self;

    fn sub(self, earlier: &Self) -> Self {
        Self {
            sent: self.sent - earlier.sent,
            received: self.received - earlier.received,
            sent_to_groups: difference(self.sent_to_groups, &earlier.sent_to_groups),
            received_for_groups: difference(self.received_for_groups, &earlier.received_for_groups),
        }
    }
}

/// A stream in which nothing went in between is left out.
fn difference(
    later: BTreeMap<SocketAddr, Tally>,
    earlier: &BTreeMap<SocketAddr, Tally>,
) -> BTreeMap<SocketAddr, Tally> {
    let since =
        |(stream, tally)| (stream, tally - earlier.get(&stream).copied().unwrap_or_default());
    later.into_iter().map(since).filter(|(_, tally)| tally.packets > 0).collect()
}

/// Counts until it is dropped.
#[derive(Debug)]
pub struct Traffic {
    counts: Arc<Mutex<Counts>>,
    watch: Watch,
}

impl Traffic {
    pub(crate) fn count(runtime: &Handle) -> Result<Self> {
        let counts = Arc::new(Mutex::new(Counts::default()));
        let counting = Arc::clone(&counts);
        let watch = Watch::start(
            runtime,
            Box::new(move |packet| {
                counting.lock().unwrap_or_else(PoisonError::into_inner).add(packet);
            }),
        )?;
        Ok(Self { counts, watch })
    }

    /// Everything that the kernel saw before this moment is in it.
    pub fn so_far(&self) -> Counts {
        self.watch.catch_up();
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// When by `CLOCK_MONOTONIC`, as players write it down, the kernel saw a packet `at` that time: as
/// long as nobody sets the calendar meanwhile.
pub fn monotonic(at: Duration) -> Duration {
    calendar::by(ClockId::CLOCK_MONOTONIC, at)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn counts_since_a_moment_leave_out_streams_that_were_silent() {
        let packet = Packet {
            direction: Direction::Sent,
            at: Duration::ZERO,
            source: "10.77.0.1:4000".parse().unwrap(),
            destination: "239.255.1.2:5004".parse().unwrap(),
            ip_bytes: 33,
            payload: b"hello",
        };
        let mut counts = Counts::default();
        counts.add(&packet);
        let earlier = counts.clone();
        assert_eq!((counts.clone() - &earlier).sent_to_groups.len(), 0);

        counts.add(&packet);
        let since = counts - &earlier;

        assert_eq!(since.sent_to_groups[&packet.destination], Tally { packets: 1, bytes: 33 });
        assert_eq!(since.sent, Tally { packets: 1, bytes: 33 });
    }
}
