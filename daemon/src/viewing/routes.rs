//! WHEP (draft-ietf-wish-whep) as HTTP sees it, and what a page says beside the picture.
//!
//! As with WHIP all candidates are in the offer and the answer, so `PATCH` is not allowed.

mod answers;

use alfarid_protocol::{
    grant::{Codec, Picture},
    id::LessonId,
};
use axum::{
    Extension,
    extract::{DefaultBodyLimit, FromRef, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use self::answers::OfLesson;
use super::{Error, Handle};
use crate::{
    broadcast::{
        Coming, Showing, ViewerId,
        routes::sdp::{MAX_OFFER, SDP, created, nothing_is_trickled, read_offer},
    },
    http::{Body, Json, Path, Peer, Problem, Query},
    identity::{self, Anybody, Staying},
    recording::{Recent, SegmentId},
};

/// Where viewers are found.
const PLACE: &str = "/api/v1/whep";

pub fn routes<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    Handle: FromRef<S>,
    identity::Handle: FromRef<S>,
{
    OpenApiRouter::new()
        .routes(routes!(watch))
        .routes(routes!(end_watching, patch_watching))
        .layer(DefaultBodyLimit::max(MAX_OFFER))
        .routes(routes!(get_showing))
        .routes(routes!(get_recent))
        .routes(routes!(get_recent_piece))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct FormerQuery {
    /// The viewer that the same page was before: if it had to give way to a newer page of the same
    /// person, the box says so instead of letting them take turns.
    former: Option<uuid::Uuid>,
}

/// Watches a lesson: its screen, the screen's sound, the teacher's voice, as far as they are asked
/// for, in this order of lines.
#[utoipa::path(
    post,
    path = "/api/v1/lessons/{id}/whep",
    operation_id = "watch_lesson",
    tag = "viewing",
    params(("id" = LessonId, Path), FormerQuery),
    request_body(content = String, content_type = SDP, description = "The offer"),
    responses(
        (status = 201, description = "The answer; `Location` is the viewer", body = String,
         content_type = SDP),
        (status = 400, description = "`sdp_malformed`", body = Problem),
        OfLesson,
        (status = 409, description = "`lesson_not_active`, `open_on_too_many_pages`",
         body = Problem),
        (status = 415, description = "`codec_unplayable`: another codec is on air; \
         `codec_unsupported`, `sdp_expected`", body = Problem),
        (status = 429, description = "`slow_down`", body = Problem),
        (status = 503, description = "`too_many_viewers`, `whep_unavailable`", body = Problem),
    )
)]
async fn watch(
    State(viewing): State<Handle>,
    Staying { who, session }: Staying,
    Extension(peer): Extension<Peer>,
    Path(lesson): Path<LessonId>,
    Query(FormerQuery { former }): Query<FormerQuery>,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Response, Problem> {
    let offer = read_offer(&headers, &body)?;
    let former = former.map(ViewerId);
    let coming = Coming { address: peer.ip(), came_to: peer.local.ip(), former };
    let (id, answer) = viewing.watch(lesson, who, session, offer, coming).await?;
    Ok(created(PLACE, id, answer))
}

/// Ends watching.
#[utoipa::path(
    delete,
    path = "/api/v1/whep/{id}",
    operation_id = "end_watching",
    tag = "viewing",
    params(("id" = uuid::Uuid, Path)),
    responses(
        (status = 200),
        (status = 401, description = "`not_signed_in`", body = Problem),
        (status = 404, description = "`viewer_unknown`", body = Problem),
    )
)]
async fn end_watching(
    State(viewing): State<Handle>,
    Anybody(who): Anybody,
    Path(id): Path<uuid::Uuid>,
) -> Result<StatusCode, Problem> {
    viewing.unwatch(ViewerId(id), &who).await?;
    Ok(StatusCode::OK)
}

/// Not possible: the answer has everything, nothing is trickled.
#[utoipa::path(
    patch,
    path = "/api/v1/whep/{id}",
    operation_id = "patch_watching",
    tag = "viewing",
    params(("id" = uuid::Uuid, Path)),
    responses((status = 405, description = "`trickle_unsupported`", body = Problem))
)]
async fn patch_watching() -> Response {
    nothing_is_trickled()
}

