//! The UDP sockets of a lesson: one for each port of its group, and one of the machine's own.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
};

use bytes::Bytes;
use nix::sys::socket::{setsockopt, sockopt::RcvBufForce};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use thiserror::Error;
use tokio::net::UdpSocket;

/// Asked from the kernel: half a second of keyframes at their worst, while another task runs. The
/// package's sysctl file (`systemd/alfarid-agent.sysctl`) allows as much.
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;

/// No datagram on a LAN is larger; a longer one is cut and then refused by its contents.
const DATAGRAM: usize = 2048;

/// How many datagrams are read at one go before others get their turn.
const AT_ONE_GO: usize = 64;

#[derive(Debug, Error)]
pub(super) enum GroupError {
    #[error("open a socket for {0}")]
    Open(SocketAddrV4, #[source] io::Error),
    #[error("join {group} on {on}")]
    Join { group: Ipv4Addr, on: Ipv4Addr, source: io::Error },
}

/// An ear for one source: a member of a group, or this machine alone.
#[derive(Debug)]
pub(super) struct LessonSocket {
    socket: UdpSocket,
    source: Ipv4Addr,
    /// The group, and the address of the interface that it is joined on; `None` of a machine's own.
    membership: Option<(Ipv4Addr, Ipv4Addr)>,
    buffer: Box<[u8; DATAGRAM]>,
}

impl LessonSocket {
    /// Joins `group` on the interface that has the address `on`. Leaving is closing.
    pub(super) fn join(
        group: SocketAddrV4,
        source: Ipv4Addr,
        on: Ipv4Addr,
    ) -> Result<Self, GroupError> {
        let opened = |error| GroupError::Open(group, error);
        let socket = UdpSocket::from_std(open(group).map_err(opened)?.into()).map_err(opened)?;
        let membership = Some((*group.ip(), on));
        let member = Self { socket, source, membership, buffer: Box::new([0; DATAGRAM]) };
        member.enter()?;
        Ok(member)
    }

    /// Is a member of its group no more; what came before can still be read.
    pub(super) fn leave(&self) {
        let Some((group, on)) = self.membership else { return };
        let socket = SockRef::from(&self.socket);
        // It is one of the two, or none any more where the interface went.
        let _ = socket
            .leave_ssm_v4(&self.source, &group, &on)
            .or_else(|_| socket.leave_multicast_v4(&group, &on));
    }

    /// Is a member of its group again.
    pub(super) fn enter(&self) -> Result<(), GroupError> {
        let Some((group, on)) = self.membership else { return Ok(()) };
        let socket = SockRef::from(&self.socket);
        // Where the kernel or the driver has no source filter, the plain group will do: `receive`
        // looks at the source too.
        socket
            .join_ssm_v4(&self.source, &group, &on)
            .or_else(|_| socket.join_multicast_v4(&group, &on))
            .map_err(|source| GroupError::Join { group, on, source })
    }

    /// A port of this machine's own at the address `on`, to speak to `source` from and to be
    /// answered at.
    pub(super) fn own(source: Ipv4Addr, on: Ipv4Addr) -> Result<Self, GroupError> {
        let at = SocketAddrV4::new(on, 0);
        let opened = |error| GroupError::Open(at, error);
        let socket = bound(at).map_err(opened)?;
        let socket = UdpSocket::from_std(socket.into()).map_err(opened)?;
        Ok(Self { socket, source, membership: None, buffer: Box::new([0; DATAGRAM]) })
    }

    /// Says something to the source. What cannot be sent now is lost, as on any network.
    pub(super) fn send(&self, datagram: &[u8], port: u16) -> io::Result<()> {
        // Past the runtime, which takes a socket for full until it has heard otherwise.
        let to = SocketAddrV4::new(self.source, port);
        SockRef::from(&self.socket).send_to(datagram, &to.into())?;
        Ok(())
    }

    /// Waits for datagrams of the source and gives those that are there. Cancelling it loses
    /// nothing. An error of the socket is passed by: a lost link comes back, and a report that
    /// counts no packets says the rest.
    pub(super) async fn receive(&mut self) -> Vec<Bytes> {
        let _ = self.socket.readable().await;
        let mut datagrams = Vec::new();
        for _ in 0..AT_ONE_GO {
            match self.socket.try_recv_from(&mut self.buffer[..]) {
                Ok((length, SocketAddr::V4(from))) if *from.ip() == self.source => {
                    // A copy of its own: some are kept for long, and must not hold others.
                    datagrams.push(Bytes::copy_from_slice(&self.buffer[..length]));
                }
                Ok(_) => {}
                Err(_) => break,
            }
        }
        datagrams
    }
}

/// Says so where this machine gives a lesson less room than it asks for.
pub(super) fn check_room() {
    let room = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))
        .and_then(|socket| make_room(&socket));
    match room {
        Ok(room) if room < RECEIVE_BUFFER => tracing::warn!(
            room_bytes = room,
            "lessons get a receive buffer of {} KiB, not {} KiB, and may lose pictures in bursts: \
             set the sysctl net.core.rmem_max to {RECEIVE_BUFFER}",
            room >> 10,
            RECEIVE_BUFFER >> 10,
        ),
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "cannot open a socket for lessons: {error}"),
    }
}

/// Gives the socket its receive buffer, as far as the system lets us; returns how far.
fn make_room(socket: &Socket) -> io::Result<usize> {
    // Beyond the system's limit where the service may; up to it elsewhere.
    if setsockopt(socket, RcvBufForce, &RECEIVE_BUFFER).is_err() {
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    }
    // The kernel doubles what it is asked for, to have room for its own notes (socket(7)).
    Ok(socket.recv_buffer_size()? / 2)
}

fn open(group: SocketAddrV4) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    // Otherwise the memberships of every other program on this machine would count here too.
    socket.set_multicast_all_v4(false)?;
    // Bound to the group and not to any address: unicast to the port is not for us.
    bind(socket, group)
}

fn bound(at: SocketAddrV4) -> io::Result<Socket> {
    bind(Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?, at)
}

fn bind(socket: Socket, at: SocketAddrV4) -> io::Result<Socket> {
    make_room(&socket)?;
    socket.set_nonblocking(true)?;
    socket.bind(&at.into())?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_came_before_a_membership_is_said_anew_can_still_be_read() {
        const HERE: Ipv4Addr = Ipv4Addr::LOCALHOST;
        let box_socket = bound(SocketAddrV4::new(HERE, 0)).unwrap();
        box_socket.set_multicast_if_v4(&HERE).unwrap();
        let port = box_socket.local_addr().unwrap().as_socket_ipv4().unwrap().port();
        let group = SocketAddrV4::new(Ipv4Addr::new(239, 255, 77, 1), port);
        let mut member = LessonSocket::join(group, HERE, HERE).unwrap();
        let send = |datagram: &[u8]| box_socket.send_to(datagram, &group.into()).unwrap();

        send(b"before");
        member.leave();
        send(b"nobody is there");
        member.enter().unwrap();
        send(b"after");

        let mut heard = Vec::new();
        while heard.last().is_none_or(|last| last != "after") {
            heard.extend(member.receive().await);
        }
        assert_eq!(heard, ["before", "after"]);
    }
}
