use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::issuance::seal::seal;
use crate::policy::profile::{ExtendedKeyUsage, KeyRules, Profile};
use crate::policy::testing;
use crate::random::SystemEntropy;
use crate::revocation::Reason;
use crate::x509::crl::{self, Crl, CrlEntry, CrlHead, CrlKind, CrlScope};
use crate::x509::name::Identifier;
use crate::x509::pem;
use crate::x509::testing::{DAY, TestCa, TestKey, file, names, now, serial};

fn profile(usages: &[ExtendedKeyUsage]) -> Profile {
    let rsa = KeyRules { rsa_min_bits: Some(2048), ..testing::profile(NAMES).keys };
    Profile { extended_key_usage: usages.to_vec(), keys: rsa, ..testing::profile(NAMES) }
}

const NAMES: &str = "  identifiers: { dns: [{ suffix: test }] }";

fn ids(texts: &[&str]) -> Vec<Identifier> {
    let parse = |text: &&str| Identifier::parse("ip", text).or_else(|_| Identifier::parse("dns", text)).unwrap();
    let mut ids: Vec<_> = texts.iter().map(parse).collect();
    ids.sort();
    ids
}

fn approved(texts: &[&str]) -> Approved {
    Approved::for_test(Arc::new(profile(&[ExtendedKeyUsage::ServerAuth])), ids(texts))
}

pub(super) fn issuing(ca: &TestCa) -> IssuingCa {
    let id = IssuerId::random(&SystemEntropy::new());
    IssuingCa {
        ca_urls: vec!["http://ca.site.test/ca/x.crt".into()],
        crl_base: "http://ca.site.test/".into(),
        ocsp_urls: vec!["http://ca.site.test/ocsp".into()],
        ..IssuingCa::without_addresses(id, ca.certificate.clone(), [ca.root.clone()])
    }
}

fn request<'a>(approved: &'a Approved, key: &'a PublicKey) -> PlanRequest<'a> {
    PlanRequest {
        approved,
        public_key: key,
        common_name: None,
        serial: serial(),
        now: now(),
        not_before: None,
        not_after: None,
        shard: 7,
    }
}

fn test_ca() -> TestCa {
    TestCa::new(TestKey::fresh_p384(), TestKey::fresh(), None)
}

#[test]
fn a_leaf_is_what_was_asked_for() {
    let ca = test_ca();
    let issuer = issuing(&ca);
    let (approved, key) = (approved(&["gw-1.site.test", "*.site.test", "192.0.2.1", "2001:db8::1"]), TestKey::fresh());
    let planned = plan(&issuer, request(&approved, &key.public)).unwrap();
    let leaf = ca.key.seal(&planned).certificate().clone();
    assert_eq!(leaf.identifiers(), approved.identifiers());
    assert_eq!(leaf.public_key(), &key.public);
    assert_eq!(&leaf.serial(), planned.serial());
    assert_eq!(leaf.issuer_der(), ca.certificate.subject_der());
    assert_eq!(leaf.authority_key_identifier(), ca.certificate.subject_key_identifier());
    assert_eq!(leaf.subject_key_identifier(), Some(&key.public.key_identifier()[..]));
    assert_eq!(leaf.not_before(), now() - Duration::from_secs(3600));
    assert_eq!(leaf.not_after().since(leaf.not_before()), 30 * DAY, "X5-8: the profile's life");
    assert_eq!(planned.cut_from(), None);
    assert_eq!(leaf.crl_urls(), [format!("http://ca.site.test/crl/{}/7.crl", issuer.id)]);
    assert_eq!(leaf.crl_urls(), planned.crl_urls());
    assert!(!leaf.is_ca() && !leaf.may_sign());
    assert_eq!(leaf.common_name(), None);
    leaf.verify_signed_by(ca.certificate.public_key()).unwrap();
    assert!(leaf.verify_signed_by(ca.root.public_key()).is_err());
}

