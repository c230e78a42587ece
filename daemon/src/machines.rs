//! The live channel to every student machine.
//!
//! Every machine dials out to the agent port and keeps one connection; what it says goes up
//! through [`Outlets`] to the capability that it concerns, what a capability has to say to it goes
//! down through [`Handle`]. This module knows who is connected and nothing of lessons.

use std::net::Ipv4Addr;

use alfarid_protocol::{
    control::{FromBox, Report},
    id::{MachineId, RoomId},
    span::{Mark, Moment},
    time::Timestamp,
};
use tokio::sync::{mpsc, oneshot};

/// What machines say, sorted by whom it concerns. Each outlet has one taker.
#[derive(Debug)]
pub struct Outlets {
    /// For the broadcast.
    pub media: mpsc::Receiver<MediaMessage>,
    /// For the attendance.
    pub presence: mpsc::Receiver<PresenceMessage>,
}

#[derive(Clone, Debug)]
pub enum MediaMessage {
    /// Approved and ready to be granted a lesson.
    Ready(Link),
    Gone(MachineId),
    WantKept { machine: MachineId, serial: u32, video_from: Option<u64>, audio_from: Option<u64> },
    Report { machine: MachineId, report: Report },
}

/// A connected machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub machine: MachineId,
    pub room: RoomId,
    pub name: String,
    /// The machine's address and the box's own on the same network: multicast to this machine
    /// leaves by the interface that has `local`, and comes from it.
    pub peer: Ipv4Addr,
    pub local: Ipv4Addr,
}

#[derive(Debug)]
pub enum PresenceMessage {
    Connected { machine: MachineId, now: Moment, box_time: Timestamp },
    /// A clock exchange: that moment of the machine was this box time.
    Clock { machine: MachineId, moment: Moment, box_time: Timestamp },
    /// Answered with the highest number that is on disk here; the machine is told.
    Marks { machine: MachineId, marks: Vec<Mark>, applied: oneshot::Sender<u64> },
    Gone { machine: MachineId, box_time: Timestamp },
}

/// Something for one machine.
#[derive(Clone, Debug)]
pub enum ToMachine {
    Say(Box<FromBox>),
    /// A binary message, see [`alfarid_protocol::kept`].
    Send(bytes::Bytes),
}
