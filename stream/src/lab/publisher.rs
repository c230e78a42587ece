//! Publishers that pack their frames like the real ones.

use bytes::Bytes;

use crate::{
    assemble::Frame,
    codec::Codec,
    rtp::{Header, Packet},
    vp8::{Descriptor, PictureId},
};

/// Small, so that a short frame has many packets.
const MTU: usize = 100;

/// 1280x720 and 854x480 by x264, with their PPS.
const SPS: [&[u8]; 2] = [
    &[
        0x67, 0x42, 0xc0, 0x1f, 0xd9, 0x00, 0x50, 0x05, 0xbb, 0x01, 0x6a, 0x02, 0x02, 0x02, 0x80,
        0x00, 0x00, 0x03, 0x00, 0x80, 0x00, 0x00, 0x1e, 0x47, 0x8c, 0x19, 0x24,
    ],
    &[
        0x67, 0x42, 0xc0, 0x1f, 0xd9, 0x00, 0xd8, 0x3d, 0xe6, 0xf0, 0x16, 0xa0, 0xc0, 0xc0, 0xd4,
        0xa0, 0x00, 0x00, 0x03, 0x00, 0x20, 0x00, 0x00, 0x07, 0x91, 0xe3, 0x06, 0x49,
    ],
];
const PPS: &[u8] = &[0x68, 0xcb, 0x8c, 0xb2];
const SEI: &[u8] = &[0x06, 0x05, 0x04, 0xb3, 0xdc, 0x80, 0x80];
const DELIMITER: &[u8] = &[0x09, 0xf0];

/// Who packs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// SPS and PPS in one STAP-A, then the picture in fragments.
    Chromium,
    /// SPS, PPS and SEI in packets of their own.
    Obs,
    /// Delimiters, packets of their own for all, and many slices.
    X264,
    /// SPS and PPS once, as an access unit of their own; later keyframes without.
    Hardware,
    /// `PictureID` of 15 bits and `TL0PICIDX`.
    LibWebRtc,
    /// `PictureID` of 7 bits.
    ShortPictureId,
    /// The shortest descriptor.
    PlainVp8,
    Opus,
}

impl Style {
    pub(crate) const H264: [Self; 4] = [Self::Chromium, Self::Obs, Self::X264, Self::Hardware];
    pub(crate) const VP8: [Self; 3] = [Self::LibWebRtc, Self::ShortPictureId, Self::PlainVp8];

    pub(crate) fn codec(self) -> Codec {
        match self {
            Self::Chromium | Self::Obs | Self::X264 | Self::Hardware => Codec::H264,
            Self::LibWebRtc | Self::ShortPictureId | Self::PlainVp8 => Codec::Vp8,
            Self::Opus => Codec::Opus,
        }
    }
}

/// A frame as it was made.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub is_keyframe: bool,
    pub packets: Vec<Packet>,
    /// What must come out at the other end, see [`essence`].
    pub essence: Vec<u8>,
}

pub(crate) struct Publisher {
    style: Style,
    name: u8,
    pub sequence: u16,
    pub timestamp: u32,
    frames: u32,
    /// Which of two picture sizes it has.
    pub is_small: bool,
}

impl Publisher {
    /// `name` is in each frame, so that no two publishers make the same.
    pub(crate) fn new(style: Style, name: u8) -> Self {
        // Both wrap soon.
        Self {
            style,
            name,
            sequence: 65_500,
            timestamp: u32::MAX - 90_000,
            frames: 0,
            is_small: false,
        }
    }

    /// The next frame, with about `bytes` of picture. The clock goes on by a 25th of a second
    /// (sound: a 50th).
    pub(crate) fn frame(&mut self, is_keyframe: bool, bytes: usize) -> Made {
        self.frames += 1;
        let step = if self.style == Style::Opus { 960 } else { 3_600 };
        self.timestamp = self.timestamp.wrapping_add(step);
        match self.style.codec() {
            Codec::H264 => self.h264(is_keyframe, bytes),
            Codec::Vp8 => self.vp8(is_keyframe, bytes),
            Codec::Opus => {
                let packet = self.body(&[0xfc], bytes.min(MTU));
                let packets = self.packets(vec![packet.clone()], false);
                Made { is_keyframe: true, packets, essence: packet }
            }
        }
    }

    /// A packet of nothing but padding, as browsers probe with.
    pub(crate) fn probe(&mut self) -> Packet {
        self.packets(vec![Vec::new()], false).remove(0)
    }

