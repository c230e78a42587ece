//! Machines as this box knows them: by their key.

use std::{fmt::Display, net::IpAddr};

use alfarid_protocol::{
    control::RefusalCode,
    id::{BoxId, MachineId, RoomId, TeacherId},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rustls_pki_types::CertificateDer;
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use super::{Error, Handle, authority::MachineRequest, site, store};
use crate::{events::Event, field, identity::audit};

/// Of what a machine says of itself, in characters.
const LONGEST_NAME: usize = 100;

/// What a machine that is to be let in has sent. Nothing of it is believed.
#[derive(Clone, Debug)]
pub struct EnrolRequest {
    /// The token's secret, base64url without padding.
    pub secret: String,
    pub csr_pem: String,
    /// For people to read.
    pub name: String,
    pub agent_version: String,
    pub address: IpAddr,
}

/// What the machine is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    pub machine: MachineId,
    pub box_id: BoxId,
    /// The machine's certificate, then this box's CA, PEM.
    pub chain_pem: String,
    /// The site root's certificate, PEM.
    pub root_pem: String,
}

/// A machine whose key is known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownMachine {
    pub id: MachineId,
    pub room: RoomId,
    pub name: String,
    pub is_approved: bool,
    pub is_revoked: bool,
}

/// What a machine says of itself that comes with a certificate.
#[derive(Clone, Debug)]
pub struct Newcomer {
    /// For people to read.
    pub name: String,
    pub agent_version: String,
    pub address: IpAddr,
}

/// What an admin changes; `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub struct MachineChange {
    pub name: Option<String>,
    pub room: Option<RoomId>,
    pub is_approved: Option<bool>,
}

impl Handle {
    /// Lets a machine in by a token's secret and gives it a certificate. A key that is in already
    /// gets its machine again and costs the token nothing: its first answer was lost.
    pub async fn enrol(&self, request: EnrolRequest) -> Result<Issued, Error> {
        let site = self.claimed_site()?;
        let secret = URL_SAFE_NO_PAD.decode(&request.secret).map_err(|_| Error::TokenUnknown)?;
        let csr = MachineRequest::parse(&request.csr_pem)?;
        let clock = self.0.floor.clock.clone();
        let candidate = store::Candidate {
            id: clock.id(),
            spki_sha256: csr.spki_sha256(),
            name: readable(&request.name, request.address),
            agent_version: readable(&request.agent_version, "?"),
            address: request.address.to_string(),
        };
        let (machine, room) = self
            .0
            .floor
            .db
            .write(move |tx| {
                let token = store::token_of_secret(tx, &store::secret_sha256(&secret))?
                    .ok_or(Error::TokenUnknown)?;
                if let Some(known) = store::machine_of_key(tx, &candidate.spki_sha256)? {
                    let again = (known.id, known.room);
                    return if known.is_revoked {
                        Err(Error::MachineRevoked(known.id))
                    } else {
                        Ok(again)
                    };
                }
                if token.expires_at <= clock.now() {
                    return Err(Error::TokenExpired);
                }
                if !store::use_token(tx, token.id)? {
                    return Err(Error::TokenUsedUp);
                }
                // Whoever made the token on the page has approved of its machines thereby.
                store::insert_machine(tx, &candidate, token.room_id, true, clock.now())?;
                let entry = audit::Entry::by_nobody("machine_enrolled", &candidate.id)
                    .detail(format!("token {}", token.id));
                audit::write(tx, &clock, &entry)?;
                Ok((candidate.id, token.room_id))
            })
            .await?;
        let certificate = csr.issue(site.ca(), machine)?;
        self.0.floor.events.tell(Event::MachineChanged { machine_id: machine, room_id: room });
        Ok(Issued {
            machine,
            box_id: self.0.floor.box_id,
            chain_pem: site::certificate_pem(&certificate)
                + &site::certificate_pem(&site.ca().certificate),
            root_pem: site::certificate_pem(&site.root),
        })
    }

    /// Whose key this is. Revoked machines are known too: their caller says what they are.
    pub async fn machine_of_key(
        &self,
        spki_sha256: [u8; 32],
    ) -> Result<Option<KnownMachine>, Error> {
        Ok(self.0.floor.db.read(move |c| store::machine_of_key(c, &spki_sha256)).await?)
    }

    /// Takes up a machine of this site that this box does not know: it was let in at another box,
    /// or here before the database was lost. It keeps its id, stands in the box's first room and
    /// waits for an admin's approval. `None` if `certificate` is no machine's; that it is of this
    /// site, TLS has made sure of.
    pub async fn take_up(
        &self,
        certificate: &CertificateDer<'_>,
        newcomer: Newcomer,
    ) -> Result<Option<KnownMachine>, Error> {
        let Some((id, spki_sha256)) = machine_named_in(certificate) else { return Ok(None) };
        let clock = self.0.floor.clock.clone();
        let candidate = store::Candidate {
            id,
            spki_sha256,
            name: readable(&newcomer.name, newcomer.address),
            agent_version: readable(&newcomer.agent_version, "?"),
            address: newcomer.address.to_string(),
        };
        let machine = self
            .0
            .floor
            .db
            .write(move |tx| {
                if store::machine(tx, id)?.is_some() {
                    // The id of a machine that has another key by now.
                    return Ok::<_, Error>(None);
                }
                let Some(room) = store::first_room(tx)? else { return Ok(None) };
                store::insert_machine(tx, &candidate, room, false, clock.now())?;
                audit::write(tx, &clock, &audit::Entry::by_nobody("machine_taken_up", &id))?;
                Ok(store::machine(tx, id)?)
            })
            .await?;
        if let Some(machine) = &machine {
            let event = Event::MachineChanged { machine_id: machine.id, room_id: machine.room };
            self.0.floor.events.tell(event);
        }
        Ok(machine)
    }

