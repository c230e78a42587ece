//! A student machine as far as trust goes: a key, what it was given for it, and real TLS
//! handshakes with a box, each side with a calendar of its own.

use std::{io, sync::Arc, time::Duration};

use alfarid_daemon::enrolment::{self, EnrolRequest, Issued, spki_sha256};
use alfarid_protocol::token::SiteToken;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, ServerConfig, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    time_provider::TimeProvider,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject};
use sha2::{Digest, Sha256};
use tokio_rustls::{TlsAcceptor, TlsConnector};

pub(crate) struct Machine {
    key: KeyPair,
    chain: Vec<CertificateDer<'static>>,
    /// The hash of the site root's key, from the token.
    pin: [u8; 32],
}

impl Machine {
    pub(crate) fn new(token: &SiteToken) -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        Self { key, chain: Vec::new(), pin: token.root_spki_sha256 }
    }

    /// Asks `site` in by `token` and keeps what it was given.
    pub(crate) async fn enrol(
        &mut self,
        site: &enrolment::Handle,
        token: &SiteToken,
    ) -> Result<Issued, enrolment::Error> {
        let issued = site.enrol(self.request(token)).await?;
        let chain = CertificateDer::pem_slice_iter(issued.chain_pem.as_bytes());
        self.chain = chain.collect::<Result<_, _>>().unwrap();
        Ok(issued)
    }

    pub(crate) fn request(&self, token: &SiteToken) -> EnrolRequest {
        request(token, &self.key)
    }

    /// What it shows to boxes.
    pub(crate) fn certificate(&self) -> &CertificateDer<'static> {
        &self.chain[0]
    }

    pub(crate) fn spki_sha256(&self) -> [u8; 32] {
        Sha256::digest(self.key.subject_public_key_info()).into()
    }

    /// The same machine, misled to believe another site.
    pub(crate) fn believing(&self, token: &SiteToken) -> Self {
        let key = KeyPair::from_pem(&self.key.serialize_pem()).unwrap();
        Self { key, chain: self.chain.clone(), pin: token.root_spki_sha256 }
    }

    /// Connects to a box by real TLS, the machine's calendar at `here` and the box's at `there`.
    /// Returns the hash of the key that the box saw, or why one of them refused the other.
    pub(crate) async fn connect(
        &self,
        site: &enrolment::Handle,
        here: UnixTime,
        there: UnixTime,
    ) -> io::Result<Option<[u8; 32]>> {
        let mut server = ServerConfig::clone(&site.agent_tls());
        server.time_provider = Arc::new(Calendar(there));
        let (near, far) = tokio::io::duplex(64 * 1024);
        let accept = TlsAcceptor::from(Arc::new(server)).accept(far);
        let connector = TlsConnector::from(Arc::new(self.client(here)));
        let name = ServerName::try_from("box.invalid").unwrap();
        let (accepted, connected) = tokio::join!(accept, connector.connect(name, near));
        connected?;
        let accepted = accepted?;
        let chain = accepted.get_ref().1.peer_certificates().unwrap_or_default();
        Ok(chain.first().and_then(spki_sha256))
    }

    fn client(&self, now: UnixTime) -> ClientConfig {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let pin = Arc::new(Pin { root: self.pin, provider: Arc::clone(&provider) });
        let builder = ClientConfig::builder_with_details(provider, Arc::new(Calendar(now)))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(pin);
        if self.chain.is_empty() {
            return builder.with_no_client_auth();
        }
        let key = PrivateKeyDer::Pkcs8(self.key.serialize_der().into());
        builder.with_client_auth_cert(self.chain.clone(), key).unwrap()
    }
}

/// What the pages' port shows to a browser that trusts nobody and clicks the warning away.
pub(crate) async fn shown(
    site: &enrolment::Handle,
    version: &'static rustls::SupportedProtocolVersion,
) -> Vec<CertificateDer<'static>> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let client = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[version])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        .with_no_client_auth();
    let (near, far) = tokio::io::duplex(64 * 1024);
    let accept = TlsAcceptor::from(site.web_tls()).accept(far);
    let name = ServerName::try_from("box.invalid").unwrap();
    let connector = TlsConnector::from(Arc::new(client));
    let (accepted, connected) = tokio::join!(accept, connector.connect(name, near));
    accepted.unwrap();
    connected.unwrap().get_ref().1.peer_certificates().unwrap().to_vec()
}

pub(crate) fn request(token: &SiteToken, key: &KeyPair) -> EnrolRequest {
    EnrolRequest {
        secret: URL_SAFE_NO_PAD.encode(token.secret),
        csr_pem: CertificateParams::default().serialize_request(key).unwrap().pem().unwrap(),
        name: "pc-01".to_owned(),
        agent_version: "0.1.0".to_owned(),
        address: [10, 0, 0, 21].into(),
    }
}

/// The first of January.
pub(crate) fn year(year: u64) -> UnixTime {
    let days = (year - 1970) * 365 + (year - 1969) / 4;
    UnixTime::since_unix_epoch(Duration::from_hours(days * 24))
}

#[derive(Debug)]
struct Calendar(UnixTime);

impl TimeProvider for Calendar {
    fn current_time(&self) -> Option<UnixTime> {
        Some(self.0)
    }
}

/// Believes a box as a machine does: by the hash of the root it sends, by signatures and name
/// constraints, by no date.
#[derive(Debug)]
struct Pin {
    root: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pin {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let refuse = |error| rustls::Error::InvalidCertificate(error);
        let root = others.iter().find(|other| spki_sha256(other) == Some(self.root));
        let root = root.ok_or(refuse(CertificateError::UnknownIssuer))?;
        let (_, parsed) = x509_parser::parse_x509_certificate(leaf).unwrap();
        let start = u64::try_from(parsed.validity().not_before.timestamp()).unwrap();
        webpki::EndEntityCert::try_from(leaf)
            .unwrap()
            .verify_for_usage(
                self.provider.signature_verification_algorithms.all,
                &[webpki::anchor_from_trusted_cert(root).unwrap()],
                others,
                UnixTime::since_unix_epoch(Duration::from_secs(start)),
                webpki::KeyUsage::server_auth(),
                None,
                None,
            )
            .map(|_| ServerCertVerified::assertion())
            .map_err(|_| refuse(CertificateError::BadSignature))
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("never offered".to_owned()))
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

/// Believes everybody who has the key of what they show.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _others: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
