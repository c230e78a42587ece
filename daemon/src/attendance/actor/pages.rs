//! Spans of students' own pages: opened and closed as pages come and go and as lessons begin and
//! end.
//!
//! Each coming and going is a write and a word to every teacher's page. So a student whose pages go
//! too often, by a bad network or by a script, is taken to stay for a while and then to have left
//! ([`Leaves`]); up to when they were there is written down all the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use alfarid_protocol::{
    id::{LessonId, SpanId, StudentId},
    time::Timestamp,
};

use super::{Actor, fail};
use crate::{
    attendance::{
        Error,
        pages::{Here, Lessons},
        roll,
        store::heard,
    },
    clock::Reading,
    events::Event,
};

/// The span that is open for a student's pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counted {
    span: SpanId,
    pub(super) lesson: LessonId,
}

/// Who is counted by a page.
pub(super) type CountedBy = BTreeMap<StudentId, Counted>;

/// So often may a student's pages go and be noticed at once: a reload or two, and a walk between
/// two access points.
const FREE_LEAVES: u32 = 4;

/// After that once in so long.
const BETWEEN_LEAVES: Duration = Duration::from_secs(10);

/// How often a student has left, by the monotonic clock.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Leaves {
    forgotten_at: Duration,
}

impl Leaves {
    fn is_noticed(self, now: Duration) -> bool {
        self.forgotten_at <= now + BETWEEN_LEAVES * (FREE_LEAVES - 1)
    }

    fn count(&mut self, now: Duration) {
        self.forgotten_at = self.forgotten_at.max(now) + BETWEEN_LEAVES;
    }
}

impl Actor {
    /// Pages came or went.
    pub(super) async fn notice_pages(&mut self) {
        let here = self.here.borrow_and_update().clone();
        let students = self.taken_to_stay(&here);
        if students != self.followed {
            self.notice(&here, students).await;
        }
    }

    /// Lessons began or ended, or somebody sits elsewhere.
    pub(super) async fn notice_lessons(&mut self) {
        let here = self.here.borrow_and_update().clone();
        let students = self.taken_to_stay(&here);
        self.notice(&here, students).await;
    }

    /// Whoever was taken to stay has left after all.
    pub(super) async fn notice_who_left(&mut self) {
        let left = {
            let here = self.here.borrow();
            self.followed.iter().any(|id| !is_open(&here, *id) && self.is_noticed(*id))
        };
        if left {
            self.notice_pages().await;
        }
    }

    async fn notice(&mut self, here: &Here, students: BTreeSet<StudentId>) {
        if let Err(error) = self.follow(here, students).await {
            fail("students' pages were not counted", &error);
        }
    }

    /// Who has a page open, and who has left too often for it to be noticed now.
    fn taken_to_stay(&self, here: &Here) -> BTreeSet<StudentId> {
        let open = here.keys().copied().filter(|id| is_open(here, *id));
        let stay = self.followed.iter().copied().filter(|id| !self.is_noticed(*id));
        open.chain(stay).collect()
    }

    fn is_noticed(&self, student: StudentId) -> bool {
        let now = self.clock.monotonic();
        self.leaves.get(&student).is_none_or(|leaves| leaves.is_noticed(now))
    }

    /// Opens and closes spans, so that each of `students` is counted in the lesson that is theirs
    /// now, and nobody else. What the disk refuses is tried again when it is next written down that
    /// pages are open, at the latest.
    async fn follow(&mut self, here: &Here, students: BTreeSet<StudentId>) -> Result<(), Error> {
        let lessons = self.lessons_of(students.clone()).await?;
        let still =
            |(id, counted): &(&StudentId, &Counted)| lessons.get(id) == Some(&counted.lesson);
        let (stay, gone): (CountedBy, CountedBy) = self.counted.iter().partition(still);
        let new: Lessons =
            lessons.clone().into_iter().filter(|(id, _)| !stay.contains_key(id)).collect();
        if !gone.is_empty() || !new.is_empty() {
            let now = self.clock.read();
            let closed = last_seen(&gone, here, now);
            let told: BTreeSet<_> =
                gone.values().map(|counted| counted.lesson).chain(new.values().copied()).collect();
            let clock = self.clock.clone();
            let opened = self.write(move |tx| {
                for (span, at) in closed {
                    heard::close_page(tx, span, at)?;
                }
                let open = |(student, lesson)| {
                    let span = heard::open_page(tx, &clock, lesson, student, now.at)?;
                    Ok((student, Counted { span, lesson }))
                };
                new.into_iter().map(open).collect::<Result<CountedBy, _>>()
            });
            let opened = opened.await?;
            self.counted = stay.into_iter().chain(opened).collect();
            for lesson_id in told {
                self.events.tell(Event::PeopleChanged { lesson_id });
            }
        }
        self.pages.tell(lessons);
        let now = self.clock.monotonic();
        for student in self.followed.difference(&students) {
            self.leaves.entry(*student).or_default().count(now);
        }
        self.followed = students;
        Ok(())
    }

    async fn lessons_of(&self, students: BTreeSet<StudentId>) -> Result<Lessons, Error> {
        if students.is_empty() {
            return Ok(Lessons::new());
        }
        self.read(move |c| Ok(roll::lessons_of(c, &students)?)).await
    }

    /// Writes down up to when pages were seen: what a power cut leaves.
    pub(super) async fn touch_pages(&mut self) {
        self.notice_lessons().await;
        let now = self.clock.read();
        let seen = last_seen(&self.counted, &self.here.borrow(), now);
        if seen.is_empty() {
            return;
        }
        let touched = self.write(move |tx| {
            for (span, at) in seen {
                heard::touch_page(tx, span, at)?;
            }
            Ok(())
        });
        if let Err(error) = touched.await {
            fail("open pages were not noted", &error);
        }
    }
}

fn is_open(here: &Here, student: StudentId) -> bool {
    here.get(&student).is_some_and(|open| open.pages > 0)
}

/// Up to when each span's student was there, in box time as it is now.
fn last_seen(counted: &CountedBy, here: &Here, now: Reading) -> Vec<(SpanId, Timestamp)> {
    let seen = |student: &StudentId| {
        let silent = here
            .get(student)
            .map_or(Duration::ZERO, |open| now.monotonic.saturating_sub(open.seen));
        now.at.plus_millis(-i64::try_from(silent.as_millis()).unwrap_or(i64::MAX))
    };
    counted.iter().map(|(student, counted)| (counted.span, seen(student))).collect()
}
