//! IGMP messages of all three versions, as bytes
//! ([RFC 3376 §4](https://www.rfc-editor.org/rfc/rfc3376#section-4),
//! [RFC 2236 §2](https://www.rfc-editor.org/rfc/rfc2236#section-2)).
//!
//! ```text
//!   query v1, v2   │ 0x11 │ answer within │ checksum │ group │
//!   query v3       │ 0x11 │ answer within │ checksum │ group │ S QRV │ QQIC │ n │ n sources │
//!   report, leave  │ 0x12 0x16 0x17 │ 0 │ checksum │ group │
//!   report v3      │ 0x22 │ 0 │ checksum │ 0 │ n │ n records │
//!   record         │ kind │ words of extra data │ n │ group │ n sources │ extra data │
//! ```
//!
//! What the RFCs want ignored (extra data, bytes behind the end, records of unknown kinds) is
//! passed over when read and not there when written.

use std::{net::Ipv4Addr, time::Duration};

use bytes::BufMut;
use thiserror::Error;

const QUERY: u8 = 0x11;
const REPORT_V1: u8 = 0x12;
const REPORT_V2: u8 = 0x16;
const LEAVE: u8 = 0x17;
const REPORT_V3: u8 = 0x22;

/// Bytes of every message but those of version 3.
const SHORT: usize = 8;
/// Bytes of a query of version 3 before its sources.
const QUERY_V3: usize = 12;

/// How long hosts of version 1 take to answer: their queries do not say it (RFC 3376 §8.3).
const V1_RESPONSE: Duration = Duration::from_secs(10);

/// Why bytes are not an IGMP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Error {
    #[error("IGMP message ends after {0} bytes")]
    Truncated(usize),
    #[error("IGMP checksum is wrong")]
    Checksum,
    #[error("IGMP type {0:#04x} is unknown")]
    Type(u8),
    #[error("IGMP query of {0} bytes is of no version")]
    QueryLength(usize),
    #[error("{0} is no multicast group")]
    NotAGroup(Ipv4Addr),
}

/// One IGMP message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    Query(Query),
    /// A host is in a group, in the words of version 1.
    ReportV1(Ipv4Addr),
    /// A host is in a group, in the words of version 2.
    ReportV2(Ipv4Addr),
    /// A host leaves a group (version 2).
    Leave(Ipv4Addr),
    /// What a host hears, in the words of version 3. At most 65,535 records.
    ReportV3(Vec<Record>),
}

/// Asks hosts to say which groups they are in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// `None`: all groups (a general query).
    pub group: Option<Ipv4Addr>,
    /// Hosts spread their answers over this time. Tenths of a second on the wire; up to 25.5 s in
    /// version 2, about 53 minutes in version 3.
    pub max_response: Duration,
    pub form: Form,
}

/// What the versions of a query differ in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    V1,
    V2,
    V3 {
        /// Other routers shall leave their timers alone (the S flag).
        suppress: bool,
        /// How many lost packets membership survives, 0 to 7; 0 where it is more than 7.
        robustness: u8,
        /// How often the querier asks. Seconds on the wire.
        interval: Duration,
        /// At most 65,535.
        sources: Vec<Ipv4Addr>,
    },
}

/// What a host wants to hear of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub kind: RecordKind,
    pub group: Ipv4Addr,
    /// At most 65,535.
    pub sources: Vec<Ipv4Addr>,
}

/// RFC 3376 §4.2.12.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RecordKind {
    IsInclude = 1,
    IsExclude = 2,
    ToInclude = 3,
    ToExclude = 4,
    AllowNew = 5,
    BlockOld = 6,
}

