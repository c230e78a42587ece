//! The span of a request: what the box logs while it answers says what was asked for.
//!
//! The path alone is kept. A query holds what people look for, and a body what they write.

use alfarid_protocol::id::LessonId;
use axum::{extract::Request, middleware::Next, response::Response};
use tracing::Instrument;

use crate::logging;

/// Where the requests about one lesson begin.
const LESSONS: &str = "/api/v1/lessons/";

/// Answers in the span of the request, and of the lesson that it is about.
pub async fn trace(request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let lesson = logging::of(lesson_in(&path));
    // Of the highest level, as a lesson's.
    let span = tracing::error_span!(
        parent: &lesson, "request", request.method = %method, request.path = path,
    );
    next.run(request).instrument(span).await
}

fn lesson_in(path: &str) -> Option<LessonId> {
    let id = path.strip_prefix(LESSONS)?.split('/').next()?;
    id.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lesson_is_known_by_the_path_of_its_resources() {
        let id = "019386a2-4d5c-7bbb-8c3e-0f2a6b7c8d9e";
        let lesson = id.parse().unwrap();
        assert_eq!(lesson_in(&format!("/api/v1/lessons/{id}")), Some(lesson));
        assert_eq!(lesson_in(&format!("/api/v1/lessons/{id}/stream")), Some(lesson));
        for path in ["/api/v1/lessons", "/api/v1/lessons/start", "/api/v1/rooms", "/"] {
            assert_eq!(lesson_in(path), None, "{path}");
        }
    }
}
