//! Which column is what: by a header in Russian or English, or by its place.
//!
//! The header is looked for in the first lines, since schools put titles above their lists. A
//! file without one has number, name, e-mail in this order.

use serde::Serialize;
use utoipa::ToSchema;

use super::{
    FileError,
    table::{Cell, Row},
};

/// Lines that may stand above the header.
const TITLES: usize = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Column {
    /// The school's own number.
    StudentId,
    FullName,
    LastName,
    FirstName,
    Patronymic,
    Email,
    Ignored,
}

/// Headers as they are written, in small letters and without anything but letters and digits.
const HEADERS: [(Column, &[&str]); 6] = [
    (
        Column::StudentId,
        &[
            "номер",
            "личныйномер",
            "табельныйномер",
            "номерученика",
            "номерстудента",
            "зачетка",
            "номерзачетки",
            "номерзачетнойкнижки",
            "код",
            "id",
            "studentid",
            "number",
            "studentnumber",
            "studentno",
        ],
    ),
    (
        Column::FullName,
        &[
            "фио",
            "фиоученика",
            "фиостудента",
            "фиообучающегося",
            "фамилияимяотчество",
            "фамилияимя",
            "имяифамилия",
            "фамилияиимя",
            "ученик",
            "студент",
            "обучающийся",
            "fullname",
            "name",
            "student",
            "studentname",
        ],
    ),
    (Column::LastName, &["фамилия", "lastname", "surname", "familyname"]),
    (Column::FirstName, &["имя", "firstname", "givenname"]),
    (Column::Patronymic, &["отчество", "patronymic", "middlename"]),
    (
        Column::Email,
        &[
            "почта",
            "электроннаяпочта",
            "адресэлектроннойпочты",
            "эпочта",
            "элпочта",
            "email",
            "emailaddress",
            "mail",
        ],
    ),
];

/// "№" is the school's number only where no other column is: else it counts the lines.
const MAYBE_NUMBER: [&str; 4] = ["", "n", "no", "nn"];

/// What each column is, and the rows below the header.
pub(super) fn recognize(rows: Vec<Row>) -> Result<(Vec<Column>, Vec<Row>), FileError> {
    for (index, row) in rows.iter().take(TITLES).enumerate() {
        let columns = header(row);
        let recognized = columns.iter().filter(|column| **column != Column::Ignored).count();
        if recognized >= 2 {
            check(&columns)?;
            return Ok((columns, rows.into_iter().skip(index + 1).collect()));
        }
    }
    let width = rows.iter().map(|row| row.cells.len()).max().unwrap_or(0);
    let by_place = [Column::StudentId, Column::FullName, Column::Email];
    let rest = std::iter::repeat(Column::Ignored);
    let columns: Vec<_> = by_place.into_iter().chain(rest).take(width).collect();
    check(&columns)?;
    Ok((columns, rows))
}

fn header(row: &Row) -> Vec<Column> {
    let names: Vec<_> = row.cells.iter().map(name).collect();
    let mut columns = vec![Column::Ignored; names.len()];
    for (index, name) in names.iter().enumerate() {
        let found = HEADERS.iter().find(|(_, words)| words.contains(&name.as_str()));
        // A second column of the same kind is somebody else's: a parent's e-mail, say.
        if let Some((column, _)) = found.filter(|(column, _)| !columns.contains(column)) {
            columns[index] = *column;
        }
    }
    if !columns.contains(&Column::StudentId) {
        let is_number_sign = |(cell, name): (&Cell, &String)| {
            MAYBE_NUMBER.contains(&name.as_str())
                && matches!(cell, Cell::Text(text) if !text.trim().is_empty())
        };
        if let Some(index) = row.cells.iter().zip(&names).position(is_number_sign) {
            columns[index] = Column::StudentId;
        }
    }
    columns
}

fn name(cell: &Cell) -> String {
    let Cell::Text(text) = cell else { return String::new() };
    let letters = text.chars().flat_map(char::to_lowercase).filter(|c| c.is_alphanumeric());
    letters.map(|c| if c == 'ё' { 'е' } else { c }).collect()
}

fn check(columns: &[Column]) -> Result<(), FileError> {
    if !columns.contains(&Column::StudentId) {
        return Err(FileError::ColumnMissing { missing: "numbers" });
    }
    let names = [Column::FullName, Column::LastName, Column::FirstName];
    if !names.iter().any(|name| columns.contains(name)) {
        return Err(FileError::ColumnMissing { missing: "names" });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(lines: &[&str]) -> Vec<Row> {
        let row = |(line, text): (u32, &&str)| {
            let cells = text.split(';').map(|cell| Cell::Text(cell.to_owned())).collect();
            Row { line, cells }
        };
        (1..).zip(lines).map(row).collect()
    }

    fn columns(lines: &[&str]) -> (Vec<Column>, usize) {
        let (columns, rest) = recognize(rows(lines)).unwrap();
        (columns, rest.len())
    }

    #[test]
    fn headers_are_recognized_in_russian_and_english_however_they_are_written() {
        use Column::{Email, FirstName, FullName, Ignored, LastName, Patronymic, StudentId};
        let simple = [StudentId, FullName, Email];
        for header in ["Номер;ФИО;Почта", "student_id;Full Name;E-mail", "КОД; Ф.И.О. ;эл. почта"]
        {
            assert_eq!(columns(&[header, "1;a;b"]), (simple.to_vec(), 1), "{header}");
        }
        let split = "№ п/п;Личный номер;Фамилия;Имя;Отчество;Телефон";
        let expected = vec![Ignored, StudentId, LastName, FirstName, Patronymic, Ignored];
        assert_eq!(columns(&[split, "1;2;a;b;c;d"]).0, expected);
    }

    #[test]
    fn a_number_sign_is_the_number_only_where_nothing_else_is() {
        use Column::{FullName, Ignored, StudentId};
        assert_eq!(columns(&["№;ФИО", "1;a"]).0, [StudentId, FullName]);
        assert_eq!(columns(&["№;Номер;ФИО", "1;2;a"]).0, [Ignored, StudentId, FullName]);
    }

    #[test]
    fn titles_above_the_header_are_passed_over() {
        let lines = ["Список класса 7 Б;;", "2026/27;;", "Номер;ФИО;Почта", "1;a;b", "2;c;d"];
        assert_eq!(columns(&lines).1, 2);
    }

    #[test]
    fn without_a_header_the_place_decides_and_no_line_is_lost() {
        use Column::{Email, FullName, Ignored, StudentId};
        let lines = ["101;Ёлкина Анна;a@b.kz;x", "102;Имя Фамилия"];
        assert_eq!(columns(&lines), (vec![StudentId, FullName, Email, Ignored], 2));
    }

    #[test]
    fn a_column_that_is_missing_is_named() {
        let missing = |lines: &[&str]| match recognize(rows(lines)) {
            Err(FileError::ColumnMissing { missing }) => missing,
            other => panic!("{other:?}"),
        };
        assert_eq!(missing(&["ФИО;Почта", "a;b"]), "numbers");
        assert_eq!(missing(&["Номер;Почта", "1;b"]), "names");
        assert_eq!(missing(&["just one column", "and more"]), "names");
    }
}
