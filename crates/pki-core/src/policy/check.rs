//! From the document as written to the profile as checked: every value gets its meaning or an error that names the
//! field and what to write instead.

use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;

use crate::acme::challenge::ChallengeKind;
use crate::ids::ProfileName;
use crate::policy::document::{API_VERSION, DnsRule, Identifiers, KIND, Keys, ProfileDocument, Spec};
use crate::policy::profile::{BindingRule, ExtendedKeyUsage, IdentifierRules, KeyRules, Profile};
use crate::x509::name::DnsName;

/// Something in a document that can not be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{source_name}: {field}: {problem}")]
pub struct PolicyError {
    /// The file, as people know it.
    pub source_name: String,
    /// The field, as `spec.renewal.at`.
    pub field: String,
    /// What is wrong and what to write instead.
    pub problem: String,
}

/// The shortest life a certificate may have: shorter ones end before a client has fetched them.
const MIN_LIFETIME: Duration = Duration::from_secs(10);
/// The longest life a leaf may have.
const MAX_LIFETIME: Duration = days(3650);
/// The longest time after the end in which a device may still renew.
const MAX_GRACE: Duration = days(1825);
/// More rules than any profile needs.
const MAX_RULES: usize = 10_000;

const fn days(n: u64) -> Duration {
    Duration::from_secs(n * 86_400)
}

/// The profile a document describes, or everything that is wrong with it.
pub(super) fn profile(source_name: &str, document: &ProfileDocument) -> Result<Profile, Vec<PolicyError>> {
    let mut errors = Errors { source_name, found: Vec::new() };
    let profile = read(&mut errors, document);
    match profile {
        Some(profile) if errors.found.is_empty() => Ok(profile),
        _ => Err(errors.found),
    }
}

struct Errors<'a> {
    source_name: &'a str,
    found: Vec<PolicyError>,
}

impl Errors<'_> {
    fn add(&mut self, field: impl Into<String>, problem: impl Into<String>) {
        self.found.push(PolicyError {
            source_name: self.source_name.to_owned(),
            field: field.into(),
            problem: problem.into(),
        });
    }

    fn keep<T>(&mut self, field: impl Into<String>, outcome: Result<T, String>) -> Option<T> {
        outcome.map_err(|problem| self.add(field, problem)).ok()
    }
}

/// None when a field could not be read; errors may have been found all the same when it is Some.
fn read(errors: &mut Errors<'_>, document: &ProfileDocument) -> Option<Profile> {
    if document.api_version != API_VERSION {
        errors.add("apiVersion", format!("`{}` is not known; write `{API_VERSION}`", document.api_version));
    }
    if document.kind != KIND {
        errors.add("kind", format!("`{}` is not known; write `{KIND}`", document.kind));
    }
    if document.metadata.description.len() > 200 || document.metadata.description.contains(char::is_control) {
        errors.add("metadata.description", "write one line of at most 200 characters");
    }
    let spec = &document.spec;
    let name = errors.keep("metadata.name", text_as::<ProfileName>(&document.metadata.name));
    let lifetime = errors.keep("spec.lifetime", lifetime(&spec.lifetime));
    let backdate = errors.keep("spec.backdate", duration(&spec.backdate));
    let grace = errors.keep("spec.renewal.grace", grace(&spec.renewal.grace));
    let renew_at_permille = errors.keep("spec.renewal.at", share(spec.renewal.at));
    let binding = errors.keep("spec.requires.binding", binding(&spec.requires.binding));
    let profile = Profile {
        description: document.metadata.description.clone(),
        identifiers: identifier_rules(errors, &spec.identifiers),
        keys: key_rules(errors, spec.keys),
        extended_key_usage: usages(errors, spec),
        common_name: spec.common_name,
        challenges: challenges(errors, spec),
        name: name?,
        lifetime: lifetime?,
        backdate: backdate?,
        renew_at_permille: renew_at_permille?,
        grace: grace?,
        binding: binding?,
    };
    relations(errors, &profile);
    Some(profile)
}

