//! One track of a recording: packets in, what is to be written out. Nothing here waits or writes.
//!
//! ```text
//!   packet ─▶ assembler ─▶ timeline ─▶ same format? ─▶ cutter ─▶ container ─▶ Fragment
//!                                          └─ no: Close, Open with a new head
//! ```
//!
//! A file has one head, and two pictures' sizes under one head play nowhere: so a keyframe of
//! another format begins a new segment. The last picture of the old one lasts until then.

use std::{collections::VecDeque, time::Duration};

use alfarid_stream::{
    Codec,
    assemble::{self, Assembler, Origin},
    rtp::Packet,
};

use super::{
    container::{Container, Sample},
    cutter::{Cutter, Frame},
    media::{self, Format},
    timeline::Timeline,
};
use crate::broadcast::tap::TappedPacket;

/// Frames whose packets have begun to come. In order and without waiting it is one; the rest is
/// for frames that were dropped. Full: the oldest is forgotten, and that frame counts from when it
/// was whole.
const MAX_BEGUN: usize = 16;

/// What is to be done to the track's file.
#[derive(Debug)]
pub(super) enum Output {
    Open { format: Format, start_us: u64, head: Vec<u8> },
    Append(Cut),
    Close,
}

/// A fragment ready to be written.
#[derive(Debug)]
pub(super) struct Cut {
    pub bytes: Vec<u8>,
    pub frames: u64,
    /// From the segment's start.
    pub at_us: u64,
    pub end_us: u64,
    /// Begins with a keyframe: playing can start here.
    pub keyframe: bool,
}

#[derive(Debug)]
pub(super) struct Track {
    codec: Codec,
    assembler: Assembler,
    timeline: Timeline,
    /// (RTP timestamp, arrival of its first packet), oldest first.
    begun: VecDeque<(u32, Duration)>,
    segment: Option<Segment>,
    recording_start: Duration,
}

#[derive(Debug)]
struct Segment {
    format: Format,
    container: Container,
    /// From the recording's start.
    start_us: u64,
    fragments: u32,
    cutter: Cutter,
}

impl Track {
    /// `start` is the recording's, by the clock that packets' arrival is said by.
    pub(super) fn new(codec: Codec, start: Duration, now: Duration) -> Self {
        // The relay leaves no gaps and keeps the order: what is missing was lost on the way here.
        let config = assemble::Config { reorder_wait: Duration::ZERO, kept_wait: None };
        Self {
            codec,
            assembler: Assembler::new(codec, config, now),
            timeline: Timeline::new(codec.clock_rate(), start),
            begun: VecDeque::with_capacity(MAX_BEGUN),
            segment: None,
            recording_start: start,
        }
    }

    /// Forgets what it has heard: the next keyframe begins a file.
    pub(super) fn start_over(&mut self, now: Duration) {
        *self = Self::new(self.codec, self.recording_start, now);
    }

    pub(super) fn push(&mut self, tapped: TappedPacket) -> Vec<Output> {
        let TappedPacket { index, at, packet, .. } = tapped;
        // What the relay sent can be read; anything else is a gap like any other.
        let Ok(packet) = Packet::parse(&packet) else { return Vec::new() };
        let timestamp = packet.header.timestamp;
        if self.begun.back().is_none_or(|(newest, _)| *newest != timestamp) {
            if self.begun.len() == MAX_BEGUN {
                self.begun.pop_front();
            }
            self.begun.push_back((timestamp, at));
        }
        self.assembler.push(at, index, packet, Origin::Live);
        let mut out = Vec::new();
        while let Some(frame) = self.assembler.poll(at) {
            self.take(&frame, at, &mut out);
        }
        out
    }

    /// What waited long enough. To be called a few times a second.
    pub(super) fn tick(&mut self, now: Duration) -> Vec<Output> {
        let Some(segment) = &mut self.segment else { return Vec::new() };
        let ready = segment.cutter.tick(now);
        ready.map(|samples| segment.append(&samples)).into_iter().collect()
    }

    /// The track is over.
    pub(super) fn finish(&mut self, now: Duration) -> Vec<Output> {
        let end_us = now.saturating_sub(self.recording_start).as_micros();
        let mut out = Vec::new();
        self.close(u64::try_from(end_us).unwrap_or(u64::MAX), &mut out);
        out
    }

    /// Packets that were missing, frames that were dropped for it.
    pub(super) fn losses(&self) -> (u64, u64) {
        let stats = self.assembler.stats();
        (stats.lost, stats.dropped)
    }

    fn take(&mut self, frame: &assemble::Frame, now: Duration, out: &mut Vec<Output>) {
        let arrival = self.arrival(frame.timestamp, now);
        let place_us = self.timeline.place(arrival, frame.timestamp);
        if frame.is_keyframe
            && let Some(format) = Format::of(self.codec, &frame.data)
            && self.segment.as_ref().is_none_or(|segment| segment.format != format)
        {
            self.close(place_us, out);
            self.open(format, place_us, out);
        }
        let data = media::stored(self.codec, &frame.data);
        let Some(segment) = self.segment.as_mut().filter(|_| !data.is_empty()) else { return };
        let frame = Frame {
            time_us: place_us - segment.start_us,
            keyframe: frame.is_keyframe,
            own_duration_us: media::own_duration_us(self.codec, &data),
            data,
        };
        let ready = segment.cutter.push(now, frame);
        out.extend(ready.map(|samples| segment.append(&samples)));
    }

    /// When the first packet of the frame came.
    fn arrival(&mut self, timestamp: u64, now: Duration) -> Duration {
        while let Some((begun, at)) = self.begun.pop_front() {
            if u64::from(begun) == timestamp & 0xffff_ffff {
                return at;
            }
        }
        now
    }

    fn open(&mut self, format: Format, start_us: u64, out: &mut Vec<Output>) {
        let container = Container::of(self.codec);
        let head = container.head(&format);
        out.push(Output::Open { format: format.clone(), start_us, head });
        let cutter = Cutter::default();
        self.segment = Some(Segment { format, container, start_us, fragments: 0, cutter });
    }

    /// `end_us` counts from the recording's start.
    fn close(&mut self, end_us: u64, out: &mut Vec<Output>) {
        if let Some(mut segment) = self.segment.take() {
            let rest = segment.cutter.finish(end_us.saturating_sub(segment.start_us));
            out.extend(rest.map(|samples| segment.append(&samples)));
            out.push(Output::Close);
        }
    }
}

impl Segment {
    fn append(&mut self, samples: &[Sample]) -> Output {
        self.fragments += 1;
        let first = samples.first();
        let last = samples.last();
        Output::Append(Cut {
            bytes: self.container.fragment(self.fragments, samples),
            frames: samples.len() as u64,
            at_us: first.map_or(0, |sample| sample.time_us),
            end_us: last.map_or(0, |sample| sample.time_us + sample.duration_us),
            keyframe: first.is_some_and(|sample| sample.keyframe),
        })
    }
}
