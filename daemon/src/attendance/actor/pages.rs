//! Spans of students' own pages: opened and closed as pages come and go and as lessons begin and
//! end.

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

impl Actor {
    pub(super) async fn notice_pages(&mut self) {
        if let Err(error) = self.follow_pages().await {
            fail("students' pages were not counted", &error);
        }
    }

    /// Opens and closes spans, so that whoever has a page open is counted in the lesson that is
    /// theirs now, and nobody else. What the disk refuses is tried again with the next word of any
    /// page, or when it is next written down that pages are open.
    async fn follow_pages(&mut self) -> Result<(), Error> {
        let here = self.here.borrow_and_update().clone();
        let lessons = self.lessons_of(&here).await?;
        let still =
            |(id, counted): &(&StudentId, &Counted)| lessons.get(id) == Some(&counted.lesson);
        let (stay, gone): (CountedBy, CountedBy) = self.counted.iter().partition(still);
        let new: Lessons =
            lessons.clone().into_iter().filter(|(id, _)| !stay.contains_key(id)).collect();
        if !gone.is_empty() || !new.is_empty() {
            let now = self.clock.read();
            let closed: Vec<_> = gone
                .iter()
                .map(|(student, counted)| (counted.span, last_seen(&here, *student, now)))
                .collect();
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
        Ok(())
    }

    async fn lessons_of(&self, here: &Here) -> Result<Lessons, Error> {
        let open = here.iter().filter(|(_, open)| open.pages > 0);
        let students: BTreeSet<StudentId> = open.map(|(student, _)| *student).collect();
        if students.is_empty() {
            return Ok(Lessons::new());
        }
        self.read(move |c| Ok(roll::lessons_of(c, &students)?)).await
    }

    /// Writes down up to when pages were seen: what a power cut leaves.
    pub(super) async fn touch_pages(&mut self) {
        self.notice_pages().await;
        let now = self.clock.read();
        let here = self.here.borrow().clone();
        let seen: Vec<_> = self
            .counted
            .iter()
            .map(|(student, counted)| (counted.span, last_seen(&here, *student, now)))
            .collect();
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

/// In box time as it is now.
fn last_seen(here: &Here, student: StudentId, now: Reading) -> Timestamp {
    let silent =
        here.get(&student).map_or(Duration::ZERO, |open| now.monotonic.saturating_sub(open.seen));
    now.at.plus_millis(-i64::try_from(silent.as_millis()).unwrap_or(i64::MAX))
}
