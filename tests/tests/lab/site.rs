//! A small web site over HTTPS for tests of the lab itself: a root, a certificate under it for
//! the box's address, and a handler. It stands where the box will.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use classroom::Host;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::{ServerConfig, crypto::aws_lc_rs, pki_types::PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

pub(crate) type Handler = fn(&Request<Incoming>) -> Response<Full<Bytes>>;

/// An own root, and a TLS end that has a certificate under it.
pub(crate) struct Site {
    pub(crate) address: SocketAddr,
    pub(crate) root: PathBuf,
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Site {
    /// Listens on the host's address, on a port of the kernel's choice. The root is in a file of
    /// the host's by the school's name.
    pub(crate) async fn open(host: &Host, school: &str) -> Self {
        let address = host.address();
        let listener = host
            .enter(async move { TcpListener::bind((address, 0)).await })
            .await
            .unwrap()
            .unwrap();
        let root = host.dir().join(format!("{school}.pem"));
        let acceptor = certify(school, &address.to_string(), &root);
        Self { address: listener.local_addr().unwrap(), root, listener, acceptor }
    }

    pub(crate) fn url(&self) -> String {
        format!("https://{}/", self.address)
    }

    pub(crate) async fn accept(&self) -> TlsStream<TcpStream> {
        let (stream, _) = self.listener.accept().await.unwrap();
        self.acceptor.accept(stream).await.unwrap()
    }

    /// Answers every request by `handler`, until the host is shut down.
    pub(crate) fn serve(self, host: &Host, handler: Handler) {
        host.runtime().spawn(async move {
            while let Ok((stream, _)) = self.listener.accept().await {
                let acceptor = self.acceptor.clone();
                tokio::spawn(async move {
                    // A browser that does not trust us hangs up, and comes again.
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = service_fn(async |request| {
                        Ok::<_, std::convert::Infallible>(handler(&request))
                    });
                    let connection = hyper::server::conn::http1::Builder::new();
                    let _ = connection.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
    }
}

fn certify(school: &str, name: &str, root_path: &Path) -> TlsAcceptor {
    let root_key = KeyPair::generate().unwrap();
    let mut root = CertificateParams::new(Vec::new()).unwrap();
    root.distinguished_name.push(DnType::CommonName, school);
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    root.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let root_cert = root.self_signed(&root_key).unwrap();
    fs::write(root_path, root_cert.pem()).unwrap();

    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let certificate = leaf.signed_by(&key, &Issuer::new(root, root_key)).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}
