//! From an approved request to the exact bytes to be signed.
//!
//! [`plan()`] is for leaves, [`plan_responder`] for OCSP responders, [`ceremony`] for CA certificates; `tbs` encodes, `validity` decides times. Everything
//! planned has passed [`crate::x509::lint`]. Signing is elsewhere: this module holds no key.

pub mod ceremony;
mod responder;
mod subject;
pub(crate) mod tbs;
mod validity;

use crate::ids::{IssuerId, Serial};
use crate::policy::decide::{Approved, SubjectWish};
use crate::policy::keys::usages_of;
use crate::policy::profile::Profile;
use crate::time::Timestamp;
use crate::x509::certificate::{Certificate, MAX_CERTIFICATE, NameConstraints, OutsideConstraints};
use crate::x509::key::{PublicKey, SignatureAlgorithm};
use crate::x509::lint::{self, Addresses, Expected, Findings, Role};

pub use ceremony::{IntermediateRequest, RootRequest, plan_intermediate, plan_root};
pub use responder::{MAX_RESPONDER_LIFE, ResponderRequest, plan_responder};
pub use validity::{begin_for, clock_difference};

use tbs::{Frame, Tbs};

/// The longest common name (RFC 5280 appendix A, ub-common-name).
pub(crate) const MAX_COMMON_NAME: usize = 64;

/// Leaves room for the signature, so that whatever is planned can be sealed.
const MAX_TBS: usize = MAX_CERTIFICATE - 4096;

/// A CA whose key signs leaves.
#[derive(Debug, Clone)]
pub struct IssuingCa {
    /// Its key; part of the addresses of its CRLs.
    pub id: IssuerId,
    /// Its certificate.
    pub certificate: Certificate,
    /// From its certificate up to the root.
    pub chain: Vec<Certificate>,
    /// Where its certificate can be fetched (`http://`).
    pub ca_urls: Vec<String>,
    /// What stands before `/crl/{issuer}/{shard}.crl`; empty for certificates without CRL address.
    pub crl_base: String,
    /// The same for further places where its lists are: each adds an address to the one of [`IssuingCa::crl_url`].
    pub crl_mirrors: Vec<String>,
    /// Whether there are deltas to its lists: leaves name them then (CRL-8).
    pub has_deltas: bool,
    /// OCSP responders (`http://`), if any.
    pub ocsp_urls: Vec<String>,
}

impl IssuingCa {
    /// One whose certificates carry no addresses, as those of responders do; `above` goes up to the root.
    pub fn without_addresses(
        id: IssuerId,
        certificate: Certificate,
        above: impl IntoIterator<Item = Certificate>,
    ) -> Self {
        Self {
            id,
            chain: std::iter::once(certificate.clone()).chain(above).collect(),
            certificate,
            ca_urls: Vec::new(),
            crl_base: String::new(),
            crl_mirrors: Vec::new(),
            has_deltas: false,
            ocsp_urls: Vec::new(),
        }
    }

    /// The address of a CRL shard: the same bytes in leaves and in the CRL itself (CRL-3).
    pub fn crl_url(&self, shard: u32) -> String {
        list_url(&self.crl_base, self.id, Some(shard), "")
    }

    /// All addresses of a CRL shard, the first being [`IssuingCa::crl_url`].
    pub fn crl_urls(&self, shard: u32) -> Vec<String> {
        self.list_urls_of(self.id, Some(shard), "")
    }

    /// All addresses of the delta to the list of a shard, or to the complete list.
    pub fn delta_urls(&self, shard: Option<u32>) -> Vec<String> {
        self.list_urls_of(self.id, shard, "-delta")
    }

    /// All addresses of a list ([`list_url`]) of this key, or of one that this CA issued with before.
    pub fn list_urls_of(&self, issuer: IssuerId, shard: Option<u32>, suffix: &str) -> Vec<String> {
        let bases = std::iter::once(&self.crl_base).chain(&self.crl_mirrors);
        bases.map(|base| list_url(base, issuer, shard, suffix)).collect()
    }

