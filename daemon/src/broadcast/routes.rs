//! Publishing and looking, over HTTP.

mod answers;
pub mod sdp;
mod whip;

use alfarid_protocol::id::LessonId;
use axum::{
    extract::{FromRef, State},
    http::{HeaderName, StatusCode, header},
};
use bytes::Bytes;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use self::answers::OfOwnLesson;
use super::{Error, Handle, OfferError, OwnSource, PipelineError, Shelf, StreamState, WatchError};
use crate::{
    http::{Json, Path, Problem},
    identity::{self, Signed},
};

pub fn routes<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    Handle: FromRef<S>,
    identity::Handle: FromRef<S>,
{
    OpenApiRouter::new()
        .routes(routes!(get_stream))
        .routes(routes!(get_preview))
        .routes(routes!(list_videos))
        .routes(routes!(set_source))
        .merge(whip::routes())
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
        OfOwnLesson,
        (status = 409, description = "`lesson_not_active`", body = Problem),
    )
)]
async fn get_stream(
    State(broadcast): State<Handle>,
    Signed(person): Signed,
    Path(id): Path<LessonId>,
) -> Result<Json<StreamState>, Problem> {
    Ok(Json(broadcast.stream_for(&person, id).await?))
}

/// A small picture of what is on air.
#[utoipa::path(
    get,
    path = "/api/v1/lessons/{id}/preview.jpg",
    operation_id = "get_preview",
    tag = "broadcast",
    params(("id" = LessonId, Path)),
    responses(
        (status = 200, body = Vec<u8>, content_type = "image/jpeg"),
        OfOwnLesson,
        (status = 404, description = "`no_preview`", body = Problem),
        (status = 409, description = "`lesson_not_active`", body = Problem),
    )
)]
async fn get_preview(
    State(broadcast): State<Handle>,
    Signed(person): Signed,
    Path(id): Path<LessonId>,
) -> Result<([(HeaderName, &'static str); 1], Bytes), Problem> {
    let picture = broadcast.preview(&person, id).await?;
    let picture =
        picture.ok_or_else(|| Problem::not_found("no_preview", "There is no picture yet."))?;
    Ok(([(header::CONTENT_TYPE, "image/jpeg")], picture))
}

/// The videos in the box's folder, by name: what `set_source` takes as `file`.
#[utoipa::path(
    get,
    path = "/api/v1/videos",
    operation_id = "list_videos",
    tag = "broadcast",
    responses(
        (status = 200, body = Shelf),
        (status = 401, description = "`not_signed_in`", body = Problem),
    )
)]
async fn list_videos(
    State(broadcast): State<Handle>,
    Signed(_person): Signed,
) -> Result<Json<Shelf>, Problem> {
    Ok(Json(broadcast.videos().await?))
}

/// What the box is to put on air itself.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum SourceForm {
    /// A moving picture with ticks.
    Test,
    /// A video, by its name in the box's folder of videos.
    File { path: String },
    /// The box's camera or grabber as the screen, its microphone as the person.
    Capture,
    /// Nothing: what the box has put on air itself ends.
    None,
}

