//! `ca-server policy schema`: what editors are told of profiles is what the program reads, judged by a validator that is
//! not ours.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Prints a line for each file that the schema refuses: its name and the place in it.
const VALIDATE: &str = r#"
import json, sys, yaml, jsonschema
schema = json.load(open(sys.argv[1]))
jsonschema.Draft7Validator.check_schema(schema)
for name in sys.argv[2:]:
    for error in jsonschema.Draft7Validator(schema).iter_errors(yaml.safe_load(open(name))):
        print(name.rsplit("/", 1)[1], "/".join(map(str, error.absolute_path)), error.message)
"#;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

fn printed(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ca-server"));
    let output = command.args(["policy", "schema"]).args(arguments).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn profiles(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|file| file.extension().is_some_and(|end| end == "yaml")).collect();
    files.sort();
    files
}

/// What the schema refuses of these files.
fn refusals(schema: &Path, files: &[PathBuf]) -> String {
    // the Python of Debian, which has the validator, also where another one comes first
    let mut command = Command::new("/usr/bin/python3");
    let output = command.args(["-c", VALIDATE]).arg(schema).args(files).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Fails when the types have changed and the files have not.
#[test]
fn the_committed_schemas_are_those_printed() {
    for (arguments, file) in [(&[][..], "policies/schema.json"), (&["--cases"], "policies/cases/schema.json")] {
        let committed = fs::read_to_string(repository().join(file)).unwrap();
        let remedy = format!("run `ca-server policy schema {} > {file}`", arguments.join(" "));
        assert_eq!(committed, printed(arguments), "{remedy}");
    }
}

#[test]
fn default_profiles_and_cases_are_valid_and_point_to_the_schema() {
    for folder in ["policies", "policies/cases"] {
        let folder = repository().join(folder);
        let files = profiles(&folder);
        assert!(files.len() > 10);
        assert_eq!(refusals(&folder.join("schema.json"), &files), "");
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            assert!(text.starts_with("# yaml-language-server: $schema=schema.json\n"), "{}", file.display());
        }
    }
}

/// Each is told by the schema and refused by the program too.
#[test]
fn what_the_program_refuses_in_form_the_schema_refuses() {
    let place = tempfile::tempdir().unwrap();
    let good = fs::read_to_string(repository().join("policies/server.yaml")).unwrap();
    for (from, to, told) in [
        ("  lifetime: 30d", "  lifetme: 30d", "'lifetme' was unexpected"),
        ("  lifetime: 30d\n", "", "'lifetime' is a required property"),
        ("  lifetime: 30d", "  lifetime: 30", "30 is not of type 'string'"),
        ("  lifetime: 30d", "  lifetime: '30'", "'30' does not match"),
        ("pilotlight.dev/v1", "pilotlight.dev/v2", "'pilotlight.dev/v1' was expected"),
        ("- suffix: \"site.test\"", "- { suffix: a.test, exact: b.test }", "valid under each of"),
        ("- suffix: \"site.test\"", "- wildcards: true", "is not valid under any of"),
        ("[http-01, ", "[http-1, ", "'http-1' is not one of"),
        ("binding: none", "binding: nobody", "'nobody' is not one of"),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(good, bad, "{from}");
        let file = place.path().join("server.yaml");
        fs::write(&file, bad).unwrap();
        let refused = refusals(&repository().join("policies/schema.json"), std::slice::from_ref(&file));
        assert!(refused.contains(told), "{to}: {refused}");
        let mut command = Command::new(env!("CARGO_BIN_EXE_ca-server"));
        let output = command.args(["policy", "check"]).arg(place.path()).current_dir(place.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{to}");
    }
}

/// A new CA has the schema beside its profiles, where their first line says.
#[test]
fn init_writes_the_schema_beside_the_profiles() {
    let place = tempfile::tempdir().unwrap();
    let passphrase = place.path().join("passphrase");
    fs::write(&passphrase, "correct horse battery staple\n").unwrap();
    let ca = place.path().join("ca");
    let mut command = Command::new(env!("CARGO_BIN_EXE_ca-server"));
    let output = command
        .args(["init", "--name", "Plant", "--dns-name", "ca.site.test", "--domain", "site.test", "--dir"])
        .arg(&ca)
        .arg("--passphrase-file")
        .arg(&passphrase)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let policies = ca.join("policies");
    assert_eq!(fs::read_to_string(policies.join("schema.json")).unwrap(), printed(&[]));
    let files = profiles(&policies);
    assert!(files.iter().all(|file| fs::read_to_string(file).unwrap().contains("$schema=schema.json")));
    assert_eq!(refusals(&policies.join("schema.json"), &files), "");
}
