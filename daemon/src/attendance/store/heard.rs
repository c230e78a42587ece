//! Marks, clock exchanges and pages, as they were told.

use alfarid_protocol::{
    id::{BootId, LessonId, MachineId, SpanId, StudentId},
    span::Mark,
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use crate::{
    attendance::{
        span::Span,
        state::{Exchange, MachineSpan, integer},
    },
    clock::Clock,
    db::{DbError, column},
};

/// The newest mark of `machine` that is on disk here; `None` for an unknown machine.
pub(in crate::attendance) fn marks_through(
    c: &Connection,
    machine: MachineId,
) -> Result<Option<u64>, DbError> {
    let through: Option<i64> = c
        .prepare_cached("SELECT marks_through FROM machines WHERE id = ?1")?
        .query_row([machine.to_string()], |row| row.get(0))
        .optional()?;
    Ok(through.map(|through| u64::try_from(through).unwrap_or(0)))
}

pub(in crate::attendance) fn set_marks_through(
    tx: &Transaction<'_>,
    machine: MachineId,
    through: u64,
) -> Result<(), DbError> {
    tx.prepare_cached("UPDATE machines SET marks_through = ?2 WHERE id = ?1")?
        .execute(params![machine.to_string(), integer(through)])?;
    Ok(())
}

/// Spans of one machine that are kept at a time: a hundred on each day that they are kept for. Each
/// roll that the machine is on is called from them.
const MOST_SPANS: u32 = 3_000;

/// How many spans more are kept of `machine`.
pub(in crate::attendance) fn room_for_spans(
    c: &Connection,
    machine: MachineId,
) -> Result<u32, DbError> {
    let mut statement =
        c.prepare_cached("SELECT count(*) FROM machine_spans WHERE machine_id = ?1")?;
    let kept: u32 = statement.query_row([machine.to_string()], |row| row.get(0))?;
    Ok(MOST_SPANS.saturating_sub(kept))
}

/// Takes one mark into its span. Returns the span before and after; `None` for a new one when there
/// is no `room` for it, which is then passed over: a machine that names so many means none.
pub(in crate::attendance) fn take(
    tx: &Transaction<'_>,
    machine: MachineId,
    mark: &Mark,
    heard_at: Timestamp,
    room: &mut u32,
) -> Result<Option<(Option<MachineSpan>, MachineSpan)>, DbError> {
    let before = machine_span(tx, machine, mark.span)?;
    if before.is_none() {
        let Some(left) = room.checked_sub(1) else { return Ok(None) };
        *room = left;
    }
    let mut after = before.unwrap_or_else(|| MachineSpan::first(mark));
    after.hear(mark);
    if before != Some(after) {
        tx.prepare_cached(
            "INSERT INTO machine_spans
                (machine_id, id, boot_id, from_ms, until_ms, is_open, last_seq, heard_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (machine_id, id) DO UPDATE
             SET from_ms = ?4, until_ms = ?5, is_open = ?6, last_seq = ?7, heard_at = ?8",
        )?
        .execute(params![
            machine.to_string(),
            after.id.to_string(),
            after.boot.to_string(),
            after.from_ms,
            after.until_ms,
            after.is_open,
            after.last_seq,
            heard_at.0,
        ])?;
    }
    Ok(Some((before, after)))
}

fn machine_span(
    c: &Connection,
    machine: MachineId,
    span: SpanId,
) -> Result<Option<MachineSpan>, DbError> {
    let mut statement = c.prepare_cached(
        "SELECT id, boot_id, from_ms, until_ms, is_open, last_seq
         FROM machine_spans
         WHERE machine_id = ?1 AND id = ?2",
    )?;
    Ok(statement.query_row([machine.to_string(), span.to_string()], read_span).optional()?)
}

/// The span of `machine` that was spoken of last.
pub(in crate::attendance) fn newest_span(
    c: &Connection,
    machine: MachineId,
) -> Result<Option<MachineSpan>, DbError> {
    let mut statement = c.prepare_cached(
        "SELECT id, boot_id, from_ms, until_ms, is_open, last_seq
         FROM machine_spans
         WHERE machine_id = ?1
         ORDER BY last_seq DESC, id DESC
         LIMIT 1",
    )?;
    Ok(statement.query_row([machine.to_string()], read_span).optional()?)
}

/// The spans of `machine` that may reach to `since` or beyond.
pub(in crate::attendance) fn spans_since(
    c: &Connection,
    machine: MachineId,
    since: Timestamp,
) -> Result<Vec<MachineSpan>, DbError> {
    let mut statement = c.prepare_cached(
        "SELECT id, boot_id, from_ms, until_ms, is_open, last_seq
         FROM machine_spans
         WHERE machine_id = ?1 AND heard_at >= ?2",
    )?;
    let spans = statement.query_map(params![machine.to_string(), since.0], read_span)?;
    Ok(spans.collect::<Result<_, _>>()?)
}

fn read_span(row: &Row<'_>) -> rusqlite::Result<MachineSpan> {
    Ok(MachineSpan {
        id: column::id(row, 0)?,
        boot: column::id(row, 1)?,
        from_ms: row.get(2)?,
        until_ms: row.get(3)?,
        is_open: row.get(4)?,
        last_seq: row.get(5)?,
    })
}

pub(in crate::attendance) fn keep_exchange(
    tx: &Transaction<'_>,
    machine: MachineId,
    boot: BootId,
    exchange: Exchange,
) -> Result<(), DbError> {
    tx.prepare_cached(
        "INSERT OR REPLACE INTO machine_clocks (machine_id, boot_id, monotonic_ms, box_time)
         VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute(params![
        machine.to_string(),
        boot.to_string(),
        exchange.monotonic_ms,
        exchange.box_time.0
    ])?;
    Ok(())
}

/// The last exchange with `machine` in `boot`: when it was last heard.
pub(in crate::attendance) fn last_exchange(
    c: &Connection,
    machine: MachineId,
    boot: BootId,
) -> Result<Option<Exchange>, DbError> {
    neighbour(c, machine, boot, "monotonic_ms <= ?3 ORDER BY monotonic_ms DESC", i64::MAX)
}

/// Box time of the last exchange with `machine`, in whatever boot.
pub(in crate::attendance) fn last_heard_at(
    c: &Connection,
    machine: MachineId,
) -> Result<Option<Timestamp>, DbError> {
    let mut statement =
        c.prepare_cached("SELECT max(box_time) FROM machine_clocks WHERE machine_id = ?1")?;
    Ok(statement.query_row([machine.to_string()], |row| column::optional_time(row, 0))?)
}

/// Box time of a moment of `machine`; `None` when clocks were never exchanged in that boot.
pub(in crate::attendance) fn box_time(
    c: &Connection,
    machine: MachineId,
    boot: BootId,
    monotonic_ms: i64,
) -> Result<Option<Timestamp>, DbError> {
    let before =
        neighbour(c, machine, boot, "monotonic_ms <= ?3 ORDER BY monotonic_ms DESC", monotonic_ms)?;
    let after =
        neighbour(c, machine, boot, "monotonic_ms >= ?3 ORDER BY monotonic_ms ASC", monotonic_ms)?;
    Ok(Exchange::convert(before, after, monotonic_ms))
}

fn neighbour(
    c: &Connection,
    machine: MachineId,
    boot: BootId,
    side: &'static str,
    monotonic_ms: i64,
) -> Result<Option<Exchange>, DbError> {
    let sql = format!(
        "SELECT monotonic_ms, box_time
         FROM machine_clocks
         WHERE machine_id = ?1 AND boot_id = ?2 AND {side}
         LIMIT 1"
    );
    let read =
        |row: &Row<'_>| Ok(Exchange { monotonic_ms: row.get(0)?, box_time: column::time(row, 1)? });
    let key = params![machine.to_string(), boot.to_string(), monotonic_ms];
    Ok(c.prepare_cached(&sql)?.query_row(key, read).optional()?)
}

/// The pages that students of `lesson` had open; one that still is goes on.
pub(in crate::attendance) fn pages(
    c: &Connection,
    lesson: LessonId,
) -> Result<Vec<(StudentId, Span)>, DbError> {
    let mut statement = c.prepare_cached(
        "SELECT student_id, from_at, CASE is_open WHEN 1 THEN NULL ELSE until_at END
         FROM page_spans
         WHERE lesson_id = ?1",
    )?;
    let pages = statement.query_map([lesson.to_string()], read_page)?;
    Ok(pages.collect::<Result<_, _>>()?)
}

/// The same of one student.
pub(in crate::attendance) fn pages_of(
    c: &Connection,
    lesson: LessonId,
    student: StudentId,
) -> Result<Vec<(StudentId, Span)>, DbError> {
    let mut statement = c.prepare_cached(
        "SELECT student_id, from_at, CASE is_open WHEN 1 THEN NULL ELSE until_at END
         FROM page_spans
         WHERE lesson_id = ?1 AND student_id = ?2",
    )?;
    let pages = statement.query_map([lesson.to_string(), student.to_string()], read_page)?;
    Ok(pages.collect::<Result<_, _>>()?)
}

fn read_page(row: &Row<'_>) -> rusqlite::Result<(StudentId, Span)> {
    let span = Span::new(column::time(row, 1)?, column::optional_time(row, 2)?);
    Ok((column::id(row, 0)?, span))
}

/// Who comes back within so long was never gone: the page was reloaded, the Wi-Fi dropped, the box
/// restarted. It also bounds how many spans one student can make of a lesson.
const AWAY_MS: i64 = 2 * 60_000;

/// A student who has a page open from `now` on. Goes on with the span that has just ended, if one
/// has.
pub(in crate::attendance) fn open_page(
    tx: &Transaction<'_>,
    clock: &Clock,
    lesson: LessonId,
    student: StudentId,
    now: Timestamp,
) -> Result<SpanId, DbError> {
    let (lesson, student) = (lesson.to_string(), student.to_string());
    let mut go_on = tx.prepare_cached(
        "UPDATE page_spans
         SET is_open = 1
         WHERE id = (SELECT id
                     FROM page_spans
                     WHERE lesson_id = ?1 AND student_id = ?2 AND until_at >= ?3
                     ORDER BY until_at DESC
                     LIMIT 1)
         RETURNING id",
    )?;
    let since = now.plus_millis(-AWAY_MS).0;
    let span = go_on.query_row(params![lesson, student, since], |row| column::id(row, 0));
    if let Some(span) = span.optional()? {
        return Ok(span);
    }
    let span: SpanId = clock.id();
    tx.prepare_cached(
        "INSERT INTO page_spans (id, lesson_id, student_id, from_at, until_at, is_open)
         VALUES (?1, ?2, ?3, ?4, ?4, 1)",
    )?
    .execute(params![span.to_string(), lesson, student, now.0])?;
    Ok(span)
}

/// Nothing, if it is closed already.
pub(in crate::attendance) fn close_page(
    tx: &Transaction<'_>,
    span: SpanId,
    seen_at: Timestamp,
) -> Result<(), DbError> {
    tx.prepare_cached(
        "UPDATE page_spans
         SET is_open = 0, until_at = max(until_at, ?2)
         WHERE id = ?1 AND is_open = 1",
    )?
    .execute(params![span.to_string(), seen_at.0])?;
    Ok(())
}

/// Says of a page that it was open up to `seen_at`: what a power cut leaves.
pub(in crate::attendance) fn touch_page(
    tx: &Transaction<'_>,
    span: SpanId,
    seen_at: Timestamp,
) -> Result<(), DbError> {
    tx.prepare_cached(
        "UPDATE page_spans SET until_at = max(until_at, ?2) WHERE id = ?1 AND is_open = 1",
    )?
    .execute(params![span.to_string(), seen_at.0])?;
    Ok(())
}

/// The pages that are open in `lesson` count up to its end and no further.
pub(in crate::attendance) fn end_pages(
    tx: &Transaction<'_>,
    lesson: LessonId,
    end_at: Timestamp,
) -> Result<(), DbError> {
    tx.prepare_cached(
        "UPDATE page_spans
         SET is_open = 0, until_at = max(until_at, ?2)
         WHERE lesson_id = ?1 AND is_open = 1",
    )?
    .execute(params![lesson.to_string(), end_at.0])?;
    Ok(())
}

/// A box that starts has no page open, whatever it had when it stopped.
pub(in crate::attendance) fn close_pages(tx: &Transaction<'_>) -> Result<(), DbError> {
    tx.prepare_cached("UPDATE page_spans SET is_open = 0 WHERE is_open = 1")?.execute([])?;
    Ok(())
}

/// Forgets what machines told before `before`.
pub(in crate::attendance) fn forget(
    tx: &Transaction<'_>,
    before: Timestamp,
) -> Result<(), DbError> {
    tx.prepare_cached("DELETE FROM machine_spans WHERE heard_at < ?1")?.execute([before.0])?;
    tx.prepare_cached("DELETE FROM machine_clocks WHERE box_time < ?1")?.execute([before.0])?;
    Ok(())
}

/// Moves what was measured by the box's clock since `from`.
pub(in crate::attendance) fn shift(
    tx: &Transaction<'_>,
    from: Timestamp,
    moved_ms: i64,
) -> Result<(), DbError> {
    tx.prepare_cached("UPDATE machine_clocks SET box_time = box_time + ?2 WHERE box_time >= ?1")?
        .execute([from.0, moved_ms])?;
    tx.prepare_cached("UPDATE machine_spans SET heard_at = heard_at + ?2 WHERE heard_at >= ?1")?
        .execute([from.0, moved_ms])?;
    Ok(())
}
