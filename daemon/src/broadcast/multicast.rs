//! The way out, and back: one group per lesson, each packet once on each interface that has a
//! machine.
//!
//! | port | what |
//! |---|---|
//! | P | video |
//! | P + 1 | its RTCP |
//! | P + 2 | sound |
//! | P + 3 | its RTCP |
//! | P + 4 | what repairs all of them |
//!
//! Machines take packets of the group only from the box's own address on their network, so the
//! socket of an interface is bound to that address. It has a port of the kernel's choice, which the
//! machines are granted: what they lack they say there, and what is for one of them alone leaves
//! from there. A socket that cannot send loses packets of its own interface alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::poll_fn,
    io,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    task::{Context, Poll},
};

use alfarid_protocol::id::{BoxId, LessonId};
use alfarid_stream::{feedback, transmit::Lane};
use bytes::Bytes;
use nix::ifaddrs::getifaddrs;
use sha2::{Digest, Sha256};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::{io::ReadBuf, net::UdpSocket};

/// Two keyframes of a large screen: a burst waits here, not in the relay. Full: the packet is lost
/// on this interface.
const SEND_BUFFER: usize = 1 << 20;

/// Datagrams read from one interface before the others, and whatever else there is to do, get
/// their turn. Fifty machines that lost the same packet say so at once.
const AT_ONE_GO: usize = 64;

/// Where a lesson's packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) address: Ipv4Addr,
    pub(crate) port: u16,
    pub(crate) ttl: u8,
}

/// From which of the box's addresses to where: the way to one machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) local: Ipv4Addr,
    pub(super) peer: SocketAddrV4,
}

/// A datagram from whomever.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) from: Way,
    pub(super) datagram: Bytes,
}

/// The port that each of the box's addresses sends from.
pub(crate) type Ports = BTreeMap<Ipv4Addr, u16>;

impl Group {
    /// The group of a lesson, from 239.255.0.0/16 (RFC 2365 §6.1: stays at the site). `salt` makes
    /// another one where the first is taken.
    pub(crate) fn of(own_box: BoxId, lesson: LessonId, salt: u32, port: u16, ttl: u8) -> Self {
        let mut hash = Sha256::new();
        hash.update(own_box.0.as_bytes());
        hash.update(lesson.0.as_bytes());
        hash.update(salt.to_be_bytes());
        let hash = hash.finalize();
        // 239.255.255.0/24 belongs to service discovery (SSDP, SLP).
        Self { address: Ipv4Addr::new(239, 255, hash[0] % 255, hash[1]), port, ttl }
    }
}

/// The sockets of one lesson.
#[derive(Debug)]
pub(crate) struct Sender {
    group: Group,
    interfaces: Vec<Interface>,
}

#[derive(Debug)]
struct Interface {
    local: Ipv4Addr,
    socket: UdpSocket,
    /// Said once per trouble, not per packet.
    is_failing: bool,
}

impl Sender {
    pub(crate) fn new(group: Group) -> Self {
        Self { group, interfaces: Vec::new() }
    }

    /// Sends on the interfaces with these addresses from now on, and on no others. Returns those
    /// where that is possible. To be called in a runtime.
    pub(crate) fn set_interfaces(&mut self, wanted: &[Ipv4Addr]) -> Ports {
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
        let port = |interface: &Interface| {
            let port = interface.socket.local_addr().ok()?.port();
            Some((interface.local, port))
        };
        self.interfaces.iter().filter_map(port).collect()
    }

    /// Sends once on each interface.
    pub(super) fn send(&mut self, lane: Lane, packet: &[u8]) {
        self.send_on(lane.offset(), packet);
    }

    /// The same, so far from the group's port.
    pub(crate) fn send_on(&mut self, offset: u16, packet: &[u8]) {
        let to = SocketAddrV4::new(self.group.address, self.group.port.wrapping_add(offset));
        for interface in &mut self.interfaces {
            interface.send(to, packet);
        }
    }

