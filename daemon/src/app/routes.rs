//! All routes in one place: the capabilities', the pages', the OpenAPI document.

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{StatusCode, header},
    middleware,
    routing::get,
};
use tower_http::compression::{
    CompressionLayer,
    predicate::{DefaultPredicate, NotForContentType, Predicate},
};
use utoipa::{
    OpenApi,
    openapi::{Info, License, OpenApi as Document},
};
use utoipa_axum::router::OpenApiRouter;

use super::AppState;
use crate::{
    attendance, broadcast,
    config::Config,
    enrolment,
    http::{
        Problem, assets,
        guard::{self, Names},
        trace::trace,
    },
    identity, lesson, live, machines, open_air, recording, roster, settings, system, viewing,
};

/// The largest body a route takes unless it says otherwise: a class list of two thousand rows.
const BODY: usize = 4 * 1024 * 1024;

/// What is in no route's list of answers, for every route may give it, is listed here.
const WHAT_IT_IS: &str = "The classroom box, as its own pages use it.\n\n\
    An error is `application/problem+json` with a stable `code`. Any request may be answered by \
    `body_incomplete`, `body_too_large`, `disk_full`, `foreign_origin`, `host_unknown`, `internal`, \
    `json_malformed`, `method_not_allowed`, `no_such_route`, `not_found` (of an id that is none), \
    `not_json` or `query_malformed`. A student who is signed in is answered `not_for_students` \
    wherever a teacher is asked for.";

#[derive(OpenApi)]
#[openapi(components(schemas(Problem, crate::events::Event)))]
struct Documented;

/// What the web port answers.
#[derive(Debug)]
pub(super) struct Web {
    names: Names,
}

impl Web {
    pub(super) fn new(config: &Config) -> Self {
        Self { names: Names::new(&config.http.names, &enrolment::host_name()) }
    }

    pub(super) fn router(self, state: AppState) -> Router {
        let (api, document) = api().split_for_parts();
        let document = document.to_pretty_json().unwrap_or_default();
        let router = api.with_state(state).route(
            "/api/openapi.json",
            get(|| async { ([(header::CONTENT_TYPE, "application/json")], document) }),
        );
        self.guarded(router)
    }

    /// `router`, the pages for everything else, and the defences around both.
    pub(super) fn guarded(self, router: Router) -> Router {
        router
            .method_not_allowed_fallback(method_not_allowed)
            .fallback(assets::pages)
            .layer(DefaultBodyLimit::max(BODY))
            .layer(CompressionLayer::new().compress_when(text()))
            .layer(middleware::from_fn_with_state(self.names, guard::guard))
            .layer(middleware::from_fn(trace))
    }
}

fn api() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(about())
        .merge(identity::routes())
        .merge(enrolment::routes())
        .merge(roster::routes())
        .merge(machines::routes::routes())
        .merge(broadcast::routes::routes())
        .merge(recording::routes::routes())
        .merge(attendance::routes())
        .merge(open_air::routes::routes())
        .merge(viewing::routes())
        .merge(lesson::routes())
        .merge(settings::routes())
        .merge(system::routes::routes())
        .merge(live::routes())
}

async fn method_not_allowed() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "This cannot be done at this address. `Allow` says what can.",
    )
}

/// Pictures and sound are compressed already, and their length must stay known.
fn text() -> impl Predicate {
    DefaultPredicate::new()
        .and(NotForContentType::new("video/"))
        .and(NotForContentType::new("audio/"))
        .and(NotForContentType::new("image/"))
}

fn about() -> Document {
    let mut document = Documented::openapi();
    let mut info = Info::new("Alfarid", env!("CARGO_PKG_VERSION"));
    info.description = Some(WHAT_IT_IS.to_owned());
    info.license = Some(License::new("Apache-2.0"));
    document.info = info;
    document
}

/// The OpenAPI document of this build, as JSON with a final newline.
pub fn openapi_document() -> Result<String, serde_json::Error> {
    let (_, document) = api().split_for_parts();
    Ok(document.to_pretty_json()? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_are_made_from_this_document() {
        let theirs = include_str!("../../../web-admin/openapi.json");
        let same = openapi_document().unwrap() == theirs;
        assert!(same, "web-admin/openapi.json is of another build: `make gen` writes it again");
    }
}