/// What the class is shown.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LessonShowing)]
struct ShowingView {
    /// A screen is on air, and its publisher can be heard.
    on_air: bool,
    /// A screen is on air, though nothing may come of it just now.
    has_screen: bool,
    /// What the teacher lets the class see of it.
    picture: Picture,
    /// `null`: no screen is on air.
    #[schema(required)]
    codec_video: Option<Codec>,
    has_sound: bool,
    /// The teacher's voice is on air.
    has_voice: bool,
    is_recorded: bool,
    /// How long after it is on air everybody is to show a picture, in milliseconds.
    playout_ms: u16,
}

/// What the class is shown of a lesson, for who may watch it.
#[utoipa::path(
    get,
    path = "/api/v1/lessons/{id}/showing",
    operation_id = "get_showing",
    tag = "viewing",
    params(("id" = LessonId, Path)),
    responses(
        (status = 200, body = ShowingView),
        OfLesson,
        (status = 409, description = "`lesson_not_active`", body = Problem),
    )
)]
async fn get_showing(
    State(viewing): State<Handle>,
    Anybody(who): Anybody,
    Path(lesson): Path<LessonId>,
) -> Result<Json<ShowingView>, Problem> {
    Ok(Json(viewing.showing(lesson, &who).await?.into()))
}

/// The newest of the recording that is made of a lesson just now, for browsers that cannot play it
/// live. What the teacher keeps from the class is no part of it.
#[utoipa::path(
    get,
    path = "/api/v1/lessons/{id}/recent",
    operation_id = "get_recent",
    tag = "viewing",
    params(("id" = LessonId, Path)),
    responses(
        (status = 200, body = Recent),
        OfLesson,
        (status = 409, description = "`lesson_not_active`, `not_recorded`", body = Problem),
    )
)]
async fn get_recent(
    State(viewing): State<Handle>,
    Anybody(who): Anybody,
    Path(lesson): Path<LessonId>,
) -> Result<Json<Recent>, Problem> {
    Ok(Json(viewing.recent(lesson, &who).await?))
}

/// A piece of it: a segment's head at 0, a fragment where one begins.
#[utoipa::path(
    get,
    path = "/api/v1/lessons/{id}/recent/{segment_id}/{offset}",
    operation_id = "get_recent_piece",
    tag = "viewing",
    params(
        ("id" = LessonId, Path),
        ("segment_id" = SegmentId, Path),
        ("offset" = u64, Path, description = "As the fragment has it; 0: the head"),
    ),
    responses(
        (status = 200, description = "Whole", content_type = "video/mp4"),
        OfLesson,
        (status = 404, description = "`segment_unknown`: it is no more, or was not to be seen",
         body = Problem),
        (status = 409, description = "`lesson_not_active`", body = Problem),
    )
)]
async fn get_recent_piece(
    State(viewing): State<Handle>,
    Anybody(who): Anybody,
    Path((lesson, segment, offset)): Path<(LessonId, SegmentId, u64)>,
) -> Result<Response, Problem> {
    let (mime, bytes) = viewing.recent_piece(lesson, (segment, offset), &who).await?;
    let kind = HeaderValue::from_str(&mime).unwrap_or(HeaderValue::from_static("video/mp4"));
    Ok(([(header::CONTENT_TYPE, kind)], bytes).into_response())
}

impl From<Showing> for ShowingView {
    fn from(showing: Showing) -> Self {
        let Showing { on_air, has_screen, picture, codec_video, .. } = showing;
        let Showing { has_sound, has_voice, is_recorded, playout_ms, .. } = showing;
        Self {
            on_air,
            has_screen,
            picture,
            codec_video,
            has_sound,
            has_voice,
            is_recorded,
            playout_ms,
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::NotTheirLesson(_) => {
                Self::forbidden("not_your_lesson", "This is not the lesson that you are in now.")
            }
            Error::NotRecorded(_) => {
                Self::conflict("not_recorded", "This lesson is not being recorded.")
            }
            Error::Recording(error) => error.into(),
            Error::Attendance(error) => error.into(),
            Error::Broadcast(error) => error.into(),
        }
    }
}
