//! Rooms: everybody sees them, admins change them.

use alfarid_protocol::id::RoomId;
use axum::{extract::State, http::StatusCode, response::IntoResponse};
use serde::Deserialize;
use utoipa::ToSchema;

use super::answers::OfAdmin;
use crate::{
    http::{Json, List, Path, Problem},
    identity::{Admin, Signed},
    roster::{Handle, Room},
};

#[derive(Deserialize, ToSchema)]
pub(super) struct RoomForm {
    name: String,
}

/// All rooms, by name.
#[utoipa::path(
    get, path = "/api/v1/rooms", tag = "roster", operation_id = "list_rooms",
    responses(
        (status = 200, body = List<Room>),
        (status = 401, description = "`not_signed_in`", body = Problem),
    )
)]
pub(super) async fn list_rooms(
    State(roster): State<Handle>,
    _signed: Signed,
) -> Result<List<Room>, Problem> {
    Ok(List { items: roster.rooms().await? })
}

/// Make a room.
#[utoipa::path(
    post, path = "/api/v1/rooms", tag = "roster", operation_id = "create_room",
    request_body = RoomForm,
    responses(
        (status = 201, body = Room),
        OfAdmin,
        (status = 409, description = "`room_exists`", body = Problem),
        (status = 422, description = "`invalid_input`", body = Problem),
    )
)]
pub(super) async fn create_room(
    State(roster): State<Handle>,
    Admin(admin): Admin,
    Json(form): Json<RoomForm>,
) -> Result<impl IntoResponse, Problem> {
    let room = roster.create_room(&admin, &form.name).await?;
    Ok((StatusCode::CREATED, Json(room)))
}

/// Rename a room.
#[utoipa::path(
    patch, path = "/api/v1/rooms/{id}", tag = "roster", operation_id = "update_room",
    params(("id" = RoomId, Path)), request_body = RoomForm,
    responses(
        (status = 200, body = Room),
        OfAdmin,
        (status = 404, description = "`no_such_room`", body = Problem),
        (status = 409, description = "`room_exists`", body = Problem),
        (status = 422, description = "`invalid_input`", body = Problem),
    )
)]
pub(super) async fn update_room(
    State(roster): State<Handle>,
    Admin(admin): Admin,
    Path(id): Path<RoomId>,
    Json(form): Json<RoomForm>,
) -> Result<Json<Room>, Problem> {
    Ok(Json(roster.rename_room(&admin, id, &form.name).await?))
}

/// Delete a room that nothing is in.
#[utoipa::path(
    delete, path = "/api/v1/rooms/{id}", tag = "roster", operation_id = "delete_room",
    params(("id" = RoomId, Path)),
    responses(
        (status = 204),
        OfAdmin,
        (status = 404, description = "`no_such_room`", body = Problem),
        (status = 409, description = "`room_in_use`, `last_room`", body = Problem),
    )
)]
pub(super) async fn delete_room(
    State(roster): State<Handle>,
    Admin(admin): Admin,
    Path(id): Path<RoomId>,
) -> Result<StatusCode, Problem> {
    roster.delete_room(&admin, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
