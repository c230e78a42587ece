//! What a machine hears in the group, opened and repaired by its grant.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot be set up has failed"
)]

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    time::Duration,
};

use alfarid_protocol::grant::{EpochKey, Grant};
use alfarid_stream::{
    Codec,
    assemble::{Assembler, Config, Frame, Origin},
    block::{Kind, Manifest, Next, VerifyingKey},
    epoch::Epoch,
    feedback::{Feedback, Request, Sealer},
    restore::{self, Restore, Verified},
    rtp::Packet,
    srtp::Keyring,
    transmit::Lane,
};
use bytes::Bytes;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

use crate::stage::{PATIENCE, machine::Machine};

/// The shortest wait before looking again what is lacking.
const LOOK: Duration = Duration::from_millis(1);

/// A machine's ears for one track.
pub(crate) struct Reception {
    lanes: [UdpSocket; 3],
    own: UdpSocket,
    ssrc: u32,
    restore: Restore,
    pub(crate) keyring: Keyring,
    sealer: Sealer,
    assembler: Assembler,
    /// Packets heard, by index.
    pub(crate) indices: Vec<u64>,
    /// The last of the newest frame.
    through: u64,
    /// Frames that were dropped before the first one.
    dropped_before: Option<u64>,
    /// The last of them, as it was on air.
    pub(crate) heard: Option<Verified>,
    /// One of so many source packets is lost before it comes here.
    pub(crate) lose_every: usize,
    sources: usize,
    /// The newest block that is closed.
    block: Option<u32>,
    /// When something was heard last.
    last: Duration,
    started: tokio::time::Instant,
}

