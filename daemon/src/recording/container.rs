//! The two kinds of file, written by fragments and read back by them.
//!
//! H.264 and Opus go into fragmented MP4, VP8 into WebM (MP4 cannot hold it). Either is a head,
//! which says how to decode, and fragments behind it, each whole in itself: a file that is cut
//! anywhere plays up to its last whole fragment, and a player may be fed the head and any run of
//! fragments.
//!
//! Written here and not by GStreamer's muxers. Those hold a fragment back until the next frame
//! comes, and on a still screen none does: what was shown would lie in memory for minutes, with
//! nothing on disk when the power goes. They also stretch the last packet of sound over a pause.
//! Both formats are a few boxes; and they are read back here anyway, when a file was torn.

pub(super) mod mp4;
mod webm;

use std::{
    io::{self, Read, Seek, SeekFrom},
    ops::Range,
};

use alfarid_stream::Codec;
use bytes::{Bytes, TryGetError};
use thiserror::Error;

use super::media::Format;
use crate::events::Fragment;

/// One frame in its segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    /// From the segment's start.
    pub time_us: u64,
    pub duration_us: u64,
    pub keyframe: bool,
    pub data: Bytes,
}

/// A sample as it is found in a fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub time_us: u64,
    pub duration_us: u64,
    pub keyframe: bool,
    /// Where its bytes lie, from the fragment's start.
    pub range: Range<usize>,
}

/// What a file holds.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub head_bytes: u64,
    pub fragments: Vec<Fragment>,
    pub frames: u64,
    pub duration_us: u64,
    /// Up to where the file is whole.
    pub whole_bytes: u64,
}

