//! The roll of one lesson: everybody's presence, worked out from what is stored.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use alfarid_protocol::{
    id::{BootId, LessonId, MachineId, StudentId},
    time::Timestamp,
};
use rusqlite::Connection;

use super::{
    PersonState, PersonView,
    span::Span,
    state::{MachineSpan, Presence, Seating},
    store::{
        heard,
        meeting::{self, Kept},
        seat::{self, Seat},
    },
};
use crate::{db::DbError, roster::Student};

/// Machines that are connected, and the boot they are in.
pub(super) type Connected = BTreeMap<MachineId, BootId>;

/// One student's line.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub student: Student,
    pub presence: Presence,
}

/// Everybody's presence in the meeting, by name.
pub(super) fn call(
    c: &Connection,
    kept: &Kept,
    connected: &Connected,
) -> Result<Vec<Line>, DbError> {
    let seats = seat::seats(c, kept.lesson)?;
    call_at(c, kept, connected, &seats)
}

/// One student's presence in the meeting, worked out from what is theirs alone: a class in which
/// everybody asks for their own costs what one roll does.
pub(super) fn presence(
    c: &Connection,
    kept: &Kept,
    connected: &Connected,
    student: StudentId,
) -> Result<Presence, DbError> {
    let seats = seat::seats_of(c, kept.lesson, student)?;
    let pages = heard::pages_of(c, kept.lesson, student)?;
    Ok(Told::by(c, kept, connected, &seats, pages)?.presence(kept, student))
}

fn call_at(
    c: &Connection,
    kept: &Kept,
    connected: &Connected,
    seats: &[Seat],
) -> Result<Vec<Line>, DbError> {
    let told = Told::by(c, kept, connected, seats, heard::pages(c, kept.lesson)?)?;
    let line = |student: Student| {
        let presence = told.presence(kept, student.id);
        Line { student, presence }
    };
    Ok(meeting::students(c, kept)?.into_iter().map(line).collect())
}

/// What presence is worked out from.
struct Told {
    seatings: Vec<Seating>,
    used: BTreeMap<MachineId, Vec<Span>>,
    pages: Vec<(StudentId, Span)>,
}

impl Told {
    fn by(
        c: &Connection,
        kept: &Kept,
        connected: &Connected,
        seats: &[Seat],
        pages: Vec<(StudentId, Span)>,
    ) -> Result<Self, DbError> {
        let seatings: Vec<_> = seats.iter().map(|seat| seat.seating).collect();
        let mut used = BTreeMap::new();
        for machine in seatings.iter().map(|seating| seating.machine) {
            if let Entry::Vacant(entry) = used.entry(machine) {
                let boot = connected.get(&machine).copied();
                entry.insert(use_of(c, machine, kept.window.start_at, boot)?);
            }
        }
        Ok(Self { seatings, used, pages })
    }

    fn presence(&self, kept: &Kept, student: StudentId) -> Presence {
        Presence::of(
            student,
            kept.window,
            &self.seatings,
            |machine| self.used.get(&machine).cloned().unwrap_or_default(),
            self.pages.iter().filter(|(id, _)| *id == student).map(|(_, span)| *span),
        )
    }
}

/// The live view: who is here, and why not.
pub(super) fn people(
    c: &Connection,
    kept: &Kept,
    connected: &Connected,
) -> Result<Vec<PersonView>, DbError> {
    let seats = seat::seats(c, kept.lesson)?;
    let lines = call_at(c, kept, connected, &seats)?;
    let mut people = Vec::with_capacity(lines.len());
    for Line { student, presence } in lines {
        let seat = seats.iter().find(|s| s.seating.student == student.id && s.is_current());
        let machine = seat.map(|seat| seat.seating.machine);
        let is_off = machine.is_some_and(|machine| !connected.contains_key(&machine));
        let (state, since_at) = if presence.is_here() {
            (PersonState::Present, presence.spans.last().map(|span| span.from_at))
        } else if let Some(machine) = machine.filter(|_| is_off) {
            let last_heard = heard::last_heard_at(c, machine)?;
            (PersonState::MachineOff, last_heard.filter(|at| *at >= kept.window.start_at))
        } else if presence.joined_at().is_some() {
            (PersonState::Left, presence.left_at())
        } else {
            (PersonState::Absent, None)
        };
        people.push(PersonView {
            student_id: student.id,
            full_name: student.full_name,
            machine_id: machine,
            machine_name: machine.map(|id| seat::machine_name(c, id)).transpose()?.flatten(),
            state,
            present_by: presence.by,
            joined_at: presence.joined_at(),
            since_at,
        });
    }
    Ok(people)
}

/// The running lesson that each of `students` is in: of several the one where they have a seat, or
/// else the newest.
pub(super) fn lessons_of(
    c: &Connection,
    students: &BTreeSet<StudentId>,
) -> Result<BTreeMap<StudentId, LessonId>, DbError> {
    let mut running = meeting::running(c)?;
    running.sort_by_key(|kept| kept.window.start_at);
    // With whether that is where they have a seat.
    let mut found: BTreeMap<StudentId, (LessonId, bool)> = BTreeMap::new();
    for kept in &running {
        let seats = seat::seats(c, kept.lesson)?;
        for student in meeting::students(c, kept)?.iter().map(|student| student.id) {
            let is_theirs = |seat: &Seat| seat.seating.student == student && seat.is_current();
            let is_seated = seats.iter().any(is_theirs);
            let sits_elsewhere = found.get(&student).is_some_and(|(_, is_seated)| *is_seated);
            if students.contains(&student) && (is_seated || !sits_elsewhere) {
                found.insert(student, (kept.lesson, is_seated));
            }
        }
    }
    Ok(found.into_iter().map(|(student, (lesson, _))| (student, lesson)).collect())
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
    // The newest may be open still and have been silent since before.
    if let Some(newest) = newest.filter(|newest| !spans.contains(newest)) {
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
    let is_living = span.is_open && is_newest;
    if is_living && connected == Some(span.boot) {
        return Ok(Some(Span::new(from_at, None)));
    }
    let mut until_ms = span.until_ms;
    if is_living {
        let heard = heard::last_exchange(c, machine, span.boot)?;
        until_ms = heard.map_or(until_ms, |heard| until_ms.max(heard.monotonic_ms));
    }
    let to_at = heard::box_time(c, machine, span.boot, until_ms)?;
    Ok(Some(Span::new(from_at, to_at.unwrap_or(from_at))))
}
