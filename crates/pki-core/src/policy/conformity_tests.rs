//! Whatever is decided, planned and signed satisfies its profile, by an opinion that had no part in it.

use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::device::{Device, Labels};
use crate::ids::IssuerId;
use crate::issuance::plan::{IssuingCa, PlanRequest, plan};
use crate::policy::Policy;
use crate::policy::conformity::{Issuance, violations};
use crate::policy::decide::{Held, Request, Requester};
use crate::policy::document::ProfileDocument;
use crate::policy::testing::{self, USUAL};
use crate::random::SystemEntropy;
use crate::x509::name::Identifier;
use crate::x509::testing::{TestCa, TestKey, now, serial};

static CA: LazyLock<(TestCa, IssuingCa)> = LazyLock::new(|| {
    let ca = TestCa::new(TestKey::fresh_p384(), TestKey::fresh(), None);
    let issuing = IssuingCa {
        id: IssuerId::random(&SystemEntropy::new()),
        certificate: ca.certificate.clone(),
        chain: vec![ca.root.clone()],
        ca_urls: vec!["http://ca.site.test/ca/x.crt".into()],
        crl_base: "http://ca.site.test".into(),
        crl_mirrors: Vec::new(),
        has_deltas: false,
        ocsp_urls: vec!["http://ca.site.test/ocsp".into()],
    };
    (ca, issuing)
});

static KEYS: LazyLock<Vec<TestKey>> =
    LazyLock::new(|| ["p256", "p384", "p521", "rsa", "ed25519"].map(TestKey::load).into());

/// Rules and names of one small world, so that many requests meet a rule and many miss it narrowly.
const DNS_RULES: [&str; 9] = [
    "{ suffix: site.test }",
    "{ suffix: wild.test, wildcards: true }",
    "{ exact: one.test }",
    "{ exact: \"*.star.test\" }",
    "{ pattern: \"gw-*.p.test\" }",
    "{ pattern: \"*a*.q.test\", wildcards: true }",
    "{ template: \"{device.name}.{device.site}.t.test\" }",
    "{ template: \"{device.labels.role}.{templates.zone}\", wildcards: true }",
    "{ suffix: test, wildcards: false }",
];
const OTHER_RULES: [&str; 8] = [
    "    ip: [10.0.0.0/8, \"fd00::/9\"]",
    "    ip: [10.0.0.0/15]",
    "    uri: [{ prefix: \"spiffe://site.test/\" }, { exact: \"urn:a:b\" }]",
    "    uri: [{ template: \"spiffe://site.test/{device.site}/{device.name}\" }]",
    "    opcUaApplicationUri: [{ template: \"urn:{device.name}:x\" }]",
    "    email: [{ domain: site.test }, { exact: root@one.test }]",
    "    email: [{ template: \"{device.labels.role}@site.test\" }]",
    "    permanentIdentifier: [{ exact: SN-1 }, { template: \"{device.name}\" }]",
];
const NAMES: [(&str, &str); 27] = [
    ("dns", "site.test"),
    ("dns", "a.site.test"),
    ("dns", "*.site.test"),
    ("dns", "evilsite.test"),
    ("dns", "wild.test"),
    ("dns", "*.a.wild.test"),
    ("dns", "one.test"),
    ("dns", "x.one.test"),
    ("dns", "*.star.test"),
    ("dns", "gw-7.p.test"),
    ("dns", "gw-7.x.p.test"),
    ("dns", "*.bab.q.test"),
    ("dns", "gw-1.home.t.test"),
    ("dns", "gw-2.home.t.test"),
    ("dns", "edge.zone.test"),
    ("dns", "*.edge.zone.test"),
    ("ip", "10.1.2.3"),
    ("ip", "10.128.0.1"),
    ("ip", "fd00::1"),
    ("ip", "fd80::1"),
    ("uri", "spiffe://site.test/home/gw-1"),
    ("uri", "urn:gw-1:x"),
    ("uri", "urn:a:b"),
    ("email", "edge@site.test"),
    ("email", "root@one.test"),
    ("permanent-identifier", "SN-1"),
    ("permanent-identifier", "gw-1"),
];

