//! Offer and answer.
//!
//! The box takes H.264 (packetization-mode 1), VP8 and Opus, and asks for what repairs a stream:
//! NACK with RTX, PLI, transport-wide feedback. It never sends media. What an offer says is
//! checked before it is believed: at most one line of each kind, nothing else. What it leaves out
//! because it is plain ([`Written`]) is no fault.

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
    unsaid: Unsaid,
}

impl Offered {
    pub(in crate::broadcast) fn read(text: &str, wanted: Wanted) -> Result<Self, OfferError> {
        let malformed = |detail: &str| OfferError::Malformed(detail.to_owned());
        let mut lines = Lines { video: None, audio: None };
        let Written { text, unsaid } = Written::of(text).map_err(malformed)?;
        let mut sections = text.split("\nm=");
        let is_bundled = sections.next().is_some_and(|session| value(session, BUNDLE).is_some());
        for section in sections {
            let mid = value(section, MID).map(Mid::from).ok_or(malformed("a line has no mid"))?;
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
        if !is_bundled {
            return Err(malformed("picture and sound come in one bundle"));
        }
        let offer =
            SdpOffer::from_sdp_string(&text).map_err(|e| OfferError::Malformed(e.to_string()))?;
        Ok(Self { offer, wanted, lines, unsaid })
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
        let answer = self.unsaid.leave_out(&answer.to_sdp_string());
        Ok(Agreed { answer, rtc: Box::new(rtc), lines, place })
    }
}

const MID: &str = "a=mid:";
const BUNDLE: &str = "a=group:BUNDLE ";
const DIRECTIONS: [&str; 4] = ["a=sendonly", "a=sendrecv", "a=recvonly", "a=inactive"];

/// An offer as str0m wants to read it, and as it is meant.
///
/// A line that is alone needs no name (RFC 8829 §5.10) and no bundle, though RFC 9725 §4.4.1 asks
/// for both; several must say how they belong together. Where a publisher would take media too, or
/// does not say (RFC 8866 §6.7), it sends: the box sends none (RFC 9725 §4.2).
struct Written {
    text: String,
    unsaid: Unsaid,
}

/// What the offer did not say, and its answer is not to say either (RFC 8829 §5.3.1).
#[derive(Clone, Copy, Debug)]
struct Unsaid {
    mid: bool,
    bundle: bool,
}

impl Written {
    fn of(offer: &str) -> Result<Self, &'static str> {
        let mut sections = offer.split("\nm=").map(str::trim_end);
        let session = sections.next().unwrap_or_default();
        let sections: Vec<_> = sections.collect();
        let unsaid = match sections[..] {
            [alone] => Unsaid {
                mid: value(alone, MID).is_none(),
                bundle: value(session, BUNDLE).is_none(),
            },
            _ => Unsaid { mid: false, bundle: false },
        };
        let mut lines: Vec<_> = session.lines().map(str::to_owned).collect();
        if unsaid.bundle {
            let mid = sections.first().and_then(|alone| value(alone, MID)).unwrap_or("0");
            lines.push(format!("{BUNDLE}{mid}"));
        }
        for section in sections {
            let direction = direction(section).or(direction(session));
            if let Some("a=recvonly" | "a=inactive") = direction {
                return Err("a line sends nothing");
            }
            lines.push(format!("m={}", section.lines().next().unwrap_or_default()));
            let said = section.lines().skip(1).filter(|line| !DIRECTIONS.contains(line));
            lines.extend(said.map(str::to_owned));
            if unsaid.mid {
                lines.push(format!("{MID}0"));
            }
            lines.push("a=sendonly".to_owned());
        }
        Ok(Self { text: lines.join("\r\n") + "\r\n", unsaid })
    }
}

impl Unsaid {
    fn leave_out(self, answer: &str) -> String {
        let is_said = |line: &&str| {
            !(self.mid && line.starts_with(MID) || self.bundle && line.starts_with(BUNDLE))
        };
        answer.split_inclusive('\n').filter(is_said).collect()
    }
}

/// What a line of the session, or of one of its sections, says.
fn value<'a>(section: &'a str, name: &str) -> Option<&'a str> {
    section.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

fn direction(section: &str) -> Option<&str> {
    section.lines().find(|line| DIRECTIONS.contains(line))
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

#[cfg(test)]
mod tests;