/// What has to hold between fields.
fn relations(errors: &mut Errors<'_>, profile: &Profile) {
    if profile.backdate > profile.lifetime / 10 {
        errors.add("spec.backdate", "it is more than a tenth of `spec.lifetime`; make it shorter");
    }
    let client = profile.extended_key_usage.contains(&ExtendedKeyUsage::ClientAuth);
    if client && profile.binding == BindingRule::None {
        errors.add(
            "spec.requires.binding",
            "a profile with `clientAuth` lets its holders log in elsewhere, so it needs `externalAccount` or `device`",
        );
    }
    match profile.binding {
        BindingRule::Device if !profile.challenges.is_empty() => errors.add(
            "spec.requires.challenges",
            "with the binding `device` names are proven by the device record; leave challenges out",
        ),
        BindingRule::None | BindingRule::ExternalAccount if profile.challenges.is_empty() => {
            errors.add("spec.requires.challenges", "name at least one, for example `http-01`");
        }
        _ => {}
    }
}

fn text_as<T: FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

fn lifetime(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        life if life < MIN_LIFETIME => Err(format!("`{text}` is too short; 10s is the least")),
        life if life > MAX_LIFETIME => Err(format!("`{text}` is too long; 3650d is the most")),
        life => Ok(life),
    }
}

fn grace(text: &str) -> Result<Duration, String> {
    let grace = duration(text)?;
    if grace > MAX_GRACE { Err(format!("`{text}` is too long; 1825d is the most")) } else { Ok(grace) }
}

/// A number and a unit. Nothing is ever taken for seconds that says no unit.
fn duration(text: &str) -> Result<Duration, String> {
    let refuse = || format!("`{}` is no duration; write for example 90d, 12h, 10m or 60s", shorten(text));
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3_600,
        Some('d') => 86_400,
        _ => return Err(refuse()),
    };
    let digits = text.get(..text.len() - 1).ok_or_else(refuse)?;
    // u64's own parser also takes a plus sign
    let number = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<u64>().ok()).flatten();
    let seconds = number.and_then(|number| number.checked_mul(unit)).ok_or_else(refuse)?;
    Ok(Duration::from_secs(seconds))
}

/// Thousandths. Agents spread renewals over the 15 % after this point and call the last 10 % an emergency.
fn share(at: f64) -> Result<u16, String> {
    let permille = (at * 1000.0).round();
    (100..=750)
        .find(|candidate| f64::from(*candidate) == permille)
        .ok_or_else(|| format!("{at} is not between 0.1 and 0.75; write for example 0.5"))
}

fn binding(text: &str) -> Result<BindingRule, String> {
    [BindingRule::None, BindingRule::ExternalAccount, BindingRule::Device]
        .into_iter()
        .find(|rule| rule.as_str() == text)
        .ok_or_else(|| format!("`{}` is not known; write `none`, `externalAccount` or `device`", shorten(text)))
}

fn identifier_rules(errors: &mut Errors<'_>, written: &Identifiers) -> IdentifierRules {
    let mut rules = IdentifierRules { wildcards: written.wildcards, ..IdentifierRules::default() };
    if written.dns.is_empty() && written.ip.is_empty() {
        errors.add("spec.identifiers", "no name is allowed; add a rule under `dns` or a network under `ip`");
    }
    if written.dns.len() + written.ip.len() > MAX_RULES {
        errors.add("spec.identifiers", format!("there are more than {MAX_RULES} rules; use suffixes"));
        return rules;
    }
    for (index, rule) in written.dns.iter().enumerate() {
        let field = format!("spec.identifiers.dns[{index}]");
        match rule {
            DnsRule::Exact(name) => rules.dns_exact.extend(errors.keep(field, text_as::<DnsName>(name))),
            DnsRule::Suffix(zone) => rules.dns_suffix.extend(errors.keep(field, suffix(zone))),
        }
    }
    for (index, network) in written.ip.iter().enumerate() {
        rules.ip.extend(errors.keep(format!("spec.identifiers.ip[{index}]"), self::network(network)));
    }
    if rules.wildcards && rules.dns_suffix.is_empty() {
        errors.add("spec.identifiers.wildcards", "wildcards need a `suffix` to stand in; add one or leave this out");
    }
    rules
}

