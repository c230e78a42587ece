//! The receiver of one track: packets in, whole frames out.
//!
//! Packets come live, late, twice, or never; and to a machine that joins, those since the newest
//! keyframe come beside the live ones by another way (the kept pictures, see
//! [`gop`](crate::gop)). What leaves is whole frames in the order they were sent, each once, and
//! no video frame whose reference is missing.
//!
//! ```text
//!            a keyframe's first packet
//!   SEEKING ───────────────────────────▶ AT KEYFRAME ── whole ──▶ FOLLOWING ◀─┐
//!    ▲  ▲   (all before it is dropped)        │                     │   │      │
//!    │  └── lost, cut short, no keyframe ─────┘                     │   └ whole┘
//!    └───── lost, cut short, unreadable ────────────────────────────┘
//! ```
//!
//! Sound is always following: a lost packet is passed over.
//!
//! A frame is the packets of one timestamp up to the marker. One whose timestamp ends without a
//! marker was cut short, by the relay or by the publisher itself (Chromium gives up what it has not
//! sent yet of a frame when a keyframe is ready), and is dropped although no index is missing. A
//! keyframe is recognised by its content (SPS; a VP8 keyframe's first partition), which the
//! [`relay`](crate::relay) guarantees: so it is found behind any loss.
//!
//! **Joining.** With [`Config::kept_wait`], live packets are held until the kept ones are there,
//! [`Assembler::kept_ended`] was called, or the time is over. A live keyframe ends the wait: what
//! is before it is of no more use, and what has come of it is not given out either, for decoding
//! seconds of pictures that nobody will see would only keep the first live one waiting.
//!
//! Invariants: `first_index` of a frame is above `last_index` of the one before; a frame of video
//! is a keyframe or follows the one before without a gap.

mod buffer;

use std::time::Duration;

use bytes::Bytes;

use self::buffer::{Buffer, Held, Run};
use crate::{codec::Codec, h264, index::Timestamps, rtp::Packet, vp8};

/// How long a missing packet is waited for where nothing repairs it: a wire hardly reorders.
pub const REORDER_WAIT: Duration = Duration::from_millis(40);

/// How long to wait for the kept pictures: they are there within a few round trips, or the way is
/// so bad that the next keyframe is sooner.
pub const KEPT_WAIT: Duration = Duration::from_secs(1);

/// How long what is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// For a missing packet, from when a later one came.
    pub reorder_wait: Duration,
    /// For the kept pictures after joining. `None`: none will come (sound; a recorder).
    pub kept_wait: Option<Duration>,
}

/// How a packet came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Live,
    /// Among the kept pictures.
    Kept,
}

/// One whole frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub codec: Codec,
    /// RTP time, unwrapped (see [`Timestamps`]).
    pub timestamp: u64,
    /// Decodes by itself. Always so for sound.
    pub is_keyframe: bool,
    /// H.264: an access unit in Annex-B form. VP8: a frame. Opus: a packet.
    pub data: Bytes,
    pub first_index: u64,
    pub last_index: u64,
    /// From before the first live packet, with newer ones behind it: to be decoded but not shown.
    /// When nothing live came (a still screen), the newest kept frame is to be shown.
    pub catch_up: bool,
}

/// What happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Packets handed in.
    pub received: u64,
    /// Packets that did not come in time.
    pub lost: u64,
    /// Dropped: it was there already.
    pub duplicate: u64,
    /// Dropped: its place was already passed.
    pub late: u64,
    /// Dropped: no room was left because nobody polled.
    pub overflow: u64,
    /// Frames given out.
    pub frames: u64,
    /// Frames of which something came and that were not given out.
    pub dropped: u64,
}

/// The receiver of one track (one SSRC). A new grant makes a new one.
#[derive(Debug)]
pub struct Assembler {
    codec: Codec,
    reorder_wait: Duration,
    /// For how much longer where no keyframe came since.
    late_wait: Duration,
    /// While the kept pictures are waited for: until when.
    kept_until: Option<Duration>,
    /// The oldest live packet: what is before it can only come among the kept ones.
    first_live: Option<u64>,
    position: Position,
    buffer: Buffer,
    timestamps: Timestamps,
    /// Timestamp of the newest dropped frame, so that its packets count as one.
    dropped: Option<u32>,
    stats: Stats,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    Seeking,
    /// The next frame has yet to prove that it is a whole keyframe.
    AtKeyframe,
    /// The next frame refers to those given out.
    Following,
}

