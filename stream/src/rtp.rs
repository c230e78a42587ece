//! RTP packets ([RFC 3550 §5.1](https://www.rfc-editor.org/rfc/rfc3550#section-5.1)).
//!
//! What comes in may carry padding, contributing sources and header extensions; what goes out
//! never does. A browser's extensions (mid, transport-wide sequence numbers, ...) belong to its own
//! transport and would mean something else, or nothing, on ours. So a [`Packet`] is just the fixed
//! header and the payload, and writing one is twelve bytes and a copy.

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

/// The fixed header, and all of the header that is ever written.
pub const HEADER: usize = 12;

const VERSION: u8 = 2;
const PADDING: u8 = 0x20;
const EXTENSION: u8 = 0x10;
const MARKER: u8 = 0x80;

/// Why a datagram is not an RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Error {
    #[error("RTP packet of {0} bytes ends inside its header")]
    Short(usize),
    #[error("RTP version {0} instead of 2")]
    Version(u8),
    #[error("RTP padding of {0} bytes does not fit the packet")]
    Padding(u8),
}

/// The fields of the fixed header that mean something here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Header {
    /// Video: the last packet of a frame. Sound: the first after silence.
    pub marker: bool,
    /// 7 bits.
    pub payload_type: u8,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
}

impl Header {
    /// Reads the fixed header alone, whatever follows it: of a protected packet nothing else can be
    /// read.
    pub fn parse(datagram: &[u8]) -> Result<Self, Error> {
        let fixed = datagram.first_chunk::<HEADER>().ok_or(Error::Short(datagram.len()))?;
        check_version(fixed[0])?;
        Ok(Self {
            marker: fixed[1] & MARKER != 0,
            payload_type: fixed[1] & !MARKER,
            sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
            timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
        })
    }

    /// The fixed header as bytes, without padding, extension or contributing sources.
    pub fn to_bytes(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[0] = VERSION << 6;
        self.put(&mut bytes);
        bytes
    }

    /// Puts these fields into a packet that is already written. What the first byte says about
    /// padding, extension and contributing sources stays, for they stay too.
    pub fn rewrite(&self, datagram: &mut [u8]) -> Result<(), Error> {
        let length = datagram.len();
        let fixed = datagram.first_chunk_mut::<HEADER>().ok_or(Error::Short(length))?;
        check_version(fixed[0])?;
        self.put(fixed);
        Ok(())
    }

