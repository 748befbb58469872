//! What came from the CA, checked before anything else sees it: nothing but a [`Verified`] can be installed.
//!
//! Pure: bytes, the wanted names and a time go in. Knows neither files nor network.

use std::time::Duration;

use pki_core::time::Timestamp;
use pki_core::x509::certificate::Certificate;
use pki_core::x509::name::Identifier;
use pki_core::x509::pem;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage};

use crate::keys::NodeKey;

/// How far this node's clock may run behind the CA's (agents.md 5.4: most drift is covered by an hour).
const SKEW: Duration = Duration::from_secs(3600);
/// More certificates than any chain has.
const MAX_CHAIN: usize = 8;

/// Why a bundle is not installed.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The text is not a chain of certificates.
    #[error("the CA's answer is no certificate chain: {0}; the certificate in service stays, look at the CA's log")]
    Unreadable(String),
    /// Certified another key.
    #[error("the certificate is not for the key that was made for it; it is not installed, and a new order follows")]
    OtherKey,
    /// Does not chain to a pinned root, or not now.
    #[error("the certificate does not verify against the pinned roots: {0}")]
    Untrusted(String),
    /// Lacks names.
    #[error("the certificate lacks {0}; compare the names in the configuration with the device's record at the CA")]
    NamesMissing(String),
    /// Begins later than any clock error explains.
    #[error(
        "the certificate begins at {begins}, and this node's clock says {now}; set the clock (`timedatectl`), \
         or the CA's"
    )]
    NotYetValid {
        /// Its notBefore.
        begins: Timestamp,
        /// What the clock says.
        now: Timestamp,
    },
    /// Would end before the one it replaces.
    #[error(
        "the new certificate would end at {new}, before the one in service ({current}), which stays; \
         `renew-agent renew NAME` installs a shorter one on purpose"
    )]
    ShorterLived {
        /// notAfter of the new one.
        new: Timestamp,
        /// notAfter of the one in service.
        current: Timestamp,
    },
}

/// The pinned roots.
#[derive(Debug, Clone)]
pub struct Roots(Vec<Certificate>);

impl Roots {
    /// Takes certificates whose fingerprints were compared with the pins.
    pub fn new(certificates: Vec<Certificate>) -> Self {
        Self(certificates)
    }

    /// Reads PEM.
    pub fn from_pem(text: &str) -> Result<Self, BundleError> {
        pem::parse_pem_bundle(text).map(Self).map_err(|error| BundleError::Unreadable(error.to_string()))
    }

    /// The certificates.
    pub fn certificates(&self) -> &[Certificate] {
        &self.0
    }

    /// All of them, PEM.
    pub fn to_pem(&self) -> String {
        pem::bundle_to_pem(&self.0)
    }

    /// All of them, DER.
    pub fn to_der(&self) -> Vec<Vec<u8>> {
        self.0.iter().map(|root| root.der().to_vec()).collect()
    }
}

/// What the bundle is measured by.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// Every one of these must stand in the certificate.
    pub names: &'a [Identifier],
    /// Where the chain must end.
    pub roots: &'a Roots,
    /// The certificate in service, which a new one must outlive while it is valid.
    pub current: Option<&'a Certificate>,
    /// A person or the CA asked for the renewal: it may then be shorter-lived.
    pub on_demand: bool,
    /// The time by this node's clock.
    pub now: Timestamp,
}

/// A certificate, its chain and its key that belong together and are good.
#[derive(Debug)]
pub struct Verified {
    leaf: Certificate,
    chain: Vec<Certificate>,
    key: NodeKey,
    roots_pem: String,
}

impl Verified {
    /// The node's own certificate.
    pub fn leaf(&self) -> &Certificate {
        &self.leaf
    }

    /// What leads from it towards the root.
    pub fn chain(&self) -> &[Certificate] {
        &self.chain
    }

    /// Its private key.
    pub fn key(&self) -> &NodeKey {
        &self.key
    }

    /// The pinned roots, PEM.
    pub fn roots_pem(&self) -> &str {
        &self.roots_pem
    }
}

