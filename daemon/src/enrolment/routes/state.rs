//! What a page needs to know before anything else.

use alfarid_protocol::time::Timestamp;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    enrolment::{Handle, addresses},
    health::FaultCode,
    http::Json,
    identity::{Person, SignedStudent, Who, extract::Visitor},
};

#[derive(Serialize, ToSchema)]
pub(super) struct BoxState {
    claimed: bool,
    site_name: Option<String>,
    box_name: String,
    version: &'static str,
    clock: ClockState,
    /// Who is logged in in this browser.
    session: Option<Person>,
    /// The student who is signed in in this browser; then nobody is logged in.
    student: Option<SignedStudent>,
    faults: Vec<FaultState>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct ClockState {
    now: Timestamp,
    /// Whether anybody vouches for it.
    sure: bool,
}

#[derive(Serialize, ToSchema)]
pub(super) struct FaultState {
    code: FaultCode,
    detail: String,
}

/// What a page needs to know first; for everybody.
#[utoipa::path(
    get, path = "/api/v1/state", tag = "enrolment", operation_id = "show_state",
    responses((status = 200, body = BoxState))
)]
pub(super) async fn show_state(
    State(enrolment): State<Handle>,
    visitor: Visitor,
) -> Json<BoxState> {
    let floor = &enrolment.0.floor;
    let (session, student) = match visitor.0 {
        Some(Who::Person(person)) => (Some(person), None),
        Some(Who::Student(student)) => (None, Some(student)),
        None => (None, None),
    };
    let is_known = session.is_some();
    // A stranger or a student learns that something is wrong, not what: details name files and
    // lessons.
    let detail = |detail: String| if is_known { detail } else { String::new() };
    let faults = floor.health.faults().into_iter();
    Json(BoxState {
        claimed: enrolment.is_claimed(),
        site_name: enrolment.site().map(|site| site.description.site_name.clone()),
        box_name: addresses::host_name(),
        version: env!("CARGO_PKG_VERSION"),
        clock: ClockState { now: floor.clock.now(), sure: floor.clock.is_sure() },
        session,
        student,
        faults: faults.map(|f| FaultState { code: f.code, detail: detail(f.detail) }).collect(),
    })
}
