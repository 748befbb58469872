//! What shows the certificate of tls-alpn-01 (RFC 8737), for clients that leave that to others.

use std::io::Read;
use std::net::TcpListener;
use std::sync::Arc;

use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls_pki_types::PrivateKeyDer;
use tests::ports::Port;

/// Answers each connection with a certificate for `name` that holds this digest, for as long as the test runs.
pub(crate) fn show(port: &Port, name: &str, digest: &[u8]) {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let private = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let signing = rustls::crypto::ring::sign::any_supported_type(&private).unwrap();
    // rustls would look into the certificate before it shows it, and stumble over the critical extension.
    let shown = SingleCertAndKey::from(CertifiedKey::new(vec![certificate.der().clone()], signing));
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(shown));
    config.alpn_protocols = vec![b"acme-tls/1".to_vec()];
    let (listener, config) = (TcpListener::bind(port.address()).unwrap(), Arc::new(config));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            // The validator hangs up after the handshake.
            let _ = rustls::StreamOwned::new(connection, stream).read(&mut [0; 1]);
        }
    });
}
