//! A browser that watches, as the box hears it: a real WHEP client that takes real media.
//!
//! It knows nothing of the daemon: whoever uses it carries the offer there and the answer back.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot be set up has failed"
)]

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use str0m::{
    Candidate, Event, Input, Output, Rtc,
    change::{SdpAnswer, SdpPendingOffer},
    format::Codec,
    media::{Direction, KeyframeRequestKind, MediaKind, Mid},
    net::{Protocol, Receive},
    rtp::Extension,
};
use tokio::{net::UdpSocket, sync::mpsc, task::JoinHandle};

/// A test reads what comes, or needs no more of it.
const WAITING: usize = 65_536;

/// Which codecs an offer has, and how many sounds it asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    pub(crate) h264: bool,
    pub(crate) vp8: bool,
    pub(crate) sounds: usize,
}

pub(crate) const ALL: Wish = Wish { h264: true, vp8: true, sounds: 2 };

pub(crate) struct Offer {
    pub(crate) sdp: String,
    rtc: Rtc,
    pending: SdpPendingOffer,
    mids: Vec<Mid>,
    socket: UdpSocket,
}

/// One packet of a line: 0 is the picture, then the sounds.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) line: usize,
    pub(crate) codec: Codec,
    pub(crate) sequence: u64,
    pub(crate) timestamp: u32,
    /// How long after it came it is to be shown, no sooner and no later; if that is said.
    pub(crate) playout: Option<Duration>,
    pub(crate) payload: Vec<u8>,
}

/// A viewer that runs. Dropping it is pulling its plug.
pub(crate) struct Viewer {
    packets: mpsc::Receiver<Packet>,
    orders: mpsc::Sender<Order>,
    task: JoinHandle<()>,
}

enum Order {
    /// It cannot decode what it has.
    Pli,
    /// Every so many packets one is lost on the way.
    Lose(u64),
}

impl Offer {
    pub(crate) async fn new(wish: Wish) -> Self {
        let mut config = Rtc::builder().set_rtp_mode(true).clear_codecs().enable_opus(true, false);
        if wish.h264 {
            config.codec_config().add_h264(108.into(), Some(109.into()), true, 0x42_e0_1f);
        }
        // As browsers do.
        config = config.set_extension(5, Extension::PlayoutDelay);
        let mut rtc = config.enable_vp8(wish.vp8).build(now());
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let local = socket.local_addr().unwrap();
        rtc.add_local_candidate(Candidate::host(local, "udp").unwrap());
        let mut changes = rtc.sdp_api();
        let kinds = [MediaKind::Video].into_iter();
        let kinds = kinds.chain(std::iter::repeat_n(MediaKind::Audio, wish.sounds));
        let mids = kinds
            .map(|kind| changes.add_media(kind, Direction::RecvOnly, None, None, None))
            .collect();
        let (offer, pending) = changes.apply().unwrap();
        Self { sdp: offer.to_sdp_string(), rtc, pending, mids, socket }
    }

    /// Takes the box's answer, and begins to watch.
    pub(crate) fn answered(mut self, sdp: &str) -> Viewer {
        let answer = SdpAnswer::from_sdp_string(sdp).unwrap();
        self.rtc.sdp_api().accept_answer(self.pending, answer).unwrap();
        let (told, packets) = mpsc::channel(WAITING);
        let (orders, ordered) = mpsc::channel(16);
        let taker = Taker {
            rtc: self.rtc,
            socket: self.socket,
            mids: self.mids,
            told,
            received: 0,
            lose_every: None,
        };
        Viewer { packets, orders, task: tokio::spawn(taker.run(ordered)) }
    }
}

impl Viewer {
    /// The next packet; `None`: the session is over.
    pub(crate) async fn next(&mut self) -> Option<Packet> {
        let next = tokio::time::timeout(Duration::from_secs(15), self.packets.recv()).await;
        next.expect("nothing came")
    }

