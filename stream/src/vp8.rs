//! VP8 in RTP ([RFC 7741](https://www.rfc-editor.org/rfc/rfc7741)), as far as a relay and a
//! receiver must understand it.
//!
//! ```text
//!    0 1 2 3 4 5 6 7
//!   │X│R│N│S│R│ PID │   always
//!   │I│L│T│K│ RSV   │   if X
//!   │M│ PictureID   │   if I; with M two bytes
//!   │   TL0PICIDX   │   if L
//!   │TID│Y│ KEYIDX  │   if T or K
//! ```
//!
//! A [`Descriptor`] is read, changed and written again; the frame behind it stays as it is, but for
//! the first bytes of a keyframe, which say its size.

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

use crate::codec::Size;

/// Why bytes are not VP8 as we understand it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Error {
    #[error("VP8 payload ends inside its descriptor")]
    Truncated,
    #[error("VP8 frame does not begin with its first partition")]
    NoStart,
    #[error("VP8 frame begins a second time")]
    SecondStart,
}

/// The number of a frame, in one of its two forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PictureId {
    /// 7 bits.
    Short(u8),
    /// 15 bits.
    Long(u16),
}

/// The VP8 payload descriptor (RFC 7741 §4.2). Reserved bits are dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Descriptor {
    /// N: no other frame refers to this one.
    pub is_non_reference: bool,
    /// S: a partition of the frame starts here.
    pub starts_partition: bool,
    /// PID: 0 to 7.
    pub partition: u8,
    pub picture_id: Option<PictureId>,
    /// TL0PICIDX: counts the frames of the lowest temporal layer.
    pub tl0_pic_idx: Option<u8>,
    /// TID (0 to 3) and Y.
    pub layer: Option<(u8, bool)>,
    /// KEYIDX: 5 bits.
    pub key_idx: Option<u8>,
}

const X: u8 = 0x80;
const N: u8 = 0x20;
const S: u8 = 0x10;
const PID: u8 = 0x07;
const I: u8 = 0x80;
const L: u8 = 0x40;
const T: u8 = 0x20;
const K: u8 = 0x10;
const M: u8 = 0x80;
const Y: u8 = 0x20;
const KEYIDX: u8 = 0x1f;

impl Descriptor {
    /// The longest form.
    pub const MAX: usize = 6;

    /// Reads the descriptor and gives what follows it, which is never empty.
    pub fn parse(payload: &[u8]) -> Result<(Self, &[u8]), Error> {
        let mut rest = payload;
        let mut byte = || {
            let (&first, after) = rest.split_first().ok_or(Error::Truncated)?;
            rest = after;
            Ok(first)
        };
        let first = byte()?;
        let flags = if first & X != 0 { byte()? } else { 0 };
        let mut descriptor = Self {
            is_non_reference: first & N != 0,
            starts_partition: first & S != 0,
            partition: first & PID,
            ..Self::default()
        };
        if flags & I != 0 {
            let high = byte()?;
            descriptor.picture_id = Some(if high & M == 0 {
                PictureId::Short(high)
            } else {
                PictureId::Long(u16::from_be_bytes([high & !M, byte()?]))
            });
        }
        if flags & L != 0 {
            descriptor.tl0_pic_idx = Some(byte()?);
        }
        if flags & (T | K) != 0 {
            let both = byte()?;
            descriptor.layer = (flags & T != 0).then_some((both >> 6, both & Y != 0));
            descriptor.key_idx = (flags & K != 0).then_some(both & KEYIDX);
        }
        if rest.is_empty() { Err(Error::Truncated) } else { Ok((descriptor, rest)) }
    }

    /// Appends the descriptor. Values with more bits than their field lose the upper ones.
    pub fn write(&self, out: &mut impl BufMut) {
        let flags = self.picture_id.map_or(0, |_| I)
            | self.tl0_pic_idx.map_or(0, |_| L)
            | self.layer.map_or(0, |_| T)
            | self.key_idx.map_or(0, |_| K);
        let flag = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
        out.put_u8(
            flag(flags != 0, X)
                | flag(self.is_non_reference, N)
                | flag(self.starts_partition, S)
                | self.partition & PID,
        );
        if flags != 0 {
            out.put_u8(flags);
        }
        match self.picture_id {
            Some(PictureId::Short(id)) => out.put_u8(id & !M),
            Some(PictureId::Long(id)) => out.put_u16(id | u16::from(M) << 8),
            None => {}
        }
        if let Some(index) = self.tl0_pic_idx {
            out.put_u8(index);
        }
        if flags & (T | K) != 0 {
            let (layer, is_sync) = self.layer.unwrap_or_default();
            out.put_u8(layer << 6 | flag(is_sync, Y) | self.key_idx.unwrap_or(0) & KEYIDX);
        }
    }

    /// This packet is the first of a frame.
    pub fn starts_frame(&self) -> bool {
        self.starts_partition && self.partition == 0
    }
}

/// Whether `frame`, the first bytes of one, is a keyframe (RFC 6386 §9.1).
pub fn is_keyframe(frame: &[u8]) -> bool {
    frame.first().is_some_and(|byte| byte & 1 == 0)
}

/// The size that a keyframe says in its first ten bytes (RFC 6386 §9.1).
pub fn size(frame: &[u8]) -> Option<Size> {
    let head = frame.first_chunk::<10>()?;
    if !is_keyframe(head) || head[3..6] != [0x9d, 0x01, 0x2a] {
        return None;
    }
    // The upper two bits are a hint for scaling.
    let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
    let (width, height) = (side(head[6], head[7]), side(head[8], head[9]));
    (width > 0 && height > 0).then_some(Size { width, height })
}

