//! Making certificates: the site root, a box's CA under it, and what that CA issues.
//!
//! ```text
//!   site root ──▶ box CA (name-constrained) ──┬─▶ the box's own leaf: pages and agent port
//!                                             └─▶ one leaf per machine
//! ```
//!
//! P-256 throughout: every browser and every old laptop checks it. Nothing here touches a disk, a
//! clock or a database.
//!
//! Dates: authorities and machines are valid from 1970 to 9999, since no decision of trust here
//! hangs on a calendar. The box's leaf alone has dates that mean something, because browsers
//! insist ([`BOX_LEAF_DAYS`]).

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use alfarid_protocol::{
    id::{BoxId, MachineId},
    time::Timestamp,
};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CidrSubnet,
    DistinguishedName, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, NameConstraints, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType, SerialNumber,
    date_time_ymd,
};
use rustls_pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use thiserror::Error;
use x509_parser::{certification_request::X509CertificationRequest, prelude::FromDer};

/// Browsers refuse a server certificate that is valid for longer (CA/Browser Forum, 398 days).
const BOX_LEAF_DAYS: u64 = 397;

/// A browser's clock may be behind the box's by this much.
const BOX_LEAF_STARTS_EARLIER: Duration = Duration::from_hours(48);

#[derive(Debug, Error)]
pub enum AuthorityError {
    #[error("cannot make {what}")]
    Make {
        what: &'static str,
        #[source]
        source: rcgen::Error,
    },
    #[error("the certificate request is malformed or its signature is wrong")]
    Request(#[source] rcgen::Error),
    #[error("the certificate request is not for a P-256 key")]
    NotP256,
    #[error("the system gives no random bytes: {0}")]
    NoRandomness(getrandom::Error),
}

/// A certificate and its key.
#[derive(Debug)]
pub(super) struct Certified {
    pub(super) key: KeyPair,
    pub(super) certificate: CertificateDer<'static>,
}

/// What the box may be asked for by: goes into its leaf.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) dns: Vec<String>,
    pub(super) addresses: Vec<IpAddr>,
}

/// A new site's root. `site_name` is for people to read.
pub(super) fn make_root(site_name: &str) -> Result<Certified, AuthorityError> {
    let what = "the site root";
    let mut params = authority(&format!("Alfarid: {site_name}"), 1)?;
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = new_key(what)?;
    let certificate = params.self_signed(&key).map_err(make(what))?;
    Ok(Certified { certificate: certificate.der().clone(), key })
}

/// A CA for one box under the site's root. It can vouch for names and addresses of local networks
/// and for `names`, and for nothing on the Internet: a stolen box cannot pass for a bank.
pub(super) fn make_box_ca(
    root: &Certified,
    box_id: BoxId,
    names: &[String],
) -> Result<Certified, AuthorityError> {
    let what = "the box's CA";
    let mut params = authority(&format!("Alfarid box {box_id}"), 0)?;
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: permitted_subtrees(names),
        excluded_subtrees: Vec::new(),
    });
    let key = new_key(what)?;
    let issuer = issuer(root).map_err(make(what))?;
    let certificate = params.signed_by(&key, &issuer).map_err(make(what))?;
    Ok(Certified { certificate: certificate.der().clone(), key })
}

/// The box's own certificate, for `names` as far as a CA made with `permitted` may vouch for them.
pub(super) fn make_box_leaf(
    ca: &Certified,
    box_id: BoxId,
    names: &Names,
    now: Timestamp,
) -> Result<Certified, AuthorityError> {
    let what = "the box's certificate";
    let mut params = leaf(&format!("Alfarid {box_id}"), ExtendedKeyUsagePurpose::ServerAuth)?;
    params.use_authority_key_identifier_extension = true;
    dated(&mut params, now);
    params.subject_alt_names = alternative_names(names).map_err(make(what))?;
    let key = new_key(what)?;
    let issuer = issuer(ca).map_err(make(what))?;
    let certificate = params.signed_by(&key, &issuer).map_err(make(what))?;
    Ok(Certified { certificate: certificate.der().clone(), key })
}

/// What an unclaimed box shows, so that the claim itself goes over HTTPS. Nobody can check it.
pub(super) fn make_temporary(names: &Names, now: Timestamp) -> Result<Certified, AuthorityError> {
    let what = "the temporary certificate";
    let mut params = leaf("Alfarid, not claimed yet", ExtendedKeyUsagePurpose::ServerAuth)?;
    dated(&mut params, now);
    params.subject_alt_names = alternative_names(names).map_err(make(what))?;
    let key = new_key(what)?;
    let certificate = params.self_signed(&key).map_err(make(what))?;
    Ok(Certified { certificate: certificate.der().clone(), key })
}

/// A machine's request, its signature checked: whoever sent it has the key.
#[derive(Debug)]
pub(super) struct MachineRequest(CertificateSigningRequestParams);

