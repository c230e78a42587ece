//! The sockets of machines that a test plays itself: one for each port of a lesson's group, and one
//! of its own for each machine.

use std::{
    io::{self, ErrorKind},
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket},
    os::fd::AsFd,
    time::Duration,
};

use alfarid_protocol::grant::Grant;
use alfarid_stream::transmit::Lane;
use anyhow::{Context, Result};
use bytes::Bytes;
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, ppoll},
    sys::{
        socket::{setsockopt, sockopt::RcvBufForce},
        time::TimeSpec,
    },
};
use socket2::{Domain, Protocol, Socket, Type};

/// A second of the stream with all that repairs it, several times over: the crowd must not lose
/// what the networks before it did not.
const RECEIVE_BUFFER: usize = 16 << 20;
const DATAGRAM: usize = 2_048;

/// The lanes that machines join.
const LANES: [Lane; 3] = [Lane::Video, Lane::Sound, Lane::Repair];

/// A datagram of the box.
#[derive(Debug)]
pub enum Heard {
    ToAll { lane: Lane, datagram: Bytes },
    ToOne { number: usize, datagram: Bytes },
}

#[derive(Debug)]
pub struct Ears {
    group: Vec<(Lane, UdpSocket)>,
    own: Vec<UdpSocket>,
    source: Ipv4Addr,
    /// Where the box hears what machines lack.
    repair: SocketAddrV4,
}

impl Ears {
    /// For so many machines at the address `on`. To be called in their namespace.
    pub fn open(grant: &Grant, on: Ipv4Addr, machines: usize) -> Result<Self> {
        let lane = |lane: Lane| {
            let group = SocketAddrV4::new(grant.group, grant.port.wrapping_add(lane.offset()));
            let socket = open(group)?;
            socket.join_ssm_v4(&grant.source, &grant.group, &on)?;
            anyhow::Ok((lane, socket.into()))
        };
        let own = || anyhow::Ok(open(SocketAddrV4::new(on, 0))?.into());
        Ok(Self {
            group: LANES.into_iter().map(lane).collect::<Result<_>>()?,
            own: (0..machines).map(|_| own()).collect::<Result<_>>()?,
            source: grant.source,
            repair: SocketAddrV4::new(grant.source, grant.protection.repair_port),
        })
    }

    /// Waits until something arrives, or so long.
    pub fn wait(&self, limit: Duration) -> Result<()> {
        let sockets = self.group.iter().map(|(_, socket)| socket).chain(&self.own);
        let mut polled: Vec<_> =
            sockets.map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN)).collect();
        match ppoll(&mut polled, Some(TimeSpec::from_duration(limit)), None) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(error).context("wait for datagrams"),
        }
    }

    /// Adds what is there.
    pub fn hear(&self, heard: &mut Vec<Heard>) -> Result<()> {
        for (lane, socket) in &self.group {
            while let Some(datagram) = self.read(socket)? {
                heard.push(Heard::ToAll { lane: *lane, datagram });
            }
        }
        for (number, socket) in self.own.iter().enumerate() {
            while let Some(datagram) = self.read(socket)? {
                heard.push(Heard::ToOne { number, datagram });
            }
        }
        Ok(())
    }

    /// Says something to the box as this machine.
    pub fn speak(&self, number: usize, datagram: &[u8]) -> Result<()> {
        let socket = self.own.get(number).context("its socket")?;
        socket.send_to(datagram, self.repair).context("speak to the box")?;
        Ok(())
    }

    /// The next datagram of the box, if there is one.
    fn read(&self, socket: &UdpSocket) -> Result<Option<Bytes>> {
        let mut buffer = [0; DATAGRAM];
        loop {
            match socket.recv_from(&mut buffer) {
                Ok((length, SocketAddr::V4(from))) if *from.ip() == self.source => {
                    return Ok(Some(Bytes::copy_from_slice(&buffer[..length])));
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error).context("read a datagram"),
            }
        }
    }
}

fn open(at: SocketAddrV4) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    socket.set_multicast_all_v4(false)?;
    setsockopt(&socket, RcvBufForce, &RECEIVE_BUFFER)?;
    socket.bind(&at.into())?;
    Ok(socket)
}
