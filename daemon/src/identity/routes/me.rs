//! What people change of themselves.

use axum::{
    extract::State,
    http::{StatusCode, header, request::Parts},
    response::IntoResponse,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    http::{Json, Problem},
    identity::{Handle, Language, OwnChange, PasswordChange, Person, Secret, Signed, extract},
};

#[derive(Deserialize, ToSchema)]
pub(super) struct MeForm {
    full_name: Option<String>,
    language: Option<Language>,
    password: Option<NewPasswordForm>,
}

#[derive(Deserialize, ToSchema)]
pub(super) struct NewPasswordForm {
    old: Secret,
    new: Secret,
}

/// Change one's own name, language or password. A new password logs all other browsers out.
#[utoipa::path(
    patch, path = "/api/v1/me", tag = "identity", operation_id = "update_me",
    request_body = MeForm,
    responses(
        (status = 200, body = Person),
        (status = 401, description = "`not_signed_in`", body = Problem),
        (status = 403, description = "`wrong_password`", body = Problem),
        (status = 422, description = "`invalid_input`", body = Problem),
        (status = 429, description = "`slow_down`", body = Problem),
    )
)]
pub(super) async fn update_me(
    State(identity): State<Handle>,
    Signed(person): Signed,
    parts: Parts,
    Json(form): Json<MeForm>,
) -> Result<Json<Person>, Problem> {
    let password = form.password.map(|form| PasswordChange { old: form.old, new: form.new });
    let change = OwnChange { full_name: form.full_name, language: form.language, password };
    let session = extract::session_token(&parts).unwrap_or_default();
    Ok(Json(identity.change_own(&person, session, change).await?))
}

#[derive(Serialize, ToSchema)]
pub(super) struct StreamKey {
    /// For OBS, as "Bearer Token". Shown this once.
    key: String,
    url: String,
}

/// Make a stream key, in the place of an older one.
#[utoipa::path(
    post, path = "/api/v1/me/stream_key", tag = "identity", operation_id = "create_stream_key",
    responses(
        (status = 201, body = StreamKey),
        (status = 401, description = "`not_signed_in`", body = Problem),
    )
)]
pub(super) async fn create_stream_key(
    State(identity): State<Handle>,
    Signed(person): Signed,
    parts: Parts,
) -> Result<impl IntoResponse, Problem> {
    let key = identity.create_stream_key(&person).await?;
    let url = format!("https://{}/api/v1/whip", host(&parts));
    Ok((StatusCode::CREATED, Json(StreamKey { key: key.to_string(), url })))
}

/// Take the stream key back.
#[utoipa::path(
    delete, path = "/api/v1/me/stream_key", tag = "identity", operation_id = "delete_stream_key",
    responses(
        (status = 204, description = "There is none now"),
        (status = 401, description = "`not_signed_in`", body = Problem),
    )
)]
pub(super) async fn delete_stream_key(
    State(identity): State<Handle>,
    Signed(person): Signed,
) -> Result<StatusCode, Problem> {
    identity.delete_stream_key(&person).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What the box was asked by: in HTTP/2 it stands in the URI (RFC 9113 §8.3.1).
fn host(parts: &Parts) -> &str {
    let header = || parts.headers.get(header::HOST)?.to_str().ok();
    parts
        .uri
        .authority()
        .map(axum::http::uri::Authority::as_str)
        .or_else(header)
        .unwrap_or_default()
}
