//! Taking the ports, before anything else: a box that cannot be reached is no box.

use std::{io, net::SocketAddr};

use thiserror::Error;
use tokio::net::TcpListener;

use crate::config::Config;

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
        Ok(Self { web, agents })
    }
}

async fn bind(address: SocketAddr, section: &'static str) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address).await.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => ListenError::InUse { address, section },
        _ => ListenError::Refused { address, section, source },
    })
}
