//! The box without its database: it serves its page, which says what is wrong and what to do.
//!
//! ```text
//!   cannot be opened ──▶ the page alone ──each RETRY: tried──▶ opens: the process ends in order,
//!                           ▲     │                            and systemd starts a whole box
//!                           └─────┘ still not
//! ```

use std::{sync::Arc, time::Duration};

use axum::{Router, response::IntoResponse, routing::any};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{lay_floor, routes::Web};
use crate::{
    clock::{Clock, Evidence},
    config::Config,
    db::DbError,
    enrolment,
    http::{self, Problem},
    lifecycle::{Lifecycle, Phase},
};

/// A disk that comes late is there within seconds; a look costs a broken box nothing.
const RETRY: Duration = Duration::from_secs(5);

/// Answers every API request with what is wrong until the process stops.
pub(super) fn serve(
    config: &Arc<Config>,
    web: TcpListener,
    cause: &anyhow::Error,
    lifecycle: &Lifecycle,
) -> anyhow::Result<()> {
    let why = format!("{cause:#}");
    tracing::error!(error = %why, "the database cannot be used: {why}");
    let cause = cause.downcast_ref();
    let (code, again) = (code(cause), may_pass(cause).then_some(RETRY));
    let answer = move || {
        let detail = format!("The box's database cannot be used: {why}. Lessons cannot be held.");
        let mut problem = Problem::unavailable(code, detail);
        problem.retry_after_seconds = again.map(|again| again.as_secs());
        problem.into_response()
    };
    let api = Router::new().route("/api/{*path}", any(move || async move { answer() }));
    let tls = enrolment::tls_without_database(config, &Clock::start(Evidence::gather(None)))?;
    let router = Web::new(config).guarded(api);
    lifecycle.spawn(Phase::Doors, "pages", |stopping| http::serve(web, tls, router, stopping));
    if again.is_some() {
        lifecycle.spawn(Phase::Floor, "database", |stopping| {
            try_again(Arc::clone(config), lifecycle.clone(), stopping)
        });
    }
    Ok(())
}

/// What the page translates.
const fn code(cause: Option<&DbError>) -> &'static str {
    match cause {
        Some(DbError::Newer { .. }) => "database_newer",
        Some(_) | None => "database_unreadable",
    }
}

/// Whether it may open later by itself: when its disk is there, or has room again. A newer program
/// is started anew when it is installed. After a damaged file was moved aside in part, another try
/// would find none and begin an empty school: that is for a person to decide.
const fn may_pass(cause: Option<&DbError>) -> bool {
    !matches!(cause, Some(DbError::Newer { .. } | DbError::SetAside { .. }))
}

/// Ends the process once the database opens: a box is built whole, or not at all.
async fn try_again(config: Arc<Config>, lifecycle: Lifecycle, stopping: CancellationToken) {
    let opens = async {
        loop {
            tokio::time::sleep(RETRY).await;
            if lay_floor(Arc::clone(&config)).await.is_ok() {
                return;
            }
        }
    };
    if stopping.run_until_cancelled(opens).await.is_some() {
        tracing::info!("the database opens again: starting anew");
        lifecycle.stop();
    }
}
