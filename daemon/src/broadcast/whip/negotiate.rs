//! Offer and answer.
//!
//! The box takes H.264 (packetization-mode 1), VP8 and Opus, and asks for what repairs a stream:
//! NACK with RTX, PLI, transport-wide feedback. It never sends media. What an offer says is
//! checked before it is believed: at most one line of each kind, nothing else.

use std::{net::SocketAddr, time::Instant};

use str0m::{Candidate, RtcConfig, change::SdpOffer, config::DtlsCert, media::Mid};
use tokio::sync::OwnedSemaphorePermit;

use super::{Agreed, OfferError, session::Lines};

/// What a publication must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::broadcast) enum Wanted {
    /// Video, and its sound if there is any.
    Screen,
    /// Sound. Video is not taken.
    Person,
}

/// Constrained baseline, baseline, main and high, each with its payload type and its RTX one.
/// Level 3.1 as every browser offers; the answer lets the levels differ.
const H264: [(u8, u8, u32); 4] = [
    (108, 109, 0x42_e0_1f),
    (127, 121, 0x42_00_1f),
    (123, 119, 0x4d_00_1f),
    (114, 115, 0x64_00_1f),
];

/// An offer that has the right shape.
pub(in crate::broadcast) struct Offered {
    offer: SdpOffer,
    wanted: Wanted,
    lines: Lines,
}

impl Offered {
    pub(in crate::broadcast) fn read(text: &str, wanted: Wanted) -> Result<Self, OfferError> {
        let malformed = |detail: &str| OfferError::Malformed(detail.to_owned());
        let mut lines = Lines { video: None, audio: None };
        for section in text.split("\nm=").skip(1) {
            let mid = section.lines().find_map(|line| line.strip_prefix("a=mid:"));
            let mid = mid.map(|mid| Mid::from(mid.trim())).ok_or(malformed("a line has no mid"))?;
            let line = match section.split(' ').next() {
                Some("video") => &mut lines.video,
                Some("audio") => &mut lines.audio,
                _ => return Err(malformed("only video and sound are taken")),
            };
            if line.replace(mid).is_some() {
                return Err(malformed("one picture and one sound at most"));
            }
        }
        match wanted {
            Wanted::Screen if lines.video.is_none() => Err(malformed("a screen has video")),
            Wanted::Person if lines.audio.is_none() => Err(malformed("a person has sound")),
            Wanted::Person if lines.video.is_some() => Err(malformed("a person has no video")),
            Wanted::Screen | Wanted::Person => Ok(()),
        }?;
        let offer =
            SdpOffer::from_sdp_string(text).map_err(|e| OfferError::Malformed(e.to_string()))?;
        Ok(Self { offer, wanted, lines })
    }

    /// Answers, naming `candidates` as the box's addresses.
    pub(super) fn answer(
        self,
        candidates: &[SocketAddr],
        certificate: &DtlsCert,
        place: OwnedSemaphorePermit,
        now: Instant,
    ) -> Result<Agreed, OfferError> {
        let mut rtc = config(certificate).build(now);
        for address in candidates {
            // An address that cannot be a candidate (link-local) is no use to anybody.
            if let Ok(candidate) = Candidate::host(*address, "udp") {
                rtc.add_local_candidate(candidate);
            }
        }
        let answer = rtc
            .sdp_api()
            .accept_offer(self.offer)
            .map_err(|error| OfferError::Malformed(error.to_string()))?;
        let lines = agreed(&rtc, self.lines);
        let whole = match self.wanted {
            Wanted::Screen => lines.video.is_some(),
            Wanted::Person => lines.audio.is_some(),
        };
        if !whole {
            return Err(OfferError::Unsupported);
        }
        Ok(Agreed { answer: answer.to_sdp_string(), rtc: Box::new(rtc), lines, place })
    }
}

fn config(certificate: &DtlsCert) -> RtcConfig {
    let mut config = RtcConfig::new()
        .set_rtp_mode(true)
        .set_ice_lite(true)
        .set_dtls_cert(certificate.clone())
        .clear_codecs()
        .enable_opus(true, false);
    let codecs = config.codec_config();
    for (payload_type, resend, profile) in H264 {
        codecs.add_h264(payload_type.into(), Some(resend.into()), true, profile);
    }
    codecs.enable_vp8(true);
    config
}

/// Which lines of the session carry something that we take: a line without a common codec is
/// answered, but has no payload types.
fn agreed(rtc: &str0m::Rtc, lines: Lines) -> Lines {
    let has_codec = |mid: &Mid| rtc.media(*mid).is_some_and(|media| !media.remote_pts().is_empty());
    Lines { video: lines.video.filter(has_codec), audio: lines.audio.filter(has_codec) }
}
