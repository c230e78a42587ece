//! People over HTTP.

mod me;
mod session;
mod teachers;

use axum::extract::FromRef;
use utoipa_axum::{router::OpenApiRouter, routes};

pub use self::session::cookies;
use super::{Error, Handle};
use crate::http::Problem;

pub fn routes<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    Handle: FromRef<S>,
{
    OpenApiRouter::new()
        .routes(routes!(session::create_session, session::delete_session))
        .routes(routes!(session::create_student_session))
        .routes(routes!(me::update_me))
        .routes(routes!(me::create_stream_key, me::delete_stream_key))
        .routes(routes!(teachers::list_teachers, teachers::create_teacher))
        .routes(routes!(teachers::update_teacher))
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        match error {
            Error::AdminExists => Self::conflict("already_claimed", detail),
            Error::Busy => Self::slow_down("slow_down", detail, 2),
            Error::EmailTaken => Self::conflict("email_taken", detail),
            Error::Invalid(invalid) => invalid.into(),
            Error::LastAdmin => Self::conflict("last_admin", detail),
            Error::NoSuchTeacher(_) => Self::not_found("no_such_teacher", detail),
            Error::SlowDown { wait } => Self::slow_down("slow_down", detail, wait.as_secs()),
            Error::WrongCode => Self::unauthorized("sign_in_code_wrong", detail),
            Error::WrongCredentials => Self::unauthorized("wrong_credentials", detail),
            Error::WrongPassword => Self::forbidden("wrong_password", detail),
            Error::Db(_) | Error::Hash(_) | Error::NoRandomness(_) => Self::internal(&error),
        }
    }
}
