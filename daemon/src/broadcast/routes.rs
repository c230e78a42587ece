//! Publishing and looking, over HTTP.

mod whip;

use alfarid_protocol::id::LessonId;
use axum::{
    Json,
    extract::{FromRef, Path, State},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Error, Handle, OfferError, StreamState};
use crate::{
    http::Problem,
    identity::{self, Signed},
};

pub fn routes<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    Handle: FromRef<S>,
    identity::Handle: FromRef<S>,
{
    OpenApiRouter::new().routes(routes!(get_stream)).merge(whip::routes())
}

/// What a lesson has on air, and how each of its machines receives it.
#[utoipa::path(
    get,
    path = "/api/v1/lessons/{id}/stream",
    operation_id = "get_stream",
    tag = "broadcast",
    params(("id" = LessonId, Path)),
    responses(
        (status = 200, body = StreamState),
        (status = 401, description = "`not_signed_in`", body = Problem),
        (status = 409, description = "`lesson_not_active`", body = Problem),
    )
)]
async fn get_stream(
    State(broadcast): State<Handle>,
    Signed(_person): Signed,
    Path(id): Path<LessonId>,
) -> Result<Json<StreamState>, Problem> {
    Ok(Json(broadcast.stream(id).await?))
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::NotActive(_) => {
                Self::conflict("lesson_not_active", "This lesson is not on: start it first.")
            }
            Error::NotTheirs(_) => Self::forbidden(
                "not_your_lesson",
                "Only the teacher who holds this lesson puts something on air in it.",
            ),
            Error::Taken(_) => Self::conflict(
                "publication_taken",
                "Another person is on air here. Take the lesson over first.",
            ),
            Error::NoActiveLesson(_) => {
                Self::conflict("no_active_lesson", "You have no lesson on: start one first.")
            }
            Error::NoSuchPublication(_) => {
                Self::not_found("publication_unknown", "There is no such publication of yours.")
            }
            Error::Offer(error) => error.into(),
            Error::Machines(error) => error.into(),
            Error::Stopped => Self::unavailable("stopping", "The box is stopping."),
        }
    }
}

impl From<OfferError> for Problem {
    fn from(error: OfferError) -> Self {
        match error {
            OfferError::Malformed(detail) => Self::bad_request(
                "sdp_malformed",
                format!("This is not an offer that the box can answer: {detail}."),
            ),
            OfferError::Unsupported => Self::new(
                axum::http::StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "codec_unsupported",
                "The box takes video in H264 (packetization-mode 1) or VP8, and sound in Opus.",
            ),
            OfferError::NoPort => Self::unavailable(
                "whip_unavailable",
                "The box cannot take a screen just now. Its health page says why.",
            ),
        }
    }
}
