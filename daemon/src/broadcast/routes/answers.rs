//! What many of the routes answer when they do not do as asked, for the OpenAPI document.

#![expect(dead_code, reason = "described and never built: what is sent is a `Problem`")]

use utoipa::IntoResponses;

use crate::http::Problem;

/// To whoever asks for what only the teacher of a lesson may see or do.
#[derive(IntoResponses)]
pub(super) enum OfOwnLesson {
    #[response(status = 401, description = "`not_signed_in`")]
    NotSignedIn(Problem),
    #[response(status = 403, description = "`not_your_lesson`")]
    NotYours(Problem),
}

/// To whoever offers to publish.
#[derive(IntoResponses)]
pub(super) enum OfOffer {
    #[response(status = 400, description = "`sdp_malformed`")]
    Malformed(Problem),
    #[response(status = 415, description = "`codec_unsupported`, `sdp_expected`")]
    Unsupported(Problem),
    #[response(status = 503, description = "`too_many_publishers`, `whip_unavailable`")]
    Unavailable(Problem),
}
