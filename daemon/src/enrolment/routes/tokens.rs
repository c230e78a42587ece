//! Site tokens, for admins.

use alfarid_protocol::id::{RoomId, TokenId};
use axum::{extract::State, http::StatusCode, response::IntoResponse};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    enrolment::{Handle, NewSiteToken, SiteTokenRow},
    http::{Json, List, Path, Problem},
    identity::Admin,
};

/// The tokens there are, without their secrets.
#[utoipa::path(
    get, path = "/api/v1/site_tokens", tag = "enrolment", operation_id = "list_site_tokens",
    responses(
        (status = 200, body = List<SiteTokenRow>),
        (status = 401, description = "`not_signed_in`", body = Problem),
        (status = 403, description = "`admins_only`", body = Problem),
    )
)]
pub(super) async fn list_site_tokens(
    State(enrolment): State<Handle>,
    _admin: Admin,
) -> Result<List<SiteTokenRow>, Problem> {
    Ok(List { items: enrolment.site_tokens().await? })
}

#[derive(Deserialize, ToSchema)]
pub(super) struct SiteTokenForm {
    room_id: RoomId,
    /// 1 to 500.
    uses: u32,
    /// 60 seconds to 90 days.
    expires_in_seconds: u64,
}

#[derive(Serialize, ToSchema)]
pub(super) struct CreatedSiteToken {
    #[serde(flatten)]
    row: SiteTokenRow,
    /// The line for `alfarid-agent enrol`. Shown this once.
    token: String,
}

/// Make a token: one line that lets machines into a room.
#[utoipa::path(
    post, path = "/api/v1/site_tokens", tag = "enrolment", operation_id = "create_site_token",
    request_body = SiteTokenForm,
    responses(
        (status = 201, body = CreatedSiteToken),
        (status = 401, description = "`not_signed_in`", body = Problem),
        (status = 403, description = "`admins_only`", body = Problem),
        (status = 404, description = "`no_such_room`", body = Problem),
        (status = 409, description = "`not_claimed`", body = Problem),
        (status = 422, description = "`invalid_input`", body = Problem),
    )
)]
pub(super) async fn create_site_token(
    State(enrolment): State<Handle>,
    Admin(admin): Admin,
    Json(form): Json<SiteTokenForm>,
) -> Result<impl IntoResponse, Problem> {
    let new = NewSiteToken::parse(form.room_id, form.uses, form.expires_in_seconds)?;
    let (row, token) = enrolment.create_site_token(admin.id, new).await?;
    Ok((StatusCode::CREATED, Json(CreatedSiteToken { row, token: token.to_string() })))
}

/// Take a token back: it lets nobody in any more. Machines that are in stay.
#[utoipa::path(
    delete, path = "/api/v1/site_tokens/{id}", tag = "enrolment",
    operation_id = "delete_site_token", params(("id" = TokenId, Path)),
    responses(
        (status = 204),
        (status = 401, description = "`not_signed_in`", body = Problem),
        (status = 403, description = "`admins_only`", body = Problem),
        (status = 404, description = "`no_such_token`", body = Problem),
    )
)]
pub(super) async fn delete_site_token(
    State(enrolment): State<Handle>,
    Admin(admin): Admin,
    Path(id): Path<TokenId>,
) -> Result<StatusCode, Problem> {
    enrolment.delete_site_token(admin.id, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
