//! Giving the site root away, once.
//!
//! The root's key is needed for one thing only: to make another box of the site. So it leaves
//! this box with the file that is made for that, and a box that is stolen afterwards cannot make
//! any. A download can be torn, though: for [`TAKEN_WITHIN`] the very same file is handed out
//! again to whoever knows its passphrase. It is kept in memory only.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use alfarid_protocol::id::TeacherId;

use super::{
    Error, Handle,
    claim::off_thread,
    site_file::{Passphrase, SiteFile},
};
use crate::identity::audit;

/// How long a torn download can be begun again.
const TAKEN_WITHIN: Duration = Duration::from_mins(10);

#[derive(Clone, Debug)]
pub(super) struct Export {
    file: Arc<[u8]>,
    made: Duration,
}

impl Handle {
    /// The site root in a sealed file; from then on it is nowhere else.
    pub async fn export_site(
        &self,
        by: TeacherId,
        passphrase: Passphrase,
    ) -> Result<Arc<[u8]>, Error> {
        let site = self.claimed_site()?;
        let _one_at_a_time = self.0.claiming.lock().await;
        if let Some(export) = self.last_export() {
            return off_thread(move || {
                SiteFile::open(&export.file, &passphrase).map_err(|_| Error::AlreadyExported)?;
                Ok(export.file)
            })
            .await;
        }
        let sealing = Arc::clone(&site);
        let file: Arc<[u8]> = off_thread(move || {
            let root = sealing.root_with_key()?.ok_or(Error::AlreadyExported)?;
            let description = &sealing.description;
            let site = SiteFile::new(description.site_id, &description.site_name, &root);
            let sealed = site.seal(&passphrase)?;
            // The key is gone after this: better to have seen that the file opens.
            SiteFile::open(&sealed, &passphrase)?.root()?;
            Ok(sealed.into())
        })
        .await?;
        let clock = self.0.floor.clock.clone();
        let (now, site_id) = (clock.monotonic(), site.description.site_id);
        let entry = audit::Entry::new(by, "site_exported", &site_id);
        self.0.floor.db.write(move |tx| audit::write(tx, &clock, &entry)).await?;
        let export = Export { file: Arc::clone(&file), made: now };
        *self.0.last_export.lock().unwrap_or_else(PoisonError::into_inner) = Some(export);
        off_thread(move || Ok(site.forget_root_key()?)).await?;
        Ok(file)
    }

    fn last_export(&self) -> Option<Export> {
        let now = self.0.floor.clock.monotonic();
        let mut last = self.0.last_export.lock().unwrap_or_else(PoisonError::into_inner);
        last.take_if(|export| now.saturating_sub(export.made) >= TAKEN_WITHIN);
        last.clone()
    }
}
