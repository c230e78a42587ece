//! What a source of the box's own says of its clocks, as a publisher does by sender reports: its
//! picture and its sound have one pipeline, and so one time.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use alfarid_stream::{Codec, playout::Medium, rtp::Header};

use crate::broadcast::feed::{Report, codec};

/// How often, for each stream: a pipeline's clock and its timestamps are one, nothing drifts.
const EVERY: Duration = Duration::from_secs(1);

/// When each stream was reported last, in the source's time. Two threads of GStreamer share it.
#[derive(Debug, Default)]
pub(super) struct Reports(Mutex<[Option<Duration>; 2]>);

impl Reports {
    /// What is to be reported with a packet whose content is of `at`, if it is time for that.
    pub(super) fn due(&self, header: &Header, at: Duration) -> Option<Report> {
        let is_video = codec(header.payload_type).is_some_and(Codec::is_video);
        let medium = if is_video { Medium::Picture } else { Medium::Sound };
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = &mut told[usize::from(is_video)];
        if last.is_some_and(|last| at.abs_diff(last) < EVERY) {
            return None;
        }
        *last = Some(at);
        // Where a source's time begins is nobody's business.
        Some(Report::new(medium, at, header.timestamp))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broadcast::feed::payload_type;

    fn header(codec: Codec, timestamp: u32) -> Header {
        Header { payload_type: payload_type(codec), timestamp, ..Header::default() }
    }

    #[test]
    fn each_stream_is_reported_once_a_second() {
        let reports = Reports::default();
        let at = Duration::from_millis;
        let first = reports.due(&header(Codec::H264, 7), at(500)).unwrap();
        assert_eq!(first, Report { medium: Medium::Picture, ntp: 1 << 31, timestamp: 7 });
        let sound = reports.due(&header(Codec::Opus, 9), at(500)).unwrap();
        assert_eq!((sound.medium, sound.ntp, sound.timestamp), (Medium::Sound, 1 << 31, 9));
        assert_eq!(reports.due(&header(Codec::H264, 8), at(1_499)), None);
        assert!(reports.due(&header(Codec::H264, 8), at(1_500)).is_some());
        assert!(reports.due(&header(Codec::H264, 8), at(0)).is_some(), "a film begins anew");
    }
}
