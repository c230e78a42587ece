//! The marks of this machine on its disk, until the box has them.
//!
//! One line of JSON per mark, appended and flushed before the mark may be sent. When the box has
//! acknowledged all of them, the file is begun anew with one line that remembers the next number
//! and the last mark (its span may still be open).
//!
//! ```text
//! {"begun":{"next_seq":118,"last":{…}}}
//! {"mark":{"seq":118,"span":…,"at":…,"kind":"until"}}
//! ```
//!
//! A power cut may leave half a line at the end: it was never sent, so it is cut off. Numbers only
//! grow, over restarts too.

use std::{
    collections::VecDeque,
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use alfarid_protocol::span::{MARKS_PER_MESSAGE, Mark, MarkKind};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::state::Draft;
use crate::files;

/// Marks kept while no box is in reach: a school year of them. Beyond it checkpoints are left
/// out; the beginning and the end of each span are always written.
const ROOM: usize = 100_000;

/// The largest number that a box can have on disk, where integers are signed. A box that says more
/// is not believed: no number would be left for the next mark.
const LAST_SEQ: u64 = i64::MAX.unsigned_abs();

/// The file is begun anew when everything is acknowledged and it has this many lines.
const COMPACT_AFTER: usize = 64;

#[derive(Debug, Error)]
pub enum JournalError {
    #[error("read the presence journal {path}")]
    Read { path: PathBuf, source: io::Error },
    #[error("write the presence journal {path}")]
    Write { path: PathBuf, source: io::Error },
    #[error("write a mark as JSON")]
    Json(#[source] serde_json::Error),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Begun { next_seq: u64, last: Option<Mark> },
    Mark(Mark),
}

/// The open journal. Its methods block on the disk.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    /// Bytes and lines that are known to be whole.
    length: u64,
    lines: usize,
    next_seq: u64,
    last: Option<Mark>,
    /// Written and not yet acknowledged, in order. At most [`ROOM`] and a few.
    pending: VecDeque<Mark>,
}

impl Journal {
    /// Opens the journal at `path`, or begins one.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let failed = |source| JournalError::Read { path: path.to_owned(), source };
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)
            .map_err(failed)?;
        let mut content = Vec::new();
        file.read_to_end(&mut content).map_err(failed)?;
        let mut journal = Self {
            path: path.to_owned(),
            file,
            length: 0,
            lines: 0,
            next_seq: 1,
            last: None,
            pending: VecDeque::new(),
        };
        journal.read(&content);
        if journal.length < content.len() as u64 {
            tracing::warn!("the end of the presence journal was cut off: it was half written");
            journal.cut().map_err(failed)?;
        }
        Ok(journal)
    }

    fn read(&mut self, content: &[u8]) {
        for line in content.split_inclusive(|&byte| byte == b'\n') {
            let whole = line.last() == Some(&b'\n');
            let Ok(parsed) = serde_json::from_slice(line) else { return };
            if !whole {
                return;
            }
            match parsed {
                Line::Begun { next_seq, last } => {
                    self.next_seq = next_seq;
                    self.last = last;
                }
                Line::Mark(mark) => {
                    self.next_seq = mark.seq.saturating_add(1);
                    self.last = Some(mark);
                    self.pending.push_back(mark);
                }
            }
            self.length += line.len() as u64;
            self.lines += 1;
        }
    }

    /// The newest mark of all, acknowledged or not.
    pub fn last(&self) -> Option<&Mark> {
        self.last.as_ref()
    }

    /// The first marks that the box does not have yet, as many as fit into one message.
    pub fn batch(&self) -> Vec<Mark> {
        self.pending.iter().take(MARKS_PER_MESSAGE).copied().collect()
    }

    /// Numbers `drafts` and writes them down. On an error none of them is there.
    pub fn append(&mut self, drafts: &[Draft]) -> Result<(), JournalError> {
        let full = self.pending.len() >= ROOM;
        let marks: Vec<Mark> = drafts
            .iter()
            .filter(|draft| !(full && draft.kind == MarkKind::Until))
            .zip(self.next_seq..)
            .map(|(draft, seq)| Mark { seq, span: draft.span, at: draft.at, kind: draft.kind })
            .collect();
        let mut text = Vec::new();
        for mark in &marks {
            line(&mut text, &Line::Mark(*mark))?;
        }
        if let Err(source) = self.write(&text) {
            // What was half written must not stand in the way of the next line. Where even this
            // fails, opening the journal cuts it off.
            let _ = self.cut();
            return Err(JournalError::Write { path: self.path.clone(), source });
        }
        self.lines += marks.len();
        if let Some(last) = marks.last() {
            self.next_seq = last.seq.saturating_add(1);
            self.last = Some(*last);
        }
        self.pending.extend(marks);
        Ok(())
    }

    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        self.file.write_all(text)?;
        self.file.sync_data()?;
        self.length += text.len() as u64;
        Ok(())
    }

    fn cut(&mut self) -> io::Result<()> {
        self.file.set_len(self.length)?;
        self.file.sync_data()
    }

    /// The box has everything up to the number `through`.
    pub fn acknowledge(&mut self, through: u64) -> Result<(), JournalError> {
        if through > LAST_SEQ {
            return Ok(());
        }
        while self.pending.front().is_some_and(|mark| mark.seq <= through) {
            self.pending.pop_front();
        }
        if through >= self.next_seq {
            // The box knows more marks than this disk, which was set back: go on after them.
            self.next_seq = through + 1;
            return self.begin_anew();
        }
        if self.pending.is_empty() && self.lines >= COMPACT_AFTER {
            return self.begin_anew();
        }
        Ok(())
    }

    fn begin_anew(&mut self) -> Result<(), JournalError> {
        let mut text = Vec::new();
        line(&mut text, &Line::Begun { next_seq: self.next_seq, last: self.last })?;
        for mark in &self.pending {
            line(&mut text, &Line::Mark(*mark))?;
        }
        let failed = |source| JournalError::Write { path: self.path.clone(), source };
        files::replace(&self.path, &text).map_err(failed)?;
        self.file = OpenOptions::new().append(true).open(&self.path).map_err(failed)?;
        self.length = text.len() as u64;
        self.lines = 1 + self.pending.len();
        Ok(())
    }
}

