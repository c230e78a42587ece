//! Opening a room, and what is on air in it, over HTTP.

use alfarid_protocol::id::RoomId;
use axum::{
    extract::{FromRef, State},
    http::{HeaderName, header},
};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Error, Handle, OpenAir};
use crate::{
    http::{Json, Path, Problem},
    identity::{self, Admin, Signed},
};

pub fn routes<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    Handle: FromRef<S>,
    identity::Handle: FromRef<S>,
{
    OpenApiRouter::new()
        .routes(routes!(show_open_air, set_open_air))
        .routes(routes!(show_open_session))
}

/// Whether the lessons of a room go out in the clear.
#[utoipa::path(
    get,
    path = "/api/v1/rooms/{id}/open_air",
    operation_id = "show_open_air",
    tag = "open_air",
    params(("id" = RoomId, Path)),
    responses(
        (status = 200, body = OpenAir),
        (status = 401, description = "`not_signed_in`", body = Problem),
        (status = 404, description = "`no_such_room`", body = Problem),
    )
)]
async fn show_open_air(
    State(open_air): State<Handle>,
    _signed: Signed,
    Path(id): Path<RoomId>,
) -> Result<Json<OpenAir>, Problem> {
    Ok(Json(open_air.of_room(id).await?))
}

#[derive(Deserialize, ToSchema)]
struct OpenAirForm {
    is_open: bool,
}

/// Open a room, or shut it: whoever is on the network can watch the lessons of an open one.
#[utoipa::path(
    put,
    path = "/api/v1/rooms/{id}/open_air",
    operation_id = "set_open_air",
    tag = "open_air",
    params(("id" = RoomId, Path)),
    request_body = OpenAirForm,
    responses(
        (status = 200, body = OpenAir),
        (status = 401, description = "`not_signed_in`", body = Problem),
        (status = 403, description = "`admins_only`", body = Problem),
        (status = 404, description = "`no_such_room`", body = Problem),
    )
)]
async fn set_open_air(
    State(open_air): State<Handle>,
    Admin(admin): Admin,
    Path(id): Path<RoomId>,
    Json(form): Json<OpenAirForm>,
) -> Result<Json<OpenAir>, Problem> {
    Ok(Json(open_air.set(&admin, id, form.is_open).await?))
}

/// What is on air in an open room, as VLC, ffplay and GStreamer read it (SDP). Nobody needs to be
/// signed in: in the box's networks it is announced anyway. Elsewhere one learns the room's name and
/// the group from it, but not which rooms there are.
#[utoipa::path(
    get,
    path = "/api/v1/rooms/{id}/broadcast.sdp",
    operation_id = "show_open_session",
    tag = "open_air",
    params(("id" = RoomId, Path)),
    responses(
        (status = 200, body = String, content_type = "application/sdp"),
        (status = 404, description = "`nothing_in_the_clear`", body = Problem),
    )
)]
async fn show_open_session(
    State(open_air): State<Handle>,
    Path(id): Path<RoomId>,
) -> Result<([(HeaderName, &'static str); 1], String), Problem> {
    Ok(([(header::CONTENT_TYPE, "application/sdp")], open_air.session(id).await?))
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::NoSuchRoom(_) => Self::not_found("no_such_room", "There is no such room."),
            Error::NothingInTheClear(_) => Self::not_found(
                "nothing_in_the_clear",
                "The room is not open, or nothing is on air in it at this moment.",
            ),
            Error::Db(_) => Self::internal(&error),
            Error::Stopped => Self::unavailable("stopping", "The box is stopping."),
        }
    }
}
