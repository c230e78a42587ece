//! The wires: a bridge in a namespace of its own, and one cable (a veth pair) per host.
//!
//! Three switches stand for all: one that floods multicast to every port, as an unmanaged one does,
//! one that snoops IGMP and is its querier, and one that leaves asking to others. A Linux bridge that
//! has heard no querier floods, so a switch that prunes where nobody ever asked cannot be modelled
//! here.
//!
//! Cables carry packets no larger than the MTU (`gso_max_segs 1`), so that a lost packet is one
//! packet and bytes are counted as on a wire.

use std::{net::Ipv4Addr, process::Command, time::Duration};

use anyhow::{Result, bail};
use tokio::{net::UdpSocket, sync::mpsc, time::timeout};

use crate::{
    host::Host,
    lab::Lab,
    traffic::{Direction, Packet},
    until::eventually,
};

/// The namespace that the bridge is in.
pub(crate) const SWITCH: &str = "switch";

/// What the hosts call their end of the cable.
pub const INTERFACE: &str = "eth0";

/// Every host's network, as `ip` writes it after an address.
const PREFIX_LENGTH: u8 = 24;
const BROADCAST: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 255);

/// The box.
pub const BOX_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

/// The teacher's computer.
pub const TEACHER_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);

/// The address of machine `seat`, counted from 0.
pub fn machine_address(seat: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, 11 + seat)
}

/// As many machines as the network has addresses for.
pub const MAX_MACHINES: u8 = 200;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Switch {
    /// Multicast goes to every port.
    #[default]
    Flooding,
    /// Multicast goes to the ports that asked for it by IGMP.
    Snooping,
    /// The same, but it asks nobody: as long as somebody else asks, it forgets in 12 s who has not
    /// answered.
    Unasked,
}

/// Puts up the switch, without a cable in it.
pub(crate) fn raise_switch(lab: &Lab, switch: Switch) -> Result<()> {
    ip(lab, &["netns", "add", SWITCH], "")?;
    let snooping = match switch {
        Switch::Flooding => "mcast_snooping 0",
        // The bridge prunes once the first query's response time is over: a tenth of a second
        // here in place of ten. Queries each second bring a machine back that was unplugged.
        Switch::Snooping => {
            "mcast_snooping 1 mcast_query_response_interval 10 mcast_query_interval 100 \
             mcast_startup_query_interval 100"
        }
        Switch::Unasked => "mcast_snooping 1 mcast_membership_interval 1200",
    };
    let querier = u8::from(switch == Switch::Snooping);
    let script = format!(
        "link add br0 type bridge {snooping}\n\
         link set dev br0 type bridge mcast_querier {querier}\n\
         link set dev br0 up\n"
    );
    ip(lab, &["-n", SWITCH, "-batch", "-"], &script)?;
    leave_packets_alone(lab)
}

/// A switch has no firewall. Where the kernel has one for bridges it is on in each new namespace,
/// and whoever sends pays for it.
fn leave_packets_alone(lab: &Lab) -> Result<()> {
    let each = "for knob in /proc/sys/net/bridge/bridge-nf-call-*; do \
                [ ! -e $knob ] || echo 0 > $knob; done";
    let mut command = Command::new("ip");
    command.args(["netns", "exec", SWITCH, "sh", "-ec", each]);
    lab.command(command, "").map(drop)
}

