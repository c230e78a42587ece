//! What a publisher says of its clocks: which of its sender reports are news. Pure.
//!
//! `str0m` hands the newest report of a stream out with each packet. It is told once, and only
//! where it makes sense.

use std::time::{Duration, UNIX_EPOCH};

use alfarid_stream::{Codec, playout::Medium};
use str0m::rtp::rtcp::SenderInfo;

use crate::broadcast::feed::Report;

/// From 1900 to 1970 (RFC 3550 §4).
const NTP_EPOCH_SECONDS: u64 = 2_208_988_800;

/// The reports that were told last.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reported {
    picture: Option<Report>,
    sound: Option<Report>,
}

impl Reported {
    /// The report that came with a packet of this codec, unless it was told.
    pub(super) fn news(&mut self, codec: Codec, info: Option<SenderInfo>) -> Option<Report> {
        let info = info?;
        let (medium, told) = if codec.is_video() {
            (Medium::Picture, &mut self.picture)
        } else {
            (Medium::Sound, &mut self.sound)
        };
        // RTP's own 32 bits.
        let timestamp = u32::try_from(info.rtp_time.numer() & 0xffff_ffff).ok()?;
        // A time before 1970 is nobody's.
        let since_1970 = info.ntp_time.duration_since(UNIX_EPOCH).ok()?;
        let report =
            Report::new(medium, since_1970 + Duration::from_secs(NTP_EPOCH_SECONDS), timestamp);
        (told.replace(report) != Some(report)).then_some(report)
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use str0m::media::{Frequency, MediaTime};

    use super::*;

    fn info(at: SystemTime, timestamp: u64) -> SenderInfo {
        SenderInfo {
            ssrc: 7.into(),
            ntp_time: at,
            rtp_time: MediaTime::new(timestamp, Frequency::NINETY_KHZ),
            sender_packet_count: 1,
            sender_octet_count: 1,
        }
    }

    #[test]
    fn each_report_is_told_once_and_in_ntp_s_own_words() {
        let mut reported = Reported::default();
        assert_eq!(reported.news(Codec::Vp8, None), None);
        let first = info(UNIX_EPOCH + Duration::from_millis(1_500), 9_000);
        let told = reported.news(Codec::Vp8, Some(first)).unwrap();
        assert_eq!((told.medium, told.ntp), (Medium::Picture, 2_208_988_801 << 32 | 1 << 31));
        assert_eq!(told.timestamp, 9_000);
        assert_eq!(reported.news(Codec::Vp8, Some(first)), None);
        assert!(reported.news(Codec::Opus, Some(first)).is_some(), "the sound is another stream");
        let next = info(UNIX_EPOCH + Duration::from_millis(2_500), 99_000);
        assert!(reported.news(Codec::Vp8, Some(next)).is_some());
    }

    #[test]
    fn a_time_before_1970_is_nobody_s() {
        let early = info(UNIX_EPOCH - Duration::from_secs(1), 0);
        assert_eq!(Reported::default().news(Codec::H264, Some(early)), None);
    }
}
