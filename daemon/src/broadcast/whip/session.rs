//! One publisher's session inside the engine.
//!
//! ```text
//!   opened ──ICE, DTLS──▶ connected ──bye, QUIET, closed──▶ over
//!      └──────────── OPENING is over ────────────────────────▲
//! ```
//!
//! A connected publisher of a screen that falls silent is soon told of ([`Silence`]), and only
//! later over: it may well come back.
//!
//! One stream of each kind is taken: the first that comes. Another one (a second layer of a
//! simulcast, a sender that started over) takes its place only when it has been silent for
//! [`SILENT`].

use std::time::{Duration, Instant};

use alfarid_protocol::id::PublicationId;
use alfarid_stream::{Codec, rtp};
use bytes::Bytes;
use str0m::{
    Event, IceConnectionState, Input, Rtc,
    bwe::Bitrate,
    format,
    media::{KeyframeRequestKind, Mid},
    net::Transmit,
    rtp::{RtpPacket, Ssrc},
};
use tracing::Span;

use super::{Stay, budget::Budget, reported::Reported, silence::Silence};
use crate::broadcast::{
    feed::{Arrival, Feed, MAX_PAYLOAD, payload_type},
    rtc::{
        peer::{OPENING, Peer, QUIET},
        sessions::{self, Session as _},
    },
};

/// How often the limit is said again: it may get lost.
const REMIND: Duration = Duration::from_secs(2);

/// A stream that was silent for so long may be replaced by another of the same line.
const SILENT: Duration = Duration::from_secs(1);

/// The lines of a session that carry something that we take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lines {
    pub(super) video: Option<Mid>,
    pub(super) audio: Option<Mid>,
}

pub(super) struct Session {
    publication: PublicationId,
    peer: Peer,
    lines: Lines,
    feed: Feed,
    budget: Budget,
    connected: bool,
    opened: Duration,
    silence: Silence,
    /// What the publisher is to keep to, and when to say so.
    limit: Option<Limit>,
    video: Option<Taken>,
    audio: Option<Taken>,
    /// The newest report of each that was passed on.
    reported: Reported,
    _stay: Stay,
}

#[derive(Clone, Copy, Debug)]
struct Limit {
    bitrate_bps: u64,
    say_at: Duration,
}

/// The stream that is taken of one line.
#[derive(Clone, Copy, Debug)]
struct Taken {
    ssrc: Ssrc,
    last: Duration,
}

impl Session {
    pub(super) fn new(
        publication: PublicationId,
        rtc: Box<Rtc>,
        lines: Lines,
        feed: Feed,
        stay: Stay,
        span: Span,
        (now, instant): (Duration, Instant),
    ) -> Self {
        Self {
            publication,
            peer: Peer::new(rtc, span, instant),
            lines,
            feed,
            budget: Budget::new(now),
            connected: false,
            opened: now,
            silence: Silence::new(now),
            limit: None,
            video: None,
            audio: None,
            reported: Reported::default(),
            _stay: stay,
        }
    }

    pub(super) fn publication(&self) -> PublicationId {
        self.publication
    }

    fn tell_silence(&self, is_silent: bool) {
        self.feed.give(Arrival::Silence { publication: self.publication, is_silent });
    }

    /// Asks for a keyframe of the stream that is taken.
    pub(super) fn ask_keyframe(&mut self, now: Duration, send: &mut dyn FnMut(Transmit)) -> bool {
        if let Some(taken) = self.video
            && let Some(stream) = self.peer.rtc.direct_api().stream_rx(&taken.ssrc)
        {
            stream.request_keyframe(KeyframeRequestKind::Pli);
        }
        self.drain(now, send)
    }

    /// The publisher is to send no more than so many bits of video a second.
    pub(super) fn limit(&mut self, now: Duration, bitrate_bps: u64) {
        self.limit = Some(Limit { bitrate_bps, say_at: now });
    }

