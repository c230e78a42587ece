//! Rows into students, and what is wrong with each that is none.

use std::collections::HashMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::{
    columns::Column,
    table::{Cell, Row},
};
use crate::{
    field::FieldCode,
    roster::{sheet, student::NewStudent},
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) line: u32,
    pub(super) student: NewStudent,
}

/// A line that keeps the file from being imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct BadLine {
    /// As the file's own program counts, from 1.
    pub line: u32,
    pub code: BadLineCode,
    pub detail: String,
}

/// What is wrong with a line as such, or with one of its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum BadLineCode {
    Line(LineCode),
    Field(FieldCode),
}

/// Stable; the pages have words for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LineCode {
    CellUnreadable,
    InOtherClass,
    NameMissing,
    NumberMissing,
    NumberTwice,
}

impl BadLine {
    fn new(line: u32, code: LineCode, detail: impl Into<String>) -> Self {
        Self { line, code: BadLineCode::Line(code), detail: detail.into() }
    }

    pub(super) fn in_other_class(line: u32) -> Self {
        Self::new(line, LineCode::InOtherClass, "a student with this number is in another class")
    }
}

/// Every row is a student or a bad line.
pub(super) fn read(columns: &[Column], rows: Vec<Row>) -> (Vec<Line>, Vec<BadLine>) {
    let mut lines = Vec::new();
    let mut bad_lines = Vec::new();
    let mut seen: HashMap<String, u32> = HashMap::new();
    for row in rows {
        let line = row.line;
        let read = student(columns, &row).and_then(|student| {
            match seen.insert(student.number.clone(), line) {
                None => Ok(Line { line, student }),
                Some(other) => {
                    let detail = format!("line {other} has the same number");
                    Err(BadLine::new(line, LineCode::NumberTwice, detail))
                }
            }
        });
        match read {
            Ok(line) => lines.push(line),
            Err(bad) => bad_lines.push(bad),
        }
    }
    (lines, bad_lines)
}

fn student(columns: &[Column], row: &Row) -> Result<NewStudent, BadLine> {
    let bad = |code, detail: &str| BadLine::new(row.line, code, detail);
    let mut fields: HashMap<Column, String> = HashMap::new();
    for (column, cell) in columns.iter().zip(&row.cells) {
        match cell {
            _ if *column == Column::Ignored => {}
            Cell::Text(text) => {
                fields.insert(*column, sheet::fused(text.trim()).trim().to_owned());
            }
            Cell::Unreadable => {
                let detail = "a cell holds a date or an error; make it text";
                return Err(bad(LineCode::CellUnreadable, detail));
            }
        }
    }
    let field = |column| fields.get(&column).map(String::as_str).filter(|text| !text.is_empty());
    let number = field(Column::StudentId)
        .ok_or_else(|| bad(LineCode::NumberMissing, "the number is missing"))?;
    let parts = [Column::FullName, Column::LastName, Column::FirstName, Column::Patronymic];
    let name: Vec<_> = parts.into_iter().filter_map(field).collect();
    if name.is_empty() {
        return Err(bad(LineCode::NameMissing, "the name is missing"));
    }
    // How people write "none".
    let email = field(Column::Email).filter(|email| !matches!(*email, "-" | "–" | "—"));
    NewStudent::parse(number, &name.join(" "), email).map_err(|invalid| BadLine {
        line: row.line,
        code: BadLineCode::Field(invalid.code),
        detail: invalid.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(line: u32, cells: &[&str]) -> Row {
        Row { line, cells: cells.iter().map(|cell| Cell::Text((*cell).to_owned())).collect() }
    }

    const USUAL: [Column; 3] = [Column::StudentId, Column::FullName, Column::Email];

    #[test]
    fn a_name_in_parts_is_one_name() {
        let columns = [Column::FirstName, Column::LastName, Column::StudentId, Column::Patronymic];
        let (lines, bad) = read(&columns, vec![row(2, &["Анна", " Ёлкина ", "7", ""])]);
        assert_eq!(bad, []);
        assert_eq!(lines[0].student.full_name, "Ёлкина Анна");
    }

    #[test]
    fn every_bad_line_is_told_with_its_number() {
        let rows = vec![
            row(2, &["1", "A", "a@b.kz"]),
            row(3, &["", "B"]),
            row(4, &["2", " "]),
            row(5, &["3", "C", "not an address"]),
            row(6, &["1", "D"]),
            Row { line: 7, cells: vec![Cell::Unreadable, Cell::Text("E".into())] },
            row(8, &["4", &"x".repeat(201)]),
            row(9, &["5", "two\nlines"]),
            row(10, &["6", "F", "-", "and more"]),
        ];
        let (lines, bad) = read(&USUAL, rows);
        let told: Vec<_> = bad.iter().map(|bad| (bad.line, bad.code)).collect();
        let (line, field) = (BadLineCode::Line, BadLineCode::Field);
        assert_eq!(
            told,
            [
                (3, line(LineCode::NumberMissing)),
                (4, line(LineCode::NameMissing)),
                (5, field(FieldCode::EmailMalformed)),
                (6, line(LineCode::NumberTwice)),
                (7, line(LineCode::CellUnreadable)),
                (8, field(FieldCode::TooLong)),
                (9, field(FieldCode::NotOneLine)),
            ]
        );
        assert!(bad[3].detail.contains("line 2"));
        let kept: Vec<_> = lines.iter().map(|line| line.line).collect();
        assert_eq!(kept, [2, 10]);
        assert_eq!(lines[1].student.email, None);
    }
}
