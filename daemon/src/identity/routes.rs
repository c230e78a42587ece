//! People over HTTP: log in and out.

use alfarid_protocol::time::Timestamp;
use axum::{
    extract::{FromRef, State},
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{AppendHeaders, IntoResponse},
};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Error, Handle, Person, Secret, extract};
use crate::http::{Json, Problem};

pub fn routes<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    Handle: FromRef<S>,
{
    OpenApiRouter::new().routes(routes!(create_session, delete_session))
}

#[derive(Deserialize, ToSchema)]
struct Credentials {
    email: String,
    password: Secret,
    /// The browser's own idea of the time.
    browser_time: Timestamp,
}

/// Log in.
#[utoipa::path(
    post, path = "/api/v1/session", tag = "identity", operation_id = "create_session",
    request_body = Credentials,
    responses(
        (status = 200, description = "Logged in; sets the session cookie", body = Person),
        (status = 401, description = "`wrong_credentials`", body = Problem),
        (status = 429, description = "`slow_down`", body = Problem),
    )
)]
async fn create_session(
    State(identity): State<Handle>,
    Json(body): Json<Credentials>,
) -> Result<impl IntoResponse, Problem> {
    let logged_in = identity.log_in(&body.email, body.password, body.browser_time).await?;
    Ok((session_cookie(&logged_in.token), Json(logged_in.person)))
}

/// Log out.
#[utoipa::path(
    delete, path = "/api/v1/session", tag = "identity", operation_id = "delete_session",
    responses((status = 204, description = "Logged out, also if nobody was logged in"))
)]
async fn delete_session(
    State(identity): State<Handle>,
    parts: Parts,
) -> Result<impl IntoResponse, Problem> {
    if let Some(token) = extract::session_token(&parts) {
        identity.log_out(token).await?;
    }
    Ok((StatusCode::NO_CONTENT, set_cookie("", "; Max-Age=0")))
}

/// The header that gives a browser its session. Without a lifetime: it goes with the browser, and
/// on the box with twelve hours of rest.
pub fn session_cookie(token: &str) -> AppendHeaders<Option<(header::HeaderName, HeaderValue)>> {
    set_cookie(token, "")
}

fn set_cookie(token: &str, more: &str) -> AppendHeaders<Option<(header::HeaderName, HeaderValue)>> {
    let name = extract::COOKIE;
    let line = format!("{name}={token}; Path=/; Secure; HttpOnly; SameSite=Strict{more}");
    // Tokens are base64url: the line is always a header's value.
    let value = HeaderValue::from_str(&line).ok();
    AppendHeaders(value.map(|value| (header::SET_COOKIE, value)))
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::AdminExists => Self::conflict("already_claimed", error.to_string()),
            Error::Busy => Self::slow_down("slow_down", error.to_string(), 2),
            Error::Invalid(invalid) => invalid.into(),
            Error::WrongCredentials => Self::unauthorized("wrong_credentials", error.to_string()),
            Error::Db(_) | Error::Hash(_) | Error::NoRandomness(_) => Self::internal(&error),
        }
    }
}