    fn h264(&mut self, is_keyframe: bool, bytes: usize) -> Made {
        let sps = SPS[usize::from(self.is_small)];
        let mut payloads: Vec<Vec<u8>> = Vec::new();
        let mut packets = Vec::new();
        match (self.style, is_keyframe) {
            (Style::Chromium, true) => payloads.push(stap_a(&[sps, PPS])),
            (Style::Obs, true) => payloads.extend([sps, PPS, SEI].map(<[u8]>::to_vec)),
            (Style::X264, true) => payloads.extend([DELIMITER, sps, PPS, SEI].map(<[u8]>::to_vec)),
            (Style::X264, false) => payloads.push(DELIMITER.to_vec()),
            (Style::Hardware, true) => {
                if self.frames == 1 {
                    self.timestamp = self.timestamp.wrapping_sub(1);
                    packets = self.packets(vec![sps.to_vec(), PPS.to_vec()], true);
                    self.timestamp = self.timestamp.wrapping_add(1);
                }
                payloads.push(DELIMITER.to_vec());
            }
            _ => {}
        }
        let slices: u8 = if self.style == Style::X264 { 4 } else { 1 };
        let header = if is_keyframe { 0x65 } else { 0x41 };
        let mut essence = Vec::new();
        for slice in 0..slices {
            // first_mb_in_slice: 0, or something else.
            let first = if slice == 0 { 0x88 } else { 0x40 | slice };
            let nal = self.body(&[header, first], bytes / usize::from(slices));
            payloads.extend(fragments(&nal));
            essence.extend_from_slice(&nal);
        }
        packets.extend(self.packets(payloads, true));
        Made { is_keyframe, packets, essence }
    }

    fn vp8(&mut self, is_keyframe: bool, bytes: usize) -> Made {
        let (width, height) = if self.is_small { (854_u16, 480_u16) } else { (1280, 720) };
        let [[w0, w1], [h0, h1]] = [width.to_le_bytes(), height.to_le_bytes()];
        let head: &[u8] = if is_keyframe {
            &[0x50, 0x42, 0x00, 0x9d, 0x01, 0x2a, w0, w1, h0, h1]
        } else {
            &[0x51, 0x42, 0x00]
        };
        let frame = self.body(head, bytes);
        let number = self.frames;
        let mut descriptor = Descriptor { starts_partition: true, ..Descriptor::default() };
        match self.style {
            Style::LibWebRtc => {
                descriptor.picture_id = Some(PictureId::Long(((number + 0x7ff0) & 0x7fff) as u16));
                descriptor.tl0_pic_idx = Some(((number + 250) & 0xff) as u8);
                descriptor.layer = Some((0, false));
            }
            Style::ShortPictureId => {
                descriptor.picture_id = Some(PictureId::Short((number & 0x7f) as u8));
            }
            _ => {}
        }
        let mut payloads = Vec::new();
        for chunk in frame.chunks(MTU) {
            let mut payload = Vec::new();
            descriptor.write(&mut payload);
            payload.extend_from_slice(chunk);
            payloads.push(payload);
            descriptor.starts_partition = false;
        }
        let packets = self.packets(payloads, true);
        Made { is_keyframe, packets, essence: frame }
    }

    /// Bytes that no other frame has, and that look like no start code.
    fn body(&self, head: &[u8], bytes: usize) -> Vec<u8> {
        let number = self.frames.to_be_bytes().into_iter().flat_map(|b| [b >> 4, b & 0xf]);
        let name = [self.name].into_iter().chain(number).map(|nibble| nibble | 0x80);
        let filler = (0..bytes).map(|at| u8::try_from(at % 127).unwrap() | 0x80);
        head.iter().copied().chain(name).chain(filler).collect()
    }

    fn packets(&mut self, payloads: Vec<Vec<u8>>, marks_last: bool) -> Vec<Packet> {
        let last = payloads.len() - 1;
        payloads
            .into_iter()
            .enumerate()
            .map(|(n, payload)| {
                let header = Header {
                    marker: marks_last && n == last,
                    payload_type: 102,
                    sequence: self.sequence,
                    timestamp: self.timestamp,
                    ssrc: u32::from(self.name),
                };
                self.sequence = self.sequence.wrapping_add(1);
                Packet { header, payload: Bytes::from(payload) }
            })
            .collect()
    }
}

/// The part of a received frame that must be as it was made: of H.264 the slices (parameter sets
/// and delimiters come and go on the way), otherwise everything.
pub(crate) fn essence(frame: &Frame) -> Vec<u8> {
    if frame.codec != Codec::H264 {
        return frame.data.to_vec();
    }
    let starts: Vec<usize> =
        (0..frame.data.len()).filter(|&at| frame.data[at..].starts_with(&[0, 0, 0, 1])).collect();
    let ends = starts.iter().skip(1).copied().chain([frame.data.len()]);
    let nals = starts.iter().zip(ends).map(|(start, end)| &frame.data[start + 4..end]);
    nals.filter(|nal| matches!(nal[0] & 0x1f, 1 | 5)).flatten().copied().collect()
}

fn stap_a(nals: &[&[u8]]) -> Vec<u8> {
    let sized = nals.iter().flat_map(|nal| {
        let size = u16::try_from(nal.len()).unwrap().to_be_bytes();
        size.into_iter().chain(nal.iter().copied())
    });
    std::iter::once(0x78).chain(sized).collect()
}

fn fragments(nal: &[u8]) -> Vec<Vec<u8>> {
    if nal.len() <= MTU {
        return vec![nal.to_vec()];
    }
    let (indicator, kind) = (nal[0] & 0xe0 | 0x1c, nal[0] & 0x1f);
    let chunks: Vec<_> = nal[1..].chunks(MTU - 2).collect();
    let last = chunks.len() - 1;
    let fragment = |(n, chunk): (usize, &&[u8])| {
        let start = if n == 0 { 0x80 } else { 0 };
        let end = if n == last { 0x40 } else { 0 };
        [&[indicator, kind | start | end], *chunk].concat()
    };
    chunks.iter().enumerate().map(fragment).collect()
}
