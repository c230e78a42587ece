//! What the box puts on the network, and where.

use bytes::Bytes;

/// Bytes that IPv4 and UDP add to each datagram on the network.
pub const HEADERS: usize = 28;

/// One of the five ports of a lesson's group, counted from its first. A machine on unicast gets all
/// of them on one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    Video,
    VideoControl,
    Sound,
    SoundControl,
    Repair,
}

impl Lane {
    /// How far this lane's port is above the first.
    pub fn offset(self) -> u16 {
        match self {
            Self::Video => 0,
            Self::VideoControl => 1,
            Self::Sound => 2,
            Self::SoundControl => 3,
            Self::Repair => 4,
        }
    }
}

/// A machine that receives the lesson, by the number in its grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReceiverId(pub u32);

/// Who gets a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum To {
    /// All that joined the group. Machines on unicast get a copy of each.
    Group,
    /// This machine alone, at the address its feedback comes from.
    Receiver(ReceiverId),
}

/// A datagram to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    pub to: To,
    pub lane: Lane,
    pub datagram: Bytes,
}
