//! Axum extractors: a handler that names [`Signed`], [`Admin`] or [`Student`] cannot be reached
//! without one. Whoever asks for a person refuses a student, and the other way round.

use std::convert::Infallible;

use alfarid_protocol::id::StudentId;
use axum::{
    extract::{FromRef, FromRequestParts},
    http::{header, request::Parts},
};

use super::{Handle, Person, SessionEnd, Who};
use crate::http::Problem;

/// `__Host-`: sent only by HTTPS, only to this very host, for every path.
pub const COOKIE: &str = "__Host-alfarid";

/// By which a browser is known again where somebody has logged in before. Opens nothing.
pub const DEVICE_COOKIE: &str = "__Host-alfarid-device";

/// The same for where a student's code has let somebody in.
pub const STUDENT_DEVICE_COOKIE: &str = "__Host-alfarid-student-device";

/// Anybody who is logged in: a teacher or an admin.
#[derive(Clone, Debug)]
pub struct Signed(pub Person);

/// A student who is signed in.
#[derive(Clone, Copy, Debug)]
pub struct Student(pub StudentId);

/// A person or a student who is signed in.
#[derive(Clone, Debug)]
pub struct Anybody(pub Who);

/// A person or a student who is signed in, for a connection that stays open: it ends when
/// `session` does.
#[derive(Debug)]
pub struct Staying {
    pub who: Who,
    pub session: SessionEnd,
}

/// Somebody who may be signed in or not. Never refuses: what a page is told first has to come
/// even when people cannot be read.
#[derive(Clone, Debug)]
pub struct Visitor(pub Option<Who>);

/// An admin who is logged in.
#[derive(Clone, Debug)]
pub struct Admin(pub Person);

impl<S> FromRequestParts<S> for Signed
where
    S: Send + Sync,
    Handle: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match who(parts, &Handle::from_ref(state)).await? {
            Who::Person(person) => Ok(Self(person)),
            Who::Student(_) => Err(Problem::forbidden(
                "not_for_students",
                "This is for teachers. Students have a page of their own.",
            )),
        }
    }
}

impl<S> FromRequestParts<S> for Student
where
    S: Send + Sync,
    Handle: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match who(parts, &Handle::from_ref(state)).await? {
            Who::Student(student) => Ok(Self(student.id)),
            Who::Person(_) => {
                Err(Problem::forbidden("students_only", "This is for students who are signed in."))
            }
        }
    }
}

impl<S> FromRequestParts<S> for Anybody
where
    S: Send + Sync,
    Handle: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        who(parts, &Handle::from_ref(state)).await.map(Self)
    }
}

impl<S> FromRequestParts<S> for Staying
where
    S: Send + Sync,
    Handle: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let identity = Handle::from_ref(state);
        let token = session_token(parts).ok_or_else(not_signed_in)?;
        let followed = identity.follow_session(token).await.map_err(|e| Problem::internal(&e))?;
        let (who, session) = followed.ok_or_else(not_signed_in)?;
        Ok(Self { who, session })
    }
}

impl<S> FromRequestParts<S> for Visitor
where
    S: Send + Sync,
    Handle: FromRef<S>,
{
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        Ok(Self(who(parts, &Handle::from_ref(state)).await.ok()))
    }
}

impl<S> FromRequestParts<S> for Admin
where
    S: Send + Sync,
    Handle: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Signed(person) = Signed::from_request_parts(parts, state).await?;
        if person.is_admin() {
            return Ok(Self(person));
        }
        Err(Problem::forbidden("admins_only", "Only an admin of this site may do this."))
    }
}

async fn who(parts: &Parts, identity: &Handle) -> Result<Who, Problem> {
    let token = session_token(parts).ok_or_else(not_signed_in)?;
    let who = identity.who_of_session(token).await.map_err(|e| Problem::internal(&e))?;
    who.ok_or_else(not_signed_in)
}

/// The session cookie of a request, if it brings one.
pub fn session_token(parts: &Parts) -> Option<&str> {
    cookie(parts, COOKIE)
}

/// The device cookie of a request, if it brings one.
pub fn device_token(parts: &Parts) -> Option<&str> {
    cookie(parts, DEVICE_COOKIE)
}

/// The student's device cookie of a request, if it brings one.
pub fn student_device_token(parts: &Parts) -> Option<&str> {
    cookie(parts, STUDENT_DEVICE_COOKIE)
}

fn cookie<'a>(parts: &'a Parts, name: &str) -> Option<&'a str> {
    parts
        .headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(found, _)| *found == name)
        .map(|(_, token)| token)
}

fn not_signed_in() -> Problem {
    Problem::unauthorized("not_signed_in", "Log in first.")
}
