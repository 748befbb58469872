//! When a certificate's life begins and ends (X5-8).

use std::time::Duration;

use crate::issuance::plan::{PlanError, PlanRequest};
use crate::time::Timestamp;
use crate::x509::certificate::Certificate;

/// A life that fits into that of every CA above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
    /// What notAfter would have been, had no CA certificate ended before.
    pub(super) cut_from: Option<Timestamp>,
}

/// The time in which all these certificates are valid: first and last second.
pub(super) fn common_life<'a>(chain: impl Iterator<Item = &'a Certificate> + Clone) -> Option<(Timestamp, Timestamp)> {
    let begin = chain.clone().map(Certificate::not_before).max()?;
    Some((begin, chain.map(Certificate::not_after).min()?))
}

/// notAfter minus notBefore is the profile's life. Without wishes the life begins a little in the past and is cut
/// where the first CA above ends; what was asked for explicitly is given as asked or refused.
pub(super) fn decide(life: (Timestamp, Timestamp), request: &PlanRequest<'_>) -> Result<Validity, PlanError> {
    let (issuer_begin, issuer_end) = life;
    let now = request.now.whole_seconds();
    if now < issuer_begin {
        return Err(PlanError::IssuerNotYetValid { now, issuer_begin });
    }
    if now >= issuer_end {
        return Err(PlanError::IssuerExpired { issuer_end });
    }
    let profile = request.approved.profile();
    let earliest = (now - profile.backdate).whole_seconds().max(issuer_begin);
    let not_before = match request.not_before.map(Timestamp::whole_seconds) {
        None => begin_for(request.not_after, profile.lifetime, earliest),
        Some(wish) if wish < earliest => return Err(PlanError::NotBeforeTooEarly { wish, earliest }),
        Some(wish) if wish > now + profile.lifetime => {
            return Err(PlanError::NotBeforeTooLate { wish, latest: (now + profile.lifetime).whole_seconds() });
        }
        Some(wish) => wish,
    };
    let full_end = (not_before + profile.lifetime).whole_seconds();
    let not_after = match request.not_after.map(Timestamp::whole_seconds) {
        None => full_end.min(issuer_end),
        Some(wish) if wish > full_end => return Err(PlanError::NotAfterTooLate { wish, latest: full_end }),
        Some(wish) if wish > issuer_end => return Err(PlanError::BeyondIssuer { wish, issuer_end }),
        Some(wish) => wish,
    };
    if request.not_before.is_none() && not_before > now + clock_difference(profile.lifetime) {
        let latest = (now + profile.lifetime).whole_seconds();
        return Err(PlanError::NotAfterTooLate { wish: not_after, latest });
    }
    if not_after <= not_before || not_after <= now {
        return Err(PlanError::NoLife { not_before, not_after });
    }
    let cut_from = (request.not_after.is_none() && not_after < full_end).then_some(full_end);
    Ok(Validity { not_before, not_after, cut_from })
}

/// Where a life begins whose end was asked for and whose beginning was not: backdated, unless that would make the life
/// too long. Some clients ask for now and the whole life of the profile (ORD-6).
pub fn begin_for(not_after: Option<Timestamp>, lifetime: Duration, earliest: Timestamp) -> Timestamp {
    not_after.map_or(earliest, |wish| earliest.max((wish - lifetime).whole_seconds()))
}

/// How far ahead of this machine's clock a client's may be that asks for now and the whole life.
pub fn clock_difference(lifetime: Duration) -> Duration {
    Duration::from_secs(300).min(lifetime / 10)
}
