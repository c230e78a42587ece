//! A student machine as the box hears it: the agent's side of the control connection.

use alfarid_daemon::{db::DbError, enrolment};
use alfarid_protocol::{
    control::{self, FromBox, FromMachine},
    grant::Grant,
    id::{BootId, MachineId},
    kept::Kept,
    span::Moment,
    tunnel, version,
};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use rusqlite::params;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{self, Message, protocol::frame::coding::CloseCode},
};

use super::{PATIENCE, Stage};

/// What the box said.
#[derive(Debug)]
pub(crate) enum Said {
    Text(FromBox),
    Pictures(Vec<u8>),
    Closed,
}

pub(crate) struct Machine {
    pub(crate) id: MachineId,
    certificate: Vec<u8>,
    boot: BootId,
    socket: Option<WebSocketStream<MaybeTlsStream<TcpStream>>>,
}

/// The machine's end of a tunnel.
pub(crate) struct Tunnel(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Tunnel {
    /// The packets of the next message; `None`: the box has ended it.
    pub(crate) async fn next(&mut self) -> Option<Vec<(u64, Bytes)>> {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.0.next()).await;
            match next.expect("not even a sign of the box") {
                Some(Ok(Message::Binary(bytes))) => {
                    let kept = Kept::parse(&bytes).unwrap();
                    let copy =
                        |(index, packet): &(u64, &[u8])| (*index, Bytes::copy_from_slice(packet));
                    return Some(kept.packets.iter().map(copy).collect());
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }
}

impl Machine {
    /// Enrolled in the stage's room, not connected.
    pub(crate) async fn enrolled(stage: &Stage, is_approved: bool) -> Self {
        let id: MachineId = stage.floor.clock.id();
        let room = stage.room;
        let signed = rcgen::generate_simple_self_signed(vec!["machine".into()]).unwrap();
        let key = enrolment::spki_sha256(signed.cert.der()).unwrap();
        let insert = move |tx: &rusqlite::Transaction<'_>| {
            tx.execute(
                "INSERT INTO machines (id, room_id, name, spki_sha256, is_approved, agent_version,
                                       enrolled_at, last_seen_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, '0', 0, 0)",
                params![id.to_string(), room.to_string(), "pc-01", key, is_approved],
            )?;
            Ok::<_, DbError>(())
        };
        stage.floor.db.write(insert).await.unwrap();
        let certificate = signed.cert.der().to_vec();
        Self { id, certificate, boot: stage.floor.clock.id(), socket: None }
    }

    /// A machine whose key the box has never seen.
    pub(crate) fn stranger(stage: &Stage) -> Self {
        let signed = rcgen::generate_simple_self_signed(vec!["machine".into()]).unwrap();
        let certificate = signed.cert.der().to_vec();
        Self { id: stage.floor.clock.id(), certificate, boot: stage.floor.clock.id(), socket: None }
    }

    /// The same machine once more, not connected.
    pub(crate) fn twin(&self) -> Self {
        Self { id: self.id, certificate: self.certificate.clone(), boot: self.boot, socket: None }
    }

    /// Dials in and says hello.
    pub(crate) async fn connect(&mut self, stage: &Stage) {
        self.dial(stage).await;
        self.hello(version::CURRENT).await;
    }

    pub(crate) async fn dial(&mut self, stage: &Stage) {
        let port = stage.agent_port(Some(self.certificate.clone())).await;
        let address = format!("ws://127.0.0.1:{port}{}", control::PATH);
        let (socket, _) = tokio_tungstenite::connect_async(address).await.unwrap();
        self.socket = Some(socket);
    }

    /// Opens a tunnel for a grant. `Err`: the status that the box refuses with.
    pub(crate) async fn tunnel(
        &self,
        stage: &Stage,
        serial: u32,
        from: Option<u64>,
    ) -> Result<Tunnel, u16> {
        let port = stage.agent_port(Some(self.certificate.clone())).await;
        let address = format!("ws://127.0.0.1:{port}{}", tunnel::path(serial, from));
        match tokio_tungstenite::connect_async(address).await {
            Ok((socket, _)) => Ok(Tunnel(socket)),
            Err(tungstenite::Error::Http(answer)) => Err(answer.status().as_u16()),
            Err(other) => panic!("no tunnel: {other}"),
        }
    }

    pub(crate) async fn hello(&mut self, protocol: u16) {
        let now = self.now();
        let (agent_version, name) = ("0.1.0".to_owned(), "pc-01".to_owned());
        self.say(&FromMachine::Hello { protocol, agent_version, name, now }).await;
    }

    pub(crate) fn now(&self) -> Moment {
        Moment { boot: self.boot, monotonic_ms: 1_000 }
    }

    pub(crate) async fn say(&mut self, message: &FromMachine) {
        self.send(Message::text(serde_json::to_string(message).unwrap())).await;
    }

    pub(crate) async fn send(&mut self, message: Message) {
        assert!(self.try_send(message).await, "the box has closed the connection");
    }

    /// `false`: the connection is closed.
    pub(crate) async fn try_send(&mut self, message: Message) -> bool {
        self.socket.as_mut().unwrap().send(message).await.is_ok()
    }

    /// The next thing that the box says.
    pub(crate) async fn next(&mut self) -> Said {
        let socket = self.socket.as_mut().unwrap();
        loop {
            let next = tokio::time::timeout(PATIENCE, socket.next()).await;
            match next.expect("the box said nothing") {
                Some(Ok(Message::Text(text))) => {
                    return Said::Text(serde_json::from_str(&text).unwrap());
                }
                Some(Ok(Message::Binary(bytes))) => return Said::Pictures(bytes.to_vec()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Said::Closed,
                Some(Ok(_)) => {}
            }
        }
    }

    /// The code that the box closes the connection with, whatever it says before.
    pub(crate) async fn close_code(&mut self) -> Option<CloseCode> {
        let socket = self.socket.as_mut().unwrap();
        loop {
            let next = tokio::time::timeout(PATIENCE, socket.next()).await;
            match next.expect("the box said nothing") {
                Some(Ok(Message::Close(why))) => return why.map(|frame| frame.code),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }

    /// The next message that `wanted` knows; others are passed over.
    pub(crate) async fn until<T>(
        &mut self,
        what: &str,
        wanted: impl Fn(FromBox) -> Option<T>,
    ) -> T {
        loop {
            match self.next().await {
                Said::Text(message) => {
                    if let Some(found) = wanted(message) {
                        return found;
                    }
                }
                Said::Pictures(_) => {}
                Said::Closed => panic!("the box closed the connection before {what}"),
            }
        }
    }

    pub(crate) async fn welcome(&mut self) -> bool {
        self.until("a welcome", |message| match message {
            FromBox::Welcome { approved, .. } => Some(approved),
            _ => None,
        })
        .await
    }

    /// The next grant that has video.
    pub(crate) async fn grant(&mut self) -> Grant {
        self.until("a grant", |message| match message {
            FromBox::Grant(grant) => grant.video.is_some().then_some(grant),
            _ => None,
        })
        .await
    }

    /// The kept pictures before `from`, as (index, packet).
    pub(crate) async fn kept(&mut self, serial: u32, from: Option<u64>) -> Vec<(u64, Vec<u8>)> {
        self.say(&FromMachine::WantKept { serial, video_from: from, audio_from: None }).await;
        let mut packets = Vec::new();
        loop {
            match self.next().await {
                Said::Pictures(bytes) => {
                    let kept = Kept::parse(&bytes).unwrap();
                    assert_eq!(kept.serial, serial);
                    packets.extend(kept.packets.iter().map(|(index, p)| (*index, p.to_vec())));
                    if kept.last {
                        return packets;
                    }
                }
                Said::Text(_) => {}
                Said::Closed => panic!("the box closed the connection"),
            }
        }
    }
}
