//! The page as Markdown.

use std::fmt::Write;

use super::{Outcomes, Requirement, Requirements, Strength};

const HEAD: &str = "# Conformance of the ACME server

Made from the tests by `cargo run -p tests --bin conformance -- --write` after `./test`; `./test` compares it with every run.
A requirement is shown by the tests that carry its id at the beginning of their name; the word in parentheses is the test
program. MUST: the RFC demands it, or a client in wide use fails without it. Anything else that is not built has its reason
here. What is required stands in [requirements.toml](../tests/conformance/requirements.toml).
";

/// The page for these requirements and outcomes.
#[must_use]
pub fn page(requirements: &Requirements, outcomes: &Outcomes) -> String {
    let mut page = String::from(HEAD);
    summary(&mut page, requirements, outcomes);
    for section in &requirements.sections {
        let _ =
            write!(page, "\n## {}\n\n| ID | | requirement | tests | result |\n|---|---|---|---|---|\n", section.title);
        for row in &section.rows {
            let (tests, result) = (tests(requirements, row, outcomes), result(requirements, row, outcomes));
            let Requirement { id, strength, source, text } = row;
            let _ = writeln!(page, "| {id} | {strength} | {text} ({source}) | {tests} | {result} |");
        }
    }
    page
}

fn summary(page: &mut String, requirements: &Requirements, outcomes: &Outcomes) {
    page.push_str("\n| | required | shown by tests | not built, with a reason |\n|---|---|---|---|\n");
    for strength in [Strength::Must, Strength::Should, Strength::May] {
        let rows: Vec<_> = requirements.all().filter(|row| row.strength == strength).collect();
        let shown = rows.iter().filter(|row| result(requirements, row, outcomes) == "passed").count();
        let reasons = rows.iter().filter(|row| requirements.reason(&row.id).is_some()).count();
        let _ = writeln!(page, "| {strength} | {} | {shown} | {reasons} |", rows.len());
    }
}

fn tests(requirements: &Requirements, row: &Requirement, outcomes: &Outcomes) -> String {
    let own = outcomes.of(&row.id);
    let mut cells: Vec<String> = own.iter().map(|one| format!("`{}` ({})", one.test, one.program)).collect();
    if requirements.shown(row, outcomes).len() > own.len() {
        cells.push(format!("those of {}", requirements.covered_by(&row.id).join(", ")));
    }
    cells.join("<br>")
}

fn result(requirements: &Requirements, row: &Requirement, outcomes: &Outcomes) -> String {
    let shown = requirements.shown(row, outcomes);
    if let (true, Some(reason)) = (shown.is_empty(), requirements.reason(&row.id)) {
        return format!("not built: {reason}");
    }
    match (shown.is_empty(), shown.iter().all(|outcome| outcome.passed)) {
        (true, _) => "no test".to_owned(),
        (false, true) => "passed".to_owned(),
        (false, false) => "failed".to_owned(),
    }
}
