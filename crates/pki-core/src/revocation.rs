//! Revocation: reasons and who may give them.

/// CRL reasons this CA knows (RFC 5280 section 5.3.1). `unspecified` is accepted and written as no reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are the RFC's own")]
pub enum Reason {
    Unspecified = 0,
    KeyCompromise = 1,
    CaCompromise = 2,
    AffiliationChanged = 3,
    Superseded = 4,
    CessationOfOperation = 5,
    CertificateHold = 6,
    PrivilegeWithdrawn = 9,
}

impl Reason {
    /// The number of RFC 5280.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// From the number of RFC 5280; none for unused, delta-only and attribute-authority reasons.
    pub const fn from_code(code: i64) -> Option<Self> {
        Some(match code {
            0 => Self::Unspecified,
            1 => Self::KeyCompromise,
            2 => Self::CaCompromise,
            3 => Self::AffiliationChanged,
            4 => Self::Superseded,
            5 => Self::CessationOfOperation,
            6 => Self::CertificateHold,
            9 => Self::PrivilegeWithdrawn,
            _ => return None,
        })
    }

    /// Whether an ACME client may give it (RFC 8555 section 7.6; the others are for administrators).
    pub const fn is_for_clients(self) -> bool {
        matches!(
            self,
            Self::Unspecified | Self::KeyCompromise | Self::AffiliationChanged | Self::Superseded | Self::CessationOfOperation
        )
    }
}
