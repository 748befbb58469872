use super::*;
use crate::device::Labels;
use crate::policy::testing::device;

fn parse(text: &str, fragments: &[(&str, &str)]) -> Result<Template, String> {
    let fragments = fragments.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect();
    Template::parse(text, &fragments)
}

#[test]
fn templates_are_filled_from_the_record() {
    let mut device = device("gateway");
    device.labels = Labels::parse([("role", "edge")]).unwrap();
    let template =
        parse("{templates.host}.{device.labels.role}.test", &[("host", "{device.name}.{device.site}")]).unwrap();
    assert_eq!(template.fill(Some(&device), Place::DnsLabel).unwrap(), "gw-1.home.edge.test");
    for (text, expected) in
        [("gw-1.home.edge.test", true), ("gw-1.home.edge.tes", false), ("gw-1.home.edge.test.x", false), ("", false)]
    {
        assert_eq!(template.gives(text, Some(&device), Place::DnsLabel, true), Ok(expected), "{text}");
    }
    assert_eq!(template.fill(None, Place::DnsLabel), Err(Unfilled::NoDevice));
    device.labels = Labels::default();
    assert_eq!(template.fill(Some(&device), Place::DnsLabel), Err(Unfilled::NoLabel("role".parse().unwrap())));
}

/// What a record holds changes nothing but the place it is put into.
#[test]
fn values_are_never_structure() {
    let mut device = device("gateway");
    let template = parse("{device.labels.x}.site.test", &[]).unwrap();
    for value in ["", "a.b", "a/b", "{device.name}", "*", "a b", "\u{e4}", "a\n"] {
        device.labels = Labels::unchecked([("x", value)]);
        let outcome = template.fill(Some(&device), Place::DnsLabel);
        assert_eq!(outcome, Err(Unfilled::Unfit(Variable::Label("x".parse().unwrap()))), "{value:?}");
    }
    for (value, fits) in [("a.b", true), ("..", false), ("a/b", false), ("a:b", false), ("{device.name}", false)] {
        device.labels = Labels::unchecked([("x", value)]);
        assert_eq!(template.fill(Some(&device), Place::Segment).is_ok(), fits, "{value:?}");
    }
    device.labels = Labels::parse([("x", "{device.name}")]).unwrap();
    let free = parse("{device.labels.x}", &[]).unwrap();
    assert_eq!(free.fill(Some(&device), Place::Free).unwrap(), "{device.name}", "not read again");
}

#[test]
fn circles_and_strangers_are_told() {
    let circle = [("a", "x{templates.b}"), ("b", "{templates.c}"), ("c", "{templates.a}")];
    let told = parse("{templates.a}", &circle).unwrap_err();
    assert!(told.contains("`a` -> `b` -> `c` -> `a`"), "{told}");
    let own = parse("{templates.a}", &[("a", "{templates.a}")]).unwrap_err();
    assert!(own.contains("in a circle"), "{own}");
    for bad in [
        "{device.nam}",
        "{device.labels.}",
        "{templates.x}",
        "{",
        "}",
        "{}",
        "a}b{device.name}",
        "{device.labels.a b}",
        "{device.labels.a-}",
    ] {
        assert!(parse(bad, &[]).is_err(), "{bad}");
    }
    assert!(parse(&"a".repeat(600), &[]).is_err());
    // doubled at each of eight levels, and again
    let bomb: Vec<(String, String)> =
        (0..40).map(|n| (format!("f{n}"), format!("{{templates.f{0}}}{{templates.f{0}}}", n + 1))).collect();
    let bomb: Vec<(&str, &str)> = bomb.iter().map(|(key, text)| (key.as_str(), text.as_str())).collect();
    assert!(parse("{templates.f0}", &bomb).is_err());
}

#[test]
fn two_variables_need_something_between_them() {
    for (text, place, expected) in [
        ("{device.name}.{device.site}.test", Place::DnsLabel, false),
        ("{device.name}-{device.site}.test", Place::DnsLabel, true),
        ("{device.name}{device.site}.test", Place::DnsLabel, true),
        ("urn:{device.name}:{device.site}", Place::Segment, false),
        ("urn:{device.name}.{device.site}", Place::Segment, true),
    ] {
        assert_eq!(parse(text, &[]).unwrap().ambiguous(place), expected, "{text}");
    }
}
