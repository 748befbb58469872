//! Revocation and release by administrators: what it comes to for one certificate.
//!
//! A certificate on hold is either released, as if it had never been held, or becomes revoked for good with the date of
//! its hold (protocols CRL-7). What is revoked for good stays so; its reason may only become keyCompromise.

use super::Reason;
use crate::acme::problem::Problem;
use crate::issuance::record::{CertificateState, Revocation};
use crate::time::Timestamp;

/// Where a certificate stands, without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Recorded, and about to be signed.
    Planned,
    /// Signed, and not taken back.
    InForce,
    /// Taken back.
    Revoked(Revocation),
}

impl From<&CertificateState> for Status {
    fn from(state: &CertificateState) -> Self {
        match state {
            CertificateState::Planned { .. } => Self::Planned,
            CertificateState::Issued { .. } => Self::InForce,
            CertificateState::Revoked { revocation, .. } => Self::Revoked(revocation.clone()),
        }
    }
}

/// What revoking comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// It is revoked so from now on.
    Revoke(Revocation),
    /// It was revoked before, and stays so.
    Already(Revocation),
    /// It was revoked for good before and can not be held.
    TooLateToHold(Revocation),
    /// It ended then: nobody accepts it any more.
    Expired(Timestamp),
    /// It is about to be signed; it can be revoked then.
    UnderWay,
}

/// What revoking does to a certificate that ends at `not_after`. One that has ended is only taken up when its key was
/// compromised: such keys are not certified again.
pub fn step(status: &Status, not_after: Timestamp, reason: Option<Reason>, now: Timestamp) -> Step {
    let compromised = reason == Some(Reason::KeyCompromise);
    match status {
        Status::Planned => Step::UnderWay,
        Status::InForce if not_after < now && !compromised => Step::Expired(not_after),
        Status::InForce => Step::Revoke(Revocation { at: now, reason }),
        Status::Revoked(before) => {
            let held = before.reason == Some(Reason::CertificateHold);
            let hold = reason == Some(Reason::CertificateHold);
            if (held && !hold) || (compromised && before.reason != reason) {
                Step::Revoke(Revocation { at: before.at, reason })
            } else if hold && !held {
                Step::TooLateToHold(before.clone())
            } else {
                Step::Already(before.clone())
            }
        }
    }
}

/// As [`step`], for one of many: what has ended is no part of a set, or of what a device has, whatever the reason. Only who
/// names a certificate means that very one.
pub fn step_of_many(status: &Status, not_after: Timestamp, reason: Option<Reason>, now: Timestamp) -> Step {
    if not_after < now { Step::Expired(not_after) } else { step(status, not_after, reason, now) }
}

impl Step {
    /// For whoever asked for one certificate: the revocation to be stored, or none when nothing is left to do.
    pub fn of_one(self) -> Result<Option<Revocation>, Problem> {
        let refuse = |detail: String| Err(Problem::conflict(detail));
        match self {
            Self::Revoke(revocation) => Ok(Some(revocation)),
            Self::Already(_) => Ok(None),
            Self::TooLateToHold(before) => refuse(format!(
                "the certificate was revoked for good at {} ({}), so it can not be put on hold",
                before.at,
                named(before.reason)
            )),
            Self::Expired(end) => refuse(format!(
                "the certificate expired at {end}: nobody accepts it any more, and lists leave it out; if its key is in \
                 wrong hands, revoke it with the reason keyCompromise, so that the key is never certified again"
            )),
            Self::UnderWay => refuse("the certificate is being signed at this moment; try again".to_owned()),
        }
    }
}

/// What releasing comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// It is in force again.
    Release,
    /// It is in force anyway.
    InForce,
}

/// Ends the hold of a certificate. There is no other way back from a revocation.
pub fn release(status: &Status) -> Result<Release, Problem> {
    match status {
        Status::InForce => Ok(Release::InForce),
        Status::Revoked(Revocation { reason: Some(Reason::CertificateHold), .. }) => Ok(Release::Release),
        Status::Revoked(Revocation { at, reason }) => {
            let detail = format!(
                "the certificate was revoked for good at {at} ({}); only a hold can be undone: its holder needs a new \
                 certificate",
                named(*reason)
            );
            Err(Problem::conflict(detail))
        }
        Status::Planned => {
            let detail = "the certificate is being signed at this moment and is not on hold";
            Err(Problem::conflict(detail))
        }
    }
}

