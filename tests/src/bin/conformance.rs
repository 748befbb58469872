//! `conformance [--write] [RUN]`: makes docs/acme-conformance.md from what a run of the tests printed, or compares the one
//! that is committed. `./test` leaves its run in `target/test-run.log`, which is read unless another file is named.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tests::conformance::{Outcomes, Requirements, WHOLE, findings, page};

fn main() -> ExitCode {
    let (write, run) = match arguments() {
        Ok(arguments) => arguments,
        Err(usage) => return fail(&usage),
    };
    let printed = match std::fs::read(&run) {
        Ok(printed) => printed,
        Err(error) => return fail(&format!("cannot read {}: {error}; `./test` writes it", run.display())),
    };
    let (requirements, outcomes) = (Requirements::own(), Outcomes::read(&String::from_utf8_lossy(&printed)));
    let (found, now) = (findings(&requirements, &outcomes), page(&requirements, &outcomes));
    for line in found.faults.iter().chain(&found.missing) {
        println!("conformance: {line}");
    }
    let file = root().join("docs/acme-conformance.md");
    if write && let Err(error) = std::fs::write(&file, &now) {
        return fail(&format!("cannot write {}: {error}", file.display()));
    }
    if std::fs::read_to_string(&file).ok().as_ref() != Some(&now) {
        return fail(
            "docs/acme-conformance.md is not what this run shows: cargo run -p tests --bin conformance -- --write",
        );
    }
    match found.faults.is_empty() && (found.missing.is_empty() || !WHOLE) {
        true => ExitCode::SUCCESS,
        false => fail("the page would claim what no test shows"),
    }
}

fn arguments() -> Result<(bool, PathBuf), String> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let before = arguments.len();
    arguments.retain(|argument| argument != "--write");
    let write = arguments.len() < before;
    match arguments.as_slice() {
        [] => Ok((write, root().join("target/test-run.log"))),
        [run] if !run.starts_with('-') => Ok((write, run.into())),
        _ => Err("usage: conformance [--write] [RUN]".into()),
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn fail(message: &str) -> ExitCode {
    eprintln!("conformance: {message}");
    ExitCode::FAILURE
}
