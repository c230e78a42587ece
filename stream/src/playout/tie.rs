//! Sound tied to picture.
//!
//! Picture and sound of a publication have clocks of their own, which begin anywhere. The
//! publisher's sender reports say for each what its RTP clock shows at a moment of one common clock
//! ([RFC 3550 §6.4.1](https://www.rfc-editor.org/rfc/rfc3550#section-6.4.1)). So from where the
//! picture is follows where the sound has to be:
//!
//! ```text
//!   picture's timestamp ─▶ picture's report ─▶ publisher's time ─▶ sound's report ─▶ sound's timestamp
//! ```

use super::Pair;
use crate::codec::Codec;

/// One second in NTP time: 32 bits are its fraction.
const SECOND: i128 = 1 << 32;

/// What a report says: at `ntp` the stream's clock shows `timestamp`.
#[derive(Clone, Copy, Debug)]
struct Report {
    ntp: u64,
    timestamp: u32,
}

/// The newest reports of both streams of one publication.
#[derive(Clone, Debug, Default)]
pub(super) struct Tie {
    picture: Option<Report>,
    sound: Option<Report>,
}

impl Tie {
    pub(super) fn picture(&mut self, ntp: u64, timestamp: u32) {
        self.picture = Some(Report { ntp, timestamp });
    }

    pub(super) fn sound(&mut self, ntp: u64, timestamp: u32) {
        self.sound = Some(Report { ntp, timestamp });
    }

    /// Where the sound is when the picture, of this codec, is at `picture`. `None` while a report
    /// is missing.
    pub(super) fn sound_at(&self, codec: Codec, picture: Pair) -> Option<Pair> {
        let (shown, heard) = (self.picture?, self.sound?);
        let rate = |codec: Codec| i128::from(codec.clock_rate());
        let since = i128::from(picture.timestamp.wrapping_sub(shown.timestamp).cast_signed());
        // NTP's seconds wrap in 2036: only their difference counts.
        let apart = i128::from(shown.ntp.wrapping_sub(heard.ntp).cast_signed());
        let ntp = apart + since * SECOND / rate(codec);
        let ticks = (ntp * rate(Codec::Opus)).div_euclid(SECOND);
        let ticks = u32::try_from(ticks & 0xffff_ffff).unwrap_or_default();
        Some(Pair { timestamp: heard.timestamp.wrapping_add(ticks), box_time: picture.box_time })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sound_of_the_same_moment_is_found() {
        let mut tie = Tie::default();
        let box_time = Duration::from_secs(99);
        let picture = |timestamp| Pair { timestamp, box_time };
        tie.picture(10 << 32, 90_000);
        assert_eq!(tie.sound_at(Codec::Vp8, picture(90_000)), None);
        // Half a second later on the publisher's clock, sound was at 1,000.
        tie.sound((10 << 32) + (1 << 31), 1_000);
        let sound = |timestamp| Some(Pair { timestamp, box_time });
        assert_eq!(tie.sound_at(Codec::Vp8, picture(90_000 + 45_000)), sound(1_000));
        assert_eq!(tie.sound_at(Codec::Vp8, picture(90_000 + 90_000)), sound(25_000));
        let before = 1_000_u32.wrapping_sub(24_000);
        assert_eq!(tie.sound_at(Codec::Vp8, picture(90_000)), sound(before));
    }

    proptest! {
        #[test]
        fn any_reports_give_some_answer(numbers: [u32; 3], times: [u64; 2]) {
            let mut tie = Tie::default();
            tie.picture(times[0], numbers[0]);
            tie.sound(times[1], numbers[1]);
            let picture = Pair { timestamp: numbers[2], box_time: Duration::ZERO };
            prop_assert!(tie.sound_at(Codec::H264, picture).is_some());
        }
    }
}
