//! Offer and answer of a viewer: the box sends media and takes none.
//!
//! A picture, and up to two sounds: the first is the screen's, the second the teacher's voice. What
//! a browser does not ask for it is not sent.

use alfarid_stream::Codec;
use str0m::{
    RtcConfig, format,
    media::{Mid, Pt},
    rtp::Extension,
};
use tokio::sync::OwnedSemaphorePermit;

use super::{Agreed, WatchError};
use crate::broadcast::rtc::{
    Terms,
    offer::{self, Offer, Takes, Way},
};

const TAKES: Takes =
    Takes { way: Way::Out, pictures: 1, sounds: 2, too_many: "one picture and two sounds at most" };

/// One line of a session, and what each codec is called there.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) mid: Mid,
    payload_types: Vec<(Codec, Pt)>,
}

impl Line {
    pub(super) fn payload_type(&self, codec: Codec) -> Option<Pt> {
        self.payload_types.iter().find(|(known, _)| *known == codec).map(|(_, pt)| *pt)
    }
}

/// The lines that both know a codec of.
#[derive(Clone, Debug)]
pub(super) struct Lines {
    pub(super) picture: Option<Line>,
    pub(super) sound: Option<Line>,
    pub(super) voice: Option<Line>,
}

/// An offer that has the right shape.
pub(super) struct Offered(Offer);

impl Offered {
    pub(super) fn read(text: &str) -> Result<Self, WatchError> {
        Offer::read(text, TAKES).map(Self).map_err(WatchError::Malformed)
    }

    pub(super) fn answer(
        self,
        terms: &Terms<'_>,
        on_air: Option<Codec>,
        place: OwnedSemaphorePermit,
    ) -> Result<Agreed, WatchError> {
        let (picture, sounds) = (self.0.pictures.first().copied(), self.0.sounds.clone());
        let answered = self.0.answer(terms, as_sender);
        let (rtc, answer) = answered.map_err(WatchError::Malformed)?;
        let line = |mid: Option<Mid>| line(&rtc, mid);
        let lines = Lines {
            picture: line(picture),
            sound: line(sounds.first().copied()),
            voice: line(sounds.get(1).copied()),
        };
        if lines.picture.is_none() && lines.sound.is_none() {
            return Err(WatchError::Unsupported);
        }
        if let (Some(codec), Some(_)) = (on_air, picture)
            && lines.picture.as_ref().is_none_or(|line| line.payload_type(codec).is_none())
        {
            return Err(WatchError::Unplayable(codec));
        }
        let answer = together(&rtc, &lines, answer);
        Ok(Agreed { answer, rtc, lines, place })
    }
}

/// What a viewer would only feed a bandwidth estimate with is not asked for: the box sends what is
/// on air, whatever is said of the way.
fn as_sender(usual: RtcConfig) -> RtcConfig {
    let mtu = usual.mtu();
    usual
        .clear_extension_map()
        .set_extension(4, Extension::RtpMid)
        .set_extension(5, Extension::PlayoutDelay)
        // Packets go out as large as they came in.
        .set_mtu(mtu..=usize::MAX)
}

fn line(rtc: &str0m::Rtc, mid: Option<Mid>) -> Option<Line> {
    let media = offer::agreed(rtc, mid)?;
    let ours = rtc.codec_config().iter().filter(|params| media.remote_pts().contains(&params.pt()));
    let named = ours.filter_map(|params| {
        let codec = match params.spec().codec {
            format::Codec::H264 => Codec::H264,
            format::Codec::Vp8 => Codec::Vp8,
            format::Codec::Opus => Codec::Opus,
            _ => return None,
        };
        Some((codec, params.pt()))
    });
    Some(Line { mid: media.mid(), payload_types: named.collect() })
}

/// Says that picture and the screen's sound are one stream: browsers keep such together.
fn together(rtc: &str0m::Rtc, lines: &Lines, answer: String) -> String {
    let name = |line: &Option<Line>| Some(rtc.media(line.as_ref()?.mid)?.stream_id().to_owned());
    match (name(&lines.picture), name(&lines.sound)) {
        (Some(picture), Some(sound)) => answer.replace(&sound, &picture),
        _ => answer,
    }
}