impl Reception {
    /// Joins the group of the grant, for its video.
    pub(crate) fn video(grant: &Grant) -> Self {
        let track = grant.video.as_ref().unwrap();
        let codec = match track.codec {
            alfarid_protocol::grant::Codec::H264 => Codec::H264,
            alfarid_protocol::grant::Codec::Vp8 => Codec::Vp8,
            alfarid_protocol::grant::Codec::Opus => Codec::Opus,
        };
        let protection = &grant.protection;
        let playout = Duration::from_millis(protection.playout_ms.into());
        let config = Config { reorder_wait: playout, kept_wait: Some(Duration::from_secs(2)) };
        let tracks = grant.video.iter().chain(&grant.audio);
        let restore = restore::Config {
            key: VerifyingKey::new(&protection.signer).unwrap(),
            streams: tracks.map(|of| Next { ssrc: of.ssrc, index: of.next_index }).collect(),
            playout,
            round_trip: Duration::from_millis(5),
        };
        let lane = |lane: Lane| join(grant.group, grant.port + lane.offset());
        let mut reception = Self {
            lanes: [Lane::Video, Lane::Sound, Lane::Repair].map(lane),
            own: own(grant),
            ssrc: track.ssrc,
            restore: Restore::new(Duration::ZERO, restore),
            keyring: Keyring::new(),
            sealer: Sealer::new(grant.serial, protection.feedback_key.bytes()).unwrap(),
            assembler: Assembler::new(codec, config, Duration::ZERO),
            indices: Vec::new(),
            through: 0,
            dropped_before: None,
            heard: None,
            lose_every: usize::MAX,
            sources: 0,
            block: None,
            last: Duration::ZERO,
            started: started(),
        };
        for epoch in &protection.epochs {
            reception.take_epoch(epoch);
        }
        reception
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

    /// How long after it is due everything is shown, as the box said last.
    pub(crate) fn delay(&self) -> Option<Duration> {
        Some(self.restore.heartbeat()?.playout())
    }

    pub(crate) fn take_epoch(&mut self, epoch: &EpochKey) {
        let (key, salt) = (*epoch.key.bytes(), *epoch.salt.bytes());
        self.keyring.add(&Epoch { number: epoch.number, key, salt }).unwrap();
    }

    /// Takes one packet of the track from the group. Returns its index.
    pub(crate) async fn hear(&mut self) -> u64 {
        loop {
            while let Some(verified) = self.restore.poll() {
                let (ssrc, index) = (verified.ssrc, verified.index);
                let packet = self.keyring.open(&verified.datagram, index).unwrap();
                if ssrc != self.ssrc {
                    continue;
                }
                self.indices.push(index);
                self.heard = Some(verified);
                self.assembler.push(self.now(), index, packet, Origin::Live);
                return index;
            }
            while let Some(feedback) = self.restore.feedback(self.now()) {
                let sealed = self.sealer.seal(&feedback).unwrap();
                self.own.send(&sealed).await.unwrap();
            }
            self.receive().await;
        }
    }

    /// Takes one datagram in. A group where nothing is heard any more has failed.
    async fn receive(&mut self) {
        let [video, sound, repair] = &self.lanes;
        let waiting = async {
            let mut buffers = [[0; 2048]; 4];
            let [first, second, third, fourth] = &mut buffers;
            tokio::select! {
                length = video.recv(first) => (true, first[..length.unwrap()].to_vec()),
                length = sound.recv(second) => (true, second[..length.unwrap()].to_vec()),
                length = repair.recv(third) => (false, third[..length.unwrap()].to_vec()),
                length = self.own.recv(fourth) => (false, fourth[..length.unwrap()].to_vec()),
            }
        };
        let now = self.now();
        let due = self.restore.next_timeout().map_or(PATIENCE, |at| at.saturating_sub(now));
        let Ok((is_source, datagram)) = tokio::time::timeout(due.max(LOOK), waiting).await else {
            assert!(self.now() < self.last + PATIENCE, "nothing is heard in the group");
            return;
        };
        self.last = self.now();
        self.sources += usize::from(is_source);
        if is_source && self.sources.is_multiple_of(self.lose_every) {
            return;
        }
        let datagram = Bytes::from(datagram);
        if Kind::of(&datagram) == Some(Kind::Manifest) {
            let manifest = Manifest::parse(&datagram).unwrap();
            self.block = Some(manifest.unverified().block);
        }
        self.restore.push(self.now(), datagram);
    }

    /// Asks for a shard of the newest block, sealed and sent as one likes.
    pub(crate) async fn ask_as(&self, sealer: &mut Sealer, socket: &UdpSocket) {
        socket.send(&sealer.seal(&self.wish()).unwrap()).await.unwrap();
    }

    /// Asks for a shard of the newest block, and waits until parity comes to this machine alone.
    pub(crate) async fn ask(&mut self) {
        let sealed = self.sealer.seal(&self.wish()).unwrap();
        self.own.send(&sealed).await.unwrap();
        let mut buffer = [0; 2048];
        let answer = async {
            loop {
                let length = self.own.recv(&mut buffer).await.unwrap();
                if Kind::of(&buffer[..length]) == Some(Kind::Parity) {
                    return;
                }
            }
        };
        tokio::time::timeout(PATIENCE, answer).await.expect("no answer");
    }

    fn wish(&self) -> Feedback {
        let block = self.block.expect("a block was closed");
        let requests = vec![Request { block, deficit: 1, round: 0 }];
        Feedback { newest_block: block, requests, ..Feedback::default() }
    }

    /// Packets of all tracks that were lost and brought back.
    pub(crate) fn restored(&self) -> u64 {
        self.restore.stats().restored
    }

    /// The next `count` whole frames.
    pub(crate) async fn frames(&mut self, count: usize) -> Vec<Frame> {
        let mut frames = Vec::new();
        while frames.len() < count {
            let now = self.now();
            match self.assembler.poll(now) {
                Some(frame) => {
                    // It may have begun in the middle of a frame.
                    self.dropped_before.get_or_insert(self.assembler.stats().dropped);
                    self.through = frame.last_index;
                    frames.push(frame);
                }
                None => {
                    self.hear().await;
                }
            }
        }
        frames
    }

    /// No index of the frames so far is missing, and none came twice. What was lost and brought
    /// back comes later than what was sent behind it.
    #[track_caller]
    pub(crate) fn assert_no_gap(&self) {
        let mut indices = self.indices.clone();
        indices.retain(|index| *index <= self.through);
        indices.sort_unstable();
        let (first, last) = (indices[0], indices[indices.len() - 1]);
        assert_eq!(indices, (first..=last).collect::<Vec<_>>(), "the indices jump");
    }

    /// Nor was any frame dropped since the first.
    #[track_caller]
    pub(crate) fn assert_unbroken(&self) {
        self.assert_no_gap();
        let stats = self.assembler.stats();
        let dropped = stats.dropped - self.dropped_before.unwrap_or_default();
        assert_eq!((stats.lost, dropped), (0, 0), "{stats:?}");
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }
}

/// A socket that speaks to where the grant says, and hears answers.
pub(crate) fn own(grant: &Grant) -> UdpSocket {
    let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.connect((grant.source, grant.protection.repair_port)).unwrap();
    socket.set_nonblocking(true).unwrap();
    UdpSocket::from_std(socket).unwrap()
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
