//! What a machine hears in the group.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot be set up has failed"
)]

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    time::Duration,
};

use alfarid_protocol::grant::Grant;
use alfarid_stream::{
    Codec,
    assemble::{Assembler, Config, Frame, Origin},
    index::Sequence,
    rtp::Packet,
};
use bytes::Bytes;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

use crate::stage::{PATIENCE, machine::Machine};

/// A machine's ears for one track.
pub(crate) struct Reception {
    socket: UdpSocket,
    ssrc: u32,
    sequence: Sequence,
    assembler: Assembler,
    /// Packets heard, by index.
    pub(crate) indices: Vec<u64>,
    started: tokio::time::Instant,
}

impl Reception {
    /// Joins the group of the grant's video.
    pub(crate) fn video(grant: &Grant) -> Self {
        let track = grant.video.as_ref().unwrap();
        let codec = match track.codec {
            alfarid_protocol::grant::Codec::H264 => Codec::H264,
            alfarid_protocol::grant::Codec::Vp8 => Codec::Vp8,
            alfarid_protocol::grant::Codec::Opus => Codec::Opus,
        };
        let config = Config {
            reorder_wait: Duration::from_millis(50),
            kept_wait: Some(Duration::from_secs(2)),
        };
        Self {
            socket: join(grant.group, grant.port),
            ssrc: track.ssrc,
            sequence: Sequence::near(track.next_index),
            assembler: Assembler::new(codec, config, Duration::ZERO),
            indices: Vec::new(),
            started: started(),
        }
    }

    /// Joins, and fetches the kept pictures before the first live packet.
    pub(crate) async fn begin(machine: &mut Machine, grant: &Grant) -> Self {
        let mut reception = Self::video(grant);
        let first = reception.hear().await;
        for (index, packet) in machine.kept(grant.serial, Some(first)).await {
            let packet = Packet::parse(&Bytes::from(packet)).unwrap();
            let now = reception.now();
            reception.assembler.push(now, index, packet, Origin::Kept);
        }
        reception.assembler.kept_ended();
        reception
    }

    /// Joins, and waits for the next keyframe: what a machine without kept pictures does.
    pub(crate) fn bare(grant: &Grant) -> Self {
        let mut reception = Self::video(grant);
        reception.assembler.kept_ended();
        reception
    }

    /// Takes one packet of the track from the group. Returns its index.
    pub(crate) async fn hear(&mut self) -> u64 {
        let mut buffer = vec![0; 2000];
        loop {
            let received = tokio::time::timeout(PATIENCE, self.socket.recv(&mut buffer)).await;
            let length = received.expect("nothing is heard in the group").unwrap();
            let packet = Packet::parse(&Bytes::copy_from_slice(&buffer[..length])).unwrap();
            if packet.header.ssrc != self.ssrc {
                continue;
            }
            let index = self.sequence.index(packet.header.sequence).unwrap();
            self.indices.push(index);
            let now = self.now();
            self.assembler.push(now, index, packet, Origin::Live);
            return index;
        }
    }

    /// The next `count` whole frames.
    pub(crate) async fn frames(&mut self, count: usize) -> Vec<Frame> {
        let mut frames = Vec::new();
        while frames.len() < count {
            let now = self.now();
            match self.assembler.poll(now) {
                Some(frame) => frames.push(frame),
                None => {
                    self.hear().await;
                }
            }
        }
        frames
    }

    /// No index is missing, none came twice, no frame was dropped.
    #[track_caller]
    pub(crate) fn assert_unbroken(&self) {
        let broken: Vec<_> =
            self.indices.windows(2).filter(|pair| pair[1] != pair[0] + 1).collect();
        assert!(broken.is_empty(), "the indices jump: {broken:?}");
        let stats = self.assembler.stats();
        assert_eq!((stats.lost, stats.dropped), (0, 0), "{stats:?}");
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }
}

/// Everything that arrives at a port of the group.
pub(crate) fn join(group: Ipv4Addr, port: u16) -> UdpSocket {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket.set_recv_buffer_size(4 << 20).unwrap();
    socket.bind(&SocketAddrV4::new(group, port).into()).unwrap();
    socket.join_multicast_v4(&group, &Ipv4Addr::LOCALHOST).unwrap();
    UdpSocket::from_std(socket.into()).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "a machine has a clock of its own")]
fn started() -> tokio::time::Instant {
    tokio::time::Instant::now()
}
