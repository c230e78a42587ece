//! Offers and answers as HTTP carries them, for publishing and for watching.

use std::fmt::Display;

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::http::Problem;

pub const SDP: &str = "application/sdp";

/// A browser's offer has 10 KB.
pub const MAX_OFFER: usize = 64 * 1024;

pub fn read_offer<'a>(headers: &HeaderMap, body: &'a [u8]) -> Result<&'a str, Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case(SDP) {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "sdp_expected",
            "An offer comes as application/sdp.",
        ));
    }
    std::str::from_utf8(body).map_err(|_| {
        Problem::bad_request("sdp_malformed", "This is not an offer: it is not even text.")
    })
}

/// The answer of a session that is found at `place`, named by its id.
pub fn created(place: &str, id: impl Display, answer: String) -> Response {
    let location = format!("{place}/{id}");
    let tag = format!("\"{id}\"");
    let mut response = (StatusCode::CREATED, answer).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(SDP));
    for (name, value) in [(header::LOCATION, location), (header::ETAG, tag)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    response
}

/// To a `PATCH`: the answer has everything, nothing is trickled.
pub fn nothing_is_trickled() -> Response {
    let problem = Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "trickle_unsupported",
        "The box's answer names all its addresses: nothing is added later.",
    );
    ([(header::ALLOW, "DELETE")], problem).into_response()
}
