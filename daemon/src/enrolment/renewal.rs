//! The box's own certificate, kept fit to be shown: for the addresses it has, at the time it is.
//!
//! A new one is shown first and written down then: a box whose disk is full shows its pages all the
//! same. What the disk did not take is written at a later look, and the health page says so until
//! then; a restart before it costs one more certificate.

use std::{
    sync::{MutexGuard, PoisonError},
    time::Duration,
};

use alfarid_protocol::time::Timestamp;
use rustls_pki_types::CertificateDer;
use tokio_util::sync::CancellationToken;
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer};

use super::{
    Error, Handle, addresses,
    authority::{self, Certified, Names},
    claim::off_thread,
    site::Site,
};
use crate::{
    floor::Floor,
    health::{FaultCode, Severity},
    logging::chain,
};

/// How soon a new address is in the certificate. Asking costs one system call.
const LOOK_EVERY: Duration = Duration::from_secs(20);

/// A leaf is made anew when less than this is left of it.
const LEFT_AT_LEAST_MS: i64 = 90 * 86_400_000;

type Chain = Vec<CertificateDer<'static>>;

/// What the box shows.
pub(super) struct First {
    pub chain: Chain,
    pub leaf: Certified,
    /// It is to be written down.
    pub is_new: bool,
}

/// What the box shows from its start on: its leaf, a fresh one if that does not fit any more, or
/// a temporary one if it has no site. Blocking.
pub(super) fn first_leaf(floor: &Floor, site: Option<&Site>) -> Result<First, Error> {
    let Some(site) = site else {
        let (chain, leaf) = temporary(&floor.config.http.names, floor.clock.now())?;
        return Ok(First { chain, leaf, is_new: false });
    };
    let ca_names = &site.description.ca_names;
    for name in addresses::own_names(&floor.config.http.names) {
        if !authority::is_permitted_name(&name, ca_names) {
            tracing::warn!(
                "no certificate for {name}: the box's CA was made before that name was set, and \
                 vouches for the names of that time only"
            );
        }
    }
    let names = wanted(floor, ca_names);
    let now = floor.clock.now();
    let kept = site.leaf().filter(|leaf| fits(&leaf.certificate, &names, now));
    let is_new = kept.is_none();
    let leaf = match kept {
        Some(leaf) => leaf,
        None => site.new_leaf(floor.box_id, &names, now)?,
    };
    Ok(First { chain: site.chain_of(&leaf), leaf, is_new })
}

impl Handle {
    /// Keeps the shown certificate fit until `stop`. Pages that are open go on: connections that
    /// stand keep what they have seen.
    pub async fn run(self, stop: CancellationToken) {
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut fails = None;
        while stop.run_until_cancelled(look.tick()).await.is_some() {
            let handle = self.clone();
            let failure = off_thread(move || handle.renew_if_unfit()).await.err();
            if fails.replace(failure.is_some()) != Some(failure.is_some()) {
                self.tell(failure.as_ref());
            }
        }
    }

    fn tell(&self, failure: Option<&Error>) {
        let health = &self.0.floor.health;
        match failure {
            Some(error) => {
                health.raise(FaultCode::CertificateNotRenewed, Severity::Warning, chain(error));
            }
            None => health.clear(FaultCode::CertificateNotRenewed),
        }
    }

    /// Blocking.
    fn renew_if_unfit(&self) -> Result<(), Error> {
        let Some(site) = self.site() else { return Ok(()) };
        let names = wanted(&self.0.floor, &site.description.ca_names);
        let now = self.0.floor.clock.now();
        if !self.0.shown.leaf().is_some_and(|leaf| fits(&leaf, &names, now)) {
            self.show_new_leaf(&site, &names)?;
        }
        self.keep_leaf(&site)
    }

    /// Blocking. That the disk does not take it is said at the next look.
    pub(super) fn show_new_leaf(&self, site: &Site, names: &Names) -> Result<(), Error> {
        let floor = &self.0.floor;
        let leaf = site.new_leaf(floor.box_id, names, floor.clock.now())?;
        self.0.shown.swap(site.chain_of(&leaf), &leaf)?;
        tracing::info!("a new certificate for {:?} {:?} is shown", names.dns, names.addresses);
        *self.unsaved() = Some(leaf);
        let _ = self.keep_leaf(site);
        Ok(())
    }

