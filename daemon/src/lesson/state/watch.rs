//! What happens to a lesson by itself: time passes, students come, the teacher goes, the box is
//! restarted, its clock is put right.

use std::time::Duration;

use alfarid_protocol::{id::LessonId, time::Timestamp};
use serde_json::json;

use super::{Effect, EventKind, Found, Held, State, hold::quality_data, log, millis, save};
use crate::{
    broadcast::SourceKind,
    clock::Reading,
    lesson::{Lesson, Profile, Status, command::Publication},
};

/// So long must the number of students ask for another profile before it comes: people come and
/// go by handfuls, and each change costs a keyframe.
const BAND_HOLDS: Duration = Duration::from_mins(1);

/// A teacher who is away for less is not gone: a page is reloaded, the Wi-Fi drops, the box
/// restarts. Matters only for a lesson that runs over.
const AWAY: Duration = Duration::from_mins(2);

/// How often it is written down that a lesson is running.
const SEEN_EVERY: Duration = Duration::from_mins(1);

/// The clock may be put right at any time: somebody looks this often while a lesson runs, and
/// while none does.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const LOOK_EVERY_IDLE: Duration = Duration::from_secs(10);

impl State {
    /// Takes up the lessons that were not over when the box stopped. Nothing of it waits for a
    /// disk: a lesson goes on at once, and what is to be written down of it comes with the next
    /// command.
    pub(in crate::lesson) fn take_up(&mut self, now: Reading, lessons: Vec<Lesson>) -> Vec<Effect> {
        let mut effects = Vec::new();
        for lesson in lessons {
            let mut held = Held::new(lesson);
            let lesson = &held.lesson;
            if lesson.status == Status::Active {
                let until = alone_until(lesson.planned_end_at, lesson.seen_at, self.end_after);
                if now.at < until {
                    effects.push(Effect::Open(Box::new(lesson.clone())));
                    held.found = Some(Found::Running(now.at));
                } else {
                    held.found = Some(Found::Over);
                }
            }
            self.lessons.insert(held.lesson.id, held);
        }
        effects
    }

    /// Writes down what the box found when it came back. A lesson that was to have ended meanwhile
    /// has ended: at its planned end, or where it was last seen running.
    pub(super) fn write_found(&mut self, effects: &mut Vec<Effect>) {
        let mut over = Vec::new();
        for held in self.lessons.values_mut() {
            let lesson = &mut held.lesson;
            match held.found.take() {
                Some(Found::Running(at)) => {
                    let data = json!({ "gap_ms": at.millis_since(lesson.seen_at) });
                    log(effects, lesson.id, at, EventKind::TakenUp, None, Some(data));
                    lesson.seen_at = at;
                    save(effects, lesson);
                }
                Some(Found::Over) => {
                    over.push((lesson.planned_end_at.max(lesson.seen_at), lesson.id));
                }
                None => {}
            }
        }
        for (at, lesson) in over {
            let data = json!({ "by_itself": true, "box_was_off": true });
            self.end(at, lesson, None, Some(data), effects);
        }
    }

    /// Whether anything is to be done at `now`.
    pub(in crate::lesson) fn is_due(&self, now: Reading) -> bool {
        let mut follower = self.follower;
        follower.moved(now).is_some() || self.deadlines(now).any(|due| due <= now.at)
    }

    /// How long nothing is to be done from `now` on, if no command comes.
    pub(in crate::lesson) fn idle_for(&self, now: Reading) -> Duration {
        if self.active().next().is_none() {
            return LOOK_EVERY_IDLE;
        }
        let until_due = self
            .deadlines(now)
            .min()
            .and_then(|due| u64::try_from(due.millis_since(now.at)).ok())
            .map_or(Duration::ZERO, Duration::from_millis);
        until_due.min(LOOK_EVERY)
    }

