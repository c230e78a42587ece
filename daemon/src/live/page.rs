//! Whose page has the live channel, and what it may hear: a teacher's everything, a student's what
//! is theirs.

use std::time::Duration;

use super::Here;
use crate::{attendance, events::Event};

/// Of a student's page, which is counted up to its last sign of life: a browser that is there
/// answers every ping, and may miss one.
const SILENT: Duration = Duration::from_secs(25);

/// One open page; dropping it is leaving.
pub(super) enum Page {
    Teacher { _here: Here },
    Student(attendance::Page),
}

impl Page {
    /// Whether what everybody is told is for this page too.
    pub(super) fn may_hear(&self, event: &Event) -> bool {
        match (self, event) {
            (Self::Teacher { .. }, _) | (_, Event::Hello { .. } | Event::Resync | Event::Bye) => {
                true
            }
            (
                Self::Student(page),
                Event::LessonChanged { lesson_id }
                | Event::StreamChanged { lesson_id }
                | Event::RecordingChanged { lesson_id, .. }
                | Event::RecordingGrew { lesson_id, .. },
            ) => page.lesson() == Some(*lesson_id),
            (Self::Student(_), _) => false,
        }
    }

    /// What this page alone is told: a lesson of the student's has begun or is over. Cancel-safe.
    pub(super) async fn own(&mut self) -> Event {
        match self {
            Self::Teacher { .. } => std::future::pending().await,
            Self::Student(page) => Event::LessonChanged { lesson_id: page.turned().await },
        }
    }

    /// It said something, if only that it is there.
    pub(super) fn heard(&mut self) {
        if let Self::Student(page) = self {
            page.heard();
        }
    }

    /// Nobody is there any more, whatever the connection looks like.
    pub(super) fn is_silent(&self) -> bool {
        matches!(self, Self::Student(page) if page.silent_for() > SILENT)
    }
}