/// A frame as the decoder takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub data: Bytes,
    pub is_keyframe: bool,
}

/// Puts the payloads of one frame together, which must be all of them and in order.
pub fn depacketise<'a>(
    payloads: impl IntoIterator<Item = &'a [u8], IntoIter: Clone>,
) -> Result<Frame, Error> {
    let payloads = payloads.into_iter();
    let mut data = BytesMut::with_capacity(payloads.clone().map(<[u8]>::len).sum());
    for payload in payloads {
        let (descriptor, rest) = Descriptor::parse(payload)?;
        match (data.is_empty(), descriptor.starts_frame()) {
            (true, false) => return Err(Error::NoStart),
            (false, true) => return Err(Error::SecondStart),
            _ => data.put_slice(rest),
        }
    }
    if data.is_empty() {
        return Err(Error::NoStart);
    }
    let data = data.freeze();
    Ok(Frame { is_keyframe: is_keyframe(&data), data })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A keyframe of 640x360 by libvpx: S, no X, frame tag, start code, sides.
    const KEYFRAME: [u8; 12] =
        [0x10, 0x50, 0x42, 0x00, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01, 0x00];

    fn written(descriptor: &Descriptor) -> Vec<u8> {
        let mut out = Vec::new();
        descriptor.write(&mut out);
        out
    }

    #[test]
    fn the_shortest_descriptor_is_one_byte() {
        let (descriptor, frame) = Descriptor::parse(&KEYFRAME).unwrap();
        assert!(descriptor.starts_frame());
        assert_eq!(descriptor, Descriptor { starts_partition: true, ..Descriptor::default() });
        assert_eq!(written(&descriptor), [0x10]);
        assert_eq!(size(frame), Some(Size { width: 640, height: 360 }));
    }

    /// As Chromium sends them with one temporal layer: X, I with M, L and T and K.
    #[test]
    fn the_longest_descriptor_is_read_and_written() {
        let payload = [0xb5, 0xf0, 0x92, 0x34, 0x77, 0xa9, 0xff];
        let (descriptor, frame) = Descriptor::parse(&payload).unwrap();
        let expected = Descriptor {
            is_non_reference: true,
            starts_partition: true,
            partition: 5,
            picture_id: Some(PictureId::Long(0x1234)),
            tl0_pic_idx: Some(0x77),
            layer: Some((2, true)),
            key_idx: Some(9),
        };
        assert_eq!(descriptor, expected);
        assert!(!descriptor.starts_frame());
        assert_eq!(frame, [0xff]);
        assert_eq!(written(&descriptor), payload[..Descriptor::MAX]);
        for cut in 0..=Descriptor::MAX {
            assert_eq!(Descriptor::parse(&payload[..cut]), Err(Error::Truncated), "cut at {cut}");
        }
    }

    #[test]
    fn a_short_picture_id_stays_short_or_becomes_long() {
        let (mut descriptor, _) = Descriptor::parse(&[0x90, 0x80, 0x7f, 0x01]).unwrap();
        assert_eq!(descriptor.picture_id, Some(PictureId::Short(0x7f)));
        descriptor.picture_id = Some(PictureId::Short(0x05));
        assert_eq!(written(&descriptor), [0x90, 0x80, 0x05]);
        descriptor.picture_id = Some(PictureId::Long(0x0180));
        assert_eq!(written(&descriptor), [0x90, 0x80, 0x81, 0x80]);
    }

    #[test]
    fn only_a_whole_keyframe_header_says_a_size() {
        assert_eq!(size(&KEYFRAME[1..10]), None);
        let mut delta = KEYFRAME;
        delta[1] |= 1;
        assert_eq!(size(&delta[1..]), None);
        let mut foreign = KEYFRAME;
        foreign[4] = 0;
        assert_eq!(size(&foreign[1..]), None);
    }

    #[test]
    fn frames_begin_once() {
        let more: &[u8] = &[0x00, 0xaa];
        let second_partition: &[u8] = &[0x11, 0xbb];
        let frame = depacketise([&KEYFRAME[..], more, second_partition]).unwrap();
        assert!(frame.is_keyframe);
        assert_eq!(frame.data, [&KEYFRAME[1..], &[0xaa, 0xbb]].concat());
        assert_eq!(depacketise([more]), Err(Error::NoStart));
        assert_eq!(depacketise([&KEYFRAME[..], &KEYFRAME]), Err(Error::SecondStart));
        assert_eq!(depacketise([]), Err(Error::NoStart));
    }

    fn any_descriptor() -> impl Strategy<Value = Descriptor> {
        let picture_id = prop_oneof![
            (0..0x80_u8).prop_map(PictureId::Short),
            (0..0x8000_u16).prop_map(PictureId::Long),
        ];
        (
            any::<(bool, bool)>(),
            0..8_u8,
            proptest::option::of(picture_id),
            any::<Option<u8>>(),
            proptest::option::of((0..4_u8, any::<bool>())),
            proptest::option::of(0..32_u8),
        )
            .prop_map(|(flags, partition, picture_id, tl0_pic_idx, layer, key_idx)| {
                Descriptor {
                    is_non_reference: flags.0,
                    starts_partition: flags.1,
                    partition,
                    picture_id,
                    tl0_pic_idx,
                    layer,
                    key_idx,
                }
            })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(descriptor in any_descriptor(), rest: [u8; 3]) {
            let payload = [&written(&descriptor)[..], &rest].concat();
            prop_assert_eq!(Descriptor::parse(&payload), Ok((descriptor, &rest[..])));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..16)) {
            let _ = Descriptor::parse(&bytes);
            let _ = size(&bytes);
            let _ = depacketise([&bytes[..]]);
        }
    }
}
