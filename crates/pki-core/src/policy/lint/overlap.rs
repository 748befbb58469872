//! What two rules, or two profiles, show together.

use std::sync::Arc;

use crate::acme::challenge::ChallengeKind;
use crate::policy::Policy;
use crate::policy::lint::Remark;
use crate::policy::lint::kinds;
use crate::policy::lint::single::field;
use crate::policy::profile::{
    Allows, BindingRule, DnsForm, EmailForm, ExtendedKeyUsage, IdentifierRule, Profile, UriForm,
};
use crate::x509::name::Identifier;

/// Whether `wide` allows everything that `narrow` does.
pub(super) fn covers(wide: &IdentifierRule, narrow: &IdentifierRule) -> bool {
    match (&wide.allows, &narrow.allows) {
        (Allows::Dns { form: wide, wildcards }, Allows::Dns { form: narrow, wildcards: of_narrow }) => {
            (*wildcards || !*of_narrow) && covers_dns(wide, narrow, *wildcards)
        }
        (Allows::Network(wide), Allows::Network(narrow)) => wide.contains(narrow),
        (Allows::Uri { form: wide, is_application: a }, Allows::Uri { form: narrow, is_application: b }) => {
            a == b
                && match (wide, narrow) {
                    (UriForm::Prefix(wide), UriForm::Prefix(narrow)) => narrow.starts_with(wide),
                    (UriForm::Prefix(wide), UriForm::Exact(uri)) => uri.as_str().starts_with(wide),
                    (wide, narrow) => wide == narrow,
                }
        }
        (Allows::Email(EmailForm::Domain(domain)), Allows::Email(EmailForm::Exact(address))) => {
            address.domain() == domain.as_str()
        }
        (wide, narrow) => wide == narrow,
    }
}

fn covers_dns(wide: &DnsForm, narrow: &DnsForm, wildcards: bool) -> bool {
    match (wide, narrow) {
        (DnsForm::Suffix(zone), DnsForm::Suffix(below)) => below.is_within(zone),
        (DnsForm::Suffix(zone), DnsForm::Exact(name)) => (wildcards || !name.is_wildcard()) && name.is_within(zone),
        (wide, narrow) => wide == narrow,
    }
}

/// Whether some name fits both rules, as far as that can be told of the rules alone.
fn meet(one: &IdentifierRule, other: &IdentifierRule) -> bool {
    let wide = |rule: &IdentifierRule| {
        // wildcards do not matter for whether any name is common
        let allows = match &rule.allows {
            Allows::Dns { form, .. } => Allows::Dns { form: form.clone(), wildcards: true },
            other => other.clone(),
        };
        IdentifierRule { place: rule.place.clone(), allows }
    };
    let (one, other) = (wide(one), wide(other));
    covers(&one, &other) || covers(&other, &one) || pattern_meets(&one, &other) || pattern_meets(&other, &one)
}

/// A pattern meets a zone when a name made of it lies there.
fn pattern_meets(one: &IdentifierRule, other: &IdentifierRule) -> bool {
    let Allows::Dns { form: DnsForm::Pattern(pattern), .. } = &one.allows else { return false };
    let sample = Identifier::parse("dns", &pattern.as_str().replace('*', "a"));
    sample.is_ok_and(|sample| other.fits(&sample, None) == Ok(true))
}

pub(super) fn look(policy: &Policy, remarks: &mut Vec<Remark>) {
    let offered: Vec<&Arc<Profile>> = policy.profiles().filter(|profile| profile.is_offered()).collect();
    for weak in &offered {
        let stronger = offered.iter().find(|strong| {
            strength(weak) < strength(strong) && gives_all(weak, strong) && common(weak, strong).is_some()
        });
        if let Some((strong, rule)) = stronger.and_then(|strong| Some((strong, common(weak, strong)?))) {
            let sentence = format!(
                "{rule} gives names that `{}` gives for the same purposes, which asks for `binding: {}`",
                strong.name,
                strong.binding.as_str()
            );
            tell(remarks, &kinds::WEAKER_TWIN, weak, rule, sentence);
        }
        let devices = offered.iter().find(|device| {
            let by_record = device.binding == BindingRule::Device && weak.binding != BindingRule::Device;
            by_record
                && is_for_servers(weak)
                && is_for_servers(device)
                && provable_by_reach(weak)
                && common(weak, device).is_some()
        });
        if let Some((devices, rule)) = devices.and_then(|devices| Some((devices, common(weak, devices)?))) {
            let sentence = format!(
                "{rule} gives names of devices (`{}`) to whoever answers at their address, which another device may do",
                devices.name
            );
            tell(remarks, &kinds::EACH_OTHER, weak, rule, sentence);
        }
    }
}

fn tell(
    remarks: &mut Vec<Remark>,
    kind: &'static kinds::Kind,
    profile: &Profile,
    rule: &IdentifierRule,
    sentence: String,
) {
    remarks.push(Remark { kind, profile: profile.name.to_string(), field: field(rule), sentence });
}

/// What a binding proves.
const fn strength(profile: &Profile) -> u8 {
    match profile.binding {
        BindingRule::None => 0,
        BindingRule::ExternalAccount => 1,
        BindingRule::Device => 2,
    }
}

fn gives_all(weak: &Profile, strong: &Profile) -> bool {
    strong.extended_key_usage.iter().all(|purpose| weak.extended_key_usage.contains(purpose))
}

fn is_for_servers(profile: &Profile) -> bool {
    profile.extended_key_usage.contains(&ExtendedKeyUsage::ServerAuth)
}

/// Whether it is enough to be reached under the name; a record in the DNS is written by whoever runs the zone.
fn provable_by_reach(profile: &Profile) -> bool {
    profile.challenges.iter().any(|kind| matches!(kind, ChallengeKind::Http01 | ChallengeKind::TlsAlpn01))
}

/// The first rule of `of` that shares a name with `with`.
fn common<'a>(of: &'a Profile, with: &Profile) -> Option<&'a IdentifierRule> {
    let others = with.identifiers.rules();
    of.identifiers.rules().iter().find(|rule| others.iter().any(|other| meet(rule, other)))
}
