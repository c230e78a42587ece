//! The site over HTTP: what everybody may know, claiming, tokens.

use alfarid_protocol::{
    id::{BoxId, RoomId, TokenId},
    time::Timestamp,
};
use axum::{
    Extension,
    extract::{FromRef, State},
    http::{StatusCode, header},
    response::IntoResponse,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Claim, Error, Handle, NewSiteToken, SiteTokenRow, addresses, site};
use crate::{
    http::{Json, List, Path, Peer, Problem},
    identity::{
        self, Admin, Language, NewTeacher, Person, Role, Secret, Signed, cookies, extract::Visitor,
    },
};

pub fn routes<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    Handle: FromRef<S>,
    identity::Handle: FromRef<S>,
{
    OpenApiRouter::new()
        .routes(routes!(show_state))
        .routes(routes!(create_claim))
        .routes(routes!(show_site))
        .routes(routes!(show_site_root))
        .routes(routes!(list_site_tokens, create_site_token))
        .routes(routes!(delete_site_token))
}

#[derive(Serialize, ToSchema)]
struct BoxState {
    claimed: bool,
    site_name: Option<String>,
    box_name: String,
    version: &'static str,
    clock: ClockState,
    /// Who is logged in in this browser.
    session: Option<Person>,
    faults: Vec<FaultState>,
}

#[derive(Serialize, ToSchema)]
struct ClockState {
    now: Timestamp,
    /// Whether anybody vouches for it.
    sure: bool,
}

#[derive(Serialize, ToSchema)]
struct FaultState {
    code: &'static str,
    detail: String,
}

/// What a page needs to know first; for everybody.
#[utoipa::path(
    get, path = "/api/v1/state", tag = "enrolment", operation_id = "show_state",
    responses((status = 200, body = BoxState))
)]
async fn show_state(State(enrolment): State<Handle>, visitor: Visitor) -> Json<BoxState> {
    let floor = &enrolment.0.floor;
    let faults = floor.health.faults().into_iter();
    Json(BoxState {
        claimed: enrolment.is_claimed(),
        site_name: enrolment.site().map(|site| site.description.site_name.clone()),
        box_name: addresses::host_name(),
        version: env!("CARGO_PKG_VERSION"),
        clock: ClockState { now: floor.clock.now(), sure: floor.clock.is_sure() },
        session: visitor.0,
        faults: faults.map(|f| FaultState { code: f.code, detail: f.detail }).collect(),
    })
}

#[derive(Deserialize, ToSchema)]
struct ClaimForm {
    /// From the box's console or its log.
    #[schema(example = "7KQ2M-VX9FA")]
    code: String,
    site_name: String,
    email: String,
    full_name: String,
    password: Secret,
    language: Language,
    browser_time: Timestamp,
}

/// Claim the box: makes the site and its first admin, who is logged in at once.
#[utoipa::path(
    post, path = "/api/v1/claim", tag = "enrolment", operation_id = "create_claim",
    request_body = ClaimForm,
    responses(
        (status = 201, description = "Claimed; sets the session cookie", body = Person),
        (status = 403, description = "`claim_code_wrong`", body = Problem),
        (status = 409, description = "`already_claimed`", body = Problem),
        (status = 422, description = "`invalid_input`", body = Problem),
        (status = 429, description = "`slow_down`", body = Problem),
    )
)]
async fn create_claim(
    State(enrolment): State<Handle>,
    Extension(peer): Extension<Peer>,
    Json(form): Json<ClaimForm>,
) -> Result<impl IntoResponse, Problem> {
    let admin =
        NewTeacher::parse(&form.email, &form.full_name, form.password, Role::Admin, form.language)?;
    let claim = Claim { code: form.code, from: peer.ip(), admin, browser_time: form.browser_time };
    let logged_in = enrolment.claim(claim, &form.site_name).await?;
    Ok((StatusCode::CREATED, cookies(&logged_in), Json(logged_in.person)))
}

#[derive(Serialize, ToSchema)]
struct SiteView {
    site_name: String,
    /// SHA-256 of the root's `SubjectPublicKeyInfo`, hexadecimal.
    root_fingerprint: String,
    box_id: BoxId,
    /// `host:port`, best first.
    agent_addresses: Vec<String>,
    web_addresses: Vec<String>,
}

