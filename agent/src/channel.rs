//! One TLS connection to a box, and the messages of `alfarid_protocol::control` over it.
//!
//! [`secure`] ends at the handshake, where the pin has decided; nothing of this machine's has been
//! said by then, so several addresses can be tried at once and only one carries on as a
//! [`Channel`]. Every wait is bounded.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use alfarid_protocol::control::{FromBox, FromMachine, MAX_TEXT, PATH};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use rustls::{
    ClientConfig,
    pki_types::{IpAddr, Ipv4Addr, ServerName},
};
use thiserror::Error;
use tokio::{
    net::TcpStream,
    time::{error::Elapsed, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{Error as WebSocketError, Message, protocol::WebSocketConfig},
};
use zeroize::Zeroizing;

use crate::trust::{self, TrustError};

/// How long one address gets to answer with a TLS handshake.
pub(crate) const REACH_WITHIN: Duration = Duration::from_secs(3);

/// How long a box gets to take a message. It reads all the time; a peer that does not is gone.
const SEND_WITHIN: Duration = Duration::from_secs(10);

#[derive(Debug, Error)]
pub enum ChannelError {
    #[error("connect to {address}")]
    Connect { address: String, source: io::Error },
    #[error("{0} does not answer")]
    Silent(String),
    #[error("{0} is a box of another site")]
    AnotherSite(String),
    #[error("the certificate of {address} is no box's")]
    Untrusted { address: String, source: io::Error },
    #[error("TLS handshake with {address}")]
    Handshake { address: String, source: io::Error },
    #[error("open the control channel")]
    WebSocket(#[source] Box<WebSocketError>),
    #[error("send to the box")]
    Send(#[source] Box<WebSocketError>),
    #[error("the box takes no message")]
    Stuck,
    #[error("receive from the box")]
    Receive(#[source] Box<WebSocketError>),
    #[error("the box closed the connection")]
    Closed,
    #[error("write a message as JSON")]
    Json(#[source] serde_json::Error),
}

impl ChannelError {
    /// Whether somebody was there: such an answer says more than silence does.
    pub(crate) fn somebody_answered(&self) -> bool {
        !matches!(self, Self::Connect { .. } | Self::Silent(_))
    }
}

/// A connection whose other side has proved itself.
#[derive(Debug)]
pub struct Secured {
    pub address: String,
    /// What it was reached with.
    tls: Arc<ClientConfig>,
    stream: TlsStream<TcpStream>,
}

/// Connects to `address` (`host:port`) and lets the pin in `tls` decide.
pub async fn secure(address: &str, tls: Arc<ClientConfig>) -> Result<Secured, ChannelError> {
    let silent = |_: Elapsed| ChannelError::Silent(address.to_owned());
    timeout(REACH_WITHIN, async {
        let stream = TcpStream::connect(address)
            .await
            .map_err(|source| ChannelError::Connect { address: address.to_owned(), source })?;
        // Messages are small and answers are awaited: never wait for more to fill a segment.
        let _ = stream.set_nodelay(true);
        let stream = TlsConnector::from(Arc::clone(&tls)).connect(nobody(), stream).await.map_err(
            |source| {
                let address = address.to_owned();
                match trust::verdict(&source) {
                    Some(TrustError::AnotherSite) => ChannelError::AnotherSite(address),
                    Some(_) => ChannelError::Untrusted { address, source },
                    None => ChannelError::Handshake { address, source },
                }
            },
        )?;
        Ok(Secured { address: address.to_owned(), tls, stream })
    })
    .await
    .map_err(silent)?
}

impl Secured {
    /// How to reach the same box once more.
    pub(crate) fn dial(&self) -> Dial {
        Dial { address: self.address.clone(), tls: Arc::clone(&self.tls) }
    }
}

/// How to reach a box that proved itself.
#[derive(Clone, Debug)]
pub struct Dial {
    address: String,
    tls: Arc<ClientConfig>,
}

impl Dial {
    /// Opens a second connection, on which the box alone speaks.
    pub(crate) async fn tunnel(&self, path: &str) -> Result<Tunnelled, ChannelError> {
        let secured = secure(&self.address, Arc::clone(&self.tls)).await?;
        upgrade(secured, path).await.map(Tunnelled)
    }
}

/// The machine's end of a tunnel.
#[derive(Debug)]
pub(crate) struct Tunnelled(Socket);

impl Tunnelled {
    /// Waits for the next message, at most so long.
    pub(crate) async fn receive(&mut self, patience: Duration) -> Result<Bytes, ChannelError> {
        loop {
            let message =
                timeout(patience, self.0.next()).await.map_err(|_| ChannelError::Stuck)?;
            let message = message.ok_or(ChannelError::Closed)?;
            match message.map_err(|error| ChannelError::Receive(Box::new(error)))? {
                Message::Binary(bytes) => return Ok(bytes),
                Message::Close(_) => return Err(ChannelError::Closed),
                _ => {}
            }
        }
    }
}

type Socket = WebSocketStream<TlsStream<TcpStream>>;

async fn upgrade(secured: Secured, path: &str) -> Result<Socket, ChannelError> {
    let mut config = WebSocketConfig::default();
    // The defaults are made for servers: 128 KiB each way, eagerly.
    config.read_buffer_size = 8 * 1024;
    config.write_buffer_size = 0;
    config.max_message_size = Some(MAX_TEXT);
    config.max_frame_size = Some(MAX_TEXT);
    let url = format!("ws://{}{path}", secured.address);
    let opening = client_async_with_config(url, secured.stream, Some(config));
    let (socket, _) = timeout(REACH_WITHIN, opening)
        .await
        .map_err(|_| ChannelError::Silent(secured.address))?
        .map_err(|error| ChannelError::WebSocket(Box::new(error)))?;
    Ok(socket)
}

/// rustls wants a name to check; the pin checks none, and none is sent.
fn nobody() -> ServerName<'static> {
    ServerName::IpAddress(IpAddr::V4(Ipv4Addr::from([0, 0, 0, 0])))
}

/// What came from the box.
#[derive(Debug)]
pub enum Received {
    Message(FromBox),
    /// One message of `alfarid_protocol::kept`, not yet read.
    Kept(Bytes),
    /// A message of a newer box that this build does not know.
    Unknown,
}

/// The control channel.
#[derive(Debug)]
pub struct Channel {
    socket: Socket,
    /// This machine's end of the connection: it tells which interface reaches the box.
    pub local: SocketAddr,
}

impl Channel {
    pub async fn open(secured: Secured) -> Result<Self, ChannelError> {
        let local =
            secured.stream.get_ref().0.local_addr().map_err(|source| ChannelError::Connect {
                address: secured.address.clone(),
                source,
            })?;
        let socket = upgrade(secured, PATH).await?;
        Ok(Self { socket, local })
    }

    pub async fn send(&mut self, message: &FromMachine) -> Result<(), ChannelError> {
        // An `Enrol` carries the token's secret: this copy is wiped, whatever becomes of it.
        let json = Zeroizing::new(serde_json::to_string(message).map_err(ChannelError::Json)?);
        timeout(SEND_WITHIN, self.socket.send(Message::text(json.as_str())))
            .await
            .map_err(|_| ChannelError::Stuck)?
            .map_err(|error| ChannelError::Send(Box::new(error)))
    }

    /// Waits for the next message. Cancelling it loses nothing.
    pub async fn receive(&mut self) -> Result<Received, ChannelError> {
        loop {
            let message = self.socket.next().await.ok_or(ChannelError::Closed)?;
            match message.map_err(|error| ChannelError::Receive(Box::new(error)))? {
                Message::Text(json) => {
                    return Ok(
                        serde_json::from_str(&json).map_or(Received::Unknown, Received::Message)
                    );
                }
                Message::Binary(bytes) => return Ok(Received::Kept(bytes)),
                Message::Close(_) => return Err(ChannelError::Closed),
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    /// Says goodbye. Best effort: the box notices a lost connection too.
    pub async fn close(mut self) {
        let _ = timeout(Duration::from_millis(500), self.socket.close(None)).await;
    }
}
