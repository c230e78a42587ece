//! What many of the routes answer when they do not do as asked, for the OpenAPI document.

#![expect(dead_code, reason = "described and never built: what is sent is a `Problem`")]

use utoipa::IntoResponses;

use crate::http::Problem;

/// To whoever asks for what admins may do.
#[derive(IntoResponses)]
pub(super) enum OfAdmin {
    #[response(status = 401, description = "`not_signed_in`")]
    NotSignedIn(Problem),
    #[response(status = 403, description = "`admins_only`")]
    NotAdmin(Problem),
}

/// To whoever asks for a class.
#[derive(IntoResponses)]
pub(super) enum OfClass {
    #[response(status = 401, description = "`not_signed_in`")]
    NotSignedIn(Problem),
    #[response(status = 404, description = "`no_such_class`")]
    Unknown(Problem),
}

/// To whoever asks for what only the teacher of a class may do.
#[derive(IntoResponses)]
pub(super) enum OfOwnClass {
    #[response(status = 401, description = "`not_signed_in`")]
    NotSignedIn(Problem),
    #[response(status = 403, description = "`not_your_class`")]
    NotYours(Problem),
    #[response(status = 404, description = "`no_such_class`")]
    Unknown(Problem),
}
