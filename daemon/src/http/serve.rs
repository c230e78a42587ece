//! Accepting TLS connections, for browsers and machines alike.
//!
//! A connection that does not speak TLS but HTTP is a person who typed `http://`: it is sent to
//! `https://` and nothing else. HTTP/1.1 only: on a classroom's network a second connection costs
//! nothing, and `WebSockets` stay simple.
//!
//! ```text
//!   accept ─▶ place ─▶ handshake ─▶ head ─▶ body ─▶ answer ─▶ (head …, or WebSocket) ─▶ end
//!     │         └─ its address has its share: closed                │
//!     └─ stopping: the port closes, open requests end, WebSockets are told ([`Peer::closing`])
//! ```
//!
//! Everything a stranger can hold open is counted ([`places`]) and bounded: the handshake and the
//! request's head by time, the body and the answer by progress, for an upload or a recording may
//! take long over slow Wi-Fi.
//!
//! A handler may rely on being run to its end where it may change something: a page that goes away
//! in the middle of its claim leaves no half of one ([`answer`]).
//!
//! [`places`]: super::places

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::Request,
    response::{IntoResponse, Response},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use socket2::SockRef;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::OwnedSemaphorePermit,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::{
    Peer, Problem,
    pace::{Pace, paced},
    places::{Held, LIMITS, Limits, Place, Places},
    redirect::send_to_https,
};

/// How long open requests and `WebSockets` may take to end once the port is closed.
const DRAIN: Duration = Duration::from_secs(2);
/// The first byte of a TLS handshake record (RFC 8446 §5.1).
const TLS_HANDSHAKE: u8 = 22;

/// What is put up with from the other side.
#[derive(Clone, Copy, Debug)]
struct Patience {
    handshake: Duration,
    /// For a request's head; also how long a connection may be idle before it.
    head: Duration,
    body: Pace,
    /// What is sent lies unread for so long: nobody is there to read it.
    unread: Duration,
}

const PATIENCE: Patience = Patience {
    handshake: Duration::from_secs(10),
    head: Duration::from_secs(15),
    // 1 kB/s: Wi-Fi on which less goes through carries no page either.
    body: Pace { bytes: 20_000, within: Duration::from_secs(20) },
    unread: Duration::from_secs(30),
};

/// Serves until `stopping`, then lets what is open end. One broken connection harms nobody else.
pub async fn serve(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    router: Router,
    stopping: CancellationToken,
) {
    Port::new(tls, router, stopping, LIMITS, PATIENCE).run(listener).await;
}

#[derive(Clone)]
struct Port {
    acceptor: TlsAcceptor,
    router: Router,
    stopping: CancellationToken,
    places: Places,
    patience: Patience,
}

impl Port {
    fn new(
        tls: Arc<ServerConfig>,
        router: Router,
        stopping: CancellationToken,
        limits: Limits,
        patience: Patience,
    ) -> Self {
        let places = Places::new(limits);
        Self { acceptor: tls.into(), router, stopping, places, patience }
    }

