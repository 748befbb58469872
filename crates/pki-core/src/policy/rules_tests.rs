use super::*;
use crate::policy::testing::{device, policy, profile};

fn id(kind: &str, value: &str) -> Identifier {
    Identifier::parse(kind, value).unwrap()
}

fn allows(further: &str, kind: &str, value: &str) -> bool {
    profile(further).identifiers.allows(&id(kind, value))
}

#[test]
fn patterns_stay_within_labels() {
    let further =
        "  identifiers: { dns: [{ pattern: \"gw-*.s*e.test\" }, { pattern: \"*x*y.test\", wildcards: true }] }";
    for (name, expected) in [
        ("gw-1.site.test", true),
        ("GW-1.site.test", true),
        ("gw-.se.test", false),
        ("gw-a-b.se.test", true),
        ("gw-1.a.site.test", false),
        ("x.gw-1.site.test", false),
        ("gw-1.site.test.evil", false),
        ("*.gw-1.site.test", false),
        ("axby.test", true),
        ("xy.test", true),
        ("yx.test", false),
        ("axyb.test", false),
        ("*.axby.test", true),
    ] {
        let Ok(name) = Identifier::parse("dns", name) else {
            assert!(!expected, "{name} is no name");
            continue;
        };
        assert_eq!(profile(further).identifiers.allows(&name), expected, "{name}");
    }
    for bad in ["site.test", "a**.test", "*.*.*.*.*.*.*.*.*.test", "a b*.test", "*.", ""] {
        assert!(Pattern::parse(bad).is_err(), "{bad}");
    }
}

/// The rule that is named is the narrowest, and wildcards are a matter of each rule.
#[test]
fn the_narrowest_rule_answers() {
    let rules = profile(
        "  identifiers:
    dns:
      - suffix: test
      - suffix: site.test
      - exact: gw.site.test
      - { suffix: wild.test, wildcards: true }
      - { suffix: tame.wild.test, wildcards: false }",
    )
    .identifiers;
    let place = |name: &str| rules.allowing(&id("dns", name), None).map(|rule| rule.place.clone());
    for (name, expected) in [
        ("gw.site.test", Some("dns[2]")),
        ("x.site.test", Some("dns[1]")),
        ("site.test", Some("dns[1]")),
        ("other.test", Some("dns[0]")),
        ("test", Some("dns[0]")),
        ("evilsite.test", Some("dns[0]")),
        ("x.example", None),
        ("*.site.test", None),
        ("*.wild.test", Some("dns[3]")),
        ("*.a.wild.test", Some("dns[3]")),
        ("*.tame.wild.test", Some("dns[3]")),
    ] {
        assert_eq!(place(name).as_deref(), expected, "{name}");
    }
    assert_eq!(rules.rules()[3].to_string(), "dns[3] suffix wild.test with wildcards");
}

/// What is looked up is what a walk through all rules would find.
#[test]
fn lookup_and_walk_agree() {
    let rules = profile(
        "  identifiers:
    wildcards: true
    dns: [{ suffix: a.test }, { exact: b.test }, { pattern: \"c-*.test\" }, { suffix: x.a.test, wildcards: false }]
    ip: [10.0.0.0/8, \"fd00::/8\"]
    uri: [{ prefix: \"spiffe://a.test/\" }, { exact: \"urn:x:y\" }]
    email: [{ domain: a.test }, { exact: root@b.test }]
    permanentIdentifier: [{ exact: SN-1 }]",
    )
    .identifiers;
    let names = [
        ("dns", "a.test"),
        ("dns", "*.a.test"),
        ("dns", "x.a.test"),
        ("dns", "*.x.a.test"),
        ("dns", "aa.test"),
        ("dns", "b.test"),
        ("dns", "x.b.test"),
        ("dns", "c-1.test"),
        ("dns", "test"),
        ("ip", "10.1.1.1"),
        ("ip", "11.1.1.1"),
        ("ip", "fd00::1"),
        ("uri", "spiffe://a.test/x"),
        ("uri", "spiffe://a.test"),
        ("uri", "spiffe://a.test.evil/x"),
        ("uri", "urn:x:y"),
        ("uri", "urn:x:yz"),
        ("email", "ana@a.test"),
        ("email", "ana@x.a.test"),
        ("email", "root@b.test"),
        ("permanent-identifier", "SN-1"),
        ("permanent-identifier", "SN-2"),
    ];
    for (kind, value) in names {
        let identifier = id(kind, value);
        let walked = rules.rules().iter().any(|rule| rule.fits(&identifier, None) == Ok(true));
        assert_eq!(rules.allows(&identifier), walked, "{kind} {value}");
    }
}

#[test]
fn templates_allow_what_the_record_makes_and_to_nobody_else() {
    let policy = policy(
        "  identifiers:
    dns: [{ template: \"{device.name}.{device.site}.site.test\", wildcards: true }]
    uri: [{ template: \"spiffe://site.test/{device.site}/{device.name}\" }]
    opcUaApplicationUri: [{ template: \"urn:{device.labels.host}:app\" }]
    email: [{ template: \"{device.name}@site.test\" }]
    permanentIdentifier: [{ template: \"{device.labels.serial}\" }]",
    );
    let rules = &policy.profiles().next().unwrap().identifiers;
    let mut device = device("server");
    device.labels = crate::device::Labels::parse([("serial", "SN-7")]).unwrap();
    for (kind, value, expected) in [
        ("dns", "gw-1.home.site.test", true),
        ("dns", "*.gw-1.home.site.test", true),
        ("dns", "gw-2.home.site.test", false),
        ("dns", "x.gw-1.home.site.test", false),
        ("uri", "spiffe://site.test/home/gw-1", true),
        ("uri", "spiffe://site.test/home/gw-1/x", false),
        ("uri", "urn:gw-1:app", false),
        ("email", "gw-1@site.test", true),
        ("permanent-identifier", "SN-7", true),
        ("permanent-identifier", "SN-8", false),
    ] {
        assert_eq!(rules.allowing(&id(kind, value), Some(&device)).is_some(), expected, "{kind} {value}");
        assert!(!rules.allows(&id(kind, value)), "{value} to nobody in particular");
    }
    let (rule, why) = rules.unfilled(&id("uri", "urn:gw-1:app"), Some(&device)).unwrap();
    assert_eq!((rule.place.as_str(), why), ("opcUaApplicationUri[0]", Unfilled::NoLabel("host".parse().unwrap())));
}

#[test]
fn suffixes_need_dots() {
    let further = "  identifiers: { dns: [{ suffix: site.test }] }";
    assert!(allows(further, "dns", "a.site.test") && !allows(further, "dns", "asite.test"));
    assert!(!allows(further, "uri", "urn:site.test:x") && !allows(further, "email", "a@site.test"));
}
