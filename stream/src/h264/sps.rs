//! The picture's size, from a sequence parameter set (H.264 §7.3.2.1.1).

use super::{Error, bits::Bits, kind};
use crate::codec::Size;

/// The largest picture that is believed, in macroblocks: level 6.2 (H.264 table A-1).
const MAX_MACROBLOCKS: u32 = 139_264;

/// The size that a decoder shows, after cropping. `nal` begins with the NAL unit's header.
pub fn size(nal: &[u8]) -> Result<Size, Error> {
    let (&header, body) = nal.split_first().ok_or(Error::Truncated)?;
    if header & 0x1f != kind::SPS {
        return Err(Error::ParameterSet);
    }
    read(&mut Bits::new(body)).ok_or(Error::ParameterSet)
}

fn read(bits: &mut Bits) -> Option<Size> {
    let profile = bits.unsigned(8)?;
    bits.unsigned(16)?; // Constraints and level.
    bits.golomb()?; // Its id.
    let chroma = chroma_format(bits, profile)?;
    bits.golomb()?; // log2_max_frame_num_minus4
    skip_picture_order(bits)?;
    bits.golomb()?; // max_num_ref_frames
    bits.bit()?; // gaps_in_frame_num_value_allowed_flag
    let columns = bits.golomb()?.checked_add(1)?;
    let map_rows = bits.golomb()?.checked_add(1)?;
    let is_progressive = bits.bit()?;
    if !is_progressive {
        bits.bit()?; // mb_adaptive_frame_field_flag
    }
    // A row of the map is a row of one field where fields are possible.
    let fields = if is_progressive { 1 } else { 2 };
    let rows = map_rows.checked_mul(fields)?;
    if columns.checked_mul(rows)? > MAX_MACROBLOCKS {
        return None;
    }
    bits.bit()?; // direct_8x8_inference_flag
    let (mut width, mut height) = (columns * 16, rows * 16);
    if bits.bit()? {
        let (unit_x, unit_y) = chroma.crop_unit();
        let mut edge = || bits.golomb();
        let (left, right, top, bottom) = (edge()?, edge()?, edge()?, edge()?);
        width = width.checked_sub(left.checked_add(right)?.checked_mul(unit_x)?)?;
        height = height.checked_sub(top.checked_add(bottom)?.checked_mul(unit_y * fields)?)?;
    }
    (width > 0 && height > 0).then_some(Size { width, height })
}

/// How colour is sampled, which decides in what steps a picture is cropped.
enum Chroma {
    Monochrome,
    Half,
    HalfWidth,
    Full,
}

impl Chroma {
    /// `CropUnitX` and `CropUnitY` of a progressive picture (H.264 equations 7-19 to 7-22).
    fn crop_unit(&self) -> (u32, u32) {
        match self {
            Self::Monochrome | Self::Full => (1, 1),
            Self::Half => (2, 2),
            Self::HalfWidth => (2, 1),
        }
    }
}

/// What the high profiles say first.
fn chroma_format(bits: &mut Bits, profile: u32) -> Option<Chroma> {
    if !matches!(profile, 44 | 83 | 86 | 100 | 110 | 118 | 122 | 128 | 134 | 135 | 138 | 139 | 244)
    {
        return Some(Chroma::Half);
    }
    let format = bits.golomb()?;
    let is_separate = format == 3 && bits.bit()?;
    bits.golomb()?; // bit_depth_luma_minus8
    bits.golomb()?; // bit_depth_chroma_minus8
    bits.bit()?; // qpprime_y_zero_transform_bypass_flag
    if bits.bit()? {
        let lists = if format == 3 { 12 } else { 8 };
        for list in 0..lists {
            if bits.bit()? {
                skip_scaling_list(bits, if list < 6 { 16 } else { 64 })?;
            }
        }
    }
    match format {
        _ if is_separate => Some(Chroma::Monochrome),
        0 => Some(Chroma::Monochrome),
        1 => Some(Chroma::Half),
        2 => Some(Chroma::HalfWidth),
        3 => Some(Chroma::Full),
        _ => None,
    }
}

/// H.264 §7.3.2.1.1.1. A scale of 0 means that the rest of the list is as before.
fn skip_scaling_list(bits: &mut Bits, length: u32) -> Option<()> {
    let mut scale = 8_i32;
    for _ in 0..length {
        scale = scale.checked_add(bits.signed_golomb()?)?.rem_euclid(256);
        if scale == 0 {
            break;
        }
    }
    Some(())
}

