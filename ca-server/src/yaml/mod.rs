//! Documents in YAML, read under limits; what is wrong comes with its line, and with what was probably meant.

mod place;

use serde::de::DeserializeOwned;
use serde_saphyr::Error;
use serde_saphyr::options::DuplicateKeyPolicy;

pub(crate) use place::line_of;

/// How alike two words are, from 0 to 1, that one is offered for the other.
const ALIKE: f64 = 0.75;

/// Reads one document. References are good for a list that stands in two places, and for nothing that grows.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 200_000,
            max_nodes: 100_000,
            max_depth: 16,
            max_anchors: 64,
            max_aliases: 256,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 20_000,
            max_replay_stack_depth: 4,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| told(text, &error))
}

/// One line: where, what, and what to write instead.
fn told(text: &str, error: &Error) -> String {
    let error = error.without_snippet();
    let place = match error.location() {
        Some(location) if location.line() > 0 => format!("line {}, column {}: ", location.line(), location.column()),
        _ => String::new(),
    };
    match error {
        Error::SerdeUnknownField { field, expected, .. } => {
            format!("{place}`{}` is not known here; {}", plain(field), instead(field, expected))
        }
        Error::SerdeUnknownVariant { variant, expected, .. } => {
            format!("{place}`{}` is not known here; {}", plain(variant), instead(variant, expected))
        }
        Error::SerdeMissingField { field, .. } => format!("{place}`{field}` is missing"),
        other if breaches(other) => {
            format!("{place}it grows by references, or is deeper than any profile; write out what is meant")
        }
        other if text.lines().any(|line| line.trim_start_matches(' ').starts_with('\t')) => {
            format!("{}; YAML is indented by blanks, and there is a tab", other)
        }
        other => other.to_string(),
    }
}

fn breaches(error: &Error) -> bool {
    matches!(
        error,
        Error::Budget { .. } | Error::AliasReplayLimitExceeded { .. } | Error::AliasReplayStackDepthExceeded { .. }
    )
}

fn instead(word: &str, expected: &[&'static str]) -> String {
    let alike =
        |candidate: &&&str| strsim::normalized_damerau_levenshtein(&word.to_lowercase(), &candidate.to_lowercase());
    let best = expected.iter().max_by(|one, other| alike(one).total_cmp(&alike(other)));
    match best.filter(|best| alike(best) >= ALIKE) {
        Some(best) => format!("did you mean `{best}`?"),
        None if expected.is_empty() => "nothing can stand here".to_owned(),
        None => {
            let words: Vec<String> = expected.iter().map(|word| format!("`{word}`")).collect();
            format!("what can stand here is {}", words.join(", "))
        }
    }
}

fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}

#[cfg(test)]
mod tests {
    use pki_core::policy::document::ProfileDocument;

    use super::*;

    const GOOD: &str = "apiVersion: pilotlight.dev/v1\nkind: Profile\nmetadata: { name: x }\nspec:\n  identifiers: { dns: [{ suffix: test }] }\n  usage: { extendedKeyUsage: [serverAuth] }\n  lifetime: 30d\n  backdate: 1h\n  renewal: { at: 0.5, grace: 1d }\n  requires: { binding: none, challenges: [http-01] }\n";

    fn refusal(from: &str, to: &str) -> String {
        let text = GOOD.replacen(from, to, 1);
        assert_ne!(text, GOOD, "{from}");
        read::<ProfileDocument>(&text).expect_err(to)
    }

    #[test]
    fn unknown_words_come_with_their_line_and_a_suggestion() {
        assert!(read::<ProfileDocument>(GOOD).is_ok());
        for (from, to, told) in [
            (
                "  lifetime: 30d",
                "  lifetme: 30d",
                "line 7, column 3: `lifetme` is not known here; did you mean `lifetime`?",
            ),
            (
                "backdate: 1h",
                "backdate: 1h\n  mustStaple: true",
                "line 9, column 3: `mustStaple` is not known here; what can stand here is `enabled`, `issuer`",
            ),
            ("suffix: test", "sufix: test", "line 5, column 26: `sufix` is not known here; did you mean `suffix`?"),
            ("suffix: test", "suffix: test, Wildcards: true", "did you mean `wildcards`?"),
            ("  lifetime: 30d\n", "", "`lifetime` is missing"),
            ("  lifetime: 30d\n", "  lifetime: 30d\n  lifetime: 90d\n", "line 8"),
            ("at: 0.5", "at: half", "line 9"),
            ("name: x", "name: [x]", "line 3"),
        ] {
            let error = refusal(from, to);
            assert!(error.contains(told), "{to}: {error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }

    /// Fails when what grows by references, or what nobody would write, is read.
    #[test]
    fn bombs_tabs_and_oddities_are_told() {
        let name = |letter: char, of: char| format!("  - &{letter} [{}]\n", vec![format!("*{of}"); 9].join(", "));
        let levels: String = ('b'..='h').zip('a'..).map(|(letter, of)| name(letter, of)).collect();
        let bomb = GOOD.replace("requires: {", &format!("requires:\n    challenges:\n  - &a [x]\n{levels}"));
        let deep = "[".repeat(200);
        let tabs = GOOD.replace("  lifetime", "\tlifetime");
        let anchor = GOOD.replace("30d", "&life 30d");
        assert!(read::<ProfileDocument>(&anchor).is_ok(), "what does not grow is read");
        let two = format!("{GOOD}---\n{GOOD}");
        for (text, part) in [
            (bomb.as_str(), ""),
            (deep.as_str(), ""),
            (&tabs, "there is a tab"),
            (&two, "documents"),
            ("", ""),
            ("x", ""),
            ("a: \0", ""),
        ] {
            let error = read::<ProfileDocument>(text).expect_err(text);
            assert!(error.contains(part) && !error.is_empty() && error.lines().count() == 1, "{text:?}: {error}");
        }
    }
}
