//! Plain HTTP, for whoever types the box's bare address: sent to the same place by HTTPS, and
//! nothing else is ever answered in the clear.
//!
//! A box whose port for this is somebody else's works; its health page says so, and the port is
//! tried again until it can be had.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::places::{LIMITS, Places};
use crate::health::{FaultCode, Health, Severity};

/// How long to wait before the port is tried again, or the next connection after a failed one.
const RETRY: Duration = Duration::from_secs(5);

/// From the connection to the end of the answer: two packets each way.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);

/// The port that goes without saying after `https://`.
const HTTPS: u16 = 443;

/// Sends everybody who asks at `listen` on to the port `https`, until `stopping`. Whoever is being
/// answered then is cut off: their browser asks again.
pub async fn redirect(listen: SocketAddr, https: u16, health: Health, stopping: CancellationToken) {
    let redirecting = async {
        let listener = open(listen, &health).await;
        let places = Places::new(LIMITS);
        while let Ok(room) = places.room().await {
            let Ok((mut stream, address)) = listener.accept().await else {
                // Out of file descriptors, most likely: wait for one to come free.
                sleep(RETRY).await;
                continue;
            };
            let Some(place) = places.take(room, address.ip()) else { continue };
            tokio::spawn(async move {
                // A stranger who says nothing is no event.
                let _ = timeout(ANSWERED_WITHIN, send_to_https(&mut stream, https)).await;
                drop(place);
            });
        }
    };
    stopping.run_until_cancelled(redirecting).await;
}

async fn open(listen: SocketAddr, health: &Health) -> TcpListener {
    loop {
        match TcpListener::bind(listen).await {
            Ok(listener) => {
                health.clear(FaultCode::RedirectPort);
                return listener;
            }
            Err(error) => {
                let detail = format!(
                    "Who types the box's bare address gets no page: TCP {listen} cannot be opened \
                     ({error}). Set `redirect_listen` in [http] to another port, or to \"\"."
                );
                health.raise(FaultCode::RedirectPort, Severity::Warning, detail);
                sleep(RETRY).await;
            }
        }
    }
}

/// Answers the first kilobyte of a plain HTTP request with the same place by HTTPS.
pub(super) async fn send_to_https(stream: &mut TcpStream, https: u16) -> io::Result<()> {
    let mut head = vec![0; 1024];
    let length = stream.read(&mut head).await?;
    let answer = match place(&String::from_utf8_lossy(&head[..length]), https) {
        Some(place) => format!("307 Temporary Redirect\r\nLocation: {place}\r\n"),
        None => "400 Bad Request\r\n".to_owned(),
    };
    let answer = format!("HTTP/1.1 {answer}Connection: close\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

/// Where a request is sent; `None` for one that does not say whom it asks.
fn place(head: &str, https: u16) -> Option<String> {
    let mut lines = head.lines();
    let path = lines.next()?.split(' ').nth(1)?;
    let path = if path.starts_with('/') { path } else { "/" };
    let host = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("host"))
        .map(|(_, host)| host.trim())
        .filter(|host| host.chars().all(|c| c.is_ascii_alphanumeric() || "-.:[]".contains(c)))?;
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let port = if https == HTTPS { String::new() } else { format!(":{https}") };
    Some(format!("https://{name}{port}{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_sent_to_the_same_place() {
        let ask = |path: &str, host: &str| {
            place(&format!("GET {path} HTTP/1.1\r\nUser-Agent: x\r\nHost: {host}\r\n\r\n"), 443)
        };
        for (path, host, there) in [
            ("/", "10.0.0.1", "https://10.0.0.1/"),
            ("/lessons/7?tab=seats", "box.local:80", "https://box.local/lessons/7?tab=seats"),
            ("/", "[fd00::1]:80", "https://[fd00::1]/"),
            ("/", "[fd00::1]", "https://[fd00::1]/"),
            ("http://10.0.0.1/", "10.0.0.1", "https://10.0.0.1/"),
        ] {
            assert_eq!(ask(path, host).as_deref(), Some(there));
        }
        assert_eq!(ask("/", "box/<script>"), None);
        assert_eq!(place("GET / HTTP/1.0\r\n\r\n", 443), None);
        assert_eq!(place("\u{16}\u{3}", 443), None);
        let elsewhere = place("GET /a HTTP/1.1\r\nhost: box:8080\r\n\r\n", 8443);
        assert_eq!(elsewhere.as_deref(), Some("https://box:8443/a"));
    }
}