/// Puts something on air that the box makes itself, or ends it.
#[utoipa::path(
    post,
    path = "/api/v1/lessons/{id}/source",
    operation_id = "set_source",
    tag = "broadcast",
    params(("id" = LessonId, Path)),
    request_body = SourceForm,
    responses(
        (status = 204, description = "It is on its way to the screens, or has ended"),
        OfOwnLesson,
        (status = 409, description = "`lesson_not_active`, `publication_taken`, `no_capture_device`, \
         `source_silent`", body = Problem),
        (status = 422, description = "`video_unknown`, `video_unreadable`", body = Problem),
        (status = 503, description = "`codec_missing`", body = Problem),
    )
)]
async fn set_source(
    State(broadcast): State<Handle>,
    Signed(person): Signed,
    Path(id): Path<LessonId>,
    Json(form): Json<SourceForm>,
) -> Result<StatusCode, Problem> {
    match form {
        SourceForm::Test => broadcast.play(id, &person, OwnSource::Test).await?,
        SourceForm::File { path } => {
            broadcast.play(id, &person, OwnSource::Video(path)).await?;
        }
        SourceForm::Capture => broadcast.play(id, &person, OwnSource::Capture).await?,
        SourceForm::None => broadcast.stop_playing(id, &person).await?,
    }
    Ok(StatusCode::NO_CONTENT)
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::NotActive(_) => {
                Self::conflict("lesson_not_active", "This lesson is not on: start it first.")
            }
            Error::NotTheirs(_) => Self::forbidden(
                "not_your_lesson",
                "Only the teacher who holds this lesson sees its screen and puts something on it.",
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
            Error::Watch(error) => error.into(),
            Error::NoSuchViewer(_) => {
                Self::not_found("viewer_unknown", "Nothing of yours is being watched here.")
            }
            Error::NoSuchVideo(_) => Self::unprocessable(
                "video_unknown",
                "There is no such video in the box's folder of videos.",
            ),
            Error::ReadVideos(_) | Error::Keys(..) => Self::internal(&error),
            Error::Source(error) => error.into(),
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
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "codec_unsupported",
                "The box takes video in H264 (packetization-mode 1) or VP8, and sound in Opus.",
            ),
            OfferError::TooMany => Self::unavailable(
                "too_many_publishers",
                "The box takes no more pictures and voices at once. Try again when one has ended.",
            ),
            OfferError::NoPort => Self::unavailable(
                "whip_unavailable",
                "The box cannot take a screen just now. Its health page says why.",
            ),
        }
    }
}

impl From<WatchError> for Problem {
    fn from(error: WatchError) -> Self {
        match error {
            WatchError::Malformed(detail) => OfferError::Malformed(detail).into(),
            WatchError::Unsupported => Self::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "codec_unsupported",
                "The box sends video in H264 (packetization-mode 1) or VP8, and sound in Opus.",
            ),
            WatchError::Unplayable(codec) => Self::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "codec_unplayable",
                format!("This browser does not play {codec:?} live, which is on air."),
            ),
            WatchError::TooMany | WatchError::TooManyHere => Self::unavailable(
                "too_many_viewers",
                "The box shows the lesson to no more browsers at once. Try again when one is closed.",
            ),
            WatchError::Displaced => Self::conflict(
                "open_on_too_many_pages",
                "This lesson is open on too many pages of the same person. Close some of them.",
            ),
            WatchError::TooOften(wait) => Self::slow_down(
                "slow_down",
                "This lesson is asked for too often. Try again in a moment.",
                wait.as_secs() + 1,
            ),
            WatchError::NoPort => Self::unavailable(
                "whep_unavailable",
                "The box cannot show the lesson to browsers just now. Its health page says why.",
            ),
        }
    }
}

impl From<PipelineError> for Problem {
    fn from(error: PipelineError) -> Self {
        match error {
            PipelineError::NoDevice | PipelineError::Microphone(_) => Self::conflict(
                "no_capture_device",
                "The box has no camera, grabber or microphone that works.",
            ),
            PipelineError::Undecodable => Self::unprocessable(
                "video_unreadable",
                "The box cannot read this video: it is damaged, or of a kind it does not know.",
            ),
            PipelineError::Silent => Self::conflict(
                "source_silent",
                "It gave neither picture nor sound for some seconds, and is not put on air. See to \
                 the camera, the microphone or the video, and try again.",
            ),
            PipelineError::Missing(names) => Self::unavailable(
                "codec_missing",
                format!("The box lacks a GStreamer plug-in: one of {names}."),
            ),
            PipelineError::Init(_)
            | PipelineError::Build { .. }
            | PipelineError::Broken
            | PipelineError::Start(_) => Self::internal(&error),
        }
    }
}