/// Why a file cannot be read, or not from here on.
#[derive(Debug, Error)]
pub enum Torn {
    #[error("the file ends too early")]
    End,
    #[error("the file is not as it was written: {0}")]
    Unexpected(&'static str),
    #[error("the file cannot be read")]
    Read(#[from] io::Error),
}

impl From<TryGetError> for Torn {
    fn from(_: TryGetError) -> Self {
        Self::End
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Container {
    /// Times are kept in ticks of the codec's RTP clock.
    Mp4 {
        timescale: u32,
    },
    WebM,
}

impl Container {
    pub(super) fn of(codec: Codec) -> Self {
        match codec {
            Codec::H264 | Codec::Opus => Self::Mp4 { timescale: codec.clock_rate() },
            Codec::Vp8 => Self::WebM,
        }
    }

    /// By what [`Format::mime`] said.
    pub(super) fn of_mime(mime: &str) -> Self {
        if mime.starts_with("video/webm") {
            Self::of(Codec::Vp8)
        } else if mime.starts_with("audio/") {
            Self::of(Codec::Opus)
        } else {
            Self::of(Codec::H264)
        }
    }

    /// The head of a file.
    pub(super) fn head(self, format: &Format) -> Vec<u8> {
        match self {
            Self::Mp4 { timescale } => mp4::head(timescale, format),
            Self::WebM => webm::head(format),
        }
    }

    /// One fragment, the `number`th of its file, counted from 1. `samples` are not empty.
    pub(super) fn fragment(self, number: u32, samples: &[Sample]) -> Vec<u8> {
        match self {
            Self::Mp4 { timescale } => mp4::fragment(timescale, number, samples),
            Self::WebM => webm::fragment(samples),
        }
    }

    /// The frames of a whole fragment.
    pub(super) fn entries(self, fragment: &[u8]) -> Result<Vec<Entry>, Torn> {
        match self {
            Self::Mp4 { timescale } => mp4::entries(timescale, fragment),
            Self::WebM => webm::entries(fragment),
        }
    }

    /// Reads a file up to where it is whole. Fails only where its head is not.
    pub(super) fn contents(self, file: &mut (impl Read + Seek)) -> Result<Contents, Torn> {
        let file_bytes = file.seek(SeekFrom::End(0))?;
        let head_bytes = match self {
            Self::Mp4 { .. } => mp4::head_bytes(file, file_bytes)?,
            Self::WebM => webm::head_bytes(file, file_bytes)?,
        };
        let mut contents = Contents { head_bytes, whole_bytes: head_bytes, ..Contents::default() };
        while contents.whole_bytes < file_bytes {
            match self.next_fragment(file, contents.whole_bytes..file_bytes) {
                Ok((entries, length)) => contents.add(&entries, length),
                Err(Torn::Read(error)) => return Err(Torn::Read(error)),
                Err(Torn::End | Torn::Unexpected(_)) => break,
            }
        }
        Ok(contents)
    }

    /// What the fragment at the start of `range` holds, and its length. Reads what describes the
    /// frames, not the frames, where the format allows it.
    fn next_fragment(
        self,
        file: &mut (impl Read + Seek),
        range: Range<u64>,
    ) -> Result<(Vec<Entry>, u64), Torn> {
        match self {
            Self::Mp4 { timescale } => mp4::next_fragment(timescale, file, range),
            Self::WebM => webm::next_fragment(file, range),
        }
    }
}

impl Contents {
    fn add(&mut self, entries: &[Entry], length: u64) {
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return };
        self.fragments.push(Fragment {
            at_ms: whole_ms(first.time_us),
            offset: self.whole_bytes,
            length,
            keyframe: first.keyframe,
        });
        self.frames += entries.len() as u64;
        self.duration_us = last.time_us + last.duration_us;
        self.whole_bytes += length;
    }
}

/// As times stand in an index: rounded.
pub(super) fn whole_ms(us: u64) -> i64 {
    i64::try_from((us + 500) / 1_000).unwrap_or(i64::MAX)
}

/// Reads `length` bytes at `offset`; fails where the file has no such bytes.
fn read_at(file: &mut (impl Read + Seek), offset: u64, length: u64) -> Result<Vec<u8>, Torn> {
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == length { Ok(bytes) } else { Err(Torn::End) }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use alfarid_stream::{Size, h264::ParameterSets};
    use proptest::prelude::*;

    use super::*;

    const SIZE: Size = Size { width: 1_280, height: 720 };

    fn format(codec: Codec) -> Format {
        match codec {
            Codec::H264 => {
                let mut sets = ParameterSets::default();
                sets.insert(&[0x67, 0x42, 0xe0, 0x1f, 0x8c, 0x8d, 0x40]).unwrap();
                sets.insert(&[0x68, 0xce, 0x3c, 0x80]).unwrap();
                Format::H264 { size: SIZE, sets }
            }
            Codec::Vp8 => Format::Vp8 { size: SIZE },
            Codec::Opus => Format::Opus,
        }
    }

    fn codec() -> impl Strategy<Value = Codec> {
        prop_oneof![Just(Codec::H264), Just(Codec::Vp8), Just(Codec::Opus)]
    }

    /// Fragments of frames that follow each other; whole milliseconds, which every clock holds.
    fn fragments() -> impl Strategy<Value = Vec<Vec<Sample>>> {
        let frame = (1..2_000_u64, any::<bool>(), proptest::collection::vec(any::<u8>(), 1..90));
        let fragment = proptest::collection::vec(frame, 1..9);
        proptest::collection::vec(fragment, 1..9).prop_map(|fragments| {
            let mut time_us = 0;
            let sample = |(ms, keyframe, data): (u64, bool, Vec<u8>)| {
                let duration_us = ms * 1_000;
                let sample = Sample { time_us, duration_us, keyframe, data: data.into() };
                time_us += duration_us;
                sample
            };
            let mut sample = sample;
            fragments.into_iter().map(|f| f.into_iter().map(&mut sample).collect()).collect()
        })
    }

    /// The file, and where each of its fragments ends.
    fn write(codec: Codec, fragments: &[Vec<Sample>]) -> (Vec<u8>, Vec<usize>) {
        let container = Container::of(codec);
        let mut file = container.head(&format(codec));
        let mut ends = vec![file.len()];
        for (number, samples) in (1..).zip(fragments) {
            file.extend(container.fragment(number, samples));
            ends.push(file.len());
        }
        (file, ends)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(codec in codec(), fragments in fragments()) {
            let (file, _) = write(codec, &fragments);
            let container = Container::of(codec);
            let contents = container.contents(&mut Cursor::new(&file)).unwrap();
            prop_assert_eq!(contents.whole_bytes, file.len() as u64);
            let last = fragments.last().and_then(|samples| samples.last()).unwrap();
            prop_assert_eq!(contents.duration_us, last.time_us + last.duration_us);
            prop_assert_eq!(contents.fragments.len(), fragments.len());
            for (found, samples) in contents.fragments.iter().zip(&fragments) {
                let start = usize::try_from(found.offset).unwrap();
                let bytes = &file[start..start + usize::try_from(found.length).unwrap()];
                let read: Vec<_> = container.entries(bytes).unwrap().into_iter().map(|entry| Sample {
                    time_us: entry.time_us,
                    duration_us: entry.duration_us,
                    keyframe: entry.keyframe,
                    data: Bytes::copy_from_slice(&bytes[entry.range]),
                }).collect();
                prop_assert_eq!(&read, samples);
            }
        }

        #[test]
        fn a_file_cut_anywhere_is_whole_up_to_its_last_fragment(
            codec in codec(), fragments in fragments(), cut in any::<prop::sample::Index>(),
        ) {
            let (mut file, ends) = write(codec, &fragments);
            file.truncate(cut.index(file.len()));
            let whole = ends.iter().copied().filter(|&end| end <= file.len()).max();
            let read = Container::of(codec).contents(&mut Cursor::new(&file));
            match whole {
                Some(whole) => prop_assert_eq!(read.unwrap().whole_bytes, whole as u64),
                None => prop_assert!(read.is_err()),
            }
        }

        #[test]
        fn a_tail_of_zeros_or_noise_is_no_fragment(
            codec in codec(), fragments in fragments(), zeros in 1..5_000_usize,
            noise in proptest::collection::vec(any::<u8>(), 0..5_000),
        ) {
            let (mut file, ends) = write(codec, &fragments);
            file.extend(std::iter::repeat_n(0, zeros));
            file.extend(noise);
            let contents = Container::of(codec).contents(&mut Cursor::new(&file)).unwrap();
            prop_assert_eq!(contents.whole_bytes, *ends.last().unwrap() as u64);
        }
    }
}
