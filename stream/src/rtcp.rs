//! RTCP sender reports
//! ([RFC 3550 §6.4.1](https://www.rfc-editor.org/rfc/rfc3550#section-6.4.1)).
//!
//! A report ties the RTP clock of a stream to wall time, which is how sound and picture find
//! together. Written, it is a compound packet as §6.1 demands it: the report, then the CNAME. Read,
//! everything but the first sender report is passed over.
//!
//! ```text
//!   SR    │ V P RC=0 │ 200 │ length=6 │ SSRC │ NTP (64) │ RTP │ packets │ octets │
//!   SDES  │ V P SC=1 │ 202 │ length   │ SSRC │ 1 │ n │ CNAME │ 0.. to a multiple of 4 │
//! ```

use bytes::BufMut;
use thiserror::Error;

const SENDER_REPORT: u8 = 200;
const SOURCE_DESCRIPTION: u8 = 202;
const CNAME: u8 = 1;
const VERSION: u8 = 0x80;

/// Bytes of a sender report without report blocks.
const REPORT: usize = 28;

/// The longest CNAME: its length has one byte (RFC 3550 §6.5).
const MAX_CNAME: usize = 255;

/// Why a datagram is not RTCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Error {
    #[error("RTCP packet ends after {0} bytes inside a report")]
    Truncated(usize),
    #[error("RTCP version {0} instead of 2")]
    Version(u8),
}

/// What a sender says about its clock and its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderReport {
    pub ssrc: u32,
    /// Wall time in NTP format: seconds since 1900 in the upper half, their fraction below.
    pub ntp: u64,
    /// The same moment by the RTP clock.
    pub timestamp: u32,
    pub packets: u32,
    /// Payload bytes.
    pub octets: u32,
}

impl SenderReport {
    /// Appends the compound packet. A `cname` over 255 bytes is cut there.
    pub fn write(&self, cname: &str, out: &mut impl BufMut) {
        out.put_u8(VERSION);
        out.put_u8(SENDER_REPORT);
        out.put_u16(6);
        out.put_u32(self.ssrc);
        out.put_u64(self.ntp);
        out.put_u32(self.timestamp);
        out.put_u32(self.packets);
        out.put_u32(self.octets);

        let cname = &cname.as_bytes()[..cname.floor_char_boundary(MAX_CNAME)];
        // SSRC, type, length and name, then at least one zero to end the list (§6.5).
        let words = (4 + 2 + cname.len() + 1).div_ceil(4);
        out.put_u8(VERSION | 1);
        out.put_u8(SOURCE_DESCRIPTION);
        out.put_uint(words as u64, 2);
        out.put_u32(self.ssrc);
        out.put_u8(CNAME);
        out.put_uint(cname.len() as u64, 1);
        out.put_slice(cname);
        out.put_bytes(0, words * 4 - (4 + 2 + cname.len()));
    }

    /// The first sender report in a compound packet, `None` if it has none.
    pub fn parse(datagram: &[u8]) -> Result<Option<Self>, Error> {
        let truncated = Error::Truncated(datagram.len());
        let mut rest = datagram;
        while !rest.is_empty() {
            let head = rest.first_chunk::<4>().ok_or(truncated)?;
            if head[0] >> 6 != VERSION >> 6 {
                return Err(Error::Version(head[0] >> 6));
            }
            let length = 4 + 4 * usize::from(u16::from_be_bytes([head[2], head[3]]));
            let (packet, after) = rest.split_at_checked(length).ok_or(truncated)?;
            if head[1] == SENDER_REPORT {
                return packet.first_chunk().map(Self::read).ok_or(truncated).map(Some);
            }
            rest = after;
        }
        if datagram.is_empty() { Err(truncated) } else { Ok(None) }
    }

    fn read(packet: &[u8; REPORT]) -> Self {
        let word = |at: usize| {
            u32::from_be_bytes([packet[at], packet[at + 1], packet[at + 2], packet[at + 3]])
        };
        Self {
            ssrc: word(4),
            ntp: u64::from(word(8)) << 32 | u64::from(word(12)),
            timestamp: word(16),
            packets: word(20),
            octets: word(24),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REPORT: SenderReport = SenderReport {
        ssrc: 0xcafe_babe,
        ntp: 0xe8a1_b2c3_8000_0000,
        timestamp: 0x0102_0304,
        packets: 7,
        octets: 8_192,
    };

    #[test]
    fn the_compound_packet_is_the_one_of_the_rfc() {
        let mut out = Vec::new();
        REPORT.write("box", &mut out);
        let expected = [
            0x80, 200, 0, 6, 0xca, 0xfe, 0xba, 0xbe, 0xe8, 0xa1, 0xb2, 0xc3, 0x80, 0, 0,
            0, // SR
            1, 2, 3, 4, 0, 0, 0, 7, 0, 0, 0x20, 0, //
            0x81, 202, 0, 3, 0xca, 0xfe, 0xba, 0xbe, 1, 3, b'b', b'o', b'x', 0, 0, 0, // SDES
        ];
        assert_eq!(out, expected);
    }

    #[test]
    fn a_report_is_found_behind_others_and_with_report_blocks() {
        let mut compound = vec![0x81, 201, 0, 7];
        compound.resize(32, 0);
        let mut sender = Vec::new();
        REPORT.write("x", &mut sender);
        sender.truncate(28);
        sender[0] |= 1;
        sender[3] = 12;
        sender.resize(52, 0);
        compound.extend_from_slice(&sender);
        assert_eq!(SenderReport::parse(&compound), Ok(Some(REPORT)));
        assert_eq!(SenderReport::parse(&compound[..32]), Ok(None));
        assert_eq!(SenderReport::parse(&compound[..60]), Err(Error::Truncated(60)));
    }

    #[test]
    fn what_is_not_rtcp_is_refused() {
        assert_eq!(SenderReport::parse(&[]), Err(Error::Truncated(0)));
        assert_eq!(SenderReport::parse(&[0x00, 200, 0, 0]), Err(Error::Version(0)));
        assert_eq!(SenderReport::parse(&[0x80, 200, 0, 0]), Err(Error::Truncated(4)));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            ssrc: u32, ntp: u64, timestamp: u32, packets: u32, octets: u32, cname in ".{0,300}",
        ) {
            let report = SenderReport { ssrc, ntp, timestamp, packets, octets };
            let mut out = Vec::new();
            report.write(&cname, &mut out);
            prop_assert_eq!(out.len() % 4, 0);
            prop_assert_eq!(SenderReport::parse(&out), Ok(Some(report)));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = SenderReport::parse(&bytes);
        }
    }
}
