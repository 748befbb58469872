//! The decision, case by case.

use super::*;
use crate::device::DeviceState;
use crate::ids::{DeviceId, SiteName};
use crate::policy::document::ProfileDocument;
use crate::random::SystemEntropy;
use crate::time::Timestamp;
use crate::x509::key::KeyAlgorithm;

/// gateway (device), mtls (external account), server (none), tools (none, DNS challenge, wildcards).
fn policy() -> Policy {
    let document = |name: &str, usage: &str, wildcards: bool, keys: &str, requires: &str| {
        let text = format!(
            r#"{{"apiVersion":"pilotlight.dev/v1","kind":"Profile","metadata":{{"name":"{name}"}},"spec":{{
            "identifiers":{{"dns":[{{"suffix":"site.test"}},{{"exact":"localhost"}}],"wildcards":{wildcards},"ip":["10.0.0.0/8","fd00::/8"]}},
            "keys":{keys},"usage":{{"extendedKeyUsage":[{usage}]}},"lifetime":"60s","backdate":"6s",
            "renewal":{{"at":0.5,"grace":"1h"}},"requires":{requires}}}}}"#
        );
        (format!("{name}.yaml"), serde_json::from_str::<ProfileDocument>(&text).unwrap())
    };
    let any = "{}";
    Policy::from_documents(vec![
        document("gateway", r#""clientAuth","serverAuth""#, false, r#"{"ed25519":false}"#, r#"{"binding":"device"}"#),
        document("mtls", r#""clientAuth""#, false, any, r#"{"binding":"externalAccount","challenges":["http-01"]}"#),
        document(
            "server",
            r#""serverAuth""#,
            true,
            r#"{"rsaMinBits":3072}"#,
            r#"{"binding":"none","challenges":["http-01"]}"#,
        ),
        document("tools", r#""serverAuth""#, true, any, r#"{"binding":"none","challenges":["dns-01"]}"#),
    ])
    .unwrap()
}

fn device(profile: &str, state: DeviceState) -> Device {
    Device {
        id: DeviceId::random(&SystemEntropy::new()),
        site: SiteName::home(),
        name: "gw-1".parse().unwrap(),
        profile: profile.parse().unwrap(),
        dns: vec!["gw-1.site.test".parse().unwrap(), "outside.example".parse().unwrap()],
        ips: vec!["10.0.0.1".parse().unwrap()],
        labels: crate::device::Labels::default(),
        state,
        created_at: Timestamp::from_unix_seconds(0),
        last_seen_at: None,
        version: 0,
    }
}

fn dns(name: &str) -> Identifier {
    Identifier::parse("dns", name).unwrap()
}

fn ip(address: &str) -> Identifier {
    Identifier::parse("ip", address).unwrap()
}

fn decide(profile: &str, identifiers: &[Identifier], requester: Requester<'_>) -> Result<Approved, Denial> {
    let profile = profile.parse().unwrap();
    policy().decide(&Request { profile: &profile, identifiers, key: None, requester, held: None })
}

fn rule(outcome: Result<Approved, Denial>) -> &'static str {
    outcome.map(|_| "approved").unwrap_or_else(|denial| denial.rule)
}

const AT: Timestamp = Timestamp::from_unix_seconds(5);
const BOUND: Requester<'static> = Requester::Bound { device: None };

#[test]
fn each_profile_is_for_those_it_names() {
    let gateway = device("gateway", DeviceState::Registered);
    let own = Requester::Bound { device: Some(&gateway) };
    let name = [dns("gw-1.site.test")];
    for (profile, requester, expected) in [
        ("gateway", own, "approved"),
        ("gateway", BOUND, "requires.binding"),
        ("gateway", Requester::Unbound, "requires.binding"),
        ("gateway", Requester::Administrator, "approved"),
        ("mtls", own, "approved"),
        ("mtls", BOUND, "approved"),
        ("mtls", Requester::Unbound, "requires.binding"),
        ("mtls", Requester::Administrator, "approved"),
        ("server", own, "approved"),
        ("server", BOUND, "approved"),
        ("server", Requester::Unbound, "approved"),
        ("nothing", Requester::Administrator, "profile.known"),
    ] {
        assert_eq!(rule(decide(profile, &name, requester)), expected, "{profile} for {requester:?}");
    }
    let other = device("mtls", DeviceState::Registered);
    assert_eq!(rule(decide("gateway", &name, Requester::Bound { device: Some(&other) })), "requires.binding");
}

#[test]
fn a_device_out_of_service_gets_nothing() {
    for (state, expected) in [
        (DeviceState::Registered, "approved"),
        (DeviceState::Enrolled { at: AT }, "approved"),
        (DeviceState::Retired { at: AT }, "device.inService"),
        (DeviceState::Compromised { at: AT }, "device.inService"),
    ] {
        let device = device("gateway", state);
        for profile in ["gateway", "server"] {
            let outcome = decide(profile, &[dns("gw-1.site.test")], Requester::Bound { device: Some(&device) });
            assert_eq!(rule(outcome), expected, "{state:?} {profile}");
        }
    }
    let gone = device("nothing-of-that-name", DeviceState::Retired { at: AT });
    let denial = decide("gone", &[dns("a.test")], Requester::Bound { device: Some(&gone) }).unwrap_err();
    assert_eq!(denial.kind, ProblemKind::Unauthorized);
}

/// The record and the profile have to agree: neither gives a name that the other does not.
#[test]
fn a_bound_account_gets_names_of_its_record_only() {
    let gateway = device("gateway", DeviceState::Enrolled { at: AT });
    let own = Requester::Bound { device: Some(&gateway) };
    for (profile, identifiers, expected) in [
        ("gateway", vec![dns("gw-1.site.test"), ip("10.0.0.1")], "approved"),
        ("gateway", vec![dns("gw-2.site.test")], "device.names"),
        ("gateway", vec![ip("10.0.0.2")], "device.names"),
        ("gateway", vec![dns("gw-1.site.test"), dns("gw-2.site.test")], "device.names"),
        ("gateway", vec![dns("outside.example")], "identifiers.allowed"),
        // a challenge would not help: another profile is no way around the record
        ("server", vec![dns("gw-2.site.test")], "device.names"),
        ("tools", vec![dns("*.gw-1.site.test")], "device.names"),
        ("gateway", vec![], "identifiers.present"),
    ] {
        assert_eq!(rule(decide(profile, &identifiers, own)), expected, "{profile} {identifiers:?}");
    }
}

#[test]
fn proofs_come_from_the_record_or_from_challenges() {
    let gateway = device("gateway", DeviceState::Registered);
    let name = [dns("gw-1.site.test")];
    let approved = decide("server", &name, Requester::Bound { device: Some(&gateway) }).unwrap();
    assert_eq!(approved.proof(&name[0]), Proof::Device);
    for requester in [BOUND, Requester::Unbound] {
        assert_eq!(decide("server", &name, requester).unwrap().proof(&name[0]), Proof::Challenge);
    }
}

#[test]
fn names_have_to_fit_a_rule() {
    for (value, expected) in [
        (dns("a.site.test"), "approved"),
        (dns("site.test"), "approved"),
        (dns("localhost"), "approved"),
        (dns("x.localhost"), "identifiers.allowed"),
        (dns("evilsite.test"), "identifiers.allowed"),
        (dns("test"), "identifiers.allowed"),
        (dns("site.test.example"), "identifiers.allowed"),
        (dns("*.a.site.test"), "requires.challenges"),
        (dns("*.site.test"), "requires.challenges"),
        (dns("*.test"), "identifiers.allowed"),
        (ip("10.255.255.255"), "approved"),
        (ip("11.0.0.0"), "identifiers.allowed"),
        (ip("fd12::1"), "approved"),
        (ip("::1"), "identifiers.allowed"),
    ] {
        assert_eq!(rule(decide("server", std::slice::from_ref(&value), Requester::Unbound)), expected, "{value}");
    }
    assert_eq!(rule(decide("tools", &[dns("*.site.test")], Requester::Unbound)), "approved", "dns-01 proves wildcards");
    assert_eq!(rule(decide("tools", &[ip("10.0.0.1")], Requester::Unbound)), "requires.challenges", "but no address");
    assert_eq!(rule(decide("mtls", &[dns("*.site.test")], Requester::Administrator)), "identifiers.allowed");
}

#[test]
fn a_denial_tells_every_name_at_fault() {
    let asked = [dns("a.site.test"), dns("b.example"), ip("192.0.2.1")];
    let denial = decide("server", &asked, Requester::Unbound).unwrap_err();
    let faulty: Vec<String> = denial.identifiers.iter().map(|(identifier, _)| identifier.value()).collect();
    assert_eq!(faulty, ["b.example", "192.0.2.1"]);
    let problem = denial.problem();
    assert_eq!(problem.kind, ProblemKind::RejectedIdentifier);
    assert_eq!(problem.subproblems.len(), 2);
    assert_eq!(
        problem.detail,
        "`b.example` can not be had by the profile `server`: none of its rules for `dns` identifiers allows it; \
         ask for another name, or have it added to the profile, and 1 more (rule identifiers.allowed)"
    );
}

#[test]
fn approved_names_are_sorted_and_distinct() {
    let asked = [ip("10.0.0.1"), dns("b.site.test"), dns("a.site.test"), dns("b.site.test")];
    let approved = decide("server", &asked, Requester::Unbound).unwrap();
    assert_eq!(approved.identifiers(), [dns("a.site.test"), dns("b.site.test"), ip("10.0.0.1")]);
}

#[test]
fn keys_have_to_fit_the_profile() {
    let policy = policy();
    let decide = |profile: &str, key: KeyAlgorithm| {
        let (profile, identifiers) = (profile.parse().unwrap(), [dns("a.site.test")]);
        let requester = Requester::Administrator;
        policy.decide(&Request { profile: &profile, identifiers: &identifiers, key: Some(key), requester, held: None })
    };
    assert!(decide("gateway", KeyAlgorithm::EcdsaP256).is_ok());
    let denial = decide("gateway", KeyAlgorithm::Ed25519).unwrap_err();
    assert_eq!((denial.rule, denial.kind), ("keys.allowed", ProblemKind::BadCsr));
    assert!(decide("server", KeyAlgorithm::Ed25519).is_ok());
    let rules = policy.profile(&"server".parse().unwrap()).unwrap().keys;
    assert!(rules.allows(KeyAlgorithm::Rsa { bits: 3072 }) && !rules.allows(KeyAlgorithm::Rsa { bits: 3071 }));
}

#[test]
fn the_default_profile_is_one_the_requester_can_use() {
    let policy = policy();
    let name = |requester| policy.default_profile_for(requester).map(|profile| profile.name.to_string());
    let gateway = device("gateway", DeviceState::Registered);
    let lost = device("withdrawn", DeviceState::Registered);
    assert_eq!(name(Requester::Bound { device: Some(&gateway) }).as_deref(), Some("gateway"));
    assert_eq!(name(Requester::Bound { device: Some(&lost) }), None, "no profile stands in for a withdrawn one");
    assert_eq!(name(BOUND).as_deref(), Some("server"));
    assert_eq!(name(Requester::Unbound).as_deref(), Some("server"));
}

/// What can be written and not be kept is denied with a rule of its own, for administrators too.
#[test]
fn what_can_not_be_kept_is_denied() {
    use crate::policy::testing::{USUAL, device};
    let names = "  identifiers: { dns: [{ suffix: site.test }] }\n";
    let by_device = |further: &str| {
        let usual = USUAL.replace("binding: none, challenges: [http-01]", "binding: device");
        format!("{usual}{names}{further}")
    };
    let ca = USUAL.replace("[serverAuth]", "[]")
        + "  ca: { pathLength: 0, nameConstraints: { dns: [site.test] } }\n  identifiers: { dns: [{ suffix: site.test }] }\n";
    let mut gateway = device("server");
    gateway.dns.push("a.site.test".parse().unwrap());
    let own = Requester::Bound { device: Some(&gateway) };
    let (new, old) = (Some(Held::default()), Some(Held { active: 2, issued: 5 }));
    let key = Some(KeyAlgorithm::Ed25519);
    for (text, requester, key, held, expected) in [
        (ca.clone(), Requester::Administrator, None, None, "ca.approval"),
        (by_device("").replace("device }", "device, approval: true }"), own, None, None, "requires.approval"),
        (by_device("  enabled: false\n"), Requester::Administrator, None, None, "profile.enabled"),
        (by_device("  subject: { commonName: \"{device.labels.x}\" }\n"), own, None, None, "subject.template"),
        (by_device("  subject: { organization: \"{device.site}\" }\n"), own, key, None, "approved"),
        (
            by_device("").replace("[serverAuth]", "[serverAuth], keyUsage: [keyAgreement]"),
            own,
            key,
            None,
            "keys.allowed",
        ),
        (by_device("  keys: { curves: [P-384] }\n"), own, Some(KeyAlgorithm::EcdsaP256), None, "keys.allowed"),
        (by_device("  limits: { active: 2 }\n"), own, key, new, "approved"),
        (by_device("  limits: { active: 2 }\n"), own, key, old, "limits.active"),
        (by_device("  limits: { issued: { count: 5, per: 1d } }\n"), own, key, old, "limits.issued"),
        (by_device("  limits: { issued: { count: 5, per: 1d } }\n"), own, None, None, "approved"),
        // nobody counted, and the certificate would be issued
        (by_device("  limits: { issued: { count: 5, per: 1d } }\n"), own, key, None, "limits.issued"),
    ] {
        let document = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let policy = Policy::from_documents(vec![("x".to_owned(), document)]).unwrap_or_else(|all| panic!("{all:#?}"));
        let (profile, identifiers) = ("server".parse().unwrap(), [dns("a.site.test")]);
        let asked = Request { profile: &profile, identifiers: &identifiers, key, requester, held };
        assert_eq!(rule(policy.decide(&asked)), expected, "{text}");
        assert_eq!(policy.explain(&asked).allowed, expected == "approved", "both are of one mind");
    }
}
