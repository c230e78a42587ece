//! Classes and their seatings: everybody reads, the class's teacher or an admin changes.

use alfarid_protocol::id::{ClassId, RoomId, TeacherId};
use axum::{extract::State, http::StatusCode, response::IntoResponse};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answers::{OfClass, OfOwnClass};
use crate::{
    field::Change,
    http::{Json, List, Path, Problem},
    identity::Signed,
    roster::{Class, ClassChange, Handle, NewClass, Seat},
};

/// All classes, by name.
#[utoipa::path(
    get, path = "/api/v1/classes", tag = "roster", operation_id = "list_classes",
    responses(
        (status = 200, body = List<Class>),
        (status = 401, description = "`not_signed_in`", body = Problem),
    )
)]
pub(super) async fn list_classes(
    State(roster): State<Handle>,
    _signed: Signed,
) -> Result<List<Class>, Problem> {
    Ok(List { items: roster.classes().await? })
}

#[derive(Deserialize, ToSchema)]
pub(super) struct NewClassForm {
    name: String,
    description: Option<String>,
    /// Whose class it is. A teacher's new class is their own; an admin may name anybody.
    teacher_id: Option<TeacherId>,
    /// 50, if nothing is said.
    max_students: Option<u32>,
}

/// Make a class.
#[utoipa::path(
    post, path = "/api/v1/classes", tag = "roster", operation_id = "create_class",
    request_body = NewClassForm,
    responses(
        (status = 201, body = Class),
        (status = 401, description = "`not_signed_in`", body = Problem),
        (status = 403, description = "`admins_only`: for another teacher", body = Problem),
        (status = 404, description = "`no_such_teacher`", body = Problem),
        (status = 409, description = "`class_exists`", body = Problem),
        (status = 422, description = "`invalid_input`", body = Problem),
    )
)]
pub(super) async fn create_class(
    State(roster): State<Handle>,
    Signed(person): Signed,
    Json(form): Json<NewClassForm>,
) -> Result<impl IntoResponse, Problem> {
    let new = NewClass {
        name: form.name,
        description: form.description,
        teacher: form.teacher_id,
        max_students: form.max_students,
    };
    Ok((StatusCode::CREATED, Json(roster.create_class(&person, new).await?)))
}

/// One class.
#[utoipa::path(
    get, path = "/api/v1/classes/{id}", tag = "roster", operation_id = "show_class",
    params(("id" = ClassId, Path)),
    responses(
        (status = 200, body = Class),
        OfClass,
    )
)]
pub(super) async fn show_class(
    State(roster): State<Handle>,
    _signed: Signed,
    Path(id): Path<ClassId>,
) -> Result<Json<Class>, Problem> {
    Ok(Json(roster.class(id).await?))
}

#[derive(Deserialize, ToSchema)]
pub(super) struct ClassForm {
    name: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    description: Change<String>,
    /// An admin's to change.
    #[serde(default)]
    #[schema(value_type = Option<TeacherId>)]
    teacher_id: Change<TeacherId>,
    max_students: Option<u32>,
}

/// Change a class. What is absent stays, `null` clears.
#[utoipa::path(
    patch, path = "/api/v1/classes/{id}", tag = "roster", operation_id = "update_class",
    params(("id" = ClassId, Path)), request_body = ClassForm,
    responses(
        (status = 200, body = Class),
        (status = 401, description = "`not_signed_in`", body = Problem),
        (status = 403, description = "`not_your_class`, `admins_only`", body = Problem),
        (status = 404, description = "`no_such_class`, `no_such_teacher`", body = Problem),
        (status = 409, description = "`class_exists`", body = Problem),
        (status = 422, description = "`invalid_input`", body = Problem),
    )
)]
pub(super) async fn update_class(
    State(roster): State<Handle>,
    Signed(person): Signed,
    Path(id): Path<ClassId>,
    Json(form): Json<ClassForm>,
) -> Result<Json<Class>, Problem> {
    let change = ClassChange {
        name: form.name,
        description: form.description,
        teacher: form.teacher_id,
        max_students: form.max_students,
    };
    Ok(Json(roster.change_class(&person, id, change).await?))
}

/// Delete a class that has had no lesson. Its students are deactivated.
#[utoipa::path(
    delete, path = "/api/v1/classes/{id}", tag = "roster", operation_id = "delete_class",
    params(("id" = ClassId, Path)),
    responses(
        (status = 204),
        OfOwnClass,
        (status = 409, description = "`class_has_lessons`", body = Problem),
    )
)]
pub(super) async fn delete_class(
    State(roster): State<Handle>,
    Signed(person): Signed,
    Path(id): Path<ClassId>,
) -> Result<StatusCode, Problem> {
    roster.delete_class(&person, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Who sits where; machines without students are not named.
#[derive(Deserialize, Serialize, ToSchema)]
pub(super) struct Seating {
    seats: Vec<Seat>,
}

/// Who sits where when this class is in this room.
#[utoipa::path(
    get, path = "/api/v1/classes/{id}/seating/{room_id}", tag = "roster",
    operation_id = "show_seating", params(("id" = ClassId, Path), ("room_id" = RoomId, Path)),
    responses(
        (status = 200, body = Seating),
        (status = 401, description = "`not_signed_in`", body = Problem),
        (status = 404, description = "`no_such_class`, `no_such_room`", body = Problem),
    )
)]
pub(super) async fn show_seating(
    State(roster): State<Handle>,
    _signed: Signed,
    Path((class, room)): Path<(ClassId, RoomId)>,
) -> Result<Json<Seating>, Problem> {
    Ok(Json(Seating { seats: roster.seating(class, room).await? }))
}

/// Say who sits where; replaces what was said before.
#[utoipa::path(
    put, path = "/api/v1/classes/{id}/seating/{room_id}", tag = "roster",
    operation_id = "replace_seating", params(("id" = ClassId, Path), ("room_id" = RoomId, Path)),
    request_body = Seating,
    responses(
        (status = 200, body = Seating),
        (status = 401, description = "`not_signed_in`", body = Problem),
        (status = 403, description = "`not_your_class`", body = Problem),
        (status = 404, description = "`no_such_class`, `no_such_room`", body = Problem),
        (
            status = 422,
            description = "`seat_elsewhere`, `seat_size`, `seat_stranger`, `seat_twice`, \
                           `seated_twice`",
            body = Problem,
        ),
    )
)]
pub(super) async fn replace_seating(
    State(roster): State<Handle>,
    Signed(person): Signed,
    Path((class, room)): Path<(ClassId, RoomId)>,
    Json(seating): Json<Seating>,
) -> Result<Json<Seating>, Problem> {
    Ok(Json(Seating { seats: roster.seat(&person, class, room, seating.seats).await? }))
}
