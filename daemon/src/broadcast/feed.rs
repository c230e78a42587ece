//! What a source hands to the relay of its slot, and what the relay asks of a source.
//!
//! Sources number their packets as they like; only the payload type is ours, one per codec, so that
//! behind the [`Reorder`](alfarid_stream::reorder::Reorder) a packet still says what it is.

use std::time::Duration;

use alfarid_protocol::id::PublicationId;
use alfarid_stream::{Codec, playout::Medium, rtp::Packet};
use tokio::sync::mpsc;

use super::{own, whip};

/// What may wait for the relay: half a second of a rich stream. Full: a packet is dropped, which
/// the relay sees as a loss on the way in; a report is, and the next one says the same; word of a
/// silence is, which cannot be where so much waits.
const WAITING: usize = 1024;

/// The largest payload that still fits a packet on Ethernet with its headers (IPv4, UDP, RTP) and
/// the protection that comes later (SRTP tag and MKI, 20 bytes).
pub(super) const MAX_PAYLOAD: usize = 1500 - 20 - 8 - 12 - 20;

/// What Opus can be encoded to, nearest to so many bits a second (RFC 6716 §2.1.1: from speech to
/// all that is of use).
pub(super) fn opus_bps(wanted: u32) -> u32 {
    wanted.clamp(6_000, 510_000)
}

/// What comes of a publication.
#[derive(Clone, Debug)]
pub(super) enum Arrival {
    /// One packet, its payload type as in [`payload_type`].
    Packet { publication: PublicationId, packet: Packet },
    /// The publisher's sender report. It belongs to the packets before it.
    Report { publication: PublicationId, report: Report },
    /// Nothing at all comes any more, not even word that it is still there; or something does
    /// again.
    Silence { publication: PublicationId, is_silent: bool },
}

/// At the publisher's own time `ntp`, as NTP writes it, its stream of this medium is at
/// `timestamp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) medium: Medium,
    pub(super) ntp: u64,
    pub(super) timestamp: u32,
}

impl Report {
    /// `time`: since whenever the publisher's time begins.
    pub(super) fn new(medium: Medium, time: Duration, timestamp: u32) -> Self {
        Self { medium, ntp: ntp(time), timestamp }
    }
}

/// A time as NTP writes it: seconds above, their fraction below (RFC 3550 §4).
pub(super) fn ntp(time: Duration) -> u64 {
    let fraction = (u64::from(time.subsec_nanos()) << 32) / 1_000_000_000;
    (time.as_secs() & 0xffff_ffff) << 32 | fraction
}

/// The source's end. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Feed(mpsc::Sender<Arrival>);

pub(super) fn feed() -> (Feed, mpsc::Receiver<Arrival>) {
    let (sender, receiver) = mpsc::channel(WAITING);
    (Feed(sender), receiver)
}

impl Feed {
    /// Never waits. `false`: the relay is not there any more.
    pub(super) fn give(&self, arrival: Arrival) -> bool {
        !matches!(self.0.try_send(arrival), Err(mpsc::error::TrySendError::Closed(_)))
    }
}

/// The payload type of a codec, the same on the way in and on air (RFC 3551 §6: dynamic).
pub(crate) const fn payload_type(codec: Codec) -> u8 {
    match codec {
        Codec::H264 => 96,
        Codec::Vp8 => 97,
        Codec::Opus => 98,
    }
}

/// The codec of a payload type.
pub(super) fn codec(payload_type_of_packet: u8) -> Option<Codec> {
    [Codec::H264, Codec::Vp8, Codec::Opus]
        .into_iter()
        .find(|codec| payload_type(*codec) == payload_type_of_packet)
}

/// How a source is asked for a keyframe.
#[derive(Clone, Debug)]
pub(super) enum Asker {
    Whip(whip::Handle),
    Own(own::Asker),
}

impl Asker {
    /// Never waits; a request that gets lost is repeated by the policy.
    pub(super) fn ask(&self, publication: PublicationId) {
        match self {
            Self::Whip(engine) => engine.ask_keyframe(publication),
            Self::Own(source) => source.ask(),
        }
    }
}
