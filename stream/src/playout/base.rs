//! The base of a lesson, B in the design: the box's word on what time each moment of media is.

use std::time::Duration;

use super::{Envelope, JUMP, Pair, tie::Tie};
use crate::codec::Codec;

/// The two streams of a publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Medium {
    Picture,
    Sound,
}

/// After a beginning the base follows at once: the first frame is a keyframe, late by its size.
const SETTLING: Duration = Duration::from_secs(1);

/// Later, at most one part in so many of the time that passed: machines that have heard of it and
/// machines that have not, for want of one heartbeat (100 ms), are 1 ms apart.
const PACE: u32 = 100;

/// The farthest that tied sound is believed to be from where it arrives: beyond, the publisher's
/// reports are wrong, and sound that is there is worth more than sound that fits.
const MAX_TIE: Duration = Duration::from_secs(1);

/// Makes the pairs of one lesson, on the box.
///
/// Handed in is what the [`relay`](crate::relay) sends, with its numbers. The picture's base is its
/// [`Envelope`]; the sound's follows from it by the publisher's sender reports, or is an envelope
/// of its own while there are none, or no picture.
#[derive(Clone, Debug)]
pub struct Base {
    picture: Option<Course>,
    sound: Option<Course>,
    tie: Tie,
}

/// One stream's envelope and how its pairs go on.
#[derive(Clone, Debug)]
struct Course {
    codec: Codec,
    envelope: Envelope,
    /// The first packet since the beginning.
    begun: Option<Duration>,
    last: Option<Pair>,
}

impl Base {
    /// A lesson whose picture has this codec, if it has one; `has_sound` in Opus.
    pub fn new(picture: Option<Codec>, has_sound: bool) -> Self {
        Self {
            picture: picture.map(Course::new),
            sound: has_sound.then(|| Course::new(Codec::Opus)),
            tie: Tie::default(),
        }
    }

    /// A packet of the stream came from the publisher, and leaves with `timestamp`. `now` is when
    /// it came: what the box spends on it is for the playout delay to bear.
    pub fn arrived(&mut self, now: Duration, medium: Medium, timestamp: u32) {
        if let Some(course) = self.course(medium) {
            course.begun.get_or_insert(now);
            course.envelope.arrived(now, timestamp);
        }
    }

    /// The publisher's sender report: at its time `ntp` the stream is at `timestamp`, as the relay
    /// numbers it ([`Relay::outgoing`](crate::relay::Relay::outgoing)).
    pub fn reported(&mut self, medium: Medium, ntp: u64, timestamp: u32) {
        match medium {
            Medium::Picture => self.tie.picture(ntp, timestamp),
            Medium::Sound => self.tie.sound(ntp, timestamp),
        }
    }

    /// Another source took over: its way is another, and its reports are of another clock.
    pub fn restart(&mut self) {
        self.tie = Tie::default();
        for course in self.picture.iter_mut().chain(&mut self.sound) {
            course.envelope.restart();
            course.begun = None;
        }
    }

    /// The pair for this moment; to be asked once for every heartbeat, which carries it to all.
    /// `None` before the first packet.
    pub fn pair(&mut self, now: Duration, medium: Medium) -> Option<Pair> {
        let tied = match medium {
            Medium::Picture => None,
            Medium::Sound => self.tied(now),
        };
        let course = self.course(medium)?;
        let own = course.envelope.pair(now)?;
        let target = tied.filter(|tied| {
            let apart = tied.timestamp.wrapping_sub(own.timestamp).cast_signed();
            apart.unsigned_abs() <= course.codec.ticks(MAX_TIE)
        });
        Some(course.go_on(target.unwrap_or(own)))
    }

    fn tied(&self, now: Duration) -> Option<Pair> {
        let picture = self.picture.as_ref()?;
        // From the picture's pairs as they are given out, not as they should be: so sound goes with
        // it on every step of the way.
        let shown = picture.last.map(|last| last.at(picture.codec, now));
        self.tie.sound_at(picture.codec, shown.or_else(|| picture.envelope.pair(now))?)
    }

    fn course(&mut self, medium: Medium) -> Option<&mut Course> {
        match medium {
            Medium::Picture => self.picture.as_mut(),
            Medium::Sound => self.sound.as_mut(),
        }
    }
}

impl Course {
    fn new(codec: Codec) -> Self {
        Self { codec, envelope: Envelope::new(codec), begun: None, last: None }
    }