/// As [`release`], for one of many: whether it comes back. What is revoked for good stays so, and what has ended is no part of a
/// set.
pub fn is_released_of_many(status: &Status, not_after: Timestamp, now: Timestamp) -> bool {
    not_after >= now && release(status) == Ok(Release::Release)
}

fn named(reason: Option<Reason>) -> &'static str {
    reason.map_or("no reason given", Reason::name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const THEN: Timestamp = Timestamp::from_unix_seconds(500);
    const NOW: Timestamp = Timestamp::from_unix_seconds(1_000);
    const END: Timestamp = Timestamp::from_unix_seconds(2_000);
    const HOLD: Option<Reason> = Some(Reason::CertificateHold);
    const COMPROMISED: Option<Reason> = Some(Reason::KeyCompromise);

    fn revoked(reason: Option<Reason>) -> Status {
        Status::Revoked(Revocation { at: THEN, reason })
    }

    fn at(at: Timestamp, reason: Option<Reason>) -> Revocation {
        Revocation { at, reason }
    }

    /// CRL-7: from hold to good keeps the date; nothing else comes back.
    #[test]
    fn crl_7_a_hold_becomes_permanent_with_its_own_date() {
        let gone = Some(Reason::CessationOfOperation);
        for (status, reason, expected) in [
            (Status::InForce, None, Step::Revoke(at(NOW, None))),
            (Status::InForce, HOLD, Step::Revoke(at(NOW, HOLD))),
            (revoked(HOLD), HOLD, Step::Already(at(THEN, HOLD))),
            (revoked(HOLD), None, Step::Revoke(at(THEN, None))),
            (revoked(HOLD), gone, Step::Revoke(at(THEN, gone))),
            (revoked(gone), HOLD, Step::TooLateToHold(at(THEN, gone))),
            (revoked(gone), None, Step::Already(at(THEN, gone))),
            (revoked(gone), COMPROMISED, Step::Revoke(at(THEN, COMPROMISED))),
            (revoked(COMPROMISED), gone, Step::Already(at(THEN, COMPROMISED))),
            (Status::Planned, gone, Step::UnderWay),
        ] {
            assert_eq!(step(&status, END, reason, NOW), expected, "{status:?} {reason:?}");
        }
        assert_eq!(step(&Status::InForce, THEN, gone, NOW), Step::Expired(THEN));
        assert_eq!(step(&Status::InForce, THEN, COMPROMISED, NOW), Step::Revoke(at(NOW, COMPROMISED)));
    }

    #[test]
    fn crl_7_only_a_hold_is_undone() {
        assert_eq!(release(&revoked(HOLD)), Ok(Release::Release));
        assert_eq!(release(&Status::InForce), Ok(Release::InForce));
        for status in [revoked(None), revoked(COMPROMISED), Status::Planned] {
            assert!(release(&status).is_err(), "{status:?}");
        }
        assert!(is_released_of_many(&revoked(HOLD), NOW, NOW));
        assert!(!is_released_of_many(&revoked(HOLD), THEN, NOW), "it has ended");
        for status in [Status::InForce, revoked(None), revoked(COMPROMISED), Status::Planned] {
            assert!(!is_released_of_many(&status, END, NOW), "{status:?}");
        }
    }

    fn reasons() -> impl Strategy<Value = Option<Reason>> {
        (-1_i64..10).prop_map(Reason::from_code)
    }

    proptest! {
        /// However often and with whatever reasons a certificate is revoked: its date is that of the first time, and once
        /// it is revoked for good no step and no release leads back.
        #[test]
        fn crl_7_the_date_never_moves_and_good_is_for_good(asked in proptest::collection::vec(reasons(), 1..8)) {
            let mut status = Status::InForce;
            for (turn, reason) in asked.into_iter().enumerate() {
                let now = Timestamp::from_unix_seconds(1_000 + i64::try_from(turn).unwrap());
                let permanent = matches!(&status, Status::Revoked(before) if before.reason != HOLD);
                if let Step::Revoke(revocation) = step(&status, END, reason, now) {
                    prop_assert!(!(permanent && revocation.reason == HOLD));
                    status = Status::Revoked(revocation);
                }
                let Status::Revoked(revocation) = &status else { panic!("the first step revokes") };
                prop_assert_eq!(revocation.at, Timestamp::from_unix_seconds(1_000));
                prop_assert!(!permanent || release(&status).is_err());
            }
        }
    }
}
