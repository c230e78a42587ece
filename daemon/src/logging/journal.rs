//! Events as journal entries: one field for each value of the event and of the spans around it.

use std::fmt::Write as _;

use log::Log;
use systemd_journal_logger::JournalLog;
use tracing::{
    Level, Subscriber,
    field::{Field, Visit},
    span,
};
use tracing_subscriber::{
    Layer, layer,
    registry::{LookupSpan, Scope},
};

/// Passes `tracing` events on to the journal with their fields.
pub(super) struct Journal(JournalLog);

impl Journal {
    pub(super) fn new(journal: JournalLog) -> Self {
        Self(journal)
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
        let spans = context.event_scope(event).into_iter().flat_map(Scope::from_root);
        for span in spans {
            if let Some(around) = span.extensions().get::<Fields>() {
                around.pairs.iter().cloned().for_each(|(name, value)| fields.put(name, value));
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

/// The fields of an event or a span, as text.
#[derive(Clone, Debug, Default)]
struct Fields {
    message: String,
    pairs: Vec<(&'static str, String)>,
}

impl Fields {
    /// The journal keeps every value of a name that is said twice, and is searched by each of
    /// them; what is said nearest to the event is what it is about.
    fn put(&mut self, name: &'static str, value: String) {
        match self.pairs.iter_mut().find(|(known, _)| *known == name) {
            Some((_, farther)) => *farther = value,
            None => self.pairs.push((name, value)),
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.put(field.name(), value.to_owned());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            // Writing to a String cannot fail.
            let _ = write!(self.message, "{value:?}");
        } else {
            self.put(field.name(), format!("{value:?}"));
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_name_that_is_said_twice_the_nearest_value_counts() {
        let mut fields = Fields::default();
        fields.put("lesson.id", "the one that runs".to_owned());
        fields.put("recording.id", "its recording".to_owned());
        fields.put("lesson.id", "the one it replaces".to_owned());
        let expected = [("lesson.id", "the one it replaces"), ("recording.id", "its recording")];
        assert_eq!(fields.pairs, expected.map(|(name, value)| (name, value.to_owned())));
    }
}
