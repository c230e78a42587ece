//! What a student sees, decided from what the agent says. Pure.
//!
//! | told by the agent | a picture is there | none yet |
//! |---|---|---|
//! | no lesson, or no box that serves this machine | a calm line | a calm line |
//! | live | the picture | title, and that the screen will come |
//! | live, nobody on air | the last picture, and a note | title, and that the screen will come |
//! | frozen | the picture of that moment | as for live |
//! | blank | dark, one line | dark, one line |
//!
//! A lesson that will end by itself, for no teacher is there, says so in the place of any line of
//! these, and under a picture too. When, nobody can say here: this machine's clock is its own.
//!
//! The recording mark stands on all of them while the lesson is recorded.

use alfarid_agent::feed::Idle;
use alfarid_protocol::{
    control::RefusalCode,
    grant::{Picture, Stage},
};

use crate::catalogue::Line;

/// What the agent has said last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Idle(Idle),
    Lesson(Stage),
}

impl Default for Status {
    fn default() -> Self {
        Self::Idle(Idle::default())
    }
}

/// What stands on the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scene {
    pub(crate) ground: Ground,
    pub(crate) recording: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ground {
    /// A calm line, under the lesson's title if there is one.
    Calm {
        title: Option<String>,
        line: Line,
    },
    /// The same on black: eyes to the front.
    Dark(Line),
    Picture {
        note: Option<Line>,
    },
}

impl Scene {
    pub(crate) fn of(status: &Status, has_picture: bool) -> Self {
        match status {
            Status::Idle(idle) => {
                let line = match idle {
                    Idle::NoLesson => Line::NoLesson,
                    Idle::NoBox => Line::NoBox,
                    Idle::NotEnrolled => Line::NotEnrolled,
                    Idle::NotLetIn => Line::NotLetIn,
                    Idle::Refused(RefusalCode::AgentTooOld) => Line::AgentTooOld,
                    Idle::Refused(RefusalCode::BoxTooOld) => Line::BoxTooOld,
                    Idle::Refused(_) => Line::Refused,
                };
                Self { ground: Ground::Calm { title: None, line }, recording: false }
            }
            Status::Lesson(stage) => {
                Self { ground: Self::ground(stage, has_picture), recording: stage.recording }
            }
        }
    }

    fn ground(stage: &Stage, has_picture: bool) -> Ground {
        let ending = stage.ends_by_itself_at.map(|_| Line::EndsByItself);
        match stage.picture {
            Picture::Blank => Ground::Dark(ending.unwrap_or(Line::EyesOnTeacher)),
            Picture::Live | Picture::Frozen if !has_picture => {
                let title = stage.title.trim();
                let title = (!title.is_empty()).then(|| title.to_owned());
                Ground::Calm { title, line: ending.unwrap_or(Line::ScreenExpected) }
            }
            Picture::Live if !stage.on_air => {
                Ground::Picture { note: Some(ending.unwrap_or(Line::ScreenGone)) }
            }
            Picture::Live | Picture::Frozen => Ground::Picture { note: ending },
        }
    }
}

#[cfg(test)]
mod tests {
    use alfarid_protocol::{id::LessonId, time::Timestamp};

    use super::*;

    fn stage(picture: Picture, on_air: bool) -> Stage {
        Stage {
            lesson: LessonId(uuid::Uuid::nil()),
            title: "Algebra".into(),
            picture,
            recording: true,
            on_air,
            ends_by_itself_at: None,
        }
    }

    fn lesson(picture: Picture, on_air: bool) -> Status {
        Status::Lesson(stage(picture, on_air))
    }

    fn ground(status: &Status, has_picture: bool) -> Ground {
        Scene::of(status, has_picture).ground
    }

    #[test]
    fn each_word_of_the_teacher_has_its_scene() {
        let title = Some("Algebra".to_owned());
        let expected = Ground::Calm { title, line: Line::ScreenExpected };
        assert_eq!(ground(&lesson(Picture::Live, true), false), expected);
        assert_eq!(ground(&lesson(Picture::Frozen, true), false), expected);
        let picture = Ground::Picture { note: None };
        assert_eq!(ground(&lesson(Picture::Live, true), true), picture);
        assert_eq!(ground(&lesson(Picture::Frozen, false), true), picture);
        let gone = Ground::Picture { note: Some(Line::ScreenGone) };
        assert_eq!(ground(&lesson(Picture::Live, false), true), gone);
        let dark = Ground::Dark(Line::EyesOnTeacher);
        assert_eq!(ground(&lesson(Picture::Blank, true), true), dark);
    }

    /// The teacher has gone: whoever sits there is told in every scene.
    #[test]
    fn a_lesson_that_ends_by_itself_says_so_whatever_it_shows() {
        for picture in [Picture::Live, Picture::Blank, Picture::Frozen] {
            for (on_air, has_picture) in [(false, false), (false, true), (true, true)] {
                let ends_by_itself_at = Some(Timestamp(1_800_000_000_000));
                let ending = Stage { ends_by_itself_at, ..stage(picture, on_air) };
                let status = Status::Lesson(ending);
                let line = match ground(&status, has_picture) {
                    Ground::Calm { line, .. } | Ground::Dark(line) => Some(line),
                    Ground::Picture { note } => note,
                };
                assert_eq!(line, Some(Line::EndsByItself), "{picture:?}");
            }
        }
    }

    #[test]
    fn a_machine_that_is_not_served_says_what_is_missing() {
        for (idle, line) in [
            (Idle::NotEnrolled, Line::NotEnrolled),
            (Idle::NotLetIn, Line::NotLetIn),
            (Idle::Refused(RefusalCode::AgentTooOld), Line::AgentTooOld),
            (Idle::Refused(RefusalCode::BoxTooOld), Line::BoxTooOld),
            (Idle::Refused(RefusalCode::MachineRevoked), Line::Refused),
        ] {
            assert_eq!(ground(&Status::Idle(idle), true), Ground::Calm { title: None, line });
        }
    }

    #[test]
    fn the_recording_mark_stands_on_every_scene_of_the_lesson_and_on_no_other() {
        for picture in [Picture::Live, Picture::Blank, Picture::Frozen] {
            for has_picture in [false, true] {
                assert!(Scene::of(&lesson(picture, true), has_picture).recording);
            }
        }
        assert!(!Scene::of(&Status::default(), true).recording);
    }
}