impl Message {
    /// Reads what an IP packet of protocol 2 carries.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let (head, rest) =
            bytes.split_first_chunk::<SHORT>().ok_or(Error::Truncated(bytes.len()))?;
        if checksum(bytes) != 0 {
            return Err(Error::Checksum);
        }
        let address = Ipv4Addr::new(head[4], head[5], head[6], head[7]);
        match head[0] {
            QUERY => Query::read(*head, bytes).map(Self::Query),
            REPORT_V1 => group(address).map(Self::ReportV1),
            REPORT_V2 => group(address).map(Self::ReportV2),
            LEAVE => group(address).map(Self::Leave),
            REPORT_V3 => {
                let count = u16::from_be_bytes([head[6], head[7]]);
                records(count, rest).ok_or(Error::Truncated(bytes.len())).map(Self::ReportV3)
            }
            other => Err(Error::Type(other)),
        }
    }

    /// The message's bytes, checksum included.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(QUERY_V3);
        match self {
            Self::Query(query) => query.write(&mut out),
            Self::ReportV1(group) => short(REPORT_V1, 0, *group, &mut out),
            Self::ReportV2(group) => short(REPORT_V2, 0, *group, &mut out),
            Self::Leave(group) => short(LEAVE, 0, *group, &mut out),
            Self::ReportV3(records) => {
                out.put_slice(&[REPORT_V3, 0, 0, 0, 0, 0]);
                let count = count(records.len());
                out.put_u16(count);
                for record in records.iter().take(usize::from(count)) {
                    out.put_slice(&[record.kind as u8, 0]);
                    put_addresses(&record.sources, Some(record.group), &mut out);
                }
            }
        }
        let sum = checksum(&out).to_be_bytes();
        out[2..4].copy_from_slice(&sum);
        out
    }
}

impl Query {
    fn read(head: [u8; SHORT], bytes: &[u8]) -> Result<Self, Error> {
        let address = Ipv4Addr::new(head[4], head[5], head[6], head[7]);
        let group = if address.is_unspecified() { None } else { Some(group(address)?) };
        let code = head[1];
        // RFC 3376 §7.1: the length tells the version, and what is between is none.
        let (max_response, form) = match bytes.len() {
            SHORT if code == 0 => (V1_RESPONSE, Form::V1),
            SHORT => (tenths(u32::from(code)), Form::V2),
            length if length < QUERY_V3 => return Err(Error::QueryLength(length)),
            length => {
                let count = usize::from(u16::from_be_bytes([bytes[10], bytes[11]]));
                let sources = bytes[QUERY_V3..].get(..4 * count).ok_or(Error::Truncated(length))?;
                let form = Form::V3 {
                    suppress: bytes[8] & 0x08 != 0,
                    robustness: bytes[8] & 0x07,
                    interval: Duration::from_secs(u64::from(from_code(bytes[9]))),
                    sources: addresses(sources),
                };
                (tenths(from_code(code)), form)
            }
        };
        Ok(Self { group, max_response, form })
    }

    fn write(&self, out: &mut Vec<u8>) {
        let group = self.group.unwrap_or(Ipv4Addr::UNSPECIFIED);
        let response = u32::try_from(self.max_response.as_millis() / 100).unwrap_or(u32::MAX);
        match &self.form {
            Form::V1 => short(QUERY, 0, group, out),
            // 0 would make it a query of version 1.
            Form::V2 => short(QUERY, u8::try_from(response.max(1)).unwrap_or(u8::MAX), group, out),
            Form::V3 { suppress, robustness, interval, sources } => {
                short(QUERY, to_code(response), group, out);
                out.put_u8(u8::from(*suppress) << 3 | robustness & 0x07);
                out.put_u8(to_code(u32::try_from(interval.as_secs()).unwrap_or(u32::MAX)));
                put_addresses(sources, None, out);
            }
        }
    }
}

impl RecordKind {
    fn of(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::IsInclude,
            2 => Self::IsExclude,
            3 => Self::ToInclude,
            4 => Self::ToExclude,
            5 => Self::AllowNew,
            6 => Self::BlockOld,
            _ => return None,
        })
    }
}

/// `None` if the bytes end before the records do.
fn records(count: u16, mut bytes: &[u8]) -> Option<Vec<Record>> {
    let mut records = Vec::new();
    for _ in 0..count {
        let (head, rest) = bytes.split_first_chunk::<8>()?;
        let sources = 4 * usize::from(u16::from_be_bytes([head[2], head[3]]));
        let (sources, rest) = rest.split_at_checked(sources)?;
        bytes = rest.get(4 * usize::from(head[1])..)?;
        let group = Ipv4Addr::new(head[4], head[5], head[6], head[7]);
        // RFC 3376 §4.2.12: records of unknown kinds are silently passed over.
        if let Some(kind) = RecordKind::of(head[0]) {
            records.push(Record { kind, group, sources: addresses(sources) });
        }
    }
    Some(records)
}

