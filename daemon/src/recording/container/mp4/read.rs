//! The same boxes read back: only what was written here, anything else is torn.

use std::{
    io::{Read, Seek},
    ops::Range,
};

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::{BOX_HEADER, KEYFRAME, RUN_FLAGS};
use crate::recording::container::{Entry, Torn, read_at};

/// A fragment has at most a few hundred samples, 12 bytes each.
const MAX_MOOF: u64 = 1 << 20;

/// Length of `ftyp` and `moov` together.
pub(in super::super) fn head_bytes(
    file: &mut (impl Read + Seek),
    file_bytes: u64,
) -> Result<u64, Torn> {
    let ftyp = header_at(file, 0, file_bytes)?.expect(*b"ftyp")?;
    let moov = header_at(file, ftyp, file_bytes)?.expect(*b"moov")?;
    Ok(ftyp + moov)
}

pub(in super::super) fn next_fragment(
    timescale: u32,
    file: &mut (impl Read + Seek),
    range: Range<u64>,
) -> Result<(Vec<Entry>, u64), Torn> {
    let moof_bytes = header_at(file, range.start, range.end)?.expect(*b"moof")?;
    if moof_bytes > MAX_MOOF {
        return Err(Torn::Unexpected("a moof of impossible size"));
    }
    let moof = read_at(file, range.start, moof_bytes)?;
    let mdat_bytes = header_at(file, range.start + moof_bytes, range.end)?.expect(*b"mdat")?;
    let entries = read_moof(timescale, &moof)?;
    let length = moof_bytes + mdat_bytes;
    if entries.last().is_none_or(|last| last.range.end as u64 != length) {
        return Err(Torn::Unexpected("samples and data are not the same"));
    }
    Ok((entries, length))
}

pub(in super::super) fn entries(timescale: u32, fragment: &[u8]) -> Result<Vec<Entry>, Torn> {
    let moof_bytes = Header::read(fragment)?.expect(*b"moof")?;
    let moof_bytes = usize::try_from(moof_bytes).map_err(|_| Torn::End)?;
    let entries = read_moof(timescale, fragment.get(..moof_bytes).ok_or(Torn::End)?)?;
    if entries.last().is_none_or(|last| last.range.end != fragment.len()) {
        return Err(Torn::Unexpected("samples and data are not the same"));
    }
    Ok(entries)
}

/// The samples that a `moof` describes; their bytes follow it in the `mdat`.
fn read_moof(timescale: u32, moof: &[u8]) -> Result<Vec<Entry>, Torn> {
    let traf = child(&moof[BOX_HEADER..], *b"traf")?;
    let mut tfdt = child(traf, *b"tfdt")?;
    let mut trun = child(traf, *b"trun")?;
    if tfdt.try_get_u32()? != 1 << 24 || trun.try_get_u32()? != RUN_FLAGS {
        return Err(Torn::Unexpected("a run of another kind"));
    }
    let mut ticks = tfdt.try_get_u64()?;
    let count = trun.try_get_u32()?;
    let mut start = moof.len() + BOX_HEADER;
    if u64::from(trun.try_get_u32()?) != start as u64 {
        return Err(Torn::Unexpected("data somewhere else"));
    }
    let mut entries = Vec::new();
    for _ in 0..count {
        let (duration, size, flags) =
            (trun.try_get_u32()?, trun.try_get_u32()?, trun.try_get_u32()?);
        let next = ticks.checked_add(u64::from(duration)).ok_or(Torn::Unexpected("its time"))?;
        let end = start + size as usize;
        let (time_us, end_us) = (micros(timescale, ticks), micros(timescale, next));
        let duration_us = end_us - time_us;
        let keyframe = flags == KEYFRAME;
        entries.push(Entry { time_us, duration_us, keyframe, range: start..end });
        (ticks, start) = (next, end);
    }
    Ok(entries)
}

/// The decoder configuration of an H.264 file's head (ISO/IEC 14496-15 §5.3.3.1).
pub(in crate::recording) fn configuration(head: &Bytes) -> Result<Bytes, Torn> {
    // What stands before the boxes in each: `stsd` its flags and a count, `avc1` its fixed fields.
    const WAY: [([u8; 4], usize); 8] = [
        (*b"moov", 0),
        (*b"trak", 0),
        (*b"mdia", 0),
        (*b"minf", 0),
        (*b"stbl", 0),
        (*b"stsd", 8),
        (*b"avc1", 78),
        (*b"avcC", 0),
    ];
    let inner = WAY.iter().try_fold(&head[..], |boxes, (kind, skip)| {
        child(boxes, *kind)?.get(*skip..).ok_or(Torn::End)
    })?;
    Ok(head.slice_ref(inner))
}

/// The parameter sets of a configuration as they stand in a stream, behind their lengths.
pub(in crate::recording) fn in_band(configuration: &Bytes) -> Bytes {
    let mut out = BytesMut::new();
    // Only what was written here is read; what is not complete is left out.
    let _ = copy_sets(&configuration[..], &mut out);
    out.freeze()
}

fn copy_sets(mut configuration: &[u8], out: &mut BytesMut) -> Result<(), Torn> {
    configuration = configuration.get(5..).ok_or(Torn::End)?;
    for mask in [0x1f, 0xff] {
        for _ in 0..configuration.try_get_u8()? & mask {
            let length = usize::from(configuration.try_get_u16()?);
            let (set, rest) = configuration.split_at_checked(length).ok_or(Torn::End)?;
            out.put_u32(u32::try_from(length).unwrap_or(0));
            out.put_slice(set);
            configuration = rest;
        }
    }
    Ok(())
}

fn micros(timescale: u32, ticks: u64) -> u64 {
    let micros = u128::from(ticks) * 1_000_000 / u128::from(timescale);
    u64::try_from(micros).unwrap_or(u64::MAX)
}

/// What the first box of this kind holds.
fn child(mut boxes: &[u8], kind: [u8; 4]) -> Result<&[u8], Torn> {
    loop {
        let header = Header::read(boxes)?;
        let size = usize::try_from(header.size).map_err(|_| Torn::End)?;
        let (whole, rest) = boxes.split_at_checked(size).ok_or(Torn::End)?;
        if header.kind == kind {
            return Ok(&whole[BOX_HEADER..]);
        }
        boxes = rest;
    }
}

struct Header {
    size: u64,
    kind: [u8; 4],
}

impl Header {
    fn read(mut bytes: &[u8]) -> Result<Self, Torn> {
        let size = u64::from(bytes.try_get_u32()?);
        let kind = bytes.try_get_u32()?.to_be_bytes();
        if size < BOX_HEADER as u64 {
            return Err(Torn::Unexpected("a box smaller than its header"));
        }
        Ok(Self { size, kind })
    }

    /// Its size, if it is of this kind.
    fn expect(&self, kind: [u8; 4]) -> Result<u64, Torn> {
        if self.kind == kind {
            Ok(self.size)
        } else {
            Err(Torn::Unexpected("a box of another kind"))
        }
    }
}

/// The header of a box that lies whole before `limit`.
fn header_at(file: &mut (impl Read + Seek), offset: u64, limit: u64) -> Result<Header, Torn> {
    let header = Header::read(&read_at(file, offset, BOX_HEADER as u64)?)?;
    if header.size > limit.saturating_sub(offset) { Err(Torn::End) } else { Ok(header) }
}
