//! Taking the ports, before anything else: a box that cannot be reached is no box.

use std::{io, net::SocketAddr};

use socket2::SockRef;
use thiserror::Error;
use tokio::net::TcpListener;

use crate::config::Config;

/// What is sent to a machine and was not taken waits where it can be taken back, not in the kernel:
/// a lesson through TLS must not lag by what is in here. A quarter of a second of 2 Mbit/s, once
/// the kernel has doubled it.
const AGENT_SEND_BUFFER: usize = 32 << 10;

#[derive(Debug, Error)]
pub(super) enum ListenError {
    #[error(
        "cannot listen on {address}: another program has the port; end it, or set `listen` in \
         [{section}]"
    )]
    InUse { address: SocketAddr, section: &'static str },
    #[error("cannot listen on {address}: set `listen` in [{section}] to another one")]
    Refused {
        address: SocketAddr,
        section: &'static str,
        #[source]
        source: io::Error,
    },
}

/// Both TCP ports of the box.
#[derive(Debug)]
pub(super) struct Ports {
    pub(super) web: TcpListener,
    pub(super) agents: TcpListener,
}

impl Ports {
    pub(super) async fn bind(config: &Config) -> Result<Self, ListenError> {
        let web = bind(config.http.listen, "http").await?;
        let agents = bind(config.agents.listen, "agents").await?;
        // What it accepts has the same. Where the kernel will not, a tunnel lags longer than it
        // need.
        let _ = SockRef::from(&agents).set_send_buffer_size(AGENT_SEND_BUFFER);
        Ok(Self { web, agents })
    }
}

async fn bind(address: SocketAddr, section: &'static str) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address).await.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => ListenError::InUse { address, section },
        _ => ListenError::Refused { address, section, source },
    })
}
