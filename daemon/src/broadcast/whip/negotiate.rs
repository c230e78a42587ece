//! Offer and answer of a publisher: the box takes media and never sends any.
//!
//! The answer says how many bits of sound the box wants to get, in Opus' own words (RFC 7587 §6.1):
//! RTCP has no wish for sound. A browser's page lowers and raises it later by itself. There is no
//! `b=` line: browsers take that for a bound of the whole session, so that a lesson which begins
//! with many students could not sound better when most have left, and no other program is known to
//! heed it; the picture's bits are told by RTCP.

use str0m::media::Mid;
use tokio::sync::OwnedSemaphorePermit;

use super::{Agreed, OfferError, session::Lines};
use crate::broadcast::{
    feed::opus_bps,
    rtc::{
        Terms,
        offer::{self, Offer, Takes, Way},
    },
};

/// What a publication must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::broadcast) enum Wanted {
    /// Video, and its sound if there is any.
    Screen,
    /// Sound. Video is not taken.
    Person,
}

const TAKES: Takes =
    Takes { way: Way::In, pictures: 1, sounds: 1, too_many: "one picture and one sound at most" };

/// An offer that has the right shape.
pub(in crate::broadcast) struct Offered {
    offer: Offer,
    wanted: Wanted,
    lines: Lines,
}

impl Offered {
    pub(in crate::broadcast) fn read(text: &str, wanted: Wanted) -> Result<Self, OfferError> {
        let malformed = |detail: &str| OfferError::Malformed(detail.to_owned());
        let offer = Offer::read(text, TAKES).map_err(OfferError::Malformed)?;
        let first = |lines: &[Mid]| lines.first().copied();
        let lines = Lines { video: first(&offer.pictures), audio: first(&offer.sounds) };
        match wanted {
            Wanted::Screen if lines.video.is_none() => Err(malformed("a screen has video")),
            Wanted::Person if lines.audio.is_none() => Err(malformed("a person has sound")),
            Wanted::Person if lines.video.is_some() => Err(malformed("a person has no video")),
            Wanted::Screen | Wanted::Person => Ok(Self { offer, wanted, lines }),
        }
    }

    pub(super) fn answer(
        self,
        terms: &Terms<'_>,
        sound_bps: u32,
        place: OwnedSemaphorePermit,
    ) -> Result<Agreed, OfferError> {
        let answered = self.offer.answer(terms, |usual| usual);
        let (rtc, answer) = answered.map_err(OfferError::Malformed)?;
        let agreed = |line| offer::agreed(&rtc, line).is_some().then_some(line).flatten();
        let lines = Lines { video: agreed(self.lines.video), audio: agreed(self.lines.audio) };
        let whole = match self.wanted {
            Wanted::Screen => lines.video.is_some(),
            Wanted::Person => lines.audio.is_some(),
        };
        if !whole {
            return Err(OfferError::Unsupported);
        }
        let answer = with_sound(&answer, sound_bps);
        Ok(Agreed { answer, rtc, lines, place })
    }
}

/// The answer, asking for no more than so many bits of Opus a second.
fn with_sound(answer: &str, bps: u32) -> String {
    let Some(of) = answer.lines().find_map(opus_type) else { return answer.to_owned() };
    let parameters = format!("a=fmtp:{of} ");
    let is_told = answer.lines().any(|line| line.starts_with(&parameters));
    let wish = format!("maxaveragebitrate={}", opus_bps(bps));
    let wished = |line: &str| {
        if line.starts_with(&parameters) {
            format!("{line};{wish}\r\n")
        } else if !is_told && opus_type(line) == Some(of) {
            format!("{line}\r\n{parameters}{wish}\r\n")
        } else {
            format!("{line}\r\n")
        }
    };
    answer.lines().map(wished).collect()
}

/// The payload type, of a line that says it is Opus.
fn opus_type(line: &str) -> Option<&str> {
    let (of, format) = line.strip_prefix("a=rtpmap:")?.split_once(' ')?;
    format.to_ascii_lowercase().starts_with("opus/").then_some(of)
}

#[cfg(test)]
mod tests;
