//! A student machine: enrols by a site token and keeps its connection, over real mutual TLS.

use std::net::SocketAddr;

use alfarid_protocol::{
    control::{FromBox, FromMachine, PATH},
    id::{BootId, MachineId, SpanId},
    span::{Mark, MarkKind, Moment},
    token::SiteToken,
    version,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::{SinkExt, StreamExt};
use rcgen::{CertificateParams, KeyPair};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};
use uuid::Uuid;

use super::{Appliance, PATIENCE, tls};

const BOOT: BootId = BootId(Uuid::from_u128(0xb007));

pub(crate) struct Seat {
    pub(crate) machine: MachineId,
    socket: WebSocketStream<TlsStream<TcpStream>>,
    marks: u64,
}

impl Seat {
    /// Enrols as `name` and connects.
    pub(crate) async fn enrolled(appliance: &Appliance, token: &SiteToken, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut socket = open(appliance.agents(), None).await;
        let enrol = FromMachine::Enrol {
            protocol: version::CURRENT,
            agent_version: "0.1.0".to_owned(),
            name: name.to_owned(),
            secret: URL_SAFE_NO_PAD.encode(token.secret),
            csr_pem: CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap(),
        };
        say(&mut socket, &enrol).await;
        let FromBox::Enrolled { machine, chain_pem, .. } = hear(&mut socket).await else {
            panic!("not enrolled")
        };
        let chain = CertificateDer::pem_slice_iter(chain_pem.as_bytes());
        let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
        let mut socket = open(appliance.agents(), Some((&key, chain))).await;
        let hello = FromMachine::Hello {
            protocol: version::CURRENT,
            agent_version: "0.1.0".to_owned(),
            name: name.to_owned(),
            now: at(0),
        };
        say(&mut socket, &hello).await;
        let welcome = hear(&mut socket).await;
        assert!(matches!(welcome, FromBox::Welcome { approved: true, .. }), "{welcome:?}");
        Self { machine, socket, marks: 0 }
    }

    /// Somebody sits down, or gets up: the box has written it down when this returns.
    pub(crate) async fn mark(&mut self, kind: MarkKind) {
        self.marks += 1;
        let span = SpanId(Uuid::from_u128(0x5ba));
        let mark = Mark { seq: self.marks, span, at: at(self.marks), kind };
        say(&mut self.socket, &FromMachine::Marks { marks: vec![mark] }).await;
        let through = self.marks;
        self.hear_until(|message| *message == FromBox::MarksAcked { through }).await;
    }

    /// Waits for what the box has to say.
    pub(crate) async fn hear_until(&mut self, wanted: impl Fn(&FromBox) -> bool) {
        while !wanted(&hear(&mut self.socket).await) {}
    }
}

fn at(monotonic_ms: u64) -> Moment {
    Moment { boot: BOOT, monotonic_ms }
}

async fn open(
    agents: SocketAddr,
    own: Option<(&KeyPair, Vec<CertificateDer<'static>>)>,
) -> WebSocketStream<TlsStream<TcpStream>> {
    let stream = tls::connect(agents, own).await;
    client_async(format!("wss://{agents}{PATH}"), stream).await.unwrap().0
}

async fn say(socket: &mut WebSocketStream<TlsStream<TcpStream>>, message: &FromMachine) {
    let text = serde_json::to_string(message).unwrap();
    socket.send(Message::text(text)).await.unwrap();
}

/// The next message that is not kept pictures.
async fn hear(socket: &mut WebSocketStream<TlsStream<TcpStream>>) -> FromBox {
    let message = async {
        loop {
            if let Message::Text(text) = socket.next().await.unwrap().unwrap() {
                return serde_json::from_str(&text).unwrap();
            }
        }
    };
    tokio::time::timeout(PATIENCE, message).await.unwrap()
}
