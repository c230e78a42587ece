//! Sign-in codes: for the class's own teacher and an admin.

use alfarid_protocol::id::{ClassId, StudentId};
use axum::{extract::State, http::StatusCode, response::IntoResponse};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    http::{Json, List, Path, Problem},
    identity::Signed,
    roster::{self, Handle},
};

#[derive(Deserialize, ToSchema)]
pub(super) struct CodesForm {
    /// For whom. Absent or null: the whole class.
    #[schema(min_items = 1)]
    student_ids: Option<Vec<StudentId>>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct StudentCode {
    student_id: StudentId,
    /// The school's own number.
    student_number: String,
    full_name: String,
    /// What the student types. Shown this once.
    #[schema(example = "7KQ2-MVX9")]
    code: String,
}

impl From<roster::StudentCode> for StudentCode {
    fn from(made: roster::StudentCode) -> Self {
        Self {
            student_id: made.student.id,
            student_number: made.student.student_id,
            full_name: made.student.full_name,
            code: made.code.code.to_string(),
        }
    }
}

/// Make sign-in codes for the students of a class, by name. A student's older code opens nothing
/// any more, and whoever was signed in by it is signed out.
#[utoipa::path(
    post, path = "/api/v1/classes/{id}/codes", tag = "roster",
    operation_id = "create_student_codes", params(("id" = ClassId, Path)),
    request_body = CodesForm,
    responses(
        (status = 201, body = List<StudentCode>),
        (status = 401, description = "`not_signed_in`", body = Problem),
        (status = 403, description = "`not_your_class`", body = Problem),
        (status = 404, description = "`no_such_class`, `no_such_student`", body = Problem),
        (status = 422, description = "`invalid_input`", body = Problem),
        (status = 429, description = "`slow_down`", body = Problem),
    )
)]
pub(super) async fn create_student_codes(
    State(roster): State<Handle>,
    Signed(person): Signed,
    Path(class): Path<ClassId>,
    Json(form): Json<CodesForm>,
) -> Result<impl IntoResponse, Problem> {
    let made = roster.make_codes(&person, class, form.student_ids).await?;
    let items: Vec<StudentCode> = made.into_iter().map(Into::into).collect();
    Ok((StatusCode::CREATED, List { items }))
}
