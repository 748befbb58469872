//! The fences of ARCHITECTURE.md, read from the sources: which crate may depend on which, and which module of ca-server
//! may name which other. Fails when an edge is added that the table does not allow.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Our crates, and the ones of ours each may depend on.
const CRATES: &[(&str, &[&str])] = &[
    ("crates/pki-core", &[]),
    ("crates/api", &[]),
    ("crates/failpoint", &[]),
    ("crates/fuzz-targets", &["api", "ca-server", "pki-core"]),
    ("crates/signer", &["pki-core"]),
    ("crates/store", &["pki-core"]),
    ("ca-server", &["api", "failpoint", "pki-core", "renew-agent", "signer", "store"]),
    ("renew-agent", &["api", "failpoint", "pki-core"]),
];

/// Crates from outside that stand behind one fence only.
const OUTSIDE: &[(&str, &str)] =
    &[("sqlx", "crates/store"), ("rusqlite", "crates/store"), ("rsa", "crates/signer"), ("axum", "ca-server")];

/// Modules of ca-server, and what each must not name.
const MODULES: &[(&str, &[&str])] = &[
    ("http", &["store::", "signer::", "crate::jobs", "crate::validation"]),
    ("flows", &["crate::http", "crate::jobs", "crate::validation"]),
    ("validation", &["store::", "signer::", "crate::flows", "crate::http", "crate::jobs"]),
    ("jobs", &["signer::", "crate::http"]),
];

/// The flows that may call the signer, and the two that name its types for the context and its errors.
const SIGNER_USERS: &[&str] = &["issue.rs", "crl.rs", "responder.rs", "context.rs", "error.rs"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    found
}

/// Code only: what stands in comments and in paths of other crates is no edge.
fn names(text: &str, path: &str) -> bool {
    text.lines().map(str::trim_start).filter(|line| !line.starts_with("//")).any(|line| {
        line.match_indices(path).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':' || c == '-')
        })
    })
}

fn dependencies(manifest: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(manifest).unwrap();
    let section = text.split("[dependencies]").nth(1).unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default();
    section
        .lines()
        .filter_map(|line| line.split(['.', '=', ' ']).next())
        .filter(|name| !name.is_empty() && !name.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn crates_depend_only_on_what_their_fence_allows() {
    let ours: BTreeSet<&str> = CRATES.iter().map(|(path, _)| path.rsplit('/').next().unwrap()).collect();
    for (path, allowed) in CRATES {
        let found = dependencies(&root().join(path).join("Cargo.toml"));
        for name in found.iter().filter(|name| ours.contains(name.as_str())) {
            assert!(allowed.contains(&name.as_str()), "{path} depends on {name}");
        }
        for (name, home) in OUTSIDE {
            assert!(path == home || !found.contains(*name), "{path} depends on {name}, which belongs to {home}");
        }
    }
}

#[test]
fn modules_of_ca_server_name_only_what_their_fence_allows() {
    for (module, forbidden) in MODULES {
        for (file, text) in sources(&root().join("ca-server/src").join(module)) {
            for path in *forbidden {
                assert!(!names(&text, path), "{} names {path}", file.display());
            }
        }
    }
}

#[test]
fn only_issuing_flows_reach_the_signer() {
    for (file, text) in sources(&root().join("ca-server/src/flows")) {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        assert!(SIGNER_USERS.contains(&name.as_str()) || !names(&text, "signer::Signer"), "{name} reaches the signer");
        assert!(SIGNER_USERS.contains(&name.as_str()) || !text.contains(".desk.signer"), "{name} reaches the signer");
    }
}

#[test]
fn the_core_is_pure() {
    let found = dependencies(&root().join("crates/pki-core/Cargo.toml"));
    for name in ["tokio", "hyper", "axum", "sqlx", "rusqlite", "tracing"] {
        assert!(!found.contains(name), "pki-core depends on {name}");
    }
    for (file, text) in sources(&root().join("crates/pki-core/src/acme")) {
        for path in ["crate::policy", "crate::issuance"] {
            assert!(!names(&text, path), "{} names {path}", file.display());
        }
    }
    for (file, text) in sources(&root().join("crates/pki-core/src/issuance")) {
        assert!(!names(&text, "crate::acme"), "{} names crate::acme", file.display());
    }
}

#[test]
fn the_fence_test_sees_an_edge() {
    assert!(names("use store::orders;", "store::"));
    assert!(!names("//! store::orders is elsewhere", "store::"));
    assert!(!names("use crate::http::store::x;", "store::"));
    assert!(!names("key_store::x", "store::"));
}

/// The fuzz programs are a project with a lock file of its own. Fails when a dependency that one of our crates was given is
/// missing there: no target can be built then.
#[test]
fn the_lock_file_of_the_fuzz_programs_knows_every_dependency() {
    let read = |path: PathBuf| toml::from_str::<toml::Table>(&fs::read_to_string(path).unwrap()).unwrap();
    let (lock, workspace) = (read(root().join("fuzz/Cargo.lock")), read(root().join("Cargo.toml")));
    let published_as = |name: &str| {
        let renamed = workspace["workspace"]["dependencies"].get(name).and_then(|entry| entry.get("package"));
        renamed.map_or(name, |package| package.as_str().unwrap()).to_owned()
    };
    for package in lock["package"].as_array().unwrap().iter().filter(|package| package.get("source").is_none()) {
        let name = package["name"].as_str().unwrap();
        let places = ["crates", "."].map(|folder| root().join(folder).join(name).join("Cargo.toml"));
        let Some(manifest) = places.into_iter().find(|place| place.is_file()).map(read) else { continue };
        let listed = package.get("dependencies").and_then(toml::Value::as_array).into_iter().flatten();
        let locked: BTreeSet<&str> = listed.map(|entry| entry.as_str().unwrap().split(' ').next().unwrap()).collect();
        let needed = manifest.get("dependencies").and_then(toml::Value::as_table).into_iter().flatten();
        for (dependency, _) in needed.filter(|(_, entry)| entry.get("optional").is_none()) {
            assert!(
                locked.contains(&*published_as(dependency)),
                "{name} needs {dependency}: cargo update --workspace in fuzz/"
            );
        }
    }
}
