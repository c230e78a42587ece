//! What many of the routes answer when they do not do as asked, for the OpenAPI document.

#![expect(dead_code, reason = "described and never built: what is sent is a `Problem`")]

use utoipa::IntoResponses;

use crate::http::Problem;

/// To whoever plans a lesson or starts one.
#[derive(IntoResponses)]
pub(super) enum OfPlan {
    #[response(status = 401, description = "`not_signed_in`")]
    NotSignedIn(Problem),
    #[response(status = 404, description = "`no_such_class`, `no_such_room`")]
    Unknown(Problem),
    #[response(status = 422, description = "`invalid_input`, `machine_elsewhere`")]
    Impossible(Problem),
}

/// To whoever asks for a lesson.
#[derive(IntoResponses)]
pub(super) enum OfLesson {
    #[response(status = 401, description = "`not_signed_in`")]
    NotSignedIn(Problem),
    #[response(status = 404, description = "`no_such_lesson`")]
    Unknown(Problem),
}

/// To whoever asks for what only the teacher of a lesson may do.
#[derive(IntoResponses)]
pub(super) enum OfOwnLesson {
    #[response(status = 401, description = "`not_signed_in`")]
    NotSignedIn(Problem),
    #[response(status = 403, description = "`not_your_lesson`")]
    NotYours(Problem),
    #[response(status = 404, description = "`no_such_lesson`")]
    Unknown(Problem),
}