impl MachineRequest {
    pub(super) fn parse(csr_pem: &str) -> Result<Self, AuthorityError> {
        let request =
            CertificateSigningRequestParams::from_pem(csr_pem).map_err(AuthorityError::Request)?;
        if !is_for_p256(csr_pem) {
            return Err(AuthorityError::NotP256);
        }
        Ok(Self(request))
    }

    /// SHA-256 of the key's `SubjectPublicKeyInfo`: the machine's identity.
    pub(super) fn spki_sha256(&self) -> [u8; 32] {
        Sha256::digest(self.0.public_key.subject_public_key_info()).into()
    }

    /// Issues the certificate. Of the request only the key counts: who the machine is, and what
    /// it may do, is ours to say.
    pub(super) fn issue(
        &self,
        ca: &Certified,
        machine: MachineId,
    ) -> Result<CertificateDer<'static>, AuthorityError> {
        let what = "a machine's certificate";
        let mut params = leaf(&machine.to_string(), ExtendedKeyUsagePurpose::ClientAuth)?;
        params.use_authority_key_identifier_extension = true;
        let issuer = issuer(ca).map_err(make(what))?;
        let certificate = params.signed_by(&self.0.public_key, &issuer).map_err(make(what))?;
        Ok(certificate.der().clone())
    }
}

/// The signature's algorithm alone would let a key of another curve pass that signs by SHA-256.
fn is_for_p256(csr_pem: &str) -> bool {
    const UNCOMPRESSED_POINT: usize = 65;
    let Ok((_, pem)) = x509_parser::pem::parse_x509_pem(csr_pem.as_bytes()) else { return false };
    let Ok((_, csr)) = X509CertificationRequest::from_der(&pem.contents) else { return false };
    let spki = &csr.certification_request_info.subject_pki;
    let curve = spki.algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok());
    // RFC 5480 §2.1.1.1: id-ecPublicKey, secp256r1.
    spki.algorithm.algorithm.to_id_string() == "1.2.840.10045.2.1"
        && curve.is_some_and(|oid| oid.to_id_string() == "1.2.840.10045.3.1.7")
        && spki.subject_public_key.data.len() == UNCOMPRESSED_POINT
}

fn authority(common_name: &str, intermediates: u8) -> Result<CertificateParams, AuthorityError> {
    let mut params = without_dates(common_name)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(intermediates));
    Ok(params)
}

fn leaf(
    common_name: &str,
    purpose: ExtendedKeyUsagePurpose,
) -> Result<CertificateParams, AuthorityError> {
    let mut params = without_dates(common_name)?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![purpose];
    Ok(params)
}

/// RFC 5280 §4.1.2.5: 99991231235959Z says that a certificate has no expiry.
fn without_dates(common_name: &str) -> Result<CertificateParams, AuthorityError> {
    let mut serial = [0; 16];
    getrandom::fill(&mut serial).map_err(AuthorityError::NoRandomness)?;
    // RFC 5280 §4.1.2.2: positive.
    serial[0] &= 0x7f;
    let mut params = CertificateParams::default();
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = date_time_ymd(1970, 1, 1);
    params.not_after = date_time_ymd(9999, 12, 31) + Duration::from_secs(86_399);
    Ok(params)
}

fn dated(params: &mut CertificateParams, now: Timestamp) {
    let now = Duration::from_millis(u64::try_from(now.0).unwrap_or(0));
    let start = now.saturating_sub(BOX_LEAF_STARTS_EARLIER);
    params.not_before = date_time_ymd(1970, 1, 1) + Duration::from_secs(start.as_secs());
    params.not_after = params.not_before + Duration::from_secs(BOX_LEAF_DAYS * 86_400);
}

fn alternative_names(names: &Names) -> Result<Vec<SanType>, rcgen::Error> {
    let dns = names.dns.iter().map(|name| Ok(SanType::DnsName(name.as_str().try_into()?)));
    let addresses = names.addresses.iter().map(|address| Ok(SanType::IpAddress(*address)));
    dns.chain(addresses).collect()
}

/// Networks that a box's CA may vouch for: private, link-local and loopback ones.
const PRIVATE_V4: [(Ipv4Addr, u8); 6] = [
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
];
const PRIVATE_V6: [(Ipv6Addr, u8); 3] = [
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10),
    (Ipv6Addr::LOCALHOST, 128),
];

/// Domains that never exist on the Internet: RFC 6762, RFC 6761, RFC 8375, ICANN's `internal`,
/// and what home routers call their network.
const LOCAL_DOMAINS: [&str; 5] = ["local", "localhost", "home.arpa", "internal", "lan"];

fn permitted_subtrees(names: &[String]) -> Vec<GeneralSubtree> {
    let local = LOCAL_DOMAINS.iter().map(|domain| (*domain).to_owned());
    let dns = local.chain(names.iter().cloned()).map(GeneralSubtree::DnsName);
    let v4 = PRIVATE_V4.iter().map(|(net, bits)| CidrSubnet::from_v4_prefix(net.octets(), *bits));
    let v6 = PRIVATE_V6.iter().map(|(net, bits)| CidrSubnet::from_v6_prefix(net.octets(), *bits));
    dns.chain(v4.chain(v6).map(GeneralSubtree::IpAddress)).collect()
}

