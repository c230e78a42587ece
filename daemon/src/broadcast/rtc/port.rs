//! The one UDP port of all publishers and viewers.
//!
//! It listens on every address of the box, so each datagram must say which of them it came to, and
//! each answer must leave from the same one (ICE pairs addresses): `IP_PKTINFO` both ways.

use std::{
    io::{self, IoSlice, IoSliceMut},
    iter,
    net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4},
    os::fd::AsRawFd,
};

use nix::{
    cmsg_space,
    ifaddrs::getifaddrs,
    libc,
    net::if_::InterfaceFlags,
    sys::socket::{
        ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, sendmsg, setsockopt,
        sockopt,
    },
};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{io::Interest, net::UdpSocket};

/// Room for two seconds of a rich stream while the engine is busy with a handshake.
const RECEIVE_BUFFER: usize = 1 << 20;

/// A picture for each of a class. Full: what else is sent is lost, and asked for again.
const SEND_BUFFER: usize = 1 << 20;

/// No datagram of a publisher is larger: an Ethernet packet's.
pub(in crate::broadcast) const MAX_DATAGRAM: usize = 2000;

#[derive(Debug)]
pub(in crate::broadcast) struct Port {
    socket: UdpSocket,
    local: SocketAddr,
}

/// Where a datagram came from and which address of the box it came to.
#[derive(Clone, Copy, Debug)]
pub(in crate::broadcast) struct Datagram {
    pub(in crate::broadcast) length: usize,
    pub(in crate::broadcast) from: SocketAddr,
    pub(in crate::broadcast) to: SocketAddr,
}

impl Port {
    /// `address` is IPv4: multicast, the whole point of publishing here, is.
    pub(in crate::broadcast) fn open(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        socket.set_send_buffer_size(SEND_BUFFER)?;
        socket.bind(&address.into())?;
        setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
        let socket = UdpSocket::from_std(socket.into())?;
        let local = socket.local_addr()?;
        Ok(Self { socket, local })
    }

    pub(in crate::broadcast) fn local(&self) -> SocketAddr {
        self.local
    }

    /// Waits until something can be read. Cancel-safe.
    pub(in crate::broadcast) async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await
    }

    /// The next datagram, if one is there.
    pub(in crate::broadcast) fn receive(&self, buffer: &mut [u8]) -> io::Result<Datagram> {
        self.socket.try_io(Interest::READABLE, || {
            let mut slices = [IoSliceMut::new(buffer)];
            let mut control = cmsg_space!(libc::in_pktinfo);
            let message = recvmsg::<SockaddrIn>(
                self.socket.as_raw_fd(),
                &mut slices,
                Some(&mut control),
                MsgFlags::empty(),
            )?;
            let from = message.address.ok_or(io::ErrorKind::InvalidData)?;
            let to = message
                .cmsgs()?
                .find_map(|cmsg| match cmsg {
                    ControlMessageOwned::Ipv4PacketInfo(info) => Some(info.ipi_addr.s_addr),
                    _ => None,
                })
                .map_or(self.local.ip(), |address| Ipv4Addr::from(u32::from_be(address)).into());
            Ok(Datagram {
                length: message.bytes,
                from: SocketAddrV4::from(from).into(),
                to: SocketAddr::new(to, self.local.port()),
            })
        })
    }

    /// Waits until something can be sent. Cancel-safe.
    #[cfg(test)]
    pub(super) async fn writable(&self) -> io::Result<()> {
        self.socket.writable().await
    }

    /// Sends from one of the box's addresses: one datagram, or several of one length, of which the
    /// last may be shorter. What cannot go out just now is lost, as datagrams are.
    pub(super) fn send(&self, parts: &[&[u8]], from: SocketAddr, to: SocketAddr) -> io::Result<()> {
        let (IpAddr::V4(from), SocketAddr::V4(to)) = (from.ip(), to) else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        let to = SockaddrIn::from(to);
        match parts {
            [] => Ok(()),
            [one] => self.send_as(&[IoSlice::new(one)], None, from, to),
            [first, ..] => {
                let slices: Vec<_> = parts.iter().map(|part| IoSlice::new(part)).collect();
                let segment = u16::try_from(first.len()).map_err(io::Error::other)?;
                match self.send_as(&slices, Some(segment), from, to) {
                    Err(error) if is_about_cutting(&error) => {
                        // All of them, whatever becomes of the first.
                        let mut sent = Ok(());
                        for one in slices {
                            sent = sent.and(self.send_as(&[one], None, from, to));
                        }
                        sent
                    }
                    sent => sent,
                }
            }
        }
    }

    /// One call, which makes a datagram of each `segment` bytes.
    fn send_as(
        &self,
        slices: &[IoSlice<'_>],
        segment: Option<u16>,
        from: Ipv4Addr,
        to: SockaddrIn,
    ) -> io::Result<()> {
        let info = libc::in_pktinfo {
            ipi_ifindex: 0,
            ipi_spec_dst: libc::in_addr { s_addr: u32::from(from).to_be() },
            ipi_addr: libc::in_addr { s_addr: 0 },
        };
        let info = ControlMessage::Ipv4PacketInfo(&info);
        let segment = segment.as_ref().map(ControlMessage::UdpGsoSegments);
        let control: Vec<_> = iter::once(info).chain(segment).collect();
        self.socket.try_io(Interest::WRITABLE, || {
            sendmsg(self.socket.as_raw_fd(), slices, &control, MsgFlags::empty(), Some(&to))?;
            Ok(())
        })
    }
}

