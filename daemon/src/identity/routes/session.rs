//! Log in and out; students sign in by their code.

use alfarid_protocol::time::Timestamp;
use axum::{
    Extension,
    extract::State,
    http::{HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{AppendHeaders, IntoResponse},
};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    http::{Json, Peer, Problem},
    identity::{CodeTyped, Credentials, Handle, LoggedIn, Person, Secret, SignedStudent, extract},
};

/// 400 days, the longest that browsers keep a cookie.
const DEVICE_MAX_AGE: &str = "; Max-Age=34560000";

#[derive(Deserialize, ToSchema)]
pub(super) struct LogInForm {
    email: String,
    password: Secret,
    /// The browser's own idea of the time.
    browser_time: Timestamp,
}

/// Log in. Whoever was signed in in this browser before is signed out.
#[utoipa::path(
    post, path = "/api/v1/session", tag = "identity", operation_id = "create_session",
    request_body = LogInForm,
    responses(
        (status = 200, description = "Logged in; sets the session cookie", body = Person),
        (status = 401, description = "`wrong_credentials`", body = Problem),
        (status = 429, description = "`slow_down`", body = Problem),
    )
)]
pub(super) async fn create_session(
    State(identity): State<Handle>,
    Extension(peer): Extension<Peer>,
    parts: Parts,
    Json(form): Json<LogInForm>,
) -> Result<impl IntoResponse, Problem> {
    let credentials = Credentials {
        email: form.email,
        password: form.password,
        browser_time: form.browser_time,
        from: peer.ip(),
        device: extract::device_token(&parts).map(|token| token.to_owned().into()),
        former: former(&parts),
    };
    let logged_in = identity.log_in(credentials).await?;
    Ok((cookies(&logged_in), Json(logged_in.person)))
}

#[derive(Deserialize, ToSchema)]
pub(super) struct CodeForm {
    /// As it is printed. Small letters, spaces and hyphens make no difference.
    #[schema(example = "7KQ2-MVX9")]
    code: Secret,
}

/// Sign in as a student, until the school day is over. Whoever was signed in in this browser before
/// is signed out.
#[utoipa::path(
    post, path = "/api/v1/session/student", tag = "identity",
    operation_id = "create_student_session",
    request_body = CodeForm,
    responses(
        (status = 200, description = "Signed in; sets the session cookie", body = SignedStudent),
        (status = 401, description = "`sign_in_code_wrong`", body = Problem),
        (status = 429, description = "`slow_down`", body = Problem),
    )
)]
pub(super) async fn create_student_session(
    State(identity): State<Handle>,
    Extension(peer): Extension<Peer>,
    parts: Parts,
    Json(form): Json<CodeForm>,
) -> Result<impl IntoResponse, Problem> {
    let typed = CodeTyped {
        code: form.code,
        from: peer.ip(),
        device: extract::student_device_token(&parts).map(|token| token.to_owned().into()),
        former: former(&parts),
    };
    let signed_in = identity.sign_in(typed).await?;
    let session = cookie(extract::COOKIE, &signed_in.session, "");
    let device = cookie(extract::STUDENT_DEVICE_COOKIE, &signed_in.device, DEVICE_MAX_AGE);
    let cookies = session.into_iter().chain(device).collect::<Vec<_>>();
    Ok((AppendHeaders(cookies), Json(signed_in.student)))
}

/// Log out, as whomever this browser is signed in.
#[utoipa::path(
    delete, path = "/api/v1/session", tag = "identity", operation_id = "delete_session",
    responses((status = 204, description = "Logged out, also if nobody was logged in"))
)]
pub(super) async fn delete_session(
    State(identity): State<Handle>,
    parts: Parts,
) -> Result<impl IntoResponse, Problem> {
    if let Some(token) = extract::session_token(&parts) {
        identity.log_out(token).await?;
    }
    let gone = [cookie(extract::COOKIE, "", "; Max-Age=0")];
    Ok((StatusCode::NO_CONTENT, AppendHeaders(gone.into_iter().flatten().collect::<Vec<_>>())))
}

/// The headers that give a browser its session. The session cookie has no lifetime: it goes with
/// the browser, and on the box with twelve hours of rest.
pub fn cookies(logged_in: &LoggedIn) -> AppendHeaders<Vec<(HeaderName, HeaderValue)>> {
    let session = cookie(extract::COOKIE, &logged_in.session, "");
    let device = cookie(extract::DEVICE_COOKIE, &logged_in.device, DEVICE_MAX_AGE);
    AppendHeaders(session.into_iter().chain(device).collect())
}

fn former(parts: &Parts) -> Option<Secret> {
    extract::session_token(parts).map(|token| token.to_owned().into())
}

fn cookie(name: &str, token: &str, more: &str) -> Option<(HeaderName, HeaderValue)> {
    let line = format!("{name}={token}; Path=/; Secure; HttpOnly; SameSite=Strict{more}");
    // Tokens are base64url: the line is always a header's value.
    HeaderValue::from_str(&line).ok().map(|value| (header::SET_COOKIE, value))
}
