//! The box's two TLS doors: pages and machines.
//!
//! Both show the same certificate, which is swapped under open ports when the box is claimed or
//! its addresses change ([`Shown`]). The agent port asks for a client certificate and lets in who
//! has none, since enrolment comes by the same way; who shows one must have it from a box of this
//! site ([`SiteVerifier`]). Whether that machine is known and still trusted is asked afterwards,
//! by its key.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, OtherError, ServerConfig,
    SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    server::{
        ClientHello, NoServerSessionStorage, ResolvesServerCert,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use super::authority::Certified;

/// The pages' door: TLS 1.2 for what old school laptops still run.
pub(super) fn web(shown: Arc<Shown>) -> Result<Arc<ServerConfig>, rustls::Error> {
    let versions = &[&rustls::version::TLS13, &rustls::version::TLS12];
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)?
        .with_no_client_auth()
        .with_cert_resolver(shown);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The machines' door. No session is resumed: a machine that lost its trust shows its certificate
/// again at every connection.
pub(super) fn agents(
    shown: Arc<Shown>,
    verifier: Arc<SiteVerifier>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(shown);
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// The certificate that the box shows at this moment.
#[derive(Debug)]
pub(super) struct Shown(RwLock<Arc<CertifiedKey>>);

impl Shown {
    pub(super) fn new(
        chain: Vec<CertificateDer<'static>>,
        leaf: &Certified,
    ) -> Result<Self, rustls::Error> {
        Ok(Self(RwLock::new(certified_key(chain, leaf)?)))
    }

    /// Connections from now on see `chain`; those that are open go on.
    pub(super) fn swap(
        &self,
        chain: Vec<CertificateDer<'static>>,
        leaf: &Certified,
    ) -> Result<(), rustls::Error> {
        let key = certified_key(chain, leaf)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = key;
        Ok(())
    }

    /// The leaf that is shown, in DER.
    pub(super) fn leaf(&self) -> Option<CertificateDer<'static>> {
        let key = self.0.read().unwrap_or_else(PoisonError::into_inner);
        key.cert.first().cloned()
    }
}

fn certified_key(
    chain: Vec<CertificateDer<'static>>,
    leaf: &Certified,
) -> Result<Arc<CertifiedKey>, rustls::Error> {
    let key = PrivateKeyDer::Pkcs8(leaf.key.serialize_der().into());
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map(Arc::new)
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// Believes machines whose certificate goes up to this site's root, by whichever of its boxes.
///
/// No calendar is asked: the chain is checked at a moment inside its own validity, never at the
/// box's "now". Before the claim there is no root, and no certificate is believed.
#[derive(Debug)]
pub(super) struct SiteVerifier {
    root: RwLock<Option<CertificateDer<'static>>>,
    provider: Arc<CryptoProvider>,
}

impl SiteVerifier {
    pub(super) fn new(root: Option<CertificateDer<'static>>) -> Self {
        Self { root: RwLock::new(root), provider: provider() }
    }

    pub(super) fn trust(&self, root: CertificateDer<'static>) {
        *self.root.write().unwrap_or_else(PoisonError::into_inner) = Some(root);
    }

    fn check(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
    ) -> Result<(), webpki::Error> {
        let root = self.root.read().unwrap_or_else(PoisonError::into_inner).clone();
        let root = root.ok_or(webpki::Error::UnknownIssuer)?;
        let anchor = anchor_from_trusted_cert(&root)?;
        let moment = moment_inside(leaf, intermediates).ok_or(webpki::Error::BadDer)?;
        EndEntityCert::try_from(leaf)?.verify_for_usage(
            self.provider.signature_verification_algorithms.all,
            &[anchor],
            intermediates,
            moment,
            KeyUsage::client_auth(),
            None,
            None,
        )?;
        Ok(())
    }
}

/// The latest start of validity in the chain: the first moment at which all of it is valid, if
/// there is one at all. A date before 1970 counts as 1970.
fn moment_inside(
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
) -> Option<UnixTime> {
    let mut latest = 0;
    for certificate in std::iter::once(leaf).chain(intermediates) {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        let start = parsed.validity().not_before.timestamp();
        latest = latest.max(u64::try_from(start).unwrap_or(0));
    }
    Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(latest)))
}

impl ClientCertVerifier for SiteVerifier {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // A machine has one certificate and needs no hint.
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.check(end_entity, intermediates).map(|()| ClientCertVerified::assertion()).map_err(
            |error| {
                rustls::Error::InvalidCertificate(match error {
                    webpki::Error::UnknownIssuer => CertificateError::UnknownIssuer,
                    webpki::Error::BadDer => CertificateError::BadEncoding,
                    other => CertificateError::Other(OtherError(Arc::new(other))),
                })
            },
        )
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
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
