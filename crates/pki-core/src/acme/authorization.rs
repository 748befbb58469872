//! Authorizations (RFC 8555 section 7.1.4).

use std::time::Duration;

use crate::acme::challenge::{Challenge, ChallengeKind, ChallengeState};
use crate::acme::problem::Problem;
use crate::ids::{AccountId, AuthorizationId, ChallengeId};
use crate::random::Entropy;
use crate::time::Timestamp;
use crate::transition::IllegalTransition;
use crate::x509::name::Identifier;

/// An account's permission for one identifier, asked for or given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization {
    /// Identifier, part of its URL.
    pub id: AuthorizationId,
    /// Whose permission it is.
    pub account: AccountId,
    /// For what; a wildcard keeps its `*.` here and loses it on the wire.
    pub identifier: Identifier,
    /// Where it stands.
    pub status: AuthorizationStatus,
    /// What makes or made it valid.
    pub proof: Proof,
    /// The ways to prove control; none when the proof is the device record.
    pub challenges: Vec<Challenge>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it dies, valid or not.
    pub expires_at: Timestamp,
    /// Raised by every change; each UPDATE repeats the version it was decided on.
    pub version: i64,
}

/// What to begin with.
#[derive(Debug, Clone)]
pub struct NewAuthorization<'a> {
    /// Whose permission it is.
    pub account: AccountId,
    /// For what.
    pub identifier: Identifier,
    /// What makes it valid; the device record does at once.
    pub proof: Proof,
    /// The kinds of challenges the profile accepts.
    pub challenges: &'a [ChallengeKind],
    /// How long it lives, valid or not.
    pub lifetime: Duration,
}

/// What a client's word that it is ready comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// Validation begins: there is a job to make.
    Begun(Authorization),
    /// It had begun or ended before; the client is shown how it stands (CHL-3).
    Unchanged(Authorization),
}

impl Authorization {
    /// Valid at once when the device record proves it, otherwise pending with every kind of challenge that can say
    /// anything about the identifier (CHL-8).
    pub fn new(request: NewAuthorization<'_>, now: Timestamp, entropy: &dyn Entropy) -> Self {
        let id = AuthorizationId::new(now, entropy);
        let (status, kinds) = match request.proof {
            Proof::Device => (AuthorizationStatus::Valid, &[][..]),
            Proof::Challenge => (AuthorizationStatus::Pending, request.challenges),
        };
        let fitting = kinds.iter().filter(|kind| kind.can_prove(&request.identifier));
        Self {
            id,
            account: request.account,
            challenges: (0..=u8::MAX)
                .zip(fitting)
                .map(|(place, kind)| Challenge::new(ChallengeId::new(id, place), *kind, entropy))
                .collect(),
            identifier: request.identifier,
            status,
            proof: request.proof,
            created_at: now,
            expires_at: now + request.lifetime,
            version: 0,
        }
    }

    /// What it is worth now: an expired one is invalid, whether or not anybody wrote that down yet.
    pub fn status_at(&self, now: Timestamp) -> AuthorizationStatus {
        match self.status {
            AuthorizationStatus::Pending | AuthorizationStatus::Valid if now >= self.expires_at => {
                AuthorizationStatus::Invalid
            }
            status => status,
        }
    }

    /// The challenges a client is shown: what decided it, once it is decided (AUZ-3: regular-expression clients take
    /// any `pending` in the text for the state of the whole).
    pub fn shown_challenges(&self) -> impl Iterator<Item = &Challenge> {
        let decisive = |challenge: &Challenge| match self.status {
            AuthorizationStatus::Valid => matches!(challenge.state, ChallengeState::Valid { .. }),
            AuthorizationStatus::Invalid => matches!(challenge.state, ChallengeState::Invalid { .. }),
            _ => false,
        };
        let decided = self.challenges.iter().any(decisive);
        self.challenges.iter().filter(move |challenge| !decided || decisive(challenge))
    }

    /// The challenge of that id.
    pub fn challenge(&self, id: ChallengeId) -> Option<&Challenge> {
        self.challenges.iter().find(|challenge| challenge.id == id)
    }

    /// Why it is invalid, when a challenge failed.
    pub fn error(&self) -> Option<&Problem> {
        self.challenges.iter().find_map(|challenge| match &challenge.state {
            ChallengeState::Invalid { error } => Some(error),
            _ => None,
        })
    }

