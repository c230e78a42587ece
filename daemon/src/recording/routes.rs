//! Recordings over HTTP: what there is, its files by ranges, one file of it all, and its end.

mod answers;
mod range;

use alfarid_protocol::id::{LessonId, RecordingId};
use axum::{
    extract::{FromRef, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use self::answers::{OfRecording, OfSegment};
use super::{Error, Handle, JoinError, Recording, SegmentId};
use crate::{
    http::{Json, List, Path, Problem, Query},
    identity::{self, Signed},
};

pub fn routes<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    Handle: FromRef<S>,
    identity::Handle: FromRef<S>,
{
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(get_one, change, delete))
        .routes(routes!(segment))
        .routes(routes!(download))
        .routes(routes!(playlist))
        .routes(routes!(piece))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Of this lesson only.
    lesson_id: Option<LessonId>,
}

/// The recordings that the asking person may see, newest first. Segments come without fragments.
#[utoipa::path(
    get,
    path = "/api/v1/recordings",
    operation_id = "list_recordings",
    tag = "recording",
    params(Filter),
    responses(
        (status = 200, body = List<Recording>),
        (status = 401, description = "`not_signed_in`", body = Problem),
    )
)]
async fn list(
    State(recording): State<Handle>,
    Signed(person): Signed,
    Query(filter): Query<Filter>,
) -> Result<List<Recording>, Problem> {
    Ok(List { items: recording.list(&person, filter.lesson_id).await? })
}

/// One recording with everything a player needs.
#[utoipa::path(
    get,
    path = "/api/v1/recordings/{id}",
    operation_id = "get_recording",
    tag = "recording",
    params(("id" = RecordingId, Path)),
    responses(
        (status = 200, body = Recording),
        OfRecording,
    )
)]
async fn get_one(
    State(recording): State<Handle>,
    Signed(person): Signed,
    Path(id): Path<RecordingId>,
) -> Result<Json<Recording>, Problem> {
    Ok(Json(recording.get(&person, id).await?))
}

/// A segment's file, or a range of it; while it grows, as far as it is on disk.
#[utoipa::path(
    get,
    path = "/api/v1/recordings/{id}/segments/{segment_id}",
    operation_id = "get_segment",
    tag = "recording",
    params(
        ("id" = RecordingId, Path),
        ("segment_id" = SegmentId, Path),
        ("range" = Option<String>, Header, description = "One range of bytes"),
    ),
    responses(
        (status = 200, description = "The whole file", content_type = "video/mp4"),
        (status = 206, description = "The range that was asked for", content_type = "video/mp4"),
        (status = 304, description = "As it is known"),
        OfSegment,
        (status = 416, description = "`range_not_satisfiable`", body = Problem),
    )
)]
async fn segment(
    State(recording): State<Handle>,
    Signed(person): Signed,
    Path((id, segment_id)): Path<(RecordingId, SegmentId)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let opened = recording.open_segment(&person, id, segment_id).await?;
    let response = range::respond(opened, &headers).await;
    response.map_err(|source| Error::ReadSegment { segment: segment_id, source }.into())
}

/// The recording as one file to keep. It is made for the asking, which takes a while.
#[utoipa::path(
    get,
    path = "/api/v1/recordings/{id}/download",
    operation_id = "download_recording",
    tag = "recording",
    params(("id" = RecordingId, Path)),
    responses(
        (status = 200, description = "MP4, or WebM where the picture is VP8", content_type = "video/mp4"),
        OfRecording,
        (status = 409, description = "`recording_running`, `nothing_recorded`", body = Problem),
        (status = 503, description = "`download_busy`", body = Problem),
        (status = 507, description = "`disk_full`", body = Problem),
    )
)]
async fn download(
    State(recording): State<Handle>,
    Signed(person): Signed,
    Path(id): Path<RecordingId>,
) -> Result<Response, Problem> {
    let export = recording.export(&person, id).await?;
    let response = range::attachment(export).await;
    let unreadable = |error: std::io::Error| JoinError::Failed(error.to_string());
    response.map_err(|error| Error::Export { recording: id, source: unreadable(error) }.into())
}

