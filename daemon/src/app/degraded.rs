//! The box without its database, or without another file that it cannot be without: it serves its
//! page, which says what is wrong and what to do.
//!
//! ```text
//!   cannot be opened ──▶ the page alone ──each RETRY: tried──▶ opens: the process ends in order,
//!                           ▲     │                            and systemd starts a whole box
//!                           └─────┘ still not
//! ```

use std::{sync::Arc, time::Duration};

use axum::{Router, response::IntoResponse, routing::any};
use rusqlite::ErrorCode;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{Opened, routes::Web};
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
    let of_database = cause.chain().find_map(|cause| cause.downcast_ref::<DbError>());
    let (code, again) = (code(of_database), may_pass(of_database).then_some(RETRY));
    let what = match of_database {
        Some(_) => "The box's database cannot be used",
        None => "The box cannot begin its work",
    };
    tracing::error!(error = %why, "{what}: {why}");
    let answer = move || {
        let detail = format!("{what}: {why}. Lessons cannot be held.");
        let mut problem = Problem::unavailable(code, detail);
        problem.retry_after_seconds = again.map(|again| again.as_secs());
        problem.into_response()
    };
    let api = Router::new().route("/api/{*path}", any(move || async move { answer() }));
    let tls = enrolment::tls_without_database(config, &Clock::start(Evidence::gather(None)))?;
    let router = Web::new(config).guarded(api);
    lifecycle.spawn(Phase::Doors, "pages", |stopping| http::serve(web, tls, router, stopping));
    if again.is_some() {
        lifecycle.spawn(Phase::Floor, "opening", |stopping| {
            try_again(Arc::clone(config), lifecycle.clone(), stopping)
        });
    }
    Ok(())
}

/// What the page translates.
const fn code(cause: Option<&DbError>) -> &'static str {
    match cause {
        Some(DbError::Newer { .. }) => "database_newer",
        Some(_) => "database_unreadable",
        None => "start_failed",
    }
}

/// Whether it may open later by itself: when its disk is there, or has room again. A newer program
/// is started anew when it is installed. After a damaged file was moved aside in part, another try
/// would find none and begin an empty school: that is for a person to decide. A migration that this
/// build cannot make it never can, and each try would copy the whole file first.
fn may_pass(cause: Option<&DbError>) -> bool {
    match cause {
        Some(DbError::Newer { .. } | DbError::SetAside { .. }) => false,
        Some(DbError::Migrate { source, .. }) => {
            source.sqlite_error_code() == Some(ErrorCode::DiskFull)
        }
        Some(_) | None => true,
    }
}

/// Ends the process once everything opens: a box is built whole, or not at all.
async fn try_again(config: Arc<Config>, lifecycle: Lifecycle, stopping: CancellationToken) {
    let opens = async {
        loop {
            tokio::time::sleep(RETRY).await;
            if Opened::open(Arc::clone(&config)).await.is_ok() {
                return;
            }
        }
    };
    if stopping.run_until_cancelled(opens).await.is_some() {
        tracing::info!("what could not be opened opens again: starting anew");
        lifecycle.stop();
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::{Error, ffi};

    use super::*;

    #[test]
    fn what_room_on_the_disk_mends_is_tried_again_and_a_wrong_migration_is_not() {
        let failed = |code| {
            let source = Error::SqliteFailure(ffi::Error::new(code), None);
            may_pass(Some(&DbError::Migrate { step: "0001_settings", source }))
        };
        assert!(failed(ffi::SQLITE_FULL));
        assert!(!failed(ffi::SQLITE_CONSTRAINT));
    }
}
