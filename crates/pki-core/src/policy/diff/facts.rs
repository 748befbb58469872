//! What a profile says apart from names, in words that are the same when the meaning is.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::time::Duration;

use crate::policy::keys::{KeyUsage, usages_of};
use crate::policy::profile::{CaRules, Profile, ProfileLimits, RevocationRules, Role, SubjectRules};
use crate::x509::key::KeyAlgorithm;

/// One thing that a profile says.
#[derive(Debug)]
pub(super) struct Fact {
    /// Where it stands in a document, below `spec`.
    pub(super) field: &'static str,
    pub(super) meaning: Meaning,
}

/// What it says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// One value, or none.
    Value(Option<String>),
    /// A set, each member of which may come and go.
    Words(BTreeSet<String>),
}

impl Meaning {
    pub(super) fn into_value(self) -> Option<String> {
        match self {
            Self::Value(value) => value,
            Self::Words(_) => None,
        }
    }
}

/// All facts, always the same ones in the same order. Taken apart by name, so that no member is forgotten.
pub(super) fn of(profile: &Profile) -> Vec<Fact> {
    let Profile {
        name: _,
        description: _,
        enabled,
        issuer,
        identifiers: _,
        keys: _,
        extended_key_usage,
        key_usage: _,
        common_name,
        subject,
        lifetime,
        backdate,
        renew_at_permille,
        renewal_window,
        grace,
        binding,
        role,
        approval,
        challenges,
        limits,
        revocation,
        ca,
    } = profile;
    let window = renewal_window.map(|(from, to)| format!("{} to {} of the lifetime", share(from), share(to)));
    let mut facts = vec![
        value("enabled", Some(yes_or_no(*enabled))),
        value("issuer", issuer.clone()),
        words("keys", keys(profile)),
        words("usage.extendedKeyUsage", extended_key_usage.iter().map(|usage| usage.as_str())),
        words("usage.keyUsage", usages(profile).into_iter().map(KeyUsage::as_str)),
        value("commonName", Some(yes_or_no(*common_name))),
        value("lifetime", Some(span(*lifetime))),
        value("backdate", Some(span(*backdate))),
        value("renewal.at", Some(format!("{} of the lifetime", share(*renew_at_permille)))),
        value("renewal.window", window),
        value("renewal.grace", Some(span(*grace))),
        value("requires.binding", Some(binding.as_str().to_owned())),
        words("requires.challenges", challenges.iter().map(|kind| kind.as_str())),
        value("requires.role", role.map(|role| Role::as_str(role).to_owned())),
        value("requires.approval", Some(yes_or_no(*approval))),
    ];
    facts.extend(subject_facts(subject.as_ref()));
    facts.extend(limit_facts(limits));
    facts.extend(revocation_facts(revocation));
    facts.extend(ca_facts(ca.as_ref()));
    facts
}

fn value(field: &'static str, value: Option<String>) -> Fact {
    Fact { field, meaning: Meaning::Value(value) }
}

fn words<T: Display>(field: &'static str, all: impl IntoIterator<Item = T>) -> Fact {
    Fact { field, meaning: Meaning::Words(all.into_iter().map(|one| one.to_string()).collect()) }
}

fn yes_or_no(is: bool) -> String {
    if is { "yes" } else { "no" }.to_owned()
}

fn share(permille: u16) -> String {
    format!("{}.{:03}", permille / 1000, permille % 1000).trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// In the largest unit that leaves no rest, as documents write it.
pub(super) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let units = [(86_400, 'd'), (3_600, 'h'), (60, 'm')];
    let unit = units.into_iter().find(|(unit, _)| seconds > 0 && seconds.is_multiple_of(*unit));
    unit.map_or_else(|| format!("{seconds}s"), |(unit, letter)| format!("{}{letter}", seconds / unit))
}

fn keys(profile: &Profile) -> Vec<String> {
    let rules = &profile.keys;
    let curves = rules.curves.names().filter(|_| rules.ecdsa).map(|curve| format!("ECDSA {curve}"));
    let rsa = rules.rsa_min_bits.map(|least| match rules.rsa_max_bits {
        Some(most) => format!("RSA of {least} to {most} bits"),
        None => format!("RSA of at least {least} bits"),
    });
    curves.chain(rules.ed25519.then(|| "Ed25519".to_owned())).chain(rsa).collect()
}

/// Also what is usual when nothing in particular is written; an RSA key can do all of that.
pub(super) fn usages(profile: &Profile) -> BTreeSet<KeyUsage> {
    match profile.key_usage.as_slice() {
        [] => usages_of(&[], &profile.extended_key_usage, KeyAlgorithm::Rsa { bits: 4096 }).into_iter().collect(),
        written => written.iter().copied().collect(),
    }
}

fn subject_facts(subject: Option<&SubjectRules>) -> [Fact; 3] {
    let member = |of: fn(&SubjectRules) -> &Option<crate::policy::template::Template>| {
        subject.and_then(|subject| of(subject).as_ref()).map(|template| template.expanded())
    };
    [
        value("subject.commonName", member(|subject| &subject.common_name)),
        value("subject.organization", member(|subject| &subject.organization)),
        value("subject.organizationalUnit", member(|subject| &subject.organizational_unit)),
    ]
}

fn limit_facts(limits: &ProfileLimits) -> [Fact; 3] {
    let ProfileLimits { names, active, issued } = limits;
    let issued = issued.map(|(count, per)| format!("{count} within {}", span(per)));
    [
        value("limits.names", names.map(|most| most.to_string())),
        value("limits.active", active.map(|most| most.to_string())),
        value("limits.issued", issued),
    ]
}

fn revocation_facts(revocation: &RevocationRules) -> [Fact; 5] {
    let RevocationRules { crl, crl_mirrors, ocsp, ocsp_responders, must_staple } = revocation;
    [
        value("revocation.crl", Some(yes_or_no(*crl))),
        words("revocation.crlMirrors", crl_mirrors),
        value("revocation.ocsp", Some(yes_or_no(*ocsp))),
        words("revocation.ocspResponders", ocsp_responders),
        value("revocation.mustStaple", Some(yes_or_no(*must_staple))),
    ]
}

fn ca_facts(ca: Option<&CaRules>) -> [Fact; 3] {
    let zones = ca.map(|ca| ca.dns.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap_or_default();
    let networks = ca.map(|ca| ca.ip.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap_or_default();
    [
        value("ca.pathLength", ca.map(|ca| ca.path_len.to_string())),
        words("ca.nameConstraints.dns", zones),
        words("ca.nameConstraints.ip", networks),
    ]
}