    async fn run(self, listener: TcpListener) {
        loop {
            let next = tokio::select! {
                () = self.stopping.cancelled() => break,
                next = self.next(&listener) => next,
            };
            match next {
                Ok((stream, address, room)) => self.admit(stream, address, room),
                Err(error) => {
                    // Out of file descriptors, most likely: wait for one to come free.
                    tracing::warn!(error = %error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        // Who knocks now is refused at once, and tries again when the box is back.
        drop(listener);
        if tokio::time::timeout(DRAIN, self.places.all_left()).await.is_err() {
            tracing::info!("some connections are cut off");
        }
    }

    /// The next connection, once there is room for it.
    async fn next(
        &self,
        listener: &TcpListener,
    ) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
        let room = self.places.room().await.map_err(io::Error::other)?;
        let (stream, address) = listener.accept().await?;
        Ok((stream, address, room))
    }

    fn admit(&self, stream: TcpStream, address: SocketAddr, room: OwnedSemaphorePermit) {
        let Some(place) = self.places.take(room, address.ip()) else {
            tracing::debug!("{} has as many connections as it may", address.ip());
            return;
        };
        let port = self.clone();
        tokio::spawn(async move {
            if let Err(error) = port.hold(stream, place).await {
                tracing::debug!(error = %error, "connection ended");
            }
        });
    }

    async fn hold(self, stream: TcpStream, place: Place) -> io::Result<()> {
        stream.set_nodelay(true)?;
        // The kernel counts what was sent and not taken, acknowledged or not, on every kind of
        // connection that this one may become; each bit that is read starts it anew.
        SockRef::from(&stream).set_tcp_user_timeout(Some(self.patience.unread))?;
        let shake = handshake(stream, self.acceptor);
        let shake = tokio::time::timeout(self.patience.handshake, shake);
        // Who has not even said what they want does not hold up the end.
        let Some(shaken) = self.stopping.run_until_cancelled(shake).await else { return Ok(()) };
        let Some(tls) = shaken?? else { return Ok(()) };
        let (tcp, session) = tls.get_ref();
        let peer = Peer {
            address: tcp.peer_addr()?,
            local: tcp.local_addr()?,
            certificate: session.peer_certificates().and_then(<[_]>::first).cloned(),
            closing: self.stopping.clone(),
        };
        let place = Arc::new(place);
        let held = Arc::clone(&place);
        let service = service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(|body| paced(Body::new(body), self.patience.body));
            request.extensions_mut().insert(peer.clone());
            answer(self.router.clone(), request, Arc::clone(&place))
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.patience.head)
            .serve_connection(TokioIo::new(Held::new(tls, held)), service)
            .with_upgrades();
        tokio::pin!(connection);
        tokio::select! {
            done = connection.as_mut() => return done.map_err(io::Error::other),
            () = self.stopping.cancelled() => connection.as_mut().graceful_shutdown(),
        }
        connection.await.map_err(io::Error::other)
    }
}

/// hyper drops what answers a request when its connection ends. What only reads is done with then;
/// what may change something goes on in a task of its own, at its connection's place.
async fn answer(
    router: Router,
    request: Request,
    place: Arc<Place>,
) -> Result<Response, Infallible> {
    if request.method().is_safe() {
        return router.oneshot(request).await;
    }
    let carried_out = tokio::spawn(async move {
        let _place = place;
        router.oneshot(request).await
    });
    carried_out.await.unwrap_or_else(|panicked| Ok(Problem::internal(&panicked).into_response()))
}

/// `None`: it was plain HTTP, and has been answered.
async fn handshake(
    mut stream: TcpStream,
    acceptor: TlsAcceptor,
) -> io::Result<Option<TlsStream<TcpStream>>> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 1 && first[0] != TLS_HANDSHAKE {
        let https = stream.local_addr()?.port();
        send_to_https(&mut stream, https).await?;
        return Ok(None);
    }
    acceptor.accept(stream).await.map(Some)
}

#[cfg(test)]
mod tests {
    use axum::{
        Extension,
        extract::WebSocketUpgrade,
        routing::{any, get, post},
    };
    use bytes::Bytes;
    use futures_util::{StreamExt, stream};
    use rustls::{ClientConfig, RootCertStore};
    use rustls_pki_types::{PrivateKeyDer, ServerName};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpSocket,
        sync::mpsc,
        task::JoinHandle,
        time::timeout,
    };
    use tokio_rustls::{TlsConnector, client};
    use tokio_tungstenite::tungstenite::{Message, protocol::frame::coding::CloseCode};

    use super::*;
    use crate::http::Json;

    /// Longer than any test takes that passes.
    const LONG: Duration = Duration::from_secs(30);
    const FEW: Limits = Limits { all: 8, address: 4, network: 6 };
    const CALM: Patience = Patience {
        handshake: LONG,
        head: LONG,
        body: Pace { bytes: 1_000, within: LONG },
        unread: LONG,
    };
    const TEACHER: [u8; 4] = [127, 0, 0, 2];
    const PUPIL: [u8; 4] = [127, 0, 0, 66];

    /// A port on the loopback interface, and what a client needs to go there.
    struct Door {
        address: SocketAddr,
        connector: TlsConnector,
        places: Places,
        stopping: CancellationToken,
        running: JoinHandle<()>,
    }

    impl Door {
        async fn open(router: Router, patience: Patience) -> Self {
            let made = rcgen::generate_simple_self_signed(["box.test".to_owned()]).unwrap();
            let certificate = made.cert.der().clone();
            let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
            let tls = ServerConfig::builder()
                .with_no_client_auth()
                .with_single_cert(vec![certificate.clone()], key)
                .unwrap();
            let mut roots = RootCertStore::empty();
            roots.add(certificate).unwrap();
            let trusting =
                ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let stopping = CancellationToken::new();
            let port = Port::new(tls.into(), router, stopping.clone(), FEW, patience);
            let (places, connector) = (port.places.clone(), Arc::new(trusting).into());
            let running = tokio::spawn(port.run(listener));
            Self { address, connector, places, stopping, running }
        }

        async fn dial(&self, from: [u8; 4]) -> TcpStream {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind((from, 0).into()).unwrap();
            socket.connect(self.address).await.unwrap()
        }

        async fn connect(&self, from: [u8; 4]) -> client::TlsStream<TcpStream> {
            let name = ServerName::try_from("box.test").unwrap();
            let shake = self.connector.connect(name, self.dial(from).await);
            timeout(LONG, shake).await.unwrap().unwrap()
        }

        async fn ask(&self, request: &str) -> client::TlsStream<TcpStream> {
            let mut stream = self.connect(TEACHER).await;
            stream.write_all(request.as_bytes()).await.unwrap();
            stream
        }
    }

    async fn hear(stream: &mut client::TlsStream<TcpStream>) -> String {
        let mut heard = Vec::new();
        // A port that cuts a connection off says no goodbye by TLS.
        let _ = timeout(LONG, stream.read_to_end(&mut heard)).await.unwrap();
        String::from_utf8_lossy(&heard).into_owned()
    }

