//! What the box does for the switches that lessons go through, and what it notices of them.
//!
//! A switch with IGMP snooping must be asked for, or it forgets who is in a group; where nobody else
//! does that the box does (see [`querier`]). A switch without snooping sends every room's stream to
//! everybody; where that reaches the box unasked it says so on the health page (see [`Flood`]).
//!
//! ```text
//!   actor ── which interfaces carry a lesson ──▶ ports ─┬─ IGMP ─▶ querier ─▶ queries
//!                                                       └─ overheard ─▶ flood ─▶ health
//! ```
//!
//! Once a second everything that is there is looked at: nothing here is in a hurry.
//!
//! How it fails: without `CAP_NET_RAW`, or on an interface that refuses, nothing is asked and nothing
//! overheard. The health page says so, and lessons go on.

mod flood;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
    net::{Ipv4Addr, SocketAddrV4},
    time::Duration,
};

use alfarid_stream::querier::{self, ALL_HOSTS, Message, Packet, Querier, Role};
use socket2::Socket;
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use self::flood::Flood;
use super::multicast::Interfaces;
use crate::{
    floor::Floor,
    health::{FaultCode, Severity},
    socket,
};

const LOOK: Duration = Duration::from_secs(1);

/// Messages that are read on one interface in a second: hosts answer a query in ten. More are
/// dropped by the kernel, and a querier that was missed says it again.
const MESSAGES: usize = 256;

/// Longer than any IGMP query; what is cut is refused by its contents.
const MESSAGE: usize = 1_500;

/// Datagrams that are looked at in a second: enough to tell a stream.
const OVERHEARD: usize = 64;

/// What the box has on air, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Carried {
    /// The box's addresses on the interfaces that a lesson goes out by.
    pub(super) interfaces: BTreeSet<Ipv4Addr>,
    pub(super) groups: BTreeSet<Ipv4Addr>,
}

/// The task.
pub(super) struct Snooping {
    floor: Floor,
    carried: watch::Receiver<Carried>,
    /// By address. Empty while no lesson is on.
    ports: BTreeMap<Ipv4Addr, Port>,
    /// When the box last asked, by address: switches remember that beyond a lesson. At most an entry
    /// for each address that the box ever had.
    asked: BTreeMap<Ipv4Addr, Duration>,
    /// Whether that fault stands.
    is_flooded: bool,
    is_unavailable: bool,
}

/// An interface that carries a lesson.
struct Port {
    name: String,
    local: Ipv4Addr,
    igmp: Socket,
    overheard: Option<Socket>,
    querier: Querier,
    /// As it was said last.
    role: Role,
    flood: Flood,
    /// Said once per trouble.
    is_failing: bool,
}

impl Snooping {
    pub(super) fn new(floor: &Floor, carried: watch::Receiver<Carried>) -> Self {
        Self {
            floor: floor.clone(),
            carried,
            ports: BTreeMap::new(),
            asked: BTreeMap::new(),
            is_flooded: false,
            is_unavailable: false,
        }
    }

