//! A person's computer: requests over TLS, each on a connection of its own, and the live channel.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{client::IntoClientRequest, http::HeaderValue},
};

use super::{Appliance, tls};

pub(crate) const PASSWORD: &str = "correct horse battery";

/// 2027-01-15T08:00:00Z.
const MORNING: i64 = 1_800_000_000_000;

/// Keeps cookies as a browser does.
#[derive(Clone)]
pub(crate) struct Desk {
    address: SocketAddr,
    /// `name=value` of each.
    pub(crate) cookies: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

pub(crate) type Live = WebSocketStream<TlsStream<TcpStream>>;

impl Desk {
    pub(crate) fn at(appliance: &Appliance) -> Self {
        Self { address: appliance.web(), cookies: Vec::new() }
    }

    /// Where the box's first admin sits, who has just claimed it.
    pub(crate) async fn claimed(appliance: &Appliance, email: &str, full_name: &str) -> Self {
        let mut desk = Self::at(appliance);
        let form = json!({
            "code": appliance.claim_code(),
            "site_name": "School 7",
            "email": email,
            "full_name": full_name,
            "password": PASSWORD,
            "language": "ru",
            "browser_time": MORNING,
        });
        desk.post("/api/v1/claim", form).await.expect(201);
        desk
    }

    /// Tries to log in.
    pub(crate) async fn log_in(&mut self, email: &str, password: &str) -> Answer {
        let form = json!({ "email": email, "password": password, "browser_time": MORNING });
        self.post("/api/v1/session", form).await
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.call("GET", path, "", "").await
    }

    pub(crate) async fn post(&mut self, path: &str, body: Value) -> Answer {
        self.call("POST", path, "content-type: application/json\r\n", &body.to_string()).await
    }

    pub(crate) async fn put(&mut self, path: &str, body: Value) -> Answer {
        self.call("PUT", path, "content-type: application/json\r\n", &body.to_string()).await
    }

    /// `headers` are whole lines.
    pub(crate) async fn call(
        &mut self,
        method: &str,
        path: &str,
        headers: &str,
        body: &str,
    ) -> Answer {
        let (address, length, cookies) = (self.address, body.len(), self.cookies.join("; "));
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\norigin: https://{address}\r\n\
             connection: close\r\ncookie: {cookies}\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
        );
        let mut stream = tls::connect(address, None).await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = Answer::read(&String::from_utf8_lossy(&answer));
        for cookie in answer.headers("set-cookie") {
            let pair = cookie.split(';').next().unwrap_or_default();
            let name = pair.split('=').next().unwrap_or_default();
            self.cookies.retain(|kept| kept.split('=').next() != Some(name));
            self.cookies.push(pair.to_owned());
        }
        answer
    }

    /// A page that shows what changes.
    pub(crate) async fn live(&self) -> Live {
        let address = self.address;
        let mut request = format!("wss://{address}/api/v1/live").into_client_request().unwrap();
        let cookies = self.cookies.join("; ");
        for (name, value) in [("origin", format!("https://{address}")), ("cookie", cookies)] {
            request.headers_mut().insert(name, HeaderValue::from_str(&value).unwrap());
        }
        client_async(request, tls::connect(address, None).await).await.unwrap().0
    }
}

impl Answer {
    fn read(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }

    fn headers(&self, name: &str) -> impl Iterator<Item = &str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .filter(move |(header, _)| header.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }

    /// The body, if the answer has this status.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.json()
    }

    /// Status and problem code of what was not done.
    #[track_caller]
    pub(crate) fn refused(&self) -> (u16, String) {
        let kind = self.headers("content-type").next();
        assert_eq!(kind, Some("application/problem+json"), "{}\n{}", self.head, self.body);
        (self.status, self.json()["code"].as_str().unwrap().to_owned())
    }

    /// The id of what was made.
    #[track_caller]
    pub(crate) fn made(&self) -> String {
        self.expect(201)["id"].as_str().unwrap().to_owned()
    }
}