    /// Sends to one machine, if its interface is still there.
    pub(super) fn send_to(&mut self, way: Way, packet: &[u8]) {
        let mut interfaces = self.interfaces.iter_mut();
        if let Some(interface) = interfaces.find(|interface| interface.local == way.local) {
            interface.send(way.peer, packet);
        }
    }

    /// Waits for datagrams, and adds some of those that are there to `heard`. For ever without
    /// interfaces. Cancelling it loses nothing.
    pub(super) async fn listen(&mut self, heard: &mut Vec<Heard>) {
        poll_fn(|context| {
            let mut is_empty = true;
            for interface in &self.interfaces {
                is_empty &= interface.read(context, heard).is_pending();
            }
            if is_empty && heard.is_empty() { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
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
        let socket = UdpSocket::from_std(socket.into())?;
        Ok(Self { local, socket, is_failing: false })
    }

    fn send(&mut self, to: SocketAddrV4, packet: &[u8]) {
        // Past the runtime, which takes a socket for full until it has heard otherwise.
        match SockRef::from(&self.socket).send_to(packet, &to.into()) {
            Ok(_) => self.is_failing = false,
            Err(error) if self.is_failing => {
                tracing::trace!(error = %error, "a packet was lost on {}", self.local);
            }
            Err(error) => {
                self.is_failing = true;
                tracing::warn!(error = %error, "packets are lost on {}", self.local);
            }
        }
    }

    /// Reads until nothing is left, or [`AT_ONE_GO`] times. What is too long to be feedback is cut
    /// to what is still too long, and an error (a machine's port is closed) is of no datagram that
    /// is still there.
    fn read(&self, context: &mut Context<'_>, heard: &mut Vec<Heard>) -> Poll<()> {
        for _ in 0..AT_ONE_GO {
            let mut buffer = [0; feedback::MAX_DATAGRAM + 1];
            let mut buffer = ReadBuf::new(&mut buffer);
            match self.socket.poll_recv_from(context, &mut buffer) {
                Poll::Ready(Ok(SocketAddr::V4(peer))) => {
                    let datagram = Bytes::copy_from_slice(buffer.filled());
                    heard.push(Heard { from: Way { local: self.local, peer }, datagram });
                }
                Poll::Ready(_) => {}
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(())
    }
}

/// Which of the box's addresses stand for which interface. Two networks on one interface are one
/// interface: what is sent twice there is received twice by everybody.
#[derive(Debug, Default)]
pub(crate) struct Interfaces(Vec<(String, Ipv4Addr)>);

impl Interfaces {
    /// Asks the kernel.
    pub(crate) fn of_this_box() -> Self {
        let Ok(addresses) = getifaddrs() else { return Self::default() };
        let found = addresses.filter_map(|interface| {
            let address = interface.address?.as_sockaddr_in()?.ip();
            // An address with a label, as in "eth0:1", is on the same interface.
            let name = interface.interface_name.split(':').next()?.to_owned();
            Some((name, address))
        });
        Self(found.collect())
    }

    /// One address of each interface that the box may send on: those that are `allowed`, or all
    /// that lead somewhere.
    pub(crate) fn sources(&self, allowed: &[String]) -> Vec<Ipv4Addr> {
        let mut names = BTreeSet::new();
        let may = |(name, address): &&(String, Ipv4Addr)| match allowed {
            [] => !address.is_loopback(),
            _ => allowed.contains(name),
        };
        let sources = self.0.iter().filter(may).filter(|(name, _)| names.insert(name));
        sources.map(|(_, address)| *address).collect()
    }

    /// What the interface with this address is called.
    pub(super) fn name_of(&self, local: Ipv4Addr) -> Option<&str> {
        self.0.iter().find(|(_, address)| *address == local).map(|(name, _)| &name[..])
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
        assert_eq!(interfaces.sources(&[]), [address(0), address(2)]);
        assert_eq!(interfaces.sources(&["wlan0".into()]), [address(2)]);
    }
}
