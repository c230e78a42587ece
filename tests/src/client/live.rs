//! The live WebSocket: typed events as the box pushes them.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures_util::{SinkExt, StreamExt};
use http::HeaderMap;
use serde_json::Value;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest},
};

#[derive(Debug)]
pub struct Live {
    socket: WebSocketStream<TlsStream<TcpStream>>,
}

impl Live {
    pub(super) async fn open(
        stream: TlsStream<TcpStream>,
        url: &str,
        headers: HeaderMap,
    ) -> Result<Self> {
        let mut request = url.into_client_request()?;
        request.headers_mut().extend(headers);
        let (socket, _) = client_async(request, stream).await.context("open the WebSocket")?;
        Ok(Self { socket })
    }

    /// The next event. Cancelling it loses none.
    pub async fn next(&mut self) -> Result<Value> {
        loop {
            match self.socket.next().await.context("the box closed the WebSocket")?? {
                Message::Text(text) => return Ok(serde_json::from_str(&text)?),
                Message::Close(why) => bail!("the box closed the WebSocket: {why:?}"),
                Message::Binary(_) | Message::Frame(_) | Message::Ping(_) | Message::Pong(_) => {}
            }
        }
    }

    /// The next event that is it; those before it are gone.
    pub async fn wait_for(
        &mut self,
        mut is_it: impl FnMut(&Value) -> bool,
        limit: Duration,
    ) -> Result<Value> {
        let mut passed = 0_u32;
        let search = async {
            loop {
                let event = self.next().await?;
                if is_it(&event) {
                    return Ok(event);
                }
                passed += 1;
            }
        };
        let found = timeout(limit, search).await;
        found.with_context(|| format!("no such event in {limit:?}, {passed} others"))?
    }

    /// Says something to the box.
    pub async fn say(&mut self, message: &Value) -> Result<()> {
        Ok(self.socket.send(Message::text(message.to_string())).await?)
    }
}
