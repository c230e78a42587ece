//! The box's end of the control connection: real TLS, real WebSocket, the real messages. What it
//! answers is up to each test.

use std::{net::SocketAddr, sync::Arc};

use alfarid_protocol::{
    control::{FromBox, FromMachine, PATH},
    id::{BoxId, MachineId},
    time::Timestamp,
    version,
};
use futures_util::{SinkExt, StreamExt};
use rustls::ServerConfig;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async,
    tungstenite::{
        Message,
        handshake::server::{ErrorResponse, Request, Response},
    },
};
use uuid::Uuid;

use crate::{site::Site, within};

pub(crate) const BOX: BoxId = BoxId(Uuid::from_u128(0xb0));
pub(crate) const MACHINE: MachineId = MachineId(Uuid::from_u128(0xac));

/// A listening agent port. Dropped, it is gone as after a kill.
pub(crate) struct TheBox {
    pub(crate) address: String,
    /// Machines that have opened their channel; `None` for one that hung up before.
    connections: mpsc::Receiver<Option<Connection>>,
}

impl TheBox {
    pub(crate) async fn listen(tls: Arc<ServerConfig>) -> Self {
        Self::listen_at("127.0.0.1:0".parse().unwrap(), tls).await
    }

    /// Listens where a box listened before, as after a restart.
    pub(crate) async fn listen_at(address: SocketAddr, tls: Arc<ServerConfig>) -> Self {
        let listener = bind(address).await;
        let address = listener.local_addr().unwrap().to_string();
        let (sender, connections) = mpsc::channel(16);
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = sender.closed() => return,
                };
                let (stream, _) = accepted.unwrap();
                let (tls, sender) = (TlsAcceptor::from(Arc::clone(&tls)), sender.clone());
                tokio::spawn(async move {
                    let _ = sender.send(Connection::accept(stream, tls).await).await;
                });
            }
        });
        Self { address, connections }
    }

    /// No box at all.
    pub(crate) fn nowhere() -> Self {
        Self { address: String::new(), connections: mpsc::channel(1).1 }
    }

    /// The next machine that has opened its control channel.
    pub(crate) async fn connection(&mut self) -> Connection {
        within("a machine to connect", async {
            loop {
                if let Some(connection) = self.connections.recv().await.unwrap() {
                    return connection;
                }
            }
        })
        .await
    }

    /// Waits for a machine that hangs up before it has said anything.
    pub(crate) async fn hung_up_on(&mut self) {
        let connection = within("a machine to hang up", self.connections.recv()).await.unwrap();
        assert!(connection.is_none(), "the machine has opened its channel");
    }

    /// The next machine, greeted.
    pub(crate) async fn welcome(&mut self, marks_through: u64) -> Connection {
        self.welcome_as(marks_through, true).await
    }

    /// The next machine, greeted as one that an admin has let in, or has still to let in.
    pub(crate) async fn welcome_as(&mut self, marks_through: u64, approved: bool) -> Connection {
        let mut connection = self.connection().await;
        assert!(connection.has_certificate, "a machine says Hello with its certificate");
        let hello = connection.receive().await;
        assert!(matches!(hello, FromMachine::Hello { .. }), "{hello:?}");
        connection
            .send(&FromBox::Welcome {
                protocol: version::CURRENT,
                box_id: BOX,
                machine: MACHINE,
                room: "12".into(),
                approved,
                box_time: Timestamp(0),
                marks_through,
            })
            .await;
        connection
    }

    /// Enrols the next machine.
    pub(crate) async fn enrol(&mut self, site: &Site) {
        let mut connection = self.connection().await;
        let FromMachine::Enrol { csr_pem, .. } = connection.receive().await else {
            panic!("a machine without a certificate can only enrol")
        };
        connection.send(&enrolled(site, &csr_pem)).await;
        while connection.try_receive().await.is_some() {}
    }

    pub(crate) fn nobody_has_connected(&mut self) -> bool {
        !matches!(self.connections.try_recv(), Ok(Some(_)))
    }
}

/// Hangs up on machines that try `address`, so many times.
pub(crate) async fn hang_up(address: SocketAddr, times: usize) {
    let listener = bind(address).await;
    for _ in 0..times {
        within("an attempt to connect", listener.accept()).await.unwrap();
    }
}

/// Waits until whoever listened there before is gone.
async fn bind(address: SocketAddr) -> TcpListener {
    within("the address to be free", async {
        loop {
            match TcpListener::bind(address).await {
                Ok(listener) => return listener,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    })
    .await
}

pub(crate) fn enrolled(site: &Site, csr_pem: &str) -> FromBox {
    FromBox::Enrolled {
        machine: MACHINE,
        box_id: BOX,
        chain_pem: site.machine_chain(csr_pem),
        root_pem: site.root_pem(),
    }
}

/// One machine's control channel.
pub(crate) struct Connection {
    pub(crate) has_certificate: bool,
    socket: WebSocketStream<TlsStream<TcpStream>>,
}

impl Connection {
    /// `None`: the machine hung up, for example because it does not trust this box.
    async fn accept(stream: TcpStream, tls: TlsAcceptor) -> Option<Self> {
        let stream = tls.accept(stream).await.ok()?;
        let has_certificate = stream.get_ref().1.peer_certificates().is_some();
        let check = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
            assert_eq!(request.uri().path(), PATH);
            Ok(response)
        };
        let socket = accept_hdr_async(stream, check).await.ok()?;
        Some(Self { has_certificate, socket })
    }

    pub(crate) async fn send(&mut self, message: &FromBox) {
        let json = serde_json::to_string(message).unwrap();
        self.socket.send(Message::text(json)).await.unwrap();
    }

    pub(crate) async fn send_kept(&mut self, message: Vec<u8>) {
        self.socket.send(Message::binary(message)).await.unwrap();
    }

    /// The next message, whatever it is.
    pub(crate) async fn receive(&mut self) -> FromMachine {
        self.try_receive().await.expect("the machine hung up")
    }

    /// The next message, or `None` when the machine has hung up.
    pub(crate) async fn try_receive(&mut self) -> Option<FromMachine> {
        loop {
            match within("a message", self.socket.next()).await? {
                Ok(Message::Text(json)) => return Some(serde_json::from_str(&json).unwrap()),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// The next message that `wanted` takes; others (pings, reports) are passed by.
    pub(crate) async fn receive_if<T>(
        &mut self,
        what: &str,
        mut wanted: impl FnMut(FromMachine) -> Option<T>,
    ) -> T {
        within(what, async {
            loop {
                if let Some(found) = wanted(self.receive().await) {
                    return found;
                }
            }
        })
        .await
    }
}