/// The site this box belongs to.
#[utoipa::path(
    get, path = "/api/v1/site", tag = "enrolment", operation_id = "show_site",
    responses(
        (status = 200, body = SiteView),
        (status = 401, description = "`not_signed_in`", body = Problem),
        (status = 403, description = "`admins_only`", body = Problem),
        (status = 409, description = "`not_claimed`", body = Problem),
    )
)]
async fn show_site(
    State(enrolment): State<Handle>,
    _admin: Admin,
) -> Result<Json<SiteView>, Problem> {
    let site = enrolment.claimed_site()?;
    Ok(Json(SiteView {
        site_name: site.description.site_name.clone(),
        root_fingerprint: site.root_fingerprint(),
        box_id: enrolment.0.floor.box_id,
        agent_addresses: enrolment.agent_addresses(),
        web_addresses: enrolment.web_addresses(),
    }))
}

/// The site root's certificate, for whoever wants to install it. Only over a connection that its
/// reader has a reason to believe: signed in.
#[utoipa::path(
    get, path = "/api/v1/site/root.pem", tag = "enrolment", operation_id = "show_site_root",
    responses(
        (status = 200, content_type = "application/x-pem-file", body = String),
        (status = 401, description = "`not_signed_in`", body = Problem),
        (status = 409, description = "`not_claimed`", body = Problem),
    )
)]
async fn show_site_root(
    State(enrolment): State<Handle>,
    _signed: Signed,
) -> Result<impl IntoResponse, Problem> {
    let site = enrolment.claimed_site()?;
    let headers = [
        (header::CONTENT_TYPE, "application/x-pem-file"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"alfarid-site.pem\""),
    ];
    Ok((headers, site::certificate_pem(&site.root)))
}

/// The tokens there are, without their secrets.
#[utoipa::path(
    get, path = "/api/v1/site_tokens", tag = "enrolment", operation_id = "list_site_tokens",
    responses(
        (status = 200, body = List<SiteTokenRow>),
        (status = 401, description = "`not_signed_in`", body = Problem),
        (status = 403, description = "`admins_only`", body = Problem),
    )
)]
async fn list_site_tokens(
    State(enrolment): State<Handle>,
    _admin: Admin,
) -> Result<List<SiteTokenRow>, Problem> {
    Ok(List { items: enrolment.site_tokens().await? })
}

#[derive(Deserialize, ToSchema)]
struct SiteTokenForm {
    room_id: RoomId,
    /// 1 to 500.
    uses: u32,
    /// 60 seconds to 90 days.
    expires_in_seconds: u64,
}

#[derive(Serialize, ToSchema)]
struct CreatedSiteToken {
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
async fn create_site_token(
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
async fn delete_site_token(
    State(enrolment): State<Handle>,
    Admin(admin): Admin,
    Path(id): Path<TokenId>,
) -> Result<StatusCode, Problem> {
    enrolment.delete_site_token(admin.id, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        match error {
            Error::AlreadyClaimed => Self::conflict("already_claimed", detail),
            Error::ClaimCodeWrong => Self::forbidden("claim_code_wrong", detail),
            Error::ClaimSlowDown { wait } => {
                Self::slow_down("slow_down", detail, wait.as_secs().saturating_add(1))
            }
            Error::Identity(error) => error.into(),
            Error::Invalid(invalid) => invalid.into(),
            Error::MachineRevoked(_) => Self::conflict("machine_revoked", detail),
            Error::NoSuchMachine(_) => Self::not_found("no_such_machine", detail),
            Error::NoSuchRoom(_) => Self::not_found("no_such_room", detail),
            Error::NoSuchToken(_) => Self::not_found("no_such_token", detail),
            Error::NotClaimed => Self::conflict("not_claimed", detail),
            Error::TokenExpired => Self::forbidden("token_expired", detail),
            Error::TokenUnknown => Self::forbidden("token_unknown", detail),
            Error::TokenUsedUp => Self::forbidden("token_used_up", detail),
            Error::TrustDamaged => Self::unavailable("trust_damaged", detail),
            Error::Authority(_)
            | Error::ClaimCode(_)
            | Error::Db(_)
            | Error::NoRandomness(_)
            | Error::Site(_)
            | Error::Tls(_) => Self::internal(&error),
        }
    }
}
