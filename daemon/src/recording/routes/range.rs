//! A file that may still grow, served whole or by one range (RFC 9110 §14).

use std::io;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::BytesMut;
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt},
};
use tokio_util::codec::{BytesCodec, FramedRead};

use crate::{
    http::Problem,
    recording::{Export, Opened},
};

/// Bytes read from disk at once.
const CHUNK: usize = 64 * 1024;

/// A closed segment never changes, and its id is never used again.
const FOR_EVER: &str = "private, max-age=31536000, immutable";
const ASK_AGAIN: &str = "private, no-cache";

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Whole,
    Part { first: u64, last: u64 },
    Unsatisfiable,
}

/// Answers a request for the file, as far as it is on disk.
pub(super) async fn respond(opened: Opened, headers: &HeaderMap) -> io::Result<Response> {
    let Opened { segment, mime, size_bytes, is_closed, file } = opened;
    let etag = format!("\"{segment}-{size_bytes}\"");
    if names(headers, header::IF_NONE_MATCH, &etag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response());
    }
    let mut response = match wanted(headers, &etag, size_bytes) {
        Wanted::Whole => body(file, 0, size_bytes).await?,
        Wanted::Part { first, last } => {
            let mut response = body(file, first, last - first + 1).await?;
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let range = format!("bytes {first}-{last}/{size_bytes}");
            insert(&mut response, header::CONTENT_RANGE, &range);
            response
        }
        Wanted::Unsatisfiable => return Ok(unsatisfiable(size_bytes)),
    };
    insert(&mut response, header::CONTENT_TYPE, &mime);
    insert(&mut response, header::ETAG, &etag);
    insert(&mut response, header::ACCEPT_RANGES, "bytes");
    insert(&mut response, header::CACHE_CONTROL, if is_closed { FOR_EVER } else { ASK_AGAIN });
    Ok(response)
}

/// A file to be kept under its name.
pub(super) async fn attachment(export: Export) -> io::Result<Response> {
    let Export { file_name, mime, size_bytes, file } = export;
    let mut response = body(file, 0, size_bytes).await?;
    insert(&mut response, header::CONTENT_TYPE, mime);
    // RFC 6266 with RFC 8187: a name that is not ASCII goes percent-encoded.
    let name: String = file_name.bytes().map(percent_encoded).collect();
    let disposition = format!("attachment; filename*=UTF-8''{name}");
    insert(&mut response, header::CONTENT_DISPOSITION, &disposition);
    Ok(response)
}

fn percent_encoded(byte: u8) -> String {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => {
            char::from(byte).to_string()
        }
        other => format!("%{other:02X}"),
    }
}

/// `length` bytes of the file from `first` on.
async fn body(mut file: File, first: u64, length: u64) -> io::Result<Response> {
    file.seek(io::SeekFrom::Start(first)).await?;
    let chunks = FramedRead::with_capacity(file.take(length), BytesCodec::new(), CHUNK);
    let chunks = futures_util::StreamExt::map(chunks, |chunk| chunk.map(BytesMut::freeze));
    let mut response = Body::from_stream(chunks).into_response();
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    Ok(response)
}

fn unsatisfiable(size_bytes: u64) -> Response {
    let detail = format!("The file has {size_bytes} bytes at this moment.");
    let problem = Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "range_not_satisfiable", detail);
    let mut response = problem.into_response();
    insert(&mut response, header::CONTENT_RANGE, &format!("bytes */{size_bytes}"));
    response
}

/// One range is served; several, other units and what cannot be read are ignored, as RFC 9110
/// §14.2 allows.
fn wanted(headers: &HeaderMap, etag: &str, size_bytes: u64) -> Wanted {
    let is_outdated =
        headers.contains_key(header::IF_RANGE) && !names(headers, header::IF_RANGE, etag);
    let range = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    let Some(range) = range.and_then(|range| range.strip_prefix("bytes=")) else {
        return Wanted::Whole;
    };
    let Some((from, to)) = range.split_once('-').filter(|_| !is_outdated) else {
        return Wanted::Whole;
    };
    let end = size_bytes.checked_sub(1);
    let bounds = match (from.trim().parse().ok(), to.trim()) {
        (Some(first), "") => end.map(|end| (first, end)),
        (Some(first), to) => match (to.parse::<u64>(), end) {
            (Ok(last), _) if last < first => return Wanted::Whole,
            (Ok(last), Some(end)) => Some((first, last.min(end))),
            (Ok(_), None) => None,
            (Err(_), _) => return Wanted::Whole,
        },
        (None, to) if from.trim().is_empty() => match to.parse::<u64>() {
            Ok(count) => {
                end.filter(|_| count > 0).map(|end| ((end + 1).saturating_sub(count), end))
            }
            Err(_) => return Wanted::Whole,
        },
        (None, _) => return Wanted::Whole,
    };
    match bounds {
        Some((first, last)) if first <= last => Wanted::Part { first, last },
        _ => Wanted::Unsatisfiable,
    }
}

/// Whether the header names this very version.
fn names(headers: &HeaderMap, name: HeaderName, etag: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|value| value.trim() == etag)
}

fn insert(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(range: &str, size_bytes: u64) -> Wanted {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, HeaderValue::from_str(range).unwrap());
        wanted(&headers, "\"now\"", size_bytes)
    }

    #[test]
    fn one_range_is_served_and_nonsense_ignored() {
        let part = |first, last| Wanted::Part { first, last };
        assert_eq!(ask("bytes=0-99", 1_000), part(0, 99));
        assert_eq!(ask("bytes=900-", 1_000), part(900, 999));
        assert_eq!(ask("bytes=900-5000", 1_000), part(900, 999));
        assert_eq!(ask("bytes=-100", 1_000), part(900, 999));
        assert_eq!(ask("bytes=-5000", 1_000), part(0, 999));
        for nothing in ["bytes=1000-", "bytes=2000-3000", "bytes=-0"] {
            assert_eq!(ask(nothing, 1_000), Wanted::Unsatisfiable, "{nothing}");
        }
        assert_eq!(ask("bytes=0-", 0), Wanted::Unsatisfiable);
        for ignored in ["bytes=9-1", "bytes=0-1,5-6", "lines=1-2", "bytes=a-b", "bytes=", "bytes=-"]
        {
            assert_eq!(ask(ignored, 1_000), Wanted::Whole, "{ignored}");
        }
    }

    #[test]
    fn a_range_of_an_older_version_is_not_served() {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, HeaderValue::from_static("bytes=0-1"));
        headers.insert(header::IF_RANGE, HeaderValue::from_static("\"then\""));
        assert_eq!(wanted(&headers, "\"now\"", 10), Wanted::Whole);
        assert_eq!(wanted(&headers, "\"then\"", 10), Wanted::Part { first: 0, last: 1 });
    }
}
