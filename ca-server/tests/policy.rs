//! `ca-server policy`: what people and pipelines see of a folder of profiles, good and bad.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// Exit code, standard output, standard error.
fn run(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ca-server"));
    command.arg("policy").args(arguments).current_dir(folder).stdin(Stdio::null()).env_remove("PILOTLIGHT_DIR");
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// A copy of the default profiles and their cases.
fn copy() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    for folder in ["policies", "policies/cases"] {
        fs::create_dir(place.path().join(folder)).unwrap();
        for entry in fs::read_dir(repository().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                fs::copy(&path, place.path().join(folder).join(path.file_name().unwrap())).unwrap();
            }
        }
    }
    place
}

fn change(place: &tempfile::TempDir, file: &str, from: &str, to: &str) {
    let path = place.path().join("policies").join(file);
    let text = fs::read_to_string(&path).unwrap();
    let changed = text.replacen(from, to, 1);
    assert_ne!(text, changed, "{file}: {from}");
    fs::write(path, changed).unwrap();
}

#[test]
fn the_default_profiles_pass_and_every_one_has_cases() {
    let (code, told, error) = run(&repository(), &["test", "policies"]);
    assert_eq!((code, error.as_str()), (0, ""), "{told}");
    assert!(told.lines().next().unwrap().split_whitespace().eq(["PROFILE", "CASE", "DECISION", "RULE", "RESULT"]));
    let (code, told, _) = run(&repository(), &["test", "policies", "--output", "json"]);
    let rows: Vec<Value> = serde_json::from_str(&told).unwrap();
    assert!(code == 0 && rows.len() > 60 && rows.iter().all(|row| row["difference"].is_null()), "{told}");
    for entry in fs::read_dir(repository().join("policies")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let has = |decision: &str| rows.iter().any(|row| row["profile"] == *name && row["decision"] == decision);
        assert!(has("denied"), "{name} has no case that is denied");
        assert!(has("allowed") || name.ends_with("-ca"), "{name} has no case that is allowed");
    }
    let (code, told, error) = run(&repository(), &["check", "policies", "--strict"]);
    assert_eq!((code, error.as_str()), (0, ""), "{told}");
    assert!(told.contains("findings: 5, of them accepted: 5"), "{told}");
}

#[test]
fn a_changed_profile_fails_its_cases_and_says_what_differs() {
    let place = copy();
    change(&place, "gateway.yaml", "suffix: \"site.test\"", "suffix: \"other.test\"");
    let (code, told, error) = run(place.path(), &["test", "policies"]);
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("DIFFERS: it should be allowed, and is denied: `gw-1.site.test` can not be had"), "{told}");
    assert!(error.contains("cases are decided otherwise than expected"), "{error}");
    let (code, told, _) = run(place.path(), &["test", "policies", "--output", "json"]);
    let rows: Vec<Value> = serde_json::from_str(&told).unwrap();
    assert!(code == 1 && rows.iter().any(|row| row["difference"].is_string()), "{told}");
}

#[test]
fn dangers_fail_the_check_until_they_are_accepted() {
    let place = copy();
    change(&place, "server.yaml", "    wildcards: false", "    wildcards: true");
    let (code, told, error) = run(place.path(), &["check", "policies"]);
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("PL002 danger  server  policies/server.yaml: spec.identifiers.dns[0]"), "{told}");
    assert!(told.contains("remedy: leave `wildcards` out"), "{told}");
    assert!(error.contains("2 of the findings are not accepted"), "{error}");
    let (code, told, _) = run(place.path(), &["check", "policies", "--output", "json"]);
    let report: Value = serde_json::from_str(&told).unwrap();
    let found = report["findings"].as_array().unwrap().iter().find(|one| one["id"] == "PL002").unwrap();
    assert!(code == 1 && found["severity"] == "danger" && found["remedy"].is_string(), "{report:#}");
    change(&place, "server.yaml", "  accepts:\n", "  accepts:\n    PL002: the zone has one server\n");
    assert_eq!(run(place.path(), &["check", "policies"]).0, 0);
    // a warning fails only who asks for it
    change(
        &place,
        "server.yaml",
        "      - suffix: \"site.test\"\n",
        "      - suffix: \"site.test\"\n      - exact: a.site.test\n",
    );
    assert_eq!(run(place.path(), &["check", "policies"]).0, 0);
    assert_eq!(run(place.path(), &["check", "policies", "--strict"]).0, 1);
}

