//! Attendance as a file.

use alfarid_protocol::{
    id::{ClassId, LessonId},
    time::Timestamp,
};
use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::{
    attendance::{
        Handle,
        export::{self, Zone},
    },
    http::{Path, Problem, Query},
    identity::{Language, Person, Signed},
    roster::sheet::{Sheet, attachment},
};

const CSV: &str = "text/csv; charset=utf-8";
const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ZoneQuery {
    /// How far the reader's clock is from UTC, eastwards; the box's own, if nothing is said.
    utc_offset_minutes: Option<i32>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PeriodQuery {
    /// Lessons that began at this time or later.
    pub(super) from: Option<Timestamp>,
    /// Lessons that began before this time.
    pub(super) to: Option<Timestamp>,
}

/// The attendance of a lesson as CSV, as Excel opens it in the language of whoever asks.
#[utoipa::path(
    get, path = "/api/v1/lessons/{id}/attendance.csv", tag = "attendance",
    operation_id = "export_lesson_attendance_csv",
    params(("id" = LessonId, Path), ZoneQuery),
    responses(
        (status = 200, content_type = "text/csv", body = String),
        (status = 401, description = "`not_signed_in`", body = Problem),
        (status = 403, description = "`not_your_lesson`", body = Problem),
        (status = 404, description = "`no_such_lesson`", body = Problem),
    )
)]
pub(super) async fn export_lesson_attendance_csv(
    State(attendance): State<Handle>,
    Signed(by): Signed,
    Path(id): Path<LessonId>,
    Query(query): Query<ZoneQuery>,
) -> Result<Response, Problem> {
    let (name, sheet) = of_lesson(&attendance, &by, id, query).await?;
    Ok(csv(&name, &sheet, by.language))
}

/// The attendance of a lesson as XLSX.
#[utoipa::path(
    get, path = "/api/v1/lessons/{id}/attendance.xlsx", tag = "attendance",
    operation_id = "export_lesson_attendance_xlsx",
    params(("id" = LessonId, Path), ZoneQuery),
    responses(
        (
            status = 200, body = Vec<u8>,
            content_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        ),
        (status = 401, description = "`not_signed_in`", body = Problem),
        (status = 403, description = "`not_your_lesson`", body = Problem),
        (status = 404, description = "`no_such_lesson`", body = Problem),
    )
)]
pub(super) async fn export_lesson_attendance_xlsx(
    State(attendance): State<Handle>,
    Signed(by): Signed,
    Path(id): Path<LessonId>,
    Query(query): Query<ZoneQuery>,
) -> Result<Response, Problem> {
    let (name, sheet) = of_lesson(&attendance, &by, id, query).await?;
    Ok(xlsx(&name, &sheet))
}

/// The lessons of a class, counted, as CSV.
#[utoipa::path(
    get, path = "/api/v1/classes/{id}/attendance.csv", tag = "attendance",
    operation_id = "export_class_attendance_csv",
    params(("id" = ClassId, Path), PeriodQuery),
    responses(
        (status = 200, content_type = "text/csv", body = String),
        (status = 401, description = "`not_signed_in`", body = Problem),
        (status = 403, description = "`not_your_class`", body = Problem),
        (status = 404, description = "`no_such_class`", body = Problem),
    )
)]
pub(super) async fn export_class_attendance_csv(
    State(attendance): State<Handle>,
    Signed(by): Signed,
    Path(id): Path<ClassId>,
    Query(period): Query<PeriodQuery>,
) -> Result<Response, Problem> {
    let (name, sheet) = of_class(&attendance, &by, id, period).await?;
    Ok(csv(&name, &sheet, by.language))
}

/// The lessons of a class, counted, as XLSX.
#[utoipa::path(
    get, path = "/api/v1/classes/{id}/attendance.xlsx", tag = "attendance",
    operation_id = "export_class_attendance_xlsx",
    params(("id" = ClassId, Path), PeriodQuery),
    responses(
        (
            status = 200, body = Vec<u8>,
            content_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        ),
        (status = 401, description = "`not_signed_in`", body = Problem),
        (status = 403, description = "`not_your_class`", body = Problem),
        (status = 404, description = "`no_such_class`", body = Problem),
    )
)]
pub(super) async fn export_class_attendance_xlsx(
    State(attendance): State<Handle>,
    Signed(by): Signed,
    Path(id): Path<ClassId>,
    Query(period): Query<PeriodQuery>,
) -> Result<Response, Problem> {
    let (name, sheet) = of_class(&attendance, &by, id, period).await?;
    Ok(xlsx(&name, &sheet))
}

async fn of_lesson(
    attendance: &Handle,
    by: &Person,
    lesson: LessonId,
    query: ZoneQuery,
) -> Result<(String, Sheet), Problem> {
    let sheet = attendance.sheet(lesson, by).await?;
    let zone = Zone::new(query.utc_offset_minutes);
    let file = export::lesson(&sheet, by.language, &zone);
    Ok((export::lesson_name(&sheet, &zone), file))
}

async fn of_class(
    attendance: &Handle,
    by: &Person,
    class: ClassId,
    period: PeriodQuery,
) -> Result<(String, Sheet), Problem> {
    let (class, summaries) = attendance.summary(class, period.from, period.to, by).await?;
    Ok((class.name, export::class(&summaries, by.language)))
}

fn csv(name: &str, sheet: &Sheet, language: Language) -> Response {
    match sheet.csv(language) {
        Ok(file) => file_named(CSV, &format!("{name}.csv"), file),
        Err(error) => Problem::internal(&error).into_response(),
    }
}

fn xlsx(name: &str, sheet: &Sheet) -> Response {
    match sheet.xlsx() {
        Ok(file) => file_named(XLSX, &format!("{name}.xlsx"), file),
        Err(error) => Problem::internal(&error).into_response(),
    }
}

fn file_named(kind: &'static str, name: &str, file: Vec<u8>) -> Response {
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static(kind));
    ([kind, (header::CONTENT_DISPOSITION, attachment(name))], file).into_response()
}
