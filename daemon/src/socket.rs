//! Sockets that the standard library and `socket2` do not have whole: what a box hears of a network
//! beside its own streams. The only module with `unsafe` code, and all of it is here for one call.
//!
//! Both need `CAP_NET_RAW`, which the unit gives. Without it opening them fails, and nothing else.

use std::{io, net::Ipv4Addr, os::fd::AsRawFd};

use nix::{
    ifaddrs::getifaddrs,
    libc,
    sys::socket::{LinkAddr, bind},
};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};

/// IGMP's number in the IP header.
const IGMP: i32 = 2;
/// Some seconds of what hosts answer to a query. Full: a query of another box is missed, and heard
/// the next time.
const IGMP_BUFFER: usize = 64 << 10;
/// What is overheard is looked at once a second, and a sample is enough. Full: the rest is dropped.
const OVERHEAR_BUFFER: usize = 64 << 10;

/// Whether this process may speak IGMP at all.
pub(crate) fn may_speak_igmp() -> io::Result<()> {
    Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(IGMP))).map(drop)
}

/// Speaks and hears IGMP on one interface, which has the address `local`. Headers are included, on
/// the way out too.
pub(crate) fn igmp(interface: &str, local: Ipv4Addr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(IGMP)))?;
    socket.set_nonblocking(true)?;
    socket.set_header_included_v4(true)?;
    socket.set_recv_buffer_size(IGMP_BUFFER)?;
    socket.bind_device(Some(interface.as_bytes()))?;
    socket.set_multicast_if_v4(&local)?;
    socket.set_multicast_loop_v4(false)?;
    Ok(socket)
}

/// Overhears what others send to groups of 239.255.0.0/16 on this interface, whether anybody here
/// is in them or not: the first bytes of each datagram, from the IP header on.
pub(crate) fn overhear(interface: &str) -> io::Result<Socket> {
    let protocol = i32::from(u16::try_from(libc::ETH_P_IP).unwrap_or_default().to_be());
    let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(Protocol::from(protocol)))?;
    socket.set_nonblocking(true)?;
    socket.set_recv_buffer_size(OVERHEAR_BUFFER)?;
    socket.attach_filter(&GROUPS_OF_OTHERS)?;
    let address = link_address(interface)?;
    // It names no protocol, which leaves the one that the socket was made with.
    bind(socket.as_raw_fd(), &address)?;
    hear_all_groups(&socket, &address)?;
    // Until then it heard every interface.
    while socket.recv(&mut [std::mem::MaybeUninit::uninit(); 1]).is_ok() {}
    Ok(socket)
}

/// Bytes of each that are kept: an IP header.
pub(crate) const OVERHEARD: usize = 20;

/// UDP to 239.255.0.0/16 that this machine did not send itself, in the kernel's language
/// (`linux/filter.h`, `linux/bpf_common.h`).
const GROUPS_OF_OTHERS: [SockFilter; 8] = {
    const LOAD_BYTE: u16 = 0x30;
    const LOAD_HALF: u16 = 0x28;
    const LOAD_WORD: u16 = 0x20;
    const JUMP_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    /// `SKF_AD_OFF + SKF_AD_PKTTYPE`: which way it goes.
    const PACKET_TYPE: u32 = 0xffff_f004;
    /// `PACKET_OUTGOING` of `linux/if_packet.h`.
    const OUTGOING: u32 = 4;
    const UDP: u32 = 17;
    [
        SockFilter::new(LOAD_WORD, 0, 0, PACKET_TYPE),
        SockFilter::new(JUMP_EQUAL, 5, 0, OUTGOING),
        SockFilter::new(LOAD_BYTE, 0, 0, 9),
        SockFilter::new(JUMP_EQUAL, 0, 3, UDP),
        SockFilter::new(LOAD_HALF, 0, 0, 16),
        SockFilter::new(JUMP_EQUAL, 0, 1, 0xefff),
        SockFilter::new(RETURN, 0, 0, 20),
        SockFilter::new(RETURN, 0, 0, 0),
    ]
};

fn link_address(interface: &str) -> io::Result<LinkAddr> {
    let mut addresses = getifaddrs()?.filter(|each| each.interface_name == interface);
    let found = addresses.find_map(|each| each.address?.as_link_addr().copied());
    found.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
}

/// A network card keeps from its machine what is sent to groups that nobody there is in. While this
/// socket is open it does not (packet(7), `PACKET_MR_ALLMULTI`).
fn hear_all_groups(socket: &Socket, on: &LinkAddr) -> io::Result<()> {
    let membership = libc::packet_mreq {
        mr_ifindex: i32::try_from(on.ifindex()).map_err(io::Error::other)?,
        mr_type: u16::try_from(libc::PACKET_MR_ALLMULTI).map_err(io::Error::other)?,
        mr_alen: 0,
        mr_address: [0; 8],
    };
    let length = u32::try_from(size_of::<libc::packet_mreq>()).map_err(io::Error::other)?;
    #[expect(unsafe_code, reason = "neither nix nor socket2 has this option")]
    // SAFETY: the descriptor is open as long as `socket` is borrowed, and the kernel reads `length`
    // bytes at the pointer, which are those of `membership`, and keeps none of them.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_ADD_MEMBERSHIP,
            (&raw const membership).cast(),
            length,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