/// Makes the namespace `name`, with a cable into the switch, an address, and multicast routed.
///
/// The host has its link-local IPv6 address at once and not a second or two later, when it would
/// have made sure that nobody else has it: a browser that loads a page at that moment gives it up,
/// for its network has changed.
pub(crate) fn plug_in(lab: &Lab, name: &str, address: Ipv4Addr) -> Result<()> {
    let cable = format!(
        "netns add {name}\n\
         link add name {INTERFACE} netns {name} type veth peer name {name} netns {SWITCH}\n"
    );
    ip(lab, &["-batch", "-"], &cable)?;
    plug_port(lab, name)?;
    let [.., number] = address.octets();
    let host = format!(
        "link set dev lo up\n\
         link set dev {INTERFACE} addrgenmode none\n\
         address add {address}/{PREFIX_LENGTH} broadcast {BROADCAST} dev {INTERFACE}\n\
         link set dev {INTERFACE} gso_max_segs 1\n\
         link set dev {INTERFACE} up\n\
         address add fe80::{number}/64 dev {INTERFACE} nodad\n\
         route add 224.0.0.0/4 dev {INTERFACE}\n"
    );
    ip(lab, &["-n", name, "-batch", "-"], &host)
}

/// Makes an interface of the switch's namespace one of its ports.
pub(crate) fn plug_port(lab: &Lab, name: &str) -> Result<()> {
    let port = format!(
        "link set dev {name} gso_max_segs 1\n\
         link set dev {name} master br0\n\
         link set dev {name} up\n"
    );
    ip(lab, &["-n", SWITCH, "-batch", "-"], &port)
}

/// Pulls or puts back the cable at the switch, as a hand would: the host keeps its address and
/// its routes, and sees that the link is gone.
pub(crate) fn set_carrier(lab: &Lab, name: &str, is_plugged: bool) -> Result<()> {
    let state = if is_plugged { "up" } else { "down" };
    ip(lab, &["-n", SWITCH, "link", "set", "dev", name, state], "")
}

/// Lets no more than so much through to the host, as a worn cable or a far Wi-Fi does; or all again.
pub(crate) fn set_rate(lab: &Lab, name: &str, kbps: Option<u32>) -> Result<()> {
    let mut command = Command::new("tc");
    command.args(["-n", SWITCH, "qdisc"]);
    match kbps {
        Some(kbps) => {
            command.args(["replace", "dev", name, "root", "tbf", "rate", &format!("{kbps}kbit")]);
            command.args(["burst", "4kb", "latency", "400ms"]);
        }
        None => {
            command.args(["delete", "dev", name, "root"]);
        }
    }
    lab.command(command, "").map(drop)
}

/// Returns when the switch keeps a group that nobody asked for from `bystander`.
pub async fn wait_until_pruning(sender: &Host, bystander: &Host) -> Result<()> {
    // A group and a port (discard, RFC 863) that nothing else uses. One probe at a time is under
    // way; should more come, the newest are dropped and that attempt fails.
    const NOBODYS_GROUP: Ipv4Addr = Ipv4Addr::new(239, 255, 255, 255);
    const DISCARD: u16 = 9;
    let (saw, mut seen) = mpsc::channel(16);
    let _watch = bystander.watch_packets(move |packet: &Packet<'_>| {
        if packet.direction == Direction::Received && packet.destination.port() == DISCARD {
            let _ = saw.try_send(packet.destination.ip());
        }
    })?;
    let socket = sender.enter(UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))).await??;
    socket.set_broadcast(true)?;

    eventually(
        "the switch to keep a group from who did not ask",
        Duration::from_secs(20),
        async || {
            // Both take the same way, so when the second is there the first is not on its way.
            socket.send_to(b"for the group", (NOBODYS_GROUP, DISCARD)).await?;
            socket.send_to(b"for all", (BROADCAST, DISCARD)).await?;
            let mut was_flooded = false;
            loop {
                match timeout(Duration::from_secs(1), seen.recv()).await? {
                    Some(to) if to == NOBODYS_GROUP => was_flooded = true,
                    Some(_) if was_flooded => bail!("it floods still"),
                    Some(_) => return Ok(()),
                    None => bail!("nobody watches any more"),
                }
            }
        },
    )
    .await
}

fn ip(lab: &Lab, args: &[&str], script: &str) -> Result<()> {
    let mut command = Command::new("ip");
    command.args(args);
    lab.command(command, script).map(drop)
}
