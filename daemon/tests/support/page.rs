//! A page's live connection: a real WebSocket over the loopback interface, without TLS.

use std::{net::Ipv4Addr, time::Duration};

use futures_util::StreamExt;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest, protocol::frame::coding::CloseCode},
};

use super::{Browser, TestBox};

/// How long a test waits for what must come: only ever used up by a failing test.
const PATIENCE: Duration = Duration::from_secs(15);

pub(crate) struct Page(WebSocketStream<TcpStream>);

impl Page {
    /// Opened by a browser that is logged in; the box has said hello.
    pub(crate) async fn open(school: &TestBox, browser: &Browser) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = school.seen_by("10.0.0.7:50000");
        tokio::spawn(async move { axum::serve(listener, router).await });
        let url = format!("ws://{address}/api/v1/live");
        let mut request = url.into_client_request().unwrap();
        let session = browser.cookie("__Host-alfarid").unwrap();
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
        loop {
            match self.next().await {
                Some(Message::Text(text)) => {
                    let event: Value = serde_json::from_str(&text).unwrap();
                    return event["type"].as_str().unwrap().to_owned();
                }
                Some(Message::Close(_)) | None => panic!("the box closed the connection"),
                Some(_) => {}
            }
        }
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
