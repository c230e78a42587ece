//! Which picture is on show at which moment. Pure: time is handed in, and pictures are of any type.
//!
//! ```text
//!   decoded ──▶ waiting for its moment ──▶ newest ──▶ on show
//!                                             └── while frozen or blank: not passed on
//! ```
//!
//! Decoding goes on while the teacher has the picture frozen or blank, so that the present one is
//! there at once afterwards, however still the teacher's screen is.

use std::{collections::VecDeque, time::Duration};

use alfarid_protocol::grant::Picture;

use crate::scene::{Scene, Status};

/// Pictures that wait for their moment. When there are more, the oldest goes on show early: half a
/// second at 30 per second, as far ahead as the agent ever plans. The largest delay takes half of
/// them.
const WAITING: usize = 16;

#[derive(Debug)]
pub(crate) struct Playout<P> {
    status: Status,
    waiting: VecDeque<(Duration, P)>,
    newest: Option<P>,
    on_show: Option<P>,
}

impl<P> Default for Playout<P> {
    fn default() -> Self {
        Self { status: Status::default(), waiting: VecDeque::new(), newest: None, on_show: None }
    }
}

impl<P: Clone> Playout<P> {
    /// Takes in a decoded picture, to be shown at `at` of `CLOCK_MONOTONIC` (or at once, if that
    /// has passed).
    pub(crate) fn push(&mut self, at: Duration, picture: P) {
        if self.waiting.len() >= WAITING
            && let Some((early, _)) = self.waiting.front_mut()
        {
            *early = Duration::ZERO;
        }
        self.waiting.push_back((at, picture));
    }

    /// The next picture whose moment has come and which is to be shown. To be called until it
    /// gives `None`.
    pub(crate) fn next(&mut self, now: Duration) -> Option<P> {
        while self.waiting.front().is_some_and(|(at, _)| *at <= now) {
            let (_, picture) = self.waiting.pop_front()?;
            self.newest = Some(picture.clone());
            if self.is_live() {
                self.on_show = Some(picture.clone());
                return Some(picture);
            }
        }
        None
    }

    /// When the next waiting picture is due.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        self.waiting.front().map(|(at, _)| *at)
    }

    /// Takes in what the agent says. Pictures of another lesson are forgotten.
    pub(crate) fn set_status(&mut self, status: Status) {
        if lesson(&status) != lesson(&self.status) || lesson(&status).is_none() {
            self.waiting.clear();
            self.newest = None;
            self.on_show = None;
        }
        self.status = status;
        if self.is_live() {
            self.on_show = self.newest.clone();
        }
    }

    pub(crate) fn status(&self) -> &Status {
        &self.status
    }

    pub(crate) fn on_show(&self) -> Option<&P> {
        self.on_show.as_ref()
    }

    pub(crate) fn scene(&self) -> Scene {
        Scene::of(&self.status, self.on_show.is_some())
    }

    fn is_live(&self) -> bool {
        matches!(&self.status, Status::Lesson(stage) if stage.picture == Picture::Live)
    }
}

fn lesson(status: &Status) -> Option<alfarid_protocol::id::LessonId> {
    match status {
        Status::Lesson(stage) => Some(stage.lesson),
        Status::Idle(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use alfarid_agent::feed::Idle;
    use alfarid_protocol::{grant::Stage, id::LessonId};

    use super::*;

    const AT_ONCE: Duration = Duration::ZERO;

    fn stage(lesson: u128, picture: Picture) -> Status {
        Status::Lesson(Stage {
            lesson: LessonId(uuid::Uuid::from_u128(lesson)),
            title: String::new(),
            picture,
            recording: false,
            on_air: true,
            ends_by_itself_at: None,
        })
    }

    fn live() -> Playout<u32> {
        let mut playout = Playout::default();
        playout.set_status(stage(1, Picture::Live));
        playout
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn pictures_are_shown_in_order_when_their_moment_comes() {
        let mut playout = live();
        playout.push(ms(20), 1);
        playout.push(ms(40), 2);
        assert_eq!((playout.next(ms(19)), playout.next_due()), (None, Some(ms(20))));
        assert_eq!(playout.next(ms(50)), Some(1));
        assert_eq!(playout.next(ms(50)), Some(2));
        assert_eq!(playout.next(ms(50)), None);
        assert_eq!(playout.on_show(), Some(&2));
    }

    #[test]
    fn what_is_planned_too_far_ahead_goes_on_show_early() {
        let mut playout = live();
        for n in 0..=WAITING {
            playout.push(ms(1000), u32::try_from(n).unwrap());
        }
        assert_eq!(playout.next(ms(1)), Some(0));
        assert_eq!(playout.next(ms(1)), None);
    }

    #[test]
    fn frozen_keeps_its_picture_and_live_goes_on_with_the_newest() {
        let mut playout = live();
        playout.push(AT_ONCE, 1);
        playout.next(ms(1));
        playout.set_status(stage(1, Picture::Frozen));
        playout.push(AT_ONCE, 2);
        assert_eq!(playout.next(ms(1)), None);
        assert_eq!(playout.on_show(), Some(&1));
        playout.set_status(stage(1, Picture::Blank));
        playout.set_status(stage(1, Picture::Live));
        assert_eq!(playout.on_show(), Some(&2));
    }

    #[test]
    fn a_picture_does_not_outlive_its_lesson() {
        for next in [stage(2, Picture::Live), Status::Idle(Idle::NoLesson)] {
            let mut playout = live();
            playout.push(AT_ONCE, 1);
            playout.next(ms(1));
            playout.push(ms(9), 2);
            playout.set_status(next);
            assert_eq!(playout.on_show(), None);
            assert_eq!(playout.next(ms(10)), None);
        }
    }
}
