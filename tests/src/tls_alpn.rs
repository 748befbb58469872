//! A TLS server that answers tls-alpn-01 (RFC 8737), rightly or with any fault.

use std::collections::HashMap;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use rcgen::{CertificateParams, CustomExtension, DistinguishedName, DnType, Issuer, KeyPair};
use ring::digest::{SHA256, digest};
use rustls::server::{Acceptor, ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, SupportedProtocolVersion};
use rustls_pki_types::PrivateKeyDer;

/// id-pe-acmeIdentifier.
const ACME_IDENTIFIER: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 1, 31];

/// What is shown for one server name. The default of each field is right.
#[derive(Clone)]
pub struct Shown {
    /// Subject alternative names, addresses among them.
    pub names: Vec<String>,
    /// The acmeIdentifier extensions: contents and whether each is critical.
    pub identifiers: Vec<(Vec<u8>, bool)>,
    /// Application protocols that the server speaks.
    pub protocols: Vec<&'static str>,
    /// The one version of TLS it speaks; both when none is given.
    pub version: Option<&'static SupportedProtocolVersion>,
    /// Kind of the certificate's key.
    pub key: &'static rcgen::SignatureAlgorithm,
    /// Whether another key signs the certificate.
    pub is_signed_by_another: bool,
    /// Whether another key signs the handshake.
    pub is_of_another: bool,
}

impl Shown {
    /// The right answer for a name or address and a key authorization.
    pub fn right(name: &str, key_authorization: &str) -> Self {
        Self {
            names: vec![name.to_owned()],
            identifiers: vec![(identifier(key_authorization), true)],
            protocols: vec!["acme-tls/1"],
            version: None,
            key: &rcgen::PKCS_ECDSA_P256_SHA256,
            is_signed_by_another: false,
            is_of_another: false,
        }
    }

    fn config(&self) -> ServerConfig {
        let key = KeyPair::generate_for(self.key).unwrap();
        let mut params = CertificateParams::new(self.names.clone()).unwrap();
        params.distinguished_name = named("challenge");
        for (content, is_critical) in &self.identifiers {
            let mut extension = CustomExtension::from_oid_content(ACME_IDENTIFIER, content.clone());
            extension.set_criticality(*is_critical);
            params.custom_extensions.push(extension);
        }
        let certificate = if self.is_signed_by_another {
            // The same name for both: only the signature tells.
            let mut issuer = CertificateParams::default();
            issuer.distinguished_name = named("challenge");
            params.signed_by(&key, &Issuer::new(issuer, KeyPair::generate().unwrap())).unwrap()
        } else {
            params.self_signed(&key).unwrap()
        };
        let signer = if self.is_of_another { KeyPair::generate_for(self.key).unwrap() } else { key };
        let signer = PrivateKeyDer::try_from(signer.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let shown =
            CertifiedKey::new(vec![certificate.der().clone()], provider.key_provider.load_private_key(signer).unwrap());
        let versions: Vec<&SupportedProtocolVersion> =
            self.version.map_or_else(|| rustls::ALL_VERSIONS.to_vec(), |version| vec![version]);
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&versions)
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Always(Arc::new(shown))));
        config.alpn_protocols = self.protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }
}

/// The contents of the extension for a key authorization.
pub fn identifier(key_authorization: &str) -> Vec<u8> {
    [&[0x04, 0x20], digest(&SHA256, key_authorization.as_bytes()).as_ref()].concat()
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// One certificate, whether or not its key fits.
#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesServerCert for Always {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

/// A running server; it goes away with the test program.
#[derive(Clone, Default)]
pub struct TlsAlpn(Arc<Mutex<HashMap<String, Arc<ServerConfig>>>>);

impl TlsAlpn {
    /// Serves these addresses.
    pub fn start(addresses: &[String]) -> Self {
        let server = Self::default();
        for address in addresses {
            let (listener, server) = (TcpListener::bind(address).unwrap(), server.clone());
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let server = server.clone();
                    // A client that goes away is none of this server's business.
                    std::thread::spawn(move || server.answer(stream));
                }
            });
        }
        server
    }

    /// Says what to show to clients that ask for a server name; for an address that is its reverse name.
    pub fn set(&self, server_name: &str, shown: &Shown) {
        self.0.lock().unwrap().insert(server_name.to_owned(), Arc::new(shown.config()));
    }

    fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut acceptor = Acceptor::default();
        let accepted = loop {
            acceptor.read_tls(&mut stream)?;
            if let Some(accepted) = acceptor.accept().map_err(|(error, _)| std::io::Error::other(error))? {
                break accepted;
            }
        };
        let name = accepted.client_hello().server_name().unwrap_or_default().to_owned();
        let Some(config) = self.0.lock().unwrap().get(&name).cloned() else { return Ok(()) };
        let connection = accepted.into_connection(config);
        let mut connection = match connection {
            Ok(connection) => connection,
            // Tells the client why.
            Err((_, mut alert)) => return alert.write_all(&mut stream),
        };
        while connection.is_handshaking() {
            connection.complete_io(&mut stream)?;
        }
        connection.complete_io(&mut stream)?;
        stream.read(&mut [0; 16]).map(drop)
    }
}
