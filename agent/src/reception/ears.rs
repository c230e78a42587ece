//! The sockets of one lesson: those of its group, while it is joined, and the machine's own, which
//! speaks to the box and hears what is for this machine alone.

use std::{
    io,
    net::{Ipv4Addr, SocketAddrV4},
};

use alfarid_protocol::grant::Grant;
use alfarid_stream::transmit::Lane;
use bytes::Bytes;

use super::group::{GroupError, LessonSocket};

/// By which way something came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Group,
    /// To this machine alone.
    Flow,
}

#[derive(Debug)]
pub(super) struct Ears {
    /// The address that all of them are on.
    pub(super) on: Ipv4Addr,
    own: LessonSocket,
    group: Option<Group>,
}

/// A member's sockets. The control lanes of the group are not joined.
#[derive(Debug)]
struct Group {
    video: Option<LessonSocket>,
    audio: Option<LessonSocket>,
    repair: LessonSocket,
}

impl Ears {
    /// Without the group.
    pub(super) fn open(grant: &Grant, on: Ipv4Addr) -> Result<Self, GroupError> {
        Ok(Self { on, own: LessonSocket::own(grant.source, on)?, group: None })
    }

    pub(super) fn is_member(&self) -> bool {
        self.group.is_some()
    }

    pub(super) fn join(&mut self, grant: &Grant) -> Result<(), GroupError> {
        self.group = Some(Group::join(grant, self.on)?);
        Ok(())
    }

    /// Says the membership anew, if there is one: what the network had forgotten it learns again.
    /// What is unread stays: where a machine was held up, all that it missed lies there.
    pub(super) fn rejoin(&mut self) -> Result<(), GroupError> {
        let rejoined = self.group.as_ref().map_or(Ok(()), Group::rejoin);
        if rejoined.is_err() {
            self.leave();
        }
        rejoined
    }

    pub(super) fn leave(&mut self) {
        self.group = None;
    }

    /// Says something to the box. What cannot be sent now is lost, as on any network.
    pub(super) fn say(&self, datagram: &[u8], grant: &Grant) -> io::Result<()> {
        self.own.send(datagram, grant.protection.repair_port)
    }

    /// Waits for datagrams. Cancelling it loses nothing.
    pub(super) async fn receive(&mut self) -> (By, Vec<Bytes>) {
        let Some(group) = &mut self.group else { return (By::Flow, self.own.receive().await) };
        tokio::select! {
            datagrams = receive(&mut group.video) => (By::Group, datagrams),
            datagrams = receive(&mut group.audio) => (By::Group, datagrams),
            datagrams = group.repair.receive() => (By::Group, datagrams),
            datagrams = self.own.receive() => (By::Flow, datagrams),
        }
    }
}

impl Group {
    fn join(grant: &Grant, on: Ipv4Addr) -> Result<Self, GroupError> {
        let Grant { group, port, source, .. } = *grant;
        let lane = |lane: Lane| {
            let port = port.wrapping_add(lane.offset());
            LessonSocket::join(SocketAddrV4::new(group, port), source, on)
        };
        Ok(Self {
            video: grant.video.as_ref().map(|_| lane(Lane::Video)).transpose()?,
            audio: grant.audio.as_ref().map(|_| lane(Lane::Sound)).transpose()?,
            repair: lane(Lane::Repair)?,
        })
    }

    /// All leave before any enters: a group is left with its last member.
    fn rejoin(&self) -> Result<(), GroupError> {
        let sockets = || self.video.iter().chain(&self.audio).chain([&self.repair]);
        sockets().for_each(LessonSocket::leave);
        sockets().try_for_each(LessonSocket::enter)
    }
}

async fn receive(socket: &mut Option<LessonSocket>) -> Vec<Bytes> {
    match socket {
        Some(socket) => socket.receive().await,
        None => std::future::pending().await,
    }
}
