//! The records of a lesson: written when it ends, written anew when something more is heard,
//! corrected by people.

use std::collections::BTreeSet;

use alfarid_protocol::{
    id::{LessonId, StudentId},
    time::Timestamp,
};
use rusqlite::{Connection, Transaction};

use super::{
    Correction, Error, KEPT_DAYS, OwnView, Record, Sheet, Status, Thresholds, access,
    roll::{self, Connected, Line},
    store::{
        heard,
        meeting::{self, Kept},
        record,
    },
};
use crate::{clock::Clock, db::DbError, identity::Person, roster};

/// The meeting of `lesson`.
pub(super) fn meeting(c: &Connection, lesson: LessonId) -> Result<Kept, Error> {
    meeting::meeting(c, lesson)?.ok_or(Error::NoSuchLesson(lesson))
}

/// Ends a lesson and writes its records. Ending it twice changes nothing.
pub(super) fn close(
    tx: &Transaction<'_>,
    clock: &Clock,
    lesson: LessonId,
    ended_at: Timestamp,
    thresholds: Thresholds,
    connected: &Connected,
) -> Result<(), Error> {
    let mut kept = meeting(tx, lesson)?;
    if kept.window.end_at.is_some() {
        return Ok(());
    }
    heard::end_pages(tx, lesson, ended_at)?;
    kept.window.end_at = Some(ended_at);
    let lines = roll::call(tx, &kept, connected)?;
    meeting::close(tx, lesson, ended_at, thresholds)?;
    write(tx, clock, &kept, &lines, thresholds, ended_at)?;
    heard::forget(tx, ended_at.plus_millis(-kept_ms()))?;
    Ok(())
}

/// Works the records of an ended lesson out again. Returns whether any of them is other than
/// before. A lesson of which the marks are forgotten keeps the records it has.
pub(super) fn rewrite(
    tx: &Transaction<'_>,
    clock: &Clock,
    kept: &Kept,
    connected: &Connected,
) -> Result<bool, DbError> {
    let Some(end_at) = kept.window.end_at else { return Ok(false) };
    if is_forgotten(kept, clock.now()) {
        return Ok(false);
    }
    let lines = roll::call(tx, kept, connected)?;
    write(tx, clock, kept, &lines, kept.thresholds.unwrap_or_default(), end_at)
}

/// The ended lessons whose records can still be worked out again.
pub(super) fn remembered(c: &Connection, now: Timestamp) -> Result<Vec<LessonId>, DbError> {
    meeting::ended_since(c, now.plus_millis(-kept_ms()))
}

pub(super) fn is_forgotten(kept: &Kept, now: Timestamp) -> bool {
    now.millis_since(kept.window.start_at) > kept_ms()
}

fn kept_ms() -> i64 {
    i64::from(KEPT_DAYS) * 86_400_000
}

fn write(
    tx: &Transaction<'_>,
    clock: &Clock,
    kept: &Kept,
    lines: &[Line],
    thresholds: Thresholds,
    end_at: Timestamp,
) -> Result<bool, DbError> {
    let before = record::records(tx, kept.lesson)?;
    let mut changed = false;
    for record in records(tx, kept, lines, thresholds, end_at)? {
        if !before.contains(&record) {
            record::write(tx, clock, kept.lesson, &record)?;
            changed = true;
        }
    }
    Ok(changed)
}

/// What people see: of a lesson that runs, worked out for `now`.
pub(super) fn sheet(
    c: &Connection,
    lesson: LessonId,
    by: &Person,
    connected: &Connected,
    thresholds: Thresholds,
    now: Timestamp,
) -> Result<Sheet, Error> {
    let kept = meeting(c, lesson)?;
    access::may_see(c, &kept, by)?;
    let (thresholds, records) = if kept.window.end_at.is_some() {
        (kept.thresholds.unwrap_or(thresholds), record::records(c, lesson)?)
    } else {
        let lines = roll::call(c, &kept, connected)?;
        (thresholds, records(c, &kept, &lines, thresholds, now)?)
    };
    Ok(Sheet { lesson: meeting::view(c, &kept)?, thresholds, records })
}