    /// Says the limit (REMB, draft-alvestrand-rmcat-remb-03) when it is time.
    fn say_limit(&mut self, now: Duration, send: &mut dyn FnMut(Transmit)) -> bool {
        let (Some(limit), Some(taken)) = (&mut self.limit, self.video) else { return true };
        if now < limit.say_at {
            return true;
        }
        limit.say_at = now + REMIND;
        if let Some(stream) = self.peer.rtc.direct_api().stream_rx(&taken.ssrc) {
            stream.request_remb(Bitrate::bps(limit.bitrate_bps));
        }
        self.drain(now, send)
    }

    fn pass_on(&mut self, now: Duration, packet: &RtpPacket) -> bool {
        let header = &packet.header;
        let (size, ssrc) = (packet.payload.len(), header.ssrc);
        if size > MAX_PAYLOAD || !self.budget.spend(now, size) {
            return true;
        }
        let spec = self.peer.rtc.codec_config().find(|params| params.pt() == header.payload_type);
        let codec = match spec.map(|params| params.spec().codec) {
            Some(format::Codec::H264) => Codec::H264,
            Some(format::Codec::Vp8) => Codec::Vp8,
            Some(format::Codec::Opus) => Codec::Opus,
            _ => return true,
        };
        let (line, taken) = if codec.is_video() {
            (self.lines.video, &mut self.video)
        } else {
            (self.lines.audio, &mut self.audio)
        };
        if line.is_none() || !Taken::take(taken, ssrc, now) {
            return true;
        }
        if let Some(report) = self.reported.news(codec, packet.last_sender_info) {
            self.feed.give(Arrival::Report { publication: self.publication, report });
        }
        let header = rtp::Header {
            marker: header.marker,
            payload_type: payload_type(codec),
            sequence: header.sequence_number,
            timestamp: header.timestamp,
            ssrc: *ssrc,
        };
        let payload = Bytes::from_owner(packet.payload.clone());
        let packet = rtp::Packet { header, payload };
        self.feed.give(Arrival::Packet { publication: self.publication, packet })
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
        if self.connected { self.silence.so_far(now) > QUIET } else { now > self.opened + OPENING }
    }

    fn notice(&mut self, now: Duration, event: Event) -> bool {
        match event {
            Event::Connected => {
                tracing::debug!(parent: &self.peer.span, "publisher connected");
                self.connected = true;
                true
            }
            Event::IceConnectionStateChange(state) => state != IceConnectionState::Disconnected,
            Event::Closed => false,
            Event::RtpPacket(packet) => self.pass_on(now, &packet),
            _ => true,
        }
    }

    fn take(&mut self, now: Duration, input: Input<'_>, send: &mut dyn FnMut(Transmit)) -> bool {
        if matches!(input, Input::Receive(..)) && self.silence.break_off(now) {
            self.tell_silence(false);
        }
        self.peer.take(input) && self.drain(now, send) && self.say_limit(now, send)
    }

    fn look(&mut self, now: Duration) {
        // Who sends only sound reports more seldom, and nobody sees whether they do.
        if self.connected && self.lines.video.is_some() && self.silence.has_begun(now) {
            self.tell_silence(true);
        }
    }
}

impl Taken {
    /// Whether a packet of `ssrc` is taken.
    fn take(taken: &mut Option<Self>, ssrc: Ssrc, now: Duration) -> bool {
        match taken {
            Some(present) if present.ssrc != ssrc && now < present.last + SILENT => false,
            _ => {
                *taken = Some(Self { ssrc, last: now });
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_layer_is_not_taken_and_a_sender_that_started_over_is() {
        let mut taken = None;
        let at = Duration::from_millis;
        assert!(Taken::take(&mut taken, 1.into(), at(0)));
        assert!(!Taken::take(&mut taken, 2.into(), at(10)));
        assert!(Taken::take(&mut taken, 1.into(), at(20)));
        assert!(Taken::take(&mut taken, 2.into(), at(1_020)));
        assert!(!Taken::take(&mut taken, 1.into(), at(1_030)));
    }
}
