//! The health page.

use axum::extract::{FromRef, State};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{ClockReport, HealthReport};
use crate::{
    floor::Floor,
    http::{Json, Problem},
    identity::{self, Signed},
};

pub fn routes<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    Floor: FromRef<S>,
    identity::Handle: FromRef<S>,
{
    OpenApiRouter::new().routes(routes!(health))
}

/// What is broken, and how full the box is.
#[utoipa::path(
    get,
    path = "/api/v1/health",
    operation_id = "get_health",
    tag = "system",
    responses(
        (status = 200, body = HealthReport),
        (status = 401, description = "`not_signed_in`", body = Problem),
    )
)]
async fn health(State(floor): State<Floor>, _signed: Signed) -> Json<HealthReport> {
    Json(HealthReport {
        faults: floor.health.faults(),
        disk: super::disk(&floor.config.storage.recordings_dir),
        clock: ClockReport::of(&floor.clock),
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: floor.clock.monotonic().saturating_sub(floor.started).as_secs(),
    })
}
