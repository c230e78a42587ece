//! The box's sender: real RTP by multicast on the loopback interface, sealed, in signed blocks, and
//! repaired on request, as the box does it.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
};

use alfarid_agent::clock::monotonic;
use alfarid_protocol::{
    grant::{EpochKey, Protection},
    secret::Secret,
};
use alfarid_stream::{
    block::{SigningKey, Tickets},
    epoch::Epoch,
    feedback::{self, Opener, Said},
    index::Sequence,
    protect::Protect,
    repair::{Reach, Repair},
    rtp::Packet,
    srtp::Sealer,
    transmit::{Lane, ReceiverId, To, Transmit},
};
use aws_lc_rs::signature::Ed25519KeyPair;
use bytes::Bytes;
use socket2::SockRef;
use tokio::{
    net::UdpSocket,
    sync::mpsc,
    time::{Duration, interval},
};

/// How often the box looks what is due.
const LOOK: Duration = Duration::from_millis(5);

/// Orders that may wait: more than a test gives at once.
const WAITING: usize = 64;

/// Where the indices of a stream are before its first packet.
pub(crate) type Stream = (u32, u64);

enum Order {
    Send(Vec<Vec<u8>>),
    LoseEvery(usize),
    CutGroup(bool),
    Admit(u32),
    Switch(u32),
}

/// Ends with the test.
pub(crate) struct Air {
    orders: mpsc::Sender<Order>,
    repair_port: u16,
}

impl Air {
    /// A group of this test's own, sent to from `source`.
    pub(crate) fn new(source: Ipv4Addr, group: SocketAddrV4, streams: &[Stream]) -> Self {
        let socket = sender(source);
        let (orders, waiting) = mpsc::channel(WAITING);
        let repair_port = socket.local_addr().unwrap().port();
        let key = signing_key();
        let sequence = |&(ssrc, first): &Stream| (ssrc, Sequence::near(first));
        let the_box = TheAir {
            socket,
            group,
            sequences: streams.iter().map(sequence).collect(),
            sealer: Sealer::new(&epoch(0)).unwrap(),
            protect: Protect::new(monotonic(), key.clone(), Tickets::new(&[9; 32])),
            repair: Repair::new(key),
            speakers: HashMap::new(),
            flows: HashMap::new(),
            lose_every: usize::MAX,
            is_cut: false,
            sources: 0,
        };
        tokio::spawn(the_box.run(waiting));
        Self { orders, repair_port }
    }

    /// Puts these packets on air.
    pub(crate) fn send(&self, packets: impl IntoIterator<Item = impl AsRef<[u8]>>) {
        let packets = packets.into_iter().map(|packet| packet.as_ref().to_vec()).collect();
        self.order(Order::Send(packets));
    }

    /// One of so many source packets is lost on its way from now on.
    pub(crate) fn lose_every(&self, packets: usize) {
        self.order(Order::LoseEvery(packets));
    }

    /// Nothing reaches the group any more, or again.
    pub(crate) fn cut_group(&self, is_cut: bool) {
        self.order(Order::CutGroup(is_cut));
    }

    /// Hears the machine that is granted this, and seals with no other key than it names.
    pub(crate) fn protection(&self, serial: u32) -> Protection {
        self.order(Order::Admit(serial));
        protection(serial, self.repair_port)
    }

    /// Seals with the epoch of this number from now on.
    pub(crate) fn switch(&self, number: u32) {
        self.order(Order::Switch(number));
    }

    fn order(&self, order: Order) {
        assert!(self.orders.try_send(order).is_ok(), "the box does not keep up");
    }
}

/// What is granted where nothing is sent, and nobody is heard.
pub(crate) fn silence(serial: u32) -> Protection {
    /// Of those that nobody listens on (RFC 863).
    const DISCARD: u16 = 9;
    protection(serial, DISCARD)
}

fn protection(serial: u32, repair_port: u16) -> Protection {
    Protection {
        feedback_key: Secret::new(feedback_key(serial)),
        signer: signing_key().public().unwrap(),
        epochs: vec![epoch_key(0)],
        repair_port,
        playout_ms: 250,
    }
}

fn signing_key() -> SigningKey {
    SigningKey::new(Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap())
}

/// What somebody in the group makes of these packets: other contents, under the same numbers,
/// sealed with the group's key.
pub(crate) fn forged<'a>(
    packets: impl IntoIterator<Item = &'a Vec<u8>>,
    (ssrc, first): Stream,
) -> Vec<Bytes> {
    let mut sealer = Sealer::new(&epoch(0)).unwrap();
    let mut sequence = Sequence::near(first);
    let forge = |packet: &Vec<u8>| {
        let mut packet = packet.clone();
        packet[20..].fill(0);
        let packet = Packet::parse(&packet.into()).unwrap();
        assert_eq!(packet.header.ssrc, ssrc);
        let index = sequence.index(packet.header.sequence).unwrap();
        sealer.seal(index, &packet).unwrap()
    };
    packets.into_iter().map(forge).collect()
}

/// Sends from `source` to a group what nobody protects.
pub(crate) async fn send_as(source: Ipv4Addr, group: SocketAddrV4, packets: Vec<Bytes>) {
    let socket = sender(source);
    for packet in packets {
        socket.send_to(&packet, group).await.unwrap();
    }
}

