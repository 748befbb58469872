//! Work that a transaction owes: written in the same transaction, done by a job (`crate::jobs`).

use pki_core::acme::jwk::Thumbprint;
use pki_core::ids::{CertificateId, ChallengeId, DeviceId, IssuerId, JobId, ResponderId};
use pki_core::revocation::Reason;
use pki_core::time::Timestamp;
use store::jobs::{self, Job, Lease, NewJob};
use store::{StoreError, Tx};

/// What there is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Look whether a challenge is answered; the key that signed the client's word counts beside the current one.
    ValidateChallenge(ChallengeId, Option<Thumbprint>),
    /// Sign and release a certificate that was recorded.
    FinishIssuance(CertificateId),
    /// Sign the certificate of an OCSP responder.
    SignResponder(ResponderId),
    /// Publish the revocation lists of an issuing key. Servers of older versions write it down; here the numbers of
    /// revocations tell what is owed (docs/adr/0012).
    PublishCrl(IssuerId),
    /// Revoke what certificates are left of a device that was taken out of service.
    RevokeDevice(DeviceId, Reason),
}

impl Work {
    /// The stored form.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::ValidateChallenge(..) => "validate-challenge",
            Self::FinishIssuance(_) => "finish-issuance",
            Self::SignResponder(_) => "sign-ocsp-responder",
            Self::PublishCrl(_) => "publish-crl",
            Self::RevokeDevice(..) => "revoke-device",
        }
    }

    fn subject(self) -> String {
        match self {
            Self::ValidateChallenge(id, None) => id.to_string(),
            Self::ValidateChallenge(id, Some(key)) => format!("{id} {key}"),
            Self::FinishIssuance(id) => id.to_string(),
            Self::SignResponder(id) => id.to_string(),
            Self::PublishCrl(id) => id.to_string(),
            Self::RevokeDevice(id, reason) => format!("{id} {}", reason.name()),
        }
    }

    /// What a stored job is about; none for a kind that this version does not know.
    pub fn of(job: &Job) -> Option<Self> {
        match job.kind.as_str() {
            "validate-challenge" => {
                let (id, key) = job.subject.split_once(' ').unwrap_or((&job.subject, ""));
                id.parse().ok().map(|id| Self::ValidateChallenge(id, key.parse().ok()))
            }
            "finish-issuance" => job.subject.parse().ok().map(Self::FinishIssuance),
            "sign-ocsp-responder" => job.subject.parse().ok().map(Self::SignResponder),
            "publish-crl" => job.subject.parse().ok().map(Self::PublishCrl),
            "revoke-device" => {
                let (id, reason) = job.subject.split_once(' ')?;
                Some(Self::RevokeDevice(id.parse().ok()?, Reason::from_name(reason)?))
            }
            _ => None,
        }
    }

    /// The job's id follows from its subject: the transaction that makes the work superfluous knows what to delete.
    fn id(self) -> Option<JobId> {
        match self {
            Self::ValidateChallenge(id, _) => Some(id.job()),
            Self::FinishIssuance(id) => id.to_string().parse().ok(),
            Self::SignResponder(id) => id.to_string().parse().ok(),
            Self::PublishCrl(id) => id.to_string().parse().ok(),
            Self::RevokeDevice(id, _) => id.to_string().parse().ok(),
        }
    }

    /// Writes the work down, to be done at `run_at` or later.
    pub(super) async fn owe(self, tx: &mut Tx<'_>, run_at: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        let Some(id) = self.id() else { return Ok(()) };
        let subject = self.subject();
        let job = NewJob { id, kind: self.kind(), subject: &subject, run_at, created_at: now, lease: None };
        jobs::insert(tx, &job).await
    }

    /// As [`Self::begin`], for work that is owed anew while an older one of the same subject may be under way.
    pub(super) async fn begin_as(
        self,
        tx: &mut Tx<'_>,
        id: JobId,
        lease: &Lease,
        now: Timestamp,
    ) -> Result<Job, StoreError> {
        let (kind, subject) = (self.kind(), self.subject());
        let job = NewJob { id, kind, subject: &subject, run_at: now, created_at: now, lease: Some(lease) };
        jobs::insert(tx, &job).await?;
        Ok(Job { id, kind: kind.to_owned(), subject, attempts: 1, created_at: now, last_error: None })
    }

    /// Writes the work down as this process's own, to be begun right after the commit; the job, as if it had been claimed.
    pub(super) async fn begin(self, tx: &mut Tx<'_>, lease: &Lease, now: Timestamp) -> Result<Option<Job>, StoreError> {
        let Some(id) = self.id() else { return Ok(None) };
        let (kind, subject) = (self.kind(), self.subject());
        let job = NewJob { id, kind, subject: &subject, run_at: now, created_at: now, lease: Some(lease) };
        jobs::insert(tx, &job).await?;
        Ok(Some(Job { id, kind: kind.to_owned(), subject, attempts: 1, created_at: now, last_error: None }))
    }

    /// Crosses the work out.
    pub(super) async fn done(self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        match self.id() {
            Some(id) => jobs::finish(tx, id).await,
            None => Ok(()),
        }
    }
}
