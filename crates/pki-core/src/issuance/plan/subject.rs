//! The subject of a leaf (X5-10): what its profile says, or one of its names.

use crate::issuance::plan::{MAX_COMMON_NAME, PlanError, PlanRequest};
use crate::policy::decide::SubjectWish;
use crate::x509::certificate::NameConstraints;
use crate::x509::name::Identifier;

/// What the profile says, or one of the names at most. What is said must be possible: a subject that a CA above limits,
/// or a common name that validators take for a DNS name outside of the constraints, is refused and not left out.
pub(super) fn decide(request: &PlanRequest<'_>, constraints: &[NameConstraints]) -> Result<SubjectWish, PlanError> {
    let Some(wish) = request.approved.subject() else {
        return Ok(SubjectWish { common_name: common_name(request, constraints), ..SubjectWish::default() });
    };
    let looks_like_dns = |text: &String| text.contains('.') && !text.contains(' ');
    let allows = |one: &NameConstraints| match wish.common_name.as_ref().filter(|text| looks_like_dns(text)) {
        Some(text) => match text.parse() {
            Ok(name) => one.allows(&Identifier::Dns(name)).is_ok(),
            Err(_) => one.permitted_dns.is_empty() && one.excluded_dns.is_empty(),
        },
        None => true,
    };
    if *wish != SubjectWish::default() && constraints.iter().any(|one| one.limits_subjects || !allows(one)) {
        return Err(PlanError::SubjectOutside);
    }
    Ok(wish.clone())
}

/// FIN-11: the common name asked for when it is one of the names, else the first DNS name when the profile wants
/// one; none when it would be too long, or when a CA above limits which subjects may stand below it.
fn common_name(request: &PlanRequest<'_>, constraints: &[NameConstraints]) -> Option<String> {
    if constraints.iter().any(|constraint| constraint.limits_subjects) {
        return None;
    }
    let names = request.approved.identifiers();
    let fits = |value: &String| value.chars().count() <= MAX_COMMON_NAME;
    let asked = request.common_name.map(str::to_ascii_lowercase);
    // OpenSSL reads a common name like 10.0.0.1 as a DNS name, and as one that no permitted zone covers.
    let dns_limited = constraints.iter().any(|one| !one.permitted_dns.is_empty() || !one.excluded_dns.is_empty());
    let usable = |name: &&Identifier| !dns_limited || matches!(name, Identifier::Dns(_));
    let asked = names.iter().filter(usable).map(Identifier::value).find(|value| asked.as_ref() == Some(value));
    let wanted = request.approved.profile().common_name;
    let first = || names.iter().find(|name| wanted && matches!(name, Identifier::Dns(_))).map(Identifier::value);
    asked.filter(fits).or_else(first).filter(fits)
}
