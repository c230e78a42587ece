//! WebM of one VP8 track (RFC 8794, RFC 9559): the head up to `Tracks`, then a `Cluster` for each
//! fragment.
//!
//! The `Segment` has no length, as in a live stream: it ends with the file. Each frame is a
//! `BlockGroup`, for only that can say how long the frame lasts: without it a player must guess
//! for the last one of each cluster, and on a still screen guesses wrong.

mod read;

use bytes::BufMut;

pub(super) use self::read::{entries, head_bytes, next_fragment};
use super::Sample;
use crate::recording::media::Format;

/// Element ids, with the bits that say their length (RFC 8794 §5, RFC 9559 §5).
mod id {
    pub(super) const EBML: u32 = 0x1a45_dfa3;
    pub(super) const EBML_VERSION: u32 = 0x4286;
    pub(super) const EBML_READ_VERSION: u32 = 0x42f7;
    pub(super) const EBML_MAX_ID_LENGTH: u32 = 0x42f2;
    pub(super) const EBML_MAX_SIZE_LENGTH: u32 = 0x42f3;
    pub(super) const DOC_TYPE: u32 = 0x4282;
    pub(super) const DOC_TYPE_VERSION: u32 = 0x4287;
    pub(super) const DOC_TYPE_READ_VERSION: u32 = 0x4285;
    pub(super) const SEGMENT: u32 = 0x1853_8067;
    pub(super) const INFO: u32 = 0x1549_a966;
    pub(super) const TIMESTAMP_SCALE: u32 = 0x002a_d7b1;
    pub(super) const MUXING_APP: u32 = 0x4d80;
    pub(super) const WRITING_APP: u32 = 0x5741;
    pub(super) const TRACKS: u32 = 0x1654_ae6b;
    pub(super) const TRACK_ENTRY: u32 = 0xae;
    pub(super) const TRACK_NUMBER: u32 = 0xd7;
    pub(super) const TRACK_UID: u32 = 0x73c5;
    pub(super) const TRACK_TYPE: u32 = 0x83;
    pub(super) const FLAG_LACING: u32 = 0x9c;
    pub(super) const CODEC_ID: u32 = 0x86;
    pub(super) const VIDEO: u32 = 0xe0;
    pub(super) const PIXEL_WIDTH: u32 = 0xb0;
    pub(super) const PIXEL_HEIGHT: u32 = 0xba;
    pub(super) const CLUSTER: u32 = 0x1f43_b675;
    pub(super) const TIMESTAMP: u32 = 0xe7;
    pub(super) const BLOCK_GROUP: u32 = 0xa0;
    pub(super) const BLOCK: u32 = 0xa1;
    pub(super) const BLOCK_DURATION: u32 = 0x9b;
    pub(super) const REFERENCE_BLOCK: u32 = 0xfb;
}

const TRACK: u8 = 1;
const APP: &[u8] = b"Alfarid";

/// Milliseconds, in nanoseconds.
const SCALE: u64 = 1_000_000;

/// The length of what goes on to the end of the file (RFC 8794 §6.2).
const UNKNOWN_LENGTH: u64 = 0x01ff_ffff_ffff_ffff;

pub(super) fn head(format: &Format) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    put_element(&mut out, id::EBML, |out| {
        put_number(out, id::EBML_VERSION, 1);
        put_number(out, id::EBML_READ_VERSION, 1);
        put_number(out, id::EBML_MAX_ID_LENGTH, 4);
        put_number(out, id::EBML_MAX_SIZE_LENGTH, 8);
        put_bytes(out, id::DOC_TYPE, b"webm");
        put_number(out, id::DOC_TYPE_VERSION, 4);
        put_number(out, id::DOC_TYPE_READ_VERSION, 2);
    });
    put_id(&mut out, id::SEGMENT);
    out.put_u64(UNKNOWN_LENGTH);
    put_element(&mut out, id::INFO, |out| {
        put_number(out, id::TIMESTAMP_SCALE, SCALE);
        put_bytes(out, id::MUXING_APP, APP);
        put_bytes(out, id::WRITING_APP, APP);
    });
    put_element(&mut out, id::TRACKS, |out| {
        put_element(out, id::TRACK_ENTRY, |out| {
            put_number(out, id::TRACK_NUMBER, u64::from(TRACK));
            put_number(out, id::TRACK_UID, u64::from(TRACK));
            put_number(out, id::TRACK_TYPE, 1); // Video.
            put_number(out, id::FLAG_LACING, 0);
            put_bytes(out, id::CODEC_ID, b"V_VP8");
            put_element(out, id::VIDEO, |out| {
                if let Some(size) = format.size() {
                    put_number(out, id::PIXEL_WIDTH, u64::from(size.width));
                    put_number(out, id::PIXEL_HEIGHT, u64::from(size.height));
                }
            });
        });
    });
    out
}

pub(super) fn fragment(samples: &[Sample]) -> Vec<u8> {
    let data_bytes: usize = samples.iter().map(|sample| sample.data.len()).sum();
    let mut out = Vec::with_capacity(data_bytes + 32 * samples.len() + 32);
    let start_ms = samples.first().map_or(0, |sample| millis(sample.time_us));
    put_element(&mut out, id::CLUSTER, |out| {
        put_number(out, id::TIMESTAMP, start_ms);
        for sample in samples {
            put_element(out, id::BLOCK_GROUP, |out| put_frame(out, start_ms, sample));
        }
    });
    out
}

fn put_frame(out: &mut Vec<u8>, start_ms: u64, sample: &Sample) {
    let time_ms = millis(sample.time_us);
    put_element(out, id::BLOCK, |out| {
        out.put_u8(0x80 | TRACK);
        // Fragments are a second long; half a minute would fit.
        out.put_i16(i16::try_from(time_ms - start_ms).unwrap_or(i16::MAX));
        out.put_u8(0);
        out.put_slice(&sample.data);
    });
    put_number(out, id::BLOCK_DURATION, millis(sample.time_us + sample.duration_us) - time_ms);
    if !sample.keyframe {
        // That there is one makes it no keyframe; which one it is nobody asks of VP8.
        put_bytes(out, id::REFERENCE_BLOCK, &(-1_i8).to_be_bytes());
    }
}

/// Rounded, so that a sum of durations and the time it stands for never drift apart.
fn millis(time_us: u64) -> u64 {
    (time_us + 500) / 1_000
}

/// An element that holds others, or a frame: its length takes four bytes, known afterwards.
fn put_element(out: &mut Vec<u8>, id: u32, body: impl FnOnce(&mut Vec<u8>)) {
    put_id(out, id);
    let start = out.len();
    out.put_u32(0);
    body(out);
    // 28 bits: far more than a fragment may have.
    let length = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
    out[start..start + 4].copy_from_slice(&(0x1000_0000 | length).to_be_bytes());
}

fn put_number(out: &mut Vec<u8>, id: u32, value: u64) {
    let bytes = value.to_be_bytes();
    let zeros = bytes.iter().take_while(|&&byte| byte == 0).count().min(7);
    put_bytes(out, id, &bytes[zeros..]);
}

/// At most 126 bytes.
fn put_bytes(out: &mut Vec<u8>, id: u32, bytes: &[u8]) {
    put_id(out, id);
    out.put_u8(0x80 | u8::try_from(bytes.len()).unwrap_or(0));
    out.put_slice(bytes);
}

fn put_id(out: &mut Vec<u8>, id: u32) {
    let bytes = id.to_be_bytes();
    let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
    out.put_slice(&bytes[zeros..]);
}
