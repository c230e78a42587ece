//! Defences against other people's pages, on every request.
//!
//! A pupil's page, or any site a teacher visits, can make the teacher's browser send requests
//! here. So:
//!
//! - **Host**: an IP address, or a name that is ours. A foreign name that was made to resolve to
//!   the box (DNS rebinding) is refused; an address in figures cannot be rebound.
//! - **Origin**: whatever changes something, and the live WebSocket, must come from our own pages.
//!   Programs (OBS, curl) send no Origin; then they may not bring a cookie either.
//! - **Answers** say what a browser may do with them: no framing, no foreign script, no guessing
//!   of types. There is no CORS, and no HSTS (a box must stay reachable after a new enrolment).

use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::Problem;

/// Names under which the box's pages may be asked for, lower case, without port.
#[derive(Clone, Debug)]
pub struct Names(Arc<BTreeSet<String>>);

impl Names {
    /// `configured` and the names every box has: its host name, with `.local`, `localhost`, and
    /// `alfarid.local`, which is in its certificate whatever the machine is called.
    pub fn new(configured: &[String], host_name: &str) -> Self {
        let own = [host_name, &format!("{host_name}.local"), "localhost", "alfarid.local"];
        Self(Arc::new(
            configured.iter().map(String::as_str).chain(own).map(str::to_lowercase).collect(),
        ))
    }

    fn allow(&self, host: &str) -> bool {
        let name = without_port(host);
        let address = name.trim_start_matches('[').trim_end_matches(']');
        address.parse::<IpAddr>().is_ok() || self.0.contains(&name.to_lowercase())
    }
}

/// Checks a request before anything else sees it, and dresses the answer.
pub async fn guard(State(names): State<Names>, request: Request, next: Next) -> Response {
    let is_api = request.uri().path().starts_with("/api/");
    let mut response = match check(&names, &request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    dress(response.headers_mut(), is_api);
    response
}

fn check(names: &Names, request: &Request) -> Result<(), Problem> {
    let headers = request.headers();
    // HTTP/2 has the host in the URI (RFC 9113 §8.3.1).
    let host = request
        .uri()
        .authority()
        .map(http::uri::Authority::as_str)
        .or_else(|| headers.get(header::HOST).and_then(|host| host.to_str().ok()))
        .unwrap_or_default();
    if !names.allow(host) {
        return Err(Problem::bad_request(
            "host_unknown",
            "This box does not go by that name. Ask for it by its address.",
        ));
    }
    let upgrades = headers.contains_key(header::UPGRADE);
    if request.method().is_safe() && !upgrades && request.method() != Method::CONNECT {
        return Ok(());
    }
    match headers.get(header::ORIGIN).map(HeaderValue::to_str) {
        Some(Ok(origin)) if origin.strip_prefix("https://") == Some(host) => Ok(()),
        None if !headers.contains_key(header::COOKIE) => Ok(()),
        _ => Err(Problem::forbidden(
            "foreign_origin",
            "This request did not come from the box's own pages.",
        )),
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.ends_with(':') => {
            name
        }
        _ => host,
    }
}

const POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self'; worker-src 'self' blob:; \
    object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

fn dress(headers: &mut HeaderMap, is_api: bool) {
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (
            HeaderName::from_static("permissions-policy"),
            "display-capture=(self), microphone=(self), camera=(self), geolocation=()",
        ),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if is_api && !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn request(method: Method, headers: &[(&str, &str)]) -> Request {
        let mut request = Request::builder().method(method).uri("/api/v1/session");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Body::empty()).unwrap()
    }

    fn verdict(method: Method, headers: &[(&str, &str)]) -> Result<(), &'static str> {
        let names = Names::new(&["class.school".into()], "box");
        check(&names, &request(method, headers)).map_err(|problem| problem.code)
    }

    #[test]
    fn a_rebound_name_is_refused_and_our_own_names_and_addresses_are_not() {
        let own = ["box", "BOX.local:1", "alfarid.local", "class.school"];
        for host in ["10.0.0.1", "10.0.0.1:8443", "[fe80::1]:443"].into_iter().chain(own) {
            assert_eq!(verdict(Method::GET, &[("host", host)]), Ok(()), "{host}");
        }
        for host in ["evil.example", "evil.example:443", "box.evil.example", ""] {
            assert_eq!(verdict(Method::GET, &[("host", host)]), Err("host_unknown"), "{host}");
        }
    }

    #[test]
    fn what_changes_something_comes_from_our_own_pages() {
        let host = ("host", "10.0.0.1:8443");
        let own = ("origin", "https://10.0.0.1:8443");
        let foreign = ("origin", "https://evil.example");
        let cookie = ("cookie", "__Host-alfarid=1");
        assert_eq!(verdict(Method::POST, &[host, own, cookie]), Ok(()));
        assert_eq!(verdict(Method::POST, &[host, foreign, cookie]), Err("foreign_origin"));
        assert_eq!(verdict(Method::POST, &[host, cookie]), Err("foreign_origin"));
        assert_eq!(verdict(Method::POST, &[host]), Ok(()));
    }

    #[test]
    fn a_foreign_page_gets_no_websocket() {
        let host = ("host", "10.0.0.1");
        let upgrade = ("upgrade", "websocket");
        let foreign = ("origin", "https://10.0.0.1.evil.example");
        assert_eq!(verdict(Method::GET, &[host, upgrade, foreign]), Err("foreign_origin"));
    }
}
