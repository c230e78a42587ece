//! The box makes itself found: mDNS `_alfarid._tcp.local`.
//!
//! An announcement is an address and never trust: whoever follows it checks the site's root. What
//! it carries is public: the box's id and its two ports. A box whose mDNS is broken works; it says
//! so on its health page.

use alfarid_protocol::{id::BoxId, version};
use mdns_sd::{ServiceDaemon, ServiceInfo};
use tokio_util::sync::CancellationToken;

use crate::health::{FaultCode, Health, Severity};

/// Machines browse for this type.
pub const SERVICE: &str = "_alfarid._tcp.local.";

/// What is announced.
#[derive(Clone, Debug)]
pub struct Announcement {
    pub box_id: BoxId,
    /// The host name, without `.local`.
    pub host_name: String,
    /// Where machines connect.
    pub agent_port: u16,
    /// Where the pages are.
    pub web_port: u16,
}

/// Announces until `stopping`, following the machine's addresses as they change; then says
/// goodbye.
pub async fn announce(what: Announcement, health: Health, stopping: CancellationToken) {
    let responder = match start(&what) {
        Ok(responder) => Some(responder),
        Err(error) => {
            let detail = format!("Machines will not find the box by mDNS: {error}");
            health.raise(FaultCode::MdnsDown, Severity::Warning, detail);
            None
        }
    };
    stopping.cancelled().await;
    if let Some(goodbye) = responder.and_then(|responder| responder.shutdown().ok()) {
        let _ = goodbye.recv_async().await;
    }
}

fn start(what: &Announcement) -> Result<ServiceDaemon, mdns_sd::Error> {
    let responder = ServiceDaemon::new()?;
    let properties = [
        ("box", what.box_id.to_string()),
        ("web", what.web_port.to_string()),
        ("proto", version::CURRENT.to_string()),
    ];
    let host = format!("{}.local.", what.host_name);
    let service = ServiceInfo::new(
        SERVICE,
        &what.host_name,
        &host,
        "",
        what.agent_port,
        properties.as_slice(),
    )?;
    responder.register(service.enable_addr_auto())?;
    Ok(responder)
}
