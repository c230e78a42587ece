//! A subscription to everything a lesson puts on air, before protection: the recorder's source.
//!
//! The relay hands each packet it sends to every tap by `try_send`. A tap that is full loses
//! packets and nobody else notices: the reader sees the gap in the indices and waits for the next
//! keyframe.

use std::time::Duration;

use alfarid_protocol::id::PublicationId;
use alfarid_stream::Codec;
use bytes::Bytes;
use tokio::sync::mpsc;

/// Packets that may wait for the reader: about four seconds at 4 Mbit/s.
pub const WAITING: usize = 2048;

/// The reading end. Closed when the lesson is.
pub type Tap = mpsc::Receiver<Tapped>;

#[derive(Clone, Debug)]
pub enum Tapped {
    /// A track begins; packets with its id follow, a keyframe first.
    Started(TappedTrack),
    Packet(TappedPacket),
    Ended(TrackId),
}

/// One unbroken stream: a change of codec ends it and starts another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TappedTrack {
    pub id: TrackId,
    pub kind: TrackKind,
    pub codec: Codec,
    pub publication: PublicationId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrackId(pub u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TrackKind {
    ScreenVideo,
    ScreenAudio,
    PersonAudio,
}

#[derive(Clone, Debug)]
pub struct TappedPacket {
    pub track: TrackId,
    /// Full 48-bit index, without gaps.
    pub index: u64,
    /// A reader can begin with it: the first of a keyframe, and any of sound.
    pub begins: bool,
    /// When it left the relay, by the daemon's monotonic clock.
    pub at: Duration,
    /// How long after it is due the room's machines show it; `None` where there are none.
    pub playout: Option<Duration>,
    /// The whole RTP packet as it is numbered on air, plain.
    pub packet: Bytes,
}
