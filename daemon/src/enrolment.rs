//! Whom this box trusts and who trusts it: the site, its certificates, and how a machine gets in.
//!
//! ```text
//!   unclaimed ── claim code ──▶ claimed: site root made, CA for this box under it, first admin
//!       │                          ▲
//!       └── claim code, site file ─┘ second box: its own CA under the same root
//!
//!   admin makes a site token ──▶ machine shows its secret and a key ──▶ certificate, known key
//! ```
//!
//! Trust lies in files ([`site`]), people and machines in the database. A box is claimed when it
//! has both a site and an admin: when a power cut or a lost database leaves the one without the
//! other, claiming again adds what is missing and no machine notices.
//!
//! Invariants: nobody gets in before the claim code; no date decides about a machine; a token's
//! use and the machine it let in are one transaction; secrets are kept by hash.

mod addresses;
mod authority;
mod claim;
mod claim_code;
mod export;
mod machines;
mod renewal;
mod routes;
mod site;
mod site_file;
mod store;
mod tls;
mod tokens;

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use alfarid_protocol::id::{MachineId, RoomId, TokenId};
use thiserror::Error;

pub use self::{
    addresses::host_name,
    authority::AuthorityError,
    claim::Claim,
    machines::{EnrolRequest, Issued, KnownMachine, MachineChange, Newcomer},
    routes::routes,
    site::{Description, Site, SiteError, spki_sha256},
    site_file::{Passphrase, SiteFileError},
    tokens::{NewSiteToken, SiteTokenRow},
};
use self::{
    authority::Certified,
    claim_code::ClaimCode,
    renewal::First,
    tls::{Shown, SiteVerifier},
};
use crate::{
    db::DbError,
    field::Invalid,
    floor::Floor,
    health::{FaultCode, Severity},
    identity, logging,
};