#[test]
fn crl_3_and_8_a_leaf_carries_every_address_of_its_list_and_of_the_delta() {
    let (ca, key, approved) = (test_ca(), TestKey::fresh(), approved(&["a.test"]));
    let mirrors = vec!["http://lists.site.test".to_owned(), "http://10.0.0.1:8080/".to_owned()];
    let issuer = IssuingCa { crl_mirrors: mirrors, has_deltas: true, ..issuing(&ca) };
    let leaf = ca.key.seal(&plan(&issuer, request(&approved, &key.public)).unwrap()).certificate().clone();
    let at = |file: &str| {
        ["ca.site.test", "lists.site.test", "10.0.0.1:8080"]
            .map(|host| format!("http://{host}/crl/{}/{file}.crl", issuer.id))
    };
    assert_eq!(leaf.crl_urls(), at("7"));
    let (_, parsed) = x509_parser::parse_x509_certificate(leaf.der()).unwrap();
    let freshest: Vec<_> = parsed.extensions().iter().filter(|one| one.oid.to_id_string() == "2.5.29.46").collect();
    assert!(freshest.len() == 1 && !freshest[0].critical);
    for url in at("7-delta") {
        assert!(freshest[0].value.windows(url.len()).any(|octets| octets == url.as_bytes()), "{url}");
    }
    let mut profile = profile(&[ExtendedKeyUsage::ServerAuth]);
    profile.revocation.crl = false;
    let approved = Approved::for_test(Arc::new(profile), ids(&["a.test"]));
    let leaf = ca.key.seal(&plan(&issuer, request(&approved, &key.public)).unwrap()).certificate().clone();
    let (_, parsed) = x509_parser::parse_x509_certificate(leaf.der()).unwrap();
    assert!(leaf.crl_urls().is_empty() && !parsed.extensions().iter().any(|one| one.oid.to_id_string() == "2.5.29.46"));
}

#[test]
fn fin_11_common_names_only_when_they_are_names_and_short() {
    let (ca, key) = (test_ca(), TestKey::fresh());
    let long = format!("{}.site.test", "a".repeat(60));
    let plan_with = |names: &[&str], common_name: Option<&str>, always: bool| {
        let mut profile = profile(&[ExtendedKeyUsage::ServerAuth]);
        profile.common_name = always;
        let approved = Approved::for_test(Arc::new(profile), ids(names));
        let planned = plan(&issuing(&ca), PlanRequest { common_name, ..request(&approved, &key.public) }).unwrap();
        ca.key.seal(&planned).certificate().common_name()
    };
    assert_eq!(plan_with(&["a.test", "b.test"], Some("B.test"), false).as_deref(), Some("b.test"));
    assert_eq!(plan_with(&["a.test", "192.0.2.1"], Some("192.0.2.1"), false).as_deref(), Some("192.0.2.1"));
    assert_eq!(plan_with(&["a.test"], Some("Gateway One"), false), None);
    assert_eq!(plan_with(&["a.test"], Some("other.test"), false), None);
    assert_eq!(plan_with(&[&long], Some(&long), false), None, "longer than 64");
    assert_eq!(plan_with(&["a.test", "b.test"], None, true).as_deref(), Some("a.test"));
    assert_eq!(plan_with(&["192.0.2.1"], None, true), None);
}

#[test]
fn ipi_4_an_address_is_no_common_name_where_dns_names_are_limited() {
    let constraints = NameConstraints::permitting(&["a.test".parse().unwrap()], &["192.0.2.0/24".parse().unwrap()]);
    let ca = TestCa::new(TestKey::fresh_p384(), TestKey::fresh(), Some(&constraints));
    let key = TestKey::fresh();
    for (names, common_name, expected) in
        [(&["192.0.2.1"][..], "192.0.2.1", None), (&["192.0.2.1", "a.test"], "a.test", Some("a.test"))]
    {
        let approved = approved(names);
        let request = PlanRequest { common_name: Some(common_name), ..request(&approved, &key.public) };
        let leaf = ca.key.seal(&plan(&issuing(&ca), request).unwrap()).certificate().clone();
        assert_eq!(leaf.common_name().as_deref(), expected);
    }
}

