//! pkilint, a checker that shares nothing with this CA, on one sample of everything that is issued. What it finds must stand
//! in docs/pkilint.md with a reason, and what stands there must be found.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tests::folders::{Folder, write};

use crate::samples::Samples;

const ALLOWED: &str = include_str!("../../../docs/pkilint.md");

#[tokio::test(flavor = "multi_thread")]
async fn pkilint_finds_nothing_that_has_no_reason() {
    let tools = tools();
    let mut found = BTreeSet::new();
    for key_type in ["p256", "rsa3072"] {
        let samples = Samples::make(key_type).await;
        let folder = Folder::new();
        let file = folder.path().join("sample");
        for sample in samples.certificates() {
            write(&file, &sample.der, 0o644);
            found.extend(lint(&tools, "lint_pkix_cert", &[], &file, &sample.kind));
        }
        for (kind, of_cas, list) in &samples.lists {
            write(&file, list, 0o644);
            let arguments = ["-t", if *of_cas { "ARL" } else { "CRL" }, "-p", "PKIX"];
            found.extend(lint(&tools, "lint_crl", &arguments, &file, &format!("CRL: {kind}")));
        }
    }
    let allowed = allowed();
    let excuse = |finding: &Finding| {
        let fits = |(code, words): &(&str, &str)| finding.code == *code && finding.message.contains(words);
        allowed.iter().position(fits)
    };
    let new: Vec<_> = found.iter().filter(|finding| excuse(finding).is_none()).collect();
    assert!(new.is_empty(), "mend these, or give the reason in docs/pkilint.md: {new:#?}");
    let used: BTreeSet<usize> = found.iter().filter_map(excuse).collect();
    assert_eq!(used.len(), allowed.len(), "docs/pkilint.md excuses what is not found: {allowed:?} {used:?}");
}

/// What it found, and in which sample.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    code: String,
    message: String,
    kind: String,
}

/// It has to be able to find something: a certificate with a known fault.
#[test]
fn pkilint_finds_a_fault() {
    let folder = Folder::new();
    let (file, fault) = (folder.path().join("sample"), Path::new("../crates/pki-core/testdata/ca/plain.der"));
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join(fault), &file).unwrap();
    let found = lint(&tools(), "lint_pkix_cert", &[], &file, "a CA without key identifier");
    assert!(found.iter().any(|finding| finding.code == "pkix.certificate_skid_ca_missing"), "{found:?}");
}

/// Where ./test installs it.
fn tools() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let target = program.ancestors().nth(3).unwrap();
    let tools = target.join("pkilint/bin");
    assert!(
        tools.join("lint_pkix_cert").exists(),
        "pkilint is not in {}: `./test` installs it from PyPI, for which it needs the network",
        tools.display()
    );
    tools
}

/// What it finds from NOTICE on.
fn lint(tools: &Path, program: &str, arguments: &[&str], file: &Path, kind: &str) -> Vec<Finding> {
    let mut command = Command::new(tools.join(program));
    command.arg("lint").args(arguments).args(["-f", "JSON", "-s", "NOTICE", "--document-format", "DER"]).arg(file);
    let output = command.output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{program}: {error}: {}", String::from_utf8_lossy(&output.stderr)));
    let results = document["results"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    results
        .flat_map(|result| result["finding_descriptions"].as_array().unwrap())
        .map(|one| Finding { code: text(&one["code"]), message: text(&one["message"]), kind: kind.to_owned() })
        .collect()
}

/// The first two columns of the table in docs/pkilint.md: a code, and words of the message.
fn allowed() -> Vec<(&'static str, &'static str)> {
    let rows = ALLOWED.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| {
        let mut quoted = row.split('`');
        (quoted.next().unwrap(), quoted.nth(1).unwrap())
    })
    .collect()
}
