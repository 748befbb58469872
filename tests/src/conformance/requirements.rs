//! `requirements.toml`: what is required, which rows are shown by others, and why some have no test.

use std::collections::BTreeMap;
use std::fmt;

use super::{Outcome, Outcomes};

/// How much a requirement demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strength {
    /// It holds, and a test shows it.
    Must,
    /// It holds, or a reason is given.
    Should,
    /// The same; the reason may be that nobody needs it.
    May,
}

impl fmt::Display for Strength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Must => "MUST",
            Self::Should => "SHOULD",
            Self::May => "MAY",
        })
    }
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// `NON-1`
    pub id: String,
    /// How much it demands.
    pub strength: Strength,
    /// Where it comes from.
    pub source: String,
    /// What is required, in a sentence.
    pub text: String,
}

/// Rows that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Its heading.
    pub title: String,
    /// In the order of the page.
    pub rows: Vec<Requirement>,
}

/// All of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requirements {
    /// In the order of the page.
    pub sections: Vec<Section>,
    covered: BTreeMap<String, Vec<String>>,
    without: BTreeMap<String, String>,
}

impl Requirements {
    /// The ones of this repository.
    #[must_use]
    pub fn own() -> Self {
        Self::parse(include_str!("../../conformance/requirements.toml"))
    }

    /// Reads a document; one that is not as it should be ends the program with a word about it.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let document: toml::Table = toml::from_str(text).unwrap_or_else(|error| panic!("requirements: {error}"));
        let sections = document["section"].as_array().unwrap().iter().map(section).collect();
        let covered = table(&document, "covered");
        let covered = covered.map(|(id, ids)| (id.clone(), ids.as_array().unwrap().iter().map(words).collect()));
        let covered = covered.collect();
        let without = table(&document, "without").map(|(id, why)| (id.clone(), words(why))).collect();
        let read = Self { sections, covered, without };
        read.must_be_consistent();
        read
    }

    fn must_be_consistent(&self) {
        let ids: Vec<&str> = self.all().map(|row| row.id.as_str()).collect();
        for (at, id) in ids.iter().enumerate() {
            assert!(!ids[..at].contains(id), "{id} stands there twice");
        }
        let named = self.covered.iter().flat_map(|(id, ids)| ids.iter().chain([id])).chain(self.without.keys());
        named.for_each(|id| assert!(ids.contains(&id.as_str()), "{id} is no requirement"));
    }

    /// Every row.
    pub fn all(&self) -> impl Iterator<Item = &Requirement> {
        self.sections.iter().flat_map(|section| &section.rows)
    }

    /// Whether there is such a row.
    #[must_use]
    pub fn has(&self, id: &str) -> bool {
        self.all().any(|row| row.id == id)
    }

    /// The rows whose tests show this one as well.
    #[must_use]
    pub fn covered_by(&self, id: &str) -> &[String] {
        self.covered.get(id).map_or(&[], Vec::as_slice)
    }

    /// Why there is no test.
    #[must_use]
    pub fn reason(&self, id: &str) -> Option<&str> {
        self.without.get(id).map(String::as_str)
    }

    /// The outcomes that show a row: of tests with its id, and of those of the rows that cover it, if each has one.
    #[must_use]
    pub fn shown<'o>(&self, row: &Requirement, outcomes: &'o Outcomes) -> Vec<&'o Outcome> {
        let mut shown = outcomes.of(&row.id);
        let others: Vec<_> = self.covered_by(&row.id).iter().map(|id| outcomes.of(id)).collect();
        if others.iter().all(|tests| !tests.is_empty()) {
            shown.extend(others.into_iter().flatten());
        }
        shown
    }
}

fn table<'d>(document: &'d toml::Table, name: &str) -> impl Iterator<Item = (&'d String, &'d toml::Value)> {
    document.get(name).and_then(toml::Value::as_table).into_iter().flatten()
}

fn words(value: &toml::Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

fn section(section: &toml::Value) -> Section {
    let rows = section["rows"].as_array().unwrap().iter().map(row).collect();
    Section { title: words(&section["title"]), rows }
}

fn row(row: &toml::Value) -> Requirement {
    let cells: Vec<String> = row.as_array().unwrap().iter().map(words).collect();
    let [id, strength, source, text] = cells.try_into().unwrap_or_else(|_| panic!("{row} has not four cells"));
    let strength = match strength.as_str() {
        "MUST" => Strength::Must,
        "SHOULD" => Strength::Should,
        "MAY" => Strength::May,
        other => panic!("{id}: {other} is no strength"),
    };
    Requirement { id, strength, source, text }
}