    fn deadlines(&self, now: Reading) -> impl Iterator<Item = Timestamp> {
        self.lessons.values().filter(|held| held.lesson.status == Status::Active).flat_map(
            move |held| {
                let lesson = &held.lesson;
                let announced = (held.away_since.is_some() && !held.is_announced)
                    .then_some(lesson.planned_end_at);
                let settled = held.band.map(|(_, since)| {
                    let left = (since + BAND_HOLDS).saturating_sub(now.monotonic);
                    now.at.plus_millis(millis(left))
                });
                let seen = lesson.seen_at.plus_millis(millis(SEEN_EVERY));
                let found = held.found.map(|_| now.at);
                [lesson.ends_by_itself_at, announced, settled, Some(seen), found]
                    .into_iter()
                    .flatten()
            },
        )
    }

    /// Box time was corrected: a lesson that was measured by it moves along, so that it lasts as
    /// long as it lasted.
    pub(super) fn follow_clock(&mut self, now: Reading, effects: &mut Vec<Effect>) {
        let Some(moved_ms) = self.follower.moved(now) else { return };
        let from = self.active().map(|lesson| lesson.start_at).fold(self.since, Timestamp::min);
        effects.push(Effect::Shift { from, moved_ms });
        self.since = self.since.plus_millis(moved_ms);
        for held in self.lessons.values_mut() {
            if held.lesson.status == Status::Active {
                held.shift(moved_ms);
                let lesson = &held.lesson;
                if held.is_announced {
                    effects.push(Effect::Announce(lesson.id, lesson.ends_by_itself_at));
                }
                effects.push(Effect::Tell(lesson.id));
            }
        }
        effects.push(Effect::FollowClock);
    }

    /// Whatever is due.
    pub(super) fn look_after(&mut self, now: Reading, effects: &mut Vec<Effect>) {
        let (here, end_after) = (&self.here, self.end_after);
        let mut over = Vec::new();
        for held in self.lessons.values_mut() {
            if held.lesson.status != Status::Active {
                continue;
            }
            let is_here = held.is_published() || here.contains(&held.lesson.teacher_id);
            if is_here {
                held.accompanied(now, effects);
            } else {
                held.alone(now, end_after, effects);
            }
            held.settle(now, effects);
            held.note_seen(now, effects);
            if held.lesson.ends_by_itself_at.is_some_and(|due| due <= now.at) {
                over.push(held.lesson.id);
            }
        }
        for lesson in over {
            self.end(now.at, lesson, None, Some(json!({ "by_itself": true })), effects);
        }
    }

    /// What is on air has changed; what nobody has seen yet is no event.
    pub(super) fn put_on_air(
        &mut self,
        now: Reading,
        lesson: LessonId,
        publications: Vec<Publication>,
        effects: &mut Vec<Effect>,
    ) {
        let Ok(held) = self.running(lesson) else { return };
        let before = std::mem::replace(&mut held.publications, publications);
        let begun = |of: &[Publication]| -> Vec<Publication> {
            of.iter().filter(|one| one.has_begun).cloned().collect()
        };
        let (before, after) = (begun(&before), begun(&held.publications));
        let is_in = |of: &[Publication], id| of.iter().any(|one| one.id == id);
        let ended = before.iter().filter(|one| !is_in(&after, one.id));
        let started = after.iter().filter(|one| !is_in(&before, one.id));
        let lines = ended
            .map(|one| (EventKind::PublicationEnded, one))
            .chain(started.map(|one| (EventKind::PublicationStarted, one)));
        for (kind, one) in lines {
            let data = json!({
                "publication": one.kind,
                "source": one.source,
                "by_stream_key": one.by_stream_key,
            });
            log(effects, lesson, now.at, kind, Some(one.teacher), Some(data));
        }
    }

    pub(super) fn count(
        &mut self,
        now: Reading,
        lesson: LessonId,
        students: u32,
        effects: &mut Vec<Effect>,
    ) {
        let Ok(held) = self.running(lesson) else { return };
        if held.lesson.student_count != students {
            held.lesson.student_count = students;
            save(effects, &held.lesson);
            effects.push(Effect::Tell(lesson));
        }
        let wanted = Profile::of(students);
        let is_wanted = held.lesson.quality_pinned || held.lesson.quality_profile == wanted;
        held.band = match held.band {
            _ if is_wanted => None,
            Some((profile, since)) if profile == wanted => Some((profile, since)),
            _ => Some((wanted, now.monotonic)),
        };
    }
}

