//! What many of the routes answer when they do not do as asked, for the OpenAPI document.

#![expect(dead_code, reason = "described and never built: what is sent is a `Problem`")]

use utoipa::IntoResponses;

use crate::http::Problem;

/// To whoever asks for what only those see who are in a lesson.
#[derive(IntoResponses)]
pub(super) enum OfLesson {
    #[response(status = 401, description = "`not_signed_in`")]
    NotSignedIn(Problem),
    #[response(status = 403, description = "`not_your_lesson`")]
    NotTheirs(Problem),
}
