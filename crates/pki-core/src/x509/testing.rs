//! Keys and CAs for the tests of this crate.

use std::time::Duration;

use ring::signature as r;

use crate::ids::Serial;
use crate::issuance::plan::{IntermediateRequest, Planned, RootRequest, plan_intermediate, plan_root};
use crate::issuance::seal::{Sealed, seal};
use crate::random::SystemEntropy;
use crate::time::Timestamp;
use crate::x509::certificate::{Certificate, NameConstraints};
use crate::x509::encoding;
use crate::x509::key::{KeyAlgorithm, PublicKey, SignatureAlgorithm};

/// A file below `testdata/`.
pub(crate) fn file(path: &str) -> Vec<u8> {
    std::fs::read(format!("{}/testdata/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The names of the files in a folder below `testdata/`, without suffix.
pub(crate) fn names(folder: &str) -> Vec<String> {
    let path = format!("{}/testdata/{folder}", env!("CARGO_MANIFEST_DIR"));
    let mut names: Vec<String> = std::fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

/// A key of `testdata/keys`, or a fresh one.
pub(crate) struct TestKey {
    pkcs8: Vec<u8>,
    pub(crate) public: PublicKey,
}

impl TestKey {
    pub(crate) fn load(name: &str) -> Self {
        let public = PublicKey::from_spki_der(&file(&format!("keys/{name}.spki"))).unwrap();
        Self { pkcs8: file(&format!("keys/{name}.pk8")), public }
    }

    pub(crate) fn fresh() -> Self {
        Self::generate(&r::ECDSA_P256_SHA256_ASN1_SIGNING, KeyAlgorithm::EcdsaP256)
    }

    pub(crate) fn fresh_p384() -> Self {
        Self::generate(&r::ECDSA_P384_SHA384_ASN1_SIGNING, KeyAlgorithm::EcdsaP384)
    }

    #[expect(clippy::disallowed_methods, reason = "tests may take any key")]
    fn generate(kind: &'static r::EcdsaSigningAlgorithm, algorithm: KeyAlgorithm) -> Self {
        let random = ring::rand::SystemRandom::new();
        let pkcs8 = r::EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap().as_ref().to_vec();
        let pair = r::EcdsaKeyPair::from_pkcs8(kind, &pkcs8, &random).unwrap();
        let point = r::KeyPair::public_key(&pair).as_ref();
        Self { public: PublicKey::from_point(algorithm, point).unwrap(), pkcs8 }
    }

    pub(crate) fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::for_issuer(self.public.algorithm())
    }

    #[expect(clippy::disallowed_methods, reason = "tests may take any randomness")]
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = ring::rand::SystemRandom::new();
        match self.public.algorithm() {
            KeyAlgorithm::EcdsaP256 => self.sign_by(&r::ECDSA_P256_SHA256_ASN1_SIGNING, message),
            KeyAlgorithm::EcdsaP384 => self.sign_by(&r::ECDSA_P384_SHA384_ASN1_SIGNING, message),
            KeyAlgorithm::EcdsaP521 => {
                use p521::ecdsa::signature::Signer;
                let signature: p521::ecdsa::DerSignature =
                    p521::ecdsa::SigningKey::from_slice(&self.p521_scalar()).unwrap().sign(message);
                signature.as_bytes().to_vec()
            }
            KeyAlgorithm::Rsa { .. } => {
                let pair = r::RsaKeyPair::from_pkcs8(&self.pkcs8).unwrap();
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&r::RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
                signature
            }
            KeyAlgorithm::Ed25519 => {
                r::Ed25519KeyPair::from_pkcs8_maybe_unchecked(&self.pkcs8).unwrap().sign(message).as_ref().to_vec()
            }
        }
    }

    #[expect(clippy::disallowed_methods, reason = "tests may take any randomness")]
    fn sign_by(&self, kind: &'static r::EcdsaSigningAlgorithm, message: &[u8]) -> Vec<u8> {
        let random = ring::rand::SystemRandom::new();
        let pair = r::EcdsaKeyPair::from_pkcs8(kind, &self.pkcs8, &random).unwrap();
        pair.sign(&random, message).unwrap().as_ref().to_vec()
    }

    /// The 66 octets after `04 42`: ECPrivateKey's privateKey.
    fn p521_scalar(&self) -> Vec<u8> {
        let at = self.pkcs8.windows(2).position(|pair| pair == [0x04, 0x42]).unwrap();
        self.pkcs8[at + 2..at + 68].to_vec()
    }

    pub(crate) fn seal(&self, planned: &Planned) -> Sealed {
        seal(planned.tbs(), planned.signature_algorithm(), &self.sign(planned.tbs()), &self.public).unwrap()
    }

    /// A request by this key: whatever body, whatever algorithm it claims.
    pub(crate) fn request(&self, info: &[u8]) -> Vec<u8> {
        let signature = encoding::bit_string(&self.sign(info)).unwrap();
        encoding::sequence(&[info, &self.algorithm().identifier_der(), &signature]).unwrap()
    }
}

/// The time in tests.
pub(crate) fn now() -> Timestamp {
    Timestamp::parse_rfc3339("2026-06-01T12:00:00Z").unwrap()
}

pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);

pub(crate) fn serial() -> Serial {
    Serial::random(&SystemEntropy::new())
}

/// A root and an intermediate below it.
pub(crate) struct TestCa {
    pub(crate) root_key: TestKey,
    pub(crate) root: Certificate,
    pub(crate) key: TestKey,
    pub(crate) certificate: Certificate,
}

impl TestCa {
    pub(crate) fn new(root_key: TestKey, key: TestKey, constraints: Option<&NameConstraints>) -> Self {
        let root = plan_root(RootRequest {
            common_name: "Test Root",
            public_key: &root_key.public,
            not_before: now() - DAY,
            not_after: now() + 7300 * DAY,
            serial: serial(),
            path_len: None,
        });
        let root = root_key.seal(&root.unwrap()).certificate().clone();
        let intermediate = plan_intermediate(IntermediateRequest {
            root: &root,
            common_name: "Test Intermediate",
            public_key: &key.public,
            name_constraints: constraints,
            not_before: now() - DAY,
            not_after: now() + 1825 * DAY,
            serial: serial(),
            ca_urls: &["http://ca.site.test/ca/root.crt".to_owned()],
            crl_urls: &["http://ca.site.test/crl/root.crl".to_owned()],
        });
        let certificate = root_key.seal(&intermediate.unwrap()).certificate().clone();
        Self { root_key, root, key, certificate }
    }
}
