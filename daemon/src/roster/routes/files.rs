//! A class as a file: import with a preview, export.

use alfarid_protocol::id::ClassId;
use axum::{
    extract::State,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::IntoResponse,
};

use super::answers::{OfClass, OfOwnClass};
use crate::{
    http::{Body, Json, Path, Problem},
    identity::{Language, Signed},
    roster::{
        Class, FileError, Handle, ImportPreview, Imported, Student,
        sheet::{Sheet, attachment},
    },
};

/// See what a file would change, and change nothing.
#[utoipa::path(
    post, path = "/api/v1/classes/{id}/import/preview", tag = "roster",
    operation_id = "preview_import", params(("id" = ClassId, Path)),
    request_body(
        content = Vec<u8>, content_type = "application/octet-stream",
        description = "CSV (UTF-8 or Windows-1251, comma or semicolon) or XLSX, up to 2 MB and \
                       2000 lines",
    ),
    responses(
        (status = 200, body = ImportPreview),
        OfOwnClass,
        (status = 413, description = "`import_too_large`", body = Problem),
        (
            status = 422,
            description = "`import_column_missing`, `import_empty`, `import_not_a_table`, \
                           `import_old_excel`, `import_too_many_rows`, `import_utf16`",
            body = Problem,
        ),
    )
)]
pub(super) async fn preview_import(
    State(roster): State<Handle>,
    Signed(person): Signed,
    Path(class): Path<ClassId>,
    file: Result<Body, Problem>,
) -> Result<Json<ImportPreview>, Problem> {
    Ok(Json(roster.preview_import(&person, class, whole(file)?).await?))
}

/// Import a file: all of it, or nothing.
#[utoipa::path(
    post, path = "/api/v1/classes/{id}/import", tag = "roster",
    operation_id = "import_students", params(("id" = ClassId, Path)),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 200, body = Imported),
        OfOwnClass,
        (status = 409, description = "`class_full`", body = Problem),
        (status = 413, description = "`import_too_large`", body = Problem),
        (
            status = 422,
            description = "`import_has_bad_lines`, and what `preview_import` may say",
            body = Problem,
        ),
    )
)]
pub(super) async fn import_students(
    State(roster): State<Handle>,
    Signed(person): Signed,
    Path(class): Path<ClassId>,
    file: Result<Body, Problem>,
) -> Result<Json<Imported>, Problem> {
    Ok(Json(roster.import(&person, class, whole(file)?).await?))
}

/// The class's students as CSV, as Excel opens it in the language of whoever asks.
#[utoipa::path(
    get, path = "/api/v1/classes/{id}/students.csv", tag = "roster",
    operation_id = "export_students_csv", params(("id" = ClassId, Path)),
    responses(
        (status = 200, content_type = "text/csv", body = String),
        OfClass,
    )
)]
pub(super) async fn export_students_csv(
    State(roster): State<Handle>,
    Signed(person): Signed,
    Path(class): Path<ClassId>,
) -> Result<impl IntoResponse, Problem> {
    let (class, students) = (roster.class(class).await?, roster.students(class, false).await?);
    let file = sheet(students, person.language).csv(person.language);
    let file = file.map_err(|error| Problem::internal(&error))?;
    Ok((headers("text/csv; charset=utf-8", &class, "csv"), file))
}

/// The class's students as XLSX.
#[utoipa::path(
    get, path = "/api/v1/classes/{id}/students.xlsx", tag = "roster",
    operation_id = "export_students_xlsx", params(("id" = ClassId, Path)),
    responses(
        (
            status = 200, body = Vec<u8>,
            content_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        ),
        OfClass,
    )
)]
pub(super) async fn export_students_xlsx(
    State(roster): State<Handle>,
    Signed(person): Signed,
    Path(class): Path<ClassId>,
) -> Result<impl IntoResponse, Problem> {
    const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
    let (class, students) = (roster.class(class).await?, roster.students(class, false).await?);
    let file = sheet(students, person.language).xlsx();
    let file = file.map_err(|error| Problem::internal(&error))?;
    Ok((headers(XLSX, &class, "xlsx"), file))
}

/// With names of columns that an import knows.
fn sheet(students: Vec<Student>, language: Language) -> Sheet {
    let columns = match language {
        Language::Ru => ["Номер", "ФИО", "Почта"],
        Language::En => ["Number", "Full name", "E-mail"],
    };
    let row = |s: Student| vec![s.student_id, s.full_name, s.email.unwrap_or_default()];
    Sheet {
        columns: columns.map(str::to_owned).to_vec(),
        rows: students.into_iter().map(row).collect(),
    }
}

fn headers(kind: &'static str, class: &Class, extension: &str) -> [(HeaderName, HeaderValue); 2] {
    [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_DISPOSITION, attachment(&format!("{}.{extension}", class.name))),
    ]
}

/// A file that the limit cut off was too large, whatever else it was.
fn whole(file: Result<Body, Problem>) -> Result<Vec<u8>, Problem> {
    let is_cut_off = |problem: &Problem| problem.status() == StatusCode::PAYLOAD_TOO_LARGE;
    match file {
        Ok(Body(file)) => Ok(file.into()),
        Err(problem) if is_cut_off(&problem) => Err(FileError::TooLarge.into()),
        Err(problem) => Err(problem),
    }
}
