//! The codecs that cross the classroom, and what a picture measures.

use std::time::Duration;

/// What a track carries. A change of codec is a new track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// RFC 6184, packetization-mode 1.
    H264,
    /// RFC 7741.
    Vp8,
    /// RFC 7587, stereo at 48 kHz.
    Opus,
}

impl Codec {
    /// RTP clock in Hz: RFC 6184 §8.2.1, RFC 7741 §6.1 and RFC 7587 §4.1 know one rate each.
    pub const fn clock_rate(self) -> u32 {
        match self {
            Self::H264 | Self::Vp8 => 90_000,
            Self::Opus => 48_000,
        }
    }

    /// Video frames refer to earlier ones, so that a lost one spoils all up to the next keyframe.
    /// Each frame of sound stands for itself.
    pub const fn is_video(self) -> bool {
        match self {
            Self::H264 | Self::Vp8 => true,
            Self::Opus => false,
        }
    }

    /// `span` in ticks of the RTP clock, modulo 2^32 as RTP timestamps are.
    pub(crate) fn ticks(self, span: Duration) -> u32 {
        let ticks = span.as_nanos() * u128::from(self.clock_rate()) / 1_000_000_000;
        (ticks & 0xffff_ffff) as u32
    }

    /// How long so many ticks of the RTP clock take.
    pub(crate) fn span(self, ticks: u32) -> Duration {
        // Below 2^62: no overflow.
        Duration::from_nanos(u64::from(ticks) * 1_000_000_000 / u64::from(self.clock_rate()))
    }
}

/// Width and height of a picture in pixels, as it is shown (cropped).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Size {
    pub width: u32,
    pub height: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_wrap_like_rtp_timestamps() {
        assert_eq!(Codec::Vp8.ticks(Duration::from_millis(40)), 3_600);
        assert_eq!(Codec::Opus.ticks(Duration::from_millis(20)), 960);
        let day = Duration::from_hours(24);
        assert_eq!(u64::from(Codec::H264.ticks(day)), 86_400 * 90_000 % (1 << 32));
        assert_eq!(Codec::Opus.span(960), Duration::from_millis(20));
        assert_eq!(Codec::H264.span(u32::MAX).as_secs(), 47_721);
    }
}