fn suffix(text: &str) -> Result<DnsName, String> {
    let bare = text.trim_start_matches("*.").trim_start_matches('.');
    match text_as::<DnsName>(text) {
        Ok(zone) if !zone.is_wildcard() => Ok(zone),
        _ if bare != text && text_as::<DnsName>(bare).is_ok() => {
            Err(format!("write `suffix: {bare}`, which means the zone and every name below it"))
        }
        other => other,
    }
}

fn network(text: &str) -> Result<IpNet, String> {
    let network: IpNet =
        text.parse().map_err(|_| format!("`{}` is no network; write for example 10.0.0.0/8", shorten(text)))?;
    if network.trunc() == network {
        Ok(network)
    } else {
        Err(format!("`{text}` has address bits beyond its prefix; write `{}`", network.trunc()))
    }
}

fn key_rules(errors: &mut Errors<'_>, keys: Keys) -> KeyRules {
    if !keys.ecdsa && !keys.ed25519 && keys.rsa_min_bits.is_none() {
        errors.add("spec.keys", "no key is allowed; set `ecdsa: true` or another");
    }
    if keys.rsa_min_bits.is_some_and(|bits| !(2048..=8192).contains(&bits)) {
        errors.add("spec.keys.rsaMinBits", "it is not between 2048 and 8192; write for example 3072");
    }
    KeyRules { ecdsa: keys.ecdsa, ed25519: keys.ed25519, rsa_min_bits: keys.rsa_min_bits }
}

fn usages(errors: &mut Errors<'_>, spec: &Spec) -> Vec<ExtendedKeyUsage> {
    const FIELD: &str = "spec.usage.extendedKeyUsage";
    let mut usages = Vec::new();
    for text in &spec.usage.extended_key_usage {
        match [ExtendedKeyUsage::ServerAuth, ExtendedKeyUsage::ClientAuth].into_iter().find(|u| u.as_str() == text) {
            None => errors.add(FIELD, format!("`{}` is not known; write `serverAuth` or `clientAuth`", shorten(text))),
            Some(usage) if usages.contains(&usage) => errors.add(FIELD, format!("`{text}` stands there twice")),
            Some(usage) => usages.push(usage),
        }
    }
    if spec.usage.extended_key_usage.is_empty() {
        errors.add(FIELD, "name at least one of `serverAuth` and `clientAuth`");
    }
    usages.sort_unstable();
    usages
}

fn challenges(errors: &mut Errors<'_>, spec: &Spec) -> Vec<ChallengeKind> {
    const FIELD: &str = "spec.requires.challenges";
    let mut kinds = Vec::new();
    for text in &spec.requires.challenges {
        match ChallengeKind::from_name(text) {
            None => errors.add(FIELD, format!("`{}` is not known; write {}", shorten(text), known_challenges())),
            Some(kind) if kinds.contains(&kind) => errors.add(FIELD, format!("`{text}` stands there twice")),
            Some(kind) => kinds.push(kind),
        }
    }
    kinds
}

fn known_challenges() -> String {
    ChallengeKind::ALL.map(|kind| format!("`{}`", kind.as_str())).join(", ")
}

fn shorten(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(duration("90d"), Ok(days(90)));
        assert_eq!(duration("12h"), Ok(Duration::from_secs(43_200)));
        assert_eq!(duration("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(duration("60s"), Ok(Duration::from_secs(60)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        for bad in [
            "",
            "90",
            "d",
            "-1d",
            "+1d",
            "1.5h",
            "1 d",
            "90D",
            "1h30m",
            "99999999999999999999d",
            "9999999999999999999d",
            "ä",
        ] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn shares_are_thousandths_within_reason() {
        assert_eq!(share(0.5), Ok(500));
        assert_eq!(share(0.6), Ok(600));
        assert_eq!(share(0.333), Ok(333));
        for bad in [0.0, 0.0994, 0.76, 50.0, -0.5, f64::NAN, f64::INFINITY] {
            assert!(share(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn suffixes_and_networks_tell_the_right_spelling() {
        assert!(suffix("site.test").is_ok());
        assert!(suffix(".site.test").unwrap_err().contains("`suffix: site.test`"));
        assert!(suffix("*.site.test").unwrap_err().contains("`suffix: site.test`"));
        assert!(network("10.0.0.1/8").unwrap_err().contains("`10.0.0.0/8`"));
        assert!(network("10.0.0.1").is_err());
    }
}
