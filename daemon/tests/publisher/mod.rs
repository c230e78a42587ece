//! A teacher's browser as the box hears it: a real WHIP client that sends real video.
//!
//! ```text
//!   GStreamer: test picture ─▶ encoder ─▶ cut ─┐
//!                      ▲ keyframe asked        ├─▶ str0m ─▶ UDP
//!                      └───────────────────────┘
//! ```
//!
//! It knows nothing of the daemon: whoever uses it carries the offer there and the answer back.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod cut;
pub(crate) mod encoder;

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use str0m::{
    Candidate, Event, Input, Output, Rtc,
    bwe::BweKind,
    change::{SdpAnswer, SdpPendingOffer},
    format::Codec,
    media::{Direction, MediaKind, Mid, Pt},
    net::{Protocol, Receive},
    rtp::RtpWrite,
};
use tokio::{
    net::UdpSocket,
    sync::{mpsc, watch},
    task::JoinHandle,
};

use encoder::{Encoded, Encoder, Spec};

/// A test gives one order at a time; more than these is a test gone wrong, and fails it.
const ORDERS: usize = 16;

/// What a publisher has seen of the box.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) connected: bool,
    /// The box said goodbye, or the session broke.
    pub(crate) over: bool,
    pub(crate) keyframes_asked: u32,
    pub(crate) packets_sent: u64,
    /// What the box asked it to keep to (REMB).
    pub(crate) limit_bps: Option<u64>,
}

/// Which codecs an offer has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Codecs {
    pub(crate) h264: bool,
    pub(crate) vp8: bool,
    pub(crate) vp9: bool,
    pub(crate) opus: bool,
}

pub(crate) const ALL: Codecs = Codecs { h264: true, vp8: true, vp9: false, opus: true };

/// An offer that has not been answered.
pub(crate) struct Offer {
    pub(crate) sdp: String,
    rtc: Rtc,
    pending: SdpPendingOffer,
    video: Option<Mid>,
    audio: Option<Mid>,
    socket: UdpSocket,
}

/// A publisher that runs. Dropping it is pulling its plug.
pub(crate) struct Publisher {
    orders: mpsc::Sender<Order>,
    seen: watch::Receiver<Seen>,
    task: JoinHandle<()>,
}

enum Order {
    /// Another picture from now on: another size, another codec.
    Show(Spec),
    /// Every so many packets one is lost on the way.
    Lose(u64),
    /// Nothing goes out or comes in, as out of reach of the Wi-Fi; or it does again.
    Hush(bool),
}

impl Offer {
    pub(crate) async fn new(codecs: Codecs, video: bool) -> Self {
        Self::from(Ipv4Addr::LOCALHOST, codecs, video).await
    }

    /// An offer of a publisher at `address`.
    pub(crate) async fn from(address: Ipv4Addr, codecs: Codecs, video: bool) -> Self {
        let mut config = Rtc::builder()
            .set_rtp_mode(true)
            .clear_codecs()
            .enable_opus(codecs.opus, false)
            .enable_vp8(codecs.vp8)
            .enable_vp9(codecs.vp9);
        if codecs.h264 {
            config.codec_config().add_h264(108.into(), Some(109.into()), true, 0x42_e0_1f);
        }
        let mut rtc = config.build(now());
        let socket = UdpSocket::bind((address, 0)).await.unwrap();
        let local = socket.local_addr().unwrap();
        rtc.add_local_candidate(Candidate::host(local, "udp").unwrap());
        let mut changes = rtc.sdp_api();
        let mut add = |kind| changes.add_media(kind, Direction::SendOnly, None, None, None);
        let video = video.then(|| add(MediaKind::Video));
        let audio = codecs.opus.then(|| add(MediaKind::Audio));
        let (offer, pending) = changes.apply().unwrap();
        Self { sdp: offer.to_sdp_string(), rtc, pending, video, audio, socket }
    }

    /// Takes the box's answer, and begins to send: `show`, and sound if the offer has any.
    pub(crate) fn answered(mut self, sdp: &str, show: Option<Spec>) -> Publisher {
        let answer = SdpAnswer::from_sdp_string(sdp).unwrap();
        self.rtc.sdp_api().accept_answer(self.pending, answer).unwrap();
        let (orders, ordered) = mpsc::channel(ORDERS);
        let (told, seen) = watch::channel(Seen::default());
        let (packets, encoded) = mpsc::channel(1024);
        let sender = Sender {
            rtc: self.rtc,
            socket: self.socket,
            video: self.video.map(Line::new),
            audio: self.audio.map(Line::new),
            encoder: show.map(|spec| Encoder::video(spec, packets.clone())),
            _sound: self.audio.map(|_| Encoder::sound(packets.clone())),
            packets,
            told,
            lose_every: None,
            is_hushed: false,
        };
        let task = tokio::spawn(sender.run(ordered, encoded));
        Publisher { orders, seen, task }
    }
}

impl Publisher {
    pub(crate) fn show(&self, spec: Spec) {
        self.orders.try_send(Order::Show(spec)).unwrap();
    }

    pub(crate) fn lose(&self, every: u64) {
        self.orders.try_send(Order::Lose(every)).unwrap();
    }

    pub(crate) fn hush(&self, is_hushed: bool) {
        self.orders.try_send(Order::Hush(is_hushed)).unwrap();
    }

    pub(crate) fn seen(&self) -> Seen {
        *self.seen.borrow()
    }

