//! One viewer's session inside the engine.
//!
//! ```text
//!   opened ──ICE, DTLS──▶ connected ──bye, QUIET, closed, another codec──▶ over
//!      └──────────── OPENING is over ───────────────────────────────────────▲
//!
//!   of its picture, while connected:
//!
//!     waits ── kept pictures, or a keyframe ──▶ follows
//!       ▲                                         │
//!       └── a gap, hidden, too far behind ────────┘
//! ```
//!
//! Kept pictures are many packets at once; they go out at [`CATCH_UP`], and what is on air
//! meanwhile waits behind them, up to the next keyframe, which makes the rest needless. That one is
//! shown at once, as a kept one is: the time of what it overtook would be a pause.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use alfarid_stream::Codec;
use str0m::{
    Event, IceConnectionState, Input,
    media::MediaTime,
    net::Transmit,
    rtp::{ExtensionValues, RtpWrite},
};
use tracing::Span;

use super::{
    Seat, Stay,
    negotiate::{Line, Lines},
    programme::Piece,
    stream::Numbering,
};
use crate::broadcast::{
    rtc::{
        Ticks,
        peer::{OPENING, Peer, QUIET},
        sessions::{self, Session as _},
    },
    tap::TrackKind,
};

/// How often a viewer gets the kept pictures: they are large.
const KEPT_APART: Duration = Duration::from_secs(5);

/// How fast kept pictures go out: bytes every so often. 40 Mbit/s, which any network that carries a
/// lesson to several viewers has for one of them.
const CATCH_UP: usize = 25_000;
const CATCH_UP_EVERY: Duration = Duration::from_millis(5);

/// Most bytes that may wait behind: kept pictures, and a second of a rich stream. Full: the viewer
/// begins anew with the next keyframe.
const BEHIND: usize = 3_000_000;

pub(super) struct Session {
    seat: Seat,
    peer: Peer,
    ticks: Ticks,
    picture: Option<Out>,
    sound: Option<Out>,
    voice: Option<Out>,
    /// Of the picture that it is sent.
    codec: Option<Codec>,
    /// Index of the packet of the picture that goes on from what was sent, or waits.
    follows: Option<u64>,
    behind: Behind,
    connected: bool,
    opened: Duration,
    heard: Duration,
    /// It lacks a picture, and says so.
    wants: bool,
    kept_at: Option<Duration>,
    _stay: Stay,
}

/// One line and how it is numbered.
struct Out {
    line: Line,
    numbering: Numbering,
}

/// Packets of the picture that wait for their turn.
#[derive(Debug, Default)]
struct Behind {
    /// Each with whether it is a kept one.
    pieces: VecDeque<(Piece, bool)>,
    bytes: usize,
    /// When some of it goes out next.
    at: Duration,
}

impl Session {
    pub(super) fn new(
        seat: Seat,
        rtc: Box<str0m::Rtc>,
        lines: Lines,
        stay: Stay,
        span: Span,
        ticks: Ticks,
        random: u32,
    ) -> Self {
        let (now, instant) = ticks.both();
        let out = |line: Option<Line>, nth: u32| {
            let numbering = Numbering::new(random.wrapping_mul(nth));
            line.map(|line| Out { line, numbering })
        };
        Self {
            seat,
            peer: Peer::new(rtc, span, instant),
            ticks,
            picture: out(lines.picture, 1),
            sound: out(lines.sound, 3),
            voice: out(lines.voice, 5),
            codec: None,
            follows: None,
            behind: Behind::default(),
            connected: false,
            opened: now,
            heard: now,
            wants: false,
            kept_at: None,
            _stay: stay,
        }
    }

    pub(super) fn seat(&self) -> Seat {
        self.seat
    }

    /// Whether it waits for a picture and may have the kept ones. Asking counts as having.
    pub(super) fn joins(&mut self, now: Duration) -> bool {
        let is_patient = self.kept_at.is_none_or(|at| now >= at + KEPT_APART);
        let joins = self.wants && is_patient && self.picture.is_some();
        if joins {
            self.wants = false;
            self.kept_at = Some(now);
        }
        joins
    }

    /// Begins, or begins anew, with the kept pictures; without any, with the next keyframe.
    pub(super) fn begin(&mut self, now: Duration, kept: &[Piece]) -> bool {
        self.hide();
        let Some(last) = kept.last() else {
            self.wants = true;
            return true;
        };
        if !self.plays(last.codec) {
            return false;
        }
        self.behind.at = now;
        for piece in kept {
            self.behind.push(piece.clone(), true);
        }
        self.follows = Some(last.index + 1);
        true
    }

    /// Nothing more of the picture before the next keyframe.
    pub(super) fn hide(&mut self) {
        self.behind = Behind::default();
        self.follows = None;
    }

    /// Somebody shows it again what was hidden.
    pub(super) fn reveal(&mut self) {
        self.wants = self.connected;
    }

    /// Takes what is on air; [`Session::flush`] sends it. `false`: the session is over.
    pub(super) fn give(&mut self, piece: &Piece) -> bool {
        if !self.connected {
            return true;
        }
        match piece.kind {
            TrackKind::ScreenVideo => return self.show(piece),
            TrackKind::ScreenAudio => write(&mut self.peer, &mut self.sound, &self.ticks, piece),
            TrackKind::PersonAudio => write(&mut self.peer, &mut self.voice, &self.ticks, piece),
        }
        true
    }

