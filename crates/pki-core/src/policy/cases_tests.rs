use super::*;
use crate::policy::testing::policy;

const PROFILE: &str = "  identifiers:
    dns: [{ suffix: site.test }, { exact: a.site.test }, { template: \"{device.name}.gw.test\" }]
    uri: [{ template: \"urn:{device.labels.host}:x\" }]
  limits: { names: 2 }";

fn read(text: &str) -> CaseDocument {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn run(request: &str, expect: &str) -> Result<Outcome, String> {
    read(&format!("name: x\nrequest: {{ profile: server, {request} }}\nexpect: {{ {expect} }}")).run(&policy(PROFILE))
}

#[test]
fn cases_hold_or_tell_the_difference() {
    for (request, expect, difference) in [
        ("dns: [x.site.test]", "decision: allowed", None),
        ("dns: [x.site.test]", "decision: allowed, rule: \"dns[0]\"", None),
        ("dns: [x.site.test]", "decision: allowed, rule: \"dns[0] suffix site.test\"", None),
        ("dns: [x.site.test, a.site.test]", "decision: allowed, rule: \"dns[0]\"", Some("one is by `dns[1] exact")),
        ("dns: [x.example]", "decision: allowed", Some("it should be allowed, and is denied: `x.example` can not")),
        ("dns: [x.example]", "decision: denied, rule: identifiers.allowed, problem: rejectedIdentifier", None),
        ("dns: [x.example]", "decision: denied, rule: keys.allowed", Some("is by `identifiers.allowed`")),
        ("dns: [x.example]", "decision: denied, problem: badCSR", Some("is `rejectedIdentifier`")),
        ("dns: [x.site.test]", "decision: denied", Some("it should be denied, and is allowed")),
        ("dns: [x.site.test], key: RSA 2048", "decision: denied, rule: keys.allowed, problem: badCSR", None),
        ("uri: [\"urn:a:x\"]", "decision: denied, rule: identifiers.allowed, problem: badCSR", None),
        ("dns: [a.site.test, b.site.test, c.site.test]", "decision: denied, rule: limits.names", None),
        ("dns: [a.site.test], by: administrator", "decision: allowed", None),
        (
            "dns: [gw-1.gw.test], uri: [\"urn:h:x\"], by: device, device: { name: gw-1, labels: { host: h } }",
            "decision: allowed",
            None,
        ),
        ("uri: [\"urn:h:x\"], by: device, device: { name: gw-1 }", "decision: denied, rule: identifiers.allowed", None),
        (
            "dns: [gw-2.gw.test], by: device, device: { name: gw-1 }",
            "decision: denied, rule: identifiers.allowed",
            None,
        ),
        ("dns: [b.site.test], by: device, device: { name: gw-1 }", "decision: denied, rule: device.names", None),
        (
            "dns: [b.site.test], by: device, device: { name: gw-1, retired: true }",
            "decision: denied, rule: device.inService, problem: unauthorized",
            None,
        ),
        ("dns: []", "decision: denied, rule: identifiers.present, problem: malformed", None),
    ] {
        let outcome = run(request, expect).unwrap();
        match (difference, &outcome.difference) {
            (None, found) => assert_eq!(found, &None, "{request}"),
            (Some(part), Some(found)) => assert!(found.contains(part), "{request}: {found}"),
            (Some(part), None) => panic!("{request}: nothing differs, where {part:?} should"),
        }
    }
}

#[test]
fn cases_that_make_no_sense_name_the_field() {
    for (request, expect, told) in [
        ("dns: [a..b]", "decision: denied", "dns: `a..b` is not a valid DNS name"),
        ("ip: [x]", "decision: denied", "ip: "),
        ("key: RSA", "decision: denied", "key: `RSA` is no kind of key"),
        ("by: device", "decision: denied", "device: a device asks"),
        ("device: { name: gw-1 }", "decision: denied", "by: there is a device's record"),
        ("by: device, device: { name: GW }", "decision: denied", "device.name: "),
        ("dns: [x.site.test]", "decision: allowed, problem: badCSR", "expect.problem: what is allowed has no problem"),
        ("dns: [x.example]", "decision: denied, problem: nonsense", "expect.problem: it is no problem type"),
    ] {
        let error = run(request, expect).unwrap_err();
        assert!(error.contains(told), "{request}: {error}");
    }
}

/// The explanation and the decision are of the same mind, and nothing behind an unknown profile is asked.
#[test]
fn explanations_answer_every_question() {
    let request: RequestDocument =
        serde_saphyr::from_str("{ profile: server, dns: [a.site.test, x.example], key: RSA 2048 }").unwrap();
    let explained = request.explain(&policy(PROFILE)).unwrap();
    assert_eq!(explained.rule.as_deref(), Some("identifiers.allowed"));
    let broken: Vec<&str> = explained.steps.iter().filter(|step| !step.holds).map(|step| step.rule.as_str()).collect();
    assert_eq!(broken, ["identifiers.allowed", "keys.allowed"], "also what would have come after");
    assert_eq!(explained.names[0].rule.as_deref(), Some("dns[1] exact a.site.test"));
    assert_eq!(explained.names[1].rule, None);
    let unknown = RequestDocument { profile: "nothing".to_owned(), ..request };
    let explained = unknown.explain(&policy(PROFILE)).unwrap();
    assert_eq!((explained.rule.as_deref(), explained.steps.len()), (Some("profile.known"), 2));
}