fn skip_picture_order(bits: &mut Bits) -> Option<()> {
    match bits.golomb()? {
        0 => {
            bits.golomb()?; // log2_max_pic_order_cnt_lsb_minus4
        }
        1 => {
            bits.bit()?; // delta_pic_order_always_zero_flag
            bits.signed_golomb()?; // offset_for_non_ref_pic
            bits.signed_golomb()?; // offset_for_top_to_bottom_field
            let cycle = bits.golomb()?;
            // The standard allows 255, which also bounds the loop.
            if cycle > 255 {
                return None;
            }
            for _ in 0..cycle {
                bits.signed_golomb()?;
            }
        }
        2 => {}
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
            .collect()
    }

    /// Made by x264 and `OpenH264` through `GStreamer` 1.22.
    #[test]
    fn sizes_of_real_encoders() {
        let real = [
            ("6742c01fd9005005bb016a02020280000003008000001e478c1924", (1280, 720)),
            ("6742c028d900780227e5c05a808080a0000003002000000791e30649", (1920, 1080)),
            ("6742c020d90056061e6f016a02020280000003008000001e478c1924", (1366, 768)),
            ("6742c01fd900d83de6f016a0c0c0d4a0000003002000000791e30649", (854, 480)),
            ("67640028acd940780227e5c05a808080a0000003002000000791e30632c0", (1920, 1080)),
            ("67640020acd94056061e6f016a02020280000003008000001e478c18cb", (1366, 768)),
            ("677a0020bcd94056061e6ac05a808080a0000003002000000791e30632c0", (1366, 767)),
            ("67f40020919b280ac0c3c5de02d40404050000030001000003003c8f183196", (1366, 766)),
            ("6742c0208c8d402b030f3700f08846a0", (1366, 768)),
        ];
        for (sps, (width, height)) in real {
            assert_eq!(size(&hex(sps)), Ok(Size { width, height }), "{sps}");
        }
    }

    /// Writes what [`Bits`] reads, for the corners that no encoder at hand reaches.
    #[derive(Default)]
    struct Writer(Vec<bool>);

    impl Writer {
        fn bits(mut self, value: u32, count: u32) -> Self {
            self.0.extend((0..count).rev().map(|bit| value >> bit & 1 == 1));
            self
        }

        fn golomb(self, values: &[u32]) -> Self {
            values.iter().fold(self, |writer, value| {
                let bits = (value + 1).ilog2();
                writer.bits(0, bits).bits(value + 1, bits + 1)
            })
        }

        fn sps(self) -> Vec<u8> {
            let byte = |bits: &[bool]| {
                (0..8).fold(0, |byte, at| byte << 1 | u8::from(bits.get(at) == Some(&true)))
            };
            std::iter::once(0x67).chain(self.0.chunks(8).map(byte)).collect()
        }
    }

    #[test]
    fn fields_double_the_rows_and_the_crop() {
        let sps = Writer::default()
            .bits(77, 8)
            .bits(40, 16)
            .golomb(&[0, 0, 2, 1]) // id, frame_num, picture order of type 2, references
            .bits(0, 1)
            .golomb(&[119, 33]) // 1920 by 34 rows of a field
            .bits(0b001, 3) // fields, not adaptive, direct 8x8
            .bits(1, 1)
            .golomb(&[0, 0, 0, 2])
            .bits(1, 8);
        assert_eq!(size(&sps.sps()), Ok(Size { width: 1920, height: 1080 }));
    }

    #[test]
    fn scaling_lists_and_picture_order_cycles_are_passed_over() {
        let mut writer = Writer::default()
            .bits(100, 8)
            .bits(40, 16)
            .golomb(&[0, 1, 0, 0]) // id, 4:2:0, depths
            .bits(0b011, 3); // no bypass, lists: the first
        writer = writer.golomb(&[0; 16]); // all as before
        writer = writer.bits(1, 1).golomb(&[16]); // the second ends at once: -8
        writer = writer
            .bits(0, 6) // no others
            .golomb(&[0, 1]) // frame_num, picture order of type 1
            .bits(0, 1)
            .golomb(&[3, 4, 2, 5, 6, 1]) // offsets, two in the cycle, references
            .bits(0, 1)
            .golomb(&[39, 29])
            .bits(0b110, 3)
            .bits(1, 8);
        assert_eq!(size(&writer.sps()), Ok(Size { width: 640, height: 480 }));
    }

    #[test]
    fn impossible_pictures_are_refused() {
        let with = |columns: u32, crop: &[u32]| {
            let writer = Writer::default()
                .bits(66, 8)
                .bits(40, 16)
                .golomb(&[0, 0, 2, 1])
                .bits(0, 1)
                .golomb(&[columns, 3])
                .bits(0b11, 2)
                .bits(u32::from(!crop.is_empty()), 1)
                .golomb(crop);
            size(&writer.bits(1, 8).sps())
        };
        assert_eq!(with(3, &[]), Ok(Size { width: 64, height: 64 }));
        assert_eq!(with(3, &[0, 32, 0, 0]), Err(Error::ParameterSet), "nothing is left");
        assert_eq!(with(3, &[u32::MAX / 4, 0, 0, 0]), Err(Error::ParameterSet));
        assert_eq!(with(1_000_000, &[]), Err(Error::ParameterSet), "larger than any level");
        assert_eq!(size(&[0x68, 1, 2]), Err(Error::ParameterSet), "not an SPS");
        assert_eq!(size(&[]), Err(Error::Truncated));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let nal = [&[0x67], &bytes[..]].concat();
            let _ = size(&nal);
        }
    }
}