    /// Renames, moves, approves. A machine that moves leaves its seats in the old room.
    pub async fn change_machine(
        &self,
        by: TeacherId,
        id: MachineId,
        change: MachineChange,
    ) -> Result<KnownMachine, Error> {
        let name = change.name.map(|name| field::line("name", &name, LONGEST_NAME)).transpose()?;
        let clock = self.0.floor.clock.clone();
        let (old, new) = self
            .0
            .floor
            .db
            .write(move |tx| {
                let old = store::machine(tx, id)?.ok_or(Error::NoSuchMachine(id))?;
                if old.is_revoked {
                    return Err(Error::MachineRevoked(id));
                }
                let new = KnownMachine {
                    name: name.unwrap_or_else(|| old.name.clone()),
                    room: change.room.unwrap_or(old.room),
                    is_approved: change.is_approved.unwrap_or(old.is_approved),
                    ..old.clone()
                };
                if !store::update_machine(tx, &new)? {
                    return Err(Error::NoSuchRoom(new.room));
                }
                if old.room != new.room {
                    store::leave_seats(tx, id)?;
                }
                let what = match (old.is_approved, new.is_approved) {
                    (false, true) => "machine_approved",
                    (true, false) => "machine_approval_withdrawn",
                    _ => "machine_changed",
                };
                audit::write(tx, &clock, &audit::Entry::new(by, what, &id))?;
                Ok((old, new))
            })
            .await?;
        let events = &self.0.floor.events;
        events.tell(Event::MachineChanged { machine_id: id, room_id: new.room });
        if old.room != new.room {
            events.tell(Event::MachineChanged { machine_id: id, room_id: old.room });
        }
        Ok(new)
    }

    /// Takes a machine's trust away for good: its key never gets in again. It may enrol anew,
    /// with a new key. The caller closes its connection.
    pub async fn revoke_machine(&self, by: TeacherId, id: MachineId) -> Result<(), Error> {
        let clock = self.0.floor.clock.clone();
        let room = self
            .0
            .floor
            .db
            .write(move |tx| {
                let machine = store::machine(tx, id)?.ok_or(Error::NoSuchMachine(id))?;
                if !machine.is_revoked {
                    store::revoke_machine(tx, id, clock.now())?;
                    store::leave_seats(tx, id)?;
                    audit::write(tx, &clock, &audit::Entry::new(by, "machine_revoked", &id))?;
                }
                Ok::<_, Error>(machine.room)
            })
            .await?;
        self.0.floor.events.tell(Event::MachineChanged { machine_id: id, room_id: room });
        Ok(())
    }
}

/// What a machine says of itself, fit to be shown: it is kept out for its key, never for its name.
fn readable(said: &str, or_else: impl Display) -> String {
    let kept: String = said.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect();
    let kept = kept.trim();
    if kept.is_empty() { or_else.to_string() } else { kept.to_owned() }
}

/// The id and the key's hash in a certificate that a box of this site issued to a machine.
fn machine_named_in(certificate: &CertificateDer<'_>) -> Option<(MachineId, [u8; 32])> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let name = parsed.subject().iter_common_name().next()?.as_str().ok()?;
    Some((name.parse().ok()?, site::spki_sha256(certificate)?))
}

impl Error {
    /// What a machine is told that asked to enrol.
    pub fn refusal(&self) -> RefusalCode {
        match self {
            Self::TokenUnknown => RefusalCode::TokenUnknown,
            Self::TokenExpired => RefusalCode::TokenExpired,
            Self::TokenUsedUp => RefusalCode::TokenUsedUp,
            Self::MachineRevoked(_) => RefusalCode::MachineRevoked,
            Self::Invalid(_) | Self::Authority(_) => RefusalCode::BadRequest,
            Self::NoSuchMachine(_) => RefusalCode::MachineUnknown,
            Self::AlreadyClaimed
            | Self::AlreadyExported
            | Self::AnotherSite
            | Self::ClaimCodeWrong
            | Self::ClaimSlowDown { .. }
            | Self::ClaimCode(_)
            | Self::Db(_)
            | Self::Identity(_)
            | Self::NoRandomness(_)
            | Self::NoSuchRoom(_)
            | Self::NoSuchToken(_)
            | Self::NotClaimed
            | Self::Site(_)
            | Self::SiteFile(_)
            | Self::Stopping
            | Self::TrustDamaged
            | Self::Tls(_) => RefusalCode::TryLater,
        }
    }
}