impl Held {
    /// Whether somebody sends their screen or their voice. What the box plays by itself needs
    /// nobody there.
    fn is_published(&self) -> bool {
        self.publications.iter().any(|publication| publication.source == SourceKind::Whip)
    }

    /// The teacher is there.
    fn accompanied(&mut self, now: Reading, effects: &mut Vec<Effect>) {
        self.away_since = None;
        if self.lesson.ends_by_itself_at.take().is_none() {
            return;
        }
        save(effects, &self.lesson);
        if std::mem::take(&mut self.is_announced) {
            log(effects, self.lesson.id, now.at, EventKind::EndsByItselfCalledOff, None, None);
            effects.push(Effect::Announce(self.lesson.id, None));
        }
        effects.push(Effect::Tell(self.lesson.id));
    }

    /// Nobody is there who could end it.
    fn alone(&mut self, now: Reading, end_after: Duration, effects: &mut Vec<Effect>) {
        let away_since = *self.away_since.get_or_insert(now.at);
        let due = alone_until(self.lesson.planned_end_at, away_since, end_after);
        if self.lesson.ends_by_itself_at != Some(due) {
            self.lesson.ends_by_itself_at = Some(due);
            if std::mem::take(&mut self.is_announced) {
                effects.push(Effect::Announce(self.lesson.id, None));
            }
            save(effects, &self.lesson);
            effects.push(Effect::Tell(self.lesson.id));
        }
        if !self.is_announced && self.lesson.planned_end_at <= now.at {
            self.is_announced = true;
            // A box that comes back tells by this that it was announced.
            self.lesson.seen_at = now.at;
            save(effects, &self.lesson);
            let data = Some(json!({ "ends_at": due }));
            log(effects, self.lesson.id, now.at, EventKind::EndsByItselfAnnounced, None, data);
            effects.push(Effect::Announce(self.lesson.id, Some(due)));
        }
    }

    /// The number of students has asked for another profile for long enough.
    fn settle(&mut self, now: Reading, effects: &mut Vec<Effect>) {
        let long_enough = |since: Duration| now.monotonic.saturating_sub(since) >= BAND_HOLDS;
        let Some((profile, _)) = self.band.filter(|(_, since)| long_enough(*since)) else { return };
        self.band = None;
        let from = self.lesson.quality_profile;
        self.lesson.quality_profile = profile;
        self.lesson.max_fps = profile.limits().max_fps;
        save(effects, &self.lesson);
        let data = Some(quality_data(from, &self.lesson));
        log(effects, self.lesson.id, now.at, EventKind::QualityChanged, None, data);
        let id = self.lesson.id;
        effects.extend([Effect::Limit(id, profile), Effect::Tell(id)]);
    }

    fn note_seen(&mut self, now: Reading, effects: &mut Vec<Effect>) {
        if now.at.millis_since(self.lesson.seen_at) >= millis(SEEN_EVERY) {
            self.lesson.seen_at = now.at;
            save(effects, &self.lesson);
        }
    }

    fn shift(&mut self, moved_ms: i64) {
        let lesson = &mut self.lesson;
        for at in [&mut lesson.start_at, &mut lesson.planned_end_at, &mut lesson.seen_at] {
            *at = at.plus_millis(moved_ms);
        }
        for at in [&mut lesson.ends_by_itself_at, &mut self.away_since] {
            *at = at.map(|at| at.plus_millis(moved_ms));
        }
        if let Some(Found::Running(at)) = &mut self.found {
            *at = at.plus_millis(moved_ms);
        }
        lesson.clock_was_sure = true;
    }
}

/// Until when a lesson runs that nobody has been with since `away_since`.
fn alone_until(planned_end_at: Timestamp, away_since: Timestamp, end_after: Duration) -> Timestamp {
    planned_end_at.plus_millis(millis(end_after)).max(away_since.plus_millis(millis(AWAY)))
}
