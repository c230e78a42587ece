//! A sink without a window, for tests and benches: it counts, and writes down what it would show.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::mpsc,
    time::Duration,
};

use alfarid_agent::clock;
use thiserror::Error;

use crate::{
    decode::Picture,
    scale::{ScaleError, Scaler},
    screen::Screen,
    view::{Area, Size},
};

/// The size of the small picture in each record of a trace.
const SMALL: Size = (160, 90);

/// Nothing is missed by looking again after so long: everything wakes the sink.
const LOOK_AGAIN: Duration = Duration::from_mins(1);

#[derive(Debug, Error)]
pub(crate) enum NullError {
    #[error("open the trace {path}")]
    Open { path: PathBuf, source: io::Error },
    #[error("write the trace")]
    Write(#[source] io::Error),
    #[error("make a small picture for the trace")]
    Scale(#[from] ScaleError),
}

/// Shows every picture when its moment comes, to nobody. Blocks until the player ends.
pub(crate) fn run(
    screen: &Screen,
    woken: &mpsc::Receiver<()>,
    mut trace: Option<Trace>,
) -> Result<(), NullError> {
    while !screen.has_ended() {
        let now = clock::monotonic();
        match screen.next(now) {
            Ok(picture) => {
                if let Some(trace) = &mut trace {
                    trace.write(now, &picture)?;
                }
            }
            Err(due) => {
                let wait = due.map_or(LOOK_AGAIN, |due| due.saturating_sub(now));
                // Woken or not: the next round looks.
                let _ = woken.recv_timeout(wait);
            }
        }
    }
    Ok(())
}

/// A record for each picture that was on show, little-endian: `CLOCK_MONOTONIC` in nanoseconds
/// (u64), RTP time (u64), width and height (u16), then the picture at 160×90 in grey.
pub(crate) struct Trace {
    file: File,
    scaler: Scaler,
}

impl Trace {
    pub(crate) fn open(path: &Path) -> Result<Self, NullError> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .map_err(|source| NullError::Open { path: path.to_owned(), source })?;
        Ok(Self { file, scaler: Scaler::default() })
    }

    /// One write for each record: a reader never sees half of one.
    fn write(&mut self, now: Duration, picture: &Picture) -> Result<(), NullError> {
        let (width, height) = picture.size();
        let short = |length: u32| u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes();
        let nanos = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let mut record = Vec::with_capacity(20 + (SMALL.0 * SMALL.1) as usize);
        record.extend_from_slice(&nanos.to_le_bytes());
        record.extend_from_slice(&picture.timestamp.to_le_bytes());
        record.extend_from_slice(&short(width));
        record.extend_from_slice(&short(height));
        let whole = Area { x: 0, y: 0, width, height };
        for row in self.scaler.scale(picture, whole, SMALL)?.grey() {
            record.extend_from_slice(row);
        }
        self.file.write_all(&record).map_err(NullError::Write)
    }
}
