//! Bytes into rows of cells, whatever program wrote them.
//!
//! What Excel in a Russian school calls CSV is Windows-1251 with semicolons; everything else is
//! UTF-8 with or without a byte order mark. XLSX is told by its first bytes, never by a name.

use std::io::Cursor;

use calamine::{DataRef, Reader, Xlsx};
use csv::ReaderBuilder;
use encoding_rs::WINDOWS_1251;
use serde::Serialize;
use utoipa::ToSchema;

use super::FileError;

/// A class's list has some kilobytes; a whole school's stays under this.
pub const MAX_BYTES: usize = 2 * 1024 * 1024;
pub(super) const MAX_ROWS: usize = 2000;
const MAX_COLUMNS: usize = 50;

/// An XLSX is a ZIP: what it says of itself that it unpacks to.
const MAX_UNPACKED: u64 = 64 * 1024 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub enum Encoding {
    #[serde(rename = "utf-8")]
    Utf8,
    #[serde(rename = "windows-1251")]
    Windows1251,
    #[serde(rename = "xlsx")]
    Xlsx,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub enum Delimiter {
    #[serde(rename = ",")]
    Comma,
    #[serde(rename = ";")]
    Semicolon,
}

impl Delimiter {
    pub(in crate::roster) fn byte(self) -> u8 {
        match self {
            Self::Comma => b',',
            Self::Semicolon => b';',
        }
    }
}

#[derive(Debug)]
pub(super) struct Table {
    pub(super) encoding: Encoding,
    pub(super) delimiter: Option<Delimiter>,
    /// Without empty ones.
    pub(super) rows: Vec<Row>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// As the file's own program counts, from 1.
    pub(super) line: u32,
    pub(super) cells: Vec<Cell>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    Text(String),
    /// A date or an error: what the school's own text was cannot be known.
    Unreadable,
}

impl Cell {
    fn is_blank(&self) -> bool {
        matches!(self, Self::Text(text) if text.trim().is_empty())
    }
}

pub(super) fn read(file: &[u8]) -> Result<Table, FileError> {
    const ZIP: &[u8] = b"PK\x03\x04";
    const OLE: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";
    if file.len() > MAX_BYTES {
        return Err(FileError::TooLarge);
    }
    if file.starts_with(OLE) {
        return Err(FileError::OldExcel);
    }
    let (mut rows, encoding, delimiter) = if file.starts_with(ZIP) {
        (xlsx(file)?, Encoding::Xlsx, None)
    } else {
        let (text, encoding) = decode(file)?;
        let delimiter = delimiter(&text);
        (csv(&text, delimiter)?, encoding, Some(delimiter))
    };
    rows.retain(|row| !row.cells.iter().all(Cell::is_blank));
    if rows.is_empty() {
        return Err(FileError::Empty);
    }
    Ok(Table { encoding, delimiter, rows })
}

fn decode(file: &[u8]) -> Result<(String, Encoding), FileError> {
    const BOM: &[u8] = b"\xef\xbb\xbf";
    if file.starts_with(b"\xff\xfe") || file.starts_with(b"\xfe\xff") {
        return Err(FileError::Utf16);
    }
    if file.contains(&0) {
        // In UTF-16 without its mark they are the high bytes of ASCII: every other byte or none.
        let zeros = || file.iter().enumerate().filter(|(_, byte)| **byte == 0).map(|(at, _)| at);
        let is_utf16 = zeros().all(|at| at % 2 == 0) || zeros().all(|at| at % 2 == 1);
        return Err(if is_utf16 { FileError::Utf16 } else { FileError::NotATable });
    }
    let file = file.strip_prefix(BOM).unwrap_or(file);
    if let Ok(text) = std::str::from_utf8(file) {
        return Ok((text.to_owned(), Encoding::Utf8));
    }
    let (text, _) = WINDOWS_1251.decode_without_bom_handling(file);
    // Every byte means something in Windows-1251; in an image or an archive some mean control.
    let is_control = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    if text.contains(is_control) {
        return Err(FileError::NotATable);
    }
    Ok((text.into_owned(), Encoding::Windows1251))
}

/// The one that cuts more of the first lines into columns.
fn delimiter(text: &str) -> Delimiter {
    const LOOK_AT: usize = 20;
    let cuts = |delimiter| {
        let records = reader(text, delimiter).into_records().take(LOOK_AT).flatten();
        let widths: Vec<_> = records.map(|record| record.len()).filter(|n| *n > 1).collect();
        (widths.len(), widths.iter().sum::<usize>())
    };
    let prefers_comma = cuts(Delimiter::Comma) > cuts(Delimiter::Semicolon);
    if prefers_comma { Delimiter::Comma } else { Delimiter::Semicolon }
}

fn reader(text: &str, delimiter: Delimiter) -> csv::Reader<&[u8]> {
    ReaderBuilder::new()
        .delimiter(delimiter.byte())
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes())
}

