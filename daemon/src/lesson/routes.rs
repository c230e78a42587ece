//! Lessons over HTTP.

use alfarid_protocol::id::{ClassId, LessonId, MachineId, RoomId};
use axum::{
    Json,
    extract::{FromRef, Path, State},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Error, Handle, Lesson, Plan};
use crate::{
    http::Problem,
    identity::{self, Signed},
};

pub fn routes<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    Handle: FromRef<S>,
    identity::Handle: FromRef<S>,
{
    OpenApiRouter::new().routes(routes!(start)).routes(routes!(end))
}

#[derive(Debug, Deserialize, ToSchema)]
pub struct StartLesson {
    class_id: ClassId,
    room_id: RoomId,
    title: Option<String>,
    duration_minutes: Option<u32>,
    machine_ids: Option<Vec<MachineId>>,
    recording: Option<bool>,
    /// A lesson that stands in the way: it ends and this one starts, in one step.
    replace_lesson_id: Option<LessonId>,
}

/// Starts a lesson now.
#[utoipa::path(
    post, path = "/api/v1/lessons/start", tag = "lesson", operation_id = "start_lesson",
    request_body = StartLesson,
    responses(
        (status = 201, body = Lesson),
        (status = 401, body = Problem, description = "not_signed_in"),
        (status = 404, body = Problem, description = "class_not_found, room_not_found"),
        (status = 409, body = Problem, description = "lesson_already_running, room_busy"),
    )
)]
async fn start(
    State(lessons): State<Handle>,
    Signed(by): Signed,
    Json(body): Json<StartLesson>,
) -> Result<(StatusCode, Json<Lesson>), Problem> {
    let plan = Plan {
        class: body.class_id,
        room: body.room_id,
        title: body.title,
        duration_minutes: body.duration_minutes,
        machines: body.machine_ids,
        recording: body.recording,
    };
    let lesson = lessons.start(plan, by, body.replace_lesson_id).await?;
    Ok((StatusCode::CREATED, Json(lesson)))
}

/// Ends a lesson.
#[utoipa::path(
    post, path = "/api/v1/lessons/{id}/end", tag = "lesson", operation_id = "end_lesson",
    params(("id" = LessonId, Path)),
    responses(
        (status = 200, body = Lesson),
        (status = 401, body = Problem, description = "not_signed_in"),
        (status = 403, body = Problem, description = "lesson_not_yours"),
        (status = 409, body = Problem, description = "lesson_not_active"),
    )
)]
async fn end(
    State(lessons): State<Handle>,
    Signed(by): Signed,
    Path(id): Path<LessonId>,
) -> Result<Json<Lesson>, Problem> {
    Ok(Json(lessons.end(id, by).await?))
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Db(_) => Self::internal(&error),
            Error::NoSuchLesson(_) => Self::not_found("lesson_not_found", error.to_string()),
            Error::NoSuchClass(_) => Self::not_found("class_not_found", error.to_string()),
            Error::NoSuchRoom(_) => Self::not_found("room_not_found", error.to_string()),
            Error::AlreadyRunning(ref running) => {
                let lesson = serde_json::to_value(running).ok();
                with_lesson(Self::conflict("lesson_already_running", error.to_string()), lesson)
            }
            Error::RoomBusy(ref other) => {
                let lesson = json!({
                    "id": other.id,
                    "teacher_name": other.teacher_name,
                    "class_name": other.class_name,
                });
                with_lesson(Self::conflict("room_busy", error.to_string()), Some(lesson))
            }
            Error::NotActive(_) => Self::conflict("lesson_not_active", error.to_string()),
            Error::NotTheirs(_) => Self::forbidden("lesson_not_yours", error.to_string()),
            Error::Stopped => Self::unavailable("stopping", error.to_string()),
        }
    }
}

fn with_lesson(mut problem: Problem, lesson: Option<serde_json::Value>) -> Problem {
    problem.lesson = lesson;
    problem
}