    /// The client says that it is ready for this challenge. Saying it again changes nothing and is no error (CHL-3).
    pub fn respond(self, id: ChallengeId, now: Timestamp) -> Result<Response, IllegalTransition> {
        let state = self.challenge(id).map(|challenge| &challenge.state).ok_or_else(|| unknown("answered"))?;
        if *state != ChallengeState::Pending || self.status_at(now) != AuthorizationStatus::Pending {
            return Ok(Response::Unchanged(self));
        }
        self.change(id, Challenge::begin).map(Response::Begun)
    }

    /// Validation saw control: challenge and authorization are valid from here on, together.
    pub fn succeed(self, id: ChallengeId, now: Timestamp) -> Result<Self, IllegalTransition> {
        self.must_be_pending(now, "validated")?;
        let changed = self.change(id, |challenge| challenge.succeed(now))?;
        Ok(Self { status: AuthorizationStatus::Valid, ..changed })
    }

    /// What was seen sets itself an end: the authorization ends then, or at its own end before.
    #[must_use]
    pub fn at_most_until(self, end: Timestamp) -> Self {
        Self { expires_at: self.expires_at.min(end), ..self }
    }

    /// Validation saw something else: challenge and authorization are invalid from here on, together.
    pub fn fail(self, id: ChallengeId, error: Problem) -> Result<Self, IllegalTransition> {
        if self.status != AuthorizationStatus::Pending {
            return Err(self.status.illegal("failed"));
        }
        let changed = self.change(id, |challenge| challenge.fail(error))?;
        Ok(Self { status: AuthorizationStatus::Invalid, ..changed })
    }

    /// The account gives it up (AUZ-5). Doing it again changes nothing.
    pub fn deactivate(self) -> Result<Self, IllegalTransition> {
        match self.status {
            AuthorizationStatus::Pending | AuthorizationStatus::Valid | AuthorizationStatus::Deactivated => {
                Ok(Self { status: AuthorizationStatus::Deactivated, ..self })
            }
            status => Err(status.illegal("deactivated")),
        }
    }

    /// An administrator, or the end of its account or device, takes it away.
    pub fn revoke(self) -> Result<Self, IllegalTransition> {
        match self.status {
            AuthorizationStatus::Pending | AuthorizationStatus::Valid => {
                Ok(Self { status: AuthorizationStatus::Revoked, ..self })
            }
            status => Err(status.illegal("revoked")),
        }
    }

    /// Writes down what [`Self::status_at`] tells.
    #[must_use]
    pub fn expire(self, now: Timestamp) -> Self {
        Self { status: self.status_at(now), ..self }
    }

    fn must_be_pending(&self, now: Timestamp, event: &'static str) -> Result<(), IllegalTransition> {
        match self.status_at(now) {
            AuthorizationStatus::Pending => Ok(()),
            status => Err(status.illegal(event)),
        }
    }

    fn change(
        mut self,
        id: ChallengeId,
        event: impl FnOnce(Challenge) -> Result<Challenge, IllegalTransition>,
    ) -> Result<Self, IllegalTransition> {
        let found =
            self.challenges.iter_mut().find(|challenge| challenge.id == id).ok_or_else(|| unknown("changed"))?;
        *found = event(found.clone())?;
        Ok(self)
    }
}

fn unknown(event: &'static str) -> IllegalTransition {
    IllegalTransition { thing: "the challenge", state: "not part of this authorization", event }
}

/// RFC 8555 section 7.1.6, without `expired`: clients know no such word, an expired authorization reads `invalid`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthorizationStatus {
    /// No challenge has succeeded yet.
    Pending,
    /// Control is proven.
    Valid,
    /// A challenge failed, or time ran out.
    Invalid,
    /// Given up by the account.
    Deactivated,
    /// Taken away.
    Revoked,
}

impl AuthorizationStatus {
    /// The word of RFC 8555, also the stored form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Valid => "valid",
            Self::Invalid => "invalid",
            Self::Deactivated => "deactivated",
            Self::Revoked => "revoked",
        }
    }

    fn illegal(self, event: &'static str) -> IllegalTransition {
        IllegalTransition { thing: "the authorization", state: self.as_str(), event }
    }
}

/// Where the permission comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// A challenge that the CA validates itself.
    Challenge,
    /// The record of the device that the account is bound to. Decided anew at finalize, and worth nothing for
    /// revoking somebody else's certificate.
    Device,
}

#[cfg(test)]
#[path = "authorization_tests.rs"]
mod tests;
