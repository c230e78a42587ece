//! Who is at the other end of a connection.

use std::net::{IpAddr, SocketAddr};

use rustls_pki_types::CertificateDer;

/// Put into every request's extensions by the accept loop; a handler asks for it as
/// `Extension<Peer>`.
#[derive(Clone, Debug)]
pub struct Peer {
    pub address: SocketAddr,
    /// The box's own address on the network that the peer is on.
    pub local: SocketAddr,
    /// What the peer proved by TLS to hold the key of. Verified up to the site's root.
    pub certificate: Option<CertificateDer<'static>>,
}

impl Peer {
    /// The peer's address, an IPv4 one as such even when it came through an IPv6 socket.
    pub fn ip(&self) -> IpAddr {
        self.address.ip().to_canonical()
    }
}
