//! Who is at the other end of a TLS connection.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, close_code};
use rustls_pki_types::CertificateDer;
use tokio_util::sync::CancellationToken;

/// In every request's extensions, put there by [`crate::http::serve`].
#[derive(Clone, Debug)]
pub struct Peer {
    pub address: SocketAddr,
    /// The box's own address that the peer came to.
    pub local: SocketAddr,
    /// The peer's own certificate, if it showed one; the TLS configuration has verified it.
    pub certificate: Option<CertificateDer<'static>>,
    /// Cancelled when the port closes. A WebSocket ends then by [`Peer::goodbye`], in time for the
    /// other side to hear it.
    pub closing: CancellationToken,
}

impl Peer {
    /// The peer's address, an IPv4 one as such even when it came through an IPv6 socket.
    pub fn ip(&self) -> IpAddr {
        self.address.ip().to_canonical()
    }

    /// The last message of a WebSocket: of a box that stops, 1001 (RFC 6455 §7.4.1).
    pub fn goodbye(&self) -> Message {
        let reason = Utf8Bytes::from_static("the box is stopping");
        let going_away = CloseFrame { code: close_code::AWAY, reason };
        Message::Close(self.closing.is_cancelled().then_some(going_away))
    }
}

/// What strangers are counted by: one machine can take any address of its IPv6 network, a /64
/// (RFC 7421 §1). An IPv4 address is its own.
pub fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
    }
}