    /// The next packets of one line.
    pub(crate) async fn take(&mut self, line: usize, count: usize) -> Vec<Packet> {
        let mut taken = Vec::with_capacity(count);
        while taken.len() < count {
            let packet = self.next().await.expect("the session is over");
            taken.extend((packet.line == line).then_some(packet));
        }
        taken
    }

    /// What has come of one line and was not read yet.
    pub(crate) fn arrived(&mut self, line: usize) -> usize {
        let arrived = std::iter::from_fn(|| self.packets.try_recv().ok());
        arrived.filter(|packet| packet.line == line).count()
    }

    /// Waits until the box has said goodbye.
    pub(crate) async fn until_over(&mut self) {
        while self.next().await.is_some() {}
    }

    pub(crate) async fn ask_keyframe(&self) {
        self.orders.send(Order::Pli).await.unwrap();
    }

    pub(crate) fn lose(&self, every: u64) {
        self.orders.try_send(Order::Lose(every)).unwrap();
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Taker {
    rtc: Rtc,
    socket: UdpSocket,
    mids: Vec<Mid>,
    told: mpsc::Sender<Packet>,
    received: u64,
    lose_every: Option<u64>,
}

impl Taker {
    async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        let mut buffer = vec![0; 2000];
        let local = self.socket.local_addr().unwrap();
        while let Some(deadline) = self.drain() {
            let sleep = tokio::time::sleep_until(deadline.into());
            tokio::select! {
                received = self.socket.recv_from(&mut buffer) => {
                    let Ok((length, from)) = received else { continue };
                    self.receive(&buffer[..length], from, local);
                }
                Some(order) = orders.recv() => match order {
                    Order::Pli => self.ask_keyframe(),
                    Order::Lose(every) => self.lose_every = Some(every),
                },
                () = sleep => { let _ = self.rtc.handle_input(Input::Timeout(now())); }
            }
        }
    }

    fn receive(&mut self, bytes: &[u8], from: SocketAddr, local: SocketAddr) {
        self.received += 1;
        if self.lose_every.is_some_and(|every| self.received.is_multiple_of(every)) {
            return;
        }
        if let Ok(receive) = Receive::new(Protocol::Udp, from, local, bytes) {
            let _ = self.rtc.handle_input(Input::Receive(now(), receive));
        }
    }

    fn ask_keyframe(&mut self) {
        let picture = self.mids[0];
        if let Some(stream) = self.rtc.direct_api().stream_rx_by_mid(picture, None) {
            stream.request_keyframe(KeyframeRequestKind::Pli);
        }
    }

    /// When to be called again; `None`: the session is over.
    fn drain(&mut self) -> Option<Instant> {
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Timeout(deadline)) => return self.rtc.is_alive().then_some(deadline),
                Ok(Output::Transmit(out)) => {
                    let _ = self.socket.try_send_to(&out.contents, out.destination);
                }
                Ok(Output::Event(Event::RtpPacket(packet))) => self.tell(&packet),
                Ok(Output::Event(Event::Closed)) | Err(_) => return None,
                Ok(Output::Event(_)) => {}
            }
        }
    }

    fn tell(&mut self, packet: &str0m::rtp::RtpPacket) {
        let header = &packet.header;
        let mid = self.rtc.direct_api().stream_rx(&header.ssrc).map(|stream| stream.mid());
        let codec = self.rtc.codec_config().find(|known| known.pt() == header.payload_type);
        let (Some(mid), Some(codec)) = (mid, codec) else { return };
        let line = self.mids.iter().position(|known| *known == mid).unwrap();
        let extensions = &header.ext_vals;
        let (least, most) = (extensions.play_delay_min, extensions.play_delay_max);
        let told = self.told.try_send(Packet {
            line,
            codec: codec.spec().codec,
            sequence: *packet.seq_no,
            timestamp: header.timestamp,
            playout: least.filter(|_| least == most).map(Duration::from),
            payload: packet.payload.to_vec(),
        });
        told.expect("a test that does not read what it asked for");
    }
}

#[expect(clippy::disallowed_methods, reason = "a browser has a clock of its own")]
fn now() -> Instant {
    Instant::now()
}
