//! One IP packet, as a frame on the wire holds it.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

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

/// `None` for what is not IP.
pub(super) fn parse(frame: &[u8], direction: Direction, at: Duration) -> Option<Packet<'_>> {
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
}
