//! What is asked of a request, in order; the first question that is not answered well denies it.

use std::sync::Arc;

use crate::acme::challenge::ChallengeKind;
use crate::acme::problem::ProblemKind;
use crate::device::Device;
use crate::policy::decide::{Denial, Request, Requester, SubjectWish};
use crate::policy::keys::usages_of;
use crate::policy::profile::{BindingRule, IdentifierRule, Profile, Role};
use crate::policy::room;
use crate::policy::template::{Place, Template};
use crate::x509::name::Identifier;

/// A request with the profile that it names.
pub(super) struct Case<'a> {
    pub(super) profile: &'a Arc<Profile>,
    pub(super) request: &'a Request<'a>,
}

impl<'a> Case<'a> {
    fn device(&self) -> Option<&'a Device> {
        self.request.requester.device()
    }

    /// The rule that allows a name.
    pub(super) fn allowing(&self, identifier: &Identifier) -> Option<&'a IdentifierRule> {
        self.profile.identifiers.allowing(identifier, self.device())
    }
}

/// One question.
pub(super) struct Check {
    pub(super) rule: &'static str,
    /// What is so when it is answered well.
    pub(super) sentence: &'static str,
    pub(super) ask: fn(&Case<'_>) -> Result<(), Denial>,
}

const fn check(rule: &'static str, sentence: &'static str, ask: fn(&Case<'_>) -> Result<(), Denial>) -> Check {
    Check { rule, sentence, ask }
}

/// The questions asked before a profile is known.
pub(super) const IN_SERVICE: (&str, &str) = ("device.inService", "the device, if one asks, is in service");
pub(super) const KNOWN: (&str, &str) = ("profile.known", "the profile exists");

/// All questions about a request by a known profile.
pub(super) const ALL: &[Check] = &[
    check("profile.enabled", "the profile is switched on", enabled),
    check("requires.role", "the requester has the role that the profile requires", role),
    check("requires.binding", "the account is bound as the profile requires", binding),
    check("ca.approval", "no CA certificate is asked for", no_ca),
    check("requires.approval", "no person's approval is required", approval),
    check("identifiers.present", "at least one name is asked for", present),
    check("limits.names", "there are no more names than the profile allows", number_of_names),
    check("identifiers.allowed", "a rule of the profile allows each name", allowed),
    check("identifiers.applicationUri", "there is one application URI, where the profile is for OPC UA", application),
    check("device.names", "each name is in the device's record, or made of it by a template", record),
    check(
        "requires.challenges",
        "a challenge of the profile can prove each name, where none is proven otherwise",
        provable,
    ),
    check("subject.template", "the subject can be made of the device's record", subject),
    check("keys.allowed", "the profile allows the key", key),
    check("limits.active", "the holder has fewer valid certificates than the profile allows", room::active),
    check("limits.issued", "the holder was issued fewer certificates lately than the profile allows", room::issued),
];

/// A retired or compromised device gets nothing, whatever its account key still signs.
pub(super) fn standing(requester: Requester<'_>) -> Result<(), Denial> {
    match requester.device() {
        Some(device) if !device.state.is_in_service() => Err(Denial::new(
            IN_SERVICE.0,
            ProblemKind::Unauthorized,
            format!(
                "the device `{}` is out of service; an administrator has to bring it back or add it anew",
                device.name
            ),
        )),
        _ => Ok(()),
    }
}

fn enabled(case: &Case<'_>) -> Result<(), Denial> {
    if case.profile.enabled {
        return Ok(());
    }
    let detail =
        format!("the profile `{}` is switched off; an administrator sets `enabled: true` in it", case.profile.name);
    Err(Denial::new("profile.enabled", ProblemKind::InvalidProfile, detail))
}

fn role(case: &Case<'_>) -> Result<(), Denial> {
    match (case.profile.role, case.request.requester) {
        (None, _) | (Some(Role::Administrator), Requester::Administrator) => Ok(()),
        (Some(role), _) => {
            let detail = format!(
                "this account may not use the profile `{}`: only who has the role `{}` at the API may ask for it",
                case.profile.name,
                role.as_str()
            );
            Err(Denial::new("requires.role", ProblemKind::Unauthorized, detail))
        }
    }
}

/// Whether the requester's binding is the one that the profile requires, and its role.
pub(super) fn may_use(profile: &Profile, requester: Requester<'_>) -> bool {
    unbound(profile, requester).is_none() && (profile.role.is_none() || matches!(requester, Requester::Administrator))
}

fn binding(case: &Case<'_>) -> Result<(), Denial> {
    let Some(needed) = unbound(case.profile, case.request.requester) else { return Ok(()) };
    let detail = format!("this account may not use the profile `{}`: {needed}", case.profile.name);
    Err(Denial::new("requires.binding", ProblemKind::InvalidProfile, detail))
}

fn unbound(profile: &Profile, requester: Requester<'_>) -> Option<String> {
    match (profile.binding, requester) {
        (BindingRule::None, _) | (_, Requester::Administrator) => None,
        (BindingRule::ExternalAccount, Requester::Bound { .. }) => None,
        (BindingRule::Device, Requester::Bound { device: Some(device) }) if device.profile == profile.name => None,
        (BindingRule::Device, Requester::Bound { device: Some(device) }) => {
            Some(format!("the device `{}` is registered for the profile `{}`", device.name, device.profile))
        }
        (BindingRule::Device, _) => Some(
            "it needs an account that is bound to a device: enrol with a token of `ca-server device add`".to_owned(),
        ),
        (BindingRule::ExternalAccount, Requester::Unbound) => Some(
            "it needs an account with external account binding: register with a key of `ca-server eab create`"
                .to_owned(),
        ),
    }
}

/// CA certificates need two persons, and no request can bring their approval.
fn no_ca(case: &Case<'_>) -> Result<(), Denial> {
    if case.profile.ca.is_none() {
        return Ok(());
    }
    let detail = format!(
        "the profile `{}` is of CA certificates, which need the approval of two persons; no request can bring it, so \
         such certificates are made in a ceremony (`ca-server init`)",
        case.profile.name
    );
    Err(Denial::new("ca.approval", ProblemKind::Unauthorized, detail))
}

fn approval(case: &Case<'_>) -> Result<(), Denial> {
    if !case.profile.approval {
        return Ok(());
    }
    let detail = format!(
        "each certificate of the profile `{}` needs a person's approval, and this CA has no way to record one; an \
         administrator leaves `requires.approval` out of the profile, or nothing is issued by it",
        case.profile.name
    );
    Err(Denial::new("requires.approval", ProblemKind::Unauthorized, detail))
}

fn present(case: &Case<'_>) -> Result<(), Denial> {
    if !case.request.identifiers.is_empty() {
        return Ok(());
    }
    let detail = "a certificate without names was asked for; name at least one identifier".to_owned();
    Err(Denial::new("identifiers.present", ProblemKind::Malformed, detail))
}

fn number_of_names(case: &Case<'_>) -> Result<(), Denial> {
    match (case.profile.limits.names, case.request.identifiers.len()) {
        (Some(most), count) if count > most => {
            let detail = format!(
                "{count} names were asked for, and a certificate of the profile `{}` has {most} at most; ask for several \
                 certificates",
                case.profile.name
            );
            Err(Denial::new("limits.names", ProblemKind::RejectedIdentifier, detail))
        }
        _ => Ok(()),
    }
}

fn allowed(case: &Case<'_>) -> Result<(), Denial> {
    refuse_names("identifiers.allowed", case, |identifier| match case.allowing(identifier) {
        Some(_) => None,
        None => Some(outside_profile(case, identifier)),
    })
}

/// The names at fault are gathered only once there is one.
fn refuse_names(
    rule: &'static str,
    case: &Case<'_>,
    fault: impl Fn(&Identifier) -> Option<String>,
) -> Result<(), Denial> {
    let faults: Vec<_> = case
        .request
        .identifiers
        .iter()
        .filter_map(|identifier| Some((identifier.clone(), fault(identifier)?)))
        .collect();
    let [(first, reason), rest @ ..] = faults.as_slice() else { return Ok(()) };
    let more = if rest.is_empty() { String::new() } else { format!(", and {} more", rest.len()) };
    let detail = format!("`{first}` can not be had by the profile `{}`: {reason}{more}", case.profile.name);
    // what no order can name stood in the certificate request only
    let in_csr = faults.iter().all(|(identifier, _)| !identifier.is_orderable());
    let kind = if in_csr { ProblemKind::BadCsr } else { ProblemKind::RejectedIdentifier };
    Err(Denial { identifiers: faults, ..Denial::new(rule, kind, detail) })
}

fn outside_profile(case: &Case<'_>, identifier: &Identifier) -> String {
    let rules = &case.profile.identifiers;
    if let Some((rule, unfilled)) = rules.unfilled(identifier, case.device()) {
        let why = unfilled.told_with_remedy(case.device());
        return format!("its rule {rule} gives nothing here: {why}, and no other rule allows it");
    }
    if identifier.is_wildcard() && !rules.wildcards() {
        return "it allows no wildcards; ask for each name".to_owned();
    }
    format!(
        "none of its rules for `{}` identifiers allows it; ask for another name, or have it added to the profile",
        identifier.kind()
    )
}

/// OPC UA Part 6 section 6.2.2: exactly one URI, the application's. Orders name no URIs, so it is known with the key.
fn application(case: &Case<'_>) -> Result<(), Denial> {
    let uris = case.request.identifiers.iter().filter(|identifier| matches!(identifier, Identifier::Uri(_))).count();
    if case.request.key.is_none() || !case.profile.identifiers.has_application_uri() || uris == 1 {
        return Ok(());
    }
    let detail = format!(
        "a certificate of the profile `{}` has exactly one URI, the application's, and the request has {uris}; put it \
         into the subject alternative name of the CSR",
        case.profile.name
    );
    Err(Denial::new("identifiers.applicationUri", ProblemKind::BadCsr, detail))
}

fn record(case: &Case<'_>) -> Result<(), Denial> {
    let Some(device) = case.device() else { return Ok(()) };
    refuse_names("device.names", case, |identifier| {
        let by_template = || case.allowing(identifier).is_some_and(|rule| rule.template().is_some());
        (!device.has(identifier) && !by_template()).then(|| {
            format!("it is not in the record of the device `{}`, and a bound account gets no other name", device.name)
        })
    })
}

fn provable(case: &Case<'_>) -> Result<(), Denial> {
    if case.device().is_some() || matches!(case.request.requester, Requester::Administrator) {
        return Ok(());
    }
    let challenges = &case.profile.challenges;
    refuse_names("requires.challenges", case, |identifier| {
        let offered = challenges.iter().any(|kind| kind.can_prove(identifier));
        let kinds = || challenges.iter().map(|kind| ChallengeKind::as_str(*kind)).collect::<Vec<_>>().join(", ");
        (!offered).then(|| format!("none of its challenges ({}) can prove control of it", kinds()))
    })
}

fn subject(case: &Case<'_>) -> Result<(), Denial> {
    fill_subject(case).map(drop)
}

/// The subject that the profile wants, made of the device's record.
pub(super) fn fill_subject(case: &Case<'_>) -> Result<SubjectWish, Denial> {
    const LONGEST: usize = 64;
    let Some(rules) = &case.profile.subject else { return Ok(SubjectWish::default()) };
    let refuse = |member: &str, why: String| {
        let name = &case.profile.name;
        let detail = format!("the subject's {member} of the profile `{name}` can not be made: {why}");
        Denial::new("subject.template", ProblemKind::Unauthorized, detail)
    };
    let fill = |member: &str, template: &Option<Template>| {
        let Some(template) = template else { return Ok(None) };
        let text = template
            .fill(case.device(), Place::Free)
            .map_err(|why| refuse(member, why.told_with_remedy(case.device())))?;
        match text.chars().count() {
            1..=LONGEST => Ok(Some(text)),
            _ => Err(refuse(member, format!("it has more than {LONGEST} characters"))),
        }
    };
    Ok(SubjectWish {
        common_name: fill("common name", &rules.common_name)?,
        organization: fill("organization", &rules.organization)?,
        organizational_unit: fill("organizational unit", &rules.organizational_unit)?,
    })
}

fn key(case: &Case<'_>) -> Result<(), Denial> {
    match case.request.key {
        Some(algorithm) if !case.profile.keys.allows(algorithm) => {
            let detail = format!(
                "the profile `{}` does not allow a key of type {algorithm}; make one of type {} and send a new CSR",
                case.profile.name, case.profile.keys
            );
            Err(Denial::new("keys.allowed", ProblemKind::BadCsr, detail))
        }
        Some(algorithm)
            if usages_of(&case.profile.key_usage, &case.profile.extended_key_usage, algorithm).is_empty() =>
        {
            let detail = format!(
                "a key of type {algorithm} can do nothing of what certificates of the profile `{}` are for; make one of \
                 another type and send a new CSR",
                case.profile.name
            );
            Err(Denial::new("keys.allowed", ProblemKind::BadCsr, detail))
        }
        _ => Ok(()),
    }
}
