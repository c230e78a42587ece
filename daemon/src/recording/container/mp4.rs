//! Fragmented MP4 (ISO/IEC 14496-12) of one track: `ftyp`, `moov`, then `moof` and `mdat` for each
//! fragment. H.264 as `avc1` (14496-15), Opus as `Opus` (the mapping of the Opus authors).

mod read;

use alfarid_stream::Size;
use bytes::BufMut;

pub(in crate::recording) use self::read::{configuration, in_band};
pub(super) use self::read::{entries, head_bytes, next_fragment};
use super::Sample;
use crate::recording::media::Format;

const TRACK: u32 = 1;

/// What encoders run ahead by, in ticks of 48 kHz (libopus with its usual settings): a player
/// leaves out as much at the start.
const OPUS_PRE_SKIP: u16 = 312;
const OPUS_CHANNELS: u8 = 2;
const OPUS_RATE: u32 = 48_000;

/// ISO/IEC 14496-12 §8.8.3.1: depends on no other sample, or on others and is no sync sample.
const KEYFRAME: u32 = 0x0200_0000;
const DELTA_FRAME: u32 = 0x0101_0000;

/// `trun` with a data offset and, for each sample, duration, size and flags.
const RUN_FLAGS: u32 = 0x0000_0701;
/// `tfhd`: offsets count from the `moof`.
const BASE_IS_MOOF: u32 = 0x0002_0000;

/// Bytes of a box before what it holds.
const BOX_HEADER: usize = 8;

pub(super) fn head(timescale: u32, format: &Format) -> Vec<u8> {
    let mut out = Vec::with_capacity(1_024);
    put_box(&mut out, *b"ftyp", |out| {
        out.put_slice(b"iso6");
        out.put_u32(0);
        out.put_slice(b"iso6mp41");
    });
    put_box(&mut out, *b"moov", |out| {
        put_movie_header(out);
        put_box(out, *b"trak", |out| {
            put_track_header(out, format);
            put_box(out, *b"mdia", |out| put_media(out, timescale, format));
        });
        put_box(out, *b"mvex", |out| {
            put_full_box(out, *b"trex", 0, 0, |out| {
                out.put_u32(TRACK);
                out.put_u32(1); // The only sample description.
                out.put_bytes(0, 12); // Duration, size and flags come with each sample.
            });
        });
    });
    out
}

pub(super) fn fragment(timescale: u32, number: u32, samples: &[Sample]) -> Vec<u8> {
    let data_bytes: usize = samples.iter().map(|sample| sample.data.len()).sum();
    let mut out = Vec::with_capacity(data_bytes + 16 * samples.len() + 128);
    let mut offset_at = 0;
    put_box(&mut out, *b"moof", |out| {
        put_full_box(out, *b"mfhd", 0, 0, |out| out.put_u32(number));
        put_box(out, *b"traf", |out| {
            put_full_box(out, *b"tfhd", 0, BASE_IS_MOOF, |out| out.put_u32(TRACK));
            let first_us = samples.first().map_or(0, |sample| sample.time_us);
            put_full_box(out, *b"tfdt", 1, 0, |out| out.put_u64(ticks(timescale, first_us)));
            put_full_box(out, *b"trun", 0, RUN_FLAGS, |out| {
                out.put_u32(saturate(samples.len()));
                offset_at = out.len();
                out.put_u32(0); // The data's offset, known when the moof is whole.
                for sample in samples {
                    put_run_entry(out, timescale, sample);
                }
            });
        });
    });
    let data_offset = saturate(out.len() + BOX_HEADER);
    out[offset_at..offset_at + 4].copy_from_slice(&data_offset.to_be_bytes());
    put_box(&mut out, *b"mdat", |out| {
        for sample in samples {
            out.put_slice(&sample.data);
        }
    });
    out
}

