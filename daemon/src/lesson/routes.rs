//! Lessons over HTTP.

mod answers;
mod form;
mod problem;

use alfarid_protocol::id::LessonId;
use axum::{
    extract::{FromRef, State},
    http::StatusCode,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use self::{
    answers::{OfLesson, OfOwnLesson, OfPlan},
    form::{
        Extension, LessonChangeForm, ReplaceQuery, RoomQuery, ScheduleForm, StartForm, WhichQuery,
    },
};
use super::{Handle, Lesson, LessonEvent, bandwidth::Bandwidth};
use crate::{
    http::{Json, List, Path, Problem, Query},
    identity::{self, Signed},
};

pub fn routes<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    Handle: FromRef<S>,
    identity::Handle: FromRef<S>,
{
    OpenApiRouter::new()
        .routes(routes!(list_lessons, schedule_lesson))
        .routes(routes!(start_lesson))
        .routes(routes!(show_lesson, update_lesson))
        .routes(routes!(start_scheduled_lesson))
        .routes(routes!(end_lesson))
        .routes(routes!(cancel_lesson))
        .routes(routes!(take_over_lesson))
        .routes(routes!(extend_lesson))
        .routes(routes!(list_lesson_events))
        .routes(routes!(estimate_bandwidth))
}

/// Lessons, the newest first, 500 at most.
#[utoipa::path(
    get, path = "/api/v1/lessons", tag = "lesson", operation_id = "list_lessons",
    params(WhichQuery),
    responses(
        (status = 200, body = List<Lesson>),
        (status = 401, description = "`not_signed_in`", body = Problem),
    )
)]
async fn list_lessons(
    State(lessons): State<Handle>,
    _signed: Signed,
    Query(which): Query<WhichQuery>,
) -> Result<List<Lesson>, Problem> {
    Ok(List { items: lessons.lessons(which.into()).await? })
}

/// Plan a lesson.
#[utoipa::path(
    post, path = "/api/v1/lessons", tag = "lesson", operation_id = "schedule_lesson",
    request_body = ScheduleForm,
    responses(
        (status = 201, body = Lesson),
        OfPlan,
    )
)]
async fn schedule_lesson(
    State(lessons): State<Handle>,
    Signed(by): Signed,
    Json(form): Json<ScheduleForm>,
) -> Result<(StatusCode, Json<Lesson>), Problem> {
    Ok((StatusCode::CREATED, Json(lessons.schedule(form.into(), by).await?)))
}

/// Start a lesson now. Any teacher may, with any class.
#[utoipa::path(
    post, path = "/api/v1/lessons/start", tag = "lesson", operation_id = "start_lesson",
    request_body = StartForm,
    responses(
        (status = 201, body = Lesson),
        OfPlan,
        (status = 409, description = "`room_busy` and `lesson_already_running`, both with \
            `lesson`; `lesson_not_in_the_way`", body = Problem),
    )
)]
async fn start_lesson(
    State(lessons): State<Handle>,
    Signed(by): Signed,
    Json(form): Json<StartForm>,
) -> Result<(StatusCode, Json<Lesson>), Problem> {
    let replace = form.replace_lesson_id;
    let lesson = lessons.start(form.into(), by, replace).await?;
    Ok((StatusCode::CREATED, Json(lesson)))
}

/// One lesson.
#[utoipa::path(
    get, path = "/api/v1/lessons/{id}", tag = "lesson", operation_id = "show_lesson",
    params(("id" = LessonId, Path)),
    responses(
        (status = 200, body = Lesson),
        OfLesson,
    )
)]
async fn show_lesson(
    State(lessons): State<Handle>,
    _signed: Signed,
    Path(id): Path<LessonId>,
) -> Result<Json<Lesson>, Problem> {
    Ok(Json(lessons.lesson(id).await?))
}

/// Change a lesson that is not over. What is absent stays.
#[utoipa::path(
    patch, path = "/api/v1/lessons/{id}", tag = "lesson", operation_id = "update_lesson",
    params(("id" = LessonId, Path)), request_body = LessonChangeForm,
    responses(
        (status = 200, body = Lesson),
        OfOwnLesson,
        (status = 409, description = "`lesson_not_active`", body = Problem),
        (status = 422, description = "`invalid_input`", body = Problem),
    )
)]
async fn update_lesson(
    State(lessons): State<Handle>,
    Signed(by): Signed,
    Path(id): Path<LessonId>,
    Json(form): Json<LessonChangeForm>,
) -> Result<Json<Lesson>, Problem> {
    Ok(Json(lessons.change(id, by, form.into()).await?))
}

