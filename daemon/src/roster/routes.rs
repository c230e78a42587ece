//! The roster over HTTP.

mod classes;
mod rooms;
mod students;

use axum::extract::FromRef;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Error, Handle};
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
        }
    }
}
