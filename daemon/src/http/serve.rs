//! Accepting TLS connections, for browsers and machines alike.
//!
//! A connection that does not speak TLS but HTTP is a person who typed `http://`: it is sent to
//! `https://` and nothing else. Everything a stranger can hold open is counted and timed: the
//! number of connections, the handshake, the request head. HTTP/1.1 only: on a classroom's network
//! a second connection costs nothing, and `WebSockets` stay simple.

use std::{io, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use rustls::ServerConfig;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::Layer;

use super::Peer;

/// Fifty machines and fifty browsers with six connections each fit three times. Beyond it a new
/// connection waits in the kernel's backlog until another ends.
const CONNECTIONS: usize = 1024;
const HANDSHAKE: Duration = Duration::from_secs(10);
const REQUEST_HEAD: Duration = Duration::from_secs(15);
/// How long open requests may go on once the box is stopping.
const DRAIN: Duration = Duration::from_secs(3);
/// The first byte of a TLS handshake record (RFC 8446 §5.1).
const TLS_HANDSHAKE: u8 = 22;

/// Serves until `stopping`, then lets open requests end. One broken connection harms nobody else.
pub async fn serve(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    router: Router,
    stopping: CancellationToken,
) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    let connections = TaskTracker::new();
    loop {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { break };
        let accepted = tokio::select! {
            () = stopping.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, most likely: wait for one to come free.
                tracing::warn!(error = %error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let acceptor = TlsAcceptor::from(Arc::clone(&tls));
        let connection = connection(stream, acceptor, router.clone(), stopping.clone(), permit);
        connections.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error = %error, "connection ended");
            }
        });
    }
    connections.close();
    let _ = tokio::time::timeout(DRAIN, connections.wait()).await;
}

async fn connection(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    router: Router,
    stopping: CancellationToken,
    _permit: OwnedSemaphorePermit,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let tls = tokio::time::timeout(HANDSHAKE, handshake(stream, acceptor)).await??;
    let Some(tls) = tls else { return Ok(()) };
    let (tcp, session) = tls.get_ref();
    let peer = Peer {
        address: tcp.peer_addr()?,
        local: tcp.local_addr()?,
        certificate: session.peer_certificates().and_then(<[_]>::first).cloned(),
    };
    let service = TowerToHyperService::new(axum::Extension(peer).layer(router));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_HEAD)
        .serve_connection(TokioIo::new(tls), service)
        .with_upgrades();
    tokio::pin!(connection);
    tokio::select! {
        done = connection.as_mut() => return done.map_err(io::Error::other),
        () = stopping.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    connection.await.map_err(io::Error::other)
}

/// `None`: it was plain HTTP, and has been answered.
async fn handshake(
    mut stream: TcpStream,
    acceptor: TlsAcceptor,
) -> io::Result<Option<TlsStream<TcpStream>>> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 1 && first[0] != TLS_HANDSHAKE {
        send_to_https(&mut stream).await?;
        return Ok(None);
    }
    acceptor.accept(stream).await.map(Some)
}

/// Answers the first kilobyte of a plain HTTP request with the same place by HTTPS.
async fn send_to_https(stream: &mut TcpStream) -> io::Result<()> {
    let mut head = vec![0; 1024];
    let length = stream.read(&mut head).await?;
    let head = String::from_utf8_lossy(&head[..length]);
    let host = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("host"))
        .map(|(_, host)| host.trim())
        .filter(|host| host.chars().all(|c| c.is_ascii_alphanumeric() || "-.:[]".contains(c)));
    let answer = host.map_or_else(
        || "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".to_owned(),
        |host| {
            format!(
                "HTTP/1.1 307 Temporary Redirect\r\nLocation: https://{host}/\r\n\
                 Connection: close\r\nContent-Length: 0\r\n\r\n"
            )
        },
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}
