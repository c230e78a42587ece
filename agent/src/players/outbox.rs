//! What waits to be written to one player.
//!
//! Bounded by bytes. A player that reads too slowly harms itself alone: when there is no room, its
//! video is dropped up to the next keyframe, which then takes the place of all the video that
//! still waits. Sound that finds no room is dropped. What the stage is, is never dropped: only the
//! newest counts, so it takes no more room than one.

use std::collections::VecDeque;

use crate::feed::{Frame, ToPlayer};

/// Some seconds of a lesson. A keyframe may pass beyond it, so that it always gets through.
const ROOM: usize = 4 * 1024 * 1024;

#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: VecDeque<ToPlayer>,
    bytes: usize,
    /// Video was dropped: nothing decodes before the next keyframe.
    needs_keyframe: bool,
    pub(super) dropped: u64,
}

impl Outbox {
    pub(super) fn push(&mut self, message: ToPlayer) {
        match &message {
            ToPlayer::Video(frame) if !self.admits_video(frame) => {
                self.dropped += 1;
                self.needs_keyframe = true;
                return;
            }
            ToPlayer::Audio(frame) if self.bytes + frame.data.len() > ROOM => {
                self.dropped += 1;
                return;
            }
            ToPlayer::Video(_) | ToPlayer::Audio(_) => {}
            ToPlayer::Stage(_) | ToPlayer::Idle(_) => self
                .waiting
                .retain(|older| !matches!(older, ToPlayer::Stage(_) | ToPlayer::Idle(_))),
            ToPlayer::Replaced => self.clear(),
        }
        self.bytes += size(&message);
        self.waiting.push_back(message);
    }

    fn admits_video(&mut self, frame: &Frame) -> bool {
        if frame.keyframe {
            if self.bytes + frame.data.len() > ROOM {
                self.drop_video();
            }
            self.needs_keyframe = false;
            return true;
        }
        !self.needs_keyframe && self.bytes + frame.data.len() <= ROOM
    }

    pub(super) fn pop(&mut self) -> Option<ToPlayer> {
        let message = self.waiting.pop_front()?;
        self.bytes -= size(&message);
        Some(message)
    }

    fn drop_video(&mut self) {
        let before = self.waiting.len();
        self.waiting.retain(|message| !matches!(message, ToPlayer::Video(_)));
        self.bytes = self.waiting.iter().map(size).sum();
        self.dropped += (before - self.waiting.len()) as u64;
    }

    fn clear(&mut self) {
        self.waiting.clear();
        self.bytes = 0;
    }
}

fn size(message: &ToPlayer) -> usize {
    match message {
        ToPlayer::Video(frame) | ToPlayer::Audio(frame) => frame.data.len(),
        ToPlayer::Stage(_) | ToPlayer::Idle(_) | ToPlayer::Replaced => 0,
    }
}

#[cfg(test)]
mod tests {
    use alfarid_protocol::grant::Codec;

    use super::*;
    use crate::feed::Idle;

    fn video(timestamp: u64, keyframe: bool, size: usize) -> ToPlayer {
        ToPlayer::Video(Frame {
            codec: Codec::H264,
            keyframe,
            catch_up: false,
            timestamp,
            show_at: 0,
            data: vec![0; size].into(),
        })
    }

    fn timestamps(outbox: &mut Outbox) -> Vec<u64> {
        std::iter::from_fn(|| outbox.pop())
            .filter_map(|message| match message {
                ToPlayer::Video(frame) => Some(frame.timestamp),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn a_slow_player_loses_what_stands_between_it_and_the_next_keyframe() {
        let mut outbox = Outbox::default();
        outbox.push(video(0, true, ROOM - 10));
        outbox.push(video(1, false, 100));
        outbox.push(video(2, false, 1));
        assert_eq!(timestamps(&mut outbox), [0], "frame 2 would need frame 1");
        outbox.push(video(3, false, 1));
        outbox.push(video(4, true, 1));
        outbox.push(video(5, false, 1));
        assert_eq!(timestamps(&mut outbox), [4, 5]);
        assert_eq!(outbox.dropped, 3);
    }

    #[test]
    fn a_keyframe_takes_the_place_of_what_waits() {
        let mut outbox = Outbox::default();
        outbox.push(ToPlayer::Idle(Idle::NoLesson));
        outbox.push(video(0, true, ROOM));
        outbox.push(video(1, true, ROOM));
        assert_eq!(outbox.pop(), Some(ToPlayer::Idle(Idle::NoLesson)));
        assert_eq!(timestamps(&mut outbox), [1]);
        assert_eq!(outbox.bytes, 0);
    }

    #[test]
    fn of_the_stage_only_the_newest_waits() {
        let mut outbox = Outbox::default();
        for _ in 0..1000 {
            outbox.push(ToPlayer::Idle(Idle::NoBox));
        }
        outbox.push(ToPlayer::Idle(Idle::NoLesson));
        assert_eq!(outbox.pop(), Some(ToPlayer::Idle(Idle::NoLesson)));
        assert_eq!(outbox.pop(), None);
    }

    #[test]
    fn nothing_comes_before_the_last_word() {
        let mut outbox = Outbox::default();
        outbox.push(video(0, true, 5));
        outbox.push(ToPlayer::Replaced);
        assert_eq!(outbox.pop(), Some(ToPlayer::Replaced));
        assert_eq!(outbox.pop(), None);
    }
}
