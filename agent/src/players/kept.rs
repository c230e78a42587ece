//! The frames since the last keyframe, for a player that attaches in mid-lesson.
//!
//! Without them it would stay dark until the next keyframe, seconds away on a still screen.

use crate::feed::Frame;

/// The box asks the publisher for a keyframe long before this much.
const ROOM: usize = 4 * 1024 * 1024;

#[derive(Debug, Default)]
pub(super) struct KeptFrames {
    /// Empty, or begins with a keyframe. Cleared when it grows beyond [`ROOM`]; it begins anew
    /// with the next keyframe.
    frames: Vec<Frame>,
    bytes: usize,
}

impl KeptFrames {
    pub(super) fn push(&mut self, frame: &Frame) {
        if frame.keyframe {
            self.clear();
        } else if self.frames.is_empty() {
            return;
        }
        self.bytes += frame.data.len();
        if self.bytes > ROOM {
            self.clear();
            return;
        }
        self.frames.push(frame.clone());
    }

    pub(super) fn clear(&mut self) {
        self.frames.clear();
        self.bytes = 0;
    }

    /// All of them, of which only the newest is to be shown.
    pub(super) fn replay(&self) -> impl Iterator<Item = Frame> {
        let newest = self.frames.len().saturating_sub(1);
        self.frames.iter().enumerate().map(move |(n, frame)| Frame {
            catch_up: n < newest,
            show_at: 0,
            ..frame.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use alfarid_protocol::grant::Codec;

    use super::*;

    fn frame(timestamp: u64, keyframe: bool, size: usize) -> Frame {
        Frame {
            codec: Codec::Vp8,
            keyframe,
            catch_up: false,
            timestamp,
            show_at: 9,
            data: vec![0; size].into(),
        }
    }

    fn replayed(kept: &KeptFrames) -> Vec<(u64, bool)> {
        kept.replay().map(|frame| (frame.timestamp, frame.catch_up)).collect()
    }

    #[test]
    fn a_replay_begins_with_a_keyframe_and_shows_the_newest() {
        let mut kept = KeptFrames::default();
        kept.push(&frame(0, false, 1));
        assert_eq!(replayed(&kept), []);
        for (timestamp, keyframe) in [(1, true), (2, false), (3, true), (4, false), (5, false)] {
            kept.push(&frame(timestamp, keyframe, 1));
        }
        assert_eq!(replayed(&kept), [(3, true), (4, true), (5, false)]);
    }

    #[test]
    fn too_much_since_a_keyframe_is_given_up_until_the_next() {
        let mut kept = KeptFrames::default();
        kept.push(&frame(0, true, ROOM));
        kept.push(&frame(1, false, 1));
        kept.push(&frame(2, false, 1));
        assert_eq!(replayed(&kept), []);
        kept.push(&frame(3, true, 1));
        assert_eq!(replayed(&kept), [(3, false)]);
    }
}
