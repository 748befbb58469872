//! pkilint, a checker that shares nothing with this CA, on one sample of everything that is issued. What it finds must stand
//! in docs/pkilint.md with a reason, and what stands there must be found.

use std::collections::BTreeSet;
use std::path::Path;

use tests::folders::{Folder, write};
use tests::pkilint::{Finding, excuses, findings};

use crate::samples::Samples;

#[tokio::test(flavor = "multi_thread")]
async fn pkilint_finds_nothing_that_has_no_reason() {
    let mut found = BTreeSet::new();
    for key_type in ["p256", "rsa3072"] {
        let samples = Samples::make(key_type).await;
        let folder = Folder::new();
        let file = folder.path().join("sample");
        for sample in samples.certificates() {
            write(&file, &sample.der, 0o644);
            found.extend(lint("lint_pkix_cert", &[], &file, &sample.kind).await);
        }
        for (kind, of_cas, list) in &samples.lists {
            write(&file, list, 0o644);
            let arguments = ["-t", if *of_cas { "ARL" } else { "CRL" }, "-p", "PKIX"];
            found.extend(lint("lint_crl", &arguments, &file, &format!("CRL: {kind}")).await);
        }
    }
    let new: Vec<_> = found.iter().filter(|(finding, _)| finding.excuse().is_none()).collect();
    assert!(new.is_empty(), "mend these, or give the reason in docs/pkilint.md: {new:#?}");
    let (used, excuses): (BTreeSet<usize>, _) = (found.iter().filter_map(|(one, _)| one.excuse()).collect(), excuses());
    assert_eq!(used.len(), excuses.len(), "docs/pkilint.md excuses what is not found: {excuses:?} {used:?}");
}

/// What it finds, and in which sample.
async fn lint(program: &str, arguments: &[&str], file: &Path, kind: &str) -> Vec<(Finding, String)> {
    let found = findings(program, arguments, file).await.into_iter();
    found.map(|finding| (finding, kind.to_owned())).collect()
}

/// It has to be able to find something: a certificate with a known fault.
#[tokio::test]
async fn pkilint_finds_a_fault() {
    let folder = Folder::new();
    let (file, fault) = (folder.path().join("sample"), Path::new("../crates/pki-core/testdata/ca/plain.der"));
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join(fault), &file).unwrap();
    let found = findings("lint_pkix_cert", &[], &file).await;
    assert!(found.iter().any(|finding| finding.code == "pkix.certificate_skid_ca_missing"), "{found:?}");
}
