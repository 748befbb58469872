//! pkilint, a checker that shares nothing with this CA, and what docs/pkilint.md excuses of its findings.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::process::run;

/// Something that it does not like.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Its name for such things.
    pub code: String,
    /// What it says of this one.
    pub message: String,
}

/// Where ./test installs it, and Python's cryptography with it.
pub fn tools() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let tools = program.ancestors().nth(3).unwrap().join("pkilint/bin");
    assert!(
        tools.join("lint_pkix_cert").exists(),
        "pkilint is not in {}: `./test` installs it from PyPI, for which it needs the network",
        tools.display()
    );
    tools
}

/// What one of its programs finds in a file of DER, from NOTICE on.
pub async fn findings(program: &str, arguments: &[&str], file: &Path) -> Vec<Finding> {
    let mut command = Command::new(tools().join(program));
    command.arg("lint").args(arguments).args(["-f", "JSON", "-s", "NOTICE", "--document-format", "DER"]).arg(file);
    let said = run(&mut command).await;
    let document: Value =
        serde_json::from_str(&said.stdout).unwrap_or_else(|error| panic!("{program}: {error}: {said}"));
    let results = document["results"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    results
        .flat_map(|result| result["finding_descriptions"].as_array().unwrap())
        .map(|one| Finding { code: text(&one["code"]), message: text(&one["message"]) })
        .collect()
}

/// The first two columns of the table in docs/pkilint.md: a code, and words of the message.
pub fn excuses() -> Vec<(&'static str, &'static str)> {
    const DOCUMENT: &str = include_str!("../../docs/pkilint.md");
    let rows = DOCUMENT.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| {
        let mut quoted = row.split('`');
        (quoted.next().unwrap(), quoted.nth(1).unwrap())
    })
    .collect()
}

impl Finding {
    /// Which of the [`excuses`] is for it.
    pub fn excuse(&self) -> Option<usize> {
        excuses().iter().position(|(code, words)| self.code == *code && self.message.contains(words))
    }
}
