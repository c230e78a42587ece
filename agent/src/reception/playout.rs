//! When each frame of a lesson is shown: what the box says of it, in this machine's own time.
//!
//! ```text
//!   heartbeats ── pairs, D ──▶ Playout ◀── BoxClock ◀── exchanges (the link)
//!   frames, whole ────────────▶   │
//!                                 ├─▶ show at
//!                                 └─▶ how late they come ──▶ report
//! ```
//!
//! Invariant: only what the box signed says when something is shown. Until it has said anything of
//! a stream, and until clocks were exchanged, frames are shown at once.

use std::time::Duration;

use alfarid_protocol::grant::{Codec, Grant, Track};
use alfarid_stream::{
    block::Heartbeat,
    playout::{self, BoxClock, Medium},
};
use tokio::sync::watch;

use super::track::stream_codec;
use crate::feed::Frame;

#[derive(Debug)]
pub(super) struct Playout {
    lesson: playout::Playout,
    clock: watch::Receiver<BoxClock>,
    picture: Option<u32>,
    sound: Option<u32>,
    /// Of the newest heartbeat that was heard.
    box_ms: Option<u64>,
    /// Packets that were brought back so far.
    restored: u64,
}

impl Playout {
    /// A lesson that was granted now.
    pub(super) fn new(grant: &Grant, clock: watch::Receiver<BoxClock>, now: Duration) -> Self {
        let ssrc = |track: &Option<Track>| track.as_ref().map(|track| track.ssrc);
        let picture = grant.video.as_ref().map(|track| stream_codec(track.codec));
        Self {
            lesson: playout::Playout::new(now, picture, grant.audio.is_some()),
            clock,
            picture: ssrc(&grant.video),
            sound: ssrc(&grant.audio),
            box_ms: None,
            restored: 0,
        }
    }

    /// What the box said so far holds no longer.
    pub(super) fn begin_anew(&mut self, now: Duration, grant: &Grant) {
        *self = Self::new(grant, self.clock.clone(), now);
    }

    /// Takes in the newest heartbeat, as often as one likes.
    pub(super) fn heard(&mut self, heartbeat: &Heartbeat) {
        if self.box_ms.replace(heartbeat.box_ms) == Some(heartbeat.box_ms) {
            return;
        }
        self.lesson.delayed(heartbeat.playout());
        for (medium, ssrc) in [(Medium::Picture, self.picture), (Medium::Sound, self.sound)] {
            if let Some(pair) = ssrc.and_then(|ssrc| heartbeat.pair(ssrc)) {
                self.lesson.said(medium, pair);
            }
        }
    }

    /// So many packets were brought back so far.
    pub(super) fn restored(&mut self, now: Duration, packets: u64) {
        if std::mem::replace(&mut self.restored, packets) != packets {
            self.lesson.repaired(now);
        }
    }

    /// A packet that the box sent arrived.
    pub(super) fn arrived(&mut self, now: Duration, ssrc: u32, timestamp: u32) {
        if !self.lesson.wants_arrivals() {
            return;
        }
        let medium = if self.sound == Some(ssrc) { Medium::Sound } else { Medium::Picture };
        self.lesson.arrived(now, &self.clock.borrow(), medium, timestamp);
    }

    /// When a frame that is whole now is shown, as the player is told: 0 is at once.
    pub(super) fn show_at(&mut self, now: Duration, frame: &Frame) -> u64 {
        if frame.catch_up {
            return 0;
        }
        let medium = if frame.codec == Codec::Opus { Medium::Sound } else { Medium::Picture };
        let at = self.lesson.due(now, &self.clock.borrow(), medium, frame.timestamp);
        at.map_or(0, |at| u64::try_from(at.as_nanos()).unwrap_or_default())
    }

    /// The way to here is another one, or was just taken up.
    pub(super) fn disturbed(&mut self, now: Duration) {
        self.lesson.disturbed(now);
    }

    /// How late frames come, for the box; `None` while nothing is known.
    pub(super) fn late_ms(&mut self, now: Duration) -> Option<u16> {
        let late = self.lesson.need(now)?;
        u16::try_from(late.as_micros().div_ceil(1_000)).ok()
    }

    /// To the box and back; `None` before clocks were exchanged.
    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.clock.borrow().round_trip()
    }

    /// D, as the box said it last.
    pub(super) fn delay(&self) -> Duration {
        self.lesson.delay()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use alfarid_protocol::{grant::Protection, id::LessonId, secret::Secret};
    use alfarid_stream::{block::Stream, playout::Exchange};
    use bytes::Bytes;
    use uuid::Uuid;

    use super::*;

    const PICTURE: u32 = 7;
    /// The machine's clock is an hour ahead of the box's.
    const AHEAD: Duration = Duration::from_hours(1);

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn grant() -> Grant {
        let video = Track {
            codec: Codec::H264,
            ssrc: PICTURE,
            payload_type: 96,
            clock_rate: 90_000,
            next_index: 0,
        };
        Grant {
            serial: 1,
            lesson: LessonId(Uuid::nil()),
            group: Ipv4Addr::new(239, 255, 0, 1),
            port: 5004,
            source: Ipv4Addr::LOCALHOST,
            video: Some(video),
            audio: None,
            wifi_multicast: false,
            protection: Protection {
                feedback_key: Secret::new([0; 16]),
                signer: [0; 32],
                epochs: Vec::new(),
                repair_port: 1,
                playout_ms: 250,
            },
        }
    }

    fn heartbeat(box_ms: u64, playout_ms: u16, timestamp: u32) -> Heartbeat {
        let streams = vec![Stream { ssrc: PICTURE, next: 1, timestamp }];
        Heartbeat { block: 1, commitment: [0; 8], box_ms, playout_ms, streams }
    }

    fn frame(timestamp: u64) -> Frame {
        Frame {
            codec: Codec::H264,
            keyframe: false,
            catch_up: false,
            timestamp,
            show_at: 0,
            data: Bytes::new(),
        }
    }

    #[test]
    fn a_frame_shows_when_the_box_says_by_the_machines_own_clock() {
        let (tell, clock) = watch::channel(BoxClock::new());
        let mut playout = Playout::new(&grant(), clock, AHEAD + ms(5_000));
        let now = AHEAD + ms(10_000);
        playout.heard(&heartbeat(10_000, 60, 90_000));
        assert_eq!(playout.show_at(now, &frame(90_000)), 0, "no clock yet: at once");
        tell.send_modify(|clock| {
            clock.exchanged(Exchange { sent: now, box_time: ms(10_000), received: now });
        });
        // 20 ms after what is due at 10 s, and 5 ms late.
        let came = now + ms(25);
        let at = Duration::from_nanos(playout.show_at(came, &frame(90_000 + 1_800)));
        assert_eq!(at.as_millis(), (now + ms(20 + 60)).as_millis());
        assert_eq!(playout.late_ms(came), Some(5));
        playout.heard(&heartbeat(10_100, 200, 90_000 + 9_000));
        let at = Duration::from_nanos(playout.show_at(came, &frame(90_000 + 1_800)));
        assert_eq!((at.as_millis(), playout.delay()), ((now + ms(220)).as_millis(), ms(200)));
    }
}
