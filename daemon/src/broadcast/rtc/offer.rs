//! Offer and answer.
//!
//! The box knows H.264 (packetization-mode 1), VP8 and Opus, and what repairs a stream: NACK with
//! RTX, PLI. What an offer says is checked before it is believed: so many lines of each kind as the
//! box [`Takes`], nothing else. What it leaves out because it is plain ([`Written`]) is no fault.

use str0m::{
    Candidate, Rtc, RtcConfig,
    change::SdpOffer,
    config::DtlsCert,
    media::{Media, Mid},
};

use super::Terms;

/// Which offers are taken.
#[derive(Clone, Copy, Debug)]
pub(in crate::broadcast) struct Takes {
    /// Which way media goes, as the other side says it.
    pub(in crate::broadcast) way: Way,
    /// Lines at most.
    pub(in crate::broadcast) pictures: usize,
    pub(in crate::broadcast) sounds: usize,
    /// Said of an offer with more.
    pub(in crate::broadcast) too_many: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::broadcast) enum Way {
    /// To the box.
    In,
    /// To whoever offers.
    Out,
}

/// Constrained baseline, baseline, main and high, each with its payload type and its RTX one.
/// Level 3.1 as every browser offers; the answer lets the levels differ.
const H264: [(u8, u8, u32); 4] = [
    (108, 109, 0x42_e0_1f),
    (127, 121, 0x42_00_1f),
    (123, 119, 0x4d_00_1f),
    (114, 115, 0x64_00_1f),
];

/// Why an offer cannot be answered, in words.
pub(in crate::broadcast) type Malformed = String;

/// An offer that has the right shape.
pub(in crate::broadcast) struct Offer {
    sdp: SdpOffer,
    pub(in crate::broadcast) pictures: Vec<Mid>,
    pub(in crate::broadcast) sounds: Vec<Mid>,
    unsaid: Unsaid,
}

impl Offer {
    pub(in crate::broadcast) fn read(text: &str, takes: Takes) -> Result<Self, Malformed> {
        let Written { text, unsaid } = Written::of(text, takes.way)?;
        let (mut pictures, mut sounds) = (Vec::new(), Vec::new());
        let mut sections = text.split("\nm=");
        let is_bundled = sections.next().is_some_and(|session| value(session, BUNDLE).is_some());
        for section in sections {
            let mid = value(section, MID).map(Mid::from).ok_or("a line has no mid")?;
            let (lines, most) = match section.split(' ').next() {
                Some("video") => (&mut pictures, takes.pictures),
                Some("audio") => (&mut sounds, takes.sounds),
                _ => return Err("only video and sound are taken".to_owned()),
            };
            lines.push(mid);
            if lines.len() > most {
                return Err(takes.too_many.to_owned());
            }
        }
        if !is_bundled {
            return Err("picture and sound come in one bundle".to_owned());
        }
        let sdp = SdpOffer::from_sdp_string(&text).map_err(|error| error.to_string())?;
        Ok(Self { sdp, pictures, sounds, unsaid })
    }

    /// Answers. `adjust` says how this session differs from the usual.
    pub(in crate::broadcast) fn answer(
        self,
        terms: &Terms<'_>,
        adjust: impl FnOnce(RtcConfig) -> RtcConfig,
    ) -> Result<(Box<Rtc>, String), Malformed> {
        let mut rtc = adjust(config(terms.certificate)).build(terms.now);
        for address in &terms.candidates {
            // An address that cannot be a candidate (link-local) is no use to anybody.
            if let Ok(candidate) = Candidate::host(*address, "udp") {
                rtc.add_local_candidate(candidate);
            }
        }
        let answer = rtc.sdp_api().accept_offer(self.sdp).map_err(|error| error.to_string())?;
        let answer = self.unsaid.leave_out(&answer.to_sdp_string());
        Ok((Box::new(rtc), answer))
    }
}

/// The line, if it has a codec that both know: one without is answered, but has no payload types.
pub(in crate::broadcast) fn agreed(rtc: &Rtc, line: Option<Mid>) -> Option<&Media> {
    rtc.media(line?).filter(|media| !media.remote_pts().is_empty())
}

const MID: &str = "a=mid:";
const BUNDLE: &str = "a=group:BUNDLE ";
const DIRECTIONS: [&str; 4] = ["a=sendonly", "a=sendrecv", "a=recvonly", "a=inactive"];

/// An offer as str0m wants to read it, and as it is meant.
///
/// A line that is alone needs no name (RFC 8829 §5.10) and no bundle, though RFC 9725 §4.4.1 asks
/// for both; several must say how they belong together. Where the other side would do both or does
/// not say (RFC 8866 §6.7), it does what this kind of offer is for (RFC 9725 §4.2).
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
    fn of(offer: &str, way: Way) -> Result<Self, &'static str> {
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
            let meant = way.meant(direction)?;
            lines.push(format!("m={}", section.lines().next().unwrap_or_default()));
            let said = section.lines().skip(1).filter(|line| !DIRECTIONS.contains(line));
            lines.extend(said.map(str::to_owned));
            if unsaid.mid {
                lines.push(format!("{MID}0"));
            }
            lines.push(meant.to_owned());
        }
        Ok(Self { text: lines.join("\r\n") + "\r\n", unsaid })
    }
}

impl Way {
    fn meant(self, direction: Option<&str>) -> Result<&'static str, &'static str> {
        match (self, direction) {
            (Self::In, Some("a=recvonly" | "a=inactive")) => Err("a line sends nothing"),
            (Self::In, _) => Ok("a=sendonly"),
            (Self::Out, Some("a=sendonly" | "a=inactive")) => Err("a line takes nothing"),
            (Self::Out, _) => Ok("a=recvonly"),
        }
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
