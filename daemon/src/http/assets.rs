//! The web pages, compiled into the binary: a box needs no files beside it to show its page.

use axum::{
    http::{HeaderValue, Method, StatusCode, Uri, header},
    response::{Html, IntoResponse, Response},
};
use rust_embed::{EmbeddedFile, RustEmbed};

use super::Problem;

#[derive(RustEmbed)]
#[folder = "../web-admin/dist"]
#[allow_missing = true]
struct Pages;

/// Vite puts a hash of its content into the name of everything under this path.
const HASHED: &str = "assets/";

/// Everything that no route takes: a file of the pages, or, as the pages do their own routing, the
/// page itself.
pub async fn pages(method: Method, uri: Uri) -> Response {
    let path = uri.path().trim_start_matches('/');
    if path.starts_with("api/") {
        return Problem::not_found("no_such_route", "There is nothing at this address.")
            .into_response();
    }
    if method != Method::GET && method != Method::HEAD {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    if let Some(file) = Pages::get(path) {
        let age = if path.starts_with(HASHED) {
            "public, max-age=31536000, immutable"
        } else {
            "no-cache"
        };
        return answer(path, file, age);
    }
    if path.starts_with(HASHED) {
        return StatusCode::NOT_FOUND.into_response();
    }
    match Pages::get("index.html") {
        Some(page) => answer("index.html", page, "no-cache"),
        None => not_built(),
    }
}

fn answer(path: &str, file: EmbeddedFile, age: &'static str) -> Response {
    let kind = match path.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "webmanifest" => "application/manifest+json",
        _ => "application/octet-stream",
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CACHE_CONTROL, HeaderValue::from_static(age)),
    ];
    (headers, file.data).into_response()
}

fn not_built() -> Response {
    let page = "<!doctype html><title>Alfarid</title><h1>The pages were not built</h1>\
        <p>This daemon was compiled without its web pages. Run <code>make</code> in the source tree.";
    (StatusCode::SERVICE_UNAVAILABLE, Html(page)).into_response()
}