#[derive(Debug, Error)]
pub enum Error {
    #[error("this box is claimed already")]
    AlreadyClaimed,
    #[error("the site has been exported from here, or this box joined it by a file: use that file")]
    AlreadyExported,
    #[error("this box belongs to another site already")]
    AnotherSite,
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    #[error("the claim code is wrong")]
    ClaimCodeWrong,
    #[error("too many wrong claim codes came from this address")]
    ClaimSlowDown { wait: Duration },
    #[error("cannot keep the claim code")]
    ClaimCode(#[source] io::Error),
    #[error("cannot read or write machines and tokens")]
    Db(#[from] DbError),
    #[error("cannot do this for people")]
    Identity(#[from] identity::Error),
    #[error(transparent)]
    Invalid(#[from] Invalid),
    #[error("machine {0} is revoked")]
    MachineRevoked(MachineId),
    #[error("the system gives no random bytes: {0}")]
    NoRandomness(getrandom::Error),
    #[error("there is no machine {0}")]
    NoSuchMachine(MachineId),
    #[error("there is no room {0}")]
    NoSuchRoom(RoomId),
    #[error("there is no site token {0}")]
    NoSuchToken(TokenId),
    #[error("this box is not claimed yet")]
    NotClaimed,
    #[error("cannot do this with the site's files")]
    Site(#[from] SiteError),
    #[error(transparent)]
    SiteFile(#[from] SiteFileError),
    #[error("the box is stopping")]
    Stopping,
    #[error("cannot set up TLS")]
    Tls(#[from] rustls::Error),
    #[error("the site's files on this box are damaged; put them back from a backup")]
    TrustDamaged,
    #[error("the site token has expired")]
    TokenExpired,
    #[error("the site token is not known here")]
    TokenUnknown,
    #[error("the site token is used up")]
    TokenUsedUp,
}

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    floor: Floor,
    identity: identity::Handle,
    /// `None` until the box belongs to a site.
    site: RwLock<Option<Arc<Site>>>,
    /// There are files of a site and they cannot be read: nothing may take their place.
    is_damaged: bool,
    is_claimed: AtomicBool,
    claim_code: ClaimCode,
    /// One claim or export at a time; those who wait have shown the right code or are admins.
    claiming: tokio::sync::Mutex<()>,
    /// The site file that was made a moment ago, should its download be torn.
    last_export: Mutex<Option<export::Export>>,
    shown: Arc<Shown>,
    /// The leaf that is shown, while the disk has not taken it.
    unsaved: Mutex<Option<Certified>>,
    verifier: Arc<SiteVerifier>,
    web_tls: Arc<rustls::ServerConfig>,
    agent_tls: Arc<rustls::ServerConfig>,
}

impl Handle {
    /// Loads this box's trust and makes what is missing of it. A damaged trust folder does not
    /// stop the box: it shows a temporary certificate and says so on the health page.
    pub async fn open(floor: Floor, identity: identity::Handle) -> Result<Self, Error> {
        let has_admin = identity.has_admin().await?;
        let state_dir = floor.state_dir().clone();
        let (site, is_damaged) = match Site::load(&state_dir) {
            Ok(site) => (site, false),
            Err(error) => {
                let detail = logging::chain(&error);
                floor.health.raise(FaultCode::TrustDamaged, Severity::Error, detail);
                (None, true)
            }
        };
        let is_claimed = has_admin && (site.is_some() || is_damaged);
        let claim_code = if is_claimed {
            ClaimCode::used(&state_dir)
        } else {
            ClaimCode::open(&state_dir).map_err(Error::ClaimCode)?
        };
        let First { chain, leaf, is_new } = renewal::first_leaf(&floor, site.as_ref())?;
        let shown = Arc::new(Shown::new(chain, &leaf)?);
        let verifier = Arc::new(SiteVerifier::new(site.as_ref().map(|site| site.root.clone())));
        let handle = Self(Arc::new(Inner {
            web_tls: tls::web(Arc::clone(&shown))?,
            agent_tls: tls::agents(Arc::clone(&shown), Arc::clone(&verifier))?,
            floor,
            identity,
            site: RwLock::new(site.map(Arc::new)),
            is_damaged,
            is_claimed: AtomicBool::new(is_claimed),
            claim_code,
            claiming: tokio::sync::Mutex::default(),
            last_export: Mutex::default(),
            shown,
            unsaved: Mutex::new(is_new.then_some(leaf)),
            verifier,
        }));
        if let Some(site) = handle.site() {
            // That the disk does not take it is said by whoever keeps it fit.
            let _ = handle.keep_leaf(&site);
        }
        Ok(handle)
    }

    /// Whether the box has a site and an admin.
    pub fn is_claimed(&self) -> bool {
        self.0.is_claimed.load(Ordering::Acquire)
    }

    /// The pages' TLS. The same for as long as the daemon runs: what it shows is swapped inside.
    pub fn web_tls(&self) -> Arc<rustls::ServerConfig> {
        Arc::clone(&self.0.web_tls)
    }

    /// The agent port's TLS. A peer with a certificate has one of this site; its key says which
    /// machine it is ([`Handle::machine_of_key`]).
    pub fn agent_tls(&self) -> Arc<rustls::ServerConfig> {
        Arc::clone(&self.0.agent_tls)
    }

    /// The site this box belongs to.
    pub fn site(&self) -> Option<Arc<Site>> {
        self.0.site.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn claimed_site(&self) -> Result<Arc<Site>, Error> {
        self.undamaged()?;
        self.site().filter(|_| self.is_claimed()).ok_or(Error::NotClaimed)
    }

    fn undamaged(&self) -> Result<(), Error> {
        if self.0.is_damaged { Err(Error::TrustDamaged) } else { Ok(()) }
    }
}

/// The pages' TLS of a box whose database cannot be opened: the certificate it showed last, so
/// that browsers which know the site still do, or a temporary one.
pub fn tls_without_database(
    config: &crate::config::Config,
    clock: &crate::clock::Clock,
) -> Result<Arc<rustls::ServerConfig>, Error> {
    let site = Site::load(&config.storage.state_dir).ok().flatten();
    let known = site.and_then(|site| site.leaf().map(|leaf| (site.chain_of(&leaf), leaf)));
    let (chain, leaf) = match known {
        Some(known) => known,
        None => renewal::temporary(&config.http.names, clock.now())?,
    };
    Ok(tls::web(Arc::new(Shown::new(chain, &leaf)?))?)
}
