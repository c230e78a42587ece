//! The same elements read back: only what was written here, anything else is torn.

use std::{
    io::{Read, Seek},
    ops::Range,
};

use bytes::Buf;

use super::{UNKNOWN_LENGTH, id};
use crate::recording::container::{Entry, Torn, read_at};

/// Bytes of the longest header written here: an id of four and a length of eight.
const MAX_HEADER: u64 = 12;
/// `BlockGroup`s and `Block`s have headers of five bytes; a `Block` begins with four of its own.
const BLOCK_HEADER: usize = 4;

/// Length of everything before the first cluster.
pub(in super::super) fn head_bytes(
    file: &mut (impl Read + Seek),
    file_bytes: u64,
) -> Result<u64, Torn> {
    let ebml = header_at(file, 0, file_bytes)?.expect(id::EBML)?;
    let segment = header_at(file, ebml, file_bytes)?;
    if segment.id != id::SEGMENT || segment.length.is_some() {
        return Err(Torn::Unexpected("no segment without a length"));
    }
    let mut at = ebml + segment.own_bytes as u64;
    for id in [id::INFO, id::TRACKS] {
        at += header_at(file, at, file_bytes)?.expect(id)?;
    }
    Ok(at)
}

/// The frames lie between what describes them, so all of the cluster is read.
pub(in super::super) fn next_fragment(
    file: &mut (impl Read + Seek),
    range: Range<u64>,
) -> Result<(Vec<Entry>, u64), Torn> {
    let length = header_at(file, range.start, range.end)?.expect(id::CLUSTER)?;
    let cluster = read_at(file, range.start, length)?;
    Ok((entries(&cluster)?, length))
}

pub(in super::super) fn entries(fragment: &[u8]) -> Result<Vec<Entry>, Torn> {
    let cluster = Header::read(fragment)?;
    if cluster.expect(id::CLUSTER)? != fragment.len() as u64 {
        return Err(Torn::Unexpected("more or less than one cluster"));
    }
    let mut start_ms = None;
    let mut entries = Vec::new();
    let mut at = cluster.own_bytes;
    while at < fragment.len() {
        let (header, body) = element(fragment, at..fragment.len())?;
        at = body.end;
        match (header.id, start_ms) {
            (id::TIMESTAMP, None) => start_ms = Some(number(&fragment[body])?),
            (id::BLOCK_GROUP, Some(start_ms)) => {
                entries.push(read_group(fragment, body, start_ms)?);
            }
            _ => return Err(Torn::Unexpected("an element of another kind")),
        }
    }
    if entries.is_empty() {
        return Err(Torn::Unexpected("a cluster without frames"));
    }
    Ok(entries)
}

fn read_group(fragment: &[u8], group: Range<usize>, start_ms: u64) -> Result<Entry, Torn> {
    let (mut block, mut duration_ms, mut keyframe) = (None, 0, true);
    let mut at = group.start;
    while at < group.end {
        let (header, body) = element(fragment, at..group.end)?;
        at = body.end;
        match header.id {
            id::BLOCK => block = Some(body),
            id::BLOCK_DURATION => duration_ms = number(&fragment[body])?,
            id::REFERENCE_BLOCK => keyframe = false,
            _ => return Err(Torn::Unexpected("an element of another kind")),
        }
    }
    let block = block.ok_or(Torn::Unexpected("a frame without a block"))?;
    let mut head = fragment.get(block.start + 1..block.end).ok_or(Torn::End)?;
    let relative_ms = i64::from(head.try_get_i16()?);
    let time_ms = start_ms.checked_add_signed(relative_ms).ok_or(Torn::Unexpected("its time"))?;
    let range = block.start + BLOCK_HEADER..block.end;
    if range.start > range.end {
        return Err(Torn::End);
    }
    let micros = |ms: u64| ms.saturating_mul(1_000);
    Ok(Entry { time_us: micros(time_ms), duration_us: micros(duration_ms), keyframe, range })
}

/// The element at the start of `range`, and where its body lies.
fn element(bytes: &[u8], range: Range<usize>) -> Result<(Header, Range<usize>), Torn> {
    let header = Header::read(&bytes[range.clone()])?;
    let length = header.length.and_then(|length| usize::try_from(length).ok()).ok_or(Torn::End)?;
    let start = range.start + header.own_bytes;
    let end = start.checked_add(length).filter(|&end| end <= range.end).ok_or(Torn::End)?;
    Ok((header, start..end))
}

fn number(bytes: &[u8]) -> Result<u64, Torn> {
    if bytes.is_empty() || bytes.len() > 8 {
        return Err(Torn::Unexpected("a number of impossible length"));
    }
    Ok(bytes.iter().fold(0, |value, &byte| value << 8 | u64::from(byte)))
}

struct Header {
    id: u32,
    /// `None`: to the end of the file.
    length: Option<u64>,
    own_bytes: usize,
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Self, Torn> {
        let (id, id_bytes) = variable(bytes, 4)?;
        let (length, length_bytes) = variable(&bytes[id_bytes..], 8)?;
        let marker = 1 << (7 * length_bytes);
        Ok(Self {
            id: u32::try_from(id).unwrap_or(0),
            length: (length != UNKNOWN_LENGTH).then_some(length & (marker - 1)),
            own_bytes: id_bytes + length_bytes,
        })
    }

    /// Its size with this header, if it is the element `id`.
    fn expect(&self, id: u32) -> Result<u64, Torn> {
        match self.length {
            Some(length) if self.id == id => Ok(self.own_bytes as u64 + length),
            _ => Err(Torn::Unexpected("an element of another kind")),
        }
    }
}

/// A number that says its own length (RFC 8794 §4), its marker bit included, and that length.
fn variable(bytes: &[u8], longest: usize) -> Result<(u64, usize), Torn> {
    let first = bytes.first().ok_or(Torn::End)?;
    let length = first.leading_zeros() as usize + 1;
    if length > longest {
        return Err(Torn::Unexpected("a length of impossible length"));
    }
    let whole = bytes.get(..length).ok_or(Torn::End)?;
    Ok((whole.iter().fold(0, |value, &byte| value << 8 | u64::from(byte)), length))
}

/// The header of an element that lies whole before `limit`, or has no length.
fn header_at(file: &mut (impl Read + Seek), offset: u64, limit: u64) -> Result<Header, Torn> {
    let left = limit.saturating_sub(offset);
    let header = Header::read(&read_at(file, offset, MAX_HEADER.min(left))?)?;
    match header.length {
        Some(length) if header.own_bytes as u64 + length > left => Err(Torn::End),
        _ => Ok(header),
    }
}
