//! A machine's view of one stream's base.

use std::time::Duration;

use super::{Envelope, Pair};
use crate::codec::Codec;

/// Maps the RTP time of one stream (one SSRC) to box time.
///
/// By the newest pair that the box said, over any loss of others: a pair that is a minute old is
/// off by the publisher's drift in that minute, 12 ms at the worst. Before the first, by the
/// envelope of this machine's own arrivals: that is later than the box's by the way to here, which
/// is less than a millisecond on a wire.
#[derive(Clone, Debug)]
pub struct Timeline {
    codec: Codec,
    pair: Option<Pair>,
    own: Envelope,
    /// The newest arrival, in box time.
    arrived: Duration,
}

impl Timeline {
    pub fn new(codec: Codec) -> Self {
        Self { codec, pair: None, own: Envelope::new(codec), arrived: Duration::ZERO }
    }

    /// The box says a pair. One that is older than the last changes nothing.
    pub fn said(&mut self, pair: Pair) {
        if self.pair.is_none_or(|last| last.box_time <= pair.box_time) {
            self.pair = Some(pair);
        }
    }

    /// A packet with `timestamp` arrived. Only needed until the first pair.
    pub fn arrived(&mut self, box_time: Duration, timestamp: u32) {
        if self.pair.is_none() {
            self.own.arrived(box_time, timestamp);
            self.arrived = box_time;
        }
    }

    /// The base of what has `timestamp`: when it would be shown without any delay, in box time.
    /// `None` before the first pair and the first arrival.
    pub fn base(&self, timestamp: u32) -> Option<Duration> {
        let pair = self.pair.or_else(|| self.own.pair(self.arrived))?;
        Some(pair.box_time_of(self.codec, timestamp))
    }

    /// The box has said a pair: all machines agree on the base.
    pub fn is_told(&self) -> bool {
        self.pair.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn pair(timestamp: u32, millis: u64) -> Pair {
        Pair { timestamp, box_time: ms(millis) }
    }

    #[test]
    fn the_newest_pair_counts_over_the_wrap() {
        let mut timeline = Timeline::new(Codec::H264);
        assert_eq!(timeline.base(0), None);
        timeline.said(pair(u32::MAX - 8_999, 10_000));
        assert_eq!(timeline.base(0), Some(ms(10_100)));
        assert_eq!(timeline.base(u32::MAX - 17_999), Some(ms(9_900)));
        timeline.said(pair(0, 10_150));
        timeline.said(pair(9_000, 10_120));
        assert_eq!(timeline.base(9_000), Some(ms(10_250)), "the one of 10.12 s came late");
        assert!(timeline.is_told());
    }

    #[test]
    fn before_the_first_pair_its_own_arrivals_do() {
        let mut timeline = Timeline::new(Codec::H264);
        timeline.arrived(ms(5_030), 0);
        timeline.arrived(ms(5_050), 3_600);
        timeline.arrived(ms(5_120), 7_200);
        assert!(!timeline.is_told());
        assert_eq!(timeline.base(7_200), Some(ms(5_090)));
        timeline.said(pair(0, 5_009));
        assert_eq!(timeline.base(7_200), Some(ms(5_089)));
    }

    #[test]
    fn a_base_before_the_box_began_is_its_beginning() {
        let mut timeline = Timeline::new(Codec::H264);
        timeline.said(pair(90_000, 500));
        assert_eq!(timeline.base(0), Some(ms(0)));
    }
}
