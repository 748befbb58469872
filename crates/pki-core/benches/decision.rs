//! How long a decision takes: `cargo bench -p pki-core --bench decision`.
//!
//! 200 profiles of 50 rules each; one request whose rule is found at once, one whose rule is the last of its profile, one of
//! ten names, and one that no rule allows.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use pki_core::policy::Policy;
use pki_core::policy::decide::{Request, Requester};
use pki_core::policy::document::ProfileDocument;
use pki_core::x509::key::KeyAlgorithm;
use pki_core::x509::name::Identifier;

const PROFILES: usize = 200;

/// Fifty rules: zones, exact names, patterns and networks.
fn profile(number: usize) -> (String, ProfileDocument) {
    let zones = (0..30).map(|zone| format!("      - suffix: z{zone}.p{number}.test\n"));
    let exact = (0..10).map(|name| format!("      - exact: host-{name}.exact.test\n"));
    let patterns = (0..5).map(|form| format!("      - pattern: \"f{form}-*.pattern.test\"\n"));
    let dns: String = zones.chain(exact).chain(patterns).collect();
    let ip: String = (0..5).map(|network| format!("      - 10.{network}.0.0/16\n")).collect();
    let text = format!(
        "apiVersion: pilotlight.dev/v1\nkind: Profile\nmetadata: {{ name: p{number} }}\nspec:\n  identifiers:\n    dns:\n{dns}    \
         ip:\n{ip}  usage: {{ extendedKeyUsage: [serverAuth] }}\n  lifetime: 30d\n  backdate: 1h\n  renewal: {{ at: 0.5, grace: 0s \
         }}\n  requires: {{ binding: none, challenges: [http-01] }}\n"
    );
    (format!("p{number}.yaml"), serde_saphyr::from_str(&text).unwrap())
}

fn decisions(criterion: &mut Criterion) {
    let policy = Policy::from_documents((0..PROFILES).map(profile).collect()).unwrap();
    let profile = "p137".parse().unwrap();
    let dns = |name: &str| Identifier::parse("dns", name).unwrap();
    let ten = (0..10).map(|name| dns(&format!("gw-{name}.site.z{name}.p137.test"))).collect();
    let cases: [(&str, Vec<Identifier>, bool); 4] = [
        ("exact name", vec![dns("host-3.exact.test")], true),
        ("last pattern", vec![dns("f4-gw.pattern.test")], true),
        ("ten names", ten, true),
        ("denied", vec![dns("gw-1.example")], false),
    ];
    for (name, identifiers, allowed) in cases {
        let request = Request {
            profile: &profile,
            identifiers: &identifiers,
            key: Some(KeyAlgorithm::EcdsaP256),
            requester: Requester::Unbound,
            held: None,
        };
        assert_eq!(policy.decide(&request).is_ok(), allowed, "{name}");
        criterion.bench_function(&format!("decide: {name}"), |bencher| {
            bencher.iter(|| policy.decide(black_box(&request)).is_ok());
        });
    }
}

criterion_group!(benches, decisions);
criterion_main!(benches);
