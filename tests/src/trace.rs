//! What a machine showed: the file that `alfarid-player --sink null --trace FILE` appends to.
//!
//! One record a frame, little-endian:
//!
//! ```text
//!   u64 shown_at   CLOCK_MONOTONIC, ns        u16 width, u16 height   of the picture itself
//!   u64 rtp_time   unwrapped                  160 x 90 bytes          the picture, small and grey
//! ```
//!
//! A player that is killed may leave half a record at the end: it is not read.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};

use crate::{marker, until::eventually};

/// The size of the small picture.
pub const WIDTH: usize = 160;
pub const HEIGHT: usize = 90;

const HEADER: usize = 8 + 8 + 2 + 2;
const RECORD: usize = HEADER + WIDTH * HEIGHT;

/// A frame that was shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// `CLOCK_MONOTONIC`: one clock for every machine of the lab.
    pub at: Duration,
    pub rtp_time: u64,
    pub width: u16,
    pub height: u16,
    /// The counter of the shared screen, where it could be read.
    pub counter: Option<u32>,
}

/// Every frame so far. A file that is not there yet has none.
pub fn read(path: &Path) -> Result<Vec<Shown>> {
    match fs::read(path) {
        Ok(bytes) => Ok(bytes.chunks_exact(RECORD).filter_map(parse).collect()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
    }
}

fn parse(record: &[u8]) -> Option<Shown> {
    let (at, rest) = record.split_first_chunk()?;
    let (rtp_time, rest) = rest.split_first_chunk()?;
    let (width, rest) = rest.split_first_chunk()?;
    let (height, picture) = rest.split_first_chunk()?;
    Some(Shown {
        at: Duration::from_nanos(u64::from_le_bytes(*at)),
        rtp_time: u64::from_le_bytes(*rtp_time),
        width: u16::from_le_bytes(*width),
        height: u16::from_le_bytes(*height),
        counter: marker::read(picture, WIDTH, HEIGHT),
    })
}

/// A trace that is being written.
#[derive(Clone, Debug)]
pub struct Trace {
    path: PathBuf,
}

impl Trace {
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn read(&self) -> Result<Vec<Shown>> {
        read(&self.path)
    }

    /// The number of frames so far, without reading their pictures.
    pub fn frames(&self) -> Result<usize> {
        match fs::metadata(&self.path) {
            Ok(file) => Ok(usize::try_from(file.len())? / RECORD),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until `count` frames more than now are on show.
    pub async fn wait_for_more(&self, count: usize, limit: Duration) -> Result<()> {
        let wanted = self.frames()? + count;
        eventually(&format!("{count} more frames in {}", self.path.display()), limit, async || {
            match self.frames()? {
                frames if frames >= wanted => Ok(()),
                frames => bail!("{} are still to come", wanted - frames),
            }
        })
        .await
    }

    /// Waits for a frame that is it, among those shown from now on; returns the first such one.
    pub async fn wait_for(
        &self,
        mut is_it: impl FnMut(&Shown) -> bool,
        limit: Duration,
    ) -> Result<Shown> {
        let mut looked_at = self.frames()?;
        eventually(&format!("a frame in {}", self.path.display()), limit, async || {
            let fresh = self.read_from(looked_at)?;
            looked_at += fresh.len();
            let passed = fresh.len();
            let found = fresh.into_iter().find(&mut is_it);
            found.with_context(|| format!("{passed} frames came last, none was it"))
        })
        .await
    }

    fn read_from(&self, first: usize) -> Result<Vec<Shown>> {
        use std::io::{Read, Seek, SeekFrom};

        if self.frames()? <= first {
            return Ok(Vec::new());
        }
        let mut file = fs::File::open(&self.path)?;
        file.seek(SeekFrom::Start(u64::try_from(first * RECORD)?))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes.chunks_exact(RECORD).filter_map(parse).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(nanoseconds: u64) -> Vec<u8> {
        let mut record = nanoseconds.to_le_bytes().to_vec();
        record.extend(90_000_u64.to_le_bytes());
        record.extend(1280_u16.to_le_bytes());
        record.extend(720_u16.to_le_bytes());
        record.resize(RECORD, 0);
        record
    }

    #[test]
    fn whole_records_are_read_and_half_of_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trace");
        let bytes = [record(1), record(2), record(3)[..100].to_vec()].concat();
        fs::write(&path, bytes).unwrap();

        let shown = read(&path).unwrap();

        assert_eq!(shown.len(), 2);
        let last = &shown[1];
        assert_eq!((last.at, last.rtp_time), (Duration::from_nanos(2), 90_000));
        assert_eq!((last.width, last.height, last.counter), (1280, 720, None));
    }

    #[test]
    fn a_trace_that_was_not_begun_has_no_frames() {
        let dir = tempfile::tempdir().unwrap();
        let trace = Trace::at(dir.path().join("trace"));

        assert_eq!((trace.frames().unwrap(), trace.read().unwrap().len()), (0, 0));
    }

    #[tokio::test]
    async fn frames_that_were_there_before_are_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let trace = Trace::at(dir.path().join("trace"));
        fs::write(trace.path(), record(1)).unwrap();
        let both = async {
            let found = trace.wait_for(|_| true, Duration::from_secs(5)).await.unwrap();
            assert_eq!(found.at, Duration::from_nanos(2));
        };
        let writer = async {
            fs::write(trace.path(), [record(1), record(2)].concat()).unwrap();
        };

        tokio::join!(both, writer);
    }
}