    /// The last second in which it and all above it are valid: no leaf, and no responder, of it lives longer.
    pub fn end(&self) -> Timestamp {
        validity::common_life(self.with_chain()).map_or(self.certificate.not_after(), |(_, end)| end)
    }

    fn with_chain(&self) -> impl Iterator<Item = &Certificate> + Clone {
        std::iter::once(&self.certificate).chain(&self.chain)
    }
}

/// The address of a list of an issuer below `base`: of a shard or of the complete one, with `-delta` of the delta to it.
pub fn list_url(base: &str, issuer: IssuerId, shard: Option<u32>, suffix: &str) -> String {
    let base = base.trim_end_matches('/');
    match shard {
        Some(shard) => format!("{base}/crl/{issuer}/{shard}{suffix}.crl"),
        None => format!("{base}/crl/{issuer}{suffix}.crl"),
    }
}

/// What is to be planned.
#[derive(Debug)]
pub struct PlanRequest<'a> {
    /// Profile and names.
    pub approved: &'a Approved,
    /// The key to be certified.
    pub public_key: &'a PublicKey,
    /// The common name asked for; it is written only when it is one of the names and not too long (FIN-11).
    pub common_name: Option<&'a str>,
    /// A fresh serial number.
    pub serial: Serial,
    /// The time.
    pub now: Timestamp,
    /// The first second asked for, if any.
    pub not_before: Option<Timestamp>,
    /// The last second asked for, if any.
    pub not_after: Option<Timestamp>,
    /// The CRL shard it would be revoked in.
    pub shard: u32,
}

/// Bytes to be signed that passed every rule.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Planned {
    tbs: Vec<u8>,
    signature_algorithm: SignatureAlgorithm,
    serial: Serial,
    not_before: Timestamp,
    not_after: Timestamp,
    cut_from: Option<Timestamp>,
    crl_urls: Vec<String>,
}

impl Planned {
    /// DER of the TBSCertificate.
    pub fn tbs(&self) -> &[u8] {
        &self.tbs
    }

    /// What it is to be signed with.
    pub fn signature_algorithm(&self) -> SignatureAlgorithm {
        self.signature_algorithm
    }

    /// Serial number.
    pub fn serial(&self) -> &Serial {
        &self.serial
    }

    /// First second of its life.
    pub fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// Last second of its life.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// What the last second would have been, when it was cut because a CA certificate above ends earlier: time to
    /// renew that.
    pub fn cut_from(&self) -> Option<Timestamp> {
        self.cut_from
    }

    /// The CRL addresses in it.
    pub fn crl_urls(&self) -> &[String] {
        &self.crl_urls
    }
}

