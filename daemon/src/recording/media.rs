//! What a file must know of a frame: the format it needs, its bytes as a container stores them,
//! and how long a packet of sound lasts. Nothing is decoded.

use alfarid_stream::{
    Codec, Size,
    h264::{ParameterSets, kind},
    vp8,
};
use bytes::{BufMut, Bytes, BytesMut};

/// RFC 7587 §4.1: the clock that Opus counts by, whatever it was sampled at.
const OPUS_TICKS_PER_MS: u64 = 48;

/// RFC 6716 §3.2.5: no Opus packet lasts longer.
const OPUS_LONGEST_MS: u64 = 120;

/// What a decoder needs before the first frame. A change of it is a new segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Format {
    H264 { size: Size, sets: ParameterSets },
    Vp8 { size: Size },
    Opus,
}

impl Format {
    /// Reads the format out of a frame that decodes by itself. `None` where the frame does not say
    /// it: an H.264 keyframe without its parameter sets, bytes that are no VP8 keyframe.
    pub(super) fn of(codec: Codec, keyframe: &[u8]) -> Option<Self> {
        match codec {
            Codec::H264 => {
                let mut sets = ParameterSets::default();
                for unit in nal_units(keyframe) {
                    if matches!(unit[0] & 0x1f, kind::SPS | kind::PPS) {
                        sets.insert(unit).ok()?;
                    }
                }
                let size = sets.size().filter(|_| sets.is_complete())?;
                Some(Self::H264 { size, sets })
            }
            Codec::Vp8 => vp8::size(keyframe).map(|size| Self::Vp8 { size }),
            Codec::Opus => Some(Self::Opus),
        }
    }

    pub(super) fn size(&self) -> Option<Size> {
        match self {
            Self::H264 { size, .. } | Self::Vp8 { size } => Some(*size),
            Self::Opus => None,
        }
    }

    /// As `MediaSource.isTypeSupported` takes it (RFC 6381).
    pub(super) fn mime(&self) -> String {
        match self {
            Self::H264 { sets, .. } => {
                // Profile, constraints and level are the three bytes behind the header.
                let sps =
                    sets.sps().first().and_then(|sps| sps.get(1..4)).unwrap_or(&[0x42, 0, 0x1f]);
                let [profile, constraints, level] = [sps[0], sps[1], sps[2]];
                format!("video/mp4; codecs=\"avc1.{profile:02x}{constraints:02x}{level:02x}\"")
            }
            Self::Vp8 { .. } => "video/webm; codecs=\"vp8\"".to_owned(),
            Self::Opus => "audio/mp4; codecs=\"opus\"".to_owned(),
        }
    }

    /// How its files are named.
    pub(super) fn extension(&self) -> &'static str {
        match self {
            Self::H264 { .. } => "mp4",
            Self::Vp8 { .. } => "webm",
            Self::Opus => "m4a",
        }
    }
}

/// The frame as its container stores it. H.264 loses its start codes for lengths, and what stands
/// in the file's head already.
pub(super) fn stored(codec: Codec, frame: &Bytes) -> Bytes {
    let in_head = |kind| matches!(kind, kind::SPS | kind::PPS | kind::DELIMITER);
    match codec {
        Codec::H264 => length_prefixed(frame, in_head),
        Codec::Vp8 | Codec::Opus => frame.clone(),
    }
}

/// The same with its parameter sets, for a file whose head does not have them.
pub(super) fn stored_with_sets(frame: &Bytes) -> Bytes {
    length_prefixed(frame, |kind| kind == kind::DELIMITER)
}

/// How long a frame lasts by itself: only sound knows. RFC 6716 §3.1.
pub(super) fn own_duration_us(codec: Codec, frame: &[u8]) -> Option<u64> {
    if codec != Codec::Opus {
        return None;
    }
    let toc = *frame.first()?;
    let ticks_per_frame = match toc >> 3 {
        config @ 0..=11 => [480, 960, 1_920, 2_880][usize::from(config & 3)],
        config @ 12..=15 => [480, 960][usize::from(config & 1)],
        config => [120, 240, 480, 960][usize::from(config & 3)],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u64::from(frame.get(1)? & 0x3f),
    };
    let ticks = (ticks_per_frame * frames).min(OPUS_LONGEST_MS * OPUS_TICKS_PER_MS);
    Some(ticks * 1_000 / OPUS_TICKS_PER_MS)
}

/// The NAL units of an access unit in Annex-B form, without start codes, none of them empty.
fn nal_units(frame: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = start_code(frame).map_or(&frame[frame.len()..], |(_, after)| &frame[after..]);
    std::iter::from_fn(move || {
        loop {
            if rest.is_empty() {
                return None;
            }
            let (unit, after) = match start_code(rest) {
                Some((before, after)) => (&rest[..before], &rest[after..]),
                None => (rest, &rest[rest.len()..]),
            };
            rest = after;
            if !unit.is_empty() {
                return Some(unit);
            }
        }
    })
}

/// Where the next start code begins (with all zeros before it) and where it ends.
fn start_code(bytes: &[u8]) -> Option<(usize, usize)> {
    let at = bytes.windows(3).position(|three| three == [0, 0, 1])?;
    let zeros = bytes[..at].iter().rev().take_while(|&&byte| byte == 0).count();
    Some((at - zeros, at + 3))
}

/// ISO/IEC 14496-15: each NAL unit behind its length, but for the kinds that are left out.
fn length_prefixed(frame: &[u8], is_left_out: impl Fn(u8) -> bool) -> Bytes {
    let mut sample = BytesMut::with_capacity(frame.len() + 16);
    for unit in nal_units(frame).filter(|unit| !is_left_out(unit[0] & 0x1f)) {
        sample.put_u32(u32::try_from(unit.len()).unwrap_or(u32::MAX));
        sample.put_slice(unit);
    }
    sample.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_access_unit_falls_apart_at_every_kind_of_start_code() {
        let frame = [0, 0, 0, 1, 0x67, 1, 2, 0, 0, 1, 0x68, 3, 0, 0, 0, 0, 1, 0x65, 0, 0, 3, 7];
        let units: Vec<_> = nal_units(&frame).collect();
        assert_eq!(units, [&[0x67, 1, 2][..], &[0x68, 3], &[0x65, 0, 0, 3, 7]]);
        let stored = stored(Codec::H264, &Bytes::copy_from_slice(&frame));
        assert_eq!(stored[..], [0, 0, 0, 5, 0x65, 0, 0, 3, 7]);
        assert_eq!(nal_units(&[]).count(), 0);
        assert_eq!(nal_units(&[0, 0, 1]).count(), 0);
    }

    #[test]
    fn opus_says_how_long_it_lasts() {
        let last = |packet: &[u8]| own_duration_us(Codec::Opus, packet);
        assert_eq!(last(&[0xf8]), Some(20_000), "CELT, 20 ms");
        assert_eq!(last(&[0x60 | 1]), Some(20_000), "hybrid, two of 10 ms");
        assert_eq!(last(&[0x18]), Some(60_000), "SILK, 60 ms");
        assert_eq!(last(&[0x83, 48]), Some(120_000), "48 of 2.5 ms");
        assert_eq!(last(&[0x83, 63]), Some(120_000), "never more than 120 ms");
        assert_eq!(last(&[]), None);
    }
}
