//! The box's API as a page or a program uses it: HTTPS and the live WebSocket, from inside a
//! host's network namespace.
//!
//! Every request goes over a connection of its own, so that none is left over from a box that was
//! killed in between. One cookie is kept, as a signed-in browser has one.

mod live;
mod tls;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::{
    HeaderMap, Method, Request, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST, ORIGIN, SET_COOKIE},
};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde::{Serialize, de::DeserializeOwned};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};

pub use self::{live::Live, tls::Trust};
use crate::host::Host;

/// No request to a box on the same switch takes this long.
const LIMIT: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub struct Client {
    host: Host,
    address: SocketAddr,
    /// What the box is called in the address bar: its IP address unless told otherwise.
    name: String,
    tls: Arc<rustls::ClientConfig>,
    /// `name=value`, as the last `Set-Cookie` said.
    cookie: Mutex<Option<String>>,
    bearer: Option<String>,
}

impl Client {
    /// A client on `host` of the box at `address`.
    pub fn new(host: &Host, address: SocketAddr, trust: &Trust) -> Result<Self> {
        Ok(Self {
            host: host.clone(),
            address,
            name: address.ip().to_string(),
            tls: Arc::new(tls::config(trust)?),
            cookie: Mutex::default(),
            bearer: None,
        })
    }

    /// Calls the box by a name, though it is found by its address.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Shows this token in place of a cookie.
    #[must_use]
    pub fn with_bearer(mut self, token: &str) -> Self {
        self.bearer = Some(token.to_owned());
        self
    }

    /// `name=value` of the cookie, if there is one.
    pub fn cookie(&self) -> Option<String> {
        self.cookie.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub async fn get(&self, path: &str) -> Result<Reply> {
        self.call(Method::GET, path, None::<&()>).await
    }

    pub async fn delete(&self, path: &str) -> Result<Reply> {
        self.call(Method::DELETE, path, None::<&()>).await
    }

    pub async fn patch(&self, path: &str, body: &impl Serialize) -> Result<Reply> {
        self.call(Method::PATCH, path, Some(body)).await
    }

    pub async fn post(&self, path: &str, body: &impl Serialize) -> Result<Reply> {
        self.call(Method::POST, path, Some(body)).await
    }

    pub async fn put(&self, path: &str, body: &impl Serialize) -> Result<Reply> {
        self.call(Method::PUT, path, Some(body)).await
    }

    /// Any method, with a JSON body or none.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<Reply> {
        let request = Request::builder().method(method).uri(path);
        let request = match body {
            Some(body) => {
                let json = serde_json::to_vec(body)?;
                request.header(CONTENT_TYPE, "application/json").body(Bytes::from(json))?
            }
            None => request.body(Bytes::new())?,
        };
        self.send(request).await
    }

    /// Any request, its URI a path. Host, cookie or token are added, and where the request does
    /// not bring its own, the `Origin` that a browser adds to what is not safe.
    pub async fn send(&self, mut request: Request<Bytes>) -> Result<Reply> {
        let what = format!("{} {}", request.method(), request.uri());
        let authority = self.authority();
        let is_safe = request.method().is_safe();
        let headers = request.headers_mut();
        headers.insert(HOST, authority.parse()?);
        if !is_safe && !headers.contains_key(ORIGIN) {
            headers.insert(ORIGIN, format!("https://{authority}").parse()?);
        }
        self.identify(headers)?;
        let connection = self.connect();
        let reply = self.host.enter(async move { exchange(connection.await?, request).await });
        let reply = timeout(LIMIT, reply).await.with_context(|| format!("no reply to {what}"))?;
        let reply = reply?.with_context(|| what.clone())?;
        self.keep_cookie(&reply.headers);
        Ok(Reply { what, ..reply })
    }

    /// Opens a live WebSocket at `path`.
    pub async fn live(&self, path: &str) -> Result<Live> {
        let mut headers = HeaderMap::new();
        headers.insert(ORIGIN, format!("https://{}", self.authority()).parse()?);
        self.identify(&mut headers)?;
        let url = format!("wss://{}{path}", self.authority());
        let connection = self.connect();
        let open =
            self.host.enter(async move { Live::open(connection.await?, &url, headers).await });
        timeout(LIMIT, open).await.with_context(|| format!("no WebSocket at {path}"))??
    }

    /// As the address bar has it: without the port that goes without saying.
    fn authority(&self) -> String {
        match self.address.port() {
            443 => self.name.clone(),
            port => format!("{}:{port}", self.name),
        }
    }

    fn identify(&self, headers: &mut HeaderMap) -> Result<()> {
        if let Some(token) = &self.bearer {
            headers.insert(AUTHORIZATION, format!("Bearer {token}").parse()?);
        } else if let Some(cookie) = self.cookie() {
            headers.insert(COOKIE, cookie.parse()?);
        }
        Ok(())
    }

    fn keep_cookie(&self, headers: &HeaderMap) {
        let Some(set) = headers.get(SET_COOKIE).and_then(|value| value.to_str().ok()) else {
            return;
        };
        let mut parts = set.split(';').map(str::trim);
        let pair = parts.next().unwrap_or_default().to_owned();
        let is_taken_back = parts.any(|part| part.eq_ignore_ascii_case("Max-Age=0"));
        let kept = (!is_taken_back).then_some(pair);
        *self.cookie.lock().unwrap_or_else(PoisonError::into_inner) = kept;
    }

    /// To be awaited on the host.
    fn connect(&self) -> impl Future<Output = Result<TlsStream<TcpStream>>> + Send + 'static {
        let (address, name) = (self.address, self.name.clone());
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        async move {
            let tcp = TcpStream::connect(address)
                .await
                .with_context(|| format!("connect to {address}"))?;
            tcp.set_nodelay(true)?;
            let name = ServerName::try_from(name)?;
            connector.connect(name, tcp).await.with_context(|| format!("TLS with {address}"))
        }
    }
}

async fn exchange(stream: TlsStream<TcpStream>, request: Request<Bytes>) -> Result<Reply> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // It ends with the sender; what goes wrong in it, the request's own result tells.
    tokio::spawn(connection);
    let response = sender.send_request(request.map(Full::new)).await?;
    let (head, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(Reply { what: String::new(), status: head.status, headers: head.headers, body })
}

/// An answer of any status.
#[derive(Clone, Debug)]
pub struct Reply {
    what: String,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Reply {
    /// Fails, with what the box said, unless the status is 2xx.
    pub fn ok(self) -> Result<Self> {
        let said = String::from_utf8_lossy(&self.body);
        ensure!(self.status.is_success(), "{}: {}: {said}", self.what, self.status);
        Ok(self)
    }

    /// The body of a 2xx.
    pub fn json<T: DeserializeOwned>(self) -> Result<T> {
        let reply = self.ok()?;
        let said = || format!("{}: {}", reply.what, String::from_utf8_lossy(&reply.body));
        serde_json::from_slice(&reply.body).with_context(said)
    }

    /// The stable code of a refusal (`problem+json`); fails on success.
    pub fn problem_code(&self) -> Result<String> {
        #[derive(serde::Deserialize)]
        struct Problem {
            code: String,
        }
        let said = || format!("{}: {}: {:?}", self.what, self.status, self.body);
        ensure!(!self.status.is_success(), said());
        let problem: Problem = serde_json::from_slice(&self.body).with_context(said)?;
        Ok(problem.code)
    }
}