/// A card that cannot reckon checksums (`EIO`), a path too narrow for one part (`EINVAL`,
/// `EMSGSIZE`).
fn is_about_cutting(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EIO | libc::EINVAL | libc::EMSGSIZE))
}

/// The addresses that an answer names, `came_to` first: a publisher that reached the box there
/// reaches it there again. A box with one address has one.
pub(in crate::broadcast) fn candidates(
    listening: SocketAddr,
    came_to: IpAddr,
    most: usize,
) -> Vec<SocketAddr> {
    let mut found: Vec<IpAddr> = Vec::new();
    if listening.ip().is_unspecified() {
        found.push(came_to.to_canonical());
        found.extend(own_addresses().into_iter().map(IpAddr::V4));
    } else {
        found.push(listening.ip());
    }
    found.retain(IpAddr::is_ipv4);
    let mut seen = Vec::new();
    for address in found {
        if !seen.contains(&address) {
            seen.push(address);
        }
    }
    seen.truncate(most);
    seen.into_iter().map(|address| SocketAddr::new(address, listening.port())).collect()
}

/// IPv4 addresses of the box that others can reach.
fn own_addresses() -> Vec<Ipv4Addr> {
    let Ok(addresses) = getifaddrs() else { return Vec::new() };
    addresses
        .filter(|interface| {
            interface.flags.contains(InterfaceFlags::IFF_UP)
                && !interface.flags.contains(InterfaceFlags::IFF_LOOPBACK)
        })
        .filter_map(|interface| Some(interface.address?.as_sockaddr_in()?.ip()))
        .filter(|address| !address.is_link_local())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_that_the_request_came_to_is_named_first_and_once() {
        let any: SocketAddr = "0.0.0.0:8445".parse().unwrap();
        let came_to: IpAddr = "::ffff:127.0.0.1".parse().unwrap();
        let named = candidates(any, came_to, 3);
        assert_eq!(named[0], "127.0.0.1:8445".parse().unwrap());
        assert_eq!(named.iter().filter(|address| address.ip().is_loopback()).count(), 1);
        let one: SocketAddr = "10.0.0.1:8445".parse().unwrap();
        assert_eq!(candidates(one, came_to, 3), [one]);
    }
}