/// Start a scheduled lesson now, whoever was to hold it.
#[utoipa::path(
    post, path = "/api/v1/lessons/{id}/start", tag = "lesson",
    operation_id = "start_scheduled_lesson",
    params(("id" = LessonId, Path), ReplaceQuery),
    responses(
        (status = 200, body = Lesson),
        OfLesson,
        (status = 409, description = "`lesson_not_scheduled`; `room_busy` and \
            `lesson_already_running`, both with `lesson`; `lesson_not_in_the_way`",
            body = Problem),
    )
)]
async fn start_scheduled_lesson(
    State(lessons): State<Handle>,
    Signed(by): Signed,
    Path(id): Path<LessonId>,
    Query(query): Query<ReplaceQuery>,
) -> Result<Json<Lesson>, Problem> {
    Ok(Json(lessons.start_scheduled(id, by, query.replace_lesson_id).await?))
}

/// End a lesson; its attendance is written before the answer comes.
#[utoipa::path(
    post, path = "/api/v1/lessons/{id}/end", tag = "lesson", operation_id = "end_lesson",
    params(("id" = LessonId, Path)),
    responses(
        (status = 200, body = Lesson),
        OfOwnLesson,
        (status = 409, description = "`lesson_not_active`", body = Problem),
    )
)]
async fn end_lesson(
    State(lessons): State<Handle>,
    Signed(by): Signed,
    Path(id): Path<LessonId>,
) -> Result<Json<Lesson>, Problem> {
    Ok(Json(lessons.end(id, by).await?))
}

/// Cancel a scheduled lesson.
#[utoipa::path(
    post, path = "/api/v1/lessons/{id}/cancel", tag = "lesson", operation_id = "cancel_lesson",
    params(("id" = LessonId, Path)),
    responses(
        (status = 200, body = Lesson),
        OfOwnLesson,
        (status = 409, description = "`lesson_not_scheduled`", body = Problem),
    )
)]
async fn cancel_lesson(
    State(lessons): State<Handle>,
    Signed(by): Signed,
    Path(id): Path<LessonId>,
) -> Result<Json<Lesson>, Problem> {
    Ok(Json(lessons.cancel(id, by).await?))
}

/// Hold a running lesson from now on. Any teacher may; who held it is noted.
#[utoipa::path(
    post, path = "/api/v1/lessons/{id}/take_over", tag = "lesson",
    operation_id = "take_over_lesson",
    params(("id" = LessonId, Path)),
    responses(
        (status = 200, body = Lesson),
        OfLesson,
        (status = 409, description = "`lesson_not_active`", body = Problem),
    )
)]
async fn take_over_lesson(
    State(lessons): State<Handle>,
    Signed(by): Signed,
    Path(id): Path<LessonId>,
) -> Result<Json<Lesson>, Problem> {
    Ok(Json(lessons.take_over(id, by).await?))
}

/// Let a running lesson end later.
#[utoipa::path(
    post, path = "/api/v1/lessons/{id}/extend", tag = "lesson", operation_id = "extend_lesson",
    params(("id" = LessonId, Path)), request_body = Extension,
    responses(
        (status = 200, body = Lesson),
        OfOwnLesson,
        (status = 409, description = "`lesson_not_active`", body = Problem),
        (status = 422, description = "`invalid_input`", body = Problem),
    )
)]
async fn extend_lesson(
    State(lessons): State<Handle>,
    Signed(by): Signed,
    Path(id): Path<LessonId>,
    Json(form): Json<Extension>,
) -> Result<Json<Lesson>, Problem> {
    Ok(Json(lessons.extend(id, by, form.minutes).await?))
}

/// What happened in a lesson, in order.
#[utoipa::path(
    get, path = "/api/v1/lessons/{id}/events", tag = "lesson",
    operation_id = "list_lesson_events",
    params(("id" = LessonId, Path)),
    responses(
        (status = 200, body = List<LessonEvent>),
        OfOwnLesson,
    )
)]
async fn list_lesson_events(
    State(lessons): State<Handle>,
    Signed(by): Signed,
    Path(id): Path<LessonId>,
) -> Result<List<LessonEvent>, Problem> {
    Ok(List { items: lessons.events(id, &by).await? })
}

/// What a lesson would ask of the network of a room like this.
#[utoipa::path(
    get, path = "/api/v1/bandwidth", tag = "lesson", operation_id = "estimate_bandwidth",
    params(RoomQuery),
    responses(
        (status = 200, body = Bandwidth),
        (status = 400, description = "`query_malformed`", body = Problem),
        (status = 401, description = "`not_signed_in`", body = Problem),
        (status = 422, description = "`invalid_input`", body = Problem),
    )
)]
async fn estimate_bandwidth(
    State(lessons): State<Handle>,
    _signed: Signed,
    Query(room): Query<RoomQuery>,
) -> Result<Json<Bandwidth>, Problem> {
    Ok(Json(lessons.bandwidth(room.into())?))
}
