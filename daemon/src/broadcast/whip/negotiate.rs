//! Offer and answer of a publisher: the box takes media and never sends any.

use str0m::media::Mid;
use tokio::sync::OwnedSemaphorePermit;

use super::{Agreed, OfferError, session::Lines};
use crate::broadcast::rtc::{
    Terms,
    offer::{self, Offer, Takes, Way},
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
        Ok(Agreed { answer, rtc, lines, place })
    }
}

#[cfg(test)]
mod tests;
