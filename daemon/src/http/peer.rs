//! Who is at the other end of a TLS connection.

use std::net::{IpAddr, SocketAddr};

use rustls_pki_types::CertificateDer;

/// In every request's extensions, put there by [`crate::http::serve`].
#[derive(Clone, Debug)]
pub struct Peer {
    pub address: SocketAddr,
    /// The box's own address that the peer came to.
    pub local: SocketAddr,
    /// The peer's own certificate, if it showed one; the TLS configuration has verified it.
    pub certificate: Option<CertificateDer<'static>>,
}

impl Peer {
    /// The peer's address, an IPv4 one as such even when it came through an IPv6 socket.
    pub fn ip(&self) -> IpAddr {
        self.address.ip().to_canonical()
    }
}
