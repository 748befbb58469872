use proptest::prelude::*;

use super::*;
use crate::policy::testing::policy;
use crate::x509::name::Identifier;

const NAMES: &str = "  identifiers: { dns: [{ suffix: site.test }, { exact: a.other.test }], ip: [\"10.0.0.0/8\"] }\n";

fn told(old: &str, new: &str) -> Vec<String> {
    let told = |change: Change| {
        let side = |side: Option<String>| side.unwrap_or_else(|| "-".to_owned());
        format!("{} {}: {} > {}", change.effect.as_str(), change.field, side(change.old), side(change.new))
    };
    diff(&policy(old), &policy(new)).into_iter().flat_map(|one| one.changes).map(told).collect()
}

/// Fails when the way something is written counts.
#[test]
fn equal_meaning_is_no_difference() {
    for other in [
        "  identifiers: { ip: [\"10.128.0.0/9\", \"10.0.0.0/9\"], dns: [{ exact: A.other.test }, { suffix: site.test }] }\n",
        "  identifiers: { dns: [{ suffix: site.test, wildcards: false }, { suffix: x.site.test }, { pattern: \"a*.site.test\" },
      { exact: a.other.test }], ip: [\"10.0.0.0/8\", \"10.1.0.0/16\"] }\n",
        "  identifiers: { dns: [{ suffix: site.test }, { exact: a.other.test }], ip: [\"10.0.0.0/8\"] }
  keys: { ecdsa: true, curves: [P-521, P-256, P-384] }\n  revocation: { crl: true }\n  templates: { x: y }\n",
    ] {
        assert_eq!(told(NAMES, other), Vec::<String>::new(), "{other}");
        assert_eq!(told(other, NAMES), Vec::<String>::new(), "{other}");
    }
    let usual = format!("{NAMES}  commonName: false\n");
    assert_eq!(told(NAMES, &usual), Vec::<String>::new());
}

#[test]
fn names_come_and_go_as_sets() {
    let dns = |rules: &str| format!("  identifiers: {{ dns: [{rules}], ip: [\"10.0.0.0/8\"] }}\n");
    let zone = dns("{ suffix: site.test }");
    for (old, new, expected) in [
        (
            zone.clone(),
            dns("{ suffix: a.site.test }"),
            "impossible identifiers.dns: suffix site.test, except suffix a.site.test > -",
        ),
        (zone.clone(), dns("{ suffix: test }"), "possible identifiers.dns: - > suffix test, except suffix site.test"),
        (
            zone.clone(),
            dns("{ suffix: site.test, wildcards: true }"),
            "possible identifiers.dns (wildcards): - > suffix site.test",
        ),
        (
            dns("{ suffix: site.test }, { template: \"{device.name}.a.test\" }"),
            zone.clone(),
            "impossible identifiers.dns: template {device.name}.a.test > -",
        ),
        (zone.clone(), zone.replace("10.0.0.0/8", "10.0.0.0/9"), "impossible identifiers.ip: network 10.128.0.0/9 > -"),
    ] {
        assert_eq!(told(&old, &new), [expected]);
    }
    let uris = |rules: &str| {
        format!("{NAMES}  templates: {{ h: \"{{device.name}}\" }}\n").replace("ip:", &format!("uri: [{rules}], ip:"))
    };
    let one = uris("{ template: \"urn:{templates.h}:x\" }, { prefix: \"urn:a:\" }, { exact: \"urn:a:b\" }");
    assert_eq!(
        told(&one, &uris("{ prefix: \"urn:a:\" }, { template: \"urn:{device.name}:x\" }")),
        Vec::<String>::new()
    );
    assert_eq!(
        told(&one, &uris("{ exact: \"urn:a:b\" }, { template: \"urn:{device.name}:x\" }")),
        ["impossible identifiers.uri: prefix urn:a:, except exact urn:a:b > -"]
    );
}