    fn put(&self, fixed: &mut [u8; HEADER]) {
        fixed[1] = if self.marker { MARKER } else { 0 } | (self.payload_type & !MARKER);
        fixed[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        fixed[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        fixed[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
    }
}

/// One RTP packet. Cheap to clone: the payload is shared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Packet {
    pub header: Header,
    /// Without padding. Empty in a packet that was nothing but padding (browsers probe with them).
    pub payload: Bytes,
}

impl Packet {
    /// Reads a datagram. The payload is a slice of it, not a copy.
    pub fn parse(datagram: &Bytes) -> Result<Self, Error> {
        let short = Error::Short(datagram.len());
        let header = Header::parse(datagram)?;
        let first = datagram.first().copied().unwrap_or_default();
        let mut start = HEADER + 4 * usize::from(first & 0x0f);
        if first & EXTENSION != 0 {
            // RFC 3550 §5.3.1: two bytes of profile, then the length in words without these four.
            let words = datagram.get(start + 2..start + 4).ok_or(short)?;
            start += 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
        }
        let rest = datagram.len().checked_sub(start).ok_or(short)?;
        let padding = match datagram.last() {
            Some(&count) if first & PADDING != 0 => count,
            _ => 0,
        };
        // The count includes itself, so that 0 is as wrong as too many.
        if first & PADDING != 0 && (padding == 0 || usize::from(padding) > rest) {
            return Err(Error::Padding(padding));
        }
        let payload = datagram.slice(start..datagram.len() - usize::from(padding));
        Ok(Self { header, payload })
    }

    /// Appends the packet. `out` must be able to grow or have [`Packet::size`] bytes left.
    pub fn write(&self, out: &mut impl BufMut) {
        out.put_slice(&self.header.to_bytes());
        out.put_slice(&self.payload);
    }

    /// The packet, written.
    pub fn to_bytes(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(self.size());
        self.write(&mut bytes);
        bytes.freeze()
    }

    /// Bytes that [`Packet::write`] writes.
    pub fn size(&self) -> usize {
        HEADER + self.payload.len()
    }
}

fn check_version(first: u8) -> Result<(), Error> {
    match first >> 6 {
        VERSION => Ok(()),
        other => Err(Error::Version(other)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// CSRC, a one-byte extension (RFC 8285) of one word, three bytes of payload, two of padding.
    const FULL: [u8; 29] = [
        0xb1, 0xe0, 0x12, 0x34, 0, 0, 0x0b, 0xb8, 0xca, 0xfe, 0xba, 0xbe, // fixed
        0, 0, 0, 7, // CSRC
        0xbe, 0xde, 0, 1, 0x10, 0x30, 0, 0, // extension
        0xaa, 0xbb, 0xcc, // payload
        0, 2, // padding
    ];

    fn header() -> Header {
        Header {
            marker: true,
            payload_type: 96,
            sequence: 0x1234,
            timestamp: 3_000,
            ssrc: 0xcafe_babe,
        }
    }

    #[test]
    fn extension_sources_and_padding_are_left_behind() {
        let packet = Packet::parse(&Bytes::from_static(&FULL)).unwrap();
        assert_eq!(packet.header, header());
        assert_eq!(&packet.payload[..], [0xaa, 0xbb, 0xcc]);
        let mut out = Vec::new();
        packet.write(&mut out);
        assert_eq!(out.len(), packet.size());
        assert_eq!(out[..4], [0x80, 0xe0, 0x12, 0x34]);
        assert_eq!(out[12..], [0xaa, 0xbb, 0xcc]);
    }

    #[test]
    fn a_packet_cut_anywhere_in_its_header_is_refused() {
        for cut in 0..24 {
            let error = Packet::parse(&Bytes::copy_from_slice(&FULL[..cut])).unwrap_err();
            assert_eq!(error, Error::Short(cut));
        }
    }

    #[test]
    fn impossible_padding_and_other_versions_are_refused() {
        for padding in [0, 6, 255] {
            let mut bytes = FULL;
            bytes[28] = padding;
            let error = Packet::parse(&Bytes::copy_from_slice(&bytes)).unwrap_err();
            assert_eq!(error, Error::Padding(padding));
        }
        let mut stun = FULL;
        stun[0] = 0x00;
        assert_eq!(Packet::parse(&Bytes::copy_from_slice(&stun)), Err(Error::Version(0)));
    }

    #[test]
    fn nothing_but_padding_is_an_empty_payload() {
        let mut bytes = FULL[..12].to_vec();
        bytes[0] = 0xa0;
        bytes.extend_from_slice(&[0, 0, 0, 4]);
        assert!(Packet::parse(&Bytes::from(bytes)).unwrap().payload.is_empty());
    }

    #[test]
    fn rewriting_in_place_keeps_what_the_header_carries() {
        let mut bytes = FULL.to_vec();
        let other = Header { sequence: 9, ssrc: 1, marker: false, ..header() };
        other.rewrite(&mut bytes).unwrap();
        let packet = Packet::parse(&Bytes::from(bytes)).unwrap();
        assert_eq!(packet.header, other);
        assert_eq!(&packet.payload[..], [0xaa, 0xbb, 0xcc]);
        assert_eq!(other.rewrite(&mut [0x80; 11]), Err(Error::Short(11)));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            marker: bool, payload_type in 0..128_u8, sequence: u16, timestamp: u32, ssrc: u32,
            payload in proptest::collection::vec(any::<u8>(), 0..1500),
        ) {
            let header = Header { marker, payload_type, sequence, timestamp, ssrc };
            let packet = Packet { header, payload: payload.into() };
            let mut out = Vec::new();
            packet.write(&mut out);
            prop_assert_eq!(Packet::parse(&out.into()), Ok(packet));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Packet::parse(&bytes.into());
        }
    }
}