fn csv(text: &str, delimiter: Delimiter) -> Result<Vec<Row>, FileError> {
    let mut rows = Vec::new();
    let mut place = Place::start(text);
    for record in reader(text, delimiter).into_records() {
        let record = record.map_err(|_| FileError::NotATable)?;
        if rows.len() == MAX_ROWS {
            return Err(FileError::TooManyRows);
        }
        let line = record.position().map_or(0, |position| place.line_at(position.byte()));
        let cells = record.iter().take(MAX_COLUMNS).map(|cell| Cell::Text(cell.to_owned()));
        rows.push(Row { line, cells: cells.collect() });
    }
    Ok(rows)
}

/// Where a reader is in a text. Its own count of lines starts before the empty ones it skips.
struct Place<'a> {
    rest: &'a str,
    byte: usize,
    line: u32,
}

impl<'a> Place<'a> {
    fn start(text: &'a str) -> Self {
        Self { rest: text, byte: 0, line: 1 }
    }

    /// The line of the record that was found at `byte`, which only grows.
    fn line_at(&mut self, byte: u64) -> u32 {
        let passed = usize::try_from(byte).unwrap_or(usize::MAX).saturating_sub(self.byte);
        let blank = |rest: &str| rest.len() - rest.trim_start_matches(['\n', '\r']).len();
        let passed = passed + self.rest.get(passed..).map_or(0, blank);
        let Some((before, rest)) = self.rest.split_at_checked(passed) else { return self.line };
        let lines = u32::try_from(before.matches('\n').count()).unwrap_or(u32::MAX);
        *self = Self { rest, byte: self.byte + passed, line: self.line.saturating_add(lines) };
        self.line
    }
}

/// The first sheet. Cells are taken one by one, so that a sheet that claims a million rows costs
/// no more than the first two thousand.
fn xlsx(file: &[u8]) -> Result<Vec<Row>, FileError> {
    if unpacked_size(file).ok_or(FileError::NotATable)? > MAX_UNPACKED {
        return Err(FileError::TooLarge);
    }
    let mut book = Xlsx::new(Cursor::new(file)).map_err(|_| FileError::NotATable)?;
    let sheet = book.sheet_names().into_iter().next().ok_or(FileError::Empty)?;
    let mut cells = book.worksheet_cells_reader(&sheet).map_err(|_| FileError::NotATable)?;
    let mut rows: Vec<Row> = Vec::new();
    while let Some(cell) = cells.next_cell().map_err(|_| FileError::NotATable)? {
        let (row, column) = cell.get_position();
        let (line, column) = (row.saturating_add(1), column as usize);
        if column >= MAX_COLUMNS || matches!(cell.get_value(), DataRef::Empty) {
            continue;
        }
        if rows.last().is_none_or(|last| last.line != line) {
            if rows.len() == MAX_ROWS {
                return Err(FileError::TooManyRows);
            }
            rows.push(Row { line, cells: Vec::new() });
        }
        if let Some(last) = rows.last_mut() {
            let width = last.cells.len().max(column + 1);
            last.cells.resize(width, Cell::Text(String::new()));
            last.cells[column] = value(cell.get_value());
        }
    }
    Ok(rows)
}

fn value(data: &DataRef<'_>) -> Cell {
    match data {
        DataRef::Empty => Cell::Text(String::new()),
        DataRef::String(text) => Cell::Text(text.clone()),
        DataRef::SharedString(text) => Cell::Text((*text).to_owned()),
        DataRef::Int(number) => Cell::Text(number.to_string()),
        // Shortest text that reads back: 1001.0 is "1001".
        DataRef::Float(number) => Cell::Text(number.to_string()),
        DataRef::Bool(truth) => Cell::Text(truth.to_string()),
        DataRef::DateTime(_)
        | DataRef::DateTimeIso(_)
        | DataRef::DurationIso(_)
        | DataRef::Error(_) => Cell::Unreadable,
    }
}

