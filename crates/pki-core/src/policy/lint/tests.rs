use std::collections::BTreeSet;

use super::*;
use crate::policy::document::ProfileDocument;
use crate::policy::{defaults, testing};

fn findings(documents: &[&str], around: &Surroundings) -> Vec<Finding> {
    let documents = documents.iter().enumerate().map(|(index, text)| {
        let document: ProfileDocument = serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        (format!("{index}.yaml"), document)
    });
    let policy = Policy::from_documents(documents.collect()).unwrap_or_else(|errors| panic!("{errors:#?}"));
    lint(&policy, around)
}

/// A server profile that nothing is found in.
fn server(names: &str) -> String {
    format!("{}  identifiers: {{ {names} }}\n", testing::USUAL)
}

const GOOD: &str = "dns: [{ suffix: site.test }]";

/// A profile of devices with these names.
fn devices(names: &str) -> String {
    server(names)
        .replace("name: server", "name: gateway")
        .replace("[serverAuth]", "[serverAuth, clientAuth]")
        .replace("binding: none, challenges: [http-01]", "binding: device")
}

fn day(days: u64) -> Duration {
    Duration::from_secs(days * 86_400)
}

/// The id, documents that have it and nothing else, and what surrounds them.
fn examples() -> Vec<(&'static str, Vec<String>, Surroundings)> {
    let around = Surroundings::default;
    let external = |names: &str| server(names).replace("binding: none", "binding: externalAccount");
    let year = |text: &str| text.replace("lifetime: 30d", "lifetime: 365d");
    let constraints = crate::x509::certificate::NameConstraints::permitting(&["other.test".parse().unwrap()], &[]);
    vec![
        ("PL001", vec![external(GOOD).replace("[serverAuth]", "[clientAuth]")], around()),
        ("PL002", vec![server("dns: [{ suffix: site.test, wildcards: true }]").replace("http-01", "dns-01")], around()),
        ("PL003", vec![server("dns: [{ suffix: com }]")], around()),
        ("PL004", vec![server(GOOD)], Surroundings { issuer_life: Some(day(29)), ..around() }),
        ("PL005", vec![year(&server(GOOD))], Surroundings { signer_life: Some(day(364)), ..around() }),
        ("PL006", vec![server(GOOD), external(GOOD).replace("name: server", "name: strict")], around()),
        ("PL007", vec![server(GOOD), devices("dns: [{ pattern: \"gw-*.site.test\" }]")], around()),
        ("PL008", vec![server("dns: [{ suffix: site.test }, { exact: a.site.test }]")], around()),
        ("PL009", vec![server("ip: [10.0.0.0/8]").replace("http-01", "dns-01")], around()),
        ("PL010", vec![server(GOOD).replace("[serverAuth] }", "[serverAuth], keyUsage: [keyAgreement] }")], around()),
        ("PL011", vec![devices("dns: [{ template: \"{device.name}-{device.site}.test\" }]")], around()),
        ("PL012", vec![server(GOOD) + "  revocation: { crl: false }\n"], around()),
        ("PL013", vec![server(GOOD).replace("[http-01] }", "[http-01], approval: true }")], around()),
        ("PL014", vec![server(GOOD) + "  issuer: Other CA\n"], Surroundings { issuers: vec!["CA".into()], ..around() }),
        ("PL015", vec![server(GOOD)], Surroundings { constraints: vec![constraints], ..around() }),
        (
            "PL016",
            vec![server(GOOD).replace("{ name: server }", "{ name: server, accepts: { PL003: why } }")],
            around(),
        ),
        ("PL017", vec![devices(GOOD) + "  limits: { active: 1 }\n"], around()),
        ("PL018", vec![server("dns: [{ template: \"{device.name}.test\" }]")], around()),
    ]
}

#[test]
fn each_finding_has_an_example_that_shows_it_alone() {
    let mut shown = BTreeSet::new();
    for (id, documents, around) in examples() {
        let documents: Vec<&str> = documents.iter().map(String::as_str).collect();
        let found: BTreeSet<&str> = findings(&documents, &around).iter().map(|finding| finding.id).collect();
        assert_eq!(found, BTreeSet::from([id]), "{documents:#?}");
        shown.insert(id);
    }
    let all: BTreeSet<&str> = KINDS.iter().map(|kind| kind.id).collect();
    assert_eq!(shown, all, "every kind of finding is shown");
    assert!(findings(&[&server(GOOD)], &Surroundings::default()).is_empty(), "what is good has none");
}

#[test]
fn findings_say_where_and_are_accepted_with_a_reason() {
    let text = server("dns: [{ suffix: org }, { suffix: com }]");
    let found = findings(&[&text], &Surroundings::default());
    assert_eq!(found.len(), 2);
    let one = &found[0];
    assert_eq!((one.file.as_str(), one.field.as_str()), ("0.yaml", "spec.identifiers.dns[0]"));
    assert_eq!((one.sentence.as_str(), &one.accepted), ("every name under `org` is allowed", &None));
    let accepted = text.replace("{ name: server }", "{ name: server, accepts: { PL003: we run both } }");
    let found = findings(&[&accepted], &Surroundings::default());
    assert!(found.iter().all(|one| one.accepted.as_deref() == Some("we run both")), "{found:#?}");
}

#[test]
fn what_is_switched_off_is_not_looked_at() {
    let text = server("dns: [{ suffix: com }]") + "  enabled: false\n";
    assert_eq!(findings(&[&text], &Surroundings::default()), []);
}

/// What a new CA begins with has nothing that is not accepted, whatever its names are.
#[test]
fn the_default_profiles_have_no_open_finding() {
    for (domains, networks) in
        [(&["site.test", "internal"][..], &["10.0.0.0/8"][..]), (&["test"], &[]), (&[], &["fd00::/8"])]
    {
        let domains: Vec<_> = domains.iter().map(|domain| domain.parse().unwrap()).collect();
        let networks: Vec<_> = networks.iter().map(|network| network.parse().unwrap()).collect();
        let texts = defaults::documents(&domains, &networks);
        let texts: Vec<&str> = texts.iter().map(|(_, text)| text.as_str()).collect();
        let around =
            Surroundings { issuer_life: Some(day(1825)), signer_life: Some(day(398)), ..Surroundings::default() };
        let open: Vec<Finding> =
            findings(&texts, &around).into_iter().filter(|finding| finding.accepted.is_none()).collect();
        assert_eq!(open, [], "{domains:?} {networks:?}");
    }
}