/// Whether a box's CA may vouch for this address.
pub(super) fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => PRIVATE_V4.iter().any(|(net, bits)| {
            let mask = u32::MAX << (32 - u32::from(*bits));
            v4.to_bits() & mask == net.to_bits()
        }),
        IpAddr::V6(v6) => PRIVATE_V6.iter().any(|(net, bits)| {
            let mask = u128::MAX << (128 - u32::from(*bits));
            v6.to_bits() & mask == net.to_bits()
        }),
    }
}

/// Whether a box's CA made for `names` may vouch for `name`.
pub(super) fn is_permitted_name(name: &str, names: &[String]) -> bool {
    let under = |domain: &str| {
        name == domain || name.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
    };
    LOCAL_DOMAINS.iter().any(|domain| under(domain)) || names.iter().any(|domain| under(domain))
}

fn new_key(what: &'static str) -> Result<KeyPair, AuthorityError> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(make(what))
}

fn issuer(authority: &Certified) -> Result<Issuer<'static, &KeyPair>, rcgen::Error> {
    Issuer::from_ca_cert_der(&authority.certificate, &authority.key)
}

fn make(what: &'static str) -> impl Fn(rcgen::Error) -> AuthorityError {
    move |source| AuthorityError::Make { what, source }
}

#[cfg(test)]
mod tests {
    use rustls::crypto::aws_lc_rs;
    use rustls_pki_types::{CertificateDer, UnixTime};
    use uuid::Uuid;
    use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);
    const BOX: BoxId = BoxId(Uuid::nil());

    fn verify(
        leaf: &CertificateDer<'_>,
        ca: &Certified,
        root: &Certified,
    ) -> Result<(), webpki::Error> {
        let now = UnixTime::since_unix_epoch(Duration::from_millis(NOW.0.unsigned_abs()));
        let anchors = [anchor_from_trusted_cert(&root.certificate)?];
        let intermediates = [ca.certificate.clone()];
        let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms.all;
        EndEntityCert::try_from(leaf)?
            .verify_for_usage(
                algorithms,
                &anchors,
                &intermediates,
                now,
                KeyUsage::server_auth(),
                None,
                None,
            )
            .map(drop)
    }

    /// Fails when a stolen box can pass for a site on the Internet.
    #[test]
    fn a_boxs_ca_vouches_for_local_names_and_addresses_only() {
        let root = make_root("School").unwrap();
        let ca = make_box_ca(&root, BOX, &["box.school.example".to_owned()]).unwrap();
        let leaf = |dns: &str, address: &str| {
            let names =
                Names { dns: vec![dns.to_owned()], addresses: vec![address.parse().unwrap()] };
            make_box_leaf(&ca, BOX, &names, NOW).unwrap().certificate
        };
        for (dns, address) in [
            ("box.local", "10.1.2.3"),
            ("a.b.lan", "192.168.0.1"),
            ("box.school.example", "fd00::1"),
            ("localhost", "::1"),
        ] {
            assert_eq!(verify(&leaf(dns, address), &ca, &root), Ok(()), "{dns} {address}");
        }
        for (dns, address) in [
            ("bank.example", "10.1.2.3"),
            ("school.example", "10.1.2.3"),
            ("notlocal", "10.1.2.3"),
            ("box.local", "8.8.8.8"),
            ("box.local", "2001:db8::1"),
        ] {
            let refused = verify(&leaf(dns, address), &ca, &root);
            assert_eq!(refused, Err(webpki::Error::NameConstraintViolation), "{dns} {address}");
        }
    }

    #[test]
    fn what_is_thought_permitted_is_what_the_ca_permits() {
        let names = ["box.school.example".to_owned()];
        assert!(is_permitted_name("x.box.school.example", &names));
        assert!(!is_permitted_name("xbox.school.example", &names));
        assert!(is_permitted_name("alfarid.local", &[]));
        assert!(!is_permitted_name("local.example", &[]));
        let is_in = |address: &str| is_private(address.parse().unwrap());
        assert!(is_in("172.31.255.255") && is_in("100.64.0.1") && is_in("fe80::1"));
        assert!(!is_in("172.32.0.0") && !is_in("100.128.0.1") && !is_in("2001:db8::1"));
    }

    #[test]
    fn a_machine_cannot_pass_for_a_box_nor_sign_for_one() {
        let root = make_root("School").unwrap();
        let ca = make_box_ca(&root, BOX, &[]).unwrap();
        let key = new_key("a test").unwrap();
        let csr = CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
        let request = MachineRequest::parse(&csr).unwrap();
        let certificate = request.issue(&ca, MachineId(Uuid::max())).unwrap();
        assert!(matches!(
            verify(&certificate, &ca, &root),
            Err(webpki::Error::RequiredEkuNotFoundContext(_))
        ));
        let machine = Certified { key, certificate };
        let leaf = make_box_leaf(&machine, BOX, &Names::default(), NOW).unwrap();
        assert!(verify(&leaf.certificate, &machine, &root).is_err());
    }
}