    /// Writes down the leaf that is shown, if it is not on disk yet. Blocking.
    pub(super) fn keep_leaf(&self, site: &Site) -> Result<(), Error> {
        let mut unsaved = self.unsaved();
        if let Some(leaf) = &*unsaved {
            site.keep_leaf(leaf)?;
            *unsaved = None;
        }
        Ok(())
    }

    fn unsaved(&self) -> MutexGuard<'_, Option<Certified>> {
        self.0.unsaved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A certificate of nobody, so that a page can be shown by HTTPS before there is a site.
pub(super) fn temporary(names: &[String], now: Timestamp) -> Result<(Chain, Certified), Error> {
    let names = addresses::for_leaf(names, &addresses::own_names(names), &addresses::present());
    let leaf = authority::make_temporary(&names, now)?;
    Ok((vec![leaf.certificate.clone()], leaf))
}

pub(super) fn wanted(floor: &Floor, ca_names: &[String]) -> Names {
    addresses::for_leaf(&floor.config.http.names, ca_names, &addresses::present())
}

/// Whether a leaf is good to be shown: for every name we want, and not too old or too young.
/// Names that are gone do no harm, and a new certificate means a new warning in every browser
/// that does not know the root.
fn fits(leaf: &CertificateDer<'_>, wanted: &Names, now: Timestamp) -> bool {
    let Ok((_, parsed)) = X509Certificate::from_der(leaf) else { return false };
    let validity = parsed.validity();
    let millis = |seconds: i64| seconds.saturating_mul(1_000);
    if now.0 < millis(validity.not_before.timestamp())
        || now.0 > millis(validity.not_after.timestamp()) - LEFT_AT_LEAST_MS
    {
        return false;
    }
    let Ok(Some(names)) = parsed.subject_alternative_name() else { return false };
    let names = &names.value.general_names;
    let has_dns =
        |name: &String| names.iter().any(|n| matches!(n, GeneralName::DNSName(d) if d == name));
    let has_address = |address: &std::net::IpAddr| {
        let octets = match address {
            std::net::IpAddr::V4(v4) => v4.octets().to_vec(),
            std::net::IpAddr::V6(v6) => v6.octets().to_vec(),
        };
        names.iter().any(|n| matches!(n, GeneralName::IPAddress(bytes) if **bytes == octets[..]))
    };
    wanted.dns.iter().all(has_dns) && wanted.addresses.iter().all(has_address)
}

#[cfg(test)]
mod tests {
    use alfarid_protocol::id::BoxId;

    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);
    const DAY: i64 = 86_400_000;

    fn leaf(names: &Names) -> CertificateDer<'static> {
        let root = authority::make_root("School").unwrap();
        let box_id = BoxId(uuid::Uuid::nil());
        let ca = authority::make_box_ca(&root, box_id, &[]).unwrap();
        authority::make_box_leaf(&ca, box_id, names, NOW).unwrap().certificate
    }

    #[test]
    fn a_leaf_is_made_anew_for_a_new_address_and_not_for_one_that_is_gone() {
        let ip = |last| std::net::IpAddr::from([10, 0, 0, last]);
        let names = |addresses: &[std::net::IpAddr]| Names {
            dns: vec!["box.local".to_owned()],
            addresses: addresses.to_vec(),
        };
        let leaf = leaf(&names(&[ip(1), ip(2)]));
        assert!(fits(&leaf, &names(&[ip(2)]), NOW));
        assert!(!fits(&leaf, &names(&[ip(2), ip(3)]), NOW));
    }

    #[test]
    fn a_leaf_is_made_anew_before_it_ends_and_when_the_clock_went_back() {
        let leaf = leaf(&Names::default());
        let at = |days: i64| NOW.plus_millis(days * DAY);
        // Without names there is no extension to look into, so give it what it has.
        let named = self::leaf(&Names { dns: vec!["box.local".to_owned()], addresses: vec![] });
        assert!(fits(&named, &Names::default(), at(300)));
        assert!(!fits(&named, &Names::default(), at(310)));
        assert!(!fits(&named, &Names::default(), at(-10)));
        assert!(!fits(&leaf, &Names::default(), NOW));
    }
}
