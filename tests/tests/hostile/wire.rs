//! What a machine with root can put on a wire: datagrams in its own name and in anybody else's, as
//! long as it likes. To be opened in its namespace.

use std::{
    cell::Cell,
    io,
    net::{Ipv4Addr, SocketAddrV4, UdpSocket},
};

use socket2::{Domain, Protocol, Socket, Type};

const UDP: u8 = 17;
const IP_HEADER: usize = 20;
const UDP_HEADER: usize = 8;
/// What an Ethernet frame carries of one IP packet; fragments are cut at multiples of 8.
const FRAGMENT: usize = 1_480;
const MORE_FRAGMENTS: u16 = 0x2000;
/// As the box's own: nothing goes beyond the room.
const TTL: u8 = 1;

#[derive(Debug)]
pub(crate) struct Wire {
    on: Ipv4Addr,
    own: UdpSocket,
    raw: Socket,
    /// Pieces of one datagram are put together by it.
    datagrams: Cell<u16>,
}

impl Wire {
    pub(crate) fn open(on: Ipv4Addr) -> io::Result<Self> {
        let own = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        own.set_multicast_if_v4(&on)?;
        own.set_multicast_loop_v4(false)?;
        own.bind(&SocketAddrV4::new(on, 0).into())?;
        // Of IPPROTO_RAW, whose header is the sender's own (raw(7)).
        let raw = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(255)))?;
        raw.set_multicast_if_v4(&on)?;
        raw.set_multicast_loop_v4(false)?;
        for socket in [&own, &raw] {
            socket.set_send_buffer_size(4 << 20)?;
        }
        Ok(Self { on, own: own.into(), raw, datagrams: Cell::new(1) })
    }

    /// Sends in its own name.
    pub(crate) fn send(&self, to: SocketAddrV4, payload: &[u8]) -> io::Result<()> {
        self.own.send_to(payload, to).map(drop)
    }

    /// Sends in the name of `from`, in as many pieces as it takes.
    pub(crate) fn spoof(
        &self,
        from: SocketAddrV4,
        to: SocketAddrV4,
        payload: &[u8],
    ) -> io::Result<()> {
        let length = u16::try_from(UDP_HEADER + payload.len()).map_err(io::Error::other)?;
        let mut udp = Vec::with_capacity(usize::from(length));
        for word in [from.port(), to.port(), length, 0] {
            // No checksum: RFC 768 leaves it to the sender.
            udp.extend(word.to_be_bytes());
        }
        udp.extend_from_slice(payload);
        let id = self.datagrams.get();
        self.datagrams.set(id.checked_add(1).unwrap_or(1));
        let count = udp.len().div_ceil(FRAGMENT);
        for (n, piece) in udp.chunks(FRAGMENT).enumerate() {
            let eighths = u16::try_from(n * FRAGMENT / 8).map_err(io::Error::other)?;
            let more = if n + 1 < count { MORE_FRAGMENTS } else { 0 };
            let packet = [&header(*from.ip(), *to.ip(), id, eighths | more)[..], piece].concat();
            self.raw.send_to(&packet, &to.into())?;
        }
        Ok(())
    }

    pub(crate) fn address(&self) -> Ipv4Addr {
        self.on
    }
}

/// RFC 791 §3.1. Length and checksum are the kernel's to fill in.
fn header(from: Ipv4Addr, to: Ipv4Addr, id: u16, fragment: u16) -> [u8; IP_HEADER] {
    let mut header = [0; IP_HEADER];
    header[0] = 0x45;
    header[4..6].copy_from_slice(&id.to_be_bytes());
    header[6..8].copy_from_slice(&fragment.to_be_bytes());
    header[8] = TTL;
    header[9] = UDP;
    header[12..16].copy_from_slice(&from.octets());
    header[16..20].copy_from_slice(&to.octets());
    header
}