/// What one look at the buffer leads to.
enum Step {
    Frame(Frame),
    Again,
    Wait,
}

impl Assembler {
    pub fn new(codec: Codec, config: Config, now: Duration) -> Self {
        Self {
            codec,
            reorder_wait: config.reorder_wait,
            late_wait: Duration::ZERO,
            kept_until: config.kept_wait.map(|wait| now + wait),
            first_live: None,
            position: if codec.is_video() { Position::Seeking } else { Position::Following },
            buffer: Buffer::default(),
            timestamps: Timestamps::new(),
            dropped: None,
            stats: Stats::default(),
        }
    }

    /// Takes a packet in. A live one's index is found by [`Sequence`](crate::index::Sequence),
    /// which also keeps a stray number from doing harm here.
    pub fn push(&mut self, now: Duration, index: u64, packet: Packet, origin: Origin) {
        self.stats.received += 1;
        if origin == Origin::Live {
            self.first_live = Some(self.first_live.map_or(index, |first| first.min(index)));
        }
        if self.buffer.next().is_some_and(|next| index < next) {
            self.stats.late += 1;
        } else if self.buffer.contains(index) {
            self.stats.duplicate += 1;
        } else if self.buffer.is_full() {
            self.stats.overflow += 1;
        } else {
            let opens_keyframe = opens_keyframe(self.codec, &packet.payload);
            self.buffer.insert(index, Held { packet, arrived: now, opens_keyframe });
        }
    }

    /// Waits so long for what is missing from now on.
    pub fn set_reorder_wait(&mut self, wait: Duration) {
        self.reorder_wait = wait;
    }

    /// Waits so much longer for what is missing while no whole keyframe is behind it: what comes
    /// too late to be shown in time still saves all up to the next one.
    pub fn set_late_wait(&mut self, wait: Duration) {
        self.late_wait = wait;
    }

    /// The kept pictures are all here, or there are none: nothing more is waited for.
    pub fn kept_ended(&mut self) {
        self.kept_until = None;
    }

    /// The next whole frame. To be called until it gives `None`, after each push and at each
    /// timeout.
    pub fn poll(&mut self, now: Duration) -> Option<Frame> {
        if self.kept_until.is_some_and(|until| until <= now) || self.buffer.is_full() {
            self.kept_until = None;
        }
        self.skip_to_live_keyframe();
        loop {
            let step = match self.position {
                Position::Seeking => self.seek(now),
                Position::AtKeyframe | Position::Following => self.follow(now),
            };
            match step {
                Step::Frame(frame) => return Some(frame),
                Step::Again => {}
                Step::Wait => return None,
            }
        }
    }

    /// When to poll again even if nothing more arrives.
    pub fn next_timeout(&self) -> Option<Duration> {
        let gap = match self.buffer.run(self.codec) {
            Run::Missing(at) if self.position != Position::Seeking => self.deadline(at),
            _ => None,
        };
        [gap, self.kept_until].into_iter().flatten().min()
    }

    /// Packets come, but nothing can be given out before a keyframe does.
    pub fn wants_keyframe(&self) -> bool {
        let is_on_air = self.stats.received > 0;
        is_on_air && self.position == Position::Seeking && self.kept_until.is_none()
    }

    /// Where another way could go on: the first index that was not given out. `None` while a
    /// keyframe is needed anyway.
    pub fn goes_on_at(&self) -> Option<u64> {
        self.buffer.next().filter(|_| self.position == Position::Following)
    }

    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// While catching up: begins with a live keyframe instead, once one is whole.
    fn skip_to_live_keyframe(&mut self) {
        let Some(live) = self.first_live.filter(|_| self.codec.is_video()) else { return };
        if self.buffer.next().is_some_and(|next| next >= live) {
            return;
        }
        if let Some(start) = self.buffer.whole_keyframe_from(live) {
            // What is passed over was not lost.
            self.buffer.remove_below(start);
            self.position = Position::AtKeyframe;
            self.kept_until = None;
        }
    }

    fn seek(&mut self, now: Duration) -> Step {
        if let Some(start) = self.buffer.keyframe_start() {
            self.drop_below(start);
            self.position = Position::AtKeyframe;
            return Step::Again;
        }
        if self.kept_until.is_none() {
            // What is fresh stays: the keyframe's first packet may have been overtaken.
            let wait = self.reorder_wait;
            let stale = self.buffer.last_where(|held| held.arrived + wait <= now);
            let end = if self.buffer.is_full() { self.buffer.newest() } else { stale };
            if let Some(end) = end {
                self.drop_below(end + 1);
            }
        }
        Step::Wait
    }

