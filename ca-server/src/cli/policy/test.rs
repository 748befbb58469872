//! `ca-server policy test`

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use pki_core::policy::Policy;
use pki_core::policy::cases::{CasesDocument, Outcome};
use serde::Serialize;

use super::{Profiles, load};
use crate::cli::args::Output;
use crate::cli::error::CliError;
use crate::cli::output;
use crate::yaml;

/// Below the folder of the profiles.
const CASES: &str = "cases";
/// More than a person reviews.
const MAX_FILES: usize = 1000;
const MAX_FILE: u64 = 1024 * 1024;

#[derive(Debug, Args)]
pub(in crate::cli) struct Test {
    /// Folder with the profiles, and with the cases in `cases` below it [default: the one of the CA]
    folder: Option<PathBuf>,
    /// Folder with the cases
    #[arg(long, value_name = "FOLDER")]
    cases: Option<PathBuf>,
    #[command(flatten)]
    profiles: Profiles,
    #[command(flatten)]
    output: Output,
}

/// One case as told.
#[derive(Serialize)]
struct Row {
    file: String,
    #[serde(flatten)]
    outcome: Outcome,
}

impl Test {
    pub(super) fn run(self) -> Result<(), CliError> {
        let config = self.profiles.config()?;
        let folder = self.profiles.folder(self.folder, config.as_ref())?;
        let policy = load(&folder, config.as_ref())?;
        let cases = self.cases.unwrap_or_else(|| folder.join(CASES));
        let mut rows = Vec::new();
        for (file, document) in read_all(&cases)? {
            rows.extend(run(&policy, &file, &document)?);
        }
        let header = ["PROFILE", "CASE", "DECISION", "RULE", "RESULT"];
        output::list(self.output.output, &rows, header, |row| {
            let outcome = &row.outcome;
            let result =
                outcome.difference.as_ref().map_or_else(|| "as expected".to_owned(), |why| format!("DIFFERS: {why}"));
            let decision = outcome.decision.as_str().to_owned();
            [outcome.profile.clone(), outcome.name.clone(), decision, outcome.rule.clone(), result]
        })?;
        let different = rows.iter().filter(|row| row.outcome.difference.is_some()).count();
        match different {
            0 => Ok(()),
            _ => Err(CliError::Failed(format!(
                "{different} of {} cases are decided otherwise than expected; correct the profiles, or the cases when the \
                 change is meant",
                rows.len()
            ))),
        }
    }
}

fn run(policy: &Policy, file: &str, document: &CasesDocument) -> Result<Vec<Row>, CliError> {
    let decide = |case: &pki_core::policy::cases::CaseDocument| {
        let outcome =
            case.run(policy).map_err(|why| CliError::Failed(format!("{file}: case `{}`: {why}", case.name)))?;
        Ok(Row { file: file.to_owned(), outcome })
    };
    document.cases.iter().map(decide).collect()
}

fn read_all(folder: &Path) -> Result<Vec<(String, CasesDocument)>, CliError> {
    let cannot = |error: std::io::Error| {
        CliError::Failed(format!(
            "cannot read the cases in {}: {error}; name their folder with `--cases`",
            folder.display()
        ))
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(cannot)?.take(MAX_FILES) {
        let path = entry.map_err(cannot)?.path();
        if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    if files.is_empty() {
        let told =
            format!("there are no cases (*.yaml) in {}; docs/policy.md shows how to write them", folder.display());
        return Err(CliError::Failed(told));
    }
    files.iter().map(|file| Ok((file.display().to_string(), read(file)?))).collect()
}

/// A file of cases; the error names it.
pub(super) fn read(file: &Path) -> Result<CasesDocument, CliError> {
    let fail = |why: String| CliError::Failed(format!("{}: {why}", file.display()));
    let mut bytes = Vec::new();
    let source = fs::File::open(file).map_err(|error| fail(error.to_string()))?;
    source.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|error| fail(error.to_string()))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_FILE {
        return Err(fail(format!("it is larger than {} kB; write several files", MAX_FILE / 1024)));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| fail("it is not UTF-8; save it in that encoding".to_owned()))?;
    let document: CasesDocument = yaml::read(text).map_err(fail)?;
    document.check().map_err(fail)?;
    Ok(document)
}
