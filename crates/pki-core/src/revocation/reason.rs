//! The reasons of RFC 5280 section 5.3.1.

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

    /// The name of RFC 5280, as `keyCompromise`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "keyCompromise",
            Self::CaCompromise => "cACompromise",
            Self::AffiliationChanged => "affiliationChanged",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessationOfOperation",
            Self::CertificateHold => "certificateHold",
            Self::PrivilegeWithdrawn => "privilegeWithdrawn",
        }
    }

    /// The name of what is given; none is `unspecified`, which is written as no reason.
    pub fn name_of(given: Option<Self>) -> &'static str {
        given.unwrap_or(Self::Unspecified).name()
    }

    /// From the name of RFC 5280, in whatever case.
    pub fn from_name(name: &str) -> Option<Self> {
        (0..=9).filter_map(Self::from_code).find(|reason| reason.name().eq_ignore_ascii_case(name))
    }

    /// Whether an ACME client may give it (RFC 8555 section 7.6; the others are for administrators).
    pub const fn is_for_clients(self) -> bool {
        matches!(
            self,
            Self::Unspecified
                | Self::KeyCompromise
                | Self::AffiliationChanged
                | Self::Superseded
                | Self::CessationOfOperation
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_have_names() {
        for reason in (0..=9).filter_map(Reason::from_code) {
            assert_eq!(Reason::from_name(reason.name()), Some(reason));
            assert_eq!(Reason::from_code(i64::from(reason.code())), Some(reason));
        }
        assert_eq!(Reason::from_name("keycompromise"), Some(Reason::KeyCompromise));
        assert_eq!(Reason::from_name("unknown"), None);
    }
}