/// The sum of what the ZIP's directory says its files unpack to; `None` if there is no directory.
/// APPNOTE.TXT §4.3.12, §4.3.16. ZIP64 has all ones there, which is too large in any case.
fn unpacked_size(zip: &[u8]) -> Option<u64> {
    const END: &[u8] = b"PK\x05\x06";
    const ENTRY: &[u8] = b"PK\x01\x02";
    const ENTRY_LENGTH: usize = 46;
    let word = |at: usize| Some(u32::from_le_bytes(*zip.get(at..)?.first_chunk()?));
    let half = |at: usize| Some(u16::from_le_bytes(*zip.get(at..)?.first_chunk()?));
    let end = zip.windows(END.len()).rposition(|window| window == END)?;
    let mut at = usize::try_from(word(end + 16)?).ok()?;
    let mut sum = 0;
    while zip.get(at..)?.starts_with(ENTRY) {
        sum += u64::from(word(at + 24)?);
        let names = [half(at + 28)?, half(at + 30)?, half(at + 32)?];
        at += ENTRY_LENGTH + names.into_iter().map(usize::from).sum::<usize>();
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rust_xlsxwriter::{ExcelDateTime, Format, Workbook};

    use super::*;

    fn texts(table: &Table) -> Vec<(u32, Vec<&str>)> {
        let text = |cell: &Cell| match cell {
            Cell::Text(text) => Box::leak(text.clone().into_boxed_str()) as &str,
            Cell::Unreadable => "?",
        };
        table.rows.iter().map(|row| (row.line, row.cells.iter().map(text).collect())).collect()
    }

    #[test]
    fn what_excel_calls_csv_in_a_russian_school_is_read() {
        let (bytes, _, _) = WINDOWS_1251.encode("Номер;ФИО\r\n101;Ёлкина Анна, 7 Б\r\n");
        let table = read(&bytes).unwrap();
        assert_eq!(table.encoding, Encoding::Windows1251);
        assert_eq!(table.delimiter, Some(Delimiter::Semicolon));
        assert_eq!(texts(&table)[1], (2, vec!["101", "Ёлкина Анна, 7 Б"]));
    }

    #[test]
    fn utf8_is_read_with_and_without_its_mark() {
        for mark in ["", "\u{feff}"] {
            let table = read(format!("{mark}Номер,ФИО\n1,\"А, Б\"\n").as_bytes()).unwrap();
            assert_eq!(table.encoding, Encoding::Utf8);
            assert_eq!(table.delimiter, Some(Delimiter::Comma));
            assert_eq!(texts(&table), [(1, vec!["Номер", "ФИО"]), (2, vec!["1", "А, Б"])]);
        }
    }

    #[test]
    fn lines_are_numbered_as_an_editor_does() {
        let table = read(b"n;name\n\n\r\n1;\"two\nlines\"\n\n2;b\n;;\n3;c").unwrap();
        let lines: Vec<_> = texts(&table).iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 4, 7, 9]);
    }

    #[test]
    fn what_is_no_table_is_named() {
        let utf16: Vec<u8> = "Номер;ФИО".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(matches!(read(&[b"\xff\xfe", &utf16[..]].concat()), Err(FileError::Utf16)));
        let latin: Vec<u8> = "n;name\n1;Anna".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(matches!(read(&latin), Err(FileError::Utf16)));
        let old = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 and more";
        assert!(matches!(read(old), Err(FileError::OldExcel)));
        assert!(matches!(read(b"\x89PNG\r\n\x1a\n\x00\x00"), Err(FileError::NotATable)));
        assert!(matches!(read(b" \n;;\n"), Err(FileError::Empty)));
        assert!(matches!(read(&vec![b'a'; MAX_BYTES + 1]), Err(FileError::TooLarge)));
        assert!(matches!(read(&b"1;a\n".repeat(MAX_ROWS + 1)), Err(FileError::TooManyRows)));
        assert_eq!(read(&b"1;a\n".repeat(MAX_ROWS)).unwrap().rows.len(), MAX_ROWS);
    }

    #[test]
    fn a_sheet_is_read_with_its_own_line_numbers() {
        let mut book = Workbook::new();
        let sheet = book.add_worksheet();
        sheet.write(0, 0, "Номер").unwrap();
        sheet.write(0, 1, "ФИО").unwrap();
        sheet.write(4, 0, 1001).unwrap();
        sheet.write(4, 1, "Ёлкина Анна").unwrap();
        let date = ExcelDateTime::from_ymd(2026, 2, 1).unwrap();
        let format = Format::new().set_num_format("dd.mm");
        sheet.write_with_format(5, 0, &date, &format).unwrap();
        let table = read(&book.save_to_buffer().unwrap()).unwrap();
        assert_eq!((table.encoding, table.delimiter), (Encoding::Xlsx, None));
        let rows = texts(&table);
        assert_eq!(rows[1], (5, vec!["1001", "Ёлкина Анна"]));
        assert_eq!(rows[2], (6, vec!["?"]));
    }

    #[test]
    fn an_archive_that_says_it_unpacks_to_a_lot_is_refused() {
        let mut book = Workbook::new();
        book.add_worksheet().write(0, 0, "x").unwrap();
        let mut bytes = book.save_to_buffer().unwrap();
        let entry = bytes.windows(4).rposition(|w| w == b"PK\x01\x02").unwrap();
        bytes[entry + 24..entry + 28].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(matches!(read(&bytes), Err(FileError::TooLarge)));
    }

    proptest! {
        /// Fails when bytes from anywhere make the reader panic.
        #[test]
        fn bytes_from_anywhere_are_a_table_or_an_error(
            start in prop::sample::select(vec![&b""[..], b"PK\x03\x04", b"\xef\xbb\xbf", b"1;\""]),
            bytes in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let _ = read(&[start, &bytes].concat());
        }
    }
}