/// An HLS playlist: `index.m3u8`, or of one track. Only where the picture is H.264.
#[utoipa::path(
    get,
    path = "/api/v1/recordings/{id}/hls/{playlist}",
    operation_id = "get_playlist",
    tag = "recording",
    params(("id" = RecordingId, Path), ("playlist" = String, Path, example = "index.m3u8")),
    responses(
        (status = 200, body = String, content_type = "application/vnd.apple.mpegurl"),
        OfRecording,
    )
)]
async fn playlist(
    State(recording): State<Handle>,
    Signed(person): Signed,
    Path((id, playlist)): Path<(RecordingId, String)>,
) -> Result<Response, Problem> {
    let text = recording.playlist(&person, id, &playlist).await?;
    Ok(([(header::CONTENT_TYPE, "application/vnd.apple.mpegurl")], text).into_response())
}

/// A piece of media that a playlist names.
#[utoipa::path(
    get,
    path = "/api/v1/recordings/{id}/hls/{segment_id}/{piece}",
    operation_id = "get_piece",
    tag = "recording",
    params(
        ("id" = RecordingId, Path),
        ("segment_id" = SegmentId, Path),
        ("piece" = String, Path, example = "0-3.m4s"),
    ),
    responses(
        (status = 200, description = "Head or fragments", content_type = "video/mp4"),
        OfSegment,
    )
)]
async fn piece(
    State(recording): State<Handle>,
    Signed(person): Signed,
    Path((id, segment_id, piece)): Path<(RecordingId, SegmentId, String)>,
) -> Result<Response, Problem> {
    let bytes = recording.piece(&person, id, segment_id, &piece).await?;
    Ok(([(header::CONTENT_TYPE, "video/mp4")], bytes).into_response())
}

#[derive(Debug, Deserialize, ToSchema)]
struct RecordingChange {
    /// Any teacher of the site may watch it.
    is_public: bool,
}

/// Say who may watch a recording.
#[utoipa::path(
    patch,
    path = "/api/v1/recordings/{id}",
    operation_id = "update_recording",
    tag = "recording",
    params(("id" = RecordingId, Path)),
    request_body = RecordingChange,
    responses(
        (status = 200, body = Recording),
        OfRecording,
        (status = 403, description = "`recording_not_yours`", body = Problem),
        (status = 409, description = "`recording_running`: it has hardly begun", body = Problem),
    )
)]
async fn change(
    State(recording): State<Handle>,
    Signed(person): Signed,
    Path(id): Path<RecordingId>,
    Json(change): Json<RecordingChange>,
) -> Result<Json<Recording>, Problem> {
    Ok(Json(recording.set_public(&person, id, change.is_public).await?))
}

/// Deletes a recording and its files, for good.
#[utoipa::path(
    delete,
    path = "/api/v1/recordings/{id}",
    operation_id = "delete_recording",
    tag = "recording",
    params(("id" = RecordingId, Path)),
    responses(
        (status = 204, description = "It is gone"),
        OfRecording,
        (status = 403, description = "`recording_not_yours`", body = Problem),
        (status = 409, description = "`recording_running`", body = Problem),
    )
)]
async fn delete(
    State(recording): State<Handle>,
    Signed(person): Signed,
    Path(id): Path<RecordingId>,
) -> Result<StatusCode, Problem> {
    recording.delete(&person, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound(_) => {
                Self::not_found("recording_unknown", "There is no such recording.")
            }
            Error::NoSegment(_) => {
                Self::not_found("segment_unknown", "The recording has no such segment.")
            }
            Error::NotYours(_) => Self::forbidden(
                "recording_not_yours",
                "Only the lesson's teacher or an admin may do this.",
            ),
            Error::StillRunning(_) => Self::conflict(
                "recording_running",
                "The recording is still running. Switch it off first.",
            ),
            Error::AlreadyRecording(_) => {
                Self::conflict("already_recording", "The lesson is being recorded already.")
            }
            Error::ExportBusy => Self::unavailable(
                "download_busy",
                "Another download is being made. Try again in a minute.",
            ),
            Error::NothingToExport(_) => {
                Self::conflict("nothing_recorded", "Nothing of this recording plays.")
            }
            Error::DiskFull { free_mb } => Self::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "disk_full",
                format!("Only {free_mb} MiB are free. Delete old recordings first."),
            ),
            Error::Stopped => Self::unavailable("box_stopping", "The box is stopping."),
            Error::DeleteFiles { .. }
            | Error::ReadSegment { .. }
            | Error::Export { .. }
            | Error::Db(_) => Self::internal(&error),
        }
    }
}
