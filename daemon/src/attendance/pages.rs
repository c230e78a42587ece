//! Which students have a page open, and which lesson each of them is counted in: what whoever holds
//! the connections and attendance tell each other.
//!
//! ```text
//!   a connection ── open, heard, dropped ──▶ Pages ──▶ attendance opens and closes spans
//!                ◀── the student's lesson ──
//! ```
//!
//! However many pages a student has open, they are there once: until the last of them is gone, and
//! then up to the last sign of life of any. A connection that dies says nothing, so whoever holds
//! it drops its [`Page`] when it has been silent for too long.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use alfarid_protocol::id::{LessonId, StudentId};
use tokio::sync::watch;

use crate::clock::Clock;

/// A student's pages, by the monotonic clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Open {
    pub pages: usize,
    /// The last sign of life of any.
    pub seen: Duration,
}

/// Who has been here since the box started. An entry stays: as many as a school has students.
pub(super) type Here = HashMap<StudentId, Open>;

/// The running lesson of everybody who has a page open and is counted in one.
pub(super) type Lessons = BTreeMap<StudentId, LessonId>;

/// Cheap to clone; every clone is the same.
#[derive(Clone, Debug)]
pub struct Pages {
    clock: Clock,
    here: watch::Sender<Here>,
    lessons: watch::Sender<Lessons>,
}

impl Pages {
    pub fn new(clock: Clock) -> Self {
        Self { clock, here: watch::Sender::default(), lessons: watch::Sender::default() }
    }

    /// A signed-in student's live page was opened. Dropping it is closing.
    pub fn open(&self, student: StudentId) -> Page {
        let seen = self.clock.monotonic();
        let lessons = self.lessons.subscribe();
        self.here.send_modify(|here| {
            let open = here.entry(student).or_default();
            *open = Open { pages: open.pages + 1, seen };
        });
        Page { pages: self.clone(), student, seen, lessons, lesson: None }
    }

    /// Changes as pages come and go, and not with each sign of life.
    pub(super) fn here(&self) -> watch::Receiver<Here> {
        self.here.subscribe()
    }

    pub(super) fn tell(&self, lessons: Lessons) {
        self.lessons.send_if_modified(|known| {
            let is_news = *known != lessons;
            *known = lessons;
            is_news
        });
    }
}

/// One open page of a student.
#[derive(Debug)]
pub struct Page {
    pages: Pages,
    student: StudentId,
    seen: Duration,
    lessons: watch::Receiver<Lessons>,
    lesson: Option<LessonId>,
}

impl Page {
    /// There was a sign of life.
    pub fn heard(&mut self) {
        let now = self.pages.clock.monotonic();
        self.seen = now;
        self.pages.here.send_if_modified(|here| {
            if let Some(open) = here.get_mut(&self.student) {
                open.seen = now;
            }
            false
        });
    }

    /// Since the last sign of life.
    pub fn silent_for(&self) -> Duration {
        self.pages.clock.monotonic().saturating_sub(self.seen)
    }

    /// The lesson that [`Page::turned`] last said the student is in.
    pub fn lesson(&self) -> Option<LessonId> {
        self.lesson
    }

    /// Resolves when the student is in another lesson than before, or in none any more. Returns the
    /// new one, or the one that it was. Cancel-safe.
    pub async fn turned(&mut self) -> LessonId {
        loop {
            let now = self.lessons.borrow_and_update().get(&self.student).copied();
            let was = std::mem::replace(&mut self.lesson, now);
            if let Some(lesson) = now.or(was).filter(|_| now != was) {
                return lesson;
            }
            if self.lessons.changed().await.is_err() {
                // Attendance is not kept any more: nothing will turn.
                std::future::pending::<()>().await;
            }
        }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.pages.here.send_modify(|here| {
            if let Some(open) = here.get_mut(&self.student) {
                open.pages = open.pages.saturating_sub(1);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use alfarid_protocol::time::Timestamp;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn a_page_hears_of_its_own_lesson_and_of_no_other() {
        let clock = Clock::manual(Timestamp(0));
        let (student, other, lesson): (_, StudentId, _) = (clock.id(), clock.id(), clock.id());
        let pages = Pages::new(clock.clone());
        let mut page = pages.open(student);
        pages.tell(Lessons::from([(other, clock.id())]));
        pages.tell(Lessons::from([(student, lesson)]));
        assert_eq!(page.turned().await, lesson);
        assert_eq!(page.lesson(), Some(lesson));
        pages.tell(Lessons::from([(other, clock.id())]));
        assert_eq!(page.turned().await, lesson);
        assert_eq!(page.lesson(), None);
    }

    #[test]
    fn two_pages_are_one_student_who_was_last_seen_at_the_livelier() {
        let clock = Clock::manual(Timestamp(0));
        let (student, start) = (clock.id(), clock.monotonic());
        let pages = Pages::new(clock.clone());
        let here = || pages.here().borrow()[&student];
        let (dead, mut alive) = (pages.open(student), pages.open(student));
        clock.advance(SECOND * 20);
        alive.heard();
        assert_eq!((dead.silent_for(), alive.silent_for()), (SECOND * 20, Duration::ZERO));
        clock.advance(SECOND * 5);
        drop(dead);
        assert_eq!(here(), Open { pages: 1, seen: start + SECOND * 20 });
        drop(alive);
        assert_eq!(here(), Open { pages: 0, seen: start + SECOND * 20 });
    }

    #[test]
    fn a_sign_of_life_wakes_nobody_and_a_page_that_goes_does() {
        let pages = Pages::new(Clock::manual(Timestamp(0)));
        let mut here = pages.here();
        let mut page = pages.open(pages.clock.id());
        assert!(here.has_changed().unwrap());
        here.mark_unchanged();
        page.heard();
        assert!(!here.has_changed().unwrap());
        drop(page);
        assert!(here.has_changed().unwrap());
    }
}