    /// The next pair on the way to `target`.
    fn go_on(&mut self, target: Pair) -> Pair {
        let now = target.box_time;
        let settles = self.begun.is_none_or(|begun| now.saturating_sub(begun) < SETTLING);
        let next = match self.last {
            Some(last) if !settles => {
                let expected = last.at(self.codec, now);
                let off = target.timestamp.wrapping_sub(expected.timestamp).cast_signed();
                let passed = self.codec.ticks(now.saturating_sub(last.box_time));
                let most = i32::try_from(passed / PACE).unwrap_or(i32::MAX);
                let jumps = off.unsigned_abs() > self.codec.ticks(JUMP);
                let step = if jumps { off } else { off.clamp(-most, most) };
                Pair { timestamp: expected.timestamp.wrapping_add_signed(step), ..expected }
            }
            _ => target,
        };
        *self.last.insert(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::playout::signed;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// A picture of 25 frames a second that takes `way` to the box, from and to seconds.
    fn send(base: &mut Base, from: u64, to: u64, way: Duration) {
        for n in from * 25..to * 25 {
            let made = ms(40 * n);
            base.arrived(made + way, Medium::Picture, Codec::Vp8.ticks(made));
        }
    }

    /// How much later than it was made a picture is due, in milliseconds, by the pair at `at`.
    fn due(base: &mut Base, at: Duration) -> f64 {
        let pair = base.pair(at, Medium::Picture).unwrap();
        let made = Codec::Vp8.span(pair.timestamp);
        signed(at, made) * 1e3
    }

    #[test]
    fn a_first_keyframe_does_not_hold_the_base_back() {
        let mut base = Base::new(Some(Codec::Vp8), false);
        assert_eq!(base.pair(ms(0), Medium::Picture), None);
        base.arrived(ms(90), Medium::Picture, 0);
        assert!((due(&mut base, ms(100)) - 90.0).abs() < 0.1);
        base.arrived(ms(140), Medium::Picture, Codec::Vp8.ticks(ms(120)));
        assert!((due(&mut base, ms(200)) - 20.0).abs() < 0.1);
    }

    #[test]
    fn a_faster_way_is_taken_up_by_one_percent() {
        let mut base = Base::new(Some(Codec::Vp8), false);
        send(&mut base, 0, 3, ms(60));
        let mut last = due(&mut base, ms(3_100));
        assert!((last - 60.0).abs() < 0.1);
        send(&mut base, 4, 5, ms(20));
        for tenth in 32..80 {
            let now = due(&mut base, ms(100 * tenth));
            assert!((-0.05..=1.05).contains(&(last - now)), "from {last} to {now} ms");
            last = now;
        }
        assert!((last - 20.0).abs() < 0.1, "{last} ms after five seconds");
    }

    #[test]
    fn a_new_source_begins_anew() {
        let mut base = Base::new(Some(Codec::Vp8), false);
        send(&mut base, 0, 3, ms(20));
        due(&mut base, ms(3_100));
        base.restart();
        send(&mut base, 4, 5, ms(90));
        assert!((due(&mut base, ms(4_900)) - 90.0).abs() < 0.1);
    }

    /// Sound that was made with the picture arrives 30 ms before it, or after it.
    #[test]
    fn sound_goes_with_the_picture_once_reports_say_how() {
        for sound_way in [20, 80] {
            let mut base = Base::new(Some(Codec::Vp8), true);
            send(&mut base, 0, 3, ms(50));
            for n in 0..150 {
                let (made, codec) = (ms(20 * n), Codec::Opus);
                base.arrived(made + ms(sound_way), Medium::Sound, codec.ticks(made) + 777);
            }
            let due = |base: &mut Base, at| {
                base.pair(at, Medium::Picture);
                let pair = base.pair(at, Medium::Sound).unwrap();
                signed(at, Codec::Opus.span(pair.timestamp - 777)) * 1e3
            };
            let own = due(&mut base, ms(3_100));
            assert!((own - f64::from(u32::try_from(sound_way).unwrap())).abs() < 0.1);
            // Both at the publisher's second 7: the picture at 2 s, the sound at 2 s.
            base.reported(Medium::Picture, 7 << 32, 180_000);
            base.reported(Medium::Sound, 7 << 32, 96_777);
            for tenth in 32..80 {
                due(&mut base, ms(100 * tenth));
            }
            let tied = due(&mut base, ms(8_000));
            assert!((tied - 50.0).abs() < 0.1, "{tied} ms");
            // Reports out of a frozen laptop: hours apart.
            base.reported(Medium::Sound, 9_999 << 32, 96_777);
            for tenth in 81..140 {
                due(&mut base, ms(100 * tenth));
            }
            assert!((due(&mut base, ms(14_000)) - own).abs() < 0.1);
        }
    }
}
