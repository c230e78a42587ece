//! A class from a file: CSV or XLSX as schools have them.
//!
//! ```text
//!   bytes ──▶ table ──▶ columns ──▶ students and bad lines ──▶ plan against the roster
//!             encoding,  header       each line by its number    add, update, same
//!             delimiter  or none
//! ```
//!
//! Nothing is half imported: a file with one bad line changes nothing, and what is written is one
//! transaction. A preview is the same plan, not carried out. The parts up to the plan are pure
//! ([`table`], [`columns`], [`lines`]).

mod columns;
mod lines;
mod table;

use alfarid_protocol::id::{ClassId, StudentId};
use rusqlite::Connection;
use serde::Serialize;
use thiserror::Error as ThisError;
use utoipa::ToSchema;

pub use self::{
    columns::Column,
    lines::{BadLine, BadLineCode, LineCode},
    table::{Delimiter, Encoding, MAX_BYTES},
};
use self::{lines::Line, table::Table};
use super::{Class, Error, Handle, Student, class_to_change, store, student::NewStudent};
use crate::identity::{Person, audit};

/// Why a file as a whole cannot be taken.
#[derive(Debug, ThisError)]
pub enum FileError {
    #[error("no column holds the students' {missing}; name the columns in the first line")]
    ColumnMissing { missing: &'static str },
    #[error("the file is empty")]
    Empty,
    #[error("the file is damaged or of a kind that is not known here: give CSV or XLSX")]
    NotATable,
    #[error("this is an old Excel file, or one with a password: save it as .xlsx without one")]
    OldExcel,
    #[error("the file is larger than 2 MB, or than 64 MB unpacked")]
    TooLarge,
    #[error("the file has more than {} lines", table::MAX_ROWS)]
    TooManyRows,
    #[error("the text is in UTF-16: save it as \"CSV UTF-8\"")]
    Utf16,
}

/// What a file would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ImportPreview {
    pub encoding: Encoding,
    /// `null` for XLSX.
    pub delimiter: Option<Delimiter>,
    /// What each column was taken for, from the left.
    pub columns: Vec<Column>,
    pub rows: Vec<PlannedRow>,
    /// With one of these nothing is imported.
    pub bad_lines: Vec<BadLine>,
    pub add: u32,
    pub update: u32,
    pub same: u32,
    /// By how many students the class would be over its limit: then nothing is imported.
    pub too_many: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PlannedRow {
    /// As the file's own program counts, from 1.
    pub line: u32,
    pub student_id: String,
    pub full_name: String,
    pub email: Option<String>,
    pub action: Action,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Add,
    Update,
    Same,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Imported {
    pub added: u32,
    pub updated: u32,
    pub unchanged: u32,
}

impl Handle {
    /// Says what [`Handle::import`] would do, and does nothing.
    pub async fn preview_import(
        &self,
        person: &Person,
        class: ClassId,
        file: Vec<u8>,
    ) -> Result<ImportPreview, Error> {
        let parsed = Parsed::read(file).await?;
        let person = person.clone();
        self.db
            .read(move |c| {
                let into = class_to_change(c, &person, class)?;
                let plan = parsed.plan(c, class)?;
                let too_many = plan.too_many(&into);
                Ok(plan.preview(too_many))
            })
            .await
    }

    /// Adds and updates the students in `file`. Who is in the class and not in the file stays.
    pub async fn import(
        &self,
        person: &Person,
        class: ClassId,
        file: Vec<u8>,
    ) -> Result<Imported, Error> {
        let parsed = Parsed::read(file).await?;
        let (person, clock) = (person.clone(), self.clock.clone());
        let imported = self
            .db
            .write(move |tx| {
                let into = class_to_change(tx, &person, class)?;
                let plan = parsed.plan(tx, class)?;
                if let Some(first) = plan.bad_lines.first() {
                    let (count, first) = (plan.bad_lines.len(), first.line);
                    return Err(Error::ImportHasBadLines { count, first });
                }
                if plan.too_many(&into) > 0 {
                    return Err(Error::ClassFull { max: into.max_students });
                }
                for planned in &plan.rows {
                    if planned.action != Action::Same {
                        let id = planned.known.unwrap_or_else(|| clock.id());
                        store::save_student(tx, &planned.student(id, class), clock.now())?;
                    }
                }
                let imported = plan.imported();
                let entry = audit::Entry::new(person.id, "students_imported", &class)
                    .detail(format!("{} added, {} updated", imported.added, imported.updated));
                audit::write(tx, &clock, &entry)?;
                Ok(imported)
            })
            .await?;
        self.changed(class);
        Ok(imported)
    }
}

/// A file as far as it can be understood without the roster.
struct Parsed {
    encoding: Encoding,
    delimiter: Option<Delimiter>,
    columns: Vec<Column>,
    lines: Vec<Line>,
    bad_lines: Vec<BadLine>,
}

impl Parsed {
    async fn read(file: Vec<u8>) -> Result<Self, Error> {
        let parsed = tokio::task::spawn_blocking(move || Self::parse(&file)).await;
        Ok(parsed.map_err(|_| Error::Stopping)??)
    }

    fn parse(file: &[u8]) -> Result<Self, FileError> {
        let Table { encoding, delimiter, rows } = table::read(file)?;
        let (columns, rows) = columns::recognize(rows)?;
        let (lines, bad_lines) = lines::read(&columns, rows);
        if lines.is_empty() && bad_lines.is_empty() {
            return Err(FileError::Empty);
        }
        Ok(Self { encoding, delimiter, columns, lines, bad_lines })
    }

    fn plan(self, c: &Connection, class: ClassId) -> Result<Plan, Error> {
        let mut plan = Plan {
            encoding: self.encoding,
            delimiter: self.delimiter,
            has_emails: self.columns.contains(&Column::Email),
            columns: self.columns,
            rows: Vec::new(),
            bad_lines: self.bad_lines,
        };
        for line in self.lines {
            let known = store::student_of_number(c, &line.student.number)?;
            plan.add(line, known, class);
        }
        plan.bad_lines.sort_by_key(|bad| bad.line);
        Ok(plan)
    }
}

struct Plan {
    encoding: Encoding,
    delimiter: Option<Delimiter>,
    columns: Vec<Column>,
    has_emails: bool,
    rows: Vec<Planned>,
    bad_lines: Vec<BadLine>,
}

struct Planned {
    line: u32,
    new: NewStudent,
    known: Option<StudentId>,
    action: Action,
}

impl Plan {
    /// Who is active in another class is not taken from it: that class's teacher has a say.
    fn add(&mut self, line: Line, known: Option<Student>, class: ClassId) {
        let Line { line, student: mut new } = line;
        let Some(known) = known else {
            self.rows.push(Planned { line, new, known: None, action: Action::Add });
            return;
        };
        if known.is_active && known.class_id.is_some_and(|other| other != class) {
            self.bad_lines.push(BadLine::in_other_class(line));
            return;
        }
        if !self.has_emails {
            new.email.clone_from(&known.email);
        }
        let is_here = known.is_active && known.class_id == Some(class);
        let is_same = known.full_name == new.full_name && known.email == new.email;
        let action = match (is_here, is_same) {
            (false, _) => Action::Add,
            (true, false) => Action::Update,
            (true, true) => Action::Same,
        };
        self.rows.push(Planned { line, new, known: Some(known.id), action });
    }

    fn count(&self, action: Action) -> u32 {
        let rows = self.rows.iter().filter(|row| row.action == action).count();
        u32::try_from(rows).unwrap_or(u32::MAX)
    }

    fn too_many(&self, into: &Class) -> u32 {
        (into.student_count + self.count(Action::Add)).saturating_sub(into.max_students)
    }

    fn imported(&self) -> Imported {
        Imported {
            added: self.count(Action::Add),
            updated: self.count(Action::Update),
            unchanged: self.count(Action::Same),
        }
    }

    fn preview(self, too_many: u32) -> ImportPreview {
        let Imported { added, updated, unchanged } = self.imported();
        let rows = self.rows.into_iter().map(|planned| PlannedRow {
            line: planned.line,
            student_id: planned.new.number,
            full_name: planned.new.full_name,
            email: planned.new.email,
            action: planned.action,
        });
        ImportPreview {
            encoding: self.encoding,
            delimiter: self.delimiter,
            columns: self.columns,
            rows: rows.collect(),
            bad_lines: self.bad_lines,
            add: added,
            update: updated,
            same: unchanged,
            too_many,
        }
    }
}

impl Planned {
    fn student(&self, id: StudentId, class: ClassId) -> Student {
        Student {
            id,
            student_id: self.new.number.clone(),
            full_name: self.new.full_name.clone(),
            email: self.new.email.clone(),
            class_id: Some(class),
            is_active: true,
        }
    }
}
