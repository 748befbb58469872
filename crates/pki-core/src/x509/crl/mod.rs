//! Certificate revocation lists (RFC 5280 section 5): planned, sealed, read back.
//!
//! [`CrlPlan::tbs`] gives the bytes to be signed; [`seal`] puts the signature to them and checks the result with two
//! parsers, as with certificates; `read` is the reader.

mod read;

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280 as oid;
use der::Encode;
use der::asn1::{Ia5String, OctetString};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::AuthorityKeyIdentifier;
use x509_cert::ext::pkix::crl::dp::IssuingDistributionPoint;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use x509_parser::prelude::{CertificateRevocationList, FromDer};

use crate::ids::Serial;
use crate::revocation::Reason;
use crate::time::Timestamp;
use crate::x509::certificate::Certificate;
use crate::x509::encoding;
use crate::x509::key::{KeyError, SignatureAlgorithm};

pub use read::Crl;

/// More octets than a list of a million certificates has.
pub const MAX_CRL: usize = 64 * 1024 * 1024;

/// A list to be signed.
#[derive(Debug, Clone)]
pub struct CrlPlan<'a> {
    /// The CA whose certificates it is about, and whose key signs it.
    pub issuer: &'a Certificate,
    /// Greater than that of every earlier list of this scope.
    pub number: u64,
    /// When it is made.
    pub this_update: Timestamp,
    /// When there will be a newer one at the latest.
    pub next_update: Timestamp,
    /// Which certificates it is about.
    pub scope: CrlScope,
    /// The revoked ones, in any order.
    pub entries: Vec<CrlEntry>,
}

/// Which certificates a list is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CrlScope {
    /// All of the CA.
    Complete,
    /// Leaves that carry this address, byte for byte (CRL-3).
    Shard {
        /// The address in the leaves.
        url: String,
    },
    /// CA certificates (CRL-4).
    CaOnly,
}

/// One revoked certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrlEntry {
    /// Its serial number.
    pub serial: Serial,
    /// Since when.
    pub at: Timestamp,
    /// Why; none when nobody said.
    pub reason: Option<Reason>,
}

/// Why there is no such list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CrlError {
    /// Longer than anything that is read.
    #[error("the CRL is longer than 64 MiB")]
    TooLong,
    /// Not DER, or not a CRL of the kind made here.
    #[error("the CRL cannot be read: {0} is not as RFC 5280 has it")]
    Malformed(&'static str),
    /// The plan makes no sense.
    #[error("the CRL cannot be planned: {0}")]
    Plan(String),
    /// Something that no DER can hold.
    #[error("the CRL cannot be encoded ({0}); this is a fault of the CA")]
    Encoding(der::Error),
    /// It was signed with something obsolete, or not by this key.
    #[error("the signature on the CRL is not good: {0}")]
    Signature(#[from] KeyError),
    /// The second parser refuses it, or sees something else.
    #[error("two parsers do not agree on the signed CRL ({0}); it is not published")]
    Disagreement(&'static str),
}

impl From<der::Error> for CrlError {
    fn from(error: der::Error) -> Self {
        Self::Encoding(error)
    }
}

impl CrlPlan<'_> {
    /// What it is to be signed with.
    pub fn signature_algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::for_issuer(self.issuer.public_key().algorithm())
    }

    /// DER of the TBSCertList. Entries are sorted by serial number, so that lists can be compared (CRL-5).
    pub fn tbs(&self) -> Result<Vec<u8>, CrlError> {
        self.check()?;
        let mut parts = vec![
            1_u8.to_der()?,
            self.signature_algorithm().identifier_der(),
            self.issuer.subject_der().to_vec(),
            encoding::time(self.this_update)?,
            encoding::time(self.next_update)?,
        ];
        // An empty list is left out (CRL-1): `revokedCertificates` has at least one element.
        if !self.entries.is_empty() {
            parts.push(self.revoked()?);
        }
        parts.push(encoding::explicit(0, &self.extensions()?.to_der()?)?);
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        Ok(encoding::sequence(&parts)?)
    }

    fn check(&self) -> Result<(), CrlError> {
        let plan = |reason: String| Err(CrlError::Plan(reason));
        if !self.issuer.may_sign() {
            return plan("its issuer has no CA certificate that may sign CRLs".to_owned());
        }
        if self.number == 0 {
            return plan("its number is 0; numbers begin with 1".to_owned());
        }
        if self.next_update.whole_seconds() <= self.this_update.whole_seconds() {
            return plan(format!(
                "the next update ({}) is not after this one ({})",
                self.next_update, self.this_update
            ));
        }
        match &self.scope {
            CrlScope::Shard { url }
                if !url.starts_with("http://") || !url.bytes().all(|byte| byte.is_ascii_graphic()) =>
            {
                plan(format!("`{url}` is no http:// address"))
            }
            _ => Ok(()),
        }
    }

    fn revoked(&self) -> Result<Vec<u8>, CrlError> {
        let mut sorted: Vec<&CrlEntry> = self.entries.iter().collect();
        sorted.sort_by(|one, other| by_number(&one.serial, &other.serial));
        let mut previous: Option<&Serial> = None;
        let mut list = Vec::with_capacity(sorted.len().saturating_mul(40));
        for entry in sorted {
            if previous == Some(&entry.serial) {
                return Err(CrlError::Plan(format!("the serial number {} stands there twice", entry.serial)));
            }
            previous = Some(&entry.serial);
            list.extend(entry.to_der()?);
        }
        Ok(encoding::sequence(&[&list])?)
    }

    fn extensions(&self) -> Result<Vec<Extension>, der::Error> {
        let computed = self.issuer.public_key().key_identifier();
        // The issuer's own subject key identifier; x509-cert's builder writes that of the CA above (protocols 0.13).
        let identifier = self.issuer.subject_key_identifier().unwrap_or(&computed);
        let authority =
            AuthorityKeyIdentifier { key_identifier: Some(OctetString::new(identifier)?), ..Default::default() };
        let number = encoding::unsigned(&self.number.to_be_bytes())?;
        let mut extensions = vec![
            extension(oid::ID_CE_AUTHORITY_KEY_IDENTIFIER, false, authority.to_der()?)?,
            extension(oid::ID_CE_CRL_NUMBER, false, number)?,
        ];
        if let Some(point) = self.scope.distribution_point()? {
            extensions.push(extension(oid::ID_CE_ISSUING_DISTRIBUTION_POINT, true, point.to_der()?)?);
        }
        Ok(extensions)
    }
}

