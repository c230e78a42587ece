//! The site over HTTP.

mod claim;
mod site;
mod state;
mod tokens;

use axum::extract::FromRef;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Error, Handle, SiteFileError};
use crate::{http::Problem, identity};

pub fn routes<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    Handle: FromRef<S>,
    identity::Handle: FromRef<S>,
{
    OpenApiRouter::new()
        .routes(routes!(state::show_state))
        .routes(routes!(claim::create_claim))
        .routes(routes!(claim::join_site))
        .routes(routes!(site::show_site))
        .routes(routes!(site::show_site_root))
        .routes(routes!(site::export_site))
        .routes(routes!(tokens::list_site_tokens, tokens::create_site_token))
        .routes(routes!(tokens::delete_site_token))
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        match error {
            Error::AlreadyClaimed => Self::conflict("already_claimed", detail),
            Error::AlreadyExported => Self::conflict("already_exported", detail),
            Error::AnotherSite => Self::conflict("another_site", detail),
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
            Error::SiteFile(error) => error.into(),
            Error::Stopping => Self::unavailable("stopping", detail),
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

impl From<SiteFileError> for Problem {
    fn from(error: SiteFileError) -> Self {
        let detail = error.to_string();
        match error {
            SiteFileError::Newer => Self::unprocessable("site_file_newer", detail),
            SiteFileError::NotASiteFile => Self::unprocessable("not_a_site_file", detail),
            SiteFileError::WrongPassphrase => Self::forbidden("passphrase_wrong", detail),
            SiteFileError::NoRandomness(_) | SiteFileError::Seal(_) => Self::internal(&error),
        }
    }
}
