//! The site this box belongs to.

use alfarid_protocol::id::BoxId;
use axum::{extract::State, http::header, response::IntoResponse};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    enrolment::{Handle, Passphrase, site},
    http::{Json, Problem},
    identity::{Admin, Secret, Signed},
};

#[derive(Serialize, ToSchema)]
pub(super) struct SiteView {
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
pub(super) async fn show_site(
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
pub(super) async fn show_site_root(
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

#[derive(Deserialize, ToSchema)]
pub(super) struct ExportForm {
    /// At least 12 characters.
    passphrase: Secret,
}

/// Export the site, so that a second box can join it. Once: the root's key goes with the file.
#[utoipa::path(
    post, path = "/api/v1/site/export", tag = "enrolment", operation_id = "export_site",
    request_body = ExportForm,
    responses(
        (
            status = 200, content_type = "application/octet-stream", body = Vec<u8>,
            description = "`alfarid-site.bin`, sealed by the passphrase",
        ),
        (status = 401, description = "`not_signed_in`", body = Problem),
        (status = 403, description = "`admins_only`", body = Problem),
        (status = 409, description = "`already_exported`, `not_claimed`", body = Problem),
        (status = 422, description = "`invalid_input`", body = Problem),
    )
)]
pub(super) async fn export_site(
    State(enrolment): State<Handle>,
    Admin(admin): Admin,
    Json(form): Json<ExportForm>,
) -> Result<impl IntoResponse, Problem> {
    let passphrase = Passphrase::new(form.passphrase)?;
    let file = enrolment.export_site(admin.id, passphrase).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"alfarid-site.bin\""),
    ];
    Ok((headers, file.to_vec()))
}
