//! The newest of a running recording, for browsers that cannot play what is on air live. Pure.
//!
//! It is a way of watching and not of looking back: only so much of it is told, and given, as a
//! browser needs to begin ([`REACH`]), and nothing that was on air while the class was not to see
//! it.

use std::time::Duration;

use super::SegmentFile;
use crate::events::Fragment;

/// The longest stretch without a keyframe, three times: one to begin with is always in it.
const REACH: Duration = Duration::from_secs(30);

/// Of what the class was not to see, so much may be on disk after it was told so: a fragment that
/// was cut late, and the time to write it.
const MARGIN: Duration = Duration::from_secs(3);

/// Leaves of `segments` what may be seen, when the recording has gone on for `age` and the class
/// has been shown everything for so long.
pub(super) fn recent(
    segments: Vec<SegmentFile>,
    age: Duration,
    shown_for: Duration,
) -> Vec<SegmentFile> {
    let newest =
        segments.iter().filter_map(|segment| Some(end_ms(segment, newest(segment)?))).max();
    let (Some(newest), Some(shown_for)) = (newest, shown_for.checked_sub(MARGIN)) else {
        return Vec::new();
    };
    let ms = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    // On a still screen the newest may be of long ago.
    let seen_from = ms(age).saturating_sub(ms(shown_for));
    let from = newest.saturating_sub(ms(REACH)).max(seen_from);
    let left = segments.into_iter().filter_map(|mut segment| {
        let offset_ms = segment.offset_ms;
        segment.fragments.retain(|fragment| offset_ms + fragment.at_ms >= from);
        (!segment.fragments.is_empty()).then_some(segment)
    });
    left.collect()
}

/// What lies at `offset` of a segment that is recent: its head at 0, otherwise a whole fragment.
pub(super) fn piece(segment: &SegmentFile, offset: u64) -> Option<(u64, u64)> {
    if offset == 0 {
        return Some((0, segment.init_bytes));
    }
    let found = segment.fragments.iter().find(|fragment| fragment.offset == offset)?;
    Some((found.offset, found.length))
}

fn newest(segment: &SegmentFile) -> Option<Fragment> {
    segment.fragments.last().copied()
}

fn end_ms(segment: &SegmentFile, newest: Fragment) -> i64 {
    // The last fragment ends where its segment does, as far as that is known.
    segment.offset_ms + segment.duration_ms.max(newest.at_ms)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::recording::{SegmentId, TrackKind};

    const AGE: Duration = Duration::from_mins(2);

    /// Of so many seconds, a fragment of 100 bytes each, after a head of 10.
    fn segment(offset_ms: i64, seconds: i64) -> SegmentFile {
        let fragment = |n: i64| Fragment {
            at_ms: n * 1_000,
            offset: 10 + n.unsigned_abs() * 100,
            length: 100,
            keyframe: n % 4 == 0,
        };
        SegmentFile {
            id: SegmentId(Uuid::from_u128(offset_ms.unsigned_abs().into())),
            kind: TrackKind::ScreenVideo,
            path: String::new(),
            mime: "video/webm".into(),
            size: None,
            offset_ms,
            duration_ms: seconds * 1_000,
            size_bytes: 0,
            init_bytes: 10,
            frame_count: 0,
            is_closed: false,
            fragments: (0..seconds).map(fragment).collect(),
        }
    }

    fn seconds(segments: &[SegmentFile]) -> Vec<i64> {
        let of = |s: &SegmentFile| {
            let offset_ms = s.offset_ms;
            s.fragments.iter().map(move |f| (offset_ms + f.at_ms) / 1_000).collect::<Vec<_>>()
        };
        segments.iter().flat_map(of).collect()
    }

    #[test]
    fn the_last_half_minute_is_told_and_nothing_before() {
        let told = recent(vec![segment(0, 20), segment(20_000, 20)], AGE, Duration::from_mins(15));
        assert_eq!(seconds(&told), (10..40).collect::<Vec<_>>());
        assert_eq!(
            seconds(&recent(vec![segment(0, 5)], AGE, Duration::from_mins(15))),
            [0, 1, 2, 3, 4]
        );
        assert!(recent(Vec::new(), AGE, Duration::from_mins(15)).is_empty());
    }

    #[test]
    fn what_the_class_was_not_to_see_is_not_told_later_either() {
        let age = Duration::from_mins(1);
        let recent = |shown_s| recent(vec![segment(0, 60)], age, Duration::from_secs(shown_s));
        let told = |shown_s| seconds(&recent(shown_s));
        assert!(told(0).is_empty() && told(2).is_empty() && told(3).is_empty());
        assert_eq!(told(5), [58, 59]);
        assert_eq!(told(13), (50..60).collect::<Vec<_>>());
    }

    #[test]
    fn a_screen_that_stood_still_since_tells_nothing_of_before() {
        let told = recent(vec![segment(0, 10)], Duration::from_secs(70), Duration::from_mins(1));
        assert!(told.is_empty(), "what is recorded is older than what may be seen");
    }

    #[test]
    fn only_whole_pieces_that_are_recent_are_given() {
        let told =
            &recent(vec![segment(0, 60)], Duration::from_mins(1), Duration::from_secs(10))[0];
        assert_eq!(piece(told, 0), Some((0, 10)));
        assert_eq!(piece(told, 10 + 59 * 100), Some((5_910, 100)));
        assert_eq!(piece(told, 10), None, "long ago");
        assert_eq!(piece(told, 5_911), None, "no fragment begins there");
    }
}
