//! The sockets of machines that a test plays itself: one for each port of a lesson's group, and one
//! of its own for each machine.
//!
//! The kernel says when each datagram came: a test that plays many machines is late itself.

use std::{
    io::{self, IoSliceMut},
    net::{Ipv4Addr, SocketAddrV4, UdpSocket},
    os::fd::{AsFd, AsRawFd},
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
        socket::{
            MsgFlags, SockaddrIn, recvmsg, setsockopt,
            sockopt::{RcvBufForce, ReceiveTimestampns},
        },
        time::TimeSpec,
    },
    time::ClockId,
};
use socket2::{Domain, Protocol, Socket, Type};

use crate::calendar;

/// A second of the stream with all that repairs it, several times over: the crowd must not lose
/// what the networks before it did not.
const RECEIVE_BUFFER: usize = 16 << 20;
const DATAGRAM: usize = 2_048;

/// The lanes that machines join.
const LANES: [Lane; 3] = [Lane::Video, Lane::Sound, Lane::Repair];

/// To whom the box sent something.
#[derive(Clone, Copy, Debug)]
pub enum To {
    All(Lane),
    One(usize),
}

/// A datagram of the box.
#[derive(Debug)]
pub struct Heard {
    /// When it came, by `CLOCK_BOOTTIME`.
    pub at: Duration,
    pub to: To,
    pub datagram: Bytes,
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

    /// Adds what is there, as it came one after the other.
    pub fn hear(&self, heard: &mut Vec<Heard>) -> Result<()> {
        let booted = calendar::began(ClockId::CLOCK_BOOTTIME);
        let own = self.own.iter().enumerate().map(|(number, socket)| (To::One(number), socket));
        let group = self.group.iter().map(|(lane, socket)| (To::All(*lane), socket));
        for (to, socket) in group.chain(own) {
            while let Some((stamped, datagram)) = self.read(socket)? {
                heard.push(Heard { at: stamped.saturating_sub(booted), to, datagram });
            }
        }
        heard.sort_by_key(|heard| heard.at);
        Ok(())
    }

    /// Says something to the box as this machine.
    pub fn speak(&self, number: usize, datagram: &[u8]) -> Result<()> {
        let socket = self.own.get(number).context("its socket")?;
        socket.send_to(datagram, self.repair).context("speak to the box")?;
        Ok(())
    }

    /// The next datagram of the box, if there is one, and when it came by the calendar.
    fn read(&self, socket: &UdpSocket) -> Result<Option<(Duration, Bytes)>> {
        let mut buffer = [0; DATAGRAM];
        let mut control = nix::cmsg_space!(TimeSpec);
        loop {
            let mut parts = [IoSliceMut::new(&mut buffer)];
            let fd = socket.as_raw_fd();
            let flags = MsgFlags::MSG_DONTWAIT;
            let message = match recvmsg::<SockaddrIn>(fd, &mut parts, Some(&mut control), flags) {
                Ok(message) => message,
                Err(Errno::EAGAIN) => return Ok(None),
                Err(error) => return Err(error).context("read a datagram"),
            };
            if message.address.is_none_or(|from| from.ip() != self.source) {
                continue;
            }
            let stamped = calendar::stamp(&message)?.context("when a datagram came")?;
            let length = message.bytes;
            return Ok(Some((stamped, Bytes::copy_from_slice(&buffer[..length]))));
        }
    }
}

fn open(at: SocketAddrV4) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    socket.set_multicast_all_v4(false)?;
    setsockopt(&socket, RcvBufForce, &RECEIVE_BUFFER)?;
    setsockopt(&socket, ReceiveTimestampns, &true)?;
    socket.bind(&at.into())?;
    Ok(socket)
}
