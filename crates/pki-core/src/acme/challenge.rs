//! Challenges (RFC 8555 section 8).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::acme::problem::Problem;
use crate::ids::ChallengeId;
use crate::random::{self, Entropy};
use crate::time::Timestamp;
use crate::transition::IllegalTransition;
use crate::x509::name::Identifier;

/// One way to prove control of an identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// Identifier, part of its URL.
    pub id: ChallengeId,
    /// How.
    pub kind: ChallengeKind,
    /// At least 128 random bits in base64url (section 11.3).
    pub token: String,
    /// Where it stands.
    pub state: ChallengeState,
}

impl Challenge {
    /// A challenge with a fresh token of 256 bits (CHL-7).
    pub fn new(id: ChallengeId, kind: ChallengeKind, entropy: &dyn Entropy) -> Self {
        let token = URL_SAFE_NO_PAD.encode(random::bytes::<32>(entropy));
        Self { id, kind, token, state: ChallengeState::Pending }
    }

    /// The client is ready: validation begins.
    pub fn begin(self) -> Result<Self, IllegalTransition> {
        match self.state {
            ChallengeState::Pending => Ok(Self { state: ChallengeState::Processing, ..self }),
            state => Err(state.illegal("begun")),
        }
    }

    /// Control was seen.
    pub fn succeed(self, at: Timestamp) -> Result<Self, IllegalTransition> {
        match self.state {
            ChallengeState::Processing => Ok(Self { state: ChallengeState::Valid { at }, ..self }),
            state => Err(state.illegal("validated")),
        }
    }

    /// Control was not seen, for good.
    pub fn fail(self, error: Problem) -> Result<Self, IllegalTransition> {
        match self.state {
            ChallengeState::Processing => Ok(Self { state: ChallengeState::Invalid { error }, ..self }),
            state => Err(state.illegal("failed")),
        }
    }
}

/// The ways this CA knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChallengeKind {
    /// A file served over HTTP (section 8.3).
    Http01,
    /// A TXT record (section 8.4).
    Dns01,
    /// A self-signed certificate (RFC 8737).
    TlsAlpn01,
    /// A TXT record at a name of the account's own (draft-ietf-acme-dns-account-label).
    DnsAccount01,
    /// A TXT record that stays (draft-ietf-acme-dns-persist).
    DnsPersist01,
}

impl ChallengeKind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Http01, Self::Dns01, Self::TlsAlpn01, Self::DnsAccount01, Self::DnsPersist01];

    /// The word of the RFC, also the stored form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http01 => "http-01",
            Self::Dns01 => "dns-01",
            Self::TlsAlpn01 => "tls-alpn-01",
            Self::DnsAccount01 => "dns-account-01",
            Self::DnsPersist01 => "dns-persist-01",
        }
    }

    /// From the word of the RFC.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Whether it says anything about this identifier (CHL-8): wildcards are proven in the DNS only, addresses are
    /// not in the DNS (RFC 8555 section 8.3, RFC 8738 sections 5 to 7).
    pub fn can_prove(self, identifier: &Identifier) -> bool {
        match self {
            Self::Http01 | Self::TlsAlpn01 => identifier.is_orderable() && !identifier.is_wildcard(),
            Self::Dns01 | Self::DnsAccount01 | Self::DnsPersist01 => matches!(identifier, Identifier::Dns(_)),
        }
    }

    /// Whether clients are shown the token: a record that stays proves the account by its URL (CHL-7).
    pub const fn shows_token(self) -> bool {
        !matches!(self, Self::DnsPersist01)
    }
}

/// RFC 8555 section 7.1.6.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChallengeState {
    /// Waits for the client to say that it is ready.
    Pending,
    /// The client said so; a job validates.
    Processing,
    /// Control was seen.
    Valid {
        /// When.
        at: Timestamp,
    },
    /// Control was not seen.
    Invalid {
        /// What was seen instead.
        error: Problem,
    },
}

impl ChallengeState {
    /// The word of RFC 8555.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Valid { .. } => "valid",
            Self::Invalid { .. } => "invalid",
        }
    }

    fn illegal(&self, event: &'static str) -> IllegalTransition {
        IllegalTransition { thing: "the challenge", state: self.as_str(), event }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acme::problem::ProblemKind;
    use crate::ids::AuthorizationId;
    use crate::random::SystemEntropy;

    #[test]
    fn each_state_allows_its_own_events_only() {
        let at = Timestamp::from_unix_seconds(9);
        let error = Problem::new(ProblemKind::Connection, "refused");
        let states = [
            ChallengeState::Pending,
            ChallengeState::Processing,
            ChallengeState::Valid { at },
            ChallengeState::Invalid { error: error.clone() },
        ];
        let challenge = |state: &ChallengeState| {
            let entropy = SystemEntropy::new();
            let id = ChallengeId::new(AuthorizationId::random(&entropy), 0);
            let new = Challenge::new(id, ChallengeKind::Http01, &entropy);
            Challenge { state: state.clone(), ..new }
        };
        for state in &states {
            let legal = |wanted: &str| state.as_str() == wanted;
            assert_eq!(challenge(state).begin().is_ok(), legal("pending"), "begin {state:?}");
            assert_eq!(challenge(state).succeed(at).is_ok(), legal("processing"), "succeed {state:?}");
            assert_eq!(challenge(state).fail(error.clone()).is_ok(), legal("processing"), "fail {state:?}");
        }
        assert_eq!(
            challenge(&states[2]).begin().unwrap_err().to_string(),
            "the challenge is valid and can not be begun"
        );
    }

    /// CHL-7, CHL-8.
    #[test]
    fn tokens_are_long_and_kinds_fit_their_identifiers() {
        let entropy = SystemEntropy::new();
        let id = ChallengeId::new(AuthorizationId::random(&entropy), 0);
        let new = || Challenge::new(id, ChallengeKind::Dns01, &entropy);
        assert_eq!(new().token.len(), 43);
        assert_ne!(new().token, new().token);
        let (plain, wild) =
            (Identifier::parse("dns", "a.test").unwrap(), Identifier::parse("dns", "*.a.test").unwrap());
        let address = Identifier::parse("ip", "10.0.0.1").unwrap();
        for (kind, expected) in [
            (ChallengeKind::Http01, [true, false, true]),
            (ChallengeKind::Dns01, [true, true, false]),
            (ChallengeKind::TlsAlpn01, [true, false, true]),
            (ChallengeKind::DnsAccount01, [true, true, false]),
            (ChallengeKind::DnsPersist01, [true, true, false]),
        ] {
            assert_eq!([&plain, &wild, &address].map(|identifier| kind.can_prove(identifier)), expected, "{kind:?}");
            assert_eq!(ChallengeKind::from_name(kind.as_str()), Some(kind));
        }
    }
}
