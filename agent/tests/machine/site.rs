//! A site: root, box CA, leaf. Made as the daemon makes them, with dates of one's choice.

use std::sync::Arc;

use alfarid_protocol::token::SiteToken;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, PublicKeyData, date_time_ymd,
};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use sha2::{Digest, Sha256};

pub(crate) const SECRET: [u8; 16] = *b"0123456789abcdef";

/// The years in which the certificates of a site are valid.
pub(crate) type Years = (i32, i32);

pub(crate) const NOWADAYS: Years = (1990, 2090);

pub(crate) struct Site {
    years: Years,
    root: CertifiedIssuer<'static, KeyPair>,
    ca: CertifiedIssuer<'static, KeyPair>,
}

impl Site {
    pub(crate) fn new(years: Years) -> Self {
        let root = CertifiedIssuer::self_signed(
            ca_params(years, "site root", 1),
            KeyPair::generate().unwrap(),
        )
        .unwrap();
        let ca = CertifiedIssuer::signed_by(
            ca_params(years, "box CA", 0),
            KeyPair::generate().unwrap(),
            &root,
        )
        .unwrap();
        Self { years, root, ca }
    }

    pub(crate) fn token(&self, addresses: &[String]) -> SiteToken {
        let spki = self.root.key().subject_public_key_info();
        SiteToken {
            root_spki_sha256: Sha256::digest(spki).into(),
            secret: SECRET,
            addresses: addresses.to_vec(),
        }
    }

    pub(crate) fn root_pem(&self) -> String {
        self.root.pem()
    }

    /// A certificate for whatever key the request is signed by, and the CA's.
    pub(crate) fn machine_chain(&self, csr_pem: &str) -> String {
        let mut request = CertificateSigningRequestParams::from_pem(csr_pem).unwrap();
        request.params = params(self.years, "machine");
        request.params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        request.signed_by(&self.ca).unwrap().pem() + &self.ca.pem()
    }

    /// TLS as the box's agent port has it: a certificate is asked for and may be missing.
    pub(crate) fn server_config(&self, usage: ExtendedKeyUsagePurpose) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let mut leaf = params(self.years, "box");
        leaf.extended_key_usages = vec![usage];
        let leaf = leaf.signed_by(&key, &self.ca).unwrap();
        let chain = vec![leaf.der().clone(), self.ca.der().clone(), self.root.der().clone()];

        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.root.der().clone()).unwrap();
        let clients =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .allow_unauthenticated()
                .build()
                .unwrap();
        let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_client_cert_verifier(clients)
            .with_single_cert(chain, key)
            .unwrap();
        Arc::new(config)
    }
}

/// Whether `key_pem` is the key of the first certificate in `chain_pem`.
pub(crate) fn is_key_of(key_pem: &str, chain_pem: &str) -> bool {
    let key = KeyPair::from_pem(key_pem).unwrap();
    let leaf = CertificateDer::from_pem_slice(chain_pem.as_bytes()).unwrap();
    alfarid_agent::trust::carries_key(&leaf, &key.subject_public_key_info())
}

fn ca_params(years: Years, name: &str, below: u8) -> CertificateParams {
    let mut params = params(years, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(below));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn params((from, to): Years, name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(to, 1, 2);
    params
}
