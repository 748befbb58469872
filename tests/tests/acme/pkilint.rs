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
            note(&mut found, &sample.kind, lint(&tools, "lint_pkix_cert", &[], &file));
        }
        for (kind, of_cas, list) in &samples.lists {
            write(&file, list, 0o644);
            let arguments = ["-t", if *of_cas { "ARL" } else { "CRL" }, "-p", "PKIX"];
            note(&mut found, &format!("CRL: {kind}"), lint(&tools, "lint_crl", &arguments, &file));
        }
    }
    let allowed = allowed();
    let new: Vec<_> = found.iter().filter(|(code, _)| !allowed.contains(code.as_str())).collect();
    assert!(new.is_empty(), "mend these, or give the reason in docs/pkilint.md: {new:#?}");
    let codes: BTreeSet<&str> = found.iter().map(|(code, _)| code.as_str()).collect();
    let stale: Vec<_> = allowed.difference(&codes).collect();
    assert!(stale.is_empty(), "docs/pkilint.md excuses what is not found: {stale:?}");
}

/// It has to be able to find something: a certificate with a known fault.
#[test]
fn pkilint_finds_a_fault() {
    let folder = Folder::new();
    let (file, fault) = (folder.path().join("sample"), Path::new("../crates/pki-core/testdata/ca/plain.der"));
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join(fault), &file).unwrap();
    let found = lint(&tools(), "lint_pkix_cert", &[], &file);
    assert!(found.contains(&"pkix.certificate_skid_ca_missing".to_owned()), "{found:?}");
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

/// The codes of what it finds from NOTICE on.
fn lint(tools: &Path, program: &str, arguments: &[&str], file: &Path) -> Vec<String> {
    let mut command = Command::new(tools.join(program));
    command.arg("lint").args(arguments).args(["-f", "JSON", "-s", "NOTICE", "--document-format", "DER"]).arg(file);
    let output = command.output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{program}: {error}: {}", String::from_utf8_lossy(&output.stderr)));
    let findings =
        document["results"].as_array().unwrap().iter().flat_map(|one| one["finding_descriptions"].as_array());
    findings.flatten().map(|finding| finding["code"].as_str().unwrap().to_owned()).collect()
}

fn note(found: &mut BTreeSet<(String, String)>, kind: &str, codes: Vec<String>) {
    found.extend(codes.into_iter().map(|code| (code, kind.to_owned())));
}

/// The first column of the table in docs/pkilint.md.
fn allowed() -> BTreeSet<&'static str> {
    ALLOWED.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect()
}
