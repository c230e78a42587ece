//! Claiming the box: the one moment at which somebody gets in without a password.

use std::{
    net::IpAddr,
    path::PathBuf,
    sync::{Arc, PoisonError, atomic::Ordering},
};

use alfarid_protocol::time::Timestamp;

use super::{
    Error, Handle, addresses, authority,
    claim_code::Verdict,
    renewal,
    site::{Description, Site, SiteError},
    site_file::{Passphrase, SiteFile},
};
use crate::{
    field,
    identity::{LoggedIn, NewTeacher},
};

/// Who claims, and from where.
#[derive(Debug)]
pub struct Claim {
    pub code: String,
    pub from: IpAddr,
    pub admin: NewTeacher,
    pub browser_time: Timestamp,
}

impl Handle {
    /// Makes this box the first of a new site. On a box that has its site still but lost its
    /// people, that site stays and `site_name` is not looked at.
    pub async fn claim(&self, claim: Claim, site_name: &str) -> Result<LoggedIn, Error> {
        const LONGEST_NAME: usize = 100;
        let site_name = field::line("site_name", site_name, LONGEST_NAME)?;
        self.check_code(&claim)?;
        let _one_at_a_time = self.0.claiming.lock().await;
        self.still_unclaimed()?;
        self.0.identity.take_time(claim.browser_time);
        if self.site().is_none() {
            let floor = self.0.floor.clone();
            let description = Description {
                site_id: floor.clock.id(),
                site_name,
                ca_names: addresses::own_names(&floor.config.http.names),
            };
            self.found(move |state_dir| {
                let root = authority::make_root(&description.site_name)?;
                Site::found(&state_dir, floor.box_id, &description, &root, true)
            })
            .await?;
        }
        self.let_in(claim.admin).await
    }

    /// Makes this box one more of the site in `file`: its own CA under the same root. The root's
    /// key is used this once and is never written here.
    pub async fn join(
        &self,
        claim: Claim,
        file: Vec<u8>,
        passphrase: Passphrase,
    ) -> Result<LoggedIn, Error> {
        self.check_code(&claim)?;
        let _one_at_a_time = self.0.claiming.lock().await;
        self.still_unclaimed()?;
        let opened = off_thread(move || {
            let file = SiteFile::open(&file, &passphrase)?;
            let root = file.root()?;
            Ok::<_, Error>((file, root))
        });
        let (file, root) = opened.await?;
        self.0.identity.take_time(claim.browser_time);
        match self.site() {
            Some(site) if site.root != root.certificate => return Err(Error::AnotherSite),
            Some(_) => {}
            None => {
                let floor = self.0.floor.clone();
                let description = Description {
                    site_id: file.site_id,
                    site_name: file.site_name.clone(),
                    ca_names: addresses::own_names(&floor.config.http.names),
                };
                self.found(move |state_dir| {
                    Site::found(&state_dir, floor.box_id, &description, &root, false)
                })
                .await?;
            }
        }
        self.let_in(claim.admin).await
    }

    fn check_code(&self, claim: &Claim) -> Result<(), Error> {
        self.still_unclaimed()?;
        let now = self.0.floor.clock.monotonic();
        match self.0.claim_code.check(&claim.code, claim.from, now) {
            Verdict::Right => Ok(()),
            Verdict::Wrong => Err(Error::ClaimCodeWrong),
            Verdict::Wait(wait) => Err(Error::ClaimSlowDown { wait }),
        }
    }

    fn still_unclaimed(&self) -> Result<(), Error> {
        if self.is_claimed() { Err(Error::AlreadyClaimed) } else { self.undamaged() }
    }

    /// Makes a site by `make`, off the async threads, and shows and trusts it from now on.
    async fn found(
        &self,
        make: impl FnOnce(PathBuf) -> Result<Site, SiteError> + Send + 'static,
    ) -> Result<(), Error> {
        let handle = self.clone();
        let site = off_thread(move || {
            let floor = &handle.0.floor;
            let site = make(floor.state_dir().clone())?;
            let names = renewal::wanted(floor, &site.description.ca_names);
            handle.show_new_leaf(&site, &names)?;
            Ok(site)
        })
        .await?;
        self.0.verifier.trust(site.root.clone());
        *self.0.site.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(site));
        Ok(())
    }

    async fn let_in(&self, admin: NewTeacher) -> Result<LoggedIn, Error> {
        let logged_in = self.0.identity.first_admin(admin).await?;
        self.0.is_claimed.store(true, Ordering::Release);
        self.0.claim_code.use_up().map_err(Error::ClaimCode)?;
        tracing::info!("this box is claimed");
        Ok(logged_in)
    }
}

/// Runs what takes long or waits for the disk. A task of ours is cut short only with the process.
pub(super) async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Stopping)?
}
