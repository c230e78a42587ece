//! A page's live connection: a real WebSocket over the loopback interface, without TLS.

use std::{net::Ipv4Addr, time::Duration};

use axum::Router;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest, protocol::frame::coding::CloseCode},
};

/// How long a test waits for what must come: only ever used up by a failing test.
const PATIENCE: Duration = Duration::from_secs(15);

pub(crate) struct Page(WebSocketStream<TcpStream>);

impl Page {
    /// Opened by a browser that has this session; the box has said hello.
    pub(crate) async fn open(router: Router, session: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        let url = format!("ws://{address}/api/v1/live");
        let mut request = url.into_client_request().unwrap();
        let cookie = format!("__Host-alfarid={session}");
        request.headers_mut().insert("cookie", cookie.parse().unwrap());
        let stream = TcpStream::connect(address).await.unwrap();
        let (socket, _) = client_async(request, stream).await.unwrap();
        let mut page = Self(socket);
        assert_eq!(page.event().await, "hello");
        page
    }

    /// The type of the next event.
    pub(crate) async fn event(&mut self) -> String {
        self.told().await["type"].as_str().unwrap().to_owned()
    }

    /// The next event.
    pub(crate) async fn told(&mut self) -> Value {
        loop {
            match self.next().await {
                Some(Message::Text(text)) => return serde_json::from_str(&text).unwrap(),
                Some(Message::Close(_)) | None => panic!("the box closed the connection"),
                Some(_) => {}
            }
        }
    }

    /// The box has heard of it at this moment.
    pub(crate) async fn show_life(&mut self) {
        self.0.send(Message::Ping(Bytes::new())).await.unwrap();
        // An answer to it goes out after it was heard.
        while !matches!(self.next().await.unwrap(), Message::Pong(_)) {}
    }

    /// How the box closes it, whatever it says before.
    pub(crate) async fn ending(&mut self) -> Option<CloseCode> {
        loop {
            match self.next().await {
                Some(Message::Close(why)) => return why.map(|frame| frame.code),
                Some(_) => {}
                None => return None,
            }
        }
    }

    async fn next(&mut self) -> Option<Message> {
        let next = tokio::time::timeout(PATIENCE, self.0.next()).await.unwrap();
        next.and_then(Result::ok)
    }
}
