//! Where the box is: everything that is known and heard, tried at once.
//!
//! Any answer is only an address. Whoever answers there first with a certificate under the pinned
//! root is the box; the rest is hung up on before a word was said. mDNS is listened to only while
//! no box is connected.

use std::{collections::BTreeSet, sync::Arc};

use futures_util::{StreamExt, stream::FuturesUnordered};
use mdns_sd::{Receiver, ServiceDaemon, ServiceEvent};
use rustls::ClientConfig;

use crate::channel::{ChannelError, Secured, secure};

const SERVICE: &str = "_alfarid._tcp.local.";

/// A network where more than this call themselves our box is not searched further.
const HEARD_AT_MOST: usize = 16;

/// The search for a box, over several attempts.
pub(crate) struct Search {
    heard: BTreeSet<String>,
    mdns: Option<Mdns>,
}

impl Search {
    /// Starts listening, if `discovery` is on. A machine where mDNS cannot be had still has the
    /// addresses it knows.
    pub(crate) fn start(discovery: bool) -> Self {
        let mdns = discovery.then(Mdns::browse).and_then(|mdns| {
            mdns.inspect_err(|error| tracing::warn!(%error, "mDNS is not available")).ok()
        });
        Self { heard: BTreeSet::new(), mdns }
    }

    /// Tries `known` and everything heard, before and meanwhile, at once; the first that proves
    /// itself is it. Ends when all have failed.
    pub(crate) async fn attempt(
        &mut self,
        known: &[String],
        tls: &Arc<ClientConfig>,
    ) -> Result<Secured, Vec<ChannelError>> {
        let reach = |address: String| {
            let tls = Arc::clone(tls);
            async move { secure(&address, tls).await }
        };
        let addresses: BTreeSet<String> = known.iter().chain(&self.heard).cloned().collect();
        let mut attempts: FuturesUnordered<_> = addresses.into_iter().map(reach).collect();
        let mut failures = Vec::new();
        loop {
            tokio::select! {
                result = attempts.next() => match result {
                    Some(Ok(secured)) => return Ok(secured),
                    Some(Err(error)) => failures.push(error),
                    None => return Err(failures),
                },
                fresh = self.hear() => attempts.extend(fresh.into_iter().map(reach)),
            }
        }
    }

    /// Waits until addresses are heard that the search did not know yet. For ever, if there is
    /// nothing to listen to. Cancelling it loses nothing.
    pub(crate) async fn hear(&mut self) -> Vec<String> {
        loop {
            let Some(mdns) = &self.mdns else { return std::future::pending().await };
            let Ok(event) = mdns.events.recv_async().await else {
                self.mdns = None;
                continue;
            };
            let ServiceEvent::ServiceResolved(service) = event else { continue };
            let mut fresh = Vec::new();
            for ip in service.addresses.iter().filter(|address| address.is_ipv4()) {
                let address = format!("{}:{}", ip.to_ip_addr(), service.port);
                if self.heard.len() < HEARD_AT_MOST && self.heard.insert(address.clone()) {
                    fresh.push(address);
                }
            }
            if !fresh.is_empty() {
                return fresh;
            }
        }
    }
}

/// The browsing thread; it ends with this value.
struct Mdns {
    daemon: ServiceDaemon,
    events: Receiver<ServiceEvent>,
}

impl Mdns {
    fn browse() -> Result<Self, mdns_sd::Error> {
        let daemon = ServiceDaemon::new()?;
        let events = daemon.browse(SERVICE)?;
        Ok(Self { daemon, events })
    }
}

impl Drop for Mdns {
    fn drop(&mut self) {
        // The thread answers when it has ended; nobody waits for that.
        let _ = self.daemon.shutdown();
    }
}
