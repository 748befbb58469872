//! Which labels there can be.

use proptest::prelude::*;

use super::*;

fn change(text: &str) -> LabelChange {
    text.parse().unwrap()
}

#[test]
fn keys_and_values_are_short_and_plain() {
    let long = "a".repeat(64);
    for key in ["role", "a", "Plant.line_4-b", "9", &long[..63]] {
        assert_eq!(key.parse::<LabelKey>().unwrap().as_str(), key);
    }
    for key in ["", "-a", "a-", ".", "_", "a b", "a/b", "ä", "a=b", "a\n", &long] {
        assert!(matches!(key.parse::<LabelKey>(), Err(LabelError::Key(_))), "{key:?}");
    }
    let key: LabelKey = "role".parse().unwrap();
    for value in ["edge", "Line 4", "SN-7/b:c@d+e", "Müller & Söhne", "{device.name}", "=", &long[..63]] {
        assert_eq!(LabelValue::parse(&key, value).unwrap().as_str(), value);
    }
    // what turns text around in a terminal is no letter
    for value in ["", " ", " a", "a ", "a,b", "a\"b", "a\\b", "a\nb", "a\u{202e}b", "\u{200b}", "'", &long] {
        let error = LabelValue::parse(&key, value).unwrap_err().to_string();
        assert!(error.contains("label `role`") && !error.contains('\n'), "{error}");
    }
    assert!(LabelValue::parse(&key, &"ä".repeat(32)).is_err(), "octets are counted");
}

#[test]
fn changes_and_selectors_are_read_as_they_are_written() {
    for text in ["role=edge", "role=a=b", "role-", "a-b-", "a-b=c-"] {
        assert_eq!(change(text).to_string(), text);
    }
    assert!(matches!(change("role-"), LabelChange::Remove(_)));
    assert!(matches!(change("a-b=c-"), LabelChange::Set(..)));
    for bad in ["role", "", "=", "=x", "-", "role=", "role--", "role=-="] {
        assert_eq!(bad.parse::<LabelChange>().is_ok(), bad == "role=-=", "{bad}");
    }
    let any: LabelSelector = "role".parse().unwrap();
    assert_eq!((any.key.as_str(), any.value), ("role", None));
    let one: LabelSelector = "role=edge".parse().unwrap();
    assert_eq!(one.value.unwrap().as_str(), "edge");
    assert!("role=".parse::<LabelSelector>().is_err() && "role-".parse::<LabelSelector>().is_err());
}

#[test]
fn a_device_has_sixteen_labels_at_most_and_each_once() {
    let keys: Vec<String> = (0..17).map(|number| format!("k{number}")).collect();
    let pairs = |count: usize| keys.iter().take(count).map(|key| (key.as_str(), "v"));
    let full = Labels::parse(pairs(16)).unwrap();
    assert_eq!(Labels::parse(pairs(17)), Err(LabelError::TooMany(17)));
    assert_eq!(full.changed([change("new=v")]), Err(LabelError::TooMany(17)));
    let swapped = full.changed([change("new=v"), change("k3-")]).unwrap();
    assert_eq!((swapped.get("new"), swapped.get("k3"), swapped.iter().count()), (Some("v"), None, 16));
    assert_eq!(full.changed([change("k3=w")]).unwrap().get("k3"), Some("w"));
    assert_eq!(full.changed([change("gone-")]).unwrap(), full, "what is not there is gone");
    let twice = full.changed([change("k3-"), change("k3=w")]).unwrap_err();
    assert_eq!(twice, LabelError::Twice("k3".parse().unwrap()));
    assert_eq!(Labels::parse([("b", "2"), ("a", "1 x")]).unwrap().to_string(), "a=1 x,b=2");
}

proptest! {
    /// Whatever is taken can be written in a list and read again: no value can look like another label.
    #[test]
    fn what_is_taken_is_told_apart(pairs in proptest::collection::btree_map("[a-c]", ".{0,8}", 0..4)) {
        let pairs = pairs.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        if let Ok(labels) = Labels::parse(pairs) {
            let written = labels.to_string();
            let changes = written.split(',').filter(|text| !text.is_empty()).map(change);
            prop_assert_eq!(Labels::default().changed(changes).unwrap(), labels);
        }
    }
}
