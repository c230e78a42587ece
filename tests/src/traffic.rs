//! What went over a host's wire, seen at its own interface with the kernel's timestamps.
//!
//! A packet socket sees what leaves after everything on the host had its say, and what arrives
//! before the host's rules (so before [`crate::faults`]) had theirs.

use std::{
    collections::BTreeMap,
    io::IoSliceMut,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    ops::Sub,
    os::fd::{AsRawFd, OwnedFd},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use nix::{
    ifaddrs::getifaddrs,
    sys::{
        socket::{
            AddressFamily, ControlMessageOwned, LinkAddr, MsgFlags, SockFlag, SockProtocol,
            SockType, bind, recvmsg, setsockopt, socket, sockopt,
        },
        time::TimeSpec,
    },
};
use tokio::{io::Interest, net::UdpSocket};

use crate::network::INTERFACE;

/// A second of a fast stream to thirty machines: what overflows is not counted.
const RECEIVE_BUFFER: usize = 32 << 20;

/// More than a wire carries at once.
const SNAP: usize = 2048;

/// `PACKET_OUTGOING` of `linux/if_packet.h`.
const OUTGOING: u8 = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Received,
    Sent,
}

/// One IP packet.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    pub direction: Direction,
    /// When the kernel saw it: `CLOCK_REALTIME`, the same in every namespace.
    pub at: Duration,
    /// The port is 0 unless it is UDP or TCP, and in fragments after the first.
    pub source: SocketAddr,
    pub destination: SocketAddr,
    /// With the IP header, without Ethernet's.
    pub ip_bytes: u64,
    /// What UDP carries; empty for everything else.
    pub payload: &'a [u8],
}

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
    _watch: Watch,
}