prop_compose! {
    fn documents()(
        dns in subsequence(DNS_RULES.to_vec(), 1..DNS_RULES.len()),
        other in proptest::option::of(select(OTHER_RULES.to_vec())),
        wildcards in any::<bool>(),
        keys in select(vec![
            "{ rsaMinBits: 2048 }",
            "{ curves: [P-256, P-384], rsaMinBits: 3072 }",
            "{ ecdsa: false, rsaMinBits: 2048, rsaMaxBits: 4096 }",
            "{ ed25519: false, curves: [P-521] }",
        ]),
        purposes in select(vec!["serverAuth", "clientAuth", "serverAuth, clientAuth"]),
        usage in select(vec!["[]", "[digitalSignature]", "[digitalSignature, contentCommitment, keyEncipherment, dataEncipherment]", "[keyAgreement]"]),
        subject in select(vec![
            "  commonName: true",
            "  commonName: false",
            "  subject: { commonName: \"{device.name} at {device.site}\", organization: Plant }",
            "  subject: { organizationalUnit: \"{device.labels.role}\" }",
        ]),
        revocation in select(vec![
            "",
            "  revocation: { crl: false }\n",
            "  revocation: { crlMirrors: [\"http://mirror.test/x.crl\"], ocsp: false }\n",
            "  revocation: { ocspResponders: [\"http://ocsp.test/\"] }\n",
            "  revocation: { mustStaple: true }\n",
        ]),
        life in select(vec![("60s", "6s"), ("30d", "3d"), ("90d", "0s"), ("3650d", "1h")]),
        limit in select(vec!["", "  limits: { names: 2 }\n", "  limits: { active: 2, issued: { count: 3, per: 1d } }\n"]),
    ) -> String {
        let dns: String = dns.iter().map(|rule| format!("      - {rule}\n")).collect();
        let revocation = if purposes == "clientAuth" { revocation.replace("true", "false") } else { revocation.to_owned() };
        let has_zone = dns.contains("suffix");
        let head = USUAL
            .replace("{ extendedKeyUsage: [serverAuth] }", &format!("{{ extendedKeyUsage: [{purposes}], keyUsage: {usage} }}"))
            .replace("binding: none, challenges: [http-01]", "binding: device")
            .replace("lifetime: 30d", &format!("lifetime: {}", life.0))
            .replace("backdate: 1h", &format!("backdate: {}", life.1));
        format!(
            "{head}  templates: {{ zone: \"{{templates.last}}.test\", last: zone }}\n  identifiers:\n    wildcards: {}\n    dns:\n{dns}{}\n  keys: {keys}\n{subject}\n{revocation}{limit}",
            wildcards && has_zone,
            other.unwrap_or("    ip: [192.0.2.0/24]"),
        )
    }
}

prop_compose! {
    fn devices()(
        recorded in prop_oneof![Just(NAMES.to_vec()), subsequence(NAMES.to_vec(), 0..NAMES.len())],
        role in prop_oneof![Just(Some("edge")), proptest::option::of(select(vec!["a.b", "x y"]))],
    ) -> Device {
        let mut device = testing::device("server");
        for (kind, value) in recorded {
            match Identifier::parse(kind, value).unwrap() {
                Identifier::Dns(name) => device.dns.push(name),
                Identifier::Ip(address) => device.ips.push(address),
                _ => {}
            }
        }
        device.labels = Labels::parse(role.map(|role| ("role", role))).unwrap();
        device
    }
}

/// Issues when policy allows; the finished certificate. What is asked for is what may be had of `names` one by one, or all
/// of them when nothing may: together they may still be denied, and most often are not.
fn issue(
    document: &str,
    names: &[Identifier],
    device: Option<&Device>,
    key: &TestKey,
) -> Option<(ProfileDocument, Vec<u8>)> {
    let document: ProfileDocument =
        serde_saphyr::from_str(document).unwrap_or_else(|error| panic!("{error}\n{document}"));
    let policy =
        Policy::from_documents(vec![("x".into(), document.clone())]).unwrap_or_else(|errors| panic!("{errors:#?}"));
    let profile = "server".parse().unwrap();
    let requester = device.map_or(Requester::Administrator, |device| Requester::Bound { device: Some(device) });
    let (algorithm, held) = (Some(key.public.algorithm()), Some(Held { active: 1, issued: 1 }));
    let base = Request { profile: &profile, identifiers: &[], key: algorithm, requester, held };
    let allowed = |name: &&Identifier| {
        let identifiers = std::slice::from_ref(*name);
        policy.decide(&Request { identifiers, ..base }).is_ok()
    };
    let mut wanted: Vec<Identifier> = names.iter().filter(allowed).cloned().collect();
    if wanted.is_empty() {
        wanted = names.to_vec();
    }
    let asked = Request { identifiers: &wanted, ..base };
    let approved = policy.decide(&asked).ok()?;
    assert!(wanted.iter().all(|name| approved.rule(name).is_some_and(|rule| rule.contains('['))), "rules are named");
    let (ca, issuing) = &*CA;
    let request = PlanRequest {
        approved: &approved,
        public_key: &key.public,
        common_name: None,
        serial: serial(),
        now: now(),
        not_before: None,
        not_after: None,
        shard: 0,
    };
    let planned = plan(issuing, request).unwrap_or_else(|error| panic!("approved, and then: {error}"));
    Some((document, ca.key.seal(&planned).der().to_vec()))
}

