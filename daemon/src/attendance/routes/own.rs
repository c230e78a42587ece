//! What a student sees of themselves.

use axum::extract::State;

use crate::{
    attendance::{Handle, OwnView},
    http::{Json, Problem},
    identity::Student,
};

/// The signed-in student, and the lesson of theirs that is on now.
#[utoipa::path(
    get, path = "/api/v1/me/lesson", tag = "attendance", operation_id = "show_own_lesson",
    responses(
        (status = 200, body = OwnView),
        (status = 401, description = "`not_signed_in`", body = Problem),
        (status = 403, description = "`students_only`", body = Problem),
    )
)]
pub(super) async fn show_own_lesson(
    State(attendance): State<Handle>,
    Student(student): Student,
) -> Result<Json<OwnView>, Problem> {
    Ok(Json(attendance.own(student).await?))
}