fn line(text: &mut Vec<u8>, line: &Line) -> Result<(), JournalError> {
    serde_json::to_writer(&mut *text, line).map_err(JournalError::Json)?;
    text.push(b'\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use alfarid_protocol::{id::SpanId, span::Moment};

    use super::*;
    use crate::clock::boot;

    fn draft(n: u64, kind: MarkKind) -> Draft {
        let span = SpanId(uuid::Uuid::from_u128(7));
        Draft { span, at: Moment { boot: boot(1), monotonic_ms: n }, kind }
    }

    fn numbers(journal: &Journal) -> Vec<u64> {
        journal.batch().iter().map(|mark| mark.seq).collect()
    }

    #[test]
    fn what_is_not_acknowledged_is_there_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let mut journal = Journal::open(&path).unwrap();
        journal.append(&[draft(1, MarkKind::Opened), draft(2, MarkKind::Until)]).unwrap();
        journal.append(&[draft(3, MarkKind::Closed)]).unwrap();
        journal.acknowledge(1).unwrap();
        assert_eq!(numbers(&journal), [2, 3]);
        let journal = Journal::open(&path).unwrap();
        assert_eq!(numbers(&journal), [1, 2, 3], "the box applies each once");
        assert_eq!(journal.last().unwrap().kind, MarkKind::Closed);
    }

    #[test]
    fn half_a_line_is_cut_off_wherever_the_power_went() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let mut journal = Journal::open(&path).unwrap();
        journal.append(&[draft(1, MarkKind::Opened)]).unwrap();
        let whole = std::fs::read(&path).unwrap().len();
        journal.append(&[draft(2, MarkKind::Until)]).unwrap();
        let content = std::fs::read(&path).unwrap();
        for cut in whole..content.len() {
            std::fs::write(&path, &content[..cut]).unwrap();
            let mut journal = Journal::open(&path).unwrap();
            assert_eq!(numbers(&journal), [1], "cut at {cut}");
            journal.append(&[draft(3, MarkKind::Closed)]).unwrap();
            assert_eq!(numbers(&Journal::open(&path).unwrap()), [1, 2], "cut at {cut}");
        }
    }

    #[test]
    fn an_acknowledged_journal_begins_anew_and_its_numbers_go_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let mut journal = Journal::open(&path).unwrap();
        for n in 0..200 {
            journal.append(&[draft(n, MarkKind::Until)]).unwrap();
            journal.acknowledge(n + 1).unwrap();
        }
        assert!(std::fs::metadata(&path).unwrap().len() < 20_000);
        let mut journal = Journal::open(&path).unwrap();
        journal.acknowledge(200).unwrap();
        assert_eq!(numbers(&journal), [0; 0]);
        assert_eq!(journal.last().unwrap().at.monotonic_ms, 199);
        journal.append(&[draft(5, MarkKind::Closed)]).unwrap();
        assert_eq!(numbers(&journal), [201]);
    }

    #[test]
    fn an_acknowledgement_of_what_cannot_be_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let mut journal = Journal::open(&path).unwrap();
        journal.append(&[draft(1, MarkKind::Opened)]).unwrap();
        journal.acknowledge(u64::MAX).unwrap();
        journal.append(&[draft(2, MarkKind::Closed)]).unwrap();
        assert_eq!(numbers(&journal), [1, 2]);
    }

    #[test]
    fn a_disk_that_was_set_back_goes_on_after_what_the_box_knows() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let mut journal = Journal::open(&path).unwrap();
        journal.append(&[draft(1, MarkKind::Opened)]).unwrap();
        journal.acknowledge(500).unwrap();
        let mut journal = Journal::open(&path).unwrap();
        journal.append(&[draft(2, MarkKind::Closed)]).unwrap();
        assert_eq!(numbers(&journal), [501]);
    }
}
