//! Documents as people write them, rightly and wrongly, through the YAML library the CA uses.

use super::*;
use crate::policy::document::ProfileDocument;
use crate::policy::profile::BindingRule;

const GOOD: &str = r"
apiVersion: pilotlight.dev/v1
kind: Profile
metadata:
  name: server
  description: Servers
spec:
  identifiers:
    dns:
      - exact: localhost
      - suffix: site.test
    ip: [10.0.0.0/8]
  usage:
    extendedKeyUsage: [serverAuth]
  lifetime: 30d
  backdate: 1h
  renewal: { at: 0.6, grace: 7d }
  requires: { binding: none, challenges: [http-01] }
";

fn read(text: &str) -> ProfileDocument {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn policy(texts: &[(&str, &str)]) -> Result<Policy, Vec<String>> {
    let documents = texts.iter().map(|(name, text)| ((*name).to_owned(), read(text))).collect();
    Policy::from_documents(documents).map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

#[test]
fn a_good_document_becomes_a_profile() {
    let policy = policy(&[("server.yaml", GOOD)]).unwrap();
    let profile = policy.profile(&"server".parse().unwrap()).unwrap();
    assert_eq!(profile.lifetime.as_secs(), 30 * 86_400);
    assert_eq!(profile.backdate.as_secs(), 3_600);
    assert_eq!((profile.renew_at_permille, profile.grace.as_secs()), (600, 7 * 86_400));
    assert_eq!(profile.binding, BindingRule::None);
    assert_eq!(profile.identifiers.dns_suffix().count() + profile.identifiers.dns_exact().count(), 2);
    assert!(profile.keys.ecdsa && profile.keys.ed25519 && profile.keys.rsa_min_bits.is_none());
    assert!(!profile.common_name && !profile.identifiers.wildcards());
}

/// What is changed in the good document, into what, and the sentence a person reads.
const WRONG: &[(&str, &str, &str)] = &[
    (
        "pilotlight.dev/v1",
        "pilotlight.dev/v2",
        "apiVersion: `pilotlight.dev/v2` is not known; write `pilotlight.dev/v1`",
    ),
    ("kind: Profile", "kind: Policy", "kind: `Policy` is not known; write `Profile`"),
    (
        "name: server",
        "name: My Server",
        "metadata.name: `My Server` is not a profile name (lower-case letters, digits and '-', 63 at most)",
    ),
    ("exact: localhost", "exact: a..b", "spec.identifiers.dns[0]: `a..b` is not a valid DNS name: a label is empty"),
    (
        "suffix: site.test",
        "suffix: .site.test",
        "spec.identifiers.dns[1]: write `suffix: site.test`, which means the zone and every name below it",
    ),
    (
        "10.0.0.0/8",
        "10.0.0.1/8",
        "spec.identifiers.ip[0]: `10.0.0.1/8` has address bits beyond its prefix; write `10.0.0.0/8`",
    ),
    (
        "[serverAuth]",
        "[codeSigning]",
        "spec.usage.extendedKeyUsage: `codeSigning` is not known; write `serverAuth` or `clientAuth`",
    ),
    ("[serverAuth]", "[]", "spec.usage.extendedKeyUsage: name at least one of `serverAuth` and `clientAuth`"),
    ("[serverAuth]", "[serverAuth, serverAuth]", "spec.usage.extendedKeyUsage: `serverAuth` stands there twice"),
    (
        "[serverAuth]",
        "[serverAuth, clientAuth]",
        "spec.requires.binding: a profile with `clientAuth` lets its holders log in elsewhere, so it needs `externalAccount` or `device`",
    ),
    ("lifetime: 30d", "lifetime: 30", "spec.lifetime: `30` is no duration; write for example 90d, 12h, 10m or 60s"),
    ("lifetime: 30d", "lifetime: 9s", "spec.lifetime: `9s` is too short; 10s is the least"),
    ("lifetime: 30d", "lifetime: 3651d", "spec.lifetime: `3651d` is too long; 3650d is the most"),
    ("backdate: 1h", "backdate: 73h", "spec.backdate: it is more than a tenth of `spec.lifetime`; make it shorter"),
    ("at: 0.6", "at: 60", "spec.renewal.at: 60 is not between 0.1 and 0.75; write for example 0.5"),
    ("grace: 7d", "grace: 2000d", "spec.renewal.grace: `2000d` is too long; 1825d is the most"),
    (
        "binding: none",
        "binding: token",
        "spec.requires.binding: `token` is not known; write `none`, `externalAccount` or `device`",
    ),
    (
        "binding: none",
        "binding: device",
        "spec.requires.challenges: with the binding `device` names are proven by the device record; leave challenges out",
    ),
    ("[http-01]", "[]", "spec.requires.challenges: name at least one, for example `http-01`"),
    (
        "[http-01]",
        "[http-02]",
        "spec.requires.challenges: `http-02` is not known; write `http-01`, `dns-01`, `tls-alpn-01`, `dns-account-01`, `dns-persist-01`",
    ),
    (
        "  usage:",
        "  keys: { ecdsa: false, ed25519: false }\n  usage:",
        "spec.keys: no key is allowed; set `ecdsa: true` or another",
    ),
    (
        "  usage:",
        "  keys: { rsaMinBits: 1024 }\n  usage:",
        "spec.keys.rsaMinBits: it is not between 2048 and 8192; write for example 3072",
    ),
    (
        "exact: localhost",
        "exact: localhost\n        suffix: x.test",
        "spec.identifiers.dns[0]: write exactly one of `exact`, `suffix`, `pattern` and `template`",
    ),
    (
        "exact: localhost",
        "template: x.test",
        "spec.identifiers.dns[0]: the template has no variable; write `exact: x.test`",
    ),
    (
        "exact: localhost",
        "template: \"{device.nam}.test\"",
        "spec.identifiers.dns[0]: `{device.nam}` is not known; write {device.name}, {device.site}, {device.labels.KEY}, or {templates.NAME} with NAME under `spec.templates`",
    ),
    (
        "exact: localhost",
        "template: \"{device.name}..test\"",
        "spec.identifiers.dns[0]: the template makes no DNS name: `a..test` is not a valid DNS name: a label is empty",
    ),
    (
        "  usage:",
        "  templates: { a: \"{templates.b}\", b: \"{templates.a}\" }\n  usage:",
        "spec.templates.a: the templates refer to each other in a circle: `a` -> `b` -> `a`; break it",
    ),
    (
        "ip: [10.0.0.0/8]",
        "uri: [{ prefix: \"spiffe://site.test\" }]",
        "spec.identifiers.uri[0]: `spiffe://site.test` has no end that separates; let it end in `/` or `:` behind a host or a namespace",
    ),
    (
        "ip: [10.0.0.0/8]",
        "email: [{ domain: \"*.site.test\" }]",
        "spec.identifiers.email[0]: a domain has no wildcard; write each domain",
    ),
    (
        "[serverAuth]",
        "[serverAuth]\n    keyUsage: [keyCertSign]",
        "spec.usage.keyUsage: `keyCertSign` is not known; write `digitalSignature`, `contentCommitment`, `keyEncipherment`, `dataEncipherment` or `keyAgreement`",
    ),
    (
        "  usage:",
        "  keys: { curves: [P-224] }\n  usage:",
        "spec.keys.curves: `P-224` is not known; write `P-256`, `P-384` or `P-521`",
    ),
    (
        "  usage:",
        "  keys: { rsaMinBits: 4096, rsaMaxBits: 3072 }\n  usage:",
        "spec.keys.rsaMaxBits: it is not between `rsaMinBits` and 8192",
    ),
    (
        "grace: 7d",
        "grace: 7d, window: { from: 0.7, to: 0.6 }",
        "spec.renewal.window: write two shares between 0.1 and 0.9, the first the smaller",
    ),
    (
        "binding: none",
        "binding: externalAccount, role: administrator",
        "spec.requires.role: a role is of people, a binding is of accounts: write `binding: none` beside it",
    ),
    ("binding: none", "binding: none, role: king", "spec.requires.role: `king` is not known; write `administrator`"),
    (
        "  usage:",
        "  limits: { active: 1 }\n  usage:",
        "spec.limits: `active` and `issued` are counted by device; write `binding: device`, or leave them out",
    ),
    (
        "  usage:",
        "  limits: { names: 0 }\n  usage:",
        "spec.limits.names: none at all is no limit; write `enabled: false` instead",
    ),
    (
        "  usage:",
        "  revocation: { crlMirrors: [\"https://x.test/\"] }\n  usage:",
        "spec.revocation.crlMirrors: `https://x.test/` is no address of a list or responder; write for example http://crl.site.test/ca.crl",
    ),
    (
        "  usage:",
        "  revocation: { mustStaple: true, ocsp: false }\n  usage:",
        "spec.revocation.mustStaple: only TLS servers with an OCSP address can staple; leave it out",
    ),
    (
        "  usage:",
        "  ca: { pathLength: 0, nameConstraints: {} }\n  usage:",
        "spec.ca.nameConstraints: a CA that may issue for any name is no part of a policy; name zones or networks",
    ),
    (
        "  usage:",
        "  commonName: true\n  subject: { organization: Plant }\n  usage:",
        "spec.commonName: `spec.subject` says what the subject is; leave this out",
    ),
    (
        "  usage:",
        "  issuer: \" \"\n  usage:",
        "spec.issuer: write the common name of the CA certificate that issues, or leave it out",
    ),
    (
        "name: server",
        "name: server\n  accepts: { PL999: why }",
        "metadata.accepts.PL999: there is no such finding; see docs/policy.md for their ids",
    ),
    (
        "description: Servers",
        "description: \"a\\nb\"",
        "metadata.description: write one line of at most 200 characters",
    ),
];

#[test]
fn errors_name_the_field_and_the_remedy() {
    for (from, to, expected) in WRONG {
        let text = GOOD.replacen(from, to, 1);
        assert_ne!(text, GOOD, "{from}");
        let errors = policy(&[("server.yaml", &text)]).expect_err(to);
        let expected = format!("server.yaml: {expected}");
        assert!(errors.contains(&expected), "{to}: {errors:#?}");
    }
}

#[test]
fn all_errors_of_all_files_are_told_together() {
    let one = GOOD.replace("30d", "30").replace("at: 0.6", "at: 6");
    let two = GOOD.replace("kind: Profile", "kind: X").replace("name: server", "name: two");
    let errors = policy(&[("one.yaml", &one), ("two.yaml", &two)]).unwrap_err();
    assert_eq!(errors.len(), 3, "{errors:#?}");
}

#[test]
fn names_are_unique_and_there_is_at_least_one() {
    let errors = policy(&[("a.yaml", GOOD), ("b.yaml", GOOD)]).unwrap_err();
    assert_eq!(
        errors,
        ["b.yaml: metadata.name: `server` is already the name of the profile in a.yaml; rename one of them"]
    );
    assert_eq!(policy(&[]).unwrap_err().len(), 1);
    let nothing = GOOD
        .replace("      - exact: localhost\n      - suffix: site.test\n", "      []\n")
        .replace("[10.0.0.0/8]", "[]");
    let errors = policy(&[("a.yaml", &nothing)]).unwrap_err();
    assert_eq!(
        errors,
        ["a.yaml: spec.identifiers: no name is allowed; add a rule under `dns` or a network under `ip`"]
    );
    let wild = GOOD.replace("- suffix: site.test", "").replace("    ip:", "    wildcards: true\n    ip:");
    assert!(policy(&[("a.yaml", &wild)]).unwrap_err()[0].contains("spec.identifiers.wildcards"));
}

/// What serde refuses before anybody looks at values; the YAML library adds line and column.
#[test]
fn unknown_and_missing_members_are_refused() {
    for (from, to, expected) in [
        ("lifetime: 30d", "lifetime: 30d\n  lifetme: 30d", "lifetme"),
        ("exact: localhost", "regex: .*", "regex"),
        ("  lifetime: 30d\n", "", "lifetime"),
        ("grace: 7d", "grace: 7d, jitter: 1", "jitter"),
        ("at: 0.6", "at: half", "line"),
        ("lifetime: 30d", "lifetime: 30d\n  lifetime: 90d", "lifetime"),
    ] {
        let text = GOOD.replacen(from, to, 1);
        let error = serde_saphyr::from_str::<ProfileDocument>(&text).expect_err(to).to_string();
        assert!(error.contains(expected), "{to}: {error}");
    }
}

#[test]
fn the_revision_is_of_the_content() {
    let revision = |texts: &[(&str, &str)]| policy(texts).unwrap().revision().to_owned();
    let two = GOOD.replace("name: server", "name: two");
    let first = revision(&[("a.yaml", GOOD), ("b.yaml", &two)]);
    assert_eq!(first.len(), 64);
    assert_eq!(first, revision(&[("x.yaml", &two), ("y.yaml", &format!("# comment\n{GOOD}"))]));
    assert_ne!(first, revision(&[("a.yaml", GOOD)]));
    assert_ne!(revision(&[("a.yaml", GOOD)]), revision(&[("a.yaml", &GOOD.replace("30d", "31d"))]));
}
