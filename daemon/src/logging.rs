//! What the box tells about itself: to the journal under systemd, as text on a terminal.
//!
//! Everything is written by `tracing`. In the journal every value of an event and of the spans
//! around it is a field of its own (`lesson.id` becomes `LESSON_ID`), so that
//! `journalctl LESSON_ID=…` shows one lesson. Never logged, at any level: a student's name, the
//! text of a chat, a secret.

use std::fmt::Write as _;

use log::Log;
use systemd_journal_logger::{JournalLog, connected_to_journal};
use thiserror::Error;
use tracing::{
    Level, Subscriber,
    field::{Field, Visit},
    span,
};
use tracing_subscriber::{
    EnvFilter, Layer, filter::ParseError, layer, layer::SubscriberExt, registry::LookupSpan,
    reload, util::SubscriberInitExt,
};

#[derive(Debug, Error)]
pub enum LoggingError {
    #[error("the log level {level:?} is not one")]
    Level {
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
        registry.with(Journal(journal)).try_init()?;
    } else {
        registry.with(tracing_subscriber::fmt::layer().with_writer(std::io::stderr)).try_init()?;
    }
    Ok(Verbosity(handle))
}

impl Verbosity {
    /// Takes effect at once; a level that is none changes nothing.
    pub fn set(&self, level: &str) -> Result<(), LoggingError> {
        Ok(self.0.reload(parse(level)?)?)
    }
}

fn parse(level: &str) -> Result<EnvFilter, LoggingError> {
    EnvFilter::builder()
        .parse(level)
        .map_err(|source| LoggingError::Level { level: level.to_owned(), source })
}

/// Passes `tracing` events on to the journal with their fields.
struct Journal(JournalLog);

/// The fields of an event or a span, as text.
#[derive(Clone, Debug, Default)]
struct Fields {
    message: String,
    pairs: Vec<(String, String)>,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.pairs.push((field.name().to_owned(), value.to_owned()));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            // Writing to a String cannot fail.
            let _ = write!(self.message, "{value:?}");
        } else {
            self.pairs.push((field.name().to_owned(), format!("{value:?}")));
        }
    }
}

impl<S> Layer<S> for Journal
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(
        &self,
        attributes: &span::Attributes<'_>,
        id: &span::Id,
        context: layer::Context<'_, S>,
    ) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_event(&self, event: &tracing::Event<'_>, context: layer::Context<'_, S>) {
        let mut fields = Fields::default();
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(around) = span.extensions().get::<Fields>() {
                fields.pairs.extend(around.pairs.iter().cloned());
            }
        }
        event.record(&mut fields);
        let meta = event.metadata();
        self.0.log(
            &log::Record::builder()
                .args(format_args!("{}", fields.message))
                .level(priority(*meta.level()))
                .target(meta.target())
                .file(meta.file())
                .line(meta.line())
                .module_path(meta.module_path())
                .key_values(&fields.pairs)
                .build(),
        );
    }
}

fn priority(level: Level) -> log::Level {
    match level {
        Level::ERROR => log::Level::Error,
        Level::WARN => log::Level::Warn,
        Level::INFO => log::Level::Info,
        Level::DEBUG => log::Level::Debug,
        Level::TRACE => log::Level::Trace,
    }
}