fn put_run_entry(out: &mut Vec<u8>, timescale: u32, sample: &Sample) {
    let end = ticks(timescale, sample.time_us + sample.duration_us);
    let duration = end - ticks(timescale, sample.time_us);
    out.put_u32(u32::try_from(duration).unwrap_or(u32::MAX));
    out.put_u32(saturate(sample.data.len()));
    out.put_u32(if sample.keyframe { KEYFRAME } else { DELTA_FRAME });
}

/// Rounded, so that a sum of durations and the time it stands for never drift apart.
fn ticks(timescale: u32, time_us: u64) -> u64 {
    let ticks = (u128::from(time_us) * u128::from(timescale) + 500_000) / 1_000_000;
    u64::try_from(ticks).unwrap_or(u64::MAX)
}

fn put_movie_header(out: &mut Vec<u8>) {
    put_full_box(out, *b"mvhd", 0, 0, |out| {
        out.put_bytes(0, 8); // No dates: the box's calendar is not to be trusted.
        out.put_u32(1_000);
        out.put_u32(0); // The duration is that of the fragments.
        out.put_u32(0x0001_0000);
        out.put_u16(0x0100);
        out.put_bytes(0, 10);
        put_matrix(out);
        out.put_bytes(0, 24);
        out.put_u32(TRACK + 1);
    });
}

fn put_track_header(out: &mut Vec<u8>, format: &Format) {
    const ENABLED_IN_MOVIE_AND_PREVIEW: u32 = 7;
    put_full_box(out, *b"tkhd", 0, ENABLED_IN_MOVIE_AND_PREVIEW, |out| {
        out.put_bytes(0, 8);
        out.put_u32(TRACK);
        out.put_bytes(0, 4 + 4 + 8 + 2 + 2);
        out.put_u16(if format.size().is_some() { 0 } else { 0x0100 });
        out.put_bytes(0, 2);
        put_matrix(out);
        let Size { width, height } = format.size().unwrap_or(Size { width: 0, height: 0 });
        out.put_u32(width << 16);
        out.put_u32(height << 16);
    });
}

fn put_media(out: &mut Vec<u8>, timescale: u32, format: &Format) {
    put_full_box(out, *b"mdhd", 0, 0, |out| {
        out.put_bytes(0, 8);
        out.put_u32(timescale);
        out.put_u32(0);
        out.put_u16(0x55c4); // Language "und".
        out.put_u16(0);
    });
    let is_video = format.size().is_some();
    put_full_box(out, *b"hdlr", 0, 0, |out| {
        out.put_u32(0);
        out.put_slice(if is_video { b"vide" } else { b"soun" });
        out.put_bytes(0, 12);
        out.put_slice(b"Alfarid\0");
    });
    put_box(out, *b"minf", |out| {
        if is_video {
            put_full_box(out, *b"vmhd", 0, 1, |out| out.put_bytes(0, 8));
        } else {
            put_full_box(out, *b"smhd", 0, 0, |out| out.put_bytes(0, 4));
        }
        put_box(out, *b"dinf", |out| {
            put_full_box(out, *b"dref", 0, 0, |out| {
                out.put_u32(1);
                put_full_box(out, *b"url ", 0, 1, |_| {}); // In this very file.
            });
        });
        put_box(out, *b"stbl", |out| {
            put_full_box(out, *b"stsd", 0, 0, |out| {
                out.put_u32(1);
                put_sample_entry(out, format);
            });
            // No samples here: they are all in fragments.
            put_full_box(out, *b"stts", 0, 0, |out| out.put_u32(0));
            put_full_box(out, *b"stsc", 0, 0, |out| out.put_u32(0));
            put_full_box(out, *b"stsz", 0, 0, |out| out.put_bytes(0, 8));
            put_full_box(out, *b"stco", 0, 0, |out| out.put_u32(0));
        });
    });
}

