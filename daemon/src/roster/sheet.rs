//! Tables for people's own programs: CSV and XLSX, with nothing in them that a program would run.
//!
//! A cell that starts with `=`, `+`, `-`, `@`, tab or carriage return is a formula to a
//! spreadsheet, and a student's name comes from wherever it comes. Such a cell gets an apostrophe
//! before it, which spreadsheets show as text; [`fused`] takes it off again when such a file comes
//! back. XLSX says of every cell that it is text, so there it is written as it is.

use std::borrow::Cow;

use axum::http::HeaderValue;
use rust_xlsxwriter::{Format, Workbook, XlsxError};

use crate::identity::Language;

const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// Columns with their names, and rows of as many cells.
#[derive(Clone, Debug, Default)]
pub struct Sheet {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

impl Sheet {
    /// UTF-8 with the mark by which Excel knows it, and the delimiter that Excel expects where
    /// `language` is spoken.
    pub fn csv(&self, language: Language) -> Result<Vec<u8>, csv::Error> {
        let delimiter = match language {
            Language::Ru => b';',
            Language::En => b',',
        };
        let mut writer = csv::WriterBuilder::new()
            .delimiter(delimiter)
            .terminator(csv::Terminator::CRLF)
            .from_writer("\u{feff}".as_bytes().to_vec());
        for row in std::iter::once(&self.columns).chain(&self.rows) {
            writer.write_record(row.iter().map(|cell| defused(cell).into_owned()))?;
        }
        writer.into_inner().map_err(|error| error.into_error().into())
    }

    /// Every cell as text: a number with leading zeros keeps them.
    pub fn xlsx(&self) -> Result<Vec<u8>, XlsxError> {
        let mut book = Workbook::new();
        let sheet = book.add_worksheet();
        let bold = Format::new().set_bold();
        for (column, name) in (0..).zip(&self.columns) {
            sheet.write_string_with_format(0, column, name, &bold)?;
        }
        for (line, row) in (1..).zip(&self.rows) {
            for (column, cell) in (0..).zip(row) {
                sheet.write_string(line, column, cell)?;
            }
        }
        sheet.set_freeze_panes(1, 0)?.autofit();
        book.save_to_buffer()
    }
}

/// The cell as a spreadsheet must take it for text.
pub fn defused(cell: &str) -> Cow<'_, str> {
    if cell.starts_with(FORMULA) { format!("'{cell}").into() } else { cell.into() }
}

/// A cell of a file that [`defused`] may have written, as it was before.
pub fn fused(cell: &str) -> &str {
    cell.strip_prefix('\'').filter(|rest| rest.starts_with(FORMULA)).unwrap_or(cell)
}

/// The header by which a browser saves a file under `name`, in whatever alphabet (RFC 6266,
/// RFC 8187).
pub fn attachment(name: &str) -> HeaderValue {
    let mut header = "attachment; filename*=UTF-8''".to_owned();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_') {
            header.push(byte.into());
        } else {
            header.push('%');
            header.extend([byte >> 4, byte & 15].map(|digit| {
                char::from_digit(digit.into(), 16).unwrap_or_default().to_ascii_uppercase()
            }));
        }
    }
    HeaderValue::from_str(&header).unwrap_or(HeaderValue::from_static("attachment"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_csv_is_what_excel_opens_by_a_double_click() {
        let sheet = Sheet {
            columns: vec!["Номер".into(), "ФИО".into()],
            rows: vec![vec!["007".into(), "=cmd()".into()], vec!["8".into(), "a;\"b\"".into()]],
        };
        let text = String::from_utf8(sheet.csv(Language::Ru).unwrap()).unwrap();
        assert_eq!(text, "\u{feff}Номер;ФИО\r\n007;'=cmd()\r\n8;\"a;\"\"b\"\"\"\r\n");
        let text = String::from_utf8(sheet.csv(Language::En).unwrap()).unwrap();
        assert!(text.starts_with("\u{feff}Номер,ФИО\r\n"));
    }

    #[test]
    fn a_file_is_saved_under_its_name_in_any_alphabet() {
        assert_eq!(attachment("7 Б.csv"), "attachment; filename*=UTF-8''7%20%D0%91.csv");
        assert_eq!(attachment("a\"\r\nb"), "attachment; filename*=UTF-8''a%22%0D%0Ab");
    }

    proptest! {
        /// Fails when any text in any cell is a formula to a spreadsheet that reads the file.
        #[test]
        fn no_cell_of_a_csv_is_a_formula(
            cells in prop::collection::vec("[=+\\-@\t\r\n';,\" a-яЁ]{0,8}", 1..20),
            language in prop::sample::select(vec![Language::Ru, Language::En]),
        ) {
            let rows = cells.iter().map(|cell| vec!["x".to_owned(), cell.clone()]).collect();
            let sheet = Sheet { columns: vec!["a".into(), "b".into()], rows };
            let file = sheet.csv(language).unwrap();
            let delimiter = if language == Language::Ru { b';' } else { b',' };
            let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(&file[3..]);
            let mut read = Vec::new();
            for record in reader.records() {
                let cell = record.unwrap()[1].to_owned();
                prop_assert!(!cell.starts_with(FORMULA), "{:?}", cell);
                read.push(fused(&cell).to_owned());
            }
            // What is read back is what was written, but for a text that was defused to begin with.
            for (written, read) in cells.iter().zip(&read) {
                prop_assert_eq!(fused(written), read);
            }
        }

        #[test]
        fn defusing_is_undone_and_changes_nothing_else(cell in "\\PC{0,20}") {
            let file = defused(&cell);
            prop_assert!(!file.starts_with(FORMULA));
            if !cell.starts_with('\'') {
                prop_assert_eq!(fused(&file), &cell);
            }
        }
    }
}
