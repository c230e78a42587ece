//! The IP packet around an IGMP message: Linux hands a raw socket both (raw(7)).

use std::net::Ipv4Addr;

use thiserror::Error;

use super::{ROUTER_ALERT, message};

/// IGMP's number in the IP header.
const PROTOCOL: u8 = 2;
/// Of a header with the router alert.
const HEADER: usize = 24;
/// What routers say to each other goes first where networks are busy (RFC 791 §3.1).
const INTERNETWORK_CONTROL: u8 = 0xc0;

/// Why bytes are not an IP packet with IGMP in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Error {
    #[error("IP packet ends after {0} bytes")]
    Truncated(usize),
    #[error("IP version {0} instead of 4")]
    Version(u8),
    #[error("IP protocol {0} instead of 2")]
    Protocol(u8),
    #[error("IGMP in a fragment")]
    Fragment,
    #[error(transparent)]
    Message(#[from] message::Error),
}

/// An IGMP message and who says it to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    pub from: Ipv4Addr,
    pub to: Ipv4Addr,
    pub message: message::Message,
}

impl Packet {
    /// Reads a whole IP packet ([RFC 791 §3.1](https://www.rfc-editor.org/rfc/rfc791#section-3.1)).
    /// Its header's checksum was the kernel's to check.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let truncated = Error::Truncated(bytes.len());
        let head = bytes.first_chunk::<20>().ok_or(truncated)?;
        if head[0] >> 4 != 4 {
            return Err(Error::Version(head[0] >> 4));
        }
        if head[9] != PROTOCOL {
            return Err(Error::Protocol(head[9]));
        }
        // More fragments follow, or this is not the first. No message is that long.
        if u16::from_be_bytes([head[6], head[7]]) & 0x3fff != 0 {
            return Err(Error::Fragment);
        }
        let header = 4 * usize::from(head[0] & 0x0f);
        let total = usize::from(u16::from_be_bytes([head[2], head[3]]));
        // What is behind `total` is the padding of a short Ethernet frame.
        let message = bytes.get(header.max(20)..total).ok_or(truncated)?;
        Ok(Self {
            from: Ipv4Addr::new(head[12], head[13], head[14], head[15]),
            to: Ipv4Addr::new(head[16], head[17], head[18], head[19]),
            message: message::Message::parse(message)?,
        })
    }

    /// The packet for a raw socket that includes the header, with router alert and TTL 1. Its
    /// checksum and its number are left to the kernel (raw(7)).
    pub fn encode(&self) -> Vec<u8> {
        let message = self.message.encode();
        let length = u16::try_from(HEADER + message.len()).unwrap_or(u16::MAX);
        let mut out = vec![0x46, INTERNETWORK_CONTROL];
        out.extend(length.to_be_bytes());
        out.extend([0, 0, 0, 0, 1, PROTOCOL, 0, 0]);
        out.extend(self.from.octets());
        out.extend(self.to.octets());
        out.extend(ROUTER_ALERT);
        out.extend(message);
        out
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::querier::message::Message;

    const GROUP: Ipv4Addr = Ipv4Addr::new(239, 255, 12, 34);
    const HOST: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 7);

    /// A report of `HOST` with router alert, padded to the shortest Ethernet frame.
    fn packet() -> Vec<u8> {
        let mut bytes = vec![0x46, 0xc0, 0, 32, 0, 0, 0x40, 0, 1, 2, 0, 0];
        bytes.extend(HOST.octets());
        bytes.extend(GROUP.octets());
        bytes.extend(crate::querier::ROUTER_ALERT);
        bytes.extend(Message::ReportV2(GROUP).encode());
        bytes.resize(46, 0);
        bytes
    }

    #[test]
    fn a_report_is_read_behind_options_and_before_padding() {
        let expected = Packet { from: HOST, to: GROUP, message: Message::ReportV2(GROUP) };
        assert_eq!(Packet::parse(&packet()), Ok(expected));
    }

    #[test]
    fn what_is_written_is_read_and_goes_no_further_than_one_network() {
        let packet = Packet { from: HOST, to: GROUP, message: Message::ReportV2(GROUP) };
        let bytes = packet.encode();
        assert_eq!(Packet::parse(&bytes), Ok(packet));
        assert_eq!((bytes[8], &bytes[20..24]), (1, &crate::querier::ROUTER_ALERT[..]));
    }

    #[test]
    fn what_is_no_whole_igmp_packet_is_refused() {
        let with = |at: usize, byte: u8| {
            let mut bytes = packet();
            bytes[at] = byte;
            Packet::parse(&bytes)
        };
        assert_eq!(with(0, 0x66), Err(Error::Version(6)));
        assert_eq!(with(9, 17), Err(Error::Protocol(17)));
        assert_eq!(with(6, 0x20), Err(Error::Fragment));
        assert_eq!(with(7, 1), Err(Error::Fragment));
        assert_eq!(with(3, 200), Err(Error::Truncated(46)));
        assert_eq!(with(3, 10), Err(Error::Truncated(46)));
        assert_eq!(with(3, 30), Err(Error::Message(message::Error::Truncated(6))));
        assert_eq!(Packet::parse(&packet()[..19]), Err(Error::Truncated(19)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Packet::parse(&bytes);
        }
    }
}
