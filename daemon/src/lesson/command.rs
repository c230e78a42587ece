//! What the rules are told, and what they decide.

use std::collections::BTreeSet;

use alfarid_protocol::{
    grant::Picture,
    id::{LessonId, PublicationId, TeacherId},
    time::Timestamp,
};

use super::{Colleague, Lesson, LessonChange, Profile, event::Entry};
use crate::{
    broadcast::{PublicationKind, SourceKind},
    identity::Person,
    recording::Fault,
};

#[derive(Clone, Debug)]
pub(super) enum Command {
    Schedule {
        lesson: Box<Lesson>,
        by: Person,
    },
    /// Begins `lesson`, which was not scheduled; `replace` ends first.
    Start {
        lesson: Box<Lesson>,
        by: Person,
        replace: Option<LessonId>,
    },
    StartScheduled {
        lesson: LessonId,
        by: Person,
        /// The class's own teacher.
        own: Option<Colleague>,
        clock_is_sure: bool,
        replace: Option<LessonId>,
    },
    End {
        lesson: LessonId,
        by: Person,
    },
    Cancel {
        lesson: LessonId,
        by: Person,
    },
    TakeOver {
        lesson: LessonId,
        by: Person,
        own: Option<Colleague>,
    },
    Extend {
        lesson: LessonId,
        by: Person,
        minutes: u32,
    },
    Change {
        lesson: LessonId,
        by: Person,
        change: LessonChange,
    },
    /// So many students are present.
    Present {
        lesson: LessonId,
        students: u32,
    },
    /// This is on air in the lesson, or about to be.
    OnAir {
        lesson: LessonId,
        publications: Vec<Publication>,
    },
    /// These teachers have a live page open.
    Here(BTreeSet<TeacherId>),
    /// It does not record any more, whatever was asked for.
    RecordingStopped {
        lesson: LessonId,
        /// Why, if anybody knows.
        fault: Option<Fault>,
    },
    /// Time has passed.
    Tick,
}

/// What somebody has on air.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Publication {
    pub id: PublicationId,
    pub kind: PublicationKind,
    pub source: SourceKind,
    pub by_stream_key: bool,
    pub teacher: TeacherId,
    /// It has shown something.
    pub has_begun: bool,
}

/// What a decision comes to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Effect {
    // To disk, all of one command in one transaction.
    Save(Box<Lesson>),
    Log(Entry),
    /// Moves every lesson, and its events, that began at `from` or later.
    Shift {
        from: Timestamp,
        moved_ms: i64,
    },
    // Asked of the others once that is on disk, in this order.
    Open(Box<Lesson>),
    Close(Box<Lesson>),
    HandOver(LessonId, TeacherId),
    Limit(LessonId, Profile),
    Plan(LessonId, Timestamp),
    Record(Box<Lesson>),
    Retitle(LessonId, String),
    Show(LessonId, Picture),
    /// When it ends by itself is said on every screen; `None`: it does not any more.
    Announce(LessonId, Option<Timestamp>),
    FollowClock,
    Tell(LessonId),
}

impl Command {
    /// The lesson that it is about, where it is about one.
    pub(super) fn lesson(&self) -> Option<LessonId> {
        match self {
            Self::Schedule { lesson, .. } | Self::Start { lesson, .. } => Some(lesson.id),
            Self::StartScheduled { lesson, .. }
            | Self::End { lesson, .. }
            | Self::Cancel { lesson, .. }
            | Self::TakeOver { lesson, .. }
            | Self::Extend { lesson, .. }
            | Self::Change { lesson, .. }
            | Self::Present { lesson, .. }
            | Self::OnAir { lesson, .. }
            | Self::RecordingStopped { lesson, .. } => Some(*lesson),
            Self::Here(_) | Self::Tick => None,
        }
    }
}

impl Effect {
    /// The lesson that it is about, where it is about one.
    pub(super) fn lesson(&self) -> Option<LessonId> {
        match self {
            Self::Save(lesson)
            | Self::Open(lesson)
            | Self::Close(lesson)
            | Self::Record(lesson) => Some(lesson.id),
            Self::Log(entry) => Some(entry.lesson),
            Self::HandOver(lesson, _)
            | Self::Limit(lesson, _)
            | Self::Plan(lesson, _)
            | Self::Retitle(lesson, _)
            | Self::Show(lesson, _)
            | Self::Announce(lesson, _)
            | Self::Tell(lesson) => Some(*lesson),
            Self::Shift { .. } | Self::FollowClock => None,
        }
    }

    /// Whether it is for the disk.
    pub(super) fn is_written(&self) -> bool {
        matches!(self, Self::Save(_) | Self::Log(_) | Self::Shift { .. })
    }
}

/// The lesson that a command was about, as it is now, and what comes of it.
#[derive(Debug)]
pub(super) struct Decision {
    pub lesson: Option<Lesson>,
    pub effects: Vec<Effect>,
}