    fn show(&mut self, piece: &Piece) -> bool {
        if self.picture.is_none() {
            return true;
        }
        if !self.plays(piece.codec) {
            return false;
        }
        let mut overtakes = false;
        if piece.begins {
            self.wants = false;
            overtakes = !std::mem::take(&mut self.behind).pieces.is_empty();
        } else if self.follows != Some(piece.index) {
            self.wants |= self.follows.take().is_some();
            return true;
        }
        self.follows = Some(piece.index + 1);
        if self.behind.pieces.is_empty() {
            self.write_picture(piece, overtakes);
        } else if self.behind.bytes > BEHIND {
            self.hide();
            self.wants = true;
        } else {
            self.behind.push(piece.clone(), false);
        }
        true
    }

    /// Whether this picture is of the codec that the session has. The first one decides.
    fn plays(&mut self, codec: Codec) -> bool {
        let known = self.picture.as_ref().and_then(|out| out.line.payload_type(codec));
        let plays = known.is_some() && self.codec.is_none_or(|present| present == codec);
        if plays {
            self.codec = Some(codec);
        } else {
            tracing::debug!(parent: &self.peer.span, "another codec is on air: {codec:?}");
        }
        plays
    }

    fn write_picture(&mut self, piece: &Piece, at_once: bool) {
        write_as(&mut self.peer, &mut self.picture, &self.ticks, piece, at_once);
    }

    /// Sends some of what waits, when it is time.
    fn catch_up(&mut self, now: Duration) {
        if self.behind.pieces.is_empty() || now < self.behind.at {
            return;
        }
        self.behind.at = now + CATCH_UP_EVERY;
        let mut room = CATCH_UP;
        while let Some((piece, is_kept)) = self.behind.pop() {
            self.write_picture(&piece, is_kept);
            room = room.saturating_sub(piece.payload.len());
            if room == 0 {
                break;
            }
        }
    }

    /// Sends what was written. `false`: the session is over.
    pub(super) fn flush(&mut self, send: &mut dyn FnMut(Transmit)) -> bool {
        let (now, instant) = self.ticks.both();
        self.peer.take(Input::Timeout(instant)) && self.drain(now, send)
    }
}

impl sessions::Session for Session {
    fn peer(&self) -> &Peer {
        &self.peer
    }

    fn peer_mut(&mut self) -> &mut Peer {
        &mut self.peer
    }

    fn is_lost(&self, now: Duration) -> bool {
        if self.connected {
            now.saturating_sub(self.heard) > QUIET
        } else {
            now > self.opened + OPENING
        }
    }

    fn notice(&mut self, _now: Duration, event: Event) -> bool {
        match event {
            Event::Connected => {
                tracing::debug!(parent: &self.peer.span, "viewer connected");
                self.connected = true;
                self.wants = true;
                true
            }
            Event::KeyframeRequest(_) => {
                self.wants = true;
                true
            }
            Event::IceConnectionStateChange(state) => state != IceConnectionState::Disconnected,
            Event::Closed => false,
            _ => true,
        }
    }

    fn take(&mut self, now: Duration, input: Input<'_>, send: &mut dyn FnMut(Transmit)) -> bool {
        if matches!(input, Input::Receive(..)) {
            self.heard = now;
        }
        self.catch_up(now);
        self.peer.take(input) && self.drain(now, send)
    }

    fn look(&mut self, _now: Duration) {}

    fn deadline(&self) -> Instant {
        if self.behind.pieces.is_empty() {
            self.peer.deadline
        } else {
            self.peer.deadline.min(self.ticks.instant(self.behind.at))
        }
    }
}

impl Behind {
    fn push(&mut self, piece: Piece, is_kept: bool) {
        self.bytes += piece.payload.len();
        self.pieces.push_back((piece, is_kept));
    }

    fn pop(&mut self) -> Option<(Piece, bool)> {
        let next = self.pieces.pop_front();
        let bytes = next.as_ref().map_or(0, |(piece, _)| piece.payload.len());
        self.bytes = self.bytes.saturating_sub(bytes);
        next
    }
}

fn write(peer: &mut Peer, out: &mut Option<Out>, ticks: &Ticks, piece: &Piece) {
    write_as(peer, out, ticks, piece, false);
}

/// Hands a packet to str0m, which keeps it for a while, in case it gets lost.
fn write_as(peer: &mut Peer, out: &mut Option<Out>, ticks: &Ticks, piece: &Piece, at_once: bool) {
    let Some(Out { line, numbering }) = out else { return };
    let Some(payload_type) = line.payload_type(piece.codec) else { return };
    let numbered = numbering.number(piece, at_once);
    let packet = RtpWrite::new(
        payload_type,
        numbered.sequence.into(),
        numbered.timestamp,
        ticks.instant(piece.at),
        piece.payload.clone(),
    );
    let playout = piece.playout.filter(|_| piece.codec.is_video() && !at_once);
    let packet = packet.ext_vals(shown_after(playout));
    if let Some(stream) = peer.rtc.direct_api().stream_tx_by_mid(line.mid, None) {
        stream.write_rtp(packet.marker(piece.marker).nackable(piece.codec.is_video()));
    }
}

/// A browser shows a picture so long after it came, no sooner and no later: together with the
/// machines. By itself it waits longer for seconds after each time that it was held up
/// (<http://www.webrtc.org/experiments/rtp-hdrext/playout-delay>).
fn shown_after(playout: Option<Duration>) -> ExtensionValues {
    let delay = playout.filter(|delay| !delay.is_zero()).map(|delay| {
        let hundredths = u64::try_from(delay.as_millis() / 10).unwrap_or(u64::MAX);
        MediaTime::from_hundredths(hundredths)
    });
    ExtensionValues { play_delay_min: delay, play_delay_max: delay, ..ExtensionValues::default() }
}
