//! What the documents say is held against what there is: links lead somewhere, quoted messages stand in the sources, commands
//! exist, and every dependency has its line.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path.as_ref()).unwrap_or_else(|error| panic!("{}: {error}", path.as_ref().display()))
}

/// The identifier that a heading gets.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let keep = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    headings.map(|heading| heading.to_lowercase().chars().filter(keep).collect::<String>().replace(' ', "-")).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut dead = Vec::new();
    for file in files(&root(), "md") {
        let text = read(&file);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { file.clone() } else { file.parent().unwrap().join(path) };
            let leads = target.exists() && (anchor.is_empty() || anchors(&read(&target)).contains(anchor));
            if !leads {
                dead.push(format!("{}: {link}", file.display()));
            }
        }
    }
    assert!(dead.is_empty(), "{dead:#?}");
}

/// All sources as one text in which a string that goes on in the next line is whole.
fn sources() -> String {
    let folders = ["ca-server/src", "renew-agent/src", "crates"];
    let all: String = folders.iter().flat_map(|folder| files(&root().join(folder), "rs")).map(read).collect();
    let joined: String = all.split("\\\n").map(str::trim_start).collect();
    joined.replace("\\\"", "\"")
}

#[test]
fn quoted_messages_stand_in_the_sources() {
    let sources = sources();
    let pages = ["troubleshooting", "revocation"].map(|page| read(root().join(format!("docs/operations/{page}.md"))));
    let text = pages.concat();
    let messages: Vec<&str> =
        text.split("```message\n").skip(1).filter_map(|rest| rest.split("\n```").next()).collect();
    assert!(messages.len() > 20, "{}", messages.len());
    for message in messages {
        let bare = message.trim_start_matches("error: ").trim_start_matches("renew-agent: ");
        for part in bare.split('…').filter(|part| part.trim().len() > 3) {
            // serde's own words, and what stands around a placeholder
            let known = ["unknown field `", "`, expected ", ", line "].contains(&part) || sources.contains(part);
            assert!(known, "no source says {part:?}, of {message:?}");
        }
    }
}

/// The words after `program` up to the first option, argument or end of code.
fn invocations(text: &str, program: &str) -> BTreeSet<Vec<String>> {
    let word = |word: &str| word.chars().all(|c| c.is_ascii_lowercase() || c == '-') && !word.starts_with('-');
    let program = format!("{program} ");
    let spoken = text.split(&program).skip(1);
    let verbs = spoken.map(|rest| {
        let line = rest.lines().next().unwrap_or_default();
        let words = line.split(' ').take_while(|it| word(it.trim_end_matches('`')) && !it.is_empty());
        words.map(|it| it.trim_end_matches('`').to_owned()).take(2).collect::<Vec<_>>()
    });
    verbs.filter(|verbs| !verbs.is_empty()).collect()
}

/// Whether `ca-server VERB [VERB] --help` is an answer.
fn is_command(verbs: &[String]) -> bool {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ca-server"));
    command.args(verbs).arg("--help").output().unwrap().status.success()
}

/// The table of findings says what the program says, row by row.
#[test]
fn every_finding_is_documented() {
    let text = read(root().join("docs/policy.md"));
    let documented: Vec<&str> = text.lines().filter(|line| line.starts_with("| PL")).collect();
    let kinds = pki_core::policy::lint::KINDS.iter();
    let found =
        kinds.map(|kind| format!("| {} | {} | {} | {} |", kind.id, kind.severity.as_str(), kind.title, kind.remedy));
    assert_eq!(documented, found.collect::<Vec<_>>());
    for kind in pki_core::policy::lint::KINDS {
        assert!(text.contains(&format!("**{}**", kind.id)), "{} has no paragraph", kind.id);
    }
}

/// Every question of a decision stands in the table, in its order, and the profile shown is one.
#[test]
fn the_page_about_policy_shows_what_there_is() {
    let text = read(root().join("docs/policy.md"));
    let yaml = text.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let document = serde_saphyr::from_str(yaml).unwrap();
    let policy = pki_core::policy::Policy::from_documents(vec![("docs/policy.md".to_owned(), document)]).unwrap();
    let cases = text.split("```yaml\n").nth(2).unwrap().split("```").next().unwrap();
    let cases: pki_core::policy::cases::CasesDocument = serde_saphyr::from_str(cases).unwrap();
    cases.check().unwrap();
    let explained = cases.cases[0].request.explain(&policy).unwrap();
    let rules = text.lines().filter_map(|line| line.strip_prefix("| `")).filter(|line| line.contains("? |"));
    let rules: Vec<&str> = rules.flat_map(|line| line.split(" | ").next().unwrap().split('`')).collect();
    let rules: Vec<&str> = rules.into_iter().filter(|word| word.contains('.')).collect();
    let asked: Vec<&str> = explained.steps.iter().map(|step| step.rule.as_str()).collect();
    assert_eq!(rules, asked);
    for profile in files(&root().join("policies"), "yaml") {
        let name = profile.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(text.contains(&format!("`{name}`")), "{name} is not in the table of default profiles");
    }
}

#[test]
fn commands_in_code_exist() {
    let mut checked = 0;
    for file in files(&root().join("docs"), "md").into_iter().chain([root().join("README.md")]) {
        let text = read(&file);
        // lines of shell blocks, where a command is meant to be typed
        let blocks = text.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
        for block in blocks {
            for verbs in invocations(block, "ca-server") {
                checked += 1;
                let first = verbs.get(..1).unwrap();
                assert!(is_command(first), "{}: ca-server {verbs:?}", file.display());
                let group = [
                    "device",
                    "cert",
                    "profile",
                    "eab",
                    "crl",
                    "audit",
                    "revocation",
                    "config",
                    "db",
                    "root",
                    "policy",
                ];
                if group.contains(&first[0].as_str()) {
                    assert!(is_command(&verbs), "{}: ca-server {verbs:?}", file.display());
                }
            }
        }
    }
    assert!(checked > 10, "{checked}");
}

#[test]
fn every_direct_dependency_has_its_line() {
    let table = read(root().join("docs/adr/0009-dependencies.md"));
    let ours = ["api", "ca-server", "failpoint", "fuzz-targets", "pki-core", "renew-agent", "signer", "store"];
    for manifest in files(&root(), "toml").into_iter().filter(|file| file.ends_with("Cargo.toml")) {
        let text = read(&manifest);
        let outside = text.contains("\n[workspace]\n");
        if outside && manifest != root().join("Cargo.toml") {
            continue;
        }
        for section in text.split("\n[").filter(|section| {
            ["dependencies]", "dev-dependencies]", "build-dependencies]", "workspace.dependencies]"]
                .iter()
                .any(|name| section.starts_with(name))
        }) {
            for line in section.lines().skip(1).filter(|line| line.contains('=') && !line.starts_with(['#', ' '])) {
                let name = line.split(['.', ' ', '=']).next().unwrap();
                let name = if name == "webpki" { "rustls-webpki" } else { name };
                let known = ours.contains(&name) || table.contains(&format!("\n| {name} "));
                assert!(known, "{}: {name} is not in docs/adr/0009-dependencies.md", manifest.display());
            }
        }
    }
}

#[test]
fn the_list_of_decisions_is_whole() {
    let list = read(root().join("docs/adr/README.md"));
    for file in files(&root().join("docs/adr"), "md") {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        assert!(name == "README.md" || list.contains(&format!("({name})")), "docs/adr/README.md does not list {name}");
    }
}
