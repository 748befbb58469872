//! A small CA for unit tests.

use pki_core::time::Timestamp;
use pki_core::x509::certificate::Certificate;
use pki_core::x509::name::Identifier;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};
use time::OffsetDateTime;

use crate::bundle::{Roots, Verified, Wanted, verify};
use crate::keys::{KeyKind, NodeKey};

/// 2026-01-01, the day on which unit tests happen.
pub(crate) const NOW: Timestamp = Timestamp::from_unix_seconds(1_767_225_600);
pub(crate) const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);

pub(crate) struct TestCa {
    root_pem: String,
    intermediate_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

fn date(at: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(at.unix_seconds()).unwrap()
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = date(NOW - 365 * DAY);
    params.not_after = date(NOW + 3650 * DAY);
    params
}

impl TestCa {
    pub(crate) fn new() -> Self {
        let root_key = KeyPair::generate().unwrap();
        let root_params = authority("Test Root");
        let root_pem = root_params.self_signed(&root_key).unwrap().pem();
        let root = Issuer::new(root_params, root_key);
        let key = KeyPair::generate().unwrap();
        let params = authority("Test Intermediate");
        let intermediate_pem = params.signed_by(&key, &root).unwrap().pem();
        Self { root_pem, intermediate_pem, issuer: Issuer::new(params, key) }
    }

    pub(crate) fn roots(&self) -> Roots {
        Roots::from_pem(&self.root_pem).unwrap()
    }

    /// A chain for `key`, leaf first, without the root.
    pub(crate) fn chain(&self, key: &NodeKey, names: &[Identifier], from: Timestamp, to: Timestamp) -> String {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names
            .iter()
            .map(|name| match name {
                Identifier::Dns(dns) => SanType::DnsName(dns.as_str().try_into().unwrap()),
                Identifier::Ip(ip) => SanType::IpAddress(*ip),
                other => panic!("{other} is no name of tests"),
            })
            .collect();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.not_before = date(from);
        params.not_after = date(to);
        let public = KeyPair::from_pem(&key.to_pem()).unwrap();
        params.signed_by(&public, &self.issuer).unwrap().pem() + &self.intermediate_pem
    }

    /// A verified bundle with a new key that lives `days` from `now`.
    pub(crate) fn verified(&self, now: Timestamp, days: u32) -> Verified {
        let key = NodeKey::generate(KeyKind::EcdsaP256).unwrap();
        let names = names(&["gw-1.site.test"]);
        let chain = self.chain(&key, &names, now, now + days * DAY);
        let wanted = Wanted { names: &names, roots: &self.roots(), current: None, on_demand: false, now };
        verify(&chain, key, &wanted).unwrap()
    }

    /// TLS server configuration for 127.0.0.1 and the given names.
    pub(crate) fn server_config(&self, names: &[Identifier]) -> rustls::ServerConfig {
        let key = NodeKey::generate(KeyKind::EcdsaP256).unwrap();
        let chain = self.chain(&key, names, NOW - DAY, NOW + 30 * DAY);
        let chain = pki_core::x509::pem::parse_pem_bundle(&chain).unwrap();
        let chain = chain.iter().map(|one: &Certificate| one.der().to_vec().into()).collect();
        let key = KeyPair::from_pem(&key.to_pem()).unwrap().serialize_der();
        let key = rustls_pki_types::PrivateKeyDer::Pkcs8(key.into());
        rustls::ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap()
    }
}

pub(crate) fn names(values: &[&str]) -> Vec<Identifier> {
    let parse = |value: &&str| Identifier::parse("ip", value).or_else(|_| Identifier::parse("dns", value)).unwrap();
    values.iter().map(parse).collect()
}
