//! Accounts, for admins.

use alfarid_protocol::id::TeacherId;
use axum::{extract::State, http::StatusCode, response::IntoResponse};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    field::Change,
    http::{Json, List, Path, Problem},
    identity::{Admin, Error, Handle, Language, NewTeacher, Role, Secret, Teacher, TeacherChange},
};

/// All accounts, by name.
#[utoipa::path(
    get, path = "/api/v1/teachers", tag = "identity", operation_id = "list_teachers",
    responses(
        (status = 200, body = List<Teacher>),
        (status = 401, description = "`not_signed_in`", body = Problem),
        (status = 403, description = "`admins_only`", body = Problem),
    )
)]
pub(super) async fn list_teachers(
    State(identity): State<Handle>,
    _admin: Admin,
) -> Result<List<Teacher>, Problem> {
    Ok(List { items: identity.teachers().await? })
}

#[derive(Deserialize, ToSchema)]
pub(super) struct NewTeacherForm {
    email: String,
    full_name: String,
    department: Option<String>,
    /// A teacher, if nothing is said.
    role: Option<Role>,
    /// The admin's own, if nothing is said.
    language: Option<Language>,
    password: Secret,
}

/// Make an account.
#[utoipa::path(
    post, path = "/api/v1/teachers", tag = "identity", operation_id = "create_teacher",
    request_body = NewTeacherForm,
    responses(
        (status = 201, body = Teacher),
        (status = 401, description = "`not_signed_in`", body = Problem),
        (status = 403, description = "`admins_only`", body = Problem),
        (status = 409, description = "`email_taken`", body = Problem),
        (status = 422, description = "`invalid_input`", body = Problem),
    )
)]
pub(super) async fn create_teacher(
    State(identity): State<Handle>,
    Admin(admin): Admin,
    Json(form): Json<NewTeacherForm>,
) -> Result<impl IntoResponse, Problem> {
    let new = NewTeacher::parse(
        &form.email,
        &form.full_name,
        form.password,
        form.role.unwrap_or(Role::Teacher),
        form.language.unwrap_or(admin.language),
    )
    .and_then(|new| new.of_department(form.department.as_deref()))
    .map_err(Error::from)?;
    Ok((StatusCode::CREATED, Json(identity.create_teacher(admin.id, new).await?)))
}

#[derive(Deserialize, ToSchema)]
pub(super) struct TeacherForm {
    full_name: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    department: Change<String>,
    role: Option<Role>,
    is_active: Option<bool>,
    password: Option<Secret>,
}

/// Change an account. What is absent stays, `null` clears. A new password, or not being active
/// any more, logs that person out everywhere.
#[utoipa::path(
    patch, path = "/api/v1/teachers/{id}", tag = "identity", operation_id = "update_teacher",
    params(("id" = TeacherId, Path)), request_body = TeacherForm,
    responses(
        (status = 200, body = Teacher),
        (status = 401, description = "`not_signed_in`", body = Problem),
        (status = 403, description = "`admins_only`", body = Problem),
        (status = 404, description = "`no_such_teacher`", body = Problem),
        (status = 409, description = "`last_admin`", body = Problem),
        (status = 422, description = "`invalid_input`", body = Problem),
    )
)]
pub(super) async fn update_teacher(
    State(identity): State<Handle>,
    Admin(admin): Admin,
    Path(id): Path<TeacherId>,
    Json(form): Json<TeacherForm>,
) -> Result<Json<Teacher>, Problem> {
    let change = TeacherChange {
        full_name: form.full_name,
        department: form.department,
        role: form.role,
        is_active: form.is_active,
        password: form.password,
    };
    Ok(Json(identity.change_teacher(admin.id, id, change).await?))
}
