//! What a run of `cargo test` printed: which tests ran, of which program, how they ended, and which ids are in their names.

use std::collections::{BTreeMap, BTreeSet};

use super::Requirements;

/// How one test ended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Outcome {
    /// The program it is in: `acme`, `pki_core`.
    pub program: String,
    /// Its name, without the modules.
    pub test: String,
    /// Whether it passed.
    pub passed: bool,
}

/// All tests that carry ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcomes(BTreeMap<String, BTreeSet<Outcome>>);

impl Outcomes {
    /// Reads what was printed. Of a test that ran more than once, the last run counts.
    #[must_use]
    pub fn read(printed: &str) -> Self {
        let (mut program, mut last) = (String::new(), BTreeMap::new());
        for line in printed.lines().map(without_colours) {
            if let Some(file) = line.trim_start().strip_prefix("Running ").and_then(|rest| rest.rsplit_once('(')) {
                program = program_of(file.1);
            }
            if let Some((test, passed)) = ended(&line) {
                last.insert((program.clone(), test), passed);
            }
        }
        let mut outcomes = Self::default();
        for ((program, test), passed) in last {
            for id in ids(&test) {
                let outcome = Outcome { program: program.clone(), test: test.clone(), passed };
                outcomes.0.entry(id).or_default().insert(outcome);
            }
        }
        outcomes
    }

    /// The tests with this id.
    #[must_use]
    pub fn of(&self, id: &str) -> Vec<&Outcome> {
        self.0.get(id).into_iter().flatten().collect()
    }

    /// Ids whose kind is one of the requirements', and which are none of them; and the first test that names it.
    #[must_use]
    pub fn unknown(&self, requirements: &Requirements) -> Vec<(String, String)> {
        let kinds: BTreeSet<&str> = requirements.all().filter_map(|row| kind(&row.id)).collect();
        let known = |id: &str| requirements.has(id) || kind(id).is_none_or(|kind| !kinds.contains(kind));
        let unknown = self.0.iter().filter(|(id, _)| !known(id));
        unknown.map(|(id, tests)| (id.clone(), tests.first().map(|one| one.test.clone()).unwrap_or_default())).collect()
    }
}

fn kind(id: &str) -> Option<&str> {
    id.split_once('-').map(|(kind, _)| kind)
}

/// `target/debug/deps/acme-0123456789abcdef)` is of `acme`.
fn program_of(file: &str) -> String {
    let name = file.trim_end_matches(')').rsplit('/').next().unwrap_or_default();
    name.rsplit_once('-').map_or(name, |(name, _)| name).to_owned()
}

/// `test accounts::acc_1_x ... ok`
fn ended(line: &str) -> Option<(String, bool)> {
    let (path, outcome) = line.strip_prefix("test ")?.split_once(" ... ")?;
    let path = path.split(" - ").next()?;
    let passed = match outcome.split([' ', '<', ',']).next()? {
        "ok" => true,
        "FAILED" => false,
        _ => return None,
    };
    Some((path.rsplit("::").next()?.to_owned(), passed))
}

fn without_colours(line: &str) -> String {
    let mut pieces = line.split('\u{1b}');
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |text, piece| text + piece.split_once('m').map_or("", |(_, rest)| rest))
}

/// The ids that begin a name: `jws_3_to_5_and_8_x` has JWS-3, JWS-4, JWS-5 and JWS-8, `acc_8_and_jws_9_x` has two kinds.
#[must_use]
pub(super) fn ids(test: &str) -> Vec<String> {
    let (mut found, mut kind, mut last) = (Vec::new(), None::<String>, None::<u32>);
    let words: Vec<&str> = test.split('_').collect();
    let number = |at: usize| words.get(at).and_then(|word| word.parse::<u32>().ok());
    let mut at = 0;
    while let Some(word) = words.get(at) {
        match (*word, kind.as_deref(), last) {
            (_, Some(kind), _) if number(at).is_some() => {
                last = number(at);
                found.extend(last.map(|number| format!("{kind}-{number}")));
            }
            ("to", Some(kind), Some(from)) if number(at + 1).is_some_and(|to| to > from) => {
                last = number(at + 1);
                found.extend((from + 1..=last.unwrap_or(from)).map(|number| format!("{kind}-{number}")));
                at += 1;
            }
            ("and", Some(_), Some(_)) if number(at + 1).is_some() || number(at + 2).is_some() => {}
            _ if is_kind(word) && number(at + 1).is_some() => kind = Some(word.to_uppercase()),
            _ => break,
        }
        at += 1;
    }
    found
}

/// Three letters, or a letter and a digit.
fn is_kind(word: &str) -> bool {
    let letters = word.len() == 3 && word.bytes().all(|byte| byte.is_ascii_lowercase());
    letters || matches!(word, "x5" | "p0" | "p3")
}
