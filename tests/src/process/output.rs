//! What a process printed: the newest lines in memory, all of them in a file.

use std::{
    collections::VecDeque,
    fmt::Write as _,
    fs::File,
    io::Write as _,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader},
    runtime::Handle,
    sync::watch,
    task::JoinHandle,
};

/// Beyond these bytes the oldest lines go. A test that scans lines as they come misses none
/// unless a process prints this much between two turns of the runtime.
const KEPT_BYTES: usize = 4 << 20;

/// A longer line is taken as several.
const LONGEST_LINE: u64 = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Err,
    Out,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Counted from 0 over all lives of the process.
    pub number: u64,
    pub is_error_stream: bool,
    pub text: String,
}

#[derive(Debug)]
pub(super) struct Output {
    kept: Mutex<Kept>,
    /// The number of lines so far.
    news: watch::Sender<u64>,
}

#[derive(Debug)]
struct Kept {
    lines: VecDeque<Line>,
    bytes: usize,
    count: u64,
    file: File,
}

impl Output {
    pub(super) fn new(path: &Path) -> Result<Self> {
        let file = File::options().create(true).append(true).open(path);
        let file = file.with_context(|| format!("open {}", path.display()))?;
        let kept = Kept { lines: VecDeque::new(), bytes: 0, count: 0, file };
        Ok(Self { kept: Mutex::new(kept), news: watch::channel(0).0 })
    }

    pub(super) fn count(&self) -> u64 {
        self.kept().count
    }

    pub(super) fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// The first kept line from `number` on that is it, and the number of the first line that
    /// was not looked at.
    pub(super) fn find(
        &self,
        number: u64,
        mut is_it: impl FnMut(&str) -> bool,
    ) -> (Option<Line>, u64) {
        let kept = self.kept();
        let mut candidates = kept.lines.iter().filter(|line| line.number >= number);
        let found = candidates.find(|line| is_it(&line.text)).cloned();
        let next = found.as_ref().map_or(kept.count, |line| line.number + 1);
        (found, next)
    }

    pub(super) fn last(&self, count: usize) -> String {
        let kept = self.kept();
        let skipped = kept.lines.len().saturating_sub(count);
        kept.lines.iter().skip(skipped).fold(String::new(), |mut text, line| {
            let mark = if line.is_error_stream { '!' } else { ' ' };
            let _ = writeln!(text, "  {mark} {}", line.text);
            text
        })
    }

    /// Takes in a pipe, line by line, to its end.
    pub(super) fn follow(
        self: &Arc<Self>,
        runtime: &Handle,
        stream: Stream,
        pipe: impl AsyncRead + Send + Unpin + 'static,
    ) -> JoinHandle<()> {
        let output = Arc::clone(self);
        runtime.spawn(async move {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            loop {
                let mut one = (&mut pipe).take(LONGEST_LINE);
                if !one.read_until(b'\n', &mut line).await.is_ok_and(|read| read > 0) {
                    break;
                }
                output.add(stream, &String::from_utf8_lossy(&line));
                line.clear();
            }
        })
    }

    fn add(&self, stream: Stream, line: &str) {
        let text = line.trim_end_matches(['\r', '\n']).to_owned();
        let mut kept = self.kept();
        // A full disk is no reason to lose the lines in memory.
        let _ = writeln!(kept.file, "{text}");
        let number = kept.count;
        kept.count += 1;
        kept.bytes += text.len();
        kept.lines.push_back(Line { number, is_error_stream: stream == Stream::Err, text });
        while kept.bytes > KEPT_BYTES
            && let Some(oldest) = kept.lines.pop_front()
        {
            kept.bytes -= oldest.text.len();
        }
        let count = kept.count;
        drop(kept);
        self.news.send_replace(count);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_and_numbers_go_on() {
        let dir = tempfile::tempdir().unwrap();
        let output = Output::new(&dir.path().join("log")).unwrap();
        let long = "x".repeat(KEPT_BYTES / 4);
        for _ in 0..10 {
            output.add(Stream::Out, &long);
        }

        let (oldest, next) = output.find(0, |_| true);

        assert_eq!(oldest.unwrap().number, 6);
        assert_eq!(next, 7);
        assert_eq!(output.count(), 10);
    }

    #[test]
    fn lines_of_standard_error_are_marked() {
        let dir = tempfile::tempdir().unwrap();
        let output = Output::new(&dir.path().join("log")).unwrap();
        output.add(Stream::Out, "said\n");
        output.add(Stream::Err, "cried\r\n");

        assert_eq!(output.last(2), "    said\n  ! cried\n");
    }
}
