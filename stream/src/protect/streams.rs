//! The streams on air: where each is, and what its time is.

use std::time::Duration;

use super::Error;
use crate::{
    block::{MAX_ENTRIES, Stream},
    codec::Codec,
    playout::{Base, Medium, Pair},
};

/// The clock of all pictures: that of H.264 and VP8 is the same.
const PICTURE: Codec = Codec::H264;

/// One of them.
#[derive(Debug)]
struct OnAir {
    ssrc: u32,
    medium: Medium,
    /// The index after its last packet.
    next: u64,
    /// As it was said last; of a stream that nothing was said of, its first packet.
    pair: Pair,
}

/// What heartbeats say of them.
#[derive(Debug)]
pub(super) struct Streams {
    /// What was on air last comes last. At most [`MAX_ENTRIES`]; full: the first one is not in
    /// heartbeats any more.
    all: Vec<OnAir>,
    /// Of the newest stream of each medium.
    base: Base,
}

impl Streams {
    pub(super) fn new() -> Self {
        let base = Base::new(Some(PICTURE), true);
        Self { all: Vec::with_capacity(MAX_ENTRIES), base }
    }

    /// A packet with this index and RTP time goes on air.
    pub(super) fn go_on(
        &mut self,
        now: Duration,
        medium: Medium,
        (ssrc, index, timestamp): (u32, u64, u32),
    ) -> Result<(), Error> {
        let known = self.all.iter().position(|stream| stream.ssrc == ssrc);
        let known = match known.map(|at| self.all[at].next) {
            Some(next) if index < next => return Err(Error::Index { ssrc, index, next }),
            Some(_) => known.map(|at| self.all.remove(at)),
            None => None,
        };
        let stream = known.unwrap_or_else(|| {
            if self.all.iter().any(|other| other.medium == medium) {
                // Its clock is another one.
                self.base.restart();
            }
            if self.all.len() == MAX_ENTRIES {
                self.all.remove(0);
            }
            OnAir { ssrc, medium, next: index, pair: Pair { timestamp, box_time: now } }
        });
        self.all.push(OnAir { next: index + 1, ..stream });
        self.base.arrived(now, medium, timestamp);
        Ok(())
    }

    /// The publisher's sender report; see [`Base::reported`].
    pub(super) fn reported(&mut self, medium: Medium, ntp: u64, timestamp: u32) {
        self.base.reported(medium, ntp, timestamp);
    }

    /// Another source goes on with the same streams.
    pub(super) fn taken_over(&mut self) {
        self.base.restart();
    }

    /// What a heartbeat says at this moment. Once for each: the base goes on by it.
    pub(super) fn said(&mut self, now: Duration) -> Vec<Stream> {
        // In this order: sound follows the picture.
        for medium in [Medium::Picture, Medium::Sound] {
            let newest = self.all.iter_mut().rev().find(|stream| stream.medium == medium);
            if let (Some(stream), Some(pair)) = (newest, self.base.pair(now, medium)) {
                stream.pair = pair;
            }
        }
        let said = self.all.iter().map(|stream| {
            let codec = if stream.medium == Medium::Sound { Codec::Opus } else { PICTURE };
            let timestamp = stream.pair.at(codec, now).timestamp;
            Stream { ssrc: stream.ssrc, next: stream.next, timestamp }
        });
        said.collect()
    }
}
