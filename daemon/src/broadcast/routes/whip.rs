//! WHIP (RFC 9725) as HTTP sees it.
//!
//! A page publishes into a lesson by its session; OBS and GStreamer publish by their teacher's
//! stream key, into the lesson that this teacher holds. Candidates are all in the offer and the
//! answer: there is no trickling, so `PATCH` is not allowed (§4.3.1).

use alfarid_protocol::id::{LessonId, PublicationId};
use axum::{
    Extension,
    extract::{DefaultBodyLimit, FromRef, FromRequestParts, State},
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::Response,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    broadcast::{
        Handle, PublicationKind,
        routes::{
            answers::{OfOffer, OfOwnLesson},
            sdp::{MAX_OFFER, SDP, created, nothing_is_trickled, read_offer},
        },
    },
    http::{Body, Path, Peer, Problem},
    identity::{self, Person, Signed},
};

/// Where publications are found.
const PLACE: &str = "/api/v1/whip";

pub(super) fn routes<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    Handle: FromRef<S>,
    identity::Handle: FromRef<S>,
{
    OpenApiRouter::new()
        .routes(routes!(publish))
        .routes(routes!(publish_by_key))
        .routes(routes!(end_publication, patch_publication))
        .layer(DefaultBodyLimit::max(MAX_OFFER))
}

/// Somebody with a session or with a stream key.
struct Caller(Person);

impl<S> FromRequestParts<S> for Caller
where
    S: Send + Sync,
    identity::Handle: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match stream_key(&parts.headers) {
            Some(key) => person_of(&identity::Handle::from_ref(state), key).await.map(Self),
            None => {
                Signed::from_request_parts(parts, state).await.map(|Signed(person)| Self(person))
            }
        }
    }
}

/// Puts something on air in a lesson.
#[utoipa::path(
    post,
    path = "/api/v1/lessons/{id}/whip/{publication}",
    operation_id = "publish",
    tag = "broadcast",
    params(("id" = LessonId, Path), ("publication" = PublicationKind, Path)),
    request_body(content = String, content_type = SDP, description = "The offer"),
    responses(
        (status = 201, description = "The answer; `Location` is the publication", body = String,
         content_type = SDP),
        OfOffer,
        OfOwnLesson,
        (status = 409, description = "`lesson_not_active`, `publication_taken`", body = Problem),
    )
)]
async fn publish(
    State(broadcast): State<Handle>,
    Signed(person): Signed,
    Extension(peer): Extension<Peer>,
    Path((lesson, kind)): Path<(LessonId, PublicationKind)>,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Response, Problem> {
    let offer = read_offer(&headers, &body)?;
    let came_to = peer.local.ip();
    let published = broadcast.publish(lesson, kind, &person, offer, came_to).await?;
    Ok(created(PLACE, published.id, published.answer))
}

/// Puts a screen on air in the lesson that the owner of the stream key holds.
#[utoipa::path(
    post,
    path = "/api/v1/whip",
    operation_id = "publish_by_key",
    tag = "broadcast",
    request_body(content = String, content_type = SDP, description = "The offer"),
    responses(
        (status = 201, description = "The answer; `Location` is the publication", body = String,
         content_type = SDP),
        OfOffer,
        (status = 401, description = "`stream_key_wrong`", body = Problem),
        (status = 409, description = "`no_active_lesson`, `publication_taken`", body = Problem),
    )
)]
async fn publish_by_key(
    State(broadcast): State<Handle>,
    State(identity): State<identity::Handle>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Response, Problem> {
    let person = person_of(&identity, stream_key(&headers).unwrap_or_default()).await?;
    let offer = read_offer(&headers, &body)?;
    let published = broadcast.publish_by_key(&person, offer, peer.local.ip()).await?;
    Ok(created(PLACE, published.id, published.answer))
}

/// Ends a publication.
#[utoipa::path(
    delete,
    path = "/api/v1/whip/{id}",
    operation_id = "end_publication",
    tag = "broadcast",
    params(("id" = PublicationId, Path)),
    responses(
        (status = 200),
        (status = 401, description = "`not_signed_in`, `stream_key_wrong`", body = Problem),
        (status = 404, description = "`publication_unknown`", body = Problem),
    )
)]
async fn end_publication(
    State(broadcast): State<Handle>,
    Caller(person): Caller,
    Path(id): Path<PublicationId>,
) -> Result<StatusCode, Problem> {
    broadcast.unpublish(id, &person).await?;
    Ok(StatusCode::OK)
}

/// Not possible: the answer has everything, nothing is trickled.
#[utoipa::path(
    patch,
    path = "/api/v1/whip/{id}",
    operation_id = "patch_publication",
    tag = "broadcast",
    params(("id" = PublicationId, Path)),
    responses((status = 405, description = "`trickle_unsupported`", body = Problem))
)]
async fn patch_publication() -> Response {
    nothing_is_trickled()
}

/// The key of `Authorization: Bearer <key>`.
fn stream_key(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

async fn person_of(identity: &identity::Handle, key: &str) -> Result<Person, Problem> {
    let person = identity.person_of_stream_key(key).await.map_err(|e| Problem::internal(&e))?;
    person.ok_or_else(|| {
        Problem::unauthorized(
            "stream_key_wrong",
            "This stream key is nobody's. Make a new one on the box's page.",
        )
    })
}