/// Why there can be no such certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum PlanError {
    /// A CA certificate above does not allow a name (X5-7).
    #[error("{0}; ask for other names, or issue a new intermediate with wider name constraints")]
    Constraints(#[from] OutsideConstraints),
    /// The clock is wrong, or a CA certificate is for later.
    #[error(
        "it is {now} by this machine's clock, before the CA certificate's life begins ({issuer_begin}); set the clock"
    )]
    IssuerNotYetValid { now: Timestamp, issuer_begin: Timestamp },
    /// A CA certificate has ended.
    #[error("the CA certificate, or one above it, ended at {issuer_end}; issue a new one before anything else")]
    IssuerExpired { issuer_end: Timestamp },
    /// Not a certificate that may sign.
    #[error("the certificate of `{0}` is no CA certificate that may sign certificates and CRLs")]
    IssuerMayNotSign(String),
    /// The wish begins too early.
    #[error("notBefore {wish} is too early; the earliest is {earliest}, or leave it out")]
    NotBeforeTooEarly { wish: Timestamp, earliest: Timestamp },
    /// The wish begins too late.
    #[error("notBefore {wish} is too late; the latest is {latest}, or leave it out")]
    NotBeforeTooLate { wish: Timestamp, latest: Timestamp },
    /// The wish ends after the profile's life.
    #[error("notAfter {wish} is later than the profile allows; the latest is {latest}, or leave it out")]
    NotAfterTooLate { wish: Timestamp, latest: Timestamp },
    /// The wish ends after a CA certificate above.
    #[error(
        "notAfter {wish} is later than the end of the CA certificate ({issuer_end}); ask for less, or leave it out"
    )]
    BeyondIssuer { wish: Timestamp, issuer_end: Timestamp },
    /// Nothing is left.
    #[error("a certificate from {not_before} to {not_after} would never be valid; ask for a later notAfter")]
    NoLife { not_before: Timestamp, not_after: Timestamp },
    /// No names.
    #[error("a certificate without names cannot be issued; name at least one DNS name or IP address")]
    NoNames,
    /// The key of a CA.
    #[error("the key to be certified is the key of the CA itself; make a new key")]
    IssuersKey,
    /// A common name that cannot stand in a CA certificate.
    #[error("`{0}` cannot be the name of a CA; use 1 to 64 characters, and another name than the CA above has")]
    CommonName(String),
    /// The path length of the CA above leaves no room.
    #[error(
        "the CA certificate above allows no further CA certificate below it (path length 0); issue it from the root"
    )]
    PathLength,
    /// More names than anybody reads.
    #[error("the certificate would be longer than 60 KiB; ask for fewer names in one certificate")]
    TooLong,
    /// Something that no DER can hold.
    #[error("the certificate cannot be encoded ({0}); this is a fault of the CA")]
    Encoding(der::Error),
    /// The profile is for another CA.
    #[error("the profile is for the CA `{wanted}`, and this is `{name}`; name this one in `issuer`, or leave it out")]
    OtherIssuer { wanted: String, name: String },
    /// The profile is of CA certificates.
    #[error("the profile `{0}` is of CA certificates, which are made in a ceremony only")]
    CaProfile(String),
    /// Servers would have to staple what nobody gives them.
    #[error("the profile `{0}` has `mustStaple`, and this CA has no OCSP responder; name one in `ocspResponders`")]
    NothingToStaple(String),
    /// The subject cannot stand below the CAs above.
    #[error("a CA certificate above does not allow the subject that the profile says; change `spec.subject`")]
    SubjectOutside,
    /// An OCSP responder's certificate of a length that it must not have.
    #[error("an OCSP responder's certificate lives for at least an hour and at most 30 days; ask for that")]
    ResponderLife,
    /// The bytes break a rule.
    #[error("the planned certificate breaks rules of this CA and is not signed: {0}")]
    Lint(#[from] Findings),
}

impl From<der::Error> for PlanError {
    fn from(error: der::Error) -> Self {
        Self::Encoding(error)
    }
}

/// Plans a leaf.
pub fn plan(ca: &IssuingCa, request: PlanRequest<'_>) -> Result<Planned, PlanError> {
    let approved = request.approved;
    let profile = approved.profile();
    check_issuer(ca, profile)?;
    if !ca.certificate.may_sign() {
        return Err(PlanError::IssuerMayNotSign(ca.certificate.common_name().unwrap_or_default()));
    }
    if approved.identifiers().is_empty() {
        return Err(PlanError::NoNames);
    }
    if ca.with_chain().any(|above| above.public_key() == request.public_key) {
        return Err(PlanError::IssuersKey);
    }
    let constraints: Vec<NameConstraints> = ca.with_chain().filter_map(Certificate::name_constraints).collect();
    for identifier in approved.identifiers() {
        constraints.iter().try_for_each(|constraint| constraint.allows(identifier))?;
    }
    let life = validity::common_life(ca.with_chain()).unwrap_or((request.now, request.now));
    let validity = validity::decide(life, &request)?;
    let subject = subject::decide(&request, &constraints)?;
    let addresses = Written::new(ca, &request)?;
    let signature_algorithm = SignatureAlgorithm::for_issuer(ca.certificate.public_key().algorithm());

    let mut tbs = Tbs::new(Frame {
        serial: request.serial.octets(),
        signature: signature_algorithm,
        issuer: ca.certificate.subject_der(),
        not_before: validity.not_before,
        not_after: validity.not_after,
        subject: tbs::subject(&subject)?,
        public_key: request.public_key,
    })?;
    tbs.extensions = leaf_extensions(ca, &request, subject == SubjectWish::default(), &addresses)?;
    let bytes = tbs.to_der()?;
    if bytes.len() > MAX_TBS {
        return Err(PlanError::TooLong);
    }
    let expected = Expected {
        issuer: Some(&ca.certificate),
        chain: &ca.chain,
        public_key: request.public_key,
        serial: &request.serial,
        longest_life: profile.lifetime,
        addresses: Addresses {
            ca: &ca.ca_urls,
            ocsp: &addresses.ocsp,
            crl: &addresses.crl,
            freshest: &addresses.freshest,
        },
        role: Role::Leaf {
            identifiers: approved.identifiers(),
            usages: &profile.extended_key_usage,
            key_usages: &profile.key_usage,
            subject: approved.subject(),
            must_staple: profile.revocation.must_staple,
        },
    };
    lint::lint(&bytes, &expected)?;
    Ok(Planned {
        tbs: bytes,
        signature_algorithm,
        serial: request.serial,
        not_before: validity.not_before,
        not_after: validity.not_after,
        cut_from: validity.cut_from,
        crl_urls: addresses.crl,
    })
}

