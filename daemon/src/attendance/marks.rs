//! Taking marks: each counts once, and ended lessons that they speak of are written anew.
//!
//! A machine sends a batch, waits for its acknowledgement and then sends what comes after, so a
//! batch that begins beyond the next number means one of two things. Either an older connection's
//! words arrive late: then it is enough to say what is on disk here, and the machine goes back to
//! it. Or the machine has lost what lies between (its disk was damaged): then it comes again with
//! the same first number, and is believed.
//!
//! What one batch may cost is bounded, for others wait behind it: few lessons are written anew with
//! it, and the rest one by one afterwards.

use alfarid_protocol::{
    id::{LessonId, MachineId},
    span::Mark,
    time::Timestamp,
};
use rusqlite::{Connection, Transaction};

use super::{
    ledger,
    roll::Connected,
    span::Span,
    state::MachineSpan,
    store::{heard, meeting},
};
use crate::{clock::Clock, db::DbError};

/// Marks as one message brought them.
#[derive(Debug)]
pub(super) struct Batch {
    pub machine: MachineId,
    pub marks: Vec<Mark>,
    /// First number of the batch of this machine that was refused last.
    pub refused: Option<u64>,
    pub heard_at: Timestamp,
}

/// What came of a batch.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// The newest mark that is on disk.
    pub through: u64,
    /// Marks before the batch are missing; nothing of it was taken.
    pub refused: Option<u64>,
    /// A span was opened or closed.
    pub news: bool,
    /// Ended lessons whose records are other than before.
    pub rewritten: Vec<LessonId>,
    /// Ended lessons whose records have still to be worked out again.
    pub stale: Vec<LessonId>,
}

/// Ended lessons that are written anew with a batch: a day's, the newest ones. A machine that was
/// away for weeks reaches into more of them, and so does one that says nonsense.
const AT_ONCE: usize = 8;

pub(super) fn take(
    tx: &Transaction<'_>,
    clock: &Clock,
    batch: &Batch,
    connected: &Connected,
) -> Result<Taken, DbError> {
    let through = heard::marks_through(tx, batch.machine)?.unwrap_or(0);
    let numbers = batch.marks.iter().map(|mark| mark.seq);
    let (Some(first), Some(last)) = (numbers.clone().min(), numbers.max()) else {
        return Ok(Taken { through, ..Taken::default() });
    };
    if first > through.saturating_add(1) && batch.refused != Some(first) {
        return Ok(Taken { through, refused: Some(first), ..Taken::default() });
    }
    let mut reach = Reach::default();
    let mut news = false;
    let mut room = heard::room_for_spans(tx, batch.machine)?;
    for mark in &batch.marks {
        let newest = heard::newest_span(tx, batch.machine)?;
        let taken = heard::take(tx, batch.machine, mark, batch.heard_at, &mut room)?;
        let Some((before, after)) = taken else { continue };
        news |= before.is_none_or(|before| before.is_open != after.is_open);
        reach.add(tx, batch, newest, before, after)?;
    }
    let through = through.max(last);
    heard::set_marks_through(tx, batch.machine, through)?;
    let (rewritten, stale) = rewrite(tx, clock, batch.machine, reach, connected)?;
    Ok(Taken { through, refused: None, news, rewritten, stale })
}

/// The time about which marks said something new.
#[derive(Clone, Copy, Debug, Default)]
struct Reach(Option<(Timestamp, Timestamp)>);

impl Reach {
    fn add(
        &mut self,
        c: &Connection,
        batch: &Batch,
        newest: Option<MachineSpan>,
        before: Option<MachineSpan>,
        after: MachineSpan,
    ) -> Result<(), DbError> {
        if before == Some(after) {
            return Ok(());
        }
        let known_from = before
            .filter(|before| before.from_ms == after.from_ms)
            .map_or(after.from_ms, |before| before.until_ms);
        self.cover(heard::box_time(c, batch.machine, after.boot, known_from)?);
        self.cover(heard::box_time(c, batch.machine, after.boot, after.until_ms)?);
        // What an open span was taken to last up to now is not known any more: it was closed, or
        // a newer one came and it had been cut off.
        let was_living = newest.filter(|newest| newest.is_open);
        let lives_on = after.is_open && was_living.is_none_or(|living| living.id == after.id);
        if !lives_on {
            if let Some(living) = was_living {
                self.cover(heard::box_time(c, batch.machine, living.boot, living.until_ms)?);
            }
            self.cover(Some(batch.heard_at));
        }
        Ok(())
    }

    fn cover(&mut self, at: Option<Timestamp>) {
        if let Some(at) = at {
            let (from, to) = self.0.unwrap_or((at, at));
            self.0 = Some((from.min(at), to.max(at)));
        }
    }
}

/// Writes the records of ended lessons anew that the marks reach into. Returns those that came out
/// other than before, and those that are left to be looked at.
fn rewrite(
    tx: &Transaction<'_>,
    clock: &Clock,
    machine: MachineId,
    reach: Reach,
    connected: &Connected,
) -> Result<(Vec<LessonId>, Vec<LessonId>), DbError> {
    let Some((from, to)) = reach.0 else { return Ok((Vec::new(), Vec::new())) };
    let mut ended = meeting::ended_at(tx, machine, Span::new(from, to))?;
    let stale = ended.split_off(ended.len().min(AT_ONCE));
    let mut rewritten = Vec::new();
    for kept in ended {
        if ledger::rewrite(tx, clock, &kept, connected)? {
            rewritten.push(kept.lesson);
        }
    }
    Ok((rewritten, stale.into_iter().map(|kept| kept.lesson).collect()))
}