fn group(address: Ipv4Addr) -> Result<Ipv4Addr, Error> {
    if address.is_multicast() { Ok(address) } else { Err(Error::NotAGroup(address)) }
}

fn short(kind: u8, code: u8, group: Ipv4Addr, out: &mut Vec<u8>) {
    out.put_slice(&[kind, code, 0, 0]);
    out.put_slice(&group.octets());
}

fn addresses(bytes: &[u8]) -> Vec<Ipv4Addr> {
    bytes.as_chunks::<4>().0.iter().copied().map(Ipv4Addr::from).collect()
}

/// How many there are, then the group if there is one, then they.
fn put_addresses(sources: &[Ipv4Addr], group: Option<Ipv4Addr>, out: &mut Vec<u8>) {
    let count = count(sources.len());
    out.put_u16(count);
    for address in group.iter().chain(sources.iter().take(usize::from(count))) {
        out.put_slice(&address.octets());
    }
}

fn count(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}

fn tenths(count: u32) -> Duration {
    Duration::from_millis(100 * u64::from(count))
}

/// RFC 3376 §4.1.1: from 128 on, a code is a number with three bits of exponent, four of mantissa.
fn from_code(code: u8) -> u32 {
    match code {
        0..128 => u32::from(code),
        _ => u32::from(code & 0x0f | 0x10) << ((code >> 4 & 0x07) + 3),
    }
}

/// The code of the largest number that is not above `number`.
fn to_code(number: u32) -> u8 {
    let reaches = |code: &u8| from_code(*code) <= number;
    // Codes ascend with their numbers; 256 of them are searched in eight steps.
    let mut low = 0_u8;
    for bit in (0..8).rev() {
        low = Some(low | 1 << bit).filter(reaches).unwrap_or(low);
    }
    low
}

