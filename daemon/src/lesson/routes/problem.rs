//! What can go wrong with lessons, as pages and programs see it.

use serde_json::{Value, json};

use crate::{http::Problem, lesson::Error};

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        match error {
            Error::AlreadyRunning(running) => {
                let lesson = serde_json::to_value(running).unwrap_or(Value::Null);
                about(Self::conflict("lesson_already_running", detail), lesson)
            }
            Error::Attendance(_) | Error::Db(_) => Self::internal(&error),
            Error::Invalid(invalid) => invalid.into(),
            Error::MachineElsewhere(_) => Self::unprocessable("machine_elsewhere", detail),
            Error::NoSuchClass(_) => Self::not_found("no_such_class", detail),
            Error::NoSuchLesson(_) => Self::not_found("no_such_lesson", detail),
            Error::NoSuchRoom(_) => Self::not_found("no_such_room", detail),
            Error::NotActive(_) => Self::conflict("lesson_not_active", detail),
            Error::NotInTheWay(_) => Self::conflict("lesson_not_in_the_way", detail),
            Error::NotScheduled(_) => Self::conflict("lesson_not_scheduled", detail),
            Error::NotYours(_) => Self::forbidden("not_your_lesson", detail),
            Error::NotRecorded(cause) => cause.into(),
            Error::RoomBusy(other) => {
                let lesson = json!({
                    "id": other.id,
                    "teacher_name": other.teacher_name,
                    "class_name": other.class_name,
                });
                about(Self::conflict("room_busy", detail), lesson)
            }
            Error::Stopped => Self::unavailable("stopping", detail),
        }
    }
}

fn about(mut problem: Problem, lesson: Value) -> Problem {
    problem.lesson = Some(lesson);
    problem
}