    fn follow(&mut self, now: Duration) -> Step {
        match self.buffer.advance_run(self.codec) {
            Run::Whole { first, last } => self.give(first, last),
            Run::Cut(at) => self.give_up(at),
            Run::Missing(at) => match self.buffer.first_from(at) {
                Some(beyond) => match self.deadline(at) {
                    Some(deadline) if now < deadline && !self.buffer.is_full() => Step::Wait,
                    _ => self.give_up(beyond),
                },
                // A frame that fills the whole buffer will never be whole.
                None if self.buffer.is_full() => self.give_up(at),
                None => Step::Wait,
            },
        }
    }

    /// Until when the packet `at` is waited for; `None` if nothing came from beyond it.
    fn deadline(&self, at: u64) -> Option<Duration> {
        let noticed = self.buffer.oldest_arrival(at)?;
        let kept = self.kept_until.filter(|_| self.is_before_live(at)).unwrap_or_default();
        let goes_on_without = self.buffer.whole_keyframe_from(at).is_some();
        let longer = if goes_on_without { Duration::ZERO } else { self.late_wait };
        Some(kept.max(noticed + self.reorder_wait + longer))
    }

    fn is_before_live(&self, index: u64) -> bool {
        self.first_live.is_none_or(|first| index < first)
    }

    /// Gives out the frame of these packets, which are all there.
    fn give(&mut self, first: u64, last: u64) -> Step {
        let has_newer = self.buffer.first_from(last + 1).is_some();
        let is_past = self.is_before_live(last);
        if is_past && !has_newer && self.kept_until.is_some() {
            // Whether this frame is to be shown depends on what comes next.
            return Step::Wait;
        }
        let timestamp = self.buffer.range(first, last).next().map(Held::timestamp);
        let payloads = self.buffer.range(first, last).map(|held| &held.packet.payload[..]);
        let (Some(timestamp), Some((data, is_keyframe))) =
            (timestamp, depacketise(self.codec, payloads))
        else {
            return self.give_up(last + 1);
        };
        if self.position == Position::AtKeyframe && !is_keyframe {
            return self.give_up(last + 1);
        }
        self.buffer.remove_below(last + 1);
        self.position = Position::Following;
        self.stats.frames += 1;
        Step::Frame(Frame {
            codec: self.codec,
            timestamp: self.timestamps.unwrap(timestamp),
            is_keyframe,
            data,
            first_index: first,
            last_index: last,
            catch_up: is_past && has_newer,
        })
    }

    /// The frame at hand cannot be given out; goes on at `to`.
    fn give_up(&mut self, to: u64) -> Step {
        self.drop_below(to);
        if self.codec.is_video() {
            self.position = Position::Seeking;
        }
        Step::Again
    }

    fn drop_below(&mut self, to: u64) {
        let (removed, lost) = self.buffer.remove_below(to);
        self.stats.lost += lost;
        for held in removed.values() {
            if self.dropped.replace(held.timestamp()) != Some(held.timestamp()) {
                self.stats.dropped += 1;
            }
        }
    }
}

/// Whether a keyframe can be recognised by this packet.
fn opens_keyframe(codec: Codec, payload: &[u8]) -> bool {
    match codec {
        // The relay sees to it that an SPS is in every IDR access unit.
        Codec::H264 => h264::units(payload).is_ok_and(|mut units| {
            units.any(|unit| unit.is_whole() && unit.kind() == h264::kind::SPS)
        }),
        Codec::Vp8 => vp8::Descriptor::parse(payload)
            .is_ok_and(|(descriptor, frame)| descriptor.starts_frame() && vp8::is_keyframe(frame)),
        Codec::Opus => true,
    }
}

/// The frame and whether it decodes by itself; `None` if it cannot be read.
fn depacketise<'a>(
    codec: Codec,
    mut payloads: impl Iterator<Item = &'a [u8]> + Clone,
) -> Option<(Bytes, bool)> {
    match codec {
        Codec::H264 => h264::depacketise(payloads).ok().map(|unit| (unit.data, unit.is_idr)),
        Codec::Vp8 => vp8::depacketise(payloads).ok().map(|frame| (frame.data, frame.is_keyframe)),
        Codec::Opus => payloads.next().map(|packet| (Bytes::copy_from_slice(packet), true)),
    }
}

#[cfg(test)]
mod tests;