#[test]
fn everything_else_is_told_by_its_field() {
    let text = |further: &str| format!("{NAMES}{further}");
    for (old, new, expected) in [
        ("", "  keys: { ed25519: false }\n", "impossible keys: Ed25519 > -"),
        ("", "  keys: { curves: [P-256, P-384] }\n", "impossible keys: ECDSA P-521 > -"),
        ("", "  keys: { rsaMinBits: 3072 }\n", "possible keys: - > RSA of at least 3072 bits"),
        ("", "  enabled: false\n", "changed enabled: yes > no"),
        ("", "  commonName: true\n", "changed commonName: no > yes"),
        ("", "  limits: { names: 3 }\n", "changed limits.names: - > 3"),
        ("  issuer: A\n", "  issuer: B\n", "changed issuer: A > B"),
        ("", "  revocation: { ocsp: false }\n", "changed revocation.ocsp: yes > no"),
        ("", "  subject: { organization: Plant }\n", "changed subject.organization: - > Plant"),
    ] {
        assert_eq!(told(&text(old), &text(new)), [expected]);
    }
    let changed = |from: &str, to: &str| {
        let document = format!("{}{NAMES}", crate::policy::testing::USUAL).replace(from, to);
        Policy::from_documents(vec![("server.yaml".to_owned(), serde_saphyr::from_str(&document).unwrap())]).unwrap()
    };
    for (from, to, field, effect) in [
        ("lifetime: 30d", "lifetime: 31d", "lifetime", Effect::Changed),
        ("backdate: 1h", "backdate: 60s", "backdate", Effect::Changed),
        ("at: 0.6", "at: 0.5", "renewal.at", Effect::Changed),
        ("grace: 0s", "grace: 1d", "renewal.grace", Effect::Changed),
        ("grace: 0s", "grace: 0s, window: { from: 0.5, to: 0.6 }", "renewal.window", Effect::Changed),
        ("binding: none", "binding: externalAccount", "requires.binding", Effect::Changed),
        ("[http-01]", "[http-01, dns-01]", "requires.challenges", Effect::Possible),
        ("binding: none", "binding: none, approval: true", "requires.approval", Effect::Changed),
        ("binding: none", "binding: none, role: administrator", "requires.role", Effect::Changed),
        ("[serverAuth]", "[serverAuth], keyUsage: [digitalSignature]", "usage.keyUsage", Effect::Impossible),
    ] {
        let found = diff(&policy(NAMES), &changed(from, to));
        let [ProfileDifference { is: Presence::Changed, changes, .. }] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(changes.iter().map(|one| (one.field, one.effect)).collect::<Vec<_>>(), [(field, effect)], "{to}");
    }
    let other = changed("name: server", "name: other");
    let found = diff(&policy(NAMES), &other);
    let is: Vec<_> = found.iter().map(|one| (one.profile.as_str(), one.is)).collect();
    assert_eq!(is, [("other", Presence::New), ("server", Presence::Gone)]);
    assert!(found.iter().all(|one| one.changes.iter().any(|change| change.field == "identifiers.dns")));
    let usual = changed("[serverAuth]", "[serverAuth], keyUsage: [keyEncipherment, digitalSignature]");
    assert!(diff(&policy(NAMES), &usual).is_empty(), "what is usual, written out");
}

fn rules() -> impl Strategy<Value = String> {
    let dns = prop::sample::subsequence(
        vec![
            "{ suffix: test }",
            "{ suffix: a.test }",
            "{ suffix: a.test, wildcards: true }",
            "{ exact: a.test }",
            "{ exact: b.a.test }",
            "{ exact: \"*.a.test\" }",
            "{ pattern: \"b*.a.test\" }",
        ],
        0..5,
    );
    let ip = prop::sample::subsequence(
        vec!["\"10.0.0.0/8\"", "\"10.0.0.0/9\"", "\"10.128.0.0/9\"", "\"10.1.0.0/16\"", "\"fd00::/8\""],
        1..4,
    );
    (dns, ip).prop_map(|(dns, ip)| format!("  identifiers: {{ dns: [{}], ip: [{}] }}\n", dns.join(", "), ip.join(", ")))
}

proptest! {
    /// A name that one policy gives and the other does not is told as a change of names; and what is told as no
    /// change gives the same names.
    #[test]
    fn no_change_of_a_name_is_silent(old in rules(), new in rules()) {
        let (old, new) = (policy(&old), policy(&new));
        let changes: Vec<Change> = diff(&old, &new).into_iter().flat_map(|one| one.changes).collect();
        let server = "server".parse().unwrap();
        for (kind, name) in [
            ("dns", "test"), ("dns", "a.test"), ("dns", "b.a.test"), ("dns", "bc.a.test"), ("dns", "c.b.a.test"),
            ("dns", "*.a.test"), ("dns", "*.b.a.test"), ("dns", "*.test"),
            ("ip", "10.1.0.1"), ("ip", "10.200.0.1"), ("ip", "10.2.0.1"), ("ip", "fd00::1"),
        ] {
            let identifier = Identifier::parse(kind, name).unwrap();
            let given = |policy: &Policy| policy.profile(&server).unwrap().identifiers.allows(&identifier);
            let effect = match (given(&old), given(&new)) {
                (true, false) => Effect::Impossible,
                (false, true) => Effect::Possible,
                _ => continue,
            };
            prop_assert!(changes.iter().any(|change| change.effect == effect && change.field.starts_with("identifiers.")), "{name}: {changes:?}");
        }
        prop_assert!(diff(&old, &old).is_empty());
    }
}