/// What the profile wants of the CA itself. CA certificates are for ceremonies, whatever approved them.
fn check_issuer(ca: &IssuingCa, profile: &Profile) -> Result<(), PlanError> {
    if profile.ca.is_some() {
        return Err(PlanError::CaProfile(profile.name.to_string()));
    }
    let name = ca.certificate.common_name().unwrap_or_default();
    match &profile.issuer {
        Some(wanted) if *wanted != name => Err(PlanError::OtherIssuer { wanted: wanted.clone(), name }),
        _ => Ok(()),
    }
}

/// The addresses of revocation that are written.
struct Written {
    crl: Vec<String>,
    freshest: Vec<String>,
    ocsp: Vec<String>,
}

impl Written {
    fn new(ca: &IssuingCa, request: &PlanRequest<'_>) -> Result<Self, PlanError> {
        let rules = &request.approved.profile().revocation;
        let mut written = Self { crl: Vec::new(), freshest: Vec::new(), ocsp: Vec::new() };
        if rules.crl && !ca.crl_base.is_empty() {
            written.crl = ca.crl_urls(request.shard);
            written.crl.extend_from_slice(&rules.crl_mirrors);
            written.freshest = if ca.has_deltas { ca.delta_urls(Some(request.shard)) } else { Vec::new() };
        }
        if rules.ocsp {
            written.ocsp = [&ca.ocsp_urls[..], &rules.ocsp_responders].concat();
        }
        if rules.must_staple && written.ocsp.is_empty() {
            return Err(PlanError::NothingToStaple(request.approved.profile().name.to_string()));
        }
        Ok(written)
    }
}

fn leaf_extensions(
    ca: &IssuingCa,
    request: &PlanRequest<'_>,
    subject_is_empty: bool,
    addresses: &Written,
) -> Result<Vec<x509_cert::ext::Extension>, der::Error> {
    let profile = request.approved.profile();
    let usages = &profile.extended_key_usage;
    let key_usages = usages_of(&profile.key_usage, usages, request.public_key.algorithm());
    let mut extensions = vec![
        tbs::authority_key(&ca.certificate)?,
        tbs::subject_key(request.public_key)?,
        tbs::leaf_key_usage(&key_usages)?,
        tbs::basic_constraints(false, None)?,
        tbs::extended_key_usage(usages)?,
        tbs::subject_alt_name(request.approved.identifiers(), subject_is_empty)?,
    ];
    extensions.extend(tbs::authority_information(&ca.ca_urls, &addresses.ocsp)?);
    extensions.extend(tbs::crl_distribution_points(&addresses.crl)?);
    extensions.extend(tbs::freshest_crl(&addresses.freshest)?);
    if profile.revocation.must_staple {
        extensions.push(tbs::must_staple()?);
    }
    Ok(extensions)
}

#[cfg(test)]
mod tests;
