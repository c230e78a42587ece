//! The kept pictures of a video track: everything sent since the newest keyframe, and since the one
//! before.
//!
//! ```text
//!   K d d d d d K d d d d K d d d      newest
//!   └ gone ───┘ └ earlier ┘└ all ─┘
//! ```
//!
//! A machine that joins late gets them by a reliable way, decodes them without showing, and goes
//! on with the live packets. That only works when nothing is missing, so the kept packets are whole
//! or none: one GOP over [`MAX_BYTES`] is thrown away to the last packet, [`Gop::is_overgrown`]
//! says so until the next keyframe, and the relay asks for one.
//!
//! The earlier pictures are for one that had the stream by another way until a moment ago: a keyframe
//! that came meanwhile must not cost it what lies before.
//!
//! Invariant: indices are contiguous, and the first packet starts a keyframe.

use crate::relay::Sent;

/// Most bytes from one keyframe to the next, of which two such are kept: twice what
/// [`REGULAR_BYTES`](crate::keyframes::REGULAR_BYTES) allows. Beyond, nothing is kept up to the next
/// keyframe.
pub const MAX_BYTES: usize = 2_000_000;

/// The kept pictures of one outgoing track.
#[derive(Debug, Default)]
pub struct Gop {
    /// The earlier pictures, then the newest.
    packets: Vec<Sent>,
    /// Where the newest keyframe starts.
    newest: usize,
    /// Bytes from there on.
    bytes: usize,
    overgrown: bool,
}

impl Gop {
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps what the relay sent. Sound is not kept: it has no keyframes.
    pub fn push(&mut self, sent: &Sent) {
        if sent.keyframe.is_some() {
            self.packets.drain(..self.newest);
            self.newest = self.packets.len();
            self.bytes = 0;
            self.overgrown = false;
        } else if self.packets.is_empty() {
            return;
        }
        self.bytes += sent.packet.size();
        if self.bytes > MAX_BYTES {
            self.packets.clear();
            self.newest = 0;
            self.overgrown = true;
            return;
        }
        self.packets.push(sent.clone());
    }

    /// What a machine needs that has live packets from `index` on; nothing if a newer keyframe is
    /// among those.
    pub fn before(&self, index: u64) -> &[Sent] {
        let end = self.packets.partition_point(|sent| sent.index < index);
        self.packets.get(self.newest..end).unwrap_or_default()
    }

    /// What a machine needs that has everything before `index` and nothing live: all from there on,
    /// or, where that is no longer kept, from the newest keyframe on.
    pub fn since(&self, index: u64) -> &[Sent] {
        match self.packets.first() {
            Some(first) if first.index <= index => {
                &self.packets[self.packets.partition_point(|sent| sent.index < index)..]
            }
            _ => self.all(),
        }
    }

    /// Everything since the newest keyframe, for a machine that has nothing yet.
    pub fn all(&self) -> &[Sent] {
        self.packets.get(self.newest..).unwrap_or_default()
    }

    /// The pictures since the newest keyframe became too many to keep.
    pub fn is_overgrown(&self) -> bool {
        self.overgrown
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{
        lab::{Style, on_air},
        relay::Sent,
    };

    fn indices(sent: &[Sent]) -> Vec<u64> {
        sent.iter().map(|sent| sent.index).collect()
    }

    #[test]
    fn the_newest_keyframe_and_what_follows_are_kept() {
        for style in [Style::X264, Style::LibWebRtc] {
            let sent: Vec<Sent> =
                on_air(style, "KddKdd").into_iter().flat_map(|(_, sent)| sent).collect();
            let start = sent.iter().rposition(|sent| sent.keyframe.is_some()).unwrap();
            let mut gop = Gop::new();
            assert!(gop.all().is_empty());
            for sent in &sent {
                gop.push(sent);
            }
            assert_eq!(gop.all(), &sent[start..]);
            let middle = sent[start + 3].index;
            assert_eq!(indices(gop.before(middle)), indices(&sent[start..start + 3]));
            assert!(gop.before(sent[start].index).is_empty(), "the keyframe is live there");
            assert_eq!(gop.before(u64::MAX).len(), gop.all().len());
        }
    }

    #[test]
    fn one_that_had_the_stream_goes_on_across_one_keyframe_and_begins_with_the_newest_after_two() {
        let sent: Vec<Sent> =
            on_air(Style::X264, "KddKddKd").into_iter().flat_map(|(_, sent)| sent).collect();
        let starts: Vec<usize> =
            (0..sent.len()).filter(|at| sent[*at].keyframe.is_some()).collect();
        let mut gop = Gop::new();
        for sent in &sent {
            gop.push(sent);
        }
        assert_eq!(gop.all(), &sent[starts[2]..]);
        let from = |at: usize| gop.since(sent[at].index);
        assert_eq!(from(starts[1] + 2), &sent[starts[1] + 2..]);
        assert_eq!(from(starts[1]), &sent[starts[1]..]);
        assert_eq!(from(starts[2] + 1), &sent[starts[2] + 1..]);
        assert_eq!(from(starts[1] - 1), &sent[starts[2]..], "older is not kept");
        assert!(gop.since(u64::MAX).is_empty(), "it has all");
    }

    #[test]
    fn nothing_is_kept_before_a_keyframe_or_of_an_overgrown_gop() {
        let [first, second] = on_air(Style::PlainVp8, "Kd").try_into().unwrap();
        let (keyframe, mut delta) = (&first.1[0], second.1[0].clone());
        delta.packet.payload = Bytes::from(vec![0; MAX_BYTES / 2]);
        let mut gop = Gop::new();
        gop.push(&delta);
        assert!(gop.all().is_empty());
        gop.push(keyframe);
        gop.push(&delta);
        assert_eq!(gop.all().len(), 2);
        gop.push(&delta);
        assert!(gop.is_overgrown());
        gop.push(&delta);
        assert!(gop.all().is_empty(), "a kept GOP with a hole is worth nothing");
        gop.push(keyframe);
        assert!(!gop.is_overgrown());
        assert_eq!(gop.all().len(), 1);
    }
}