#[test]
fn x5_8_lives_are_cut_to_the_chain_and_wishes_are_kept_or_refused() {
    let (ca, key, approved) = (test_ca(), TestKey::fresh(), approved(&["a.test"]));
    let issuer = issuing(&ca);
    let at = |now, not_before, not_after| {
        plan(&issuer, PlanRequest { now, not_before, not_after, ..request(&approved, &key.public) })
    };
    let end = ca.certificate.not_after();
    let late = at(end - DAY, None, None).unwrap();
    assert_eq!(late.not_after(), end);
    assert_eq!(late.cut_from(), Some(late.not_before() + 30 * DAY));
    assert!(matches!(at(end - DAY, None, Some(end + DAY)), Err(PlanError::BeyondIssuer { .. })));
    assert_eq!(at(end - DAY, None, Some(end)).unwrap().cut_from(), None);
    assert!(matches!(at(end, None, None), Err(PlanError::IssuerExpired { .. })));

    let begin = ca.certificate.not_before();
    assert_eq!(at(begin, None, None).unwrap().not_before(), begin, "never before the issuer's");
    assert!(matches!(at(begin - Duration::from_secs(1), None, None), Err(PlanError::IssuerNotYetValid { .. })));

    let hour = Duration::from_secs(3600);
    assert!(matches!(at(now(), Some(now() - 2 * hour), None), Err(PlanError::NotBeforeTooEarly { .. })));
    assert!(matches!(at(now(), Some(now() + 31 * DAY), None), Err(PlanError::NotBeforeTooLate { .. })));
    let wished = at(now(), Some(now() + DAY), Some(now() + 2 * DAY)).unwrap();
    assert_eq!((wished.not_before(), wished.not_after()), (now() + DAY, now() + 2 * DAY));
    // ORD-6: the whole life from now on, also by a clock a little ahead, without backdating
    for ahead in [0, 30] {
        let end = now() + 30 * DAY + Duration::from_secs(ahead);
        let whole = at(now(), None, Some(end)).unwrap();
        assert_eq!((whole.not_before(), whole.not_after()), (end - 30 * DAY, end));
    }
    let beyond = now() + 30 * DAY + hour;
    assert!(matches!(at(now(), None, Some(beyond)), Err(PlanError::NotAfterTooLate { .. })));
    assert!(matches!(at(now(), None, Some(now())), Err(PlanError::NoLife { .. })));
    assert!(matches!(at(now(), Some(now() + 2 * DAY), Some(now() + DAY)), Err(PlanError::NoLife { .. })));
}

#[test]
fn x5_8_a_root_that_ends_first_cuts_too() {
    let ca = test_ca();
    let mut issuer = issuing(&ca);
    let short = plan_root(RootRequest {
        common_name: "Short Root",
        public_key: &ca.root_key.public,
        not_before: now() - DAY,
        not_after: now() + DAY,
        serial: serial(),
        path_len: Some(1),
    });
    issuer.chain = vec![ca.certificate.clone(), ca.root_key.seal(&short.unwrap()).certificate().clone()];
    let (approved, key) = (approved(&["a.test"]), TestKey::fresh());
    let planned = plan(&issuer, request(&approved, &key.public)).unwrap();
    assert_eq!(planned.not_after(), now() + DAY);
    assert!(planned.cut_from().is_some());
}

