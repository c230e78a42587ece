//! Errors as pages and programs see them: RFC 9457 problem details with a stable `code`.
//!
//! `detail` is for people and may change; `code` is for programs and translations and does not.
//! A 5xx says nothing about the inside: its cause goes to the log, once, here.

use std::error::Error;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::logging::chain;

/// The body of every error response, `application/problem+json`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    #[serde(rename = "type")]
    #[schema(example = "about:blank")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    /// Stable; what programs and translations go by.
    #[schema(example = "room_busy")]
    pub code: &'static str,
    /// What happened and what to do, for people, in English.
    pub detail: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldProblem>,
    /// Seconds to wait before trying again, also in `Retry-After`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u64>,
    /// The lesson that stands in the way, for `room_busy`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub lesson: Option<serde_json::Value>,
}

/// What is wrong with one field of a form.
#[derive(Debug, Serialize, ToSchema)]
pub struct FieldProblem {
    pub field: &'static str,
    pub code: FieldCode,
    pub detail: String,
}

/// Stable; the pages have words for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FieldCode {
    EmailMalformed,
    Empty,
    NotANumber,
    NotASwitch,
    NotOneLine,
    OutOfRange,
    PassphraseTooShort,
    PasswordTooShort,
    TooLong,
}

impl Problem {
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            code,
            detail: detail.into(),
            fields: Vec::new(),
            retry_after_seconds: None,
            lesson: None,
        }
    }

    /// 400: the request makes no sense.
    pub fn bad_request(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// 401: nobody is logged in, or the credentials are wrong.
    pub fn unauthorized(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, detail)
    }

    /// 403: logged in, but this is not theirs to do.
    pub fn forbidden(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, detail)
    }

    /// 404: absent, or not theirs to see.
    pub fn not_found(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, detail)
    }

    /// 409: right request, wrong state.
    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// 422: well-formed, but a value is not possible.
    pub fn unprocessable(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
    }

    /// 429 with `Retry-After`.
    pub fn slow_down(code: &'static str, detail: impl Into<String>, seconds: u64) -> Self {
        let mut problem = Self::new(StatusCode::TOO_MANY_REQUESTS, code, detail);
        problem.retry_after_seconds = Some(seconds);
        problem
    }

    /// 503: one capability is down, the rest of the box works.
    pub fn unavailable(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail)
    }

    /// 500: our fault. The chain of causes goes to the log, the outside learns nothing of it. But
    /// for one cause that somebody can act upon: 507, the disk is full.
    pub fn internal(error: &dyn Error) -> Self {
        tracing::error!(error = %chain(error), "request failed: {}", chain(error));
        if is_disk_full(error) {
            return Self::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "disk_full",
                "The box's disk is full: this was not written down. Delete old recordings first.",
            );
        }
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "The box could not do this. The cause is in its log.",
        )
    }

    #[must_use]
    pub fn field(mut self, field: &'static str, code: FieldCode, detail: &str) -> Self {
        self.fields.push(FieldProblem { field, code, detail: detail.to_owned() });
        self
    }

    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

fn is_disk_full(error: &dyn Error) -> bool {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(error) = inner.downcast_ref::<rusqlite::Error>() {
            return error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull);
        }
        cause = inner.source();
    }
    false
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let retry_after = self.retry_after_seconds;
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
