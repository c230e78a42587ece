//! The roster over HTTP.

mod answers;
mod classes;
mod codes;
mod files;
mod rooms;
mod students;

use axum::{extract::FromRef, http::StatusCode};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Error, FileError, Handle};
use crate::{http::Problem, identity};

pub fn routes<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    Handle: FromRef<S>,
    identity::Handle: FromRef<S>,
{
    OpenApiRouter::new()
        .routes(routes!(rooms::list_rooms, rooms::create_room))
        .routes(routes!(rooms::update_room, rooms::delete_room))
        .routes(routes!(classes::list_classes, classes::create_class))
        .routes(routes!(classes::show_class, classes::update_class, classes::delete_class))
        .routes(routes!(classes::show_seating, classes::replace_seating))
        .routes(routes!(students::list_students, students::create_student))
        .routes(routes!(codes::create_student_codes))
        .routes(routes!(files::preview_import))
        .routes(routes!(files::import_students))
        .routes(routes!(files::export_students_csv))
        .routes(routes!(files::export_students_xlsx))
        .routes(routes!(students::update_student, students::delete_student))
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        match error {
            Error::AdminsOnly => Self::forbidden("admins_only", detail),
            Error::ClassExists => Self::conflict("class_exists", detail),
            Error::ClassFull { .. } => Self::conflict("class_full", detail),
            Error::ClassHasLessons(_) => Self::conflict("class_has_lessons", detail),
            Error::Db(_) => Self::internal(&error),
            Error::File(error) => error.into(),
            Error::Identity(error) => error.into(),
            Error::ImportHasBadLines { .. } => Self::unprocessable("import_has_bad_lines", detail),
            Error::Invalid(invalid) => invalid.into(),
            Error::LastRoom => Self::conflict("last_room", detail),
            Error::NoSuchClass(_) => Self::not_found("no_such_class", detail),
            Error::NoSuchRoom(_) => Self::not_found("no_such_room", detail),
            Error::NoSuchStudent(_) => Self::not_found("no_such_student", detail),
            Error::NoSuchTeacher(_) => Self::not_found("no_such_teacher", detail),
            Error::NotYourClass(_) => Self::forbidden("not_your_class", detail),
            Error::NumberTaken => Self::conflict("number_taken", detail),
            Error::RoomExists => Self::conflict("room_exists", detail),
            Error::RoomInUse(_) => Self::conflict("room_in_use", detail),
            Error::SeatElsewhere(_) => Self::unprocessable("seat_elsewhere", detail),
            Error::SeatSize(_) => Self::unprocessable("seat_size", detail),
            Error::SeatStranger(_) => Self::unprocessable("seat_stranger", detail),
            Error::SeatTwice(_) => Self::unprocessable("seat_twice", detail),
            Error::SeatedTwice(_) => Self::unprocessable("seated_twice", detail),
            Error::Stopping => Self::unavailable("stopping", detail),
        }
    }
}

impl From<FileError> for Problem {
    fn from(error: FileError) -> Self {
        let detail = error.to_string();
        match error {
            FileError::ColumnMissing { .. } => Self::unprocessable("import_column_missing", detail),
            FileError::Empty => Self::unprocessable("import_empty", detail),
            FileError::NotATable => Self::unprocessable("import_not_a_table", detail),
            FileError::OldExcel => Self::unprocessable("import_old_excel", detail),
            FileError::TooLarge => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "import_too_large", detail)
            }
            FileError::TooManyRows => Self::unprocessable("import_too_many_rows", detail),
            FileError::Utf16 => Self::unprocessable("import_utf16", detail),
        }
    }
}
