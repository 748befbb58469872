//! CA certificates: planned in a ceremony, never on a client's request.

use std::time::Duration;

use crate::ids::Serial;
use crate::issuance::plan::tbs::{self, Frame, Tbs};
use crate::issuance::plan::{MAX_COMMON_NAME, PlanError, Planned};
use crate::time::Timestamp;
use crate::x509::certificate::{Certificate, NameConstraints};
use crate::x509::key::{PublicKey, SignatureAlgorithm};
use crate::x509::lint::{self, Addresses, Expected, Role};

/// A root to be planned.
#[derive(Debug)]
pub struct RootRequest<'a> {
    /// Its name.
    pub common_name: &'a str,
    /// Its key, which also signs it.
    pub public_key: &'a PublicKey,
    /// First second of its life.
    pub not_before: Timestamp,
    /// Last second of its life.
    pub not_after: Timestamp,
    /// A fresh serial number.
    pub serial: Serial,
    /// How many CA certificates may stand between it and a leaf; none for any number.
    pub path_len: Option<u8>,
}

/// An intermediate to be planned.
#[derive(Debug)]
pub struct IntermediateRequest<'a> {
    /// The root, whose key signs it.
    pub root: &'a Certificate,
    /// Its name.
    pub common_name: &'a str,
    /// Its key.
    pub public_key: &'a PublicKey,
    /// What it may issue for; none for anything ([`NameConstraints::permitting`] makes them).
    pub name_constraints: Option<&'a NameConstraints>,
    /// First second of its life.
    pub not_before: Timestamp,
    /// Last second of its life.
    pub not_after: Timestamp,
    /// A fresh serial number.
    pub serial: Serial,
    /// Where the root's certificate can be fetched.
    pub ca_urls: &'a [String],
    /// Where the root's CRL can be fetched.
    pub crl_urls: &'a [String],
}

/// Plans a self-signed root (X5-6).
pub fn plan_root(request: RootRequest<'_>) -> Result<Planned, PlanError> {
    check_common_name(request.common_name)?;
    let (not_before, not_after) = life(request.not_before, request.not_after)?;
    let subject = tbs::name(Some(request.common_name))?;
    let signature_algorithm = SignatureAlgorithm::for_issuer(request.public_key.algorithm());
    let mut parts = Tbs::new(Frame {
        serial: request.serial.octets(),
        signature: signature_algorithm,
        issuer: &subject.clone(),
        not_before,
        not_after,
        subject,
        public_key: request.public_key,
    })?;
    parts.extensions = vec![
        tbs::subject_key(request.public_key)?,
        tbs::ca_key_usage()?,
        tbs::basic_constraints(true, request.path_len)?,
    ];
    let expected = Expected {
        issuer: None,
        chain: &[],
        public_key: request.public_key,
        serial: &request.serial,
        longest_life: not_after.since(not_before),
        addresses: Addresses::default(),
        role: Role::Ca { path_len: request.path_len, name_constraints: None },
    };
    finish(&parts, &expected, signature_algorithm, (not_before, not_after))
}

/// Plans an intermediate that issues leaves only (path length 0).
pub fn plan_intermediate(request: IntermediateRequest<'_>) -> Result<Planned, PlanError> {
    check_common_name(request.common_name)?;
    check_above(&request)?;
    let (not_before, not_after) = life(request.not_before, request.not_after)?;
    let signature_algorithm = SignatureAlgorithm::for_issuer(request.root.public_key().algorithm());
    let mut parts = Tbs::new(Frame {
        serial: request.serial.octets(),
        signature: signature_algorithm,
        issuer: request.root.subject_der(),
        not_before,
        not_after,
        subject: tbs::name(Some(request.common_name))?,
        public_key: request.public_key,
    })?;
    parts.extensions = vec![
        tbs::authority_key(request.root)?,
        tbs::subject_key(request.public_key)?,
        tbs::ca_key_usage()?,
        tbs::basic_constraints(true, Some(0))?,
    ];
    parts.extensions.extend(request.name_constraints.map(tbs::name_constraints).transpose()?);
    parts.extensions.extend(tbs::authority_information(request.ca_urls, &[])?);
    parts.extensions.extend(tbs::crl_distribution_points(request.crl_urls)?);
    let expected = Expected {
        issuer: Some(request.root),
        chain: &[],
        public_key: request.public_key,
        serial: &request.serial,
        longest_life: not_after.since(not_before),
        addresses: Addresses { ca: request.ca_urls, ocsp: &[], crl: request.crl_urls, freshest: &[] },
        role: Role::Ca { path_len: Some(0), name_constraints: request.name_constraints },
    };
    finish(&parts, &expected, signature_algorithm, (not_before, not_after))
}

fn finish(
    parts: &Tbs,
    expected: &Expected<'_>,
    signature_algorithm: SignatureAlgorithm,
    (not_before, not_after): (Timestamp, Timestamp),
) -> Result<Planned, PlanError> {
    let tbs = parts.to_der()?;
    lint::lint(&tbs, expected)?;
    Ok(Planned {
        tbs,
        signature_algorithm,
        serial: expected.serial.clone(),
        not_before,
        not_after,
        cut_from: None,
        crl_urls: expected.addresses.crl.to_vec(),
    })
}

fn check_common_name(name: &str) -> Result<(), PlanError> {
    let length = name.chars().count();
    let plain = !name.chars().any(char::is_control) && name.trim() == name;
    if (1..=MAX_COMMON_NAME).contains(&length) && plain { Ok(()) } else { Err(PlanError::CommonName(name.to_owned())) }
}

fn life(not_before: Timestamp, not_after: Timestamp) -> Result<(Timestamp, Timestamp), PlanError> {
    let (not_before, not_after) = (not_before.whole_seconds(), not_after.whole_seconds());
    if not_after.since(not_before) < Duration::from_secs(1) {
        return Err(PlanError::NoLife { not_before, not_after });
    }
    Ok((not_before, not_after))
}

fn check_above(request: &IntermediateRequest<'_>) -> Result<(), PlanError> {
    let root = request.root;
    if !root.may_sign() {
        return Err(PlanError::IssuerMayNotSign(root.common_name().unwrap_or_default()));
    }
    if root.path_len() == Some(0) {
        return Err(PlanError::PathLength);
    }
    if root.public_key() == request.public_key {
        return Err(PlanError::IssuersKey);
    }
    if tbs::name(Some(request.common_name))? == root.subject_der() {
        return Err(PlanError::CommonName(request.common_name.to_owned()));
    }
    let (wish, earliest) = (request.not_before.whole_seconds(), root.not_before());
    if wish < earliest {
        return Err(PlanError::NotBeforeTooEarly { wish, earliest });
    }
    let (wish, issuer_end) = (request.not_after.whole_seconds(), root.not_after());
    if wish > issuer_end {
        return Err(PlanError::BeyondIssuer { wish, issuer_end });
    }
    Ok(())
}
