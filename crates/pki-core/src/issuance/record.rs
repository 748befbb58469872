//! What is remembered of a certificate, from before its key is used to long after its end.

use crate::ids::{AccountId, CertificateId, DeviceId, IssuerId, LineageId, OrderId, ProfileName, Serial, SiteName};
use crate::policy::Commit;
use crate::revocation::Reason;
use crate::time::Timestamp;
use crate::x509::name::Identifier;

/// One certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateRecord {
    /// Identifier, part of its URL.
    pub id: CertificateId,
    /// The key that signs it.
    pub issuer: IssuerId,
    /// Unique under its issuer.
    pub serial: Serial,
    /// Whose site.
    pub site: SiteName,
    /// Whose device, if one.
    pub device: Option<DeviceId>,
    /// Which account asked, if one.
    pub account: Option<AccountId>,
    /// Which order it fulfils, if one.
    pub order: Option<OrderId>,
    /// By which door it was asked for.
    pub source: Source,
    /// The profile it was issued by.
    pub profile: ProfileName,
    /// The policy it was decided under: a hash of all profiles.
    pub policy_revision: String,
    /// The commit that policy was taken from, when its source said one.
    pub policy_commit: Option<Commit>,
    /// Raised by every restore of a backup.
    pub epoch: i64,
    /// The names in it.
    pub identifiers: Vec<Identifier>,
    /// SHA-256 of its SubjectPublicKeyInfo in DER.
    pub spki_sha256: [u8; 32],
    /// First second of its life.
    pub not_before: Timestamp,
    /// Last second of its life.
    pub not_after: Timestamp,
    /// The succession it belongs to.
    pub lineage: LineageId,
    /// Its place in the succession, from 1.
    pub generation: u32,
    /// The certificate it replaces.
    pub predecessor: Option<CertificateId>,
    /// When its holder was first seen using it.
    pub confirmed_at: Option<Timestamp>,
    /// The CRL shard it will appear on when it is revoked; fixed for ever.
    pub shard: u32,
    /// The CRL addresses in it, byte for byte.
    pub crl_urls: Vec<String>,
    /// Where it stands.
    pub state: CertificateState,
    /// When it was planned.
    pub created_at: Timestamp,
    /// Raised by every change; each UPDATE repeats the version it was decided on.
    pub version: i64,
}

/// The life of a certificate. A plan is never voided: what was once recorded is signed, now or after a crash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateState {
    /// To be signed: exactly these bytes.
    Planned {
        /// DER of the TBSCertificate.
        tbs: Vec<u8>,
    },
    /// Signed and verified.
    Issued {
        /// DER of the certificate.
        der: Vec<u8>,
    },
    /// Signed, and taken back.
    Revoked {
        /// DER of the certificate.
        der: Vec<u8>,
        /// When and why.
        revocation: Revocation,
    },
}

impl CertificateState {
    /// DER of the certificate, once it is signed.
    pub fn der(&self) -> Option<&[u8]> {
        match self {
            Self::Planned { .. } => None,
            Self::Issued { der } | Self::Revoked { der, .. } => Some(der),
        }
    }
}

/// A revocation as CRLs and OCSP answers tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// When.
    pub at: Timestamp,
    /// Why; none when nobody said.
    pub reason: Option<Reason>,
}

/// The door a certificate was asked for at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// ACME (RFC 8555).
    Acme,
    /// The JSON API, and the CA itself.
    Api,
    /// EST (RFC 7030).
    Est,
    /// A key ceremony: CA certificates.
    Ceremony,
    /// Issued elsewhere and only remembered here.
    Imported,
}

impl Source {
    /// The stored form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Acme => "acme",
            Self::Api => "api",
            Self::Est => "est",
            Self::Ceremony => "ceremony",
            Self::Imported => "imported",
        }
    }
}
