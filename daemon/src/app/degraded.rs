//! The box without its database: it serves its page, and the page says what is wrong.

use axum::{Router, response::IntoResponse, routing::any};
use tokio::net::TcpListener;

use super::routes::Web;
use crate::{
    clock::{Clock, Evidence},
    config::Config,
    enrolment,
    http::{self, Problem},
    lifecycle::{Lifecycle, Phase},
};

/// Answers every API request with `database_unavailable` until the process stops. The cause is in
/// the log; who looks at the page learns what to do.
pub(super) fn serve(
    config: &Config,
    web: TcpListener,
    cause: &anyhow::Error,
    lifecycle: &Lifecycle,
) -> anyhow::Result<()> {
    tracing::error!(error = %format!("{cause:#}"), "the database cannot be used: {cause:#}");
    let detail = format!("The box's database cannot be used: {cause}. Lessons cannot be held.");
    let api =
        Router::new().route(
            "/api/{*path}",
            any(move || async move {
                Problem::unavailable("database_unavailable", detail).into_response()
            }),
        );
    let tls = enrolment::tls_without_database(config, &Clock::start(Evidence::gather(None)))?;
    let router = Web::new(config).guarded(api);
    lifecycle.spawn(Phase::Doors, "pages", |stopping| http::serve(web, tls, router, stopping));
    Ok(())
}