fn sender(source: Ipv4Addr) -> UdpSocket {
    let socket = std::net::UdpSocket::bind(SocketAddrV4::new(source, 0)).unwrap();
    socket.set_nonblocking(true).unwrap();
    SockRef::from(&socket).set_multicast_if_v4(&source).unwrap();
    UdpSocket::from_std(socket).unwrap()
}

fn epoch(number: u32) -> Epoch {
    let byte = u8::try_from(number).unwrap() + 1;
    Epoch { number, key: [byte; 16], salt: [byte; 12] }
}

pub(crate) fn epoch_key(number: u32) -> EpochKey {
    let epoch = epoch(number);
    EpochKey { number, key: Secret::new(epoch.key), salt: Secret::new(epoch.salt) }
}

fn feedback_key(serial: u32) -> [u8; feedback::KEY] {
    [u8::try_from(serial).unwrap(); feedback::KEY]
}

struct TheAir {
    socket: UdpSocket,
    group: SocketAddrV4,
    sequences: HashMap<u32, Sequence>,
    sealer: Sealer,
    protect: Protect,
    repair: Repair,
    /// Who is heard, and where from.
    speakers: HashMap<u32, (Opener, Option<SocketAddr>)>,
    /// Who gets a copy of everything.
    flows: HashMap<u32, SocketAddr>,
    lose_every: usize,
    is_cut: bool,
    /// Source packets so far.
    sources: usize,
}

impl TheAir {
    async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        let mut look = interval(LOOK);
        let mut buffer = vec![0; 2048];
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some(order) => self.obey(order).await,
                    None => return,
                },
                Ok((length, from)) = self.socket.recv_from(&mut buffer) => {
                    self.hear(&buffer[..length], from).await;
                }
                _ = look.tick() => {}
            }
            self.transmit().await;
        }
    }

    async fn obey(&mut self, order: Order) {
        match order {
            Order::Send(packets) => {
                for packet in packets {
                    let packet = Packet::parse(&packet.into()).unwrap();
                    let sequence = self.sequences.get_mut(&packet.header.ssrc).unwrap();
                    let index = sequence.index(packet.header.sequence).unwrap();
                    let sealed = self.sealer.seal(index, &packet).unwrap();
                    self.protect.push(monotonic(), Lane::Video, index, sealed).unwrap();
                    self.transmit().await;
                }
            }
            Order::LoseEvery(packets) => self.lose_every = packets,
            Order::CutGroup(is_cut) => self.is_cut = is_cut,
            Order::Admit(serial) => {
                let opener = Opener::new(serial, &feedback_key(serial)).unwrap();
                self.speakers.insert(serial, (opener, None));
            }
            Order::Switch(number) => self.sealer.switch(&epoch(number)).unwrap(),
        }
    }

    async fn hear(&mut self, datagram: &[u8], from: SocketAddr) {
        let serial = feedback::receiver(datagram).unwrap();
        let (opener, way) = self.speakers.get_mut(&serial).expect("only the machine speaks");
        let said = opener.open(datagram).unwrap();
        *way = Some(from);
        let (now, receiver) = (monotonic(), ReceiverId(serial));
        match said {
            Said::Feedback(feedback) => {
                let has_flow = self.flows.contains_key(&serial);
                let reach = if has_flow { Reach::Unicast } else { Reach::Multicast };
                self.protect.hear(now, receiver, &feedback);
                self.repair.hear(now, receiver, reach, &feedback);
            }
            Said::KeepAlive(keep_alive) => {
                if !keep_alive.is_wanted {
                    self.flows.remove(&serial);
                } else if self.flows.insert(serial, from).is_none()
                    && let Some(block) = keep_alive.from
                {
                    let kept = self.repair.from(block, Duration::ZERO);
                    for (_, datagram) in kept.chain(self.protect.open()) {
                        self.socket.send_to(datagram, from).await.unwrap();
                    }
                }
                let sign = self.protect.sign_of_life(now);
                self.socket.send_to(&sign, from).await.unwrap();
            }
        }
    }

    async fn transmit(&mut self) {
        let now = monotonic();
        while let Some(transmit) = self.protect.poll(now) {
            self.sources += usize::from(transmit.lane == Lane::Video);
            if transmit.lane != Lane::Video || !self.sources.is_multiple_of(self.lose_every) {
                self.put(transmit).await;
            }
        }
        while let Some(closed) = self.protect.take_closed() {
            self.repair.keep(now, closed);
        }
        while let Some(transmit) = self.repair.poll(now) {
            self.put(transmit).await;
        }
    }

    async fn put(&self, Transmit { to, lane, datagram }: Transmit) {
        let port = self.group.port() + lane.offset();
        let group = SocketAddr::from((*self.group.ip(), port));
        let to: Vec<_> = match to {
            To::Group if self.is_cut => self.flows.values().copied().collect(),
            To::Group => self.flows.values().copied().chain([group]).collect(),
            To::Receiver(receiver) => vec![self.speakers[&receiver.0].1.unwrap()],
        };
        for to in to {
            self.socket.send_to(&datagram, to).await.unwrap();
        }
    }
}
