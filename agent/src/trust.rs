//! Which box this machine believes: the one whose certificates go up to the pinned site root.
//!
//! ```text
//!   leaf of the box ──▶ box CA ──▶ site root ◀── SHA-256 of its key, from the token or root.pem
//! ```
//!
//! The pin alone decides. Names are not looked at, for a box has as many as it has addresses, and
//! no name is sent. Dates are not looked at either: clocks in schools are wrong for months, so the
//! chain is checked at a moment inside its own validity, never at the machine's "now". What is
//! checked: every signature, CA flags, path lengths and name constraints (by `rustls-webpki`), and
//! that the leaf was issued for a server.

use std::sync::Arc;

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime},
};
use sha2::{Digest, Sha256};
use thiserror::Error;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

/// SHA-256 of a root's `SubjectPublicKeyInfo` in DER: what a token carries.
pub type SpkiHash = [u8; 32];

#[derive(Debug, Error)]
pub enum TrustError {
    #[error("the pinned site root is not in the chain")]
    AnotherSite,
    #[error("certificate {0} of the chain cannot be read")]
    Unreadable(usize),
    #[error("the chain does not hold together")]
    Chain(#[source] webpki::Error),
    #[error("the first certificate of the chain was not issued for {0:?}")]
    Purpose(Purpose),
    #[error("the certificate was issued for another key than this machine's")]
    AnotherKey,
    #[error("set up TLS")]
    Tls(#[source] rustls::Error),
}

/// What a leaf has to be issued for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Server,
    Machine,
}

/// Checks `chain` (leaf first) up to the certificate whose key hashes to `pin`. The root may
/// stand anywhere in the chain, or be given as `root` when the other side does not send it.
pub fn check_chain(
    chain: &[CertificateDer<'_>],
    root: Option<&CertificateDer<'_>>,
    pin: &SpkiHash,
    purpose: Purpose,
) -> Result<(), TrustError> {
    let (leaf, others) = chain.split_first().ok_or(TrustError::Unreadable(0))?;
    let root = root
        .into_iter()
        .chain(others)
        .find(|certificate| spki_sha256(certificate).as_ref() == Some(pin))
        .ok_or(TrustError::AnotherSite)?;
    let between: Vec<CertificateDer<'_>> =
        others.iter().filter(|certificate| *certificate != root).cloned().collect();

    let issued_for = issued_for(leaf)?;
    if !issued_for.contains(&purpose) {
        return Err(TrustError::Purpose(purpose));
    }
    let usage = match purpose {
        Purpose::Server => KeyUsage::server_auth(),
        Purpose::Machine => KeyUsage::client_auth(),
    };
    let anchor = anchor_from_trusted_cert(root).map_err(TrustError::Chain)?;
    EndEntityCert::try_from(leaf)
        .and_then(|leaf| {
            let time = moment_inside(chain).ok_or(webpki::Error::BadDer)?;
            let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
            leaf.verify_for_usage(algorithms.all, &[anchor], &between, time, usage, None, None)?;
            Ok(())
        })
        .map_err(TrustError::Chain)
}

/// Whether `certificate` carries the public key whose `SubjectPublicKeyInfo` is `spki`.
pub fn carries_key(certificate: &CertificateDer<'_>, spki: &[u8]) -> bool {
    spki_der(certificate).is_some_and(|der| der == spki)
}

pub fn spki_sha256(certificate: &CertificateDer<'_>) -> Option<SpkiHash> {
    Some(Sha256::digest(spki_der(certificate)?).into())
}

fn spki_der<'a>(certificate: &'a CertificateDer<'_>) -> Option<&'a [u8]> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some(parsed.tbs_certificate.subject_pki.raw)
}

fn issued_for(leaf: &CertificateDer<'_>) -> Result<Vec<Purpose>, TrustError> {
    let (_, parsed) = X509Certificate::from_der(leaf).map_err(|_| TrustError::Unreadable(0))?;
    let usage = parsed.extended_key_usage().map_err(|_| TrustError::Unreadable(0))?;
    let mut purposes = Vec::new();
    if usage.as_ref().is_some_and(|usage| usage.value.server_auth) {
        purposes.push(Purpose::Server);
    }
    if usage.as_ref().is_some_and(|usage| usage.value.client_auth) {
        purposes.push(Purpose::Machine);
    }
    Ok(purposes)
}

/// The latest start of validity in the chain: the first moment at which all of it is valid, if
/// there is one at all. A date before 1970 counts as 1970.
fn moment_inside(chain: &[CertificateDer<'_>]) -> Option<UnixTime> {
    let mut latest = 0;
    for certificate in chain {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        let start = parsed.validity().not_before.timestamp();
        latest = latest.max(u64::try_from(start).unwrap_or(0));
    }
    Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(latest)))
}

/// TLS 1.3 towards a box, for a machine that has no certificate yet.
pub fn enrolment_config(pin: SpkiHash) -> Result<Arc<ClientConfig>, TrustError> {
    let config = builder(Pin::by_hash(pin))?.with_no_client_auth();
    Ok(Arc::new(tuned(config)))
}

/// Mutual TLS 1.3 towards a box of the site whose root is `root`.
pub fn machine_config(
    root: CertificateDer<'static>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ClientConfig>, TrustError> {
    let pin = Pin::by_root(root).ok_or(TrustError::Unreadable(0))?;
    let config = builder(pin)?.with_client_auth_cert(chain, key).map_err(TrustError::Tls)?;
    Ok(Arc::new(tuned(config)))
}

/// Why a handshake failed, if it was the pin that refused.
pub fn verdict(error: &std::io::Error) -> Option<&TrustError> {
    let tls = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    match tls {
        rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(verdict))) => {
            verdict.downcast_ref()
        }
        _ => None,
    }
}

type Builder = rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>;

fn builder(pin: Pin) -> Result<Builder, TrustError> {
    let provider = Arc::clone(&pin.provider);
    Ok(ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(TrustError::Tls)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(pin)))
}

fn tuned(mut config: ClientConfig) -> ClientConfig {
    config.enable_sni = false;
    // A box that restarted knows no old session, and one full handshake an hour costs nothing.
    config.resumption = Resumption::disabled();
    config
}

/// The verifier that rustls asks.
#[derive(Debug)]
struct Pin {
    hash: SpkiHash,
    root: Option<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl Pin {
    fn by_hash(hash: SpkiHash) -> Self {
        Self { hash, root: None, provider: Arc::new(aws_lc_rs::default_provider()) }
    }

    fn by_root(root: CertificateDer<'static>) -> Option<Self> {
        let hash = spki_sha256(&root)?;
        Some(Self { root: Some(root), ..Self::by_hash(hash) })
    }
}

impl ServerCertVerifier for Pin {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let mut chain = vec![end_entity.clone()];
        chain.extend_from_slice(intermediates);
        check_chain(&chain, self.root.as_ref(), &self.hash, Purpose::Server)
            .map(|()| ServerCertVerified::assertion())
            .map_err(|verdict| {
                let verdict = OtherError(Arc::new(verdict));
                rustls::Error::InvalidCertificate(CertificateError::Other(verdict))
            })
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2 is never offered".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