#[test]
fn x5_7_name_constraints_are_enforced_before_signing() {
    let constraints = NameConstraints::permitting(&["site.test".parse().unwrap()], &["10.0.0.0/8".parse().unwrap()]);
    let ca = TestCa::new(TestKey::fresh(), TestKey::fresh(), Some(&constraints));
    assert_eq!(ca.certificate.name_constraints(), Some(constraints));
    let key = TestKey::fresh();
    let plan_for = |names: &[&str]| {
        let approved = approved(names);
        plan(&issuing(&ca), request(&approved, &key.public)).map(drop)
    };
    assert_eq!(plan_for(&["a.site.test", "10.1.2.3"]), Ok(()));
    for names in [["a.site.test", "other.test"], ["a.site.test", "11.1.2.3"], ["a.site.test", "fd00::1"]] {
        let error = plan_for(&names).unwrap_err();
        assert!(matches!(&error, PlanError::Constraints(outside) if outside.name.value() == names[1]), "{error}");
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let (ca, key) = (test_ca(), TestKey::fresh());
    let issuer = issuing(&ca);
    assert_eq!(plan(&issuer, request(&approved(&[]), &key.public)), Err(PlanError::NoNames));
    let approved = approved(&["a.test"]);
    assert_eq!(plan(&issuer, request(&approved, &ca.key.public)), Err(PlanError::IssuersKey));
    assert_eq!(plan(&issuer, request(&approved, &ca.root_key.public)), Err(PlanError::IssuersKey));
    let leaf = ca.key.seal(&plan(&issuer, request(&approved, &key.public)).unwrap()).certificate().clone();
    let below_leaf = IssuingCa { certificate: leaf, ..issuer.clone() };
    let other = TestKey::fresh();
    assert!(matches!(plan(&below_leaf, request(&approved, &other.public)), Err(PlanError::IssuerMayNotSign(_))));
    let many: Vec<String> = (0..4000).map(|index| format!("name-{index}.site.test")).collect();
    let many = self::approved(&many.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(plan(&issuer, request(&many, &key.public)), Err(PlanError::TooLong));
    let https = IssuingCa { ca_urls: vec!["https://ca.site.test/x.crt".into()], ..issuer };
    assert!(matches!(plan(&https, request(&approved, &key.public)), Err(PlanError::Lint(_))));
}

#[test]
fn ceremonies_refuse_what_would_not_verify() {
    let (root_key, key) = (TestKey::fresh(), TestKey::fresh());
    let root = |path_len, common_name: &str| {
        let request = RootRequest {
            common_name,
            public_key: &root_key.public,
            not_before: now(),
            not_after: now() + 100 * DAY,
            serial: serial(),
            path_len,
        };
        plan_root(request).map(|planned| root_key.seal(&planned).certificate().clone())
    };
    let below = |root: &Certificate, common_name: &str, key: &PublicKey, begin, end| {
        let request = IntermediateRequest {
            root,
            common_name,
            public_key: key,
            name_constraints: None,
            not_before: begin,
            not_after: end,
            serial: serial(),
            ca_urls: &[],
            crl_urls: &[],
        };
        plan_intermediate(request).map(drop)
    };
    let good = root(Some(1), "Root").unwrap();
    let end = now() + DAY;
    assert_eq!(good.path_len(), Some(1));
    assert!(good.is_self_issued() && good.verify_signed_by(&root_key.public).is_ok());
    assert_eq!(below(&good, "Intermediate", &key.public, now(), end), Ok(()));
    assert!(matches!(below(&good, "Root", &key.public, now(), end), Err(PlanError::CommonName(_))));
    assert!(matches!(below(&good, " x", &key.public, now(), end), Err(PlanError::CommonName(_))));
    assert_eq!(below(&good, "I", &root_key.public, now(), end), Err(PlanError::IssuersKey));
    assert!(matches!(below(&good, "I", &key.public, now() - DAY, end), Err(PlanError::NotBeforeTooEarly { .. })));
    assert!(matches!(below(&good, "I", &key.public, now(), now() + 101 * DAY), Err(PlanError::BeyondIssuer { .. })));
    assert!(matches!(below(&good, "I", &key.public, now(), now()), Err(PlanError::NoLife { .. })));
    assert_eq!(below(&root(Some(0), "Root").unwrap(), "I", &key.public, now(), end), Err(PlanError::PathLength));
    assert!(root(None, &"x".repeat(65)).is_err() && root(None, "").is_err() && root(None, "a\nb").is_err());
    assert!(root(None, "Größe 東京").is_ok());
}

/// X5-2, X5-3, X5-12: CAs that other software made. Their names and key identifiers are copied, not written again.
#[test]
fn x5_2_and_3_and_p0_12_imported_cas_issue_leaves_that_openssl_verifies() {
    let folder = std::env::temp_dir().join(format!("pki-core-imported-{}", serial()));
    std::fs::create_dir_all(&folder).unwrap();
    let all = names("ca");
    assert_eq!(all.len(), 8);
    for name in all {
        let certificate = Certificate::parse(&file(&format!("ca/{name}.der"))).unwrap();
        let key = ["p256", "p384", "p521", "rsa", "ed25519"].map(TestKey::load);
        let key = key.iter().find(|key| &key.public == certificate.public_key()).unwrap();
        let issuer = IssuingCa::without_addresses(IssuerId::random(&SystemEntropy::new()), certificate, None);
        let (approved, leaf_key) = (approved(&["gw-1.site.test"]), TestKey::fresh_p384());
        let later = issuer.certificate.not_before() + DAY;
        let request =
            PlanRequest { now: later, common_name: Some("gw-1.site.test"), ..request(&approved, &leaf_key.public) };
        let planned = plan(&issuer, request).unwrap_or_else(|error| panic!("{name}: {error}"));
        let leaf = key.seal(&planned).certificate().clone();
        assert_eq!(leaf.issuer_der(), issuer.certificate.subject_der(), "{name}");
        if name == "limited" {
            assert_eq!(leaf.common_name(), None, "a CA above limits subjects");
        }
        openssl_verify(&folder, &issuer.certificate, &[], &leaf, later, &name);
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn x5_4_12_and_14_every_kind_of_key_makes_chains_that_openssl_verifies() {
    let folder = std::env::temp_dir().join(format!("pki-core-chains-{}", serial()));
    std::fs::create_dir_all(&folder).unwrap();
    let constraints = NameConstraints::permitting(&["site.test".parse().unwrap()], &["10.0.0.0/8".parse().unwrap()]);
    for (root, intermediate, leaf) in [
        ("p256", "p384", "rsa"),
        ("p384", "p521", "ed25519"),
        ("p521", "rsa", "p256"),
        ("rsa", "ed25519", "p384"),
        ("ed25519", "p256", "p521"),
    ] {
        let ca = TestCa::new(TestKey::load(root), TestKey::load(intermediate), Some(&constraints));
        let (approved, leaf_key) = (approved(&["gw-1.site.test", "10.1.2.3"]), TestKey::load(leaf));
        let planned = plan(&issuing(&ca), request(&approved, &leaf_key.public)).unwrap();
        let certificate = ca.key.seal(&planned).certificate().clone();
        openssl_verify(&folder, &ca.root, &[&ca.certificate], &certificate, now(), leaf);
    }
    std::fs::remove_dir_all(folder).unwrap();
}

/// CRL-3: the two validators that gateways use find a revoked leaf in its shard, and no other one.
#[test]
fn openssl_and_webpki_find_a_revoked_leaf_in_its_shard() {
    let ca = test_ca();
    let issuer = issuing(&ca);
    let key = TestKey::fresh();
    let leaf = || {
        let approved = approved(&["gw-1.site.test"]);
        ca.key.seal(&plan(&issuer, request(&approved, &key.public)).unwrap()).certificate().clone()
    };
    let (revoked, good) = (leaf(), leaf());
    let entry = CrlEntry { serial: revoked.serial(), at: now(), reason: Some(Reason::KeyCompromise) };
    let url = good.crl_urls()[0].clone();
    let shard = crl_of(&ca.certificate, &ca.key, CrlScope::Shard { urls: vec![url] }, vec![entry.clone()]);
    let complete = crl_of(&ca.certificate, &ca.key, CrlScope::Complete, vec![entry.clone()]);
    let elsewhere = crl_of(&ca.certificate, &ca.key, CrlScope::Shard { urls: vec![issuer.crl_url(8)] }, vec![entry]);
    let of_root = crl_of(&ca.root, &ca.root_key, CrlScope::CaOnly, Vec::new());

    for crl in [&shard, &complete] {
        assert_eq!(webpki_verify(&ca, crl, &good), Ok(()));
        assert_eq!(webpki_verify(&ca, crl, &revoked), Err(webpki::Error::CertRevoked));
        assert!(openssl_crl_verify(&ca, &of_root, crl, &good).0);
        assert!(openssl_crl_verify(&ca, &of_root, crl, &revoked).1.contains("certificate revoked"));
    }
    assert_eq!(webpki_verify(&ca, &elsewhere, &good), Err(webpki::Error::UnknownRevocationStatus), "another shard");
    assert!(!openssl_crl_verify(&ca, &of_root, &elsewhere, &good).0, "another shard");
}

fn crl_of(issuer: &Certificate, key: &TestKey, scope: CrlScope, entries: Vec<CrlEntry>) -> Crl {
    let kind = CrlKind::Full { freshest: Vec::new() };
    let head = CrlHead { issuer, number: 1, this_update: now() - DAY, next_update: now() + DAY, scope, kind };
    let tbs = head.tbs(entries).unwrap();
    let signature = key.sign(tbs.tbs());
    crl::seal(tbs, &signature).unwrap()
}

fn webpki_verify(ca: &TestCa, crl: &Crl, leaf: &Certificate) -> Result<(), webpki::Error> {
    use rustls_pki_types::{CertificateDer, UnixTime};
    let [root, between, leaf] = [&ca.root, &ca.certificate, leaf].map(|read| CertificateDer::from(read.der()));
    let crl = webpki::OwnedCertRevocationList::from_der(crl.der()).unwrap().into();
    let crls = [&crl];
    let revocation = webpki::RevocationOptionsBuilder::new(&crls)
        .unwrap()
        .with_depth(webpki::RevocationCheckDepth::EndEntity)
        .with_status_policy(webpki::UnknownStatusPolicy::Deny)
        .build();
    let anchors = [webpki::anchor_from_trusted_cert(&root).unwrap()];
    let seconds = u64::try_from(now().unix_seconds()).unwrap();
    let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let usage = webpki::KeyUsage::server_auth();
    let leaf = webpki::EndEntityCert::try_from(&leaf).unwrap();
    leaf.verify_for_usage(webpki::ALL_VERIFICATION_ALGS, &anchors, &[between], time, usage, Some(revocation), None)
        .map(drop)
}

fn openssl_crl_verify(ca: &TestCa, of_root: &Crl, crl: &Crl, leaf: &Certificate) -> (bool, String) {
    let folder = std::env::temp_dir().join(format!("pki-core-shard-{}", serial()));
    std::fs::create_dir_all(&folder).unwrap();
    for (name, text) in [
        ("root.pem", pem::to_pem(&ca.root)),
        ("between.pem", pem::to_pem(&ca.certificate)),
        ("leaf.pem", pem::to_pem(leaf)),
        ("root.crl", pem::encode(pem::CRL, of_root.der())),
        ("leaf.crl", pem::encode(pem::CRL, crl.der())),
    ] {
        std::fs::write(folder.join(name), text).unwrap();
    }
    let output = std::process::Command::new("openssl")
        .args(["verify", "-x509_strict", "-crl_check_all", "-attime", &now().unix_seconds().to_string()])
        .args(["-CAfile", "root.pem", "-untrusted", "between.pem", "-CRLfile", "root.crl", "-CRLfile", "leaf.crl"])
        .arg("leaf.pem")
        .current_dir(&folder)
        .output()
        .expect("these tests need the openssl program");
    std::fs::remove_dir_all(folder).unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn openssl_verify(
    folder: &std::path::Path,
    root: &Certificate,
    between: &[&Certificate],
    leaf: &Certificate,
    at: Timestamp,
    what: &str,
) {
    std::fs::write(folder.join("root.pem"), pem::to_pem(root)).unwrap();
    let untrusted: &[&str] = if between.is_empty() { &[] } else { &["-untrusted", "between.pem"] };
    let between: String = between.iter().map(|certificate| pem::to_pem(certificate)).collect();
    std::fs::write(folder.join("between.pem"), between).unwrap();
    std::fs::write(folder.join("leaf.pem"), pem::to_pem(leaf)).unwrap();
    // A root without subject key identifier is not what -x509_strict wants; it is not ours to mend.
    let strict = root.subject_key_identifier().is_some();
    let output = std::process::Command::new("openssl")
        .args(["verify", "-check_ss_sig", "-purpose", "sslserver", "-verify_hostname", "gw-1.site.test"])
        .args(strict.then_some("-x509_strict"))
        .args(["-attime", &at.unix_seconds().to_string(), "-CAfile", "root.pem"])
        .args(untrusted)
        .arg("leaf.pem")
        .current_dir(folder)
        .output()
        .expect("these tests need the openssl program");
    assert!(
        output.status.success(),
        "{what}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn name() -> impl Strategy<Value = String> {
    let any_name = prop_oneof![
        "[a-z][a-z0-9]{0,20}(\\.[a-z][a-z0-9-]{0,20}[a-z0-9]){0,4}",
        "\\*\\.[a-z][a-z0-9]{0,20}\\.test",
        any::<std::net::Ipv4Addr>().prop_map(|address| address.to_string()),
        any::<std::net::Ipv6Addr>().prop_map(|address| address.to_string()),
    ];
    let is_name = |text: &String| Identifier::parse("ip", text).or_else(|_| Identifier::parse("dns", text)).is_ok();
    any_name.prop_filter("no mapped addresses, no `xn--` by chance", is_name)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// plan -> sign -> seal -> parse gives back what was asked for, and the lint never fires.
    #[test]
    fn whatever_is_asked_for_comes_back(
        texts in proptest::collection::btree_set(name(), 1..20),
        usages in prop_oneof![
            Just(vec![ExtendedKeyUsage::ServerAuth]),
            Just(vec![ExtendedKeyUsage::ClientAuth]),
            Just(vec![ExtendedKeyUsage::ServerAuth, ExtendedKeyUsage::ClientAuth]),
        ],
        lifetime in 10_u64..400 * 24 * 3600,
        backdate in 0_u64..1000,
        age in 0_i64..1800 * 24 * 3600,
        millis in 0_i64..1000,
        always in any::<bool>(),
        asked in any::<Option<proptest::sample::Index>>(),
        leaf in 0_usize..6,
        shard in any::<u32>(),
        serial in proptest::collection::vec(any::<u8>(), 16),
    ) {
        static CA: std::sync::LazyLock<TestCa> = std::sync::LazyLock::new(test_ca);
        static KEYS: std::sync::LazyLock<[TestKey; 6]> = std::sync::LazyLock::new(|| {
            let [a, b, c, d, e] = ["p256", "p384", "p521", "rsa", "ed25519"].map(TestKey::load);
            [a, b, c, d, e, TestKey::fresh()]
        });
        let mut profile = profile(&usages);
        profile.lifetime = Duration::from_secs(lifetime);
        profile.backdate = Duration::from_secs(backdate.min(lifetime / 10));
        profile.common_name = always;
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let mut identifiers = ids(&texts);
        identifiers.dedup();
        let approved = Approved::for_test(Arc::new(profile.clone()), identifiers.clone());
        let mut octets = serial;
        octets[0] = octets[0] & 0x7f | 0x40;
        let now = Timestamp::from_unix_millis((now().unix_seconds() + age) * 1000 + millis);
        let request = PlanRequest {
            approved: &approved,
            public_key: &KEYS[leaf].public,
            common_name: asked.map(|index| *index.get(&texts)),
            serial: Serial::from_octets(&octets).unwrap(),
            now,
            not_before: None,
            not_after: None,
            shard,
        };
        let issuer = issuing(&CA);
        let planned = plan(&issuer, request).unwrap();
        let signature = CA.key.sign(planned.tbs());
        let sealed = seal(planned.tbs(), planned.signature_algorithm(), &signature, &CA.key.public).unwrap();
        let read = Certificate::parse(sealed.der()).unwrap();
        prop_assert_eq!(read.identifiers(), &identifiers[..]);
        prop_assert_eq!(read.public_key(), &KEYS[leaf].public);
        prop_assert_eq!(&read.serial(), planned.serial());
        prop_assert_eq!(read.not_before(), planned.not_before());
        prop_assert_eq!(read.not_after(), planned.not_after());
        prop_assert!(read.not_before() <= now && now < read.not_after());
        prop_assert_eq!(read.crl_urls()[0].as_str(), issuer.crl_url(shard));
        if planned.cut_from().is_none() {
            prop_assert_eq!(read.not_after().since(read.not_before()), profile.lifetime);
        }
        if let Some(common_name) = read.common_name() {
            prop_assert!(identifiers.iter().any(|identifier| identifier.value() == common_name));
        }
    }
}
