//! Whether a holder may have one more certificate by a profile.

use crate::acme::problem::ProblemKind;
use crate::ids::ProfileName;
use crate::policy::checks::Case;
use crate::policy::decide::{Denial, Held, Requester};
use crate::policy::profile::ProfileLimits;

pub(super) fn active(case: &Case<'_>) -> Result<(), Denial> {
    match known(case)? {
        Some(held) => case.profile.limits.room_among_active(&case.profile.name, held),
        None => Ok(()),
    }
}

pub(super) fn issued(case: &Case<'_>) -> Result<(), Denial> {
    match known(case)? {
        Some(held) => case.profile.limits.room_among_issued(&case.profile.name, held),
        None => Ok(()),
    }
}

/// What the holder has; none where that does not count.
fn known(case: &Case<'_>) -> Result<Option<Held>, Denial> {
    if !case.profile.limits.count() {
        return Ok(None);
    }
    match case.request.held {
        Some(held) => Ok(Some(held)),
        // an administrator asks for somebody else, an order is asked about again when its key is known
        None if case.request.key.is_none() || matches!(case.request.requester, Requester::Administrator) => Ok(None),
        None => {
            let name = &case.profile.name;
            let detail =
                format!("nobody counted what the requester has by the profile `{name}`; this is a fault of the CA");
            let rule = if case.profile.limits.active.is_some() { ACTIVE } else { ISSUED };
            Err(Denial::new(rule, ProblemKind::RateLimited, detail))
        }
    }
}

const ACTIVE: &str = "limits.active";
const ISSUED: &str = "limits.issued";

impl ProfileLimits {
    /// Whether who has this by the profile of that name may have one more: asked with the request, and again of what was
    /// counted in the transaction that records the certificate, since requests of one moment count the same.
    pub fn room(&self, profile: &ProfileName, held: Held) -> Result<(), Denial> {
        self.room_among_active(profile, held)?;
        self.room_among_issued(profile, held)
    }

    fn room_among_active(&self, profile: &ProfileName, held: Held) -> Result<(), Denial> {
        match self.active {
            Some(most) => within(ACTIVE, profile, held.active, most, "valid certificates"),
            None => Ok(()),
        }
    }

    fn room_among_issued(&self, profile: &ProfileName, held: Held) -> Result<(), Denial> {
        match self.issued {
            Some((most, per)) => {
                within(ISSUED, profile, held.issued, most, &format!("certificates within {} s", per.as_secs()))
            }
            None => Ok(()),
        }
    }
}

fn within(rule: &'static str, profile: &ProfileName, count: u64, most: u64, what: &str) -> Result<(), Denial> {
    if count < most {
        return Ok(());
    }
    let detail = format!(
        "the requester has {count} {what} by the profile `{profile}`, and {most} is the most; wait, or revoke what is not \
         needed"
    );
    Err(Denial::new(rule, ProblemKind::RateLimited, detail))
}
