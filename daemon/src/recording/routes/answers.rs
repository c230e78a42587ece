//! What many of the routes answer when they do not do as asked, for the OpenAPI document.

#![expect(dead_code, reason = "described and never built: what is sent is a `Problem`")]

use utoipa::IntoResponses;

use crate::http::Problem;

/// To whoever asks for a recording.
#[derive(IntoResponses)]
pub(super) enum OfRecording {
    #[response(status = 401, description = "`not_signed_in`")]
    NotSignedIn(Problem),
    #[response(status = 404, description = "`recording_unknown`")]
    Unknown(Problem),
}

/// To whoever asks for a file of a recording, or for a part of one.
#[derive(IntoResponses)]
pub(super) enum OfSegment {
    #[response(status = 401, description = "`not_signed_in`")]
    NotSignedIn(Problem),
    #[response(status = 404, description = "`recording_unknown`, `segment_unknown`")]
    Unknown(Problem),
}
