//! What a machine says, read from text, and how much of it is listened to.

use std::time::Duration;

use alfarid_protocol::control::FromMachine;
use serde::Deserialize;

/// Messages that this build knows by name. Others are a newer peer's and are passed over.
const KNOWN: &[&str] = &["hello", "enrol", "ping", "marks", "want_kept", "report"];

/// One text message.
#[derive(Debug)]
pub(super) enum Heard {
    Message(FromMachine),
    /// A newer peer says something that this build does not know.
    Unknown,
    Nonsense(serde_json::Error),
}

pub(super) fn read(text: &str) -> Heard {
    #[derive(Deserialize)]
    struct Tag {
        r#type: String,
    }
    match serde_json::from_str(text) {
        Ok(message) => Heard::Message(message),
        Err(error) => match serde_json::from_str::<Tag>(text) {
            Ok(tag) if !KNOWN.contains(&tag.r#type.as_str()) => Heard::Unknown,
            _ => Heard::Nonsense(error),
        },
    }
}

/// How many messages a machine may send: a bucket that fills by [`Patience::PER_SECOND`].
///
/// An honest machine sends two a second, and a few dozen at once when it comes back after an hour
/// away with its journal.
#[derive(Debug)]
pub(super) struct Patience {
    left: f64,
    at: Duration,
}

impl Patience {
    const PER_SECOND: f64 = 20.0;
    const AT_ONCE: f64 = 200.0;

    pub(super) fn new(now: Duration) -> Self {
        Self { left: Self::AT_ONCE, at: now }
    }

    /// Takes one message. `false`: that was one too many.
    pub(super) fn bear(&mut self, now: Duration) -> bool {
        let since = now.saturating_sub(self.at).as_secs_f64();
        self.at = now;
        self.left = (self.left + since * Self::PER_SECOND).min(Self::AT_ONCE) - 1.0;
        self.left >= 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_message_is_passed_over_and_nonsense_is_not() {
        assert!(matches!(read(r#"{"type":"dance","fast":true}"#), Heard::Unknown));
        assert!(matches!(read(r#"{"type":"ping"}"#), Heard::Nonsense(_)));
        assert!(matches!(read("hello"), Heard::Nonsense(_)));
        let more = r#"{"type":"want_kept","serial":1,"video_from":null,"audio_from":7,"x":1}"#;
        assert!(matches!(
            read(more),
            Heard::Message(FromMachine::WantKept { serial: 1, video_from: None, .. })
        ));
    }

    #[test]
    fn a_flood_is_not_borne_and_an_honest_pace_is() {
        let mut patience = Patience::new(Duration::ZERO);
        assert!((0..200).all(|_| patience.bear(Duration::ZERO)));
        assert!(!patience.bear(Duration::ZERO));
        let mut patience = Patience::new(Duration::ZERO);
        assert!((0..10_000).all(|n| patience.bear(Duration::from_millis(n * 100))));
    }
}