/// Serial numbers have no leading zeros, so the longer one is the greater.
fn by_number(one: &Serial, other: &Serial) -> std::cmp::Ordering {
    one.octets().len().cmp(&other.octets().len()).then_with(|| one.cmp(other))
}

impl CrlScope {
    fn distribution_point(&self) -> Result<Option<IssuingDistributionPoint>, der::Error> {
        let mut point = IssuingDistributionPoint {
            distribution_point: None,
            only_contains_user_certs: false,
            only_contains_ca_certs: false,
            only_some_reasons: None,
            indirect_crl: false,
            only_contains_attribute_certs: false,
        };
        match self {
            Self::Complete => return Ok(None),
            Self::CaOnly => point.only_contains_ca_certs = true,
            Self::Shard { url } => {
                let name = GeneralName::UniformResourceIdentifier(Ia5String::new(url)?);
                point.distribution_point = Some(DistributionPointName::FullName(vec![name]));
                point.only_contains_user_certs = true;
            }
        }
        Ok(Some(point))
    }
}

impl CrlEntry {
    /// The reason stands there only when it says something (CRL-5).
    fn to_der(&self) -> Result<Vec<u8>, der::Error> {
        let mut parts = [encoding::unsigned(self.serial.octets())?, encoding::time(self.at)?].concat();
        if let Some(reason) = self.reason.filter(|reason| *reason != Reason::Unspecified) {
            let code = [0x0a, 0x01, reason.code()];
            parts.extend(vec![extension(oid::ID_CE_CRL_REASONS, false, code.to_vec())?].to_der()?);
        }
        encoding::sequence(&[&parts])
    }
}

fn extension(oid: ObjectIdentifier, critical: bool, value: Vec<u8>) -> Result<Extension, der::Error> {
    Ok(Extension { extn_id: oid, critical, extn_value: OctetString::new(value)? })
}

/// Puts planned bytes and signature together and checks the result.
pub fn seal(
    tbs: &[u8],
    algorithm: SignatureAlgorithm,
    signature: &[u8],
    issuer: &Certificate,
) -> Result<Crl, CrlError> {
    let der = encoding::sequence(&[tbs, &algorithm.identifier_der(), &encoding::bit_string(signature)?])?;
    let crl = Crl::parse(&der)?;
    crl.verify_signed_by(issuer.public_key())?;
    compare(&der, &crl, issuer)?;
    Ok(crl)
}

fn compare(der: &[u8], ours: &Crl, issuer: &Certificate) -> Result<(), CrlError> {
    let (rest, theirs) =
        CertificateRevocationList::from_der(der).map_err(|_| CrlError::Disagreement("one cannot read it"))?;
    let entries = ours.entries()?;
    let same_entries = theirs.iter_revoked_certificates().zip(&entries).all(|(their, our)| {
        let code = their.reason_code().map(|(_, code)| i64::from(code.0));
        their.serial().to_bytes_be() == our.serial.octets()
            && their.revocation_date.timestamp() == our.at.unix_seconds()
            && code == our.reason.map(|reason| i64::from(reason.code()))
    });
    let increasing = entries.windows(2).all(|pair| match pair {
        [one, other] => by_number(&one.serial, &other.serial).is_lt(),
        _ => true,
    });
    let same = [
        ("the end", rest.is_empty()),
        ("the issuer", theirs.issuer().as_raw() == ours.issuer_der() && ours.issuer_der() == issuer.subject_der()),
        ("the number", theirs.crl_number().is_some_and(|number| *number == ours.number().into())),
        ("this update", theirs.last_update().timestamp() == ours.this_update().unix_seconds()),
        ("the next update", theirs.next_update().map(|at| at.timestamp()) == Some(ours.next_update().unix_seconds())),
        ("the number of entries", theirs.iter_revoked_certificates().count() == entries.len()),
        ("the entries", same_entries && increasing),
    ];
    match same.into_iter().find(|(_, equal)| !equal) {
        Some((what, _)) => Err(CrlError::Disagreement(what)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
