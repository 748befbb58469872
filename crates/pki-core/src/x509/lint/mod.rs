//! The rules every certificate keeps, checked on the bytes before they are signed; a single finding blocks.
//!
//! The bytes are read by another parser than the one they were built with, and compared with what was asked for. The
//! rules are a table ([`RULES`]): an id of the requirement they come from, a sentence, and a check.

mod names;
mod rules;
mod view;

use std::fmt;
use std::time::Duration;

use x509_parser::certificate::TbsCertificate;
use x509_parser::prelude::FromDer;

use crate::ids::Serial;
use crate::policy::decide::SubjectWish;
use crate::policy::profile::{ExtendedKeyUsage, KeyUsage};
use crate::x509::certificate::{Certificate, NameConstraints};
use crate::x509::key::{PublicKey, SignatureAlgorithm};
use crate::x509::name::Identifier;

pub use rules::RULES;

/// What the certificate should be.
#[derive(Debug)]
pub struct Expected<'a> {
    /// The certificate of the key that will sign; none for a self-signed root.
    pub issuer: Option<&'a Certificate>,
    /// Further CA certificates above the issuer; the issuer itself may stand there again.
    pub chain: &'a [Certificate],
    /// The key to be certified.
    pub public_key: &'a PublicKey,
    /// The serial number.
    pub serial: &'a Serial,
    /// The longest life allowed, notAfter minus notBefore.
    pub longest_life: Duration,
    /// The addresses it carries.
    pub addresses: Addresses<'a>,
    /// What kind of certificate.
    pub role: Role<'a>,
}

/// Addresses in a certificate.
#[derive(Debug, Clone, Copy, Default)]
pub struct Addresses<'a> {
    /// The issuer's certificate.
    pub ca: &'a [String],
    /// OCSP responders.
    pub ocsp: &'a [String],
    /// CRLs.
    pub crl: &'a [String],
    /// Deltas to them.
    pub freshest: &'a [String],
}

/// What kind of certificate.
#[derive(Debug, Clone, Copy)]
pub enum Role<'a> {
    /// For a device or a server.
    Leaf {
        /// Its names.
        identifiers: &'a [Identifier],
        /// What it may be used for.
        usages: &'a [ExtendedKeyUsage],
        /// What its key is used for, as far as the key can do it; empty for what is usual.
        key_usages: &'a [KeyUsage],
        /// The subject; none when it is one of the names at most.
        subject: Option<&'a SubjectWish>,
        /// Whether servers have to staple an OCSP answer.
        must_staple: bool,
    },
    /// For a responder that signs OCSP answers in the CA's name (OCS-7).
    Responder,
    /// For a CA.
    Ca {
        /// How many CA certificates may stand below it before a leaf.
        path_len: Option<u8>,
        /// What it may issue for.
        name_constraints: Option<&'a NameConstraints>,
    },
}

impl Expected<'_> {
    /// What the issuer's key signs with (X5-14).
    fn signature_algorithm(&self) -> SignatureAlgorithm {
        let key = self.issuer.map_or(self.public_key, Certificate::public_key);
        SignatureAlgorithm::for_issuer(key.algorithm())
    }

    fn above(&self) -> impl Iterator<Item = &Certificate> {
        self.issuer.into_iter().chain(self.chain)
    }
}

/// One rule.
pub struct Rule {
    /// The requirement it comes from and its place there.
    pub id: &'static str,
    /// What must be so.
    pub sentence: &'static str,
    holds: fn(&Facts<'_>) -> bool,
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.id, self.sentence)
    }
}

/// What a rule looks at.
struct Facts<'a> {
    bytes: &'a [u8],
    tbs: TbsCertificate<'a>,
    expected: &'a Expected<'a>,
}

/// The rules that certain bytes break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings(Vec<(&'static str, &'static str)>);

impl Findings {
    /// The ids of the rules that are broken.
    pub fn ids(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|(id, _)| *id)
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (id, sentence)) in self.0.iter().enumerate() {
            write!(f, "{}{id}: {sentence}", if index == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl std::error::Error for Findings {}

/// Checks the DER of a TBSCertificate against every rule.
pub fn lint(tbs: &[u8], expected: &Expected<'_>) -> Result<(), Findings> {
    let unreadable = || Findings(vec![("X5-0", "the bytes are one TBSCertificate and nothing else")]);
    let (rest, parsed) = TbsCertificate::from_der(tbs).map_err(|_| unreadable())?;
    if !rest.is_empty() {
        return Err(unreadable());
    }
    let facts = Facts { bytes: tbs, tbs: parsed, expected };
    let broken = RULES.iter().filter(|rule| !(rule.holds)(&facts)).map(|rule| (rule.id, rule.sentence));
    let findings: Vec<_> = broken.collect();
    if findings.is_empty() { Ok(()) } else { Err(Findings(findings)) }
}

#[cfg(test)]
mod tests;
