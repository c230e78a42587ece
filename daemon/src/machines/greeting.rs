//! Who dials in: the first message of a connection, and what the box makes of it.
//!
//! The version is looked at first, so that an old agent learns that it is old and not that it is
//! nonsense; whose agent that is, is looked up then, for people to see what to update. Who a
//! machine is follows from the key of its certificate, never from what it says.

use std::time::Duration;

use alfarid_protocol::{
    control::{FromBox, FromMachine, RefusalCode},
    span::Moment,
    version::{self, Mismatch},
};
use axum::extract::ws::{Message, WebSocket};

use super::{
    Misfit,
    hearing::{self, Heard, shortened},
};
use crate::{
    enrolment::{self, EnrolRequest, Issued, KnownMachine, Newcomer, spki_sha256},
    http::Peer,
    logging::chain,
};

/// A machine says who it is at once; a stranger that says nothing is not kept.
const GREETING: Duration = Duration::from_secs(10);

/// A machine that is let in.
pub(super) struct Guest {
    pub(super) known: KnownMachine,
    pub(super) agent_version: String,
    pub(super) now: Moment,
}

/// What the box says instead of a welcome.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) code: RefusalCode,
    pub(super) detail: String,
}

/// A machine and a box that are too many releases apart.
pub(super) struct Aged {
    pub(super) why: Misfit,
    pub(super) agent_version: String,
}

/// Who it is.
pub(super) enum Greeted {
    Guest(Box<Guest>),
    Enrolled(Box<FromBox>),
    /// Known here, but it and this box cannot understand each other.
    Misfit(Box<KnownMachine>, Aged),
    /// It went away or said nothing, or the box is stopping.
    Nobody,
}

/// Hears the first message and decides.
pub(super) async fn greet(
    socket: &mut WebSocket,
    peer: &Peer,
    enrolment: &enrolment::Handle,
) -> Result<Greeted, Refusal> {
    let hello = tokio::time::timeout(GREETING, socket.recv());
    let Some(Ok(Some(Ok(Message::Text(text))))) = peer.closing.run_until_cancelled(hello).await
    else {
        return Ok(Greeted::Nobody);
    };
    match hearing::read(&text) {
        Heard::Message(FromMachine::Hello { protocol, agent_version, name, now }) => {
            let agent_version = shortened(&agent_version);
            if let Err(why) = agree(protocol) {
                let aged = Aged { why, agent_version };
                return match known(peer, enrolment).await {
                    Some(machine) => Ok(Greeted::Misfit(Box::new(machine), aged)),
                    None => Err(aged.refusal()),
                };
            }
            let address = peer.address.ip().to_canonical();
            let newcomer = Newcomer { name, agent_version: agent_version.clone(), address };
            let known = recognise(peer, enrolment, newcomer).await?;
            Ok(Greeted::Guest(Box::new(Guest { known, agent_version, now })))
        }
        Heard::Message(FromMachine::Enrol { protocol, agent_version, name, secret, csr_pem }) => {
            let agent_version = shortened(&agent_version);
            if let Err(why) = agree(protocol) {
                return Err(Aged { why, agent_version }.refusal());
            }
            let address = peer.address.ip().to_canonical();
            let request = EnrolRequest { secret, csr_pem, name, agent_version, address };
            let enrolled = enrol(enrolment, request).await?;
            Ok(Greeted::Enrolled(Box::new(enrolled)))
        }
        Heard::Message(_) => Err(Refusal::new(RefusalCode::BadMessage, "say hello first")),
        Heard::Unknown => Err(Refusal::new(
            RefusalCode::BoxTooOld,
            "this box does not know the first message: update the box",
        )),
        Heard::Nonsense(what) => Err(Refusal::new(RefusalCode::BadMessage, what)),
    }
}

fn agree(protocol: u16) -> Result<(), Misfit> {
    match version::agree(protocol) {
        Ok(_) => Ok(()),
        Err(Mismatch::PeerTooOld) => Err(Misfit::AgentTooOld),
        Err(Mismatch::PeerNewer) => Err(Misfit::BoxTooOld),
    }
}

impl Aged {
    pub(super) fn refusal(&self) -> Refusal {
        match self.why {
            Misfit::AgentTooOld => Refusal::new(
                RefusalCode::AgentTooOld,
                format!(
                    "update the package alfarid-agent on this machine: it has {}, the box needs \
                     one that speaks version {} of the protocol, such as {}",
                    self.agent_version,
                    version::OLDEST,
                    env!("CARGO_PKG_VERSION"),
                ),
            ),
            Misfit::BoxTooOld => Refusal::new(
                RefusalCode::BoxTooOld,
                format!(
                    "update the box: it has {} and speaks version {} of the protocol at most",
                    env!("CARGO_PKG_VERSION"),
                    version::CURRENT,
                ),
            ),
        }
    }
}

/// The machine whose key it is, where it is in and has not lost its trust.
pub(super) async fn known(peer: &Peer, enrolment: &enrolment::Handle) -> Option<KnownMachine> {
    let key = spki_sha256(peer.certificate.as_ref()?)?;
    let known = enrolment.machine_of_key(key).await.ok()??;
    (!known.is_revoked).then_some(known)
}

/// Who the key of the connection belongs to. A machine of this site that comes to this box for the
/// first time is taken up, and waits for approval.
async fn recognise(
    peer: &Peer,
    enrolment: &enrolment::Handle,
    newcomer: Newcomer,
) -> Result<KnownMachine, Refusal> {
    let certificate = peer.certificate.as_ref().ok_or_else(unknown)?;
    let key = spki_sha256(certificate).ok_or_else(unknown)?;
    let known = match enrolment.machine_of_key(key).await {
        Ok(None) => enrolment.take_up(certificate, newcomer).await,
        found => found,
    };
    match known {
        Ok(Some(known)) if known.is_revoked => Err(revoked()),
        Ok(Some(known)) => Ok(known),
        Ok(None) => Err(unknown()),
        Err(error) => {
            tracing::error!(error = %chain(&error), "cannot look a machine up");
            Err(Refusal::new(RefusalCode::TryLater, "the box cannot look machines up just now"))
        }
    }
}

async fn enrol(enrolment: &enrolment::Handle, request: EnrolRequest) -> Result<FromBox, Refusal> {
    let issued = enrolment.enrol(request).await.map_err(|error| {
        let code = error.refusal();
        if code == RefusalCode::TryLater {
            tracing::error!(error = %chain(&error), "cannot enrol a machine");
        }
        Refusal::new(code, error.to_string())
    })?;
    let Issued { machine, box_id, chain_pem, root_pem } = issued;
    Ok(FromBox::Enrolled { machine, box_id, chain_pem, root_pem })
}

pub(super) fn unknown() -> Refusal {
    Refusal::new(
        RefusalCode::MachineUnknown,
        "this box does not know this machine's key: enrol it with a token of this site",
    )
}

pub(super) fn revoked() -> Refusal {
    Refusal::new(
        RefusalCode::MachineRevoked,
        "this machine's trust was taken away: enrol it again with a new key",
    )
}

impl Refusal {
    pub(super) fn new(code: RefusalCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }
}

impl From<Refusal> for FromBox {
    fn from(Refusal { code, detail }: Refusal) -> Self {
        Self::Refused { code, detail }
    }
}