impl Traffic {
    pub fn so_far(&self) -> Counts {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn count(
        watch: impl FnOnce(Box<dyn FnMut(&Packet<'_>) + Send>) -> Result<Watch>,
    ) -> Result<Self> {
        let counts = Arc::new(Mutex::new(Counts::default()));
        let counting = Arc::clone(&counts);
        let watch = watch(Box::new(move |packet| {
            counting.lock().unwrap_or_else(PoisonError::into_inner).add(packet);
        }))?;
        Ok(Self { counts, _watch: watch })
    }
}

/// A watch on a host's packets, which ends when it is dropped.
#[derive(Debug)]
pub struct Watch(tokio::task::AbortHandle);

impl Watch {
    pub(crate) fn new(task: tokio::task::AbortHandle) -> Self {
        Self(task)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Opens the socket in the calling thread's network namespace.
pub(crate) fn open_socket() -> Result<OwnedFd> {
    let interface = getifaddrs()?
        .filter(|each| each.interface_name == INTERFACE)
        .find_map(|each| each.address?.as_link_addr().copied())
        .with_context(|| format!("there is no {INTERFACE}"))?;
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Packet, SockType::Raw, flags, SockProtocol::EthAll)?;
    setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER)?;
    setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
    // The address names no protocol, which leaves the one that the socket was made with.
    bind(socket.as_raw_fd(), &interface)?;
    Ok(socket)
}

/// Shows every packet to `see` until the task is aborted or the socket fails.
pub(crate) async fn watch(socket: OwnedFd, mut see: impl FnMut(&Packet<'_>)) -> Result<()> {
    // Tokio has no packet sockets. A UDP socket's wrapper is used to wait, and to close; it never
    // reads or writes.
    let socket = UdpSocket::from_std(socket.into())?;
    let mut frame = [0; SNAP];
    loop {
        let take = || Ok(receive(socket.as_raw_fd(), &mut frame)?);
        let (length, direction, at) = socket.async_io(Interest::READABLE, take).await?;
        if let Some(packet) = parse(&frame[..length], direction, at) {
            see(&packet);
        }
    }
}

fn receive(socket: i32, frame: &mut [u8]) -> nix::Result<(usize, Direction, Duration)> {
    let mut control = nix::cmsg_space!(TimeSpec);
    let mut parts = [IoSliceMut::new(frame)];
    let message =
        recvmsg::<LinkAddr>(socket, &mut parts, Some(&mut control), MsgFlags::MSG_DONTWAIT)?;
    let is_outgoing = message.address.is_some_and(|from| from.pkttype() == OUTGOING);
    let at = message.cmsgs()?.find_map(|control| match control {
        ControlMessageOwned::ScmTimestampns(at) => Some(Duration::from(at)),
        _ => None,
    });
    let direction = if is_outgoing { Direction::Sent } else { Direction::Received };
    Ok((message.bytes, direction, at.unwrap_or_default()))
}

/// `None` for what is not IP.
fn parse(frame: &[u8], direction: Direction, at: Duration) -> Option<Packet<'_>> {
    const ETHERNET_HEADER: usize = 14;
    let packet = frame.get(ETHERNET_HEADER..)?;
    let kind = u16::from_be_bytes([frame[12], frame[13]]);
    let ip = match kind {
        0x0800 => parse_v4(packet)?,
        0x86dd => parse_v6(packet)?,
        _ => return None,
    };
    let (ports, payload) = ip.ports();
    Some(Packet {
        direction,
        at,
        source: SocketAddr::new(ip.source, ports[0]),
        destination: SocketAddr::new(ip.destination, ports[1]),
        ip_bytes: ip.bytes,
        payload,
    })
}

struct Ip<'a> {
    source: IpAddr,
    destination: IpAddr,
    bytes: u64,
    /// Of what follows; 0 where a fragment has no header of it.
    protocol: u8,
    rest: &'a [u8],
}

impl<'a> Ip<'a> {
    fn ports(&self) -> ([u16; 2], &'a [u8]) {
        const TCP: u8 = 6;
        const UDP: u8 = 17;
        const UDP_HEADER: usize = 8;
        match (self.protocol, self.rest) {
            (TCP | UDP, &[s1, s0, d1, d0, ..]) => {
                let payload = match self.protocol {
                    UDP => self.rest.get(UDP_HEADER..).unwrap_or_default(),
                    _ => &[],
                };
                ([u16::from_be_bytes([s1, s0]), u16::from_be_bytes([d1, d0])], payload)
            }
            _ => ([0, 0], &[]),
        }
    }
}

// RFC 791 §3.1.
fn parse_v4(packet: &[u8]) -> Option<Ip<'_>> {
    let header = packet.first_chunk::<20>()?;
    let header_length = usize::from(header[0] & 0x0f) * 4;
    let total = u16::from_be_bytes([header[2], header[3]]);
    let fragment_offset = u16::from_be_bytes([header[6], header[7]]) & 0x1fff;
    let end = packet.len().min(usize::from(total));
    Some(Ip {
        source: Ipv4Addr::from(*header[12..].first_chunk::<4>()?).into(),
        destination: Ipv4Addr::from(*header[16..].first_chunk::<4>()?).into(),
        bytes: u64::from(total),
        protocol: if fragment_offset == 0 { header[9] } else { 0 },
        rest: packet.get(header_length..end)?,
    })
}

// RFC 8200 §3. What stands behind extension headers is counted without its ports.
fn parse_v6(packet: &[u8]) -> Option<Ip<'_>> {
    const HEADER: usize = 40;
    let header = packet.first_chunk::<HEADER>()?;
    let length = u16::from_be_bytes([header[4], header[5]]);
    Some(Ip {
        source: Ipv6Addr::from(*header[8..].first_chunk::<16>()?).into(),
        destination: Ipv6Addr::from(*header[24..].first_chunk::<16>()?).into(),
        bytes: HEADER as u64 + u64::from(length),
        protocol: header[6],
        rest: &packet[HEADER..],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ethernet, IPv4, UDP from 10.77.0.1:4000 to 239.255.1.2:5004, and "hello".
    fn frame() -> Vec<u8> {
        let mut frame = vec![0; 12];
        frame.extend([0x08, 0x00]);
        frame.extend([0x45, 0, 0, 33, 0, 0, 0, 0, 1, 17, 0, 0, 10, 77, 0, 1, 239, 255, 1, 2]);
        frame.extend([0x0f, 0xa0, 0x13, 0x8c, 0, 13, 0, 0]);
        frame.extend(b"hello");
        frame
    }

    #[test]
    fn a_datagram_is_read_whole() {
        let frame = frame();
        let packet = parse(&frame, Direction::Sent, Duration::ZERO).unwrap();

        assert_eq!(packet.source, "10.77.0.1:4000".parse().unwrap());
        assert_eq!(packet.destination, "239.255.1.2:5004".parse().unwrap());
        assert_eq!(packet.ip_bytes, 33);
        assert_eq!(packet.payload, b"hello");
    }

    #[test]
    fn a_cut_frame_is_not_read_beyond_its_end() {
        let frame = frame();
        for length in 0..frame.len() {
            let _ = parse(&frame[..length], Direction::Sent, Duration::ZERO);
        }
    }

    #[test]
    fn counts_since_a_moment_leave_out_streams_that_were_silent() {
        let frame = frame();
        let packet = parse(&frame, Direction::Sent, Duration::ZERO).unwrap();
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
