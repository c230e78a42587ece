//! The UDP socket of one port of a group.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
};

use bytes::{Bytes, BytesMut};
use nix::sys::socket::{setsockopt, sockopt::RcvBufForce};
use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;
use tokio::net::UdpSocket;

/// Asked from the kernel: half a second of keyframes at their worst, while another task runs. The
/// package's sysctl file (`systemd/alfarid-agent.sysctl`) allows as much.
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;

/// No datagram on a LAN is larger; a longer one is cut and then refused by its contents.
const DATAGRAM: usize = 2048;

/// Datagrams are read into chunks of this size and share them.
const CHUNK: usize = 64 * 1024;

/// How many datagrams are read at one go before others get their turn.
const AT_ONE_GO: usize = 64;

#[derive(Debug, Error)]
pub(super) enum GroupError {
    #[error("open a socket for {0}")]
    Open(SocketAddrV4, #[source] io::Error),
    #[error("join {group} on {on}")]
    Join { group: SocketAddrV4, on: Ipv4Addr, source: io::Error },
}

/// A member of a group, who hears one source.
#[derive(Debug)]
pub(super) struct GroupSocket {
    socket: UdpSocket,
    source: Ipv4Addr,
    buffer: BytesMut,
}

impl GroupSocket {
    /// Joins `group` on the interface that has the address `on`. Leaving is closing.
    pub(super) fn join(
        group: SocketAddrV4,
        source: Ipv4Addr,
        on: Ipv4Addr,
    ) -> Result<Self, GroupError> {
        let opened = |error| GroupError::Open(group, error);
        let socket = open(group).map_err(opened)?;
        // Where the kernel or the driver has no source filter, the plain group will do: `receive`
        // looks at the source too.
        socket
            .join_ssm_v4(&source, group.ip(), &on)
            .or_else(|_| socket.join_multicast_v4(group.ip(), &on))
            .map_err(|source| GroupError::Join { group, on, source })?;
        let socket = UdpSocket::from_std(socket.into()).map_err(opened)?;
        Ok(Self { socket, source, buffer: BytesMut::new() })
    }

    /// Waits for datagrams of the source and gives those that are there. Cancelling it loses
    /// nothing. An error of the socket is passed by: a lost link comes back, and a report that
    /// counts no packets says the rest.
    pub(super) async fn receive(&mut self) -> Vec<Bytes> {
        let _ = self.socket.readable().await;
        let mut datagrams = Vec::new();
        for _ in 0..AT_ONE_GO {
            if self.buffer.capacity() < DATAGRAM {
                self.buffer.reserve(CHUNK);
            }
            match self.socket.try_recv_buf_from(&mut self.buffer) {
                Ok((_, SocketAddr::V4(from))) if *from.ip() == self.source => {
                    datagrams.push(self.buffer.split().freeze());
                }
                Ok(_) => self.buffer.clear(),
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
    make_room(&socket)?;
    socket.set_nonblocking(true)?;
    // Bound to the group and not to any address: unicast to the port is not for us.
    socket.bind(&group.into())?;
    Ok(socket)
}