    pub(super) async fn run(mut self, stopping: CancellationToken) {
        if let Err(error) = socket::may_speak_igmp() {
            self.raise_unavailable(&format!("the system refuses: {error}"));
        }
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                changed = self.carried.changed() => match changed {
                    Ok(()) => self.follow(),
                    Err(_) => return,
                },
                _ = look.tick(), if !self.carried.borrow().interfaces.is_empty() => {
                    // A card that was pulled out and is back again.
                    self.follow();
                    self.look();
                }
            }
            self.tell_flood();
        }
    }

    /// Opens what is missing, and closes what no lesson needs any more.
    fn follow(&mut self) {
        let wanted = self.carried.borrow_and_update().interfaces.clone();
        self.ports.retain(|local, _| wanted.contains(local));
        // No switch is between the box and itself.
        let missing: Vec<_> = wanted
            .into_iter()
            .filter(|local| !local.is_loopback() && !self.ports.contains_key(local))
            .collect();
        if !missing.is_empty() {
            let interfaces = Interfaces::of_this_box();
            for local in missing {
                self.open(local, &interfaces);
            }
        }
    }

    fn open(&mut self, local: Ipv4Addr, interfaces: &Interfaces) {
        let Some(name) = interfaces.name_of(local) else { return };
        let every = Duration::from_secs(self.floor.config.media.igmp_query_seconds.into());
        let now = self.floor.clock.monotonic();
        match socket::igmp(name, local) {
            Ok(igmp) => {
                if std::mem::take(&mut self.is_unavailable) {
                    self.floor.health.clear(FaultCode::IgmpUnavailable);
                }
                let overheard = socket::overhear(name);
                if let Err(error) = &overheard {
                    tracing::warn!(%error, "what others send on {name} cannot be overheard: {error}");
                }
                let port = Port {
                    name: name.to_owned(),
                    local,
                    igmp,
                    overheard: overheard.ok(),
                    querier: Querier::new(now, local, every),
                    role: Role::Listening,
                    flood: Flood::after(self.asked.get(&local).copied()),
                    is_failing: false,
                };
                self.ports.insert(local, port);
            }
            Err(error) => self.raise_unavailable(&format!("on {name}: {error}")),
        }
    }

    fn look(&mut self) {
        let now = self.floor.clock.monotonic();
        let carried = self.carried.borrow();
        for port in self.ports.values_mut() {
            port.look(now, &carried.groups);
            if port.role == Role::Asking {
                self.asked.insert(port.local, now);
            }
        }
    }

    fn tell_flood(&mut self) {
        let flooded = self.ports.values().find_map(|port| Some((port, port.flood.group()?)));
        let was_flooded = std::mem::replace(&mut self.is_flooded, flooded.is_some());
        match flooded {
            Some((port, group)) if !was_flooded => {
                let detail = format!(
                    "Another room's stream ({group}) reaches the box on {} unasked: this switch \
                     sends every room's stream everywhere. Switch on IGMP snooping, and an IGMP \
                     querier: without one some switches that snoop do this too.",
                    port.name,
                );
                self.floor.health.raise(FaultCode::MulticastFlooded, Severity::Warning, detail);
            }
            None if was_flooded => self.floor.health.clear(FaultCode::MulticastFlooded),
            _ => {}
        }
    }

    fn raise_unavailable(&mut self, why: &str) {
        if std::mem::replace(&mut self.is_unavailable, true) {
            return;
        }
        let detail = format!(
            "The box cannot ask who is in a lesson's group ({why}). Where a switch has IGMP snooping \
             and nobody asks, pictures stop for a moment every few minutes. Give the service \
             CAP_NET_RAW, or switch on the IGMP querier of the switch."
        );
        self.floor.health.raise(FaultCode::IgmpUnavailable, Severity::Warning, detail);
    }
}

impl Port {
    fn look(&mut self, now: Duration, own_groups: &BTreeSet<Ipv4Addr>) {
        self.hear(now);
        while let Some(query) = self.querier.poll(now) {
            self.ask(query);
        }
        let role = self.querier.role();
        if role != self.role {
            let name = &self.name;
            match role {
                Role::Listening => {}
                Role::Other(other) => {
                    tracing::info!(
                        "{other} asks for members of groups on {name}; the box does not"
                    );
                }
                Role::Asking => {
                    tracing::info!("nobody asks for members of groups on {name}: the box does");
                }
            }
            self.role = role;
        }
        let heard = self.overhear(own_groups);
        self.flood.second(now, role == Role::Asking, heard);
    }

    fn hear(&mut self, now: Duration) {
        let mut buffer = [0; MESSAGE];
        for _ in 0..MESSAGES {
            let Ok(length) = self.igmp.read(&mut buffer) else { return };
            if let Ok(packet) = Packet::parse(&buffer[..length]) {
                self.querier.heard(now, packet.from, &packet.message);
            }
        }
    }

    fn ask(&mut self, query: querier::Query) {
        let message = Message::Query(query);
        let packet = Packet { from: self.local, to: ALL_HOSTS, message }.encode();
        let sent = self.igmp.send_to(&packet, &SocketAddrV4::new(ALL_HOSTS, 0).into());
        let was_failing = std::mem::replace(&mut self.is_failing, sent.is_err());
        if let (Err(error), false) = (sent, was_failing) {
            tracing::warn!(%error, "the members of groups on {} cannot be asked: {error}", self.name);
        }
    }

    /// Of how many datagrams for groups that are not the box's own, and of one of these groups.
    fn overhear(&mut self, own_groups: &BTreeSet<Ipv4Addr>) -> (usize, Option<Ipv4Addr>) {
        let Some(socket) = &mut self.overheard else { return (0, None) };
        let mut header = [0; socket::OVERHEARD];
        let (mut count, mut of) = (0, None);
        for _ in 0..OVERHEARD {
            if !matches!(socket.read(&mut header), Ok(socket::OVERHEARD)) {
                break;
            }
            let [.., a, b, c, d] = header;
            let group = Ipv4Addr::new(a, b, c, d);
            // 239.255.255.0/24 belongs to service discovery, which anybody may be in.
            if c != 255 && !own_groups.contains(&group) {
                count += 1;
                of = Some(group);
            }
        }
        (count, of)
    }
}