/// The records that `lines` come to, with what people made of them.
fn records(
    c: &Connection,
    kept: &Kept,
    lines: &[Line],
    thresholds: Thresholds,
    now: Timestamp,
) -> Result<Vec<Record>, DbError> {
    let mut corrections = record::corrections(c, kept.lesson)?;
    let records = lines.iter().map(|line| {
        let correction = corrections.remove(&line.student.id);
        let heard = line.presence.status(kept.window, thresholds);
        Record {
            student_id: line.student.id,
            student_number: line.student.student_id.clone(),
            full_name: line.student.full_name.clone(),
            joined_at: line.presence.joined_at(),
            left_at: line.presence.left_at(),
            duration_seconds: line.presence.millis(now) / 1000,
            status: correction.as_ref().map_or(heard, |correction| correction.status),
            is_corrected: correction.is_some(),
            correction,
            spans: line.presence.spans.clone(),
        }
    });
    Ok(records.collect())
}

/// What a person says a record is.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub lesson: LessonId,
    pub student: StudentId,
    pub status: Status,
    pub why: String,
    pub by: Person,
}

/// Notes a correction beside what the record was, and returns the record as it is now.
pub(super) fn correct(
    tx: &Transaction<'_>,
    clock: &Clock,
    said: &Said,
    connected: &Connected,
    thresholds: Thresholds,
) -> Result<Record, Error> {
    let kept = meeting(tx, said.lesson)?;
    access::may_correct(tx, &kept, &said.by)?;
    let now = clock.now();
    let find = |sheet: Sheet| sheet.records.into_iter().find(|r| r.student_id == said.student);
    let record = find(sheet(tx, said.lesson, &said.by, connected, thresholds, now)?)
        .ok_or(Error::NoSuchStudent(said.student))?;
    let correction = Correction {
        by: said.by.id,
        by_name: said.by.full_name.clone(),
        at: now,
        why: said.why.clone(),
        was: record.status,
        status: said.status,
    };
    record::correct(tx, clock, said.lesson, said.student, &correction)?;
    let record =
        Record { status: said.status, is_corrected: true, correction: Some(correction), ..record };
    if kept.window.end_at.is_some() {
        record::write(tx, clock, said.lesson, &record)?;
    }
    Ok(record)
}

/// What a student sees of themselves. `counted` is the running lesson that their page is counted
/// in, if it is in one: it need not be looked for.
pub(super) fn own(
    c: &Connection,
    student: StudentId,
    counted: Option<LessonId>,
    connected: &Connected,
) -> Result<OwnView, Error> {
    let known = roster::store::student(c, student)?.ok_or(Error::NoSuchStudent(student))?;
    let class = known.class_id.map(|class| roster::store::class(c, class)).transpose()?.flatten();
    let lesson = match counted {
        Some(lesson) => Some(lesson),
        None => roll::lessons_of(c, &BTreeSet::from([student]))?.remove(&student),
    };
    let lesson = match lesson {
        Some(lesson) => {
            let kept = meeting(c, lesson)?;
            let is_here = roll::presence(c, &kept, connected, student)?.is_here();
            Some(meeting::own(c, &kept, is_here)?)
        }
        None => None,
    };
    Ok(OwnView { full_name: known.full_name, class_name: class.map(|class| class.name), lesson })
}

/// Box time was corrected: what was measured by it since `from` moves along.
pub(super) fn shift(tx: &Transaction<'_>, from: Timestamp, moved_ms: i64) -> Result<(), DbError> {
    heard::shift(tx, from, moved_ms)?;
    for lesson in meeting::shift(tx, from, moved_ms)? {
        record::shift(tx, lesson, moved_ms)?;
    }
    Ok(())
}
