//! The roll of one lesson: everybody's presence, worked out from what is stored.

use std::collections::BTreeMap;

use alfarid_protocol::{
    id::{BootId, MachineId},
    time::Timestamp,
};
use rusqlite::{Connection, Transaction};

use super::{
    Record, Thresholds,
    span::Span,
    state::{MachineSpan, Presence},
    store::{
        heard,
        meeting::{self, Kept},
        record,
    },
};
use crate::{clock::Clock, db::DbError, roster::Student};

/// Machines that are connected, and the boot they are in.
pub(super) type Connected = BTreeMap<MachineId, BootId>;

/// One student's line.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub student: Student,
    pub presence: Presence,
}

/// Everybody's presence in `meeting`, by name.
pub(super) fn call(
    c: &Connection,
    meeting: &Kept,
    connected: &Connected,
) -> Result<Vec<Line>, DbError> {
    let seatings = meeting::seatings(c, meeting.lesson)?;
    let pages = heard::pages(c, meeting.lesson)?;
    let mut used = BTreeMap::new();
    for seating in &seatings {
        if !used.contains_key(&seating.machine) {
            let boot = connected.get(&seating.machine).copied();
            let spans = use_of(c, seating.machine, meeting.window.start_at, boot)?;
            used.insert(seating.machine, spans);
        }
    }
    let students = meeting::students(c, meeting)?;
    Ok(students
        .into_iter()
        .map(|student| {
            let presence = Presence::of(
                student.id,
                meeting.window,
                &seatings,
                |machine| used.get(&machine).cloned().unwrap_or_default(),
                pages.iter().filter(|(id, _)| *id == student.id).map(|(_, span)| *span),
            );
            Line { student, presence }
        })
        .collect())
}

/// Writes the records of an ended meeting. Returns whether any of them is other than before.
pub(super) fn write(
    tx: &Transaction<'_>,
    clock: &Clock,
    meeting: &Kept,
    lines: &[Line],
    thresholds: Thresholds,
    end_at: Timestamp,
) -> Result<bool, DbError> {
    let before = record::records(tx, meeting.lesson)?;
    let mut changed = false;
    for line in lines {
        let record = line.record(meeting, thresholds, end_at);
        if !before.contains(&record) {
            record::write(tx, clock, meeting.lesson, &record)?;
            changed = true;
        }
    }
    Ok(changed)
}

impl Line {
    /// The record as it stands at `now`.
    pub(super) fn record(&self, meeting: &Kept, thresholds: Thresholds, now: Timestamp) -> Record {
        Record {
            student_id: self.student.id,
            student_number: self.student.student_id.clone(),
            full_name: self.student.full_name.clone(),
            joined_at: self.presence.joined_at(),
            left_at: self.presence.left_at(),
            duration_seconds: self.presence.millis(now) / 1000,
            status: self.presence.status(meeting.window, thresholds),
            spans: self.presence.spans.clone(),
        }
    }
}

/// When `machine` was in use, in box time, from about `since` on. `boot` is the one it is
/// connected in.
fn use_of(
    c: &Connection,
    machine: MachineId,
    since: Timestamp,
    boot: Option<BootId>,
) -> Result<Vec<Span>, DbError> {
    let newest = heard::newest_span(c, machine)?;
    let mut spans = heard::spans_since(c, machine, since)?;
    // A machine that has been silent since before the lesson may have a span open that began
    // before it too.
    if let Some(newest) = newest
        && !spans.contains(&newest)
    {
        spans.push(newest);
    }
    let mut used = Vec::with_capacity(spans.len());
    for span in spans {
        let is_newest = newest.is_some_and(|newest| newest.id == span.id);
        used.extend(in_box_time(c, machine, span, is_newest, boot)?);
    }
    Ok(used)
}

/// An open span goes on while its machine is connected; of one that is gone it counts up to where
/// it was last heard. Only a machine's newest span can be living: an older one was cut off.
fn in_box_time(
    c: &Connection,
    machine: MachineId,
    span: MachineSpan,
    is_newest: bool,
    connected: Option<BootId>,
) -> Result<Option<Span>, DbError> {
    let Some(from_at) = heard::box_time(c, machine, span.boot, span.from_ms)? else {
        return Ok(None);
    };
    if span.is_open && is_newest && connected == Some(span.boot) {
        return Ok(Some(Span::new(from_at, None)));
    }
    let mut until_ms = span.until_ms;
    if span.is_open && is_newest {
        let heard = heard::last_exchange(c, machine, span.boot)?;
        until_ms = heard.map_or(until_ms, |heard| until_ms.max(heard.monotonic_ms));
    }
    let to_at = heard::box_time(c, machine, span.boot, until_ms)?;
    Ok(Some(Span::new(from_at, to_at.unwrap_or(from_at))))
}
