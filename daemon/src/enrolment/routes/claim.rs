//! Claiming the box, as the first of a site or as one more.

use alfarid_protocol::time::Timestamp;
use axum::{Extension, extract::State, http::StatusCode, response::IntoResponse};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    enrolment::{Claim, Handle, Passphrase, SiteFileError},
    field::Invalid,
    http::{Json, Peer, Problem},
    identity::{Language, NewTeacher, Person, Role, Secret, cookies},
};

/// Whoever stands at the box, and becomes its first admin.
#[derive(Deserialize, ToSchema)]
pub(super) struct Claimant {
    /// From the box's console or its log.
    #[schema(example = "7KQ2M-VX9FA")]
    code: String,
    email: String,
    full_name: String,
    password: Secret,
    language: Language,
    browser_time: Timestamp,
}

impl Claimant {
    fn claim(self, peer: &Peer) -> Result<Claim, Invalid> {
        let Self { email, full_name, password, language, .. } = self;
        let admin = NewTeacher::parse(&email, &full_name, password, Role::Admin, language)?;
        Ok(Claim { code: self.code, from: peer.ip(), admin, browser_time: self.browser_time })
    }
}

#[derive(Deserialize, ToSchema)]
pub(super) struct ClaimForm {
    site_name: String,
    #[serde(flatten)]
    claimant: Claimant,
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
        (status = 503, description = "`trust_damaged`", body = Problem),
    )
)]
pub(super) async fn create_claim(
    State(enrolment): State<Handle>,
    Extension(peer): Extension<Peer>,
    Json(form): Json<ClaimForm>,
) -> Result<impl IntoResponse, Problem> {
    let claim = form.claimant.claim(&peer)?;
    let logged_in = enrolment.claim(claim, &form.site_name).await?;
    Ok((StatusCode::CREATED, cookies(&logged_in), Json(logged_in.person)))
}

#[derive(Deserialize, ToSchema)]
pub(super) struct JoinForm {
    /// `alfarid-site.bin` of the site's first box, base64.
    site_file: String,
    passphrase: Secret,
    #[serde(flatten)]
    claimant: Claimant,
}

/// Claim the box as one more of a site that there is already.
#[utoipa::path(
    post, path = "/api/v1/claim/join", tag = "enrolment", operation_id = "join_site",
    request_body = JoinForm,
    responses(
        (status = 201, description = "Claimed; sets the session cookie", body = Person),
        (status = 403, description = "`claim_code_wrong`, `passphrase_wrong`", body = Problem),
        (status = 409, description = "`already_claimed`, `another_site`", body = Problem),
        (
            status = 422,
            description = "`not_a_site_file`, `site_file_newer`, `invalid_input`",
            body = Problem,
        ),
        (status = 429, description = "`slow_down`", body = Problem),
        (status = 503, description = "`trust_damaged`", body = Problem),
    )
)]
pub(super) async fn join_site(
    State(enrolment): State<Handle>,
    Extension(peer): Extension<Peer>,
    Json(form): Json<JoinForm>,
) -> Result<impl IntoResponse, Problem> {
    let claim = form.claimant.claim(&peer)?;
    let file = STANDARD.decode(form.site_file.trim()).map_err(|_| SiteFileError::NotASiteFile)?;
    let passphrase = Passphrase::given(form.passphrase);
    let logged_in = enrolment.join(claim, file, passphrase).await?;
    Ok((StatusCode::CREATED, cookies(&logged_in), Json(logged_in.person)))
}