fn issuance(device: Option<&Device>) -> Issuance<'_> {
    let issuing = &CA.1;
    Issuance {
        device,
        issuer: issuing.certificate.der(),
        now: now().unix_seconds(),
        crl: vec![issuing.crl_url(0)],
        ocsp: issuing.ocsp_urls.clone(),
    }
}

fn ids(names: &[(&str, &str)]) -> Vec<Identifier> {
    names.iter().map(|(kind, value)| Identifier::parse(kind, value).unwrap()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn what_is_issued_satisfies_its_profile(
        document in documents(),
        device in devices(),
        names in subsequence(NAMES.to_vec(), 1..12),
        key in 0_usize..5,
        by_device in proptest::bool::weighted(0.8),
    ) {
        let device = by_device.then_some(&device);
        if let Some((document, der)) = issue(&document, &ids(&names), device, &KEYS[key]) {
            let found = violations(&document, &der, &issuance(device));
            prop_assert!(found.is_empty(), "{found:?}\n{document:#?}");
        }
    }
}

/// The property above says nothing when nothing is issued.
#[test]
fn the_world_of_the_property_is_not_empty() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let all = (documents(), devices(), subsequence(NAMES.to_vec(), 1..12), 0_usize..5);
    let (mut issued, mut denied) = (0, 0);
    for _ in 0..200 {
        let (document, device, names, key) = all.new_tree(&mut runner).unwrap().current();
        match issue(&document, &ids(&names), Some(&device), &KEYS[key]) {
            Some(_) => issued += 1,
            None => denied += 1,
        }
    }
    assert!(issued >= 30 && denied >= 40, "{issued} issued, {denied} denied");
}

/// Fails when the second opinion agrees with everything: each change of the document makes the same certificate wrong.
#[test]
fn the_second_opinion_has_one() {
    let text = format!(
        "{}  identifiers: {{ dns: [{{ suffix: site.test }}], uri: [{{ prefix: \"spiffe://site.test/\" }}] }}\n  issuer: Test Intermediate\n  keys: {{ rsaMinBits: 2048 }}\n  limits: {{ names: 2 }}\n  revocation: {{ mustStaple: true }}\n",
        USUAL.replace(
            "requires: { binding: none, challenges: [http-01] }",
            "requires: { binding: none, role: administrator }"
        )
    );
    let names = ids(&[("dns", "a.site.test"), ("uri", "spiffe://site.test/x")]);
    let (document, der) = issue(&text, &names, None, &KEYS[0]).unwrap();
    assert_eq!(violations(&document, &der, &issuance(None)), Vec::<String>::new());
    for (from, to) in [
        ("lifetime: 30d", "lifetime: 29d"),
        ("lifetime: 30d", "lifetime: 31d"),
        ("backdate: 1h", "backdate: 59m"),
        ("suffix: site.test", "suffix: other.test"),
        ("spiffe://site.test/", "spiffe://site.test/y/"),
        ("rsaMinBits: 2048", "ecdsa: false, rsaMinBits: 2048"),
        ("rsaMinBits: 2048", "curves: [P-384]"),
        ("[serverAuth]", "[serverAuth, clientAuth]"),
        ("[serverAuth]", "[serverAuth], keyUsage: [contentCommitment]"),
        ("names: 2", "names: 1"),
        ("mustStaple: true", "mustStaple: false"),
        ("mustStaple: true", "mustStaple: true, crl: false"),
        ("mustStaple: true", "mustStaple: true, crlMirrors: [\"http://x.test/\"]"),
        ("mustStaple: true", "mustStaple: true, ocspResponders: [\"http://x.test/\"]"),
        ("issuer: Test Intermediate", "issuer: Other"),
        ("  issuer:", "  subject: { organization: Plant }\n  issuer:"),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from}");
        let document: ProfileDocument = serde_saphyr::from_str(&changed).unwrap();
        let found = violations(&document, &der, &issuance(None));
        assert!(!found.is_empty(), "{to}");
    }
}
