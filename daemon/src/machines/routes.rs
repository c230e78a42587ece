//! The machines of a room, for people.

use alfarid_protocol::id::{MachineId, RoomId};
use axum::{
    extract::{FromRef, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Error, Handle, Machine};
use crate::{
    enrolment::MachineChange,
    http::{Json, Path, Problem, Query},
    identity::{self, Admin, Signed},
};

pub fn routes<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    Handle: FromRef<S>,
    identity::Handle: FromRef<S>,
{
    OpenApiRouter::new()
        .routes(routes!(list_machines))
        .routes(routes!(update_machine))
        .routes(routes!(revoke_machine))
}

#[derive(Debug, Serialize, ToSchema)]
struct Machines {
    items: Vec<Machine>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    room_id: Option<RoomId>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct MachineForm {
    name: Option<String>,
    room_id: Option<RoomId>,
    is_approved: Option<bool>,
}

/// The machines of a room, or all, by name.
#[utoipa::path(
    get,
    path = "/api/v1/machines",
    operation_id = "list_machines",
    tag = "machines",
    params(Which),
    responses(
        (status = 200, body = Machines),
        (status = 401, description = "`not_signed_in`", body = Problem),
    )
)]
async fn list_machines(
    State(machines): State<Handle>,
    Signed(_person): Signed,
    Query(which): Query<Which>,
) -> Result<Json<Machines>, Problem> {
    Ok(Json(Machines { items: machines.list(which.room_id).await? }))
}

/// Renames a machine, moves it to another room, lets it in or keeps it out.
#[utoipa::path(
    patch,
    path = "/api/v1/machines/{id}",
    operation_id = "update_machine",
    tag = "machines",
    params(("id" = MachineId, Path)),
    request_body = MachineForm,
    responses(
        (status = 200, body = Machine),
        (status = 401, description = "`not_signed_in`", body = Problem),
        (status = 403, description = "`admins_only`", body = Problem),
        (status = 404, description = "`no_such_machine`, `no_such_room`", body = Problem),
        (status = 409, description = "`machine_revoked`", body = Problem),
        (status = 422, description = "`invalid_input`", body = Problem),
    )
)]
async fn update_machine(
    State(machines): State<Handle>,
    Admin(admin): Admin,
    Path(id): Path<MachineId>,
    Json(form): Json<MachineForm>,
) -> Result<Json<Machine>, Problem> {
    let change =
        MachineChange { name: form.name, room: form.room_id, is_approved: form.is_approved };
    Ok(Json(machines.change(admin.id, id, change).await?))
}

/// Takes a machine's trust away, at once and for good.
#[utoipa::path(
    post,
    path = "/api/v1/machines/{id}/revoke",
    operation_id = "revoke_machine",
    tag = "machines",
    params(("id" = MachineId, Path)),
    responses(
        (status = 204),
        (status = 401, description = "`not_signed_in`", body = Problem),
        (status = 403, description = "`admins_only`", body = Problem),
        (status = 404, description = "`no_such_machine`", body = Problem),
    )
)]
async fn revoke_machine(
    State(machines): State<Handle>,
    Admin(admin): Admin,
    Path(id): Path<MachineId>,
) -> Result<StatusCode, Problem> {
    machines.revoke(admin.id, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Enrolment(error) => error.into(),
            Error::NoSuchMachine(_) => {
                Self::not_found("no_such_machine", "There is no such machine.")
            }
            Error::Db(_) => Self::internal(&error),
        }
    }
}