#[test]
fn explanations_are_for_people_and_for_programs() {
    let gateway = ["explain", "policies", "--profile", "gateway", "--dns", "gw-1.site.test"];
    let device = ["--device", "gw-1", "--key", "ECDSA P-256"];
    let (code, told, _) = run(&repository(), &[&gateway[..], &device].concat());
    assert_eq!(code, 0, "{told}");
    assert!(told.starts_with("profile gateway: allowed\n") && told.contains("dns[1] suffix site.test"), "{told}");
    let (code, told, _) = run(&repository(), &[&gateway[..], &["--output", "json"]].concat());
    let explained: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(code, 0);
    assert_eq!(
        (&explained["allowed"], &explained["rule"], &explained["problem"]),
        (&false.into(), &"requires.binding".into(), &"invalidProfile".into())
    );
    let cases = ["explain", "policies", "--case", "policies/cases/operator.yaml", "--name", "nor any device"];
    let (code, told, _) = run(&repository(), &cases);
    assert!(code == 0 && told.starts_with("profile operator: denied by requires.role"), "{told}");
    assert_eq!(run(&repository(), &["explain", "policies"]).0, 2, "neither profile nor case");
    assert_eq!(run(&repository(), &["explain", "policies", "--profile", "x", "--dns", "a..b"]).0, 1);
}

#[test]
fn a_folder_must_be_named_where_no_ca_is() {
    let place = copy();
    let (code, _, error) = run(place.path(), &["check"]);
    assert_eq!(code, 2, "{error}");
    assert!(error.contains("name the folder, or `--dir`"), "{error}");
}

/// Each fails with one sentence that names the file and what is wrong, and nothing on standard output.
#[test]
fn bad_input_is_told_by_file_and_line() {
    let good = fs::read(repository().join("policies/server.yaml")).unwrap();
    let text = String::from_utf8(good.clone()).unwrap();
    let large = [&good[..], &vec![b'#'; 300 * 1024]].concat();
    let latin = [&good[..], b"# f\xfcr\n"].concat();
    let tabs = text.replace("  lifetime: 30d", "\tlifetime: 30d").into_bytes();
    let typo = text.replace("  lifetime: 30d", "  lifetme: 30d").into_bytes();
    let circle =
        text.replace("spec:\n", "spec:\n  templates: { a: \"{templates.b}\", b: \"{templates.a}\" }\n").into_bytes();
    let levels: String =
        (1..9).map(|n| format!("  - &l{n} [{}]\n", vec![format!("*l{}", n - 1); 9].join(", "))).collect();
    let bomb = text
        .replace("    challenges: [http-01, dns-01, tls-alpn-01]", &format!("    challenges:\n  - &l0 [x]\n{levels}"));
    let doubled = [&good[..], b"---\n", &good].concat();
    let line = 1 + text.lines().position(|line| line == "  lifetime: 30d").unwrap();
    let typo_place = format!("line {line}, column 3: `lifetme` is not known here; did you mean `lifetime`?");
    for (content, said) in [
        (&large, "larger than 256 kB"),
        (&latin, "UTF-8"),
        (&tabs, "there is a tab"),
        (&typo, typo_place.as_str()),
        (&circle, "spec.templates.a: the templates refer to each other in a circle: `a` -> `b` -> `a`"),
        (&bomb.into_bytes(), ""),
        (&doubled, "documents"),
        (&good, "metadata.name: `server` is already the name of the profile in policies/server.yaml"),
        (&Vec::new(), ""),
        (&b"\0".to_vec(), ""),
    ] {
        let place = copy();
        fs::write(place.path().join("policies/zz.yaml"), content).unwrap();
        for command in ["check", "test"] {
            let (code, told, error) = run(place.path(), &[command, "policies"]);
            assert_eq!((code, told.as_str()), (1, ""), "{said}: {error}");
            assert!(error.contains("policies/zz.yaml") && error.contains(said), "{said}: {error}");
            assert!(error.len() < 1000, "{error}");
        }
    }
    let place = copy();
    let empty = place.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let (code, _, error) = run(place.path(), &["check", "empty"]);
    assert!(code == 1 && error.contains("has no *.yaml file"), "{error}");
    assert_eq!(run(place.path(), &["check", "absent"]).0, 1);
    fs::write(place.path().join("policies/cases/zz.yaml"), "cases: [").unwrap();
    let (code, told, error) = run(place.path(), &["test", "policies"]);
    assert!(code == 1 && told.is_empty() && error.contains("cases/zz.yaml"), "{error}");
    fs::remove_dir_all(place.path().join("policies/cases")).unwrap();
    let (code, _, error) = run(place.path(), &["test", "policies"]);
    assert!(code == 1 && error.contains("cannot read the cases"), "{error}");
}
