//! Selections as people write them, rightly and wrongly.

use proptest::prelude::*;

use super::*;

fn parsed(text: &str) -> Vec<Condition> {
    Selection::parse(text).unwrap().conditions().to_vec()
}

fn refused(text: &str) -> String {
    Selection::parse(text).unwrap_err().to_string()
}

#[test]
fn every_field_has_its_form() {
    let text = "issuer=0a profile=gateway site!=home device=gw-1 label.line=3 name=*.line3.test reason=certificateHold \
                issued-after=2026-03-01 issued-before=2026-03-02T10:00:00+02:00 expires-before=2027-01-01";
    let conditions = parsed(text);
    assert_eq!(conditions.len(), 10);
    assert_eq!(
        conditions[2],
        Condition { test: Test::Site(SiteName::home()), negated: true },
        "only what is written with `!=` is negated"
    );
    assert_eq!(conditions.iter().filter(|condition| condition.negated).count(), 1);
    assert_eq!(conditions[4].test, Test::Label { key: "line".to_owned(), value: "3".to_owned() });
    assert_eq!(conditions[5].test, Test::Name(NamePattern::Domain("line3.test".to_owned())));
    let at = Timestamp::parse_rfc3339("2026-03-02T08:00:00Z").unwrap();
    assert_eq!(conditions[8].test, Test::Time { moment: Moment::Issued, side: Side::Before, at });
    assert_eq!(parsed("name=GW-*")[0].test, Test::Name(NamePattern::Beginning("gw-".to_owned())));
    let fingerprint = "AB:".repeat(31) + "ab";
    assert_eq!(parsed(&format!("key={fingerprint}"))[0].test, Test::Key([0xab; 32]));
    assert_eq!(parsed("reason=none")[0].test, Test::Reason(None));
}

#[test]
fn quotes_hold_words_together() {
    let expected = Test::Label { key: "hall".to_owned(), value: "north wing=2".to_owned() };
    assert_eq!(parsed("label.hall=\"north wing=2\" site=home")[0].test, expected);
    assert_eq!(parsed("\"label.hall=north wing=2\"\tsite=home").len(), 2);
    assert_eq!(parsed("label.hall='north wing=2' site=home")[0].test, expected);
    let both = Test::Issuer("it's \"the\" CA".to_owned());
    assert_eq!(parsed("issuer=\"it's \"'\"the\"'\" CA\"")[0].test, both);
}

#[test]
fn only_the_word_all_means_everything() {
    assert!(parsed("all").is_empty());
    for nothing in ["", "  \t"] {
        assert_eq!(Selection::parse(nothing), Err(SelectionError::Empty));
    }
    for (text, told) in [
        ("profil=gateway", "there is no field `profil`"),
        ("label.=3", "there is no field `label.`"),
        ("all profile=gateway", "`all` is no condition"),
        ("profile=", "profile: the value is missing"),
        ("profile=Gate*way", "is not a profile name"),
        ("issued-after!=2026-03-01", "takes `=` only"),
        ("issued-after=yesterday", "is no time"),
        ("expires-until=2026-01-01", "there is no field"),
        ("name=*", "is no name"),
        ("name=*.*.test", "is no name"),
        ("site=\"home", "not closed"),
        ("site='home\"", "not closed"),
        (
            "issuer=Site Issuing CA",
            "`Issuing` is no condition; write FIELD=VALUE or FIELD!=VALUE, a value with spaces in quotes",
        ),
        ("key=abcd", "is no SHA-256 of a public key"),
        ("reason=because", "is not a reason"),
    ] {
        assert!(refused(text).contains(told), "{text}: {}", refused(text));
    }
    assert_eq!(Selection::parse(&"site=home ".repeat(33)), Err(SelectionError::TooLong));
    assert_eq!(Selection::parse(&"x".repeat(5000)), Err(SelectionError::TooLong));
}

proptest! {
    /// What the audit log keeps of a selection means the same when it is read again.
    #[test]
    fn a_selection_is_written_as_it_is_read(text in "(((issuer|profile|site|device|label\\.[a-z]{1,4}|name|issued-after|reason)!?=(2026-0[1-9]-01|\"[a-z' =]{1,9}\"|'[a-z\" =]{1,9}'|[a-z*.]{1,9}|none) ){1,4})") {
        if let Ok(selection) = Selection::parse(&text) {
            prop_assert_eq!(Selection::parse(&selection.to_string()), Ok(selection));
        }
    }

    /// No text from outside does harm.
    #[test]
    fn any_text_is_read_or_refused(text in ".{0,80}") {
        let _ = Selection::parse(&text);
    }
}
