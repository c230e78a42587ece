//! What the box tells about itself: to the journal under systemd, as text on a terminal.
//!
//! Everything is written by `tracing`. In the journal every value of an event and of the spans
//! around it is a field of its own (`lesson.id` becomes `LESSON_ID`), so that
//! `journalctl LESSON_ID=…` shows one lesson, whichever part of the box had something to say. For
//! that, a task that works for one lesson runs in the span [`lesson`], and what it hands to a
//! thread goes by [`spawn_blocking`].
//!
//! Never logged, at any level: a student's name, the text of a chat, a secret. (The claim code of
//! a new box is no secret of anybody's yet: the log is where it is meant to be found.)

mod journal;

use std::{
    error::Error,
    fmt::Write as _,
    io::{self, IsTerminal, Write as _},
};

use alfarid_protocol::id::{LessonId, RecordingId};
use systemd_journal_logger::{JournalLog, connected_to_journal};
use thiserror::Error;
use tokio::task::JoinHandle;
use tracing::Span;
use tracing_subscriber::{
    EnvFilter, filter::ParseError, layer::SubscriberExt, reload, util::SubscriberInitExt,
};

use self::journal::Journal;

/// What a level may be.
const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

/// Libraries that write down, at their most talkative, what passes through them: a machine's first
/// message has the secret of its site token, an offer has the password of its session.
const TALKERS: &str = "is=info,tokio_tungstenite=info,tungstenite=info";

#[derive(Debug, Error)]
pub enum LoggingError {
    #[error(
        "{word:?} is no log level: it is error, warn, info, debug, trace or off, for all parts or \
         for one, as in \"info,alfarid_daemon::broadcast=debug\""
    )]
    Level { word: String },
    #[error("the log level {level:?} cannot be read")]
    Directive {
        level: String,
        #[source]
        source: ParseError,
    },
    #[error("cannot reach the journal")]
    Journal(#[source] std::io::Error),
    #[error("logging was already started")]
    Started(#[from] tracing_subscriber::util::TryInitError),
    #[error("logging was never started")]
    NotStarted(#[from] reload::Error),
}

type Filter = reload::Handle<EnvFilter, tracing_subscriber::Registry>;

/// Changes the level of a running daemon.
#[derive(Debug)]
pub struct Verbosity(Filter);

/// Starts logging for the whole process; once.
pub fn start(level: &str) -> Result<Verbosity, LoggingError> {
    let (filter, handle) = reload::Layer::new(parse(level)?);
    let registry = tracing_subscriber::registry().with(filter);
    if connected_to_journal() {
        let journal = JournalLog::new().map_err(LoggingError::Journal)?;
        registry.with(Journal::new(journal)).try_init()?;
    } else {
        let to_terminal = tracing_subscriber::fmt::layer().with_writer(io::stderr);
        registry.with(to_terminal.with_ansi(io::stderr().is_terminal())).try_init()?;
    }
    Ok(Verbosity(handle))
}

/// Says something to whoever stands before the box: what is logged goes to the journal alone, while
/// the unit gives the standard output to the console too. Elsewhere the log is read as it is
/// written.
pub fn tell_console(line: &str) {
    if connected_to_journal() {
        // Without a console nobody stands there.
        let _ = writeln!(io::stdout(), "{line}");
    }
}

impl Verbosity {
    /// Takes effect at once; a level that is none changes nothing.
    pub fn set(&self, level: &str) -> Result<(), LoggingError> {
        Ok(self.0.reload(parse(level)?)?)
    }
}

/// The span of a lesson: what is logged in it is found by the lesson's id.
///
/// Its own level is the highest. A span that the log's level hides would take the id from the
/// warnings that the level lets through.
pub fn lesson(id: LessonId) -> Span {
    tracing::error_span!("lesson", lesson.id = %id)
}

/// The span of what is about one lesson or, with `None`, about all of them or none.
pub fn of(id: Option<LessonId>) -> Span {
    id.map_or_else(Span::none, lesson)
}

/// The span of a recording, inside its lesson's.
pub fn recording(id: RecordingId, of: LessonId) -> Span {
    let lesson = lesson(of);
    tracing::error_span!(parent: &lesson, "recording", recording.id = %id)
}

/// [`tokio::task::spawn_blocking`] in the caller's span, of which a thread knows nothing by itself.
pub fn spawn_blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    let span = Span::current();
    tokio::task::spawn_blocking(move || span.in_scope(work))
}

/// An error and all its causes on one line.
pub fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        // Writing to a String cannot fail.
        let _ = write!(line, ": {inner}");
        cause = inner.source();
    }
    line
}

/// Whether [`start`] would take `level`.
pub fn check(level: &str) -> Result<(), LoggingError> {
    parse(level).map(drop)
}

fn parse(level: &str) -> Result<EnvFilter, LoggingError> {
    for directive in level.split(',') {
        // The filter's own parser takes a word that is no level for the name of a part, and then
        // shows that part alone: with "inof" a box would fall silent.
        let word = directive.rsplit('=').next().unwrap_or(directive).trim();
        if !LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word)) {
            return Err(LoggingError::Level { word: word.to_owned() });
        }
    }
    EnvFilter::builder()
        .parse(format!("{level},{TALKERS}"))
        .map_err(|source| LoggingError::Directive { level: level.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use tracing::dispatcher::{Dispatch, with_default};

    use super::*;

    #[test]
    fn a_level_is_for_all_parts_or_for_one() {
        for level in ["warn", "DEBUG", "info,alfarid_daemon::broadcast=debug", "off,str0m=error"] {
            assert!(check(level).is_ok(), "{level}");
        }
    }

    #[test]
    fn a_word_that_is_no_level_is_refused_by_name() {
        for level in ["inof", "info,alfarid_daemon=loud", ""] {
            let error = check(level).unwrap_err().to_string();
            assert!(error.contains("is no log level") && error.contains("error, warn"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_thread_works_in_its_callers_span() {
        let log = Dispatch::new(tracing_subscriber::registry());
        let _started = tracing::dispatcher::set_default(&log);
        let span = lesson(LessonId(uuid::Uuid::nil()));
        // The thread has the same log: `start` would have seen to that.
        let current = move || with_default(&log, || Span::current().id());
        let worked = span.in_scope(|| spawn_blocking(current));
        assert_eq!(worked.await.unwrap(), span.id());
    }
}
