//! Students: everybody reads, their class's teacher or an admin changes.

use alfarid_protocol::id::{ClassId, StudentId};
use axum::{extract::State, http::StatusCode, response::IntoResponse};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::answers::{OfClass, OfOwnClass};
use crate::{
    field::Change,
    http::{Json, List, Path, Problem, Query},
    identity::Signed,
    roster::{Handle, NewStudent, Student, StudentChange},
};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Also those who left.
    #[serde(default)]
    all: bool,
}

/// The students of a class, by name.
#[utoipa::path(
    get, path = "/api/v1/classes/{id}/students", tag = "roster", operation_id = "list_students",
    params(("id" = ClassId, Path), Which),
    responses(
        (status = 200, body = List<Student>),
        OfClass,
    )
)]
pub(super) async fn list_students(
    State(roster): State<Handle>,
    _signed: Signed,
    Path(class): Path<ClassId>,
    Query(which): Query<Which>,
) -> Result<List<Student>, Problem> {
    Ok(List { items: roster.students(class, which.all).await? })
}

#[derive(Deserialize, ToSchema)]
pub(super) struct NewStudentForm {
    /// The school's own number.
    student_id: String,
    full_name: String,
    email: Option<String>,
}

/// Add a student to a class.
#[utoipa::path(
    post, path = "/api/v1/classes/{id}/students", tag = "roster",
    operation_id = "create_student", params(("id" = ClassId, Path)),
    request_body = NewStudentForm,
    responses(
        (status = 201, body = Student),
        OfOwnClass,
        (status = 409, description = "`number_taken`, `class_full`", body = Problem),
        (status = 422, description = "`invalid_input`", body = Problem),
    )
)]
pub(super) async fn create_student(
    State(roster): State<Handle>,
    Signed(person): Signed,
    Path(class): Path<ClassId>,
    Json(form): Json<NewStudentForm>,
) -> Result<impl IntoResponse, Problem> {
    let new = NewStudent::parse(&form.student_id, &form.full_name, form.email.as_deref())?;
    Ok((StatusCode::CREATED, Json(roster.create_student(&person, class, new).await?)))
}

#[derive(Deserialize, ToSchema)]
pub(super) struct StudentForm {
    student_id: Option<String>,
    full_name: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    email: Change<String>,
    /// Into another class, which must be theirs to change too.
    class_id: Option<ClassId>,
    is_active: Option<bool>,
}

/// Change a student. What is absent stays, `null` clears.
#[utoipa::path(
    patch, path = "/api/v1/students/{id}", tag = "roster", operation_id = "update_student",
    params(("id" = StudentId, Path)), request_body = StudentForm,
    responses(
        (status = 200, body = Student),
        (status = 401, description = "`not_signed_in`", body = Problem),
        (status = 403, description = "`not_your_class`, `admins_only`", body = Problem),
        (status = 404, description = "`no_such_student`, `no_such_class`", body = Problem),
        (status = 409, description = "`number_taken`, `class_full`", body = Problem),
        (status = 422, description = "`invalid_input`", body = Problem),
    )
)]
pub(super) async fn update_student(
    State(roster): State<Handle>,
    Signed(person): Signed,
    Path(id): Path<StudentId>,
    Json(form): Json<StudentForm>,
) -> Result<Json<Student>, Problem> {
    let change = StudentChange {
        number: form.student_id,
        full_name: form.full_name,
        email: form.email,
        class: form.class_id,
        is_active: form.is_active,
    };
    Ok(Json(roster.change_student(&person, id, change).await?))
}

/// Deactivate a student who left. What they took part in keeps them.
#[utoipa::path(
    delete, path = "/api/v1/students/{id}", tag = "roster", operation_id = "delete_student",
    params(("id" = StudentId, Path)),
    responses(
        (status = 204),
        (status = 401, description = "`not_signed_in`", body = Problem),
        (status = 403, description = "`not_your_class`, `admins_only`", body = Problem),
        (status = 404, description = "`no_such_student`", body = Problem),
    )
)]
pub(super) async fn delete_student(
    State(roster): State<Handle>,
    Signed(person): Signed,
    Path(id): Path<StudentId>,
) -> Result<StatusCode, Problem> {
    roster.deactivate_student(&person, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
