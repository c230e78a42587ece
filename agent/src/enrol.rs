//! How a machine that knows nothing yet comes to trust one site, once.
//!
//! ```text
//!   token ─▶ reach a box ─▶ its root has the token's hash? ─▶ key, CSR, secret ─▶ certificate
//!                                     │ no                                            │
//!                                     ▼                                               ▼
//!                          "belongs to another site"            does it go up to the same root?
//!                                                                                     │ yes
//!                                                                     everything written at once
//! ```
//!
//! The secret is said only to a box that has proved to be of the token's site. Nothing is written
//! before everything has been checked; whatever fails, the machine is as it was before.

use std::{path::PathBuf, time::Duration};

use alfarid_protocol::{
    control::{FromBox, FromMachine, RefusalCode},
    id::{BoxId, MachineId},
    token::SiteToken,
    version,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData,
};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use thiserror::Error;
use tokio::time::timeout;
use zeroize::{Zeroize, Zeroizing};

use crate::{
    AGENT_VERSION,
    channel::{Channel, ChannelError, Received, Secured, secure},
    host_name,
    identity::{Credentials, EnrolledAt, IdentityError, StateDir},
    trust::{self, Purpose, SpkiHash, TrustError},
};

/// How long a box gets to issue a certificate. An approval by hand is not waited for here.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// Why a machine was not enrolled. Each message says what to do.
#[derive(Debug, Error)]
pub enum EnrolError {
    #[error("this machine is enrolled already; add --again to enrol it anew")]
    AlreadyEnrolled,
    #[error("the token names no address of a box; give one by --box HOST:PORT")]
    NoAddress,
    #[error("no box answers at {addresses}; check that it is on and give its address by --box")]
    Unreachable { addresses: String, source: ChannelError },
    #[error(
        "the box at {0} belongs to another site than the token; take a token from that box's page, or give the right box by --box"
    )]
    AnotherSite(String),
    #[error("what answers does not talk like a box; if it is one, update it and this agent")]
    Talk { source: ChannelError },
    #[error("{}", advice(*code, detail))]
    Refused { code: RefusalCode, detail: String },
    #[error("the box at {0} did not answer in time; try again")]
    NoAnswer(String),
    #[error("the box at {0} answered something else than a certificate; update it and this agent")]
    NotACertificate(String),
    #[error("the certificate from the box cannot be used; make a new token on its page")]
    BadCertificate(#[source] TrustError),
    #[error("make a key and a certificate request")]
    Key(#[source] rcgen::Error),
    #[error("set up TLS")]
    Tls(#[source] TrustError),
    #[error("keep the certificate; nothing was changed")]
    Save(#[source] IdentityError),
}

fn advice(code: RefusalCode, detail: &str) -> String {
    let advice = match code {
        RefusalCode::AgentTooOld => "this agent is too old for the box; update alfarid-agent",
        RefusalCode::BoxTooOld => "the box is too old for this agent; update the box",
        RefusalCode::TokenUnknown => "the box does not know this token; make a new one on its page",
        RefusalCode::TokenExpired => "the token has expired; make a new one on the box's page",
        RefusalCode::TokenUsedUp => "the token is used up; make a new one on the box's page",
        RefusalCode::TryLater => "the box cannot enrol machines at the moment; try again later",
        RefusalCode::BadMessage
        | RefusalCode::BadRequest
        | RefusalCode::MachineUnknown
        | RefusalCode::MachineRevoked
        | RefusalCode::Replaced => "the box refused to enrol this machine",
    };
    if detail.is_empty() { advice.to_owned() } else { format!("{advice} ({detail})") }
}

/// What an enrolment needs to know beside the token.
#[derive(Clone, Debug)]
pub struct Enrolment {
    pub state: PathBuf,
    /// Takes the place of the token's addresses.
    pub box_address: Option<String>,
    pub again: bool,
}

impl Enrolment {
    /// Enrols this machine. The token's secret is wiped from memory, whatever comes of it.
    pub async fn run(&self, mut token: SiteToken) -> Result<EnrolledAt, EnrolError> {
        let result = Box::pin(self.attempt(&token)).await;
        token.secret.zeroize();
        result
    }

    async fn attempt(&self, token: &SiteToken) -> Result<EnrolledAt, EnrolError> {
        let state = StateDir::new(&self.state);
        if state.is_enrolled() && !self.again {
            return Err(EnrolError::AlreadyEnrolled);
        }
        let addresses = match &self.box_address {
            Some(address) => vec![address.clone()],
            None => token.addresses.clone(),
        };
        let secured = reach(&addresses, token.root_spki_sha256).await?;
        let address = secured.address.clone();

        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(EnrolError::Key)?;
        let request = FromMachine::Enrol {
            protocol: version::CURRENT,
            agent_version: AGENT_VERSION.to_owned(),
            name: host_name(),
            secret: URL_SAFE_NO_PAD.encode(token.secret),
            csr_pem: signing_request(&key).map_err(EnrolError::Key)?,
        };
        let answer = ask(secured, request).await;
        let issued = answer?.checked(&address, &key, &token.root_spki_sha256)?;

        let enrolled_at = EnrolledAt {
            box_id: issued.box_id,
            machine: issued.machine,
            addresses: with_first(address, addresses),
        };
        state
            .save(&Credentials {
                key_pem: Zeroizing::new(key.serialize_pem()),
                chain_pem: issued.chain_pem,
                root_pem: issued.root_pem,
                enrolled_at: enrolled_at.clone(),
            })
            .map_err(EnrolError::Save)?;
        Ok(enrolled_at)
    }
}

/// The first of `addresses` where a box of the right site answers. The most telling failure is
/// returned: a box of another site says more than a silent address.
async fn reach(addresses: &[String], pin: SpkiHash) -> Result<Secured, EnrolError> {
    let tls = trust::enrolment_config(pin).map_err(EnrolError::Tls)?;
    let mut failure: Option<ChannelError> = None;
    for address in addresses {
        match secure(address, tls.clone()).await {
            Ok(secured) => return Ok(secured),
            Err(error) => {
                let told = failure.as_ref().is_some_and(ChannelError::somebody_answered);
                if !told {
                    failure = Some(error);
                }
            }
        }
    }
    Err(match failure {
        None => EnrolError::NoAddress,
        Some(ChannelError::AnotherSite(address)) => EnrolError::AnotherSite(address),
        Some(source) if source.somebody_answered() => EnrolError::Talk { source },
        Some(source) => EnrolError::Unreachable { addresses: addresses.join(", "), source },
    })
}

fn signing_request(key: &KeyPair) -> Result<String, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = DistinguishedName::new();
    // The box writes the name that counts; a request has to have one.
    params.distinguished_name.push(DnType::CommonName, "alfarid machine");
    params.serialize_request(key)?.pem()
}

struct Issued {
    machine: MachineId,
    box_id: BoxId,
    chain_pem: String,
    root_pem: String,
}

async fn ask(secured: Secured, mut request: FromMachine) -> Result<Answer, EnrolError> {
    let address = secured.address.clone();
    let talk = |source| EnrolError::Talk { source };
    let exchange = async {
        let mut channel = Channel::open(secured).await.map_err(talk)?;
        channel.send(&request).await.map_err(talk)?;
        let received = channel.receive().await.map_err(talk)?;
        channel.close().await;
        Ok(Answer(received))
    };
    let answer = timeout(ANSWER_WITHIN, exchange).await;
    if let FromMachine::Enrol { secret, .. } = &mut request {
        secret.zeroize();
    }
    answer.map_err(|_| EnrolError::NoAnswer(address))?
}

/// What the box said to an `Enrol`, not yet believed.
struct Answer(Received);

impl Answer {
    /// Believes the answer if its certificate is for `key` and goes up to the pinned root.
    fn checked(self, address: &str, key: &KeyPair, pin: &SpkiHash) -> Result<Issued, EnrolError> {
        let (machine, box_id, chain_pem, root_pem) = match self.0 {
            Received::Message(FromBox::Enrolled { machine, box_id, chain_pem, root_pem }) => {
                (machine, box_id, chain_pem, root_pem)
            }
            Received::Message(FromBox::Refused { code, detail }) => {
                return Err(EnrolError::Refused { code, detail });
            }
            _ => return Err(EnrolError::NotACertificate(address.to_owned())),
        };
        let unreadable = |_| EnrolError::BadCertificate(TrustError::Unreadable(0));
        let chain = CertificateDer::pem_slice_iter(chain_pem.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(unreadable)?;
        let root = CertificateDer::from_pem_slice(root_pem.as_bytes()).map_err(unreadable)?;
        if trust::spki_sha256(&root).as_ref() != Some(pin) {
            return Err(EnrolError::BadCertificate(TrustError::AnotherSite));
        }
        trust::check_chain(&chain, Some(&root), pin, Purpose::Machine)
            .map_err(EnrolError::BadCertificate)?;
        if !trust::carries_key(&chain[0], &key.subject_public_key_info()) {
            return Err(EnrolError::BadCertificate(TrustError::AnotherKey));
        }
        Ok(Issued { machine, box_id, chain_pem, root_pem })
    }
}

fn with_first(first: String, mut addresses: Vec<String>) -> Vec<String> {
    addresses.retain(|address| *address != first);
    addresses.insert(0, first);
    addresses
}