    /// A page of that many bytes; `over` is cancelled when no more of it is sent.
    fn of_size(bytes: usize, over: &CancellationToken) -> Router {
        let (chunk, over) = (Bytes::from(vec![7; 64 * 1024]), over.clone());
        let answer = async move || {
            let sending = over.drop_guard();
            let chunks = stream::repeat(chunk).take(bytes.div_ceil(64 * 1024));
            Body::from_stream(chunks.map(move |chunk| {
                let _ = &sending;
                Ok::<_, io::Error>(chunk)
            }))
        };
        Router::new().route("/", get(answer))
    }

    #[tokio::test]
    async fn a_pupil_with_many_sockets_does_not_shut_the_teacher_out() {
        let door = Door::open(Router::new().route("/", get(async || "a page")), CALM).await;
        let mut sockets = Vec::new();
        for _ in 0..20 {
            sockets.push(door.dial(PUPIL).await);
        }
        let mut teacher = door.ask("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        assert!(hear(&mut teacher).await.ends_with("a page"));
        door.stopping.cancel();
        timeout(DRAIN / 2, door.running).await.expect("they hold up the end").unwrap();
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_given_up() {
        let body = Pace { bytes: 1_000, within: Duration::from_millis(200) };
        let take = any(async |_body: Json<serde_json::Value>| "taken");
        let router = Router::new().route("/", take);
        let door = Door::open(router, Patience { body, ..CALM }).await;
        let head = "POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                    content-length: 100000\r\n\r\n";
        let mut pupil = door.ask(&format!("{head}{{")).await;
        // To the end of the connection.
        let answer = hear(&mut pupil).await;
        assert!(answer.contains("body_incomplete"), "{answer}");
    }

    #[tokio::test]
    async fn who_never_reads_the_answer_is_cut_off() {
        let patience = Patience { unread: Duration::from_millis(500), ..CALM };
        let over = CancellationToken::new();
        let door = Door::open(of_size(1 << 30, &over), patience).await;
        let _pupil = door.ask("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        timeout(LONG, over.cancelled()).await.unwrap();
    }

    /// Fails when what changes something is left half done because its page went away.
    #[tokio::test]
    async fn what_was_begun_is_done_when_nobody_waits_for_it_any_more() {
        let ((begun, mut begins), (done, mut ends)) = (mpsc::channel(1), mpsc::channel(1));
        let going_on = CancellationToken::new();
        let go_on = going_on.clone();
        let change = async move || {
            begun.send(()).await.unwrap();
            go_on.cancelled().await;
            done.send(()).await.unwrap();
        };
        let door = Door::open(Router::new().route("/", post(change)), CALM).await;
        let mut page = door.ask("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n").await;
        timeout(LONG, begins.recv()).await.unwrap().unwrap();
        page.shutdown().await.unwrap();
        // The port has noticed.
        assert_eq!(hear(&mut page).await, "");
        assert_eq!(door.places.held(), 1, "its place was given away");

        going_on.cancel();
        timeout(LONG, ends.recv()).await.unwrap().unwrap();
    }

    /// For longer than it may lie unread.
    #[tokio::test]
    async fn who_reads_slowly_gets_it_all() {
        let size = 32 << 20;
        let patience = Patience { unread: Duration::from_secs(2), ..CALM };
        let door = Door::open(of_size(size, &CancellationToken::new()), patience).await;
        let request = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        let mut slow = door.ask(request).await;
        let mut beat = tokio::time::interval(Duration::from_millis(100));
        let (mut heard, mut buffer) = (0, vec![0; 1 << 20]);
        loop {
            beat.tick().await;
            let mut came = 0;
            while came < buffer.len() {
                let more = slow.read(&mut buffer[came..]).await.unwrap();
                if more == 0 {
                    assert!(heard + came > size, "cut off after {heard} bytes");
                    return;
                }
                came += more;
            }
            heard += came;
        }
    }

    #[tokio::test]
    async fn a_websocket_has_a_place_and_hears_of_the_end() {
        let (ended, mut ends) = mpsc::channel(1);
        let socket = any(async move |Extension(peer): Extension<Peer>, up: WebSocketUpgrade| {
            up.on_upgrade(async move |mut socket| {
                peer.closing.cancelled().await;
                socket.send(peer.goodbye()).await.unwrap();
                while let Some(Ok(_)) = socket.recv().await {}
                ended.send(()).await.unwrap();
            })
        });
        let door = Door::open(Router::new().route("/", socket), CALM).await;
        let stream = door.connect(TEACHER).await;
        let (mut page, _) =
            tokio_tungstenite::client_async("wss://box.test/", stream).await.unwrap();
        assert_eq!(door.places.held(), 1);

        door.stopping.cancel();
        let last = timeout(LONG, page.next()).await.unwrap().unwrap().unwrap();
        assert!(matches!(last, Message::Close(Some(frame)) if frame.code == CloseCode::Away));
        while let Some(Ok(_)) = page.next().await {}
        timeout(LONG, door.running).await.unwrap().unwrap();
        assert!(ends.try_recv().is_ok(), "the port did not wait for it");
    }
}
