use super::*;
use crate::keys::KeyKind;
use crate::testing::{DAY, NOW, TestCa, names};

struct Case {
    ca: TestCa,
    names: Vec<Identifier>,
}

impl Case {
    fn new() -> Self {
        Self { ca: TestCa::new(), names: names(&["gw-1.site.test", "10.0.0.1"]) }
    }

    fn issue(&self, from: Timestamp, to: Timestamp) -> (String, NodeKey) {
        let key = NodeKey::generate(KeyKind::EcdsaP256).unwrap();
        (self.ca.chain(&key, &self.names, from, to), key)
    }

    fn judge(&self, (chain, key): (String, NodeKey), current: Option<&Certificate>) -> Result<Verified, BundleError> {
        let roots = self.ca.roots();
        let wanted = Wanted { names: &self.names, roots: &roots, current, on_demand: false, now: NOW };
        verify(&chain, key, &wanted)
    }
}

#[test]
fn a_good_bundle_passes_and_a_clock_a_little_behind_does_not_matter() {
    let case = Case::new();
    let verified = case.judge(case.issue(NOW, NOW + 90 * DAY), None).unwrap();
    assert_eq!((verified.chain().len(), verified.leaf().identifiers()), (1, case.names.as_slice()));
    case.judge(case.issue(NOW + Duration::from_secs(1800), NOW + 90 * DAY), None).unwrap();
    let early = case.judge(case.issue(NOW + DAY, NOW + 90 * DAY), None).unwrap_err();
    assert!(matches!(early, BundleError::NotYetValid { .. }), "{early}");
}

#[test]
fn another_key_another_root_and_an_expired_one_are_refused() {
    let case = Case::new();
    let (chain, _) = case.issue(NOW, NOW + DAY);
    let other_key = NodeKey::generate(KeyKind::EcdsaP256).unwrap();
    assert!(matches!(case.judge((chain, other_key), None), Err(BundleError::OtherKey)));
    let stranger = Case { ca: TestCa::new(), names: case.names.clone() };
    let error = case.judge(stranger.issue(NOW, NOW + DAY), None).unwrap_err();
    assert!(error.to_string().contains("issuer is unknown here"), "{error}");
    let error = case.judge(case.issue(NOW - 9 * DAY, NOW - DAY), None).unwrap_err();
    assert!(error.to_string().contains("expired"), "{error}");
    let (chain, key) = case.issue(NOW, NOW + DAY);
    let leaf_only = chain.split_inclusive("-----END CERTIFICATE-----\n").next().unwrap().to_owned();
    assert!(
        matches!(case.judge((leaf_only, key), None), Err(BundleError::Untrusted(_))),
        "the intermediate is missing"
    );
}

#[test]
fn every_wanted_name_must_be_there() {
    let case = Case::new();
    let issued = case.issue(NOW, NOW + DAY);
    let demanding = Case { ca: case.ca, names: names(&["gw-1.site.test", "gw-2.site.test", "10.0.0.1"]) };
    let error = demanding.judge(issued, None).unwrap_err();
    assert!(matches!(&error, BundleError::NamesMissing(missing) if missing == "gw-2.site.test"), "{error}");
}

#[test]
fn a_shorter_lived_one_does_not_replace_a_valid_one_unless_asked_for() {
    let case = Case::new();
    let current = case.judge(case.issue(NOW - DAY, NOW + 30 * DAY), None).unwrap();
    let error = case.judge(case.issue(NOW, NOW + 5 * DAY), Some(current.leaf())).unwrap_err();
    assert!(matches!(error, BundleError::ShorterLived { .. }));
    let (chain, key) = case.issue(NOW, NOW + 5 * DAY);
    let roots = case.ca.roots();
    let wanted = Wanted { names: &case.names, roots: &roots, current: Some(current.leaf()), on_demand: true, now: NOW };
    verify(&chain, key, &wanted).unwrap();
}

#[test]
fn garbage_is_refused() {
    let case = Case::new();
    for text in ["", "hello", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let key = NodeKey::generate(KeyKind::EcdsaP256).unwrap();
        assert!(matches!(case.judge((text.to_owned(), key), None), Err(BundleError::Unreadable(_))), "{text}");
    }
}