/// Checks a downloaded chain (RFC 8555 section 7.4.2) against the key, the roots, the names and the clock.
pub fn verify(chain_pem: &str, key: NodeKey, wanted: &Wanted<'_>) -> Result<Verified, BundleError> {
    let unreadable = |detail: String| BundleError::Unreadable(detail);
    let mut all = pem::parse_pem_bundle(chain_pem).map_err(|error| unreadable(error.to_string()))?.into_iter();
    let leaf = all.next().ok_or_else(|| unreadable("it is empty".to_owned()))?;
    let chain: Vec<_> = all.collect();
    if chain.len() > MAX_CHAIN {
        return Err(unreadable(format!("it has {} certificates", chain.len() + 1)));
    }
    if leaf.public_key().spki_der() != key.spki_der() {
        return Err(BundleError::OtherKey);
    }
    names_covered(&leaf, wanted.names)?;
    trusted(&leaf, &chain, wanted)?;
    outlives(&leaf, wanted)?;
    Ok(Verified { leaf, chain, key, roots_pem: wanted.roots.to_pem() })
}

fn names_covered(leaf: &Certificate, names: &[Identifier]) -> Result<(), BundleError> {
    let missing: Vec<_> =
        names.iter().filter(|name| !leaf.identifiers().contains(name)).map(ToString::to_string).collect();
    if missing.is_empty() { Ok(()) } else { Err(BundleError::NamesMissing(missing.join(", "))) }
}

fn trusted(leaf: &Certificate, chain: &[Certificate], wanted: &Wanted<'_>) -> Result<(), BundleError> {
    if leaf.not_before() > wanted.now + SKEW {
        return Err(BundleError::NotYetValid { begins: leaf.not_before(), now: wanted.now });
    }
    // A clock that runs a little behind must not refuse what was issued a moment ago.
    let judged = wanted.now.max(leaf.not_before());
    let untrusted = |error: webpki::Error| BundleError::Untrusted(describe(&error, judged));
    let roots: Vec<_> = wanted.roots.certificates().iter().map(der).collect();
    let anchors =
        roots.iter().map(webpki::anchor_from_trusted_cert).collect::<Result<Vec<_>, _>>().map_err(untrusted)?;
    let intermediates: Vec<_> = chain.iter().map(der).collect();
    let leaf = der(leaf);
    let entity = EndEntityCert::try_from(&leaf).map_err(untrusted)?;
    // Which use a certificate is for is the profile's choice: servers, clients, or both.
    match path(&entity, &anchors, &intermediates, judged, KeyUsage::server_auth()) {
        Err(webpki::Error::RequiredEkuNotFoundContext(_)) => {
            path(&entity, &anchors, &intermediates, judged, KeyUsage::client_auth()).map_err(untrusted)
        }
        other => other.map_err(untrusted),
    }
}

fn path(
    entity: &EndEntityCert<'_>,
    anchors: &[TrustAnchor<'_>],
    intermediates: &[CertificateDer<'_>],
    at: Timestamp,
    usage: KeyUsage,
) -> Result<(), webpki::Error> {
    let seconds = u64::try_from(at.unix_seconds()).unwrap_or(0);
    let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let algorithms = webpki::ALL_VERIFICATION_ALGS;
    entity.verify_for_usage(algorithms, anchors, intermediates, time, usage, None, None).map(|_| ())
}

fn der(certificate: &Certificate) -> CertificateDer<'_> {
    CertificateDer::from(certificate.der())
}

fn describe(error: &webpki::Error, judged: Timestamp) -> String {
    match error {
        // A CA made anew under the same name has the same issuer with another key.
        webpki::Error::UnknownIssuer | webpki::Error::InvalidSignatureForPublicKey => {
            "its issuer is unknown here; the CA has another root now: enrol again with a fresh token".to_owned()
        }
        webpki::Error::CertExpired { .. } => {
            format!("it, or its issuer, has expired at {judged}; check this node's clock, then the CA")
        }
        other => format!("{other} (at {judged})"),
    }
}

fn outlives(leaf: &Certificate, wanted: &Wanted<'_>) -> Result<(), BundleError> {
    match wanted.current {
        Some(current)
            if !wanted.on_demand && current.not_after() > wanted.now && leaf.not_after() < current.not_after() =>
        {
            Err(BundleError::ShorterLived { new: leaf.not_after(), current: current.not_after() })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
