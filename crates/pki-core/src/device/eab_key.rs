//! External account keys: each binds one account, once.

use std::time::Duration;

use crate::ids::{AccountId, DeviceId, EabKeyId};
use crate::random::Entropy;
use crate::time::Timestamp;

/// An external account key: what a token carries (RFC 8555 section 7.3.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EabKey {
    /// The `kid` of the binding.
    pub id: EabKeyId,
    /// The device it is for; none binds an ordinary account.
    pub device: Option<DeviceId>,
    /// Where it stands.
    pub state: EabKeyState,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it can no longer be used first; a bound one does not expire.
    pub expires_at: Option<Timestamp>,
}

impl EabKey {
    /// A key that waits for its use; the secret comes sealed.
    pub fn new(
        device: Option<DeviceId>,
        sealed_secret: Vec<u8>,
        lifetime: Option<Duration>,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Self {
        Self::with_id(EabKeyId::random(entropy), device, sealed_secret, lifetime, now)
    }

    /// The same under an id that was drawn before, because the secret was sealed for it.
    pub fn with_id(
        id: EabKeyId,
        device: Option<DeviceId>,
        sealed_secret: Vec<u8>,
        lifetime: Option<Duration>,
        now: Timestamp,
    ) -> Self {
        let state = EabKeyState::Unused { sealed_secret };
        Self { id, device, state, created_at: now, expires_at: lifetime.map(|lifetime| now + lifetime) }
    }

    /// Whether it was never used and is too late now.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        matches!(self.state, EabKeyState::Unused { .. }) && self.expires_at.is_some_and(|end| now >= end)
    }

    /// Spends it on an account, whose binding the caller has verified: by the MAC while the key is unused, by the
    /// account's own signature when it is bound to that account already. The same account again is the same
    /// enrolment, as often as power is cut in between; another one is refused.
    pub fn bind(self, account: AccountId, now: Timestamp) -> Result<Bound, BindRefusal> {
        if self.is_expired(now) {
            return Err(BindRefusal::Expired { at: self.expires_at.unwrap_or(now) });
        }
        match self.state {
            EabKeyState::Unused { .. } => {
                Ok(Bound::Now(Self { state: EabKeyState::Bound { account, at: now }, ..self }))
            }
            EabKeyState::Bound { account: bound, .. } if bound == account => Ok(Bound::Before(self)),
            EabKeyState::Bound { account, .. } => Err(BindRefusal::OtherAccount { account }),
            EabKeyState::Revoked { at } => Err(BindRefusal::Revoked { at }),
        }
    }

    /// Withdrawn, whether used or not; an account that it bound stays bound. Doing it again changes nothing.
    #[must_use]
    pub fn revoke(self, at: Timestamp) -> Self {
        match self.state {
            EabKeyState::Revoked { .. } => self,
            _ => Self { state: EabKeyState::Revoked { at }, ..self },
        }
    }
}

/// What binding came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bound {
    /// Bound by this request; the secret is gone.
    Now(EabKey),
    /// Bound to this account before.
    Before(EabKey),
}

/// Why a key does not bind an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BindRefusal {
    /// It was used by another account: whoever asks now has a copy of it.
    #[error("the key was used by another account already; have a new token made, and find out who used the first")]
    OtherAccount {
        /// Which.
        account: AccountId,
    },
    /// It was withdrawn.
    #[error("the key was withdrawn at {at}; have a new token made")]
    Revoked {
        /// When.
        at: Timestamp,
    },
    /// It waited too long for its first use.
    #[error("the key could be used until {at}; have a new token made")]
    Expired {
        /// Until when.
        at: Timestamp,
    },
}

/// The life of an external account key. The secret is erased when it is bound: a copied database binds nothing.
#[derive(Clone, PartialEq, Eq)]
pub enum EabKeyState {
    /// Waits for its first use.
    Unused {
        /// The HMAC secret, sealed under the site key.
        sealed_secret: Vec<u8>,
    },
    /// Spent on this account; only the same account is recognised again.
    Bound {
        /// The account.
        account: AccountId,
        /// Since when.
        at: Timestamp,
    },
    /// Withdrawn.
    Revoked {
        /// Since when.
        at: Timestamp,
    },
}

impl std::fmt::Debug for EabKeyState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unused { .. } => f.write_str("Unused { sealed_secret: [hidden] }"),
            Self::Bound { account, at } => write!(f, "Bound {{ account: {account}, at: {at} }}"),
            Self::Revoked { at } => write!(f, "Revoked {{ at: {at} }}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SystemEntropy;

    const START: Timestamp = Timestamp::from_unix_seconds(1_000);
    const END: Timestamp = Timestamp::from_unix_seconds(1_060);

    fn key() -> EabKey {
        EabKey::new(None, vec![1, 2, 3], Some(Duration::from_secs(60)), START, &SystemEntropy::new())
    }

    #[test]
    fn a_key_binds_one_account_as_often_as_it_asks() {
        let entropy = SystemEntropy::new();
        let (own, other) = (AccountId::random(&entropy), AccountId::random(&entropy));
        let Ok(Bound::Now(bound)) = key().bind(own, START) else { panic!("an unused key binds") };
        assert_eq!(bound.state, EabKeyState::Bound { account: own, at: START }, "the secret is gone");
        assert_eq!(bound.clone().bind(own, END), Ok(Bound::Before(bound.clone())), "a bound key does not expire");
        assert_eq!(bound.clone().bind(other, START), Err(BindRefusal::OtherAccount { account: own }));
        assert_eq!(bound.revoke(END).bind(own, END), Err(BindRefusal::Revoked { at: END }));
    }

    #[test]
    fn an_unused_key_expires() {
        let account = AccountId::random(&SystemEntropy::new());
        assert_eq!(key().bind(account, END), Err(BindRefusal::Expired { at: END }));
        assert!(key().bind(account, Timestamp::from_unix_millis(END.unix_millis() - 1)).is_ok());
        assert_eq!(key().revoke(START).revoke(END).state, EabKeyState::Revoked { at: START });
        assert!(!format!("{:?}", key()).contains("[1, 2, 3]"), "the secret stays hidden");
    }
}