/// RFC 1071; 0 over a message that carries its right checksum.
fn checksum(bytes: &[u8]) -> u16 {
    let (words, odd) = bytes.as_chunks::<2>();
    let odd = odd.first().map_or(0, |byte| u64::from(*byte) << 8);
    let mut sum = odd + words.iter().map(|word| u64::from(u16::from_be_bytes(*word))).sum::<u64>();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !((sum & 0xffff) as u16)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GROUP: Ipv4Addr = Ipv4Addr::new(239, 255, 12, 34);

    fn general(form: Form) -> Message {
        Message::Query(Query { group: None, max_response: Duration::from_secs(10), form })
    }

    #[test]
    fn queries_are_the_bytes_that_linux_routers_send() {
        assert_eq!(general(Form::V2).encode(), [0x11, 0x64, 0xee, 0x9b, 0, 0, 0, 0]);
        let v3 = Form::V3 {
            suppress: false,
            robustness: 2,
            interval: Duration::from_secs(125),
            sources: Vec::new(),
        };
        let bytes = [0x11, 0x64, 0xec, 0x1e, 0, 0, 0, 0, 0x02, 0x7d, 0, 0];
        assert_eq!(general(v3.clone()).encode(), bytes);
        assert_eq!(Message::parse(&bytes), Ok(general(v3)));
        assert_eq!(
            Message::parse(&[0x11, 0, 0xee, 0xff, 0, 0, 0, 0]),
            Ok(general(Form::V1)),
            "a query without a time is of version 1"
        );
    }

    #[test]
    fn a_report_of_a_linux_host_is_read() {
        // TO_EX {} of 239.255.12.34, as a plain join says it.
        let bytes = [0x22, 0, 0xdd, 0xdc, 0, 0, 0, 1, 4, 0, 0, 0, 239, 255, 12, 34];
        let record = Record { kind: RecordKind::ToExclude, group: GROUP, sources: Vec::new() };
        assert_eq!(Message::parse(&bytes), Ok(Message::ReportV3(vec![record])));
    }

    #[test]
    fn what_is_to_be_ignored_is_passed_over() {
        let mut bytes = vec![0x22, 0, 0, 0, 0, 0, 0, 2];
        bytes.extend([99, 1, 0, 1, 239, 1, 1, 1, 10, 0, 0, 1, 0xde, 0xad, 0xbe, 0xef]);
        bytes.extend([6, 0, 0, 1, 239, 255, 12, 34, 10, 0, 0, 2, 0xff]);
        let sum = checksum(&bytes).to_be_bytes();
        bytes[2..4].copy_from_slice(&sum);
        let sources = vec![Ipv4Addr::new(10, 0, 0, 2)];
        let record = Record { kind: RecordKind::BlockOld, group: GROUP, sources };
        assert_eq!(Message::parse(&bytes), Ok(Message::ReportV3(vec![record])));
    }

    #[test]
    fn what_is_not_igmp_is_refused() {
        assert_eq!(Message::parse(&[0x11, 0x64]), Err(Error::Truncated(2)));
        assert_eq!(Message::parse(&[0x11, 0x64, 0, 0, 0, 0, 0, 0]), Err(Error::Checksum));
        assert_eq!(Message::parse(&[0x13, 0, 0xec, 0xff, 0, 0, 0, 0]), Err(Error::Type(0x13)));
        let odd = [0x11, 0x64, 0xee, 0x9b, 0, 0, 0, 0, 0, 0];
        assert_eq!(Message::parse(&odd), Err(Error::QueryLength(10)));
        let lonely = Message::ReportV2(Ipv4Addr::new(10, 0, 0, 1)).encode();
        assert_eq!(Message::parse(&lonely), Err(Error::NotAGroup(Ipv4Addr::new(10, 0, 0, 1))));
        let short = [0x22, 0, 0xdd, 0xfe, 0, 0, 0, 1];
        assert_eq!(Message::parse(&short), Err(Error::Truncated(8)));
    }

    #[test]
    fn codes_are_those_of_the_rfc() {
        let pairs = [(0, 0), (127, 127), (0x80, 128), (0x8f, 248), (0x90, 256), (0xff, 31_744)];
        for (code, number) in pairs {
            assert_eq!(from_code(code), number);
        }
        for code in 0..=u8::MAX {
            assert_eq!(to_code(from_code(code)), code);
        }
        assert_eq!((to_code(255), to_code(u32::MAX)), (0x8f, 0xff));
    }

    fn address() -> impl Strategy<Value = Ipv4Addr> {
        any::<u32>().prop_map(Ipv4Addr::from)
    }

    fn multicast() -> impl Strategy<Value = Ipv4Addr> {
        (0xe000_0000..0xf000_0000_u32).prop_map(Ipv4Addr::from)
    }

    fn record() -> impl Strategy<Value = Record> {
        let sources = proptest::collection::vec(address(), 0..4);
        (1..=6_u8, multicast(), sources).prop_map(|(kind, group, sources)| Record {
            kind: RecordKind::of(kind).unwrap(),
            group,
            sources,
        })
    }

    fn message() -> impl Strategy<Value = Message> {
        let v3 = (any::<bool>(), 0..8_u8, any::<u8>(), proptest::collection::vec(address(), 0..5));
        let form = prop_oneof![
            Just(Form::V1),
            Just(Form::V2),
            v3.prop_map(|(suppress, robustness, code, sources)| Form::V3 {
                suppress,
                robustness,
                interval: Duration::from_secs(u64::from(from_code(code))),
                sources,
            }),
        ];
        let query = (proptest::option::of(multicast()), 1..=u8::MAX, form);
        let query = query.prop_map(|(group, code, form)| {
            let max_response = match form {
                Form::V1 => V1_RESPONSE,
                Form::V2 => tenths(u32::from(code)),
                Form::V3 { .. } => tenths(from_code(code)),
            };
            Message::Query(Query { group, max_response, form })
        });
        prop_oneof![
            query,
            multicast().prop_map(Message::ReportV1),
            multicast().prop_map(Message::ReportV2),
            multicast().prop_map(Message::Leave),
            proptest::collection::vec(record(), 0..5).prop_map(Message::ReportV3),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(message in message()) {
            prop_assert_eq!(Message::parse(&message.encode()), Ok(message));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Message::parse(&bytes);
        }

        #[test]
        fn one_flipped_bit_is_noticed(message in message(), bit: prop::sample::Index) {
            let mut bytes = message.encode();
            let bit = bit.index(8 * bytes.len());
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(Message::parse(&bytes).is_err());
        }
    }
}
