//! The way out: one group per lesson, each packet once on each interface that has a machine.
//!
//! | port | what |
//! |---|---|
//! | P | video RTP |
//! | P + 1 | its RTCP |
//! | P + 2 | sound RTP |
//! | P + 3 | its RTCP |
//!
//! Machines take packets of the group only from the box's own address on their network, so the
//! socket of an interface is bound to that address. A socket that cannot send loses packets of its
//! own interface alone.

use std::{
    io,
    net::{Ipv4Addr, SocketAddrV4},
};

use alfarid_protocol::id::{BoxId, LessonId};
use nix::ifaddrs::getifaddrs;
use sha2::{Digest, Sha256};
use socket2::{Domain, Protocol, Socket, Type};

/// Two keyframes of a large screen: a burst waits here, not in the relay. Full: the packet is lost
/// on this interface.
const SEND_BUFFER: usize = 1 << 20;

/// Where a lesson's packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) address: Ipv4Addr,
    pub(super) port: u16,
    pub(super) ttl: u8,
}

/// What kind of packet it is decides its port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    Video,
    VideoControl,
    Audio,
    AudioControl,
}

impl Group {
    /// The group of a lesson, from 239.255.0.0/16 (RFC 2365 §6.1: stays at the site). `salt` makes
    /// another one where the first is taken.
    pub(super) fn of(own_box: BoxId, lesson: LessonId, salt: u32, port: u16, ttl: u8) -> Self {
        let mut hash = Sha256::new();
        hash.update(own_box.0.as_bytes());
        hash.update(lesson.0.as_bytes());
        hash.update(salt.to_be_bytes());
        let hash = hash.finalize();
        // 239.255.255.0/24 belongs to service discovery (SSDP, SLP).
        Self { address: Ipv4Addr::new(239, 255, hash[0] % 255, hash[1]), port, ttl }
    }

    fn at(self, lane: Lane) -> SocketAddrV4 {
        let offset = match lane {
            Lane::Video => 0,
            Lane::VideoControl => 1,
            Lane::Audio => 2,
            Lane::AudioControl => 3,
        };
        SocketAddrV4::new(self.address, self.port.wrapping_add(offset))
    }
}

/// The sockets of one lesson.
#[derive(Debug)]
pub(super) struct Sender {
    group: Group,
    interfaces: Vec<Interface>,
}

#[derive(Debug)]
struct Interface {
    local: Ipv4Addr,
    socket: Socket,
    /// Said once per trouble, not per packet.
    is_failing: bool,
}

impl Sender {
    pub(super) fn new(group: Group) -> Self {
        Self { group, interfaces: Vec::new() }
    }

    /// Sends on the interfaces with these addresses from now on, and on no others.
    pub(super) fn set_interfaces(&mut self, wanted: &[Ipv4Addr]) {
        self.interfaces.retain(|interface| wanted.contains(&interface.local));
        for local in wanted {
            if self.interfaces.iter().any(|interface| interface.local == *local) {
                continue;
            }
            match Interface::open(*local, self.group.ttl) {
                Ok(interface) => self.interfaces.push(interface),
                Err(error) => {
                    tracing::warn!(error = %error, "cannot send lessons from {local}");
                }
            }
        }
    }

    /// Sends once on each interface.
    pub(super) fn send(&mut self, lane: Lane, packet: &[u8]) {
        let to = self.group.at(lane).into();
        for interface in &mut self.interfaces {
            match interface.socket.send_to(packet, &to) {
                Ok(_) => interface.is_failing = false,
                Err(error) if interface.is_failing => {
                    tracing::trace!(error = %error, "a packet was lost on {}", interface.local);
                }
                Err(error) => {
                    interface.is_failing = true;
                    tracing::warn!(error = %error, "packets are lost on {}", interface.local);
                }
            }
        }
    }
}

impl Interface {
    fn open(local: Ipv4Addr, ttl: u8) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        socket.set_send_buffer_size(SEND_BUFFER)?;
        socket.set_multicast_if_v4(&local)?;
        socket.set_multicast_ttl_v4(u32::from(ttl))?;
        socket.set_multicast_loop_v4(false)?;
        socket.bind(&SocketAddrV4::new(local, 0).into())?;
        Ok(Self { local, socket, is_failing: false })
    }
}

/// Which of the box's addresses stand for which interface. Two networks on one interface are one
/// interface: what is sent twice there is received twice by everybody.
#[derive(Debug, Default)]
pub(super) struct Interfaces(Vec<(String, Ipv4Addr)>);

impl Interfaces {
    /// Asks the kernel.
    pub(super) fn of_this_box() -> Self {
        let Ok(addresses) = getifaddrs() else { return Self::default() };
        let found = addresses.filter_map(|interface| {
            let address = interface.address?.as_sockaddr_in()?.ip();
            // An address with a label, as in "eth0:1", is on the same interface.
            let name = interface.interface_name.split(':').next()?.to_owned();
            Some((name, address))
        });
        Self(found.collect())
    }

    /// The address that packets for a machine which sees the box as `local` come from; `None` where
    /// the box does not send: `allowed` names other interfaces only, or the address is gone.
    pub(super) fn source(&self, local: Ipv4Addr, allowed: &[String]) -> Option<Ipv4Addr> {
        let (name, _) = self.0.iter().find(|(_, address)| *address == local)?;
        if !allowed.is_empty() && !allowed.contains(name) {
            return None;
        }
        self.0.iter().find(|(other, _)| other == name).map(|(_, address)| *address)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn groups_stay_in_their_range_and_differ_by_lesson_and_salt() {
        let of = |lesson, salt| {
            Group::of(BoxId(Uuid::nil()), LessonId(Uuid::from_u128(lesson)), salt, 5004, 1).address
        };
        for lesson in 0..500 {
            let [a, b, c, _] = of(lesson, 0).octets();
            assert_eq!((a, b), (239, 255));
            assert_ne!(c, 255, "belongs to service discovery");
        }
        assert_eq!(of(1, 0), of(1, 0));
        assert_ne!(of(1, 0), of(2, 0));
        assert_ne!(of(1, 0), of(1, 1));
    }

    #[test]
    fn two_networks_on_one_interface_are_sent_to_once() {
        let address = |last| Ipv4Addr::new(10, 0, last, 1);
        let interfaces = Interfaces(vec![
            ("eth0".into(), address(0)),
            ("eth0".into(), address(1)),
            ("wlan0".into(), address(2)),
        ]);
        assert_eq!(interfaces.source(address(1), &[]), Some(address(0)));
        assert_eq!(interfaces.source(address(2), &[]), Some(address(2)));
        assert_eq!(interfaces.source(address(2), &["eth0".into()]), None);
        assert_eq!(interfaces.source(address(9), &[]), None);
    }
}
