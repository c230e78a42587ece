//! Attendance over HTTP.

mod files;
mod own;

use alfarid_protocol::id::{ClassId, LessonId, MachineId, StudentId};
use axum::{
    extract::{FromRef, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use self::files::PeriodQuery;
use super::{
    Error, Handle, MeetingView, Mode, Move, PersonView, Record, Status, Summary, Thresholds,
};
use crate::{
    field,
    http::{Json, List, Path, Problem, Query},
    identity::{self, Signed},
};

/// The longest reason that is taken, in characters.
const MAX_WHY: usize = 500;

pub fn routes<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    Handle: FromRef<S>,
    identity::Handle: FromRef<S>,
{
    OpenApiRouter::new()
        .routes(routes!(own::show_own_lesson))
        .routes(routes!(list_lesson_people))
        .routes(routes!(change_lesson_seat))
        .routes(routes!(show_lesson_attendance))
        .routes(routes!(correct_lesson_attendance))
        .routes(routes!(list_class_attendance))
        .routes(routes!(files::export_lesson_attendance_csv))
        .routes(routes!(files::export_lesson_attendance_xlsx))
        .routes(routes!(files::export_class_attendance_csv))
        .routes(routes!(files::export_class_attendance_xlsx))
}

/// Who is here, as it is at this moment.
#[utoipa::path(
    get, path = "/api/v1/lessons/{id}/people", tag = "attendance",
    operation_id = "list_lesson_people",
    params(("id" = LessonId, Path)),
    responses(
        (status = 200, body = List<PersonView>),
        (status = 401, description = "`not_signed_in`", body = Problem),
        (status = 403, description = "`not_your_lesson`", body = Problem),
        (status = 404, description = "`no_such_lesson`", body = Problem),
    )
)]
async fn list_lesson_people(
    State(attendance): State<Handle>,
    Signed(by): Signed,
    Path(id): Path<LessonId>,
) -> Result<List<PersonView>, Problem> {
    Ok(List { items: attendance.people(id, &by).await? })
}

#[derive(Deserialize, ToSchema)]
#[schema(as = SeatChange)]
struct SeatForm {
    student_id: StudentId,
    /// `null`: no machine.
    machine_id: Option<MachineId>,
    mode: Mode,
}

/// Note that a student sits elsewhere from now on, or has sat elsewhere all along.
#[utoipa::path(
    post, path = "/api/v1/lessons/{id}/seats", tag = "attendance",
    operation_id = "change_lesson_seat",
    params(("id" = LessonId, Path)), request_body = SeatForm,
    responses(
        (status = 204),
        (status = 401, description = "`not_signed_in`", body = Problem),
        (status = 403, description = "`not_your_lesson`", body = Problem),
        (status = 404, description = "`no_such_lesson`, `no_such_student`", body = Problem),
        (status = 409, description = "`lesson_not_active`, `machine_full`, `too_long_ago`",
            body = Problem),
        (status = 422, description = "`machine_elsewhere`", body = Problem),
    )
)]
async fn change_lesson_seat(
    State(attendance): State<Handle>,
    Signed(by): Signed,
    Path(id): Path<LessonId>,
    Json(form): Json<SeatForm>,
) -> Result<StatusCode, Problem> {
    let seat = Move { student: form.student_id, machine: form.machine_id, mode: form.mode };
    attendance.move_seat(id, seat, &by).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Serialize, ToSchema)]
#[schema(as = LessonAttendance)]
struct SheetView {
    lesson: MeetingView,
    thresholds: Thresholds,
    items: Vec<Record>,
}

/// The attendance of a lesson; while it runs, as it stands at this moment.
#[utoipa::path(
    get, path = "/api/v1/lessons/{id}/attendance", tag = "attendance",
    operation_id = "show_lesson_attendance",
    params(("id" = LessonId, Path)),
    responses(
        (status = 200, body = SheetView),
        (status = 401, description = "`not_signed_in`", body = Problem),
        (status = 403, description = "`not_your_lesson`", body = Problem),
        (status = 404, description = "`no_such_lesson`", body = Problem),
    )
)]
async fn show_lesson_attendance(
    State(attendance): State<Handle>,
    Signed(by): Signed,
    Path(id): Path<LessonId>,
) -> Result<Json<SheetView>, Problem> {
    let sheet = attendance.sheet(id, &by).await?;
    let view =
        SheetView { lesson: sheet.lesson, thresholds: sheet.thresholds, items: sheet.records };
    Ok(Json(view))
}

#[derive(Deserialize, ToSchema)]
#[schema(as = AttendanceCorrectionForm)]
struct CorrectionForm {
    status: Status,
    why: String,
}

/// Say what a student's attendance was, and why. What it was before is kept beside it.
#[utoipa::path(
    put, path = "/api/v1/lessons/{id}/attendance/{student_id}", tag = "attendance",
    operation_id = "correct_lesson_attendance",
    params(("id" = LessonId, Path), ("student_id" = StudentId, Path)),
    request_body = CorrectionForm,
    responses(
        (status = 200, body = Record),
        (status = 401, description = "`not_signed_in`", body = Problem),
        (status = 403, description = "`not_your_lesson`", body = Problem),
        (status = 404, description = "`no_such_lesson`, `no_such_student`", body = Problem),
        (status = 422, description = "`invalid_input`", body = Problem),
    )
)]
async fn correct_lesson_attendance(
    State(attendance): State<Handle>,
    Signed(by): Signed,
    Path((id, student)): Path<(LessonId, StudentId)>,
    Json(form): Json<CorrectionForm>,
) -> Result<Json<Record>, Problem> {
    let why = field::line("why", &form.why, MAX_WHY)?;
    Ok(Json(attendance.correct(id, student, form.status, why, &by).await?))
}

/// Everybody's attendance of the lessons of a class, counted.
#[utoipa::path(
    get, path = "/api/v1/classes/{id}/attendance", tag = "attendance",
    operation_id = "list_class_attendance",
    params(("id" = ClassId, Path), PeriodQuery),
    responses(
        (status = 200, body = List<Summary>),
        (status = 401, description = "`not_signed_in`", body = Problem),
        (status = 403, description = "`not_your_class`", body = Problem),
        (status = 404, description = "`no_such_class`", body = Problem),
    )
)]
async fn list_class_attendance(
    State(attendance): State<Handle>,
    Signed(by): Signed,
    Path(id): Path<ClassId>,
    Query(period): Query<PeriodQuery>,
) -> Result<List<Summary>, Problem> {
    let (_, items) = attendance.summary(id, period.from, period.to, &by).await?;
    Ok(List { items })
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        match error {
            Error::Db(_) => Self::internal(&error),
            Error::MachineElsewhere(_) => Self::unprocessable("machine_elsewhere", detail),
            Error::MachineFull(_) => Self::conflict("machine_full", detail),
            Error::NoSuchClass(_) => Self::not_found("no_such_class", detail),
            Error::NoSuchLesson(_) => Self::not_found("no_such_lesson", detail),
            Error::NoSuchStudent(_) => Self::not_found("no_such_student", detail),
            Error::NotRunning(_) => Self::conflict("lesson_not_active", detail),
            Error::NotYourClass(_) => Self::forbidden("not_your_class", detail),
            Error::NotYourLesson(_) => Self::forbidden("not_your_lesson", detail),
            Error::Stopped => Self::unavailable("stopping", detail),
            Error::TooLongAgo(_) => Self::conflict("too_long_ago", detail),
        }
    }
}