fn put_sample_entry(out: &mut Vec<u8>, format: &Format) {
    match format {
        Format::H264 { size, sets } => put_box(out, *b"avc1", |out| {
            put_visual_entry(out, *size);
            put_box(out, *b"avcC", |out| put_avc_configuration(out, sets.sps(), sets.pps()));
        }),
        Format::Opus => put_box(out, *b"Opus", put_opus_entry),
        // Nobody asks for it: VP8 goes into WebM.
        Format::Vp8 { size } => put_box(out, *b"vp08", |out| put_visual_entry(out, *size)),
    }
}

fn put_visual_entry(out: &mut Vec<u8>, size: Size) {
    out.put_bytes(0, 6);
    out.put_u16(1); // The only data reference.
    out.put_bytes(0, 16);
    out.put_u16(u16::try_from(size.width).unwrap_or(u16::MAX));
    out.put_u16(u16::try_from(size.height).unwrap_or(u16::MAX));
    out.put_u32(0x0048_0000); // 72 dpi, as everybody says.
    out.put_u32(0x0048_0000);
    out.put_u32(0);
    out.put_u16(1); // One frame a sample.
    out.put_bytes(0, 32);
    out.put_u16(0x0018); // Colour without alpha.
    out.put_i16(-1);
}

/// ISO/IEC 14496-15 §5.3.3.1. Lengths of four bytes.
fn put_avc_configuration(out: &mut Vec<u8>, sps: &[bytes::Bytes], pps: &[bytes::Bytes]) {
    let profile = sps.first().and_then(|sps| sps.get(1..4)).unwrap_or(&[0x42, 0, 0x1f]);
    out.put_u8(1);
    out.put_slice(profile);
    out.put_u8(0xff);
    let put_sets = |out: &mut Vec<u8>, sets: &[bytes::Bytes]| {
        for set in sets {
            out.put_u16(u16::try_from(set.len()).unwrap_or(u16::MAX));
            out.put_slice(set);
        }
    };
    // Five bits count the sequence parameter sets, eight the others; all together they have at
    // most `alfarid_stream::h264::MAX_BYTES`.
    let sps = &sps[..sps.len().min(31)];
    let pps = &pps[..pps.len().min(255)];
    out.put_u8(0xe0 | u8::try_from(sps.len()).unwrap_or(31));
    put_sets(out, sps);
    out.put_u8(u8::try_from(pps.len()).unwrap_or(255));
    put_sets(out, pps);
}

fn put_opus_entry(out: &mut Vec<u8>) {
    out.put_bytes(0, 6);
    out.put_u16(1); // The only data reference.
    out.put_bytes(0, 8);
    out.put_u16(u16::from(OPUS_CHANNELS));
    out.put_u16(16);
    out.put_bytes(0, 4);
    out.put_u32(OPUS_RATE << 16);
    put_box(out, *b"dOps", |out| {
        out.put_u8(0);
        out.put_u8(OPUS_CHANNELS);
        out.put_u16(OPUS_PRE_SKIP);
        out.put_u32(OPUS_RATE);
        out.put_i16(0); // Gain.
        out.put_u8(0); // Mono or stereo.
    });
}

fn put_matrix(out: &mut Vec<u8>) {
    for value in [0x0001_0000, 0, 0, 0, 0x0001_0000, 0, 0, 0, 0x4000_0000] {
        out.put_u32(value);
    }
}

fn put_box(out: &mut Vec<u8>, kind: [u8; 4], body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.put_u32(0);
    out.put_slice(&kind);
    body(out);
    let size = saturate(out.len() - start);
    out[start..start + 4].copy_from_slice(&size.to_be_bytes());
}

fn put_full_box(
    out: &mut Vec<u8>,
    kind: [u8; 4],
    version: u8,
    flags: u32,
    body: impl FnOnce(&mut Vec<u8>),
) {
    put_box(out, kind, |out| {
        out.put_u32(u32::from(version) << 24 | flags);
        body(out);
    });
}

/// What is written here is bounded far below 4 GiB.
fn saturate(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