    /// Waits until the publisher has seen something.
    pub(crate) async fn until(&mut self, what: &str, wanted: impl Fn(&Seen) -> bool) {
        let waiting = self.seen.wait_for(wanted);
        let in_time = tokio::time::timeout(Duration::from_secs(15), waiting).await;
        assert!(in_time.is_ok_and(|seen| seen.is_ok()), "the publisher never saw: {what}");
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One line of the session, with numbers of its own.
struct Line {
    mid: Mid,
    sequence: u64,
    /// Added to the encoder's RTP time, so that it goes on when the encoder changes.
    shift: Option<u32>,
    newest: u32,
}

impl Line {
    fn new(mid: Mid) -> Self {
        Self { mid, sequence: 1000, shift: None, newest: 0 }
    }
}

struct Sender {
    rtc: Rtc,
    socket: UdpSocket,
    video: Option<Line>,
    audio: Option<Line>,
    encoder: Option<Encoder>,
    _sound: Option<Encoder>,
    packets: mpsc::Sender<Encoded>,
    told: watch::Sender<Seen>,
    lose_every: Option<u64>,
    is_hushed: bool,
}

impl Sender {
    async fn run(
        mut self,
        mut orders: mpsc::Receiver<Order>,
        mut encoded: mpsc::Receiver<Encoded>,
    ) {
        let mut buffer = vec![0; 2000];
        let local = self.socket.local_addr().unwrap();
        while let Some(deadline) = self.drain() {
            let sleep = tokio::time::sleep_until(deadline.into());
            tokio::select! {
                received = self.socket.recv_from(&mut buffer) => {
                    let Ok((length, from)) = received else { continue };
                    self.receive(&buffer[..length], from, local);
                }
                Some(packet) = encoded.recv() => self.write(&packet),
                Some(order) = orders.recv() => match order {
                    Order::Show(spec) => {
                        if let Some(line) = &mut self.video {
                            line.shift = None;
                        }
                        // Stop the old encoder before the new one's first packet.
                        self.encoder = None;
                        while encoded.try_recv().is_ok() {}
                        self.encoder = Some(Encoder::video(spec, self.packets.clone()));
                    }
                    Order::Lose(every) => self.lose_every = Some(every),
                    Order::Hush(is_hushed) => self.is_hushed = is_hushed,
                },
                () = sleep => { let _ = self.rtc.handle_input(Input::Timeout(now())); }
            }
        }
        self.told.send_modify(|seen| seen.over = true);
    }

    fn receive(&mut self, bytes: &[u8], from: SocketAddr, local: SocketAddr) {
        if self.is_hushed {
            return;
        }
        if let Ok(receive) = Receive::new(Protocol::Udp, from, local, bytes) {
            let _ = self.rtc.handle_input(Input::Receive(now(), receive));
        }
    }

    /// When to be called again; `None`: the session is over.
    fn drain(&mut self) -> Option<Instant> {
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Timeout(deadline)) => return self.rtc.is_alive().then_some(deadline),
                Ok(Output::Transmit(_)) if self.is_hushed => {}
                Ok(Output::Transmit(out)) => {
                    let _ = self.socket.try_send_to(&out.contents, out.destination);
                }
                Ok(Output::Event(event)) => match event {
                    Event::Connected => self.told.send_modify(|seen| seen.connected = true),
                    Event::KeyframeRequest(_) => {
                        self.told.send_modify(|seen| seen.keyframes_asked += 1);
                        if let Some(encoder) = &self.encoder {
                            encoder.make_keyframe();
                        }
                    }
                    Event::EgressBitrateEstimate(BweKind::Remb { estimate: limit, .. }) => {
                        self.told.send_modify(|seen| seen.limit_bps = Some(limit.as_u64()));
                    }
                    Event::Closed => return None,
                    _ => {}
                },
                Err(_) => return None,
            }
        }
    }

    fn write(&mut self, packet: &Encoded) {
        if !self.told.borrow().connected {
            return;
        }
        let codec = packet.codec;
        let line = if codec == Codec::Opus { &mut self.audio } else { &mut self.video };
        let Some(line) = line else { return };
        let Some(pt) = payload_type(&self.rtc, line.mid, codec) else { return };
        // A frame later than what was sent last, whatever the encoder counts from.
        let shift = *line
            .shift
            .get_or_insert_with(|| line.newest.wrapping_add(3_000).wrapping_sub(packet.timestamp));
        line.newest = packet.timestamp.wrapping_add(shift);
        line.sequence += 1;
        let lost = codec != Codec::Opus
            && self.lose_every.is_some_and(|every| line.sequence.is_multiple_of(every));
        if lost {
            return;
        }
        let write =
            RtpWrite::new(pt, line.sequence.into(), line.newest, now(), packet.payload.as_slice())
                .marker(packet.marker)
                .nackable(codec != Codec::Opus);
        let mid = line.mid;
        if let Some(stream) = self.rtc.direct_api().stream_tx_by_mid(mid, None) {
            stream.write_rtp(write);
            self.told.send_modify(|seen| seen.packets_sent += 1);
        }
    }
}

fn payload_type(rtc: &Rtc, mid: Mid, codec: Codec) -> Option<Pt> {
    let agreed = rtc.media(mid)?.remote_pts();
    rtc.codec_config()
        .find(|params| params.spec().codec == codec && agreed.contains(&params.pt()))
        .map(str0m::format::PayloadParams::pt)
}

#[expect(clippy::disallowed_methods, reason = "a browser has a clock of its own")]
fn now() -> Instant {
    Instant::now()
}
