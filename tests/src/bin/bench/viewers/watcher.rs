//! A browser that watches and draws nothing: a real session with ICE, DTLS and SRTP, of which the
//! packets are counted.
//!
//! It offers, as WHEP has it, or answers, as Janus has it.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use anyhow::{Context, Result};
use str0m::{
    Candidate, Event, Input, Output, Rtc,
    change::{SdpAnswer, SdpOffer, SdpPendingOffer},
    media::{Direction, MediaKind},
    net::{Protocol, Receive},
};
use tokio::{net::UdpSocket, task::JoinHandle};

const DATAGRAM: usize = 2_048;

/// One that runs. Dropping it is pulling its plug.
#[derive(Debug)]
pub(super) struct Watcher {
    counts: Arc<Counts>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Counts {
    pictures: AtomicU64,
    bytes: AtomicU64,
}

/// An offer that has not been answered.
pub(super) struct Offer {
    pub(super) sdp: String,
    session: Session,
    pending: SdpPendingOffer,
}

impl Offer {
    /// For a picture and its sound. To be called on the host that has this address.
    pub(super) async fn from(address: Ipv4Addr) -> Result<Self> {
        let mut session = Session::open(address).await?;
        let mut changes = session.rtc.sdp_api();
        for kind in [MediaKind::Video, MediaKind::Audio] {
            changes.add_media(kind, Direction::RecvOnly, None, None, None);
        }
        let (offer, pending) = changes.apply().context("an offer")?;
        Ok(Self { sdp: offer.to_sdp_string(), session, pending })
    }

    /// Takes the answer, and begins to watch.
    pub(super) fn answered(mut self, sdp: &str) -> Result<Watcher> {
        let answer = SdpAnswer::from_sdp_string(sdp)?;
        self.session.rtc.sdp_api().accept_answer(self.pending, answer)?;
        Ok(self.session.watch())
    }
}

/// Answers an offer, and begins to watch. To be called on the host that has this address.
pub(super) async fn answer(address: Ipv4Addr, offer: &str) -> Result<(String, Watcher)> {
    let mut session = Session::open(address).await?;
    let offer = SdpOffer::from_sdp_string(offer)?;
    let answer = session.rtc.sdp_api().accept_offer(offer)?;
    Ok((answer.to_sdp_string(), session.watch()))
}

impl Watcher {
    /// How many pictures came to their end, by RTP's marker (RFC 6184 §5.1).
    pub(super) fn pictures(&self) -> u64 {
        self.counts.pictures.load(Ordering::Relaxed)
    }

    /// Bytes of RTP payload.
    pub(super) fn bytes(&self) -> u64 {
        self.counts.bytes.load(Ordering::Relaxed)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Session {
    rtc: Rtc,
    socket: UdpSocket,
    local: SocketAddr,
    counts: Arc<Counts>,
}

impl Session {
    async fn open(address: Ipv4Addr) -> Result<Self> {
        let mut config = Rtc::builder().set_rtp_mode(true).clear_codecs().enable_opus(true, false);
        config.codec_config().add_h264(108.into(), Some(109.into()), true, 0x42_e0_1f);
        let mut rtc = config.build(now());
        let socket = UdpSocket::bind((address, 0)).await?;
        let local = socket.local_addr()?;
        rtc.add_local_candidate(Candidate::host(local, "udp")?);
        Ok(Self { rtc, socket, local, counts: Arc::default() })
    }

    fn watch(self) -> Watcher {
        let counts = Arc::clone(&self.counts);
        Watcher { counts, task: tokio::spawn(self.run()) }
    }

    async fn run(mut self) {
        let mut buffer = [0; DATAGRAM];
        while let Some(deadline) = self.drain() {
            tokio::select! {
                received = self.socket.recv_from(&mut buffer) => {
                    let Ok((length, from)) = received else { continue };
                    self.take(&buffer[..length], from);
                }
                () = tokio::time::sleep_until(deadline.into()) => {
                    let _ = self.rtc.handle_input(Input::Timeout(now()));
                }
            }
        }
    }

    fn take(&mut self, datagram: &[u8], from: SocketAddr) {
        if let Ok(receive) = Receive::new(Protocol::Udp, from, self.local, datagram) {
            let _ = self.rtc.handle_input(Input::Receive(now(), receive));
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
                Ok(Output::Event(Event::RtpPacket(packet))) => {
                    let Counts { pictures, bytes } = &*self.counts;
                    pictures.fetch_add(packet.header.marker.into(), Ordering::Relaxed);
                    bytes.fetch_add(packet.payload.len() as u64, Ordering::Relaxed);
                }
                Ok(Output::Event(Event::Closed)) | Err(_) => return None,
                Ok(Output::Event(_)) => {}
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a browser has a clock of its own")]
fn now() -> Instant {
    Instant::now()
}
